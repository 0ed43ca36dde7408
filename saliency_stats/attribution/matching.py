"""Matching: cytoplasm and nucleus compared only where the picture is alike (pure NumPy and pandas).

A map that follows the edges or the stain of the image prefers whichever compartment has more of them. Therefore the
pixels of both compartments are cut into bins of equal edge strength (or eosin, or whatever map of the image is given),
saliency is compared within bins, and the bins are averaged with the same weights in both compartments (direct
standardisation). The weight of a bin with n_c pixels of cytoplasm and n_n of nuclei is ``n_c n_n / (n_c + n_n)``, as in
Mantel & Haenszel 1959, JNCI 22:719: it goes by the smaller of the two, and would give the mean difference the least
variance if all pixels varied alike. The share of that precision that is left is the overlap.
"""

from collections.abc import Sequence
from itertools import product
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliency_stats.attribution.checked import Maps, Memberships
from saliency_stats.attribution.pair import missing, pairs, scaled, silent
from saliency_stats.errors import AttributionError
from saliency_stats.typing import BoolArray, Float64Array, FloatArray, IndexArray

#: Bins of the picture.
BINS: Final = 10
#: A bin with fewer pixels of one compartment is left out: all it has may be the soft border of the other one.
FEWEST_PIXELS: Final = 5.0
#: Below a third of the precision of an unmatched comparison there is no overlap: the few pixels that are alike do not
#: speak for the others, and where they lie in one bin they still differ. In 240 judged patches of the built-in study,
#: with true and with found nuclei, edges leave 0.75 to 0.99, eosin 0.28 to 0.99 (2 of 480 below), and haematoxylin,
#: which all but defines the nucleus, 0.06 to 0.42 (7 of 480 above; at a quarter 22 % of the found ones would be).
MIN_OVERLAP: Final = 1 / 3
_NAN: Final = float("nan")
_COLUMNS: Final = (
    *("patch", "map", "picture", "matched", "matched_of_picture", "share_compared", "overlap", "status"),
)


class _Seen(NamedTuple):
    """A map in the P pixels of both compartments, as a share of its largest value ``peak`` in the patch."""

    values: Float64Array
    peak: float


class _Standard(NamedTuple):
    """Weights of the pixels (2, P) under which both compartments hold the same share of each bin; zero if left out."""

    weights: Float64Array
    share_compared: float
    overlap: float


def matched(
    maps: Sequence[Maps],
    pictures: Sequence[Maps],
    memberships: npt.ArrayLike | Memberships,
    bins: int = BINS,
    min_area: float = 0.0,
) -> pd.DataFrame:
    """Compare the saliency of cytoplasm and nucleus at equal values of maps of the image.

    Parameters
    ----------
    maps
        M times (N, H, W), as from ``checked_saliency``.
    pictures
        Q times (N, H, W), likewise: maps of the image alone. Only the order of their values decides on the bins.
    memberships
        (N, K, H, W) in the order of ``COMPARTMENTS``; a pixel counts in both compartments by its memberships.
    bins
        Of equal content of both compartments together. Pixels of equal value are never divided.
    min_area
        A compartment with a smaller area share is missing, as in the ledger.

    Returns
    -------
    DataFrame
        One row per patch, map and picture:

        - ``patch``, ``map``, ``picture``: their places in what was given.
        - ``matched``: ``log2(sum_b w_b mean_c,b / sum_b w_b mean_n,b)`` of the map; NaN where undefined.
        - ``matched_of_picture``: the same of the picture itself: 0 but for differences within bins.
        - ``share_compared``: share of the pixels of both compartments that lie in bins with at least
          ``FEWEST_PIXELS`` of each.
        - ``overlap``: ``sum_b w_b / (N_c N_n / (N_c + N_n))``. 1 if both have the same share of their pixels in every
          bin, 0 if they never meet in one.
        - ``status``: ``"measured"``, or starts with ``"missing: "``, ``"no overlap: "`` or ``"no saliency: "`` and says
          why a value is NaN.

    Raises
    ------
    AttributionError
        If shapes disagree, memberships are impossible, or there is no bin.
    """
    if bins < 1:
        raise AttributionError(f"Matching needs at least 1 bin, found {bins}.")
    rows: list[tuple[object, ...]] = []
    each = list(product(range(len(maps)), range(len(pictures))))
    for patch, (weights, areas) in enumerate(pairs([*maps, *pictures], memberships)):
        if reason := missing(areas, min_area):
            rows += [(patch, *places, *[_NAN] * 4, reason) for places in each]
            continue
        inside = np.asarray(weights.any(axis=0))
        pair = weights[:, inside]
        seen, behind = ([_seen(one.raw[patch], inside) for one in given] for given in (maps, pictures))
        standards = [_standard(picture.values, pair, bins) for picture in behind]
        pictured = [_contrast(*one, "picture") for one in zip(behind, standards, strict=True)]
        for which, at in each:
            value, unmeasured = _contrast(seen[which], standards[at], "map")
            of_picture, unseen = pictured[at]
            status = unmeasured or unseen or "measured"
            rows.append((patch, which, at, value, of_picture, *standards[at][1:], status))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _seen(saliency: FloatArray, inside: BoolArray) -> _Seen:
    values, peak = scaled(saliency)
    return _Seen(values[inside], peak)


def _standard(picture: Float64Array, weights: Float64Array, bins: int) -> _Standard:
    """Weigh the P pixels of both compartments (2, P) so that both have the same share of every bin of the picture."""
    which = _bins(picture, weights.sum(axis=0), bins)
    pixels = np.stack([np.bincount(which, one, bins) for one in weights])
    kept = (pixels >= FEWEST_PIXELS).all(axis=0)
    harmonic = pixels[0, kept] * pixels[1, kept] / pixels[:, kept].sum(axis=0)
    scale = np.zeros_like(pixels)
    scale[:, kept] = harmonic / pixels[:, kept]
    whole = pixels.sum(axis=1)
    return _Standard(
        weights * scale[:, which],
        float(pixels[:, kept].sum() / whole.sum()),
        float(harmonic.sum() * whole.sum() / whole.prod()),
    )


def _bins(picture: Float64Array, weight: Float64Array, bins: int) -> IndexArray:
    """Find the bin of every pixel: the one in which the middle of the pixels of its value lies, by weight."""
    order = np.argsort(picture, kind="stable")
    ordered, cumulative = picture[order], np.cumsum(weight[order])
    last = np.append(ordered[1:] != ordered[:-1], True)
    upper = cumulative[last]
    lower = np.append(0.0, upper[:-1])
    found = np.minimum((bins * (lower + upper) / (2 * upper[-1])).astype(np.intp), bins - 1)
    which = np.empty_like(order)
    which[order] = np.repeat(found, np.diff(np.flatnonzero(last), prepend=-1))
    return which


def _contrast(seen: _Seen, under: _Standard, what: str) -> tuple[float, str]:
    """Give the log2 ratio of the standardised means of a map; or NaN, and why."""
    if under.overlap < MIN_OVERLAP:
        return _NAN, f"no overlap: {under.overlap:.2g} of the precision is left, at least {MIN_OVERLAP:.2g} counts"
    means = np.einsum("kp,p->k", under.weights, seen.values)
    if reason := silent(means, seen.peak, what):
        return _NAN, reason
    return float(np.log2(means[0] / means[1])), ""
