"""Where in a layer's output the places of the image are: channels first, channels last, or a row of tokens."""

import math
from collections.abc import Collection
from typing import Any, Final, Literal, NamedTuple

import torch
from torch import Tensor

#: Tokens beside those of the image: a class token, and registers (Darcet et al. 2024 use 4).
_MOST_OTHERS: Final = 16


class Grid(NamedTuple):
    """How an output is read as an image.

    Parameters
    ----------
    layout
        ``first``: (N, C, h, w); ``last``: (N, h, w, C); ``tokens``: (N, others + h · w, C).
    shape
        (h, w).
    others
        Tokens before those of the image.
    """

    layout: Literal["first", "last", "tokens"]
    shape: tuple[int, int]
    others: int = 0

    def image(self, values: Tensor) -> Tensor:
        """Bring an output, or its gradient, into the order (N, C, h, w)."""
        if self.layout == "first":
            return values
        if self.layout == "last":
            return values.permute(0, 3, 1, 2)
        tokens = values[:, self.others :]
        return tokens.reshape(len(tokens), *self.shape, -1).permute(0, 3, 1, 2)


def grid_of(output: Any, images: Tensor, seen: Collection[tuple[int, int]] = ()) -> Grid | None:
    """Find the grid of the image in a layer's output; None where there is none.

    Parameters
    ----------
    output
        What the layer returned.
    images
        What the network was given, (N, 3, H, W): a grid has its proportions.
    seen
        Sizes of images that other layers returned: with these a row of tokens tells its class token and registers
        apart.
        Without, a row of tokens has a class token or none.
    """
    if not isinstance(output, Tensor) or output.shape[:1] != images.shape[:1]:
        return None
    if output.dim() == 4:  # noqa: PLR2004  (an image, or how much each token attends to each)
        if _is_attention(output):
            return None
        first, last = tuple(output.shape[2:]), tuple(output.shape[1:3])
        # exact proportions tell channels from places; a stride that does not divide the side leaves a cell more or less
        for slack in (0.01, 1.01):
            if _fits(first, images, slack):
                return Grid("first", (first[0], first[1]))
            if _fits(last, images, slack):
                return Grid("last", (last[0], last[1]))
        return None
    return _tokens(int(output.shape[1]), images, seen) if output.dim() == 3 else None  # noqa: PLR2004


def _is_attention(output: Tensor) -> bool:
    """Tell whether an output (N, heads, tokens, tokens) holds weights of attention: each row is shares of 1."""
    if output.shape[2] != output.shape[3] or bool((output < 0).any()):
        return False
    sums = output.sum(dim=3)
    return torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def _tokens(n: int, images: Tensor, seen: Collection[tuple[int, int]]) -> Grid | None:
    fitting = [shape for shape in seen if 0 <= n - math.prod(shape) <= _MOST_OTHERS and _fits(shape, images)]
    if fitting:
        # the largest leaves the fewest tokens over
        shape = max(fitting)
        return Grid("tokens", shape, n - math.prod(shape))
    height, width = images.shape[-2:]
    for others in (0, 1):
        rows = round(math.sqrt((n - others) * height / width))
        if rows and (n - others) % rows == 0 and _fits((rows, (n - others) // rows), images, 0.01):
            return Grid("tokens", (rows, (n - others) // rows), others)
    return None


def _fits(shape: tuple[int, ...], images: Tensor, slack: float = 1.01) -> bool:
    """Tell whether a grid covers images of these proportions, but for so many cells."""
    height, width = images.shape[-2:]
    down, across = shape[0] / height, shape[1] / width
    off = max(abs(across * height - shape[0]), abs(down * width - shape[1]))
    return min(down, across) > 0 and max(down, across) <= 1 and off < slack
