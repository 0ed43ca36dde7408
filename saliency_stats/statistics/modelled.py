"""Tests that see the patches inside their units: mixed models, robust least squares, and GEE."""

from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.inference import Inference
from saliency_stats.statistics.models.gee import estimating_equations
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.linear import LinearTest
from saliency_stats.statistics.models.mixed import Freedom, fit_random_intercept
from saliency_stats.statistics.models.nested import nested_intercepts
from saliency_stats.statistics.models.robust import cluster_robust
from saliency_stats.statistics.models.slopes import MIN_PAIRED, paired_slides, slopes_by_slide
from saliency_stats.statistics.units import Units

#: Of samples that are still in use: a model is fitted once for all its tests and levels, which is most of their work.
_FITS: Final[WeakKeyDictionary[Units, dict[Any, Any]]] = WeakKeyDictionary()


def mixed_model(units: Units, *, alpha: float, df: Freedom, **_: int) -> Inference:
    """Test a contrast by REML with a random intercept per unit, or per patient and slide within patient.

    Of a difference of two groups that units have both of, each unit has a mean of its own in each group, with any
    covariance: ``(0 + group | unit)``. With an intercept alone, units that differ in the difference would count as
    patches that do. Where (all but one) units have one group, the intercept is all there is.

    Returns
    -------
    Inference
        ``estimate`` weighs a unit by how much its patches tell. The note says where the variance between units is 0.

    Raises
    ------
    StatisticsError
        If the model cannot be told from the data.
    """
    sums, owners = units.sums, units.owners
    if sums is None:
        raise StatisticsError("the patches of the units are not known")
    weights = np.array(units.weights)
    if weights.size > 1 and paired_slides(_by_unit(units)) >= MIN_PAIRED:
        slopes = _fitted(units, slopes_by_slide)
        at_zero = [] if slopes.roots[:3].any() else [f"{units.unit}s"]
        found = slopes.test(weights, alpha=alpha, df=df)
    elif owners is not None and np.unique(owners).size < owners.size:
        nested = _fitted(units, nested_intercepts, sums, owners)
        at_zero = [
            name for name, variance in zip(("patients", "slides"), nested.variances[:2], strict=True) if not variance
        ]
        found = nested.test(weights, alpha=alpha, df=df)
    else:
        fit = _fitted(units, fit_random_intercept, sums)
        at_zero = [] if fit.between else [f"{units.unit}s"]
        found = fit.test(weights, alpha=alpha, df=df)
    note = f"the model finds no variance between {' or '.join(at_zero)}" if at_zero else ""
    return _inference(found, note)


def robust_model(units: Units, *, alpha: float, jackknife: bool = False, **_: int) -> Inference:
    """Test a contrast by least squares over patches with the variance CR2 over units, or CR3, their jackknife.

    Raises
    ------
    StatisticsError
        If one unit alone decides the contrast.
    """
    fit = _fitted(units, cluster_robust, jackknife=jackknife)
    return _inference(fit.test(np.array(units.weights), alpha=alpha))


def estimated_model(units: Units, *, alpha: float, **_: int) -> Inference:
    """Test a contrast by generalised estimating equations over units, with the covariance of Mancl and DeRouen.

    Raises
    ------
    StatisticsError
        If the equations cannot be solved.
    """
    return _inference(_fitted(units, estimating_equations).test(np.array(units.weights), alpha=alpha))


def _fitted(units: Units, fit: Callable[..., Any], *data: Any, **options: Any) -> Any:
    """Fit a model to a sample, by default to the sums of its units, unless that was done before."""
    fits = _FITS.setdefault(units, {})
    model = (fit, *options.values())
    if model not in fits:
        fits[model] = fit(*data or (_by_unit(units),), **options)
    return fits[model]


def _by_unit(units: Units) -> GroupedSums:
    if units.sums is None:
        raise StatisticsError("the patches of the units are not known")
    return units.sums if units.owners is None else units.sums.regrouped(units.owners)


def _inference(found: LinearTest, note: str = "") -> Inference:
    if not np.isfinite(found.p_value):
        raise StatisticsError("the variance of the contrast is 0")
    return Inference(
        found.statistic, found.df, found.p_value, found.ci_low, found.ci_high, note, found.estimate, found.se
    )
