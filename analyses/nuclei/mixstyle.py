"""MixStyle: in training, images borrow each other's look (Zhou et al. 2021, ICLR, arXiv 2104.02008).

Mean and standard deviation of a channel over an image are its look: stain, thickness, scanner. Those of an image are
mixed with those of another one of the batch, in a part of the images, so that the network learns what does not depend
on them. Few slides teach few looks: two regions of BCSS are of one laboratory each.
"""

from typing import Any, Final

import torch
from torch import Tensor, nn

from saliency_stats.compartments.tissue.network import TissueNetwork

#: Both parameters of the beta distribution of how much is borrowed: mostly nearly nothing, or nearly all (the paper's
#: are 0.1 to 0.3).
_CONCENTRATION: Final = 0.3
#: Blocks of the encoder after which looks are mixed: its first two resolutions.
_AFTER: Final = (0, 2)
#: Channels of the pixels themselves, which the last layer of the decoder sees too.
_PIXELS: Final = 12
_LEAST_DEVIATION: Final = 1e-5


def mixed(x: Tensor, share: float) -> Tensor:
    """Mix the looks of a share of images (N, C, H, W)."""
    n = len(x)
    mean = x.mean(dim=(2, 3), keepdim=True).detach()
    deviation = x.std(dim=(2, 3), keepdim=True).detach() + _LEAST_DEVIATION
    other = torch.randperm(n)
    kept = torch.distributions.Beta(_CONCENTRATION, _CONCENTRATION).sample((n, 1, 1, 1))
    kept = torch.where(torch.rand(n, 1, 1, 1) < share, kept, 1.0)
    new_mean, new_deviation = (kept * own + (1 - kept) * own[other] for own in (mean, deviation))
    return (x - mean) / deviation * new_deviation + new_mean


def mix_looks(network: TissueNetwork, share: float) -> None:
    """Let a network mix the looks of a share of the images while it is trained; in evaluation it is as before."""

    def after(module: nn.Module, _: Any, x: Tensor) -> Tensor:
        return mixed(x, share) if module.training else x

    def before(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
        (x,) = inputs
        if not module.training:
            return None
        return (torch.cat([x[:, :-_PIXELS], mixed(x[:, -_PIXELS:], share)], dim=1),)

    for number in _AFTER:
        network.blocks[number].register_forward_hook(after)
    network.decoder[-1].register_forward_pre_hook(before)
