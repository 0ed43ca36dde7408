"""How patch values vary between and within the slides of a run: what a plan of the next one rests on."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.mixed import fit_random_intercept
from saliency_stats.statistics.models.nested import nested_intercepts
from saliency_stats.statistics.parameters import MIN_UNITS
from saliency_stats.statistics.units import Units
from saliency_stats.typing import IndexArray

#: One-sided level of the upper limit of the variance between slides.
LIMIT_LEVEL: Final = 0.8
ESTIMATE: Final = "estimate"
UPPER_LIMIT: Final = "upper limit"


@dataclass(frozen=True)
class Components:
    """How patch values (log2) vary, in a run of which a larger one is planned.

    Parameters
    ----------
    unit
        "slide" or "patient".
    n_units
        Independent units of the run.
    patches_per_slide
        Of the run: the harmonic mean, rounded. It is what counts for the variance of slide means.
    estimate
        Mean over units.
    between, between_high
        Variance between slides of different units, and its upper limit of one-sided level :data:`LIMIT_LEVEL`.
    within
        Variance of patches about their slide.
    """

    unit: str
    n_units: int
    patches_per_slide: int
    estimate: float
    between: float
    between_high: float
    within: float

    def between_by(self, variance: str) -> float:
        """Return the variance between slides: the ``"estimate"`` or the ``"upper limit"``."""
        return self.between_high if variance == UPPER_LIMIT else self.between

    def of_slide_means(self, patches: float | NDArray[np.int_], variance: str = ESTIMATE) -> Any:
        """Return the variance of the mean of a slide with so many patches; broadcasts."""
        return self.between_by(variance) + self.within / patches


def variance_components(units: Units) -> Components:
    """Estimate the variances between and within slides by REML, with a limit on the former.

    Where patients are the units and have several slides, the variance between slides is that of the patients plus that
    of a patient's slides: a plan then counts patients of one slide each.

    Returns
    -------
    Components
        The upper limit is ``r between + (r - 1) within / n`` with ``r = (k - 1) / chi2(1 - level, k - 1)``, k units and
        n the harmonic mean of the patches per slide: the limit for the variance of slide means (Thomas and Hultquist
        1978, *Ann. Statist.* 6, 582-587) less the share of the patches in it. On balanced data inside the boundary it
        is exact; at the boundary it stays above 0, and there, as where few patches are in some slides, it is too
        large rather than too small. Browne (1995, *Statistics in Medicine* 14, 1933-1940) plans on the 80 % limit, as a
        plan on the estimate from a small study falls short half of the time.

    Raises
    ------
    StatisticsError
        If no slide is known, all patches are of one slide, every slide has one patch, or patches do not vary.
    """
    if not units.n_patches:
        raise StatisticsError("no patch has a value in this contrast, so there is nothing to plan from")
    if units.sums is None or units.unit == "patch":
        raise StatisticsError(
            f"{units.reason or 'the slides of the patches are unknown'}; a plan counts slides: fill in the ids of the"
            " cohort's table and run the study again"
        )
    sums = units.sums
    slides = sums.sizes.size
    if units.n < MIN_UNITS:
        raise StatisticsError(
            f"all {units.n_patches} patches with a value are of one {units.unit}: how much {units.unit}s differ cannot"
            f" be seen; judge patches of two {units.unit}s or more"
        )
    if sums.n == slides:
        raise StatisticsError(
            f"each of the {slides} slides has one patch with a value: the variance within slides cannot be told from"
            " that between; judge two patches or more in some slides"
        )
    owners, slides_of_unit, within = level_variances(sums, units.owners)
    between = owners + slides_of_unit
    harmonic = float(stats.hmean(sums.sizes))
    freedom = units.n - 1
    widen = freedom / float(stats.chi2.ppf(1 - LIMIT_LEVEL, freedom))
    limit = widen * between + (widen - 1) * within / harmonic
    return Components(units.unit, units.n, max(1, round(harmonic)), units.estimate, between, limit, within)


def level_variances(sums: GroupedSums, owners: IndexArray | None) -> tuple[float, float, float]:
    """Estimate by REML the variances between units, between slides of one unit, and within slides.

    ``sums`` and ``owners`` are those of :class:`~saliency_stats.statistics.units.Units`. Where no unit has several
    slides, the second is 0: it cannot be told from the first.

    Raises
    ------
    StatisticsError
        As of :func:`~saliency_stats.statistics.models.mixed.fit_random_intercept`.
    """
    if owners is not None and np.unique(owners).size < sums.sizes.size:
        between, of_unit, within = (float(v) for v in nested_intercepts(sums, owners).variances)
        return between, of_unit, within
    fit = fit_random_intercept(sums)
    return fit.between, 0.0, fit.within
