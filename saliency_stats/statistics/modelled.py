"""Tests that see the patches inside their units: mixed models, robust least squares, and GEE."""

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
        slopes = slopes_by_slide(_by_unit(units))
        at_zero = [] if slopes.roots[:3].any() else [f"{units.unit}s"]
        found = slopes.test(weights, alpha=alpha, df=df)
    elif owners is not None and np.unique(owners).size < owners.size:
        nested = nested_intercepts(sums, owners)
        at_zero = [
            name for name, variance in zip(("patients", "slides"), nested.variances[:2], strict=True) if not variance
        ]
        found = nested.test(weights, alpha=alpha, df=df)
    else:
        fit = fit_random_intercept(sums)
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
    return _inference(cluster_robust(_by_unit(units), jackknife=jackknife).test(np.array(units.weights), alpha=alpha))


def estimated_model(units: Units, *, alpha: float, **_: int) -> Inference:
    """Test a contrast by generalised estimating equations over units, with the covariance of Mancl and DeRouen.

    Raises
    ------
    StatisticsError
        If the equations cannot be solved.
    """
    return _inference(estimating_equations(_by_unit(units)).test(np.array(units.weights), alpha=alpha))


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
