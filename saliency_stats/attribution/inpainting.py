"""Inpainting of a compartment from itself: a ring inside each of its pieces, continued (pure NumPy and SciPy)."""

from typing import Final

import numpy as np
from scipy import sparse
from scipy.ndimage import distance_transform_edt
from scipy.sparse.linalg import splu

from saliency_stats.typing import BoolArray, Float64Array, Int64Array

#: How far from the border of its piece a ring lies: nearer, the camera mixes the compartment with what is beside it.
DEPTH_UM: Final = 1.0
#: A pixel belongs to the compartment if it is at least half it.
_HALF: Final = 0.5
#: How much the mean colour pulls each pixel, beside the pull of 1 of each neighbour: decides where there is no ring.
_FAR: Final = 1e-8


def inpainted(pixels: Float64Array, weight: Float64Array, mean: Float64Array, mpp: float) -> Float64Array:
    """Fill a compartment from the tissue of the same compartment that surrounds each pixel.

    In each of its pieces a ring, one pixel wide and 1 µm below the border, stays as it is; everything inside of it and
    outside of it, up to the border, is filled from the ring. The fill is harmonic: every pixel is the mean of its
    neighbours in the compartment, as in the noise-free part of ROAD's imputation (Rong et al. 2022, *ICML*, section
    4.2), so that it is smooth and lies within the colours of the rings. What is beside the compartment has no part in
    it. A piece without a ring, too thin or a single pixel, gets the compartment's mean colour; a compartment without a
    border, all of the patch, too.

    Biharmonic inpainting (scikit-image) goes beyond the colours of what it starts from, and takes more than twice as
    long.

    Parameters
    ----------
    pixels, weight
        (H, W, 3) and (H, W), in [0, 1].
    mean
        (3,), mean colour of the compartment.
    mpp
        µm per pixel.

    Returns
    -------
    ndarray
        (H, W, 3), outside of the compartment the pixels themselves.
    """
    member = weight >= _HALF
    filled = pixels.copy()
    if member.any():
        # the patch's edge is no border: the compartment goes on beyond it
        depth = np.full(member.shape, np.inf) if member.all() else distance_transform_edt(member)
        border = max(1.0, DEPTH_UM / mpp)
        unknown = member & ~((depth > border) & (depth <= border + 1))
        filled[unknown] = _harmonic(pixels, unknown, member, mean)
    return filled


def _harmonic(pixels: Float64Array, unknown: BoolArray, member: BoolArray, mean: Float64Array) -> Float64Array:
    """Solve Laplace's equation with five points for the unknown pixels, (n, 3); other members are given."""
    n = int(unknown.sum())
    number = np.full(unknown.shape, -1)
    number[unknown] = np.arange(n)
    degree, given = np.full(n, _FAR), np.tile(_FAR * mean, (n, 1))
    links: list[tuple[Int64Array, Int64Array]] = []
    for axis in (0, 1):
        ends = (slice(None, -1), slice(1, None))
        for here, there in (ends, ends[::-1]):
            at, beside = ((*[slice(None)] * axis, end) for end in (here, there))
            pair = unknown[at] & member[beside]
            own = number[at][pair]
            degree += np.bincount(own, minlength=n)
            solved = unknown[beside][pair]
            links.append((own[solved], number[beside][pair][solved]))
            np.add.at(given, own[~solved], pixels[beside][pair][~solved])
    rows, columns = (np.concatenate(part) for part in zip(*links, strict=True))
    system = sparse.diags_array(degree) - sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    return np.asarray(splu(system.tocsc()).solve(given))
