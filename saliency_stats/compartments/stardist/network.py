"""StarDist's 2D network in torch: a U-Net that gives an object probability and star-convex distances per grid point.

Schmidt et al. (2018), "Cell Detection with Star-Convex Polygons", MICCAI. Layers, names and padding are those of
the ``StarDist2D`` of the stardist package, so that its published weights give its predictions.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from saliency_stats.compartments.stardist.config import StarDistConfig

#: Keras' default for BatchNormalization.
_BATCH_NORM_EPSILON: Final = 1e-3
_LAYERS: Final[dict[str, Callable[[], nn.Module]]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "linear": nn.Identity,
}


class _Convolution(nn.Module):
    """Convolution of the same size, normalised where the model has it, then the activation."""

    def __init__(self, inputs: int, outputs: int, config: StarDistConfig, activation: str, *, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, config.unet_kernel_size, padding="same")
        self.norm = nn.BatchNorm2d(outputs, eps=_BATCH_NORM_EPSILON, momentum=0.01) if norm else nn.Identity()
        self.activation = _LAYERS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.activation(self.norm(self.conv(x)))
        return result


class StarDistNetwork(nn.Module):
    """The network; ``steps`` holds its convolutions in order under stardist's layer names."""

    def __init__(self, config: StarDistConfig) -> None:
        super().__init__()
        self.config = config
        steps, width = _unet_steps(config)
        self.steps = nn.ModuleDict(steps)
        features = config.net_conv_after_unet
        if features:
            self.features = _Convolution(width, features, config, config.unet_activation, norm=False)
        self.prob = nn.Conv2d(features or width, 1, 1)
        self.dist = nn.Conv2d(features or width, config.n_rays, 1)
        # images come with their channels last; weights in another order would be turned at every call
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Predict on the grid.

        Parameters
        ----------
        images
            (N, C, H, W) normalised intensities; H and W multiples of ``config.divisor``.

        Returns
        -------
        logits
            (N, H / gy, W / gx), of which the sigmoid is the object probability.
        distances
            (N, rays, H / gy, W / gx) in pixels of the image.
        """
        config = self.config
        x, pooled = images, (1, 1)
        for stage in self._named("pooled"):
            for step in stage:
                x = step(x)
            pool = tuple(2 if g > p else 1 for g, p in zip(config.grid, pooled, strict=True))
            pooled = (pooled[0] * pool[0], pooled[1] * pool[1])
            x = functional.max_pool2d(x, pool)
        skipped = []
        for stage in self._named("down"):
            for step in stage:
                x = step(x)
            skipped.append(x)
            x = functional.max_pool2d(x, config.unet_pool)
        for step in self._named("middle")[0]:
            x = step(x)
        for stage in self._named("up"):
            x = functional.interpolate(x, scale_factor=tuple(float(p) for p in config.unet_pool), mode="nearest")
            x = torch.cat([x, skipped.pop()], dim=1)
            for step in stage:
                x = step(x)
        if config.net_conv_after_unet:
            x = self.features(x)
        return self.prob(x)[:, 0], self.dist(x)

    def _named(self, part: str) -> list[list[nn.Module]]:
        """Convolutions of a part of the network, level by level in order of execution."""
        levels: dict[str, list[nn.Module]] = {}
        for name, step in self.steps.items():
            kind, level, _ = name.split("-")
            if kind == part:
                levels.setdefault(level, []).append(step)
        return list(levels.values())


def _unet_steps(config: StarDistConfig) -> tuple["OrderedDict[str, nn.Module]", int]:
    """Convolutions in order of execution, named part-level-number, and the channels of the last one."""
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    width, each = config.n_channel_in, config.unet_n_conv_per_depth

    def add(name: str, filters: int, activation: str, *, norm: bool, extra: int = 0) -> None:
        nonlocal width
        steps[name] = _Convolution(width + extra, filters, config, activation, norm=norm)
        width = filters

    def filters(level: int) -> int:
        return int(config.unet_n_filter_base * config.unet_expansion**level)

    activation, norm = config.unet_activation, config.unet_batch_norm
    for level in range(max(config.grid).bit_length() - 1):
        for i in range(each):
            add(f"pooled-{level}-{i}", config.unet_n_filter_base, activation, norm=False)
    depth = config.unet_n_depth
    for level in range(depth):
        for i in range(each):
            add(f"down-{level}-{i}", filters(level), activation, norm=norm)
    for i in range(each - 1):
        add(f"middle-0-{i}", filters(depth), activation, norm=norm)
    add(f"middle-0-{each}", filters(depth - 1), activation, norm=norm)
    for level in reversed(range(depth)):
        skip = filters(level)
        for i in range(each - 1):
            add(f"up-{level}-{i}", filters(level), activation, norm=norm, extra=skip if i == 0 else 0)
        last = activation if level > 0 else config.unet_last_activation
        add(f"up-{level}-{each}", filters(max(0, level - 1)), last, norm=norm, extra=skip if each == 1 else 0)
    return steps, width


def count_weights(config: StarDistConfig) -> int:
    """Count the weights of a network without making it."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in StarDistNetwork(config).parameters())
