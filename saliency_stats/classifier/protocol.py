"""What the package needs of a network: methods and controls ask for this and need not know which network it is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Self

from torch import nn


class Classifier(nn.Module, ABC):
    """A network from images (N, 3, H, W), raw RGB in [0, 1], to logits (N, classes), and what is known of its inside.

    Parameters and layers are named as ``state_dict`` and ``named_modules`` of this very module name them.

    Attributes
    ----------
    parts
        Its parts from the top (next to the logits) to the bottom, each with the prefixes of its tensors' names.
        Cascading randomisation replaces the first, then the first two, and so on, until nothing learned is left:
        together they hold every tensor of ``state_dict``.
    cam_layer
        Name of the layer that Grad-CAM explains, whose output is an image; None where there is none.
    input_px
        Side to which it resizes images; None where it takes them as they are.
    """

    parts: Mapping[str, tuple[str, ...]]
    cam_layer: str | None = None
    input_px: int | None = None

    @property
    @abstractmethod
    def head(self) -> tuple[str, ...]:
        """Prefixes of the names of the parameters that ``classifier.trainable: head`` trains."""

    @abstractmethod
    def fresh(self, seed: int) -> Self:
        """Build the same architecture with random weights that are drawn from ``seed`` alone."""

    def stepwise(self) -> nn.Module:
        """Return the same computation with every non-linearity as a module, so that hooks can be set on each.

        The layers are this network's own, under their own names; copy them before anything is set on them. Networks
        that apply non-linearities as functions override this.
        """
        return self
