"""One sample of patch values, tested over its independent units: the rows of ``contrasts.csv``."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.inference import NAN, Inference, t_slide_means
from saliency_stats.statistics.resampling import cluster_bootstrap, sign_flip
from saliency_stats.statistics.settings import MAX_ALPHA, MIN_DRAWS, MIN_UNITS, TESTS, in_range
from saliency_stats.statistics.units import Units, independent_units

#: Columns of ``contrasts.csv``; new ones are only ever added at the end.
COLUMNS: Final = (
    *("contrast", "label", "magnification", "model", "method", "reduction"),
    *("estimate", "ci_low", "ci_high", "ratio", "test", "statistic", "df", "p_value", "p_adjusted", "family"),
    *("effect_size", "icc", "n_slides", "n_patches"),
    *("se", "design_effect", "n_effective", "status", "reason", "unit", "n_units", "n_missing"),
)
#: More independent units than this are not resampled: the mean of so many is normal, and the t test says so.
MAX_RESAMPLED_UNITS: Final = 20_000
#: Unit means (log2) that differ by less than this differ by rounding only.
ROUNDING: Final = 1e-12


def contrast_table(
    table: pd.DataFrame,
    value: str,
    slide: str = "slide_id",
    patient: str | None = None,
    tests: str | Sequence[str] = "all",
    alpha: float = 0.05,
    seed: int = 0,
    *,
    assume_independent: bool = False,
    bootstrap_draws: int = 9_999,
    min_units: int = 3,
) -> pd.DataFrame:
    """Test the mean of a patch value against 0 over slides, or over patients.

    Parameters
    ----------
    table : DataFrame
        One row per patch.
    value : str
        Column with the value, a log2 ratio; NaN where a patch has none (left out and counted).
    slide : str
        Column with slide ids, empty where unknown.
    patient : str, optional
        Column with patient ids. Where given, the patient is the unit of inference and its mean is the mean of
        its slides' means.
    tests : str or sequence of str
        "all", or names out of :data:`TESTS`.
    alpha : float
        Level; intervals cover ``1 - alpha``.
    seed : int
        Seed of the resampling tests; the same for every table, so that one table's numbers depend on no
        other's.
    assume_independent : bool
        Where slides are unknown, treat each patch as its own unit, and say so in ``reason``.
    bootstrap_draws : int
        Draws of the resampling tests.
    min_units : int
        Fewest units for a test.

    Returns
    -------
    DataFrame
        One row per test with the columns :data:`COLUMNS`. ``estimate`` (log2) is the mean over units of their
        means, ``effect_size`` is d_z, their mean over their standard deviation, ``df`` is empty for the
        resampling tests. What the table does not know (contrast, label, …, family, and with it
        ``p_adjusted``) is empty. ``status`` is "tested" or "no_inference"; the latter has a ``reason`` and
        neither p-value nor interval. Where slides are unknown the estimate is the mean over patches.

    Raises
    ------
    StatisticsError
        If a column is missing or not numeric, a value is infinite, a slide belongs to two patients, or a
        parameter is out of range.
    """
    in_range("alpha", alpha, 0 < alpha < MAX_ALPHA, f"above 0 and below {MAX_ALPHA}")
    in_range("bootstrap_draws", bootstrap_draws, bootstrap_draws >= MIN_DRAWS, f"at least {MIN_DRAWS}")
    in_range("min_units", min_units, min_units >= MIN_UNITS, f"at least {MIN_UNITS}")
    in_range("seed", seed, seed >= 0, "zero or a positive integer")
    units = independent_units(table, value, slide=slide, patient=patient, assume_independent=assume_independent)
    obstacle = _obstacle(units, min_units)
    rows = [_row(units, test, obstacle, alpha=alpha, draws=bootstrap_draws, seed=seed) for test in _test_names(tests)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _test_names(tests: str | Sequence[str]) -> list[str]:
    names = list(TESTS) if tests == "all" else [tests] if isinstance(tests, str) else list(tests)
    unknown = [name for name in names if name not in TESTS]
    if unknown or not names:
        raise StatisticsError(f"tests is {tests!r}, expected 'all' or names out of {', '.join(TESTS)}")
    return names


def _obstacle(units: Units, min_units: int) -> str:
    """Return why no test of these units is possible, "" where one is."""
    n = units.means.size
    if units.n_patches == 0:
        return "no patch has a value in this contrast"
    if not units.unit:
        return units.reason
    if n < min_units:
        counted = f"there is only 1 {units.unit}" if n == 1 else f"there are only {n} {units.unit}s"
        return f"{counted}, and a test needs at least {min_units}"
    if np.ptp(units.means) <= ROUNDING * max(1.0, float(np.max(np.abs(units.means)))):
        return f"the means of all {n} {units.unit}s are equal, and without spread nothing can be tested"
    return ""


def _infer(test: str, units: Units, *, alpha: float, draws: int, seed: int) -> Inference:
    if test == "t_slide_means":
        return t_slide_means(units.means, alpha=alpha)
    resampled = sign_flip if test == "sign_flip" else cluster_bootstrap
    return resampled(units.means, alpha=alpha, draws=draws, seed=seed)


def _row(units: Units, test: str, obstacle: str, *, alpha: float, draws: int, seed: int) -> dict[str, Any]:
    n = units.means.size
    if not obstacle and test != "t_slide_means" and n > MAX_RESAMPLED_UNITS:
        obstacle = f"{n} {units.unit}s are too many to resample and enough for the t test"
    spread = float(np.std(units.means, ddof=1)) if n > 1 else NAN
    result = (
        Inference(NAN, NAN, NAN, NAN, NAN, obstacle)
        if obstacle
        else _infer(test, units, alpha=alpha, draws=draws, seed=seed)
    )
    reasons = [obstacle] if obstacle else [units.reason, result.note]
    return {
        **dict.fromkeys(("contrast", "label", "magnification", "model", "method", "reduction", "family"), ""),
        "estimate": units.estimate,
        "ci_low": result.ci_low,
        "ci_high": result.ci_high,
        "ratio": float(2.0**units.estimate),
        "test": test,
        "statistic": result.statistic,
        "df": result.df,
        "p_value": result.p_value,
        "p_adjusted": NAN,
        "effect_size": NAN if obstacle else units.estimate / spread,
        "icc": units.clustering.icc,
        "n_slides": units.n_slides,
        "n_patches": units.n_patches,
        "se": spread / float(np.sqrt(n)) if n > 1 else NAN,
        "design_effect": units.clustering.design_effect,
        "n_effective": units.clustering.n_effective,
        "status": "no_inference" if obstacle else "tested",
        "reason": "; ".join(text for text in reasons if text),
        "unit": units.unit,
        "n_units": n,
        "n_missing": units.n_missing,
    }
