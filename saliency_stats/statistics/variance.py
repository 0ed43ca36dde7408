"""How alike the patches of one unit are: intraclass correlation, design effect, effective sample size."""

from dataclasses import dataclass

import numpy as np

from saliency_stats.typing import Float64Array, IndexArray


@dataclass(frozen=True)
class Clustering:
    """Variance components of patches in units.

    ``icc`` is the share of the variance that lies between units (NaN where it cannot be estimated), ``n0``
    the size of unit that counts in the unbalanced design, ``design_effect`` the factor by which clustering
    inflates the variance of a mean over patches, ``n_effective`` the number of independent patches worth as
    much.
    """

    icc: float
    n0: float
    design_effect: float
    n_effective: float


def clustering(values: Float64Array, units: IndexArray) -> Clustering:
    """Estimate the clustering of values by the one-way random-effects analysis of variance.

    ``values`` (n,) are finite, ``units`` (n,) the unit of each patch, as codes ``0 … k-1`` that all occur.

    Returns
    -------
    Clustering
        The estimate of the intraclass correlation is truncated at 0. With one unit, or without any spread, it
        is NaN; with one patch in every unit it is NaN and the design effect is 1.

    Notes
    -----
    ``ICC = (MSB - MSW) / (MSB + (n0 - 1) MSW)`` with ``n0 = (N - sum(n_i^2) / N) / (k - 1)``: Donner (1986),
    *International Statistical Review* 54, 67-82, section 2. Design effect ``1 + (n0 - 1) ICC``: Kish (1965),
    *Survey Sampling*, with ``n0`` as the unit's size.
    """
    sizes = np.bincount(units).astype(np.float64)
    n, k = values.size, sizes.size
    nan = float("nan")
    if k < 2:  # noqa: PLR2004 - nothing lies between the units when there is one
        return Clustering(nan, nan, nan, nan)
    means = np.bincount(units, weights=values) / sizes
    within = np.bincount(units, weights=(values - means[units]) ** 2)
    # Sums run over units in an order given by their numbers, so that renaming slides changes no bit.
    order = np.lexsort((within, sizes, means))
    sizes, means, within = sizes[order], means[order], within[order]
    n0 = float((n - np.sum(sizes**2) / n) / (k - 1))
    if n == k:
        return Clustering(nan, n0, 1.0, float(n))
    grand = float(np.sum(sizes * means) / n)
    ms_between = float(np.sum(sizes * (means - grand) ** 2) / (k - 1))
    ms_within = float(np.sum(within) / (n - k))
    total = ms_between + (n0 - 1) * ms_within
    if total <= 0:
        return Clustering(nan, n0, nan, nan)
    icc = max(0.0, (ms_between - ms_within) / total)
    design_effect = 1 + (n0 - 1) * icc
    return Clustering(icc, n0, design_effect, n / design_effect)
