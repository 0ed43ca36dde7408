"""A network with every non-linearity a module of its own: what methods need that hook into a network.

torchvision's DenseNet applies its ReLUs in place, which overwrites what a hook wants to see, and the last one as a
function, which a hook cannot see at all.
"""

import copy
from itertools import chain
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from saliency_stats.classifier.protocol import Classifier
from saliency_stats.errors import AttributionError


def unfolded(model: nn.Module) -> nn.Module:
    """Copy a network so that every ReLU is a module, and none works in place.

    The copy computes the same logits to the bit and keeps the names of the layers. It shares the weights, so it
    costs no memory and is made anew for each use rather than kept: it can never be out of date. Hooks that a
    method sets on it, or leaves behind when it fails, never touch the network itself.

    Parameters
    ----------
    model
        The network; a :class:`~saliency_stats.classifier.protocol.Classifier`, which knows its own steps, or any whose
        ReLUs are modules already.
    """
    twin = shared_copy(model)
    if isinstance(twin, Classifier):
        twin = twin.stepwise()
    for module in twin.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return twin


def shared_copy(model: nn.Module) -> nn.Module:
    """Copy a network, but for its weights, which the copy shares: hooks can be set on it and thrown away with it."""
    weights = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    # a deep copy takes what its memo holds as already copied: the tensors are shared
    return copy.deepcopy(model, cast("dict[int, object]", weights))


class PoolOfReLUs(nn.Module):
    """Max pooling written with ReLUs: max(a, b) = a + relu(b - a), first over rows, then over columns.

    The same numbers as :class:`torch.nn.MaxPool2d`, but for rounding. DeepLIFT's rescale rule then needs to know
    ReLUs alone, and its attributions sum to the difference of the logits also where windows overlap.

    Raises
    ------
    AttributionError
        For a pooling with dilation or ceil_mode.
    """

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        if pool.dilation not in {1, (1, 1)} or pool.ceil_mode:
            raise AttributionError(f"DeepLIFT knows no {pool}; expected max pooling without dilation and ceil_mode")
        self.kernel, self.stride, self.padding = (
            _pair(value) for value in (pool.kernel_size, pool.stride, pool.padding)
        )
        self.relus = nn.ModuleList(nn.ModuleList(nn.ReLU() for _ in range(size - 1)) for size in self.kernel)

    def forward(self, images: Tensor) -> Tensor:
        """Pool (N, C, H, W)."""
        rows, columns = self.padding
        # a repeated border pixel is in its window anyway, so that it never wins against what the window holds
        pooled = functional.pad(images, (columns, columns, rows, rows), mode="replicate")
        for dim, size, stride, relus in zip((2, 3), self.kernel, self.stride, self.relus, strict=True):
            count = (pooled.shape[dim] - size) // stride + 1
            first, *others = (_every(pooled, dim, start, stride, count) for start in range(size))
            for relu, other in zip(cast("nn.ModuleList", relus), others, strict=True):
                first = first + relu(other - first)
            pooled = first
        return pooled


def without_pooling(network: nn.Module) -> nn.Module:
    """Replace each max pooling inside an unfolded network, in place, by :class:`PoolOfReLUs`."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, PoolOfReLUs(child).eval())
    return network


def _every(values: Tensor, dim: int, start: int, stride: int, count: int) -> Tensor:
    return values[(slice(None),) * dim + (slice(start, start + stride * (count - 1) + 1, stride),)]


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
