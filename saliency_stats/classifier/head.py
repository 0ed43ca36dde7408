"""The abstract's two trained layers, fed by activations that are computed once.

With everything else frozen (batch normalisation in evaluation mode), the channels that enter the last dense
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

from saliency_stats.classifier.densenet import PatchClassifier
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.samples import Batch, ImageSamples, equal_batches
from saliency_stats.typing import Float32Array, Int64Array


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
        logits: Tensor = self.classifier(torch.cat([pooled, own], dim=1))
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
    values = model.normalise(images)
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


@dataclass
class CachedSamples:
    """Cached activations as training samples.

    Parameters
    ----------
    bottleneck
        One array (128, h, w) per patch; patches of one image shape share a block of memory.
    pooled
        (N, C) float32.
    targets
        Class indices (N,).
    seed
        Root of the order of training epochs.
    """

    bottleneck: list[NDArray[Any]]
    pooled: Float32Array
    targets: Int64Array
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        self._shapes = [(values.shape[1], values.shape[2]) for values in self.bottleneck]

    def n_batches(self, size: int) -> int:
        """Count the batches of an epoch."""
        return len(equal_batches(self._shapes, size))

    def batches(self, size: int, epoch: int | None) -> Iterator[Batch]:
        """Yield ``((bottleneck, pooled), targets)``."""
        rng = None if epoch is None else np.random.default_rng([self.seed, epoch])
        for members in equal_batches(self._shapes, size, rng):
            stacked = np.stack([self.bottleneck[member] for member in members])
            inputs = (torch.from_numpy(stacked).to(self.device), torch.from_numpy(self.pooled[members]).to(self.device))
            yield inputs, torch.from_numpy(self.targets[members]).to(self.device)


def cache(
    model: PatchClassifier,
    samples: ImageSamples,
    batch_size: int,
    *,
    dtype: type[np.floating[Any]] = np.float16,
    tick: Callable[[int], object] = lambda _: None,
) -> CachedSamples:
    """Run the backbone once over samples, without augmentation, and keep what the head needs.

    Parameters
    ----------
    dtype
        Type in which the last convolution's input is kept: float16 takes 16 kB for a patch of 256 px and
        changes logits by about 1e-3; float32 is exact.
    """
    model.eval()
    bottleneck: list[NDArray[Any]] = [np.empty(0)] * len(samples.targets)
    pooled: list[Float32Array] = [np.empty(0, np.float32)] * len(samples.targets)
    for members, ((images,), _) in zip(samples.members(batch_size), samples.batches(batch_size, None), strict=True):
        last, before = activations(model, images)
        for position, member in enumerate(members):
            bottleneck[member] = last[position].contiguous().cpu().numpy().astype(dtype)
            pooled[member] = before[position].cpu().numpy()
        tick(len(members))
    return CachedSamples(bottleneck, np.stack(pooled), samples.targets, samples.seed, samples.device)


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
        self._known: dict[int, tuple[NDArray[Any], Float32Array]] = {}

    @property
    def n_waiting(self) -> int:
        """How many patches have not gone through the backbone yet."""
        return sum(len(table) for table in self._waiting)

    def of(
        self,
        model: PatchClassifier,
        samples: ImageSamples,
        batch_size: int,
        tick: Callable[[int], object] = lambda _: None,
    ) -> CachedSamples:
        """Return the activations of some of the patches, see :func:`cache`."""
        while self._waiting:
            table = self._waiting.pop(0)
            found = cache(model, replace(samples, table=table), batch_size, tick=tick)
            self._known |= dict(zip(table.index, zip(found.bottleneck, found.pooled, strict=True), strict=True))
        known = [self._known[row] for row in samples.table.index]
        pooled = np.stack([pooled for _, pooled in known])
        return CachedSamples([last for last, _ in known], pooled, samples.targets, samples.seed, samples.device)


def _last_layer(model: PatchClassifier) -> Any:
    return list(model.backbone.features.denseblock4.children())[-1]
