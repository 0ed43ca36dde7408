"""The trained layers of the head, fed by activations that are computed once.

DenseNet's are the abstract's two, with a shortcut of their own; of other networks see
:mod:`~saliency_stats.classifier.frozen`. With everything else frozen (batch normalisation in evaluation mode), the
channels that enter the last dense
layer's concatenation, and the input of its second convolution, do not depend on the trained weights. The final
batch normalisation, ReLU and average pooling act per channel, so of those channels only the pooled values are
needed. Training on the two cached arrays gives the weights of end-to-end frozen training at the cost of one
forward pass through the backbone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from saliency_stats.classifier.densenet import PatchClassifier, layers_of
from saliency_stats.classifier.frozen import Split, Still, split
from saliency_stats.classifier.network import NetworkClassifier
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.samples import Batch, ImageSamples, equal_batches
from saliency_stats.typing import Int64Array


class Head(nn.Module):
    """Last convolution, its share of the final normalisation, pooling, and the two-class layer.

    The trained parameters are *the network's own* (``features.denseblock4.<last>.conv2`` and ``classifier``),
    so training the head trains the network.

    Parameters
    ----------
    model
        The network; every other parameter of it is frozen by :func:`freeze_all_but_head`.
    """

    def __init__(self, model: PatchClassifier) -> None:
        super().__init__()
        self.conv2: nn.Module = _last_layer(model).conv2
        self.classifier: nn.Module = model.backbone.classifier
        self.group = model.group
        norm: Any = model.backbone.features.norm5
        own = slice(norm.num_features - _last_layer(model).conv2.out_channels, None)
        self.eps = float(norm.eps)
        for name in ("running_mean", "running_var", "weight", "bias"):
            self.register_buffer(name, getattr(norm, name).detach()[own].clone(), persistent=False)

    running_mean: Tensor
    running_var: Tensor
    weight: Tensor
    bias: Tensor

    def forward(self, bottleneck: Tensor, pooled: Tensor) -> Tensor:
        """Classify what :func:`activations` gives, (N, 128, h, w) and (N, C), to logits (N, 2)."""
        new = self.conv2(bottleneck.to(self.weight.dtype))
        normalised = functional.batch_norm(
            new, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )
        own = functional.relu(normalised).mean(dim=(2, 3))
        logits: Tensor = self.group(self.classifier(torch.cat([pooled, own], dim=1)))
        return logits


def freeze_all_but_head(model: Classifier) -> None:
    """Leave only the network's head trainable."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(model.head)


