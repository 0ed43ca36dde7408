"""Exact averages over rectangles that need not begin or end with a pixel."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from saliency_stats.typing import Float32Array

#: A millionth of a pixel: rounding, not a position.
ROUNDING_PX = 1e-6


def area_average(
    pixels: NDArray[np.generic], start: tuple[float, float], step: tuple[float, float], shape: tuple[int, int]
) -> Float32Array:
    """Average an image over a grid of rectangles.

    A pixel is constant over its own square, so the mean over a rectangle is the sum of its pixels, weighted by the
    share of the rectangle that each of them covers. (Pillow's box filter gives a pixel to the rectangle that holds
    its centre, with full weight or none; that is the same for whole numbers only.)

    Parameters
    ----------
    pixels
        (H, W, …); pixel (r, c) covers r to r + 1 and c to c + 1.
    start
        (y, x) upper left corner of the grid, in pixels.
    step
        (height, width) of a rectangle in pixels. Below 1 a pixel is spread over several, and nothing is added.
    shape
        Rows and columns of the grid, which lies within the pixels.
    """
    for axis in (0, 1):
        pixels = _average_axis(pixels, axis, start[axis], step[axis], shape[axis])
    return pixels.astype(np.float32, copy=False)


def _average_axis(pixels: NDArray[np.generic], axis: int, start: float, step: float, n: int) -> NDArray[np.generic]:
    lines = np.moveaxis(pixels, axis, 0)
    if abs(step - 1) * n < ROUNDING_PX and abs(start - round(start)) < ROUNDING_PX:
        return np.moveaxis(lines[round(start) : round(start) + n], 0, axis)
    lower = start + step * np.arange(n)
    column = np.floor(lower).astype(np.intp)[:, None] + np.arange(math.ceil(step) + 1)
    covered = np.minimum(column + 1, (lower + step)[:, None]) - np.maximum(column, lower[:, None])
    share = (np.maximum(covered, 0) / step).astype(np.float32)
    # rounding may reach past the last pixel, never by a share that counts
    column = np.clip(column, 0, len(lines) - 1)
    row = np.broadcast_to(np.arange(n)[:, None], column.shape)
    weights = csr_array((share.ravel(), (row.ravel(), column.ravel())), (n, len(lines)))
    mean = weights @ lines.reshape(len(lines), -1).astype(np.float32)
    return np.moveaxis(mean.reshape(n, *lines.shape[1:]), 0, axis)
