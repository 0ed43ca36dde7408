"""A classifier made of any network: fitted and normalised inside, its outputs grouped into the two classes."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Self

from torch import Tensor, nn

from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.layers import Layers
from saliency_stats.classifier.outputs import Grouping
from saliency_stats.classifier.preprocessing import Fit, Normalisation, Preprocessing
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.unfolding import unfold

BACKBONE = "backbone."


class NetworkClassifier(Classifier):
    """A network from raw pixels to one logit per class.

    Fitting and normalisation are the first steps *inside* the module, so that gradients are those with respect to the
    raw pixel in [0, 1]; grouping is the last.

    Parameters
    ----------
    architecture
        What the study file says.
    backbone
        From normalised images to logits (N, ``n_outputs``).
    preprocessing
        Resolved: what is stated, else the library's. No mean leaves the pixels as they are.
    layers
        Of the backbone.
    again
        Builds the same architecture with random weights drawn from a seed.
    """

    #: In what respects the network, or the file that it was built from, is not used as it is.
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        architecture: Architecture,
        backbone: nn.Module,
        preprocessing: Preprocessing,
        layers: Layers,
        n_outputs: int,
        again: Callable[[int], Any],
    ) -> None:
        super().__init__()
        self.architecture = architecture.name
        self.labels = architecture.outputs.labels(n_outputs)
        self.n_outputs = n_outputs
        self.layers = layers
        self._again = again
        self.fit = Fit(preprocessing.size_px)
        given = preprocessing.mean is not None or preprocessing.std is not None
        self.normalise: nn.Module = (
            Normalisation(preprocessing.mean or (0.0,) * 3, preprocessing.std or (1.0,) * 3) if given else nn.Identity()
        )
        self.backbone: Any = backbone
        self.group = Grouping(architecture.outputs, n_outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Classify images (N, 3, H, W), float in [0, 1]: logits (N, 2) in the order of ``LABELS``."""
        logits: Tensor = self.group(self.backbone(self.normalise(self.fit(images))))
        return logits

    @property
    def parts(self) -> Mapping[str, tuple[str, ...]]:  # type: ignore[override]
        """Its parts from the top, see :class:`~saliency_stats.classifier.protocol.Classifier`."""
        return {name: tuple(f"{BACKBONE}{one}" for one in names) for name, names in self.layers.parts.items()}

    @property
    def cam_layer(self) -> str | None:  # type: ignore[override]
        """Name of the layer that Grad-CAM explains."""
        return None if self.layers.gradcam is None else f"{BACKBONE}{self.layers.gradcam}"

    @property
    def input_px(self) -> int | None:  # type: ignore[override]
        """Side to which it resizes images."""
        return self.fit.size_px

    @property
    def head(self) -> tuple[str, ...]:
        """Prefixes of the tensors that ``classifier.trainable: head`` trains."""
        return tuple(f"{BACKBONE}{name}." for name in self.layers.head)

    def fresh(self, seed: int) -> Self:
        """Build the same architecture with random weights."""
        made: Self = self._again(seed)
        return made

    def stepwise(self) -> nn.Module:
        """Return the same computation with every ReLU a module, each called once.

        Raises
        ------
        AttributionError
            If the network cannot be taken apart.
        """
        twin = copy.copy(self)
        twin._modules = dict(self._modules)  # noqa: SLF001  (a shallow copy shares the list of modules)
        twin.backbone = unfold(self.backbone, self.architecture)
        return twin.train(self.training)
