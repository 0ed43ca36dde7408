"""EfficientNet-Lite 0, 1 and 2, whose ImageNet weights ``saliency-stats fetch imagenet-lite`` loads.

EfficientNet without squeeze-and-excitation and with ReLU6 (Tan & Le 2019; TensorFlow's EfficientNet-Lite, 2020), so
that torchvision, which has no Lite, and timm, which is an extra, are not needed for it. Its tensors are called as those
of timm's ``tf_efficientnet_lite0``, ``1`` and ``2``: a file of weights fits both. Convolutions are padded as TensorFlow
pads ("SAME"), with which the weights were trained: a stride of 2 pads more below and to the right than above.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from saliency_stats.compartments.tissue.network import SameConv2d


@dataclass(frozen=True)
class Scale:
    """How a Lite differs from Lite0.

    Parameters
    ----------
    width, depth
        Factors of channels and of repeats.
    size_px
        Side of the images of ImageNet that it was trained with.
    dropout
        Of the features before the class layer.
    """

    width: float
    depth: float
    size_px: int
    dropout: float


SCALES: Final = {
    "efficientnet_lite0": Scale(1.0, 1.0, 224, 0.2),
    "efficientnet_lite1": Scale(1.0, 1.1, 240, 0.2),
    "efficientnet_lite2": Scale(1.1, 1.2, 260, 0.3),
}
#: Channel means and standard deviations that the weights expect.
MEAN: Final = (0.5, 0.5, 0.5)
STD: Final = (0.5, 0.5, 0.5)
#: Stages of Lite0: repeats, side of the kernel, stride of the first block, expansion, channels.
_STAGES: Final = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _FEATURES = 32, 1280
#: TensorFlow's: of batch normalisation.
_EPS, _MOMENTUM = 1e-3, 0.01


class Block(nn.Module):
    """An inverted residual: expand (but for an expansion of 1), convolve each channel, project; added where it fits."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        layers: list[tuple[str, nn.Module]] = []
        if expansion > 1:
            layers += [("conv_pw", _pointwise(channels, inner)), ("bn1", _norm(inner)), ("act1", nn.ReLU6())]
        # numbered as timm does, from the first that a block has
        at, last = len(layers) // 3 + 1, "conv_pwl" if expansion > 1 else "conv_pw"
        depthwise = SameConv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        layers += [("conv_dw", depthwise), (f"bn{at}", _norm(inner)), (f"act{at}", nn.ReLU6())]
        layers += [(last, _pointwise(inner, out)), (f"bn{at + 1}", _norm(out))]
        for name, layer in layers:
            self.add_module(name, layer)
        self.residual = stride == 1 and channels == out

    def forward(self, images: Tensor) -> Tensor:
        """Transform (N, C, H, W)."""
        values = images
        for layer in self.children():
            values = layer(values)
        return values + images if self.residual else values


class EfficientNetLite(nn.Module):
    """The network: normalised images (N, 3, H, W) of any size to logits.

    Parameters
    ----------
    scale
        Of :data:`SCALES`.
    num_classes
        Outputs.
    """

    def __init__(self, scale: Scale, num_classes: int) -> None:
        super().__init__()
        self.conv_stem = SameConv2d(3, _STEM, 3, 2, bias=False)
        self.bn1, self.act1 = _norm(_STEM), nn.ReLU6()
        stages, channels = [], _STEM
        for n, (_, kernel, stride, expansion, out) in zip(_repeats(scale), _STAGES, strict=True):
            width = _rounded(out * scale.width)
            blocks = [
                Block(channels if not k else width, width, kernel, stride if not k else 1, expansion) for k in range(n)
            ]
            stages.append(nn.Sequential(*blocks))
            channels = width
        self.blocks = nn.Sequential(*stages)
        self.conv_head = _pointwise(channels, _FEATURES)
        self.bn2, self.act2 = _norm(_FEATURES), nn.ReLU6()
        self.pool = nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1)))
        self.dropout = nn.Dropout(scale.dropout)
        self.classifier = nn.Linear(_FEATURES, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # every output of a convolution starts with the variance of its input's ReLU (He et al. 2015, eq. 14)
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, images: Tensor) -> Tensor:
        """Classify images (N, 3, H, W)."""
        values = self.act1(self.bn1(self.conv_stem(images)))
        values = self.act2(self.bn2(self.conv_head(self.blocks(values))))
        logits: Tensor = self.classifier(self.dropout(self.pool(values)))
        return logits


def _repeats(scale: Scale) -> list[int]:
    """Count the blocks of each stage; the Lites keep those of the first and the last one."""
    return [
        repeats if at in {0, len(_STAGES) - 1} else math.ceil(repeats * scale.depth)
        for at, (repeats, *_) in enumerate(_STAGES)
    ]


def _pointwise(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 1, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPS, momentum=_MOMENTUM)


def _rounded(channels: float) -> int:
    """Round to a multiple of 8, never down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def timm_keys(names: list[str]) -> dict[str, str]:
    """Translate the names in the published files (``_blocks.3._project_conv.weight``) to timm's.

    Parameters
    ----------
    names
        Of all tensors of a file.

    Returns
    -------
    dict
        Name in the file: name in the network.
    """
    numbers = sorted({int(name.split(".")[1]) for name in names if name.startswith("_blocks.")})
    expanded = {number for number in numbers if f"_blocks.{number}._expand_conv.weight" in names}
    places = _places(len(numbers))
    found = {}
    for name in names:
        layer, _, tensor = name.removeprefix("_").rpartition(".")
        if layer.startswith("blocks."):
            number = int(layer.split(".")[1])
            inside = _IN_EXPANDED if number in expanded else _IN_FIRST
            layer = f"blocks.{places[number]}.{inside[layer.split('.')[2]]}"
        else:
            layer = _OUTSIDE[layer]
        found[name] = f"{layer}.{tensor}"
    return found


_OUTSIDE: Final = {"conv_stem": "conv_stem", "bn0": "bn1", "conv_head": "conv_head", "bn1": "bn2", "fc": "classifier"}
_IN_EXPANDED: Final = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_IN_FIRST: Final = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def _places(n_blocks: int) -> list[str]:
    """Say in which stage each block of the Lite with so many blocks is: "3.0"."""
    for scale in SCALES.values():
        stages = _repeats(scale)
        if sum(stages) == n_blocks:
            return [f"{stage}.{k}" for stage, repeats in enumerate(stages) for k in range(repeats)]
    raise KeyError(n_blocks)
