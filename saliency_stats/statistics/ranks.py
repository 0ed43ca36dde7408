"""Spearman's rank correlation of many groups at once (pure NumPy and pandas)."""

from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.typing import Float64Array, IndexArray

#: Fewer pairs of values than this have hardly any order.
MIN_POINTS: Final = 4


def rank_correlations(codes: IndexArray, x: pd.Series, y: pd.Series) -> Float64Array:
    """Correlate the ranks of two values within each group (Spearman 1904, *Am. J. Psychol.* 15, 72-101).

    Parameters
    ----------
    codes : array of int, shape (n,)
        The group ``0 … k-1`` of each point.
    x, y : Series, shape (n,)
        The values, none of them missing.

    Returns
    -------
    ndarray
        (k,) correlations; NaN with fewer than :data:`MIN_POINTS` points, or where all are tied. The order of the points
        changes no bit.
    """
    n = np.bincount(codes)
    # mid-ranks are multiples of a half: these sums are exact
    a, b = (values.groupby(codes).rank().to_numpy() - (n[codes] + 1) / 2 for values in (x, y))
    sums = [np.bincount(codes, weights=product) for product in (a * b, a * a, b * b)]
    spread = np.sqrt(sums[1] * sums[2])
    known = (spread > 0) & (n >= MIN_POINTS)
    return np.asarray(np.divide(sums[0], spread, out=np.full(len(n), np.nan), where=known))
