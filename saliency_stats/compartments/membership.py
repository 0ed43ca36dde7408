"""Memberships: how much of every pixel belongs to each compartment (pure NumPy)."""

from typing import Final

import numpy as np
import numpy.typing as npt

from saliency_stats.errors import CompartmentError
from saliency_stats.typing import Float32Array, Float64Array, UInt8Array
from saliency_stats.vocabulary import COMPARTMENT_CODES, COMPARTMENTS

_CODES: Final = np.array([COMPARTMENT_CODES[name] for name in COMPARTMENTS], dtype=np.uint8)


def from_codes(codes: npt.ArrayLike) -> Float32Array:
    """Memberships (K, H, W), float32 zeros and ones, of a hard map (H, W) with the values of ``COMPARTMENT_CODES``.

    Raises
    ------
    CompartmentError
        If the map is not two-dimensional or holds another code.
    """
    array = np.asarray(codes)
    if array.ndim != 2:  # noqa: PLR2004 - (H, W)
        raise CompartmentError(f"A compartment map has the shape (H, W), found {array.shape}.")
    unknown = np.setdiff1d(array, _CODES)
    if len(unknown):
        raise CompartmentError(
            f"A compartment map holds the codes {unknown[:5].tolist()}, expected only {COMPARTMENT_CODES}."
        )
    return np.asarray(array[None] == _CODES[:, None, None], dtype=np.float32)


def to_codes(memberships: npt.ArrayLike) -> UInt8Array:
    """Hard map (H, W), uint8, of the largest of (K, H, W); a tie goes to the one named first in ``COMPARTMENTS``.

    Raises
    ------
    CompartmentError
        If the shape is not (K, H, W).
    """
    return np.asarray(_CODES[np.argmax(_checked(memberships), axis=0)])


def downsample(memberships: npt.ArrayLike, factor: int) -> Float64Array:
    """Mean (float64) of (K, H, W) over blocks of ``factor`` x ``factor`` pixels: every compartment keeps its area.

    Raises
    ------
    CompartmentError
        If the shape is not (K, H, W) or the factor does not divide it.
    """
    array = _checked(memberships)
    _, h, w = array.shape
    if factor < 1 or h % factor or w % factor:
        raise CompartmentError(
            f"Memberships of {h} x {w} pixels cannot be averaged over blocks of {factor}: "
            "crop the image to a multiple of the factor."
        )
    return block_means(array, factor)


def block_means(maps: npt.NDArray[np.generic], factor: int) -> Float64Array:
    """Mean (float64) of maps (N, H, W) over blocks of ``factor`` x ``factor`` pixels."""
    n, h, w = maps.shape
    total = np.zeros((n, h // factor, w // factor))
    # whole planes at a time: ten times as fast as a mean over small axes, and the sums are exact
    for y, x in np.ndindex(factor, factor):
        total += maps[:, y::factor, x::factor]
    return total / factor**2


def _checked(memberships: npt.ArrayLike) -> npt.NDArray[np.generic]:
    array = np.asarray(memberships)
    if array.ndim != 3 or len(array) != len(COMPARTMENTS):  # noqa: PLR2004 - (K, H, W)
        raise CompartmentError(
            f"Memberships have the shape (K, H, W) with K = {len(COMPARTMENTS)} {COMPARTMENTS}, found {array.shape}."
        )
    return array
