"""One test by its name: which function answers, and why it cannot where it cannot."""

from collections.abc import Callable
from typing import Final

from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.inference import (
    MAX_WILCOXON_UNITS,
    NAN,
    Inference,
    t_slide_means,
    wilcoxon_slide_means,
)
from saliency_stats.statistics.modelled import mixed_model, robust_model
from saliency_stats.statistics.resampling import bca_bootstrap, cluster_bootstrap, sign_flip
from saliency_stats.statistics.units import Units
from saliency_stats.typing import Float64Array

#: More independent units than this are not resampled: the mean of so many is normal, and the t test says so.
MAX_RESAMPLED_UNITS: Final = 20_000
_RESAMPLED: Final[dict[str, Callable[..., Inference]]] = {
    "sign_flip": sign_flip,
    "cluster_bootstrap": cluster_bootstrap,
    "bootstrap_bca": bca_bootstrap,
}
_OF_MEANS: Final[dict[str, Callable[..., Inference]]] = {
    "t_slide_means": t_slide_means,
    "wilcoxon": wilcoxon_slide_means,
}


def infer(test: str, units: Units, obstacle: str = "", *, alpha: float, draws: int, seed: int) -> Inference:
    """Answer by one test.

    Parameters
    ----------
    test : str
        One of :data:`~saliency_stats.statistics.TESTS`.
    units : Units
        What is tested.
    obstacle : str
        Why no test is possible, "" where one is.
    alpha : float
        Level.
    draws, seed : int
        Of the resampling tests.

    Returns
    -------
    Inference
        With NaN for a p-value and the reason as its note where this test is not possible.
    """
    obstacle = obstacle or _obstacle(test, units)
    if obstacle:
        return _no_answer(obstacle)
    if test in _RESAMPLED:
        return _RESAMPLED[test](units.means, alpha=alpha, draws=draws, seed=seed)
    if units.others is not None and test == "t_slide_means":
        return _welch(units.means, units.others, alpha=alpha)
    if test in _OF_MEANS:
        return _OF_MEANS[test](units.means, alpha=alpha)
    try:
        return robust_model(units, alpha=alpha) if test == "cluster_robust" else mixed_model(units, test, alpha=alpha)
    except StatisticsError as error:
        return _no_answer(str(error))


def _obstacle(test: str, units: Units) -> str:
    if units.others is not None and (test in _RESAMPLED or test == "wilcoxon"):
        return f"this test compares {units.unit}s with themselves: {units.reason}"
    if test in _RESAMPLED and units.n > MAX_RESAMPLED_UNITS:
        return f"{units.n} {units.unit}s are too many to resample and enough for the t test"
    if test == "wilcoxon" and units.n > MAX_WILCOXON_UNITS:
        return f"{units.n} {units.unit}s make too many pairs and are enough for the t test"
    return ""


def _welch(means: Float64Array, others: Float64Array, *, alpha: float) -> Inference:
    """Compare the means of two samples of units: Welch (1947), *Biometrika* 34, 28-35."""
    result = stats.ttest_ind(means, others, equal_var=False)
    low, high = result.confidence_interval(confidence_level=1 - alpha)
    return Inference(float(result.statistic), float(result.df), float(result.pvalue), float(low), float(high))


def _no_answer(reason: str) -> Inference:
    return Inference(NAN, NAN, NAN, NAN, NAN, reason)
