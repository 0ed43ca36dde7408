"""How many of the units count: a precision-weighted mean beside the plain one, and the effective number of each.

Pure NumPy.
"""

from typing import Final, NamedTuple

import numpy as np

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.components import level_variances
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.parameters import MIN_UNITS
from saliency_stats.statistics.units import Units
from saliency_stats.typing import Float64Array


class WeightedMean(NamedTuple):
    """A mean that weighs each unit by its precision.

    ``effective_number`` of units carry it, ``effective_number_unweighted`` the mean in which all units count alike.
    """

    estimate: float
    effective_number: float
    effective_number_unweighted: float


_UNKNOWN: Final = WeightedMean(NAN, NAN, NAN)


def weighted_mean(units: Units) -> WeightedMean:
    """Weigh the means of units by their precision, and count how many units carry this mean and the plain one.

    In the plain mean a slide with two patches counts as much as one with two hundred, and so does its noise.

    Returns
    -------
    WeightedMean
        The weights are ``w = 1 / v``, ``v`` the variance of a unit's mean: that between units, and, averaged over its
        slides, that between slides of a unit and of the patches in each, ``within / n``, by REML. For slides the
        estimate is that of the random-intercept model. ``effective_number`` is ``sum(w)^2 / sum(w^2)`` (Kish 1965,
        *Survey Sampling*, section 11.7), ``effective_number_unweighted`` is ``sum(v)^2 / sum(v^2)``: Satterthwaite's
        (1946, *Biometrics Bulletin* 2, 110-114) for a sum of variances known from one unit each. Both are the number
        of units where all are equally precise, and fewer where some are not. NaN for differences of groups, of fewer
        than two units, and where patches do not vary within slides of unequal sizes.
    """
    sums = units.sums
    if sums is None or units.n < MIN_UNITS or units.others is not None or units.weights != (1.0,):
        return _UNKNOWN
    sizes, slide_means = sums.sizes, sums.means[:, -1]
    owners = np.arange(sizes.size) if units.owners is None else units.owners
    slides = np.bincount(owners).astype(np.float64)
    means = np.bincount(owners, weights=slide_means) / slides
    of_patches = np.bincount(owners, weights=1 / sizes) / slides**2
    if np.ptp(slides) == np.ptp(of_patches) == 0:  # whatever the variances
        return WeightedMean(float(means.mean()), float(means.size), float(means.size))
    try:
        between, between_slides, within = level_variances(sums, units.owners)
    except StatisticsError:  # says which: no spread within slides, or one patch in each
        return _UNKNOWN
    variances = between + between_slides / slides + within * of_patches
    weights = 1 / variances
    return WeightedMean(float(weights @ means / weights.sum()), _effective(weights), _effective(variances))


def _effective(parts: Float64Array) -> float:
    return float(parts.sum() ** 2 / np.sum(parts**2))