@torch.no_grad()
def activations(model: PatchClassifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Compute what the head needs of images (N, 3, H, W) in [0, 1]; the model must be in evaluation mode.

    Returns
    -------
    tuple
        ``bottleneck`` (N, 128, H/32, W/32), the input of the last convolution, and ``pooled`` (N, C), the
        average-pooled, normalised and rectified channels that precede it.
    """
    features = model.backbone.features
    values = model.normalise(model.fit(images))
    for name, stage in features.named_children():
        if name == "denseblock4":
            break
        values = stage(values)
    collected = [values]
    layers = list(features.denseblock4.children())
    for layer in layers[:-1]:
        collected.append(layer(collected))
    before = torch.cat(collected, dim=1)
    last = layers[-1]
    bottleneck = last.relu2(last.norm2(last.conv1(last.relu1(last.norm1(before.clone())))))
    norm, n = features.norm5, before.shape[1]
    normalised = functional.batch_norm(
        before,
        norm.running_mean[:n],
        norm.running_var[:n],
        norm.weight[:n],
        norm.bias[:n],
        training=False,
        eps=norm.eps,
    )
    return bottleneck, functional.relu(normalised).mean(dim=(2, 3))


def split_of(model: NetworkClassifier, samples: ImageSamples) -> Split | None:
    """Split a network at its head; None where it can only be computed as a whole, image by image and epoch by epoch.

    Parameters
    ----------
    model
        In evaluation mode, with only its head trainable.
    samples
        One of them is tried.
    """
    if isinstance(model, PatchClassifier) and model.layers.head == layers_of(model.backbone).head:
        return Split(lambda images: activations(model, images), Head(model))
    ((images,), _) = next(samples.batches(1, None))
    return split(model, images)


def whole(model: NetworkClassifier) -> nn.Module:
    """Return a network whose head is trained end to end: in evaluation mode, as if its activations were cached."""
    return Still(model)


@dataclass
class CachedSamples:
    """Cached activations as training samples.

    Parameters
    ----------
    activations
        For each input of the head one array per patch, images (C, h, w) or vectors (C,); patches of one image shape
        share a block of memory.
    targets
        Class indices (N,).
    seed
        Root of the order of training epochs.
    """

    activations: tuple[list[NDArray[Any]], ...]
    targets: Int64Array
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        # patches whose activations have one shape go together
        images = next((values for values in self.activations if values[0].ndim > 1), None)
        self._shapes = [(0, 0) if images is None else images[at].shape[-2:] for at in range(len(self.targets))]

    def n_batches(self, size: int) -> int:
        """Count the batches of an epoch."""
        return len(equal_batches(self._shapes, size))

    def batches(self, size: int, epoch: int | None) -> Iterator[Batch]:
        """Yield ``(inputs of the head, targets)``."""
        rng = None if epoch is None else np.random.default_rng([self.seed, epoch])
        for members in equal_batches(self._shapes, size, rng):
            stacked = (np.stack([values[member] for member in members]) for values in self.activations)
            inputs = tuple(torch.from_numpy(values).to(self.device) for values in stacked)
            yield inputs, torch.from_numpy(self.targets[members]).to(self.device)


def cache(
    made: Split,
    samples: ImageSamples,
    batch_size: int,
    *,
    dtype: type[np.floating[Any]] = np.float16,
    tick: Callable[[int], object] = lambda _: None,
) -> CachedSamples:
    """Run what is frozen once over samples, without augmentation, and keep what the head needs.

    Parameters
    ----------
    made
        Of a network in evaluation mode.
    dtype
        Type in which images (a convolution's input) are kept: float16 takes 16 kB for a patch of 256 px of DenseNet and
        changes logits by about 1e-3; float32 is exact. Vectors, and what float16 cannot hold, are kept in float32.
    """
    found: list[tuple[NDArray[Any], ...]] = [()] * len(samples.targets)
    for members, ((images,), _) in zip(samples.members(batch_size), samples.batches(batch_size, None), strict=True):
        with torch.no_grad():
            arrays = [values.contiguous().cpu().numpy() for values in made.frozen(images)]
        for position, member in enumerate(members):
            found[member] = tuple(_kept(values[position], dtype) for values in arrays)
        tick(len(members))
    return CachedSamples(tuple(map(list, zip(*found, strict=True))), samples.targets, samples.seed, samples.device)


def _kept(values: NDArray[Any], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Copy one patch's activations in the type in which they are kept."""
    if values.ndim == 1:
        return values.astype(np.float32)
    with np.errstate(over="ignore"):
        small = values.astype(dtype)
    return small if np.isfinite(small).all() else values.astype(np.float32)


class Activations:
    """What a frozen backbone makes of patches, computed once for all networks that start from the same weights.

    Parameters
    ----------
    together
        Rows of the patch table that go through the backbone together: the batches, and so the last bits of the
        result, depend on nothing else.
    """

    def __init__(self, together: Sequence[pd.DataFrame]) -> None:
        self._waiting = [table for table in together if len(table)]
        self._known: dict[int, tuple[NDArray[Any], ...]] = {}

    @property
    def n_waiting(self) -> int:
        """How many patches have not gone through the backbone yet."""
        return sum(len(table) for table in self._waiting)

    def of(
        self,
        made: Split,
        samples: ImageSamples,
        batch_size: int,
        tick: Callable[[int], object] = lambda _: None,
    ) -> CachedSamples:
        """Return the activations of some of the patches, see :func:`cache`."""
        while self._waiting:
            table = self._waiting.pop(0)
            found = cache(made, replace(samples, table=table), batch_size, tick=tick)
            self._known |= dict(zip(table.index, zip(*found.activations, strict=True), strict=True))
        known = zip(*(self._known[row] for row in samples.table.index), strict=True)
        return CachedSamples(tuple(map(list, known)), samples.targets, samples.seed, samples.device)


def _last_layer(model: PatchClassifier) -> Any:
    return list(model.backbone.features.denseblock4.children())[-1]
