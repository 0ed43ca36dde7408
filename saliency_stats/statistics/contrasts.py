"""One sample of patch values, tested over its independent units: the rows of ``contrasts.csv``."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.crossing import network_components
from saliency_stats.statistics.differences import group_difference
from saliency_stats.statistics.effects import NO_EFFECT, effect_sizes
from saliency_stats.statistics.inference import NAN, Inference, equivalence_p
from saliency_stats.statistics.models.checks import check_alpha, check_seed, in_range, require_columns
from saliency_stats.statistics.parameters import MIN_DRAWS, MIN_UNITS
from saliency_stats.statistics.registry import TESTS, infer, tests_of
from saliency_stats.statistics.units import Units, independent_units
from saliency_stats.statistics.weights import weighted_mean

#: Columns of ``contrasts.csv``; new ones are only ever added at the end.
COLUMNS: Final = (
    *("contrast", "label", "magnification", "model", "method", "reduction"),
    *("estimate", "ci_low", "ci_high", "ratio", "test", "statistic", "df", "p_value", "p_adjusted", "family"),
    *("effect_size", "icc", "n_slides", "n_patches"),
    *("se", "design_effect", "n_effective", "status", "reason", "unit", "n_units", "n_missing"),
    *("effect_size_low", "effect_size_high", "superiority", "superiority_low", "superiority_high"),
    *("p_equivalence", "ci_low_simultaneous", "ci_high_simultaneous", "n_tests", "n_agree", "versus", "skewness"),
    *("n_networks", "var_network", "var_unit", "var_interaction", "network_share", "p_attainable", "population"),
    *("weighted_estimate", "n_effective_units", "bound_low", "bound_high", "p_equivalence_adjusted", "least_margin"),
)
#: Unit means (log2) that differ by less than this differ by rounding only.
ROUNDING: Final = 1e-12
_EMPTY: Final = ("contrast", "label", "magnification", "model", "method", "reduction", "family", "versus", "population")


@dataclass(frozen=True, eq=False)
class Sampled:
    """A sample reduced to its independent units, and why it cannot be tested ("" where it can)."""

    units: Units
    obstacle: str


def contrast_table(
    table: pd.DataFrame,
    value: str,
    slide: str = "slide_id",
    patient: str | None = None,
    network: str | None = None,
    tests: str | Sequence[str] = "all",
    alpha: float = 0.05,
    seed: int = 0,
    *,
    assume_independent: bool = False,
    bootstrap_draws: int = 9_999,
    min_units: int = 3,
    margin: float | None = None,
    group: str | None = None,
    pair: tuple[str, str] | None = None,
) -> pd.DataFrame:
    """Test the mean of a patch value, or the difference of two groups' means, against 0 over slides or patients.

    Parameters
    ----------
    table : DataFrame
        One row per patch (and network); where it has a column patch_id, patches with two rows are refused.
    value : str
        Column with the value, a log2 ratio; NaN where a patch has none (left out and counted).
    slide : str
        Column with slide ids, empty where unknown.
    patient : str, optional
        Column with patient ids. Where given, the patient is the unit of inference and its mean is the mean of
        its slides' means.
    network : str, optional
        Column that says which network gave the value; the same patches (patch_id) may come once per network. The row
        ``crossed`` then takes networks and units both for samples; all other rows are of these networks alone, a
        patch's value being its mean over them.
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
    margin : float, optional
        Half-width (log2) of the range that counts as no difference, for ``p_equivalence``.
    group, pair : str and (str, str), optional
        Column and the two groups in it whose difference is tested, first minus second, instead of the mean; see
        :func:`~saliency_stats.statistics.differences.group_difference`.

    Returns
    -------
    DataFrame
        One row per test with the columns :data:`COLUMNS`. ``estimate`` (log2) is the mean over units of their
        means; for "wilcoxon" it is their pseudo-median, for the models it weighs units by their patches.
        ``effect_size`` is d_z, their mean over their standard deviation, ``superiority`` the share of units above 0,
        ``p_equivalence`` that of two one-sided t tests (empty without a margin), ``skewness`` that of the unit means;
        these are the same for every test, and empty where two samples of different units are compared. ``df`` is empty
        for the resampling tests. ``n_tests`` counts the possible tests of the row's estimand, ``n_agree`` those of
        them that come to the same decision as the row's at this level (rejected, in the same direction; or not). What
        the table does not know (contrast, label, …, family, and with it ``p_adjusted``, the simultaneous interval and
        the bounds) is empty. ``status`` is
        "tested" or "no_inference"; the latter has a ``reason`` and neither p-value nor interval. Where slides are
        unknown the estimate is the mean over patches.

    Raises
    ------
    StatisticsError
        If a column is missing or not numeric, a value is infinite, a slide belongs to two patients, or a
        parameter is out of range.
    """
    check_alpha(alpha)
    in_range("bootstrap_draws", bootstrap_draws, bootstrap_draws >= MIN_DRAWS, f"at least {MIN_DRAWS}")
    in_range("min_units", min_units, min_units >= MIN_UNITS, f"at least {MIN_UNITS}")
    check_seed(seed)
    in_range("margin", margin or 1.0, margin is None or margin > 0, "positive (log2), or None")
    if (group is None) != (pair is None):
        raise StatisticsError(f"group is {group!r} and pair is {pair!r}, expected both or neither")
    sample = sampled(
        table,
        value,
        slide=slide,
        patient=patient,
        network=network,
        assume_independent=assume_independent,
        min_units=min_units,
        group=group,
        pair=pair,
    )
    names = _test_names(tests, sample.units)
    return inferred(sample, names, alpha=alpha, seed=seed, draws=bootstrap_draws, margin=margin)


def sampled(
    table: pd.DataFrame,
    value: str,
    *,
    slide: str = "slide_id",
    patient: str | None = None,
    assume_independent: bool = False,
    min_units: int = 3,
    group: str | None = None,
    pair: tuple[str, str] | None = None,
    network: str | None = None,
) -> Sampled:
    """Reduce a table to what is tested; parameters and errors as of :func:`contrast_table`."""
    require_columns("table", table.columns, [network] if network else [])
    how: dict[str, Any] = {
        "slide": slide,
        "patient": patient,
        "network": network,
        "assume_independent": assume_independent,
    }
    if group is not None and pair is not None:
        units = group_difference(table, value, group, pair, **how)
    else:
        units = independent_units(table, value, **how)
    return Sampled(units, _duplicates(table, network) or obstacle_of(units, min_units))


def inferred(
    sample: Sampled,
    names: Collection[str] | None = None,
    *,
    alpha: float,
    seed: int,
    draws: int,
    margin: float | None = None,
    n_together: int = 1,
) -> pd.DataFrame:
    """Test a sample; parameters and result as of :func:`contrast_table`.

    ``n_together`` is how many hypotheses are corrected together, as far as it bears on the smallest p-value that can be
    had after the correction.
    """
    units, obstacle = sample.units, sample.obstacle
    names = tests_of(units) if names is None else names
    results = [infer(test, units, obstacle, alpha=alpha, draws=draws, seed=seed) for test in names]
    shared = _of_all_tests(units, obstacle, alpha, margin)
    rows = [{**shared, **row_of_test(units, test, result)} for test, result in zip(names, results, strict=True)]
    decision = np.array([np.sign(row["estimate"]) * (row["p_value"] <= alpha) for row in rows])
    possible = np.array([row["status"] == "tested" for row in rows], dtype=bool)
    estimands = np.array([TESTS[test].estimand for test in names])
    for row, own, done, about in zip(rows, decision, possible, estimands, strict=True):
        same = possible & (estimands == about)
        row["n_agree"] = int(np.count_nonzero(same & (decision == own))) if done else 0
        row["n_tests"] = int(np.count_nonzero(same))
        row["p_attainable"] = min(1.0, n_together * TESTS[row["test"]].least_p(units, draws)) if done else NAN
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _test_names(tests: str | Sequence[str], units: Units) -> list[str]:
    names = tests_of(units) if tests == "all" else [tests] if isinstance(tests, str) else list(tests)
    unknown = [name for name in names if name not in TESTS]
    if unknown or not names:
        raise StatisticsError(f"tests is {tests!r}, expected 'all' or names out of {', '.join(TESTS)}")
    return names


def _duplicates(table: pd.DataFrame, network: str | None) -> str:
    """Return which patch has two rows, "" where none has or patches have no names."""
    if "patch_id" not in table:
        return ""
    patches = pd.factorize(table["patch_id"])[0]
    named = np.flatnonzero(patches >= 0)
    cells = patches[named]
    if network:
        networks = pd.factorize(table[network], use_na_sentinel=False)[0]
        cells = cells * (int(networks.max(initial=0)) + 1) + networks[named]
    if np.bincount(cells).max(initial=0) <= 1:
        return ""
    twice = named[pd.Series(cells).duplicated()]
    name = table["patch_id"].iloc[twice[0]]
    rest = "magnification and method" if network else "network, magnification and method"
    return f"{twice.size} rows repeat a patch ({name} is one): keep one model, {rest}"


def obstacle_of(units: Units, min_units: int) -> str:
    """Return why no test of these units is possible, "" where one is."""
    if units.n_patches == 0:
        return "no patch has a value in this contrast"
    if not units.unit:
        return units.reason
    for means in (units.means,) if units.others is None else (units.means, units.others):
        n = means.size
        if n < min_units:
            counted = f"there is only 1 {units.unit}" if n == 1 else f"there are only {n} {units.unit}s"
            where = "" if units.others is None else f" in one of the two samples ({units.reason})"
            return f"{counted}{where}, and a test needs at least {min_units}"
        if np.ptp(means) <= ROUNDING * max(1.0, float(np.max(np.abs(means)))):
            return f"the means of all {n} {units.unit}s are equal, and without spread nothing can be tested"
    return ""


def _of_all_tests(units: Units, obstacle: str, alpha: float, margin: float | None) -> dict[str, Any]:
    """Return what does not depend on the test."""
    silent = bool(obstacle) or units.others is not None
    effects = NO_EFFECT if silent else effect_sizes(units.means, alpha=alpha)
    return {
        **dict.fromkeys(_EMPTY, ""),
        **dict.fromkeys(("p_adjusted", "ci_low_simultaneous", "ci_high_simultaneous"), NAN),
        "effect_size": effects.d_z,
        "effect_size_low": effects.d_z_low,
        "effect_size_high": effects.d_z_high,
        "superiority": effects.superiority,
        "superiority_low": effects.superiority_low,
        "superiority_high": effects.superiority_high,
        "p_equivalence": NAN if silent or margin is None else equivalence_p(units.means, margin=margin),
        "skewness": NAN if silent else float(stats.skew(units.means, bias=False)),
        "icc": units.clustering.icc,
        "design_effect": units.clustering.design_effect,
        "n_effective": units.clustering.n_effective,
        "n_slides": units.n_slides,
        "n_patches": units.n_patches,
        "unit": units.unit,
        "n_units": units.n,
        "n_missing": units.n_missing,
        "n_networks": max(1, units.n_networks),
        **({} if silent else _of_networks(units, alpha)),
        "population": "",
        **_weighted(units),
    }


def _weighted(units: Units) -> dict[str, float]:
    """Return the mean that weighs units by their precision, and how many units the plain mean is worth."""
    found = weighted_mean(units)
    return {"weighted_estimate": found.estimate, "n_effective_units": found.effective_number_unweighted}


def _of_networks(units: Units, alpha: float) -> dict[str, float]:
    """Return the components of several networks."""
    names = ("var_network", "var_unit", "var_interaction", "network_share")
    try:
        found = network_components(units, alpha=alpha, draws=1)  # limits are drawn, and not asked for
    except StatisticsError:
        return dict.fromkeys(names, NAN)
    return {name: float(getattr(found, name)) for name in names}


def _standard_error(units: Units) -> float:
    samples = (units.means,) if units.others is None else (units.means, units.others)
    if min(means.size for means in samples) < MIN_UNITS:
        return NAN
    return float(np.sqrt(sum(np.var(means, ddof=1) / means.size for means in samples)))


def row_of_test(units: Units, test: str, result: Inference) -> dict[str, Any]:
    """Return what depends on the test, by the columns of the table."""
    tested = np.isfinite(result.p_value)
    estimate = units.estimate if np.isnan(result.estimate) else result.estimate
    reasons = (units.reason, result.note) if tested else (result.note,)
    return {
        "estimate": estimate,
        "ci_low": result.ci_low,
        "ci_high": result.ci_high,
        "ratio": float(2.0**estimate),
        "test": test,
        "statistic": result.statistic,
        "df": result.df,
        "p_value": result.p_value,
        "se": _standard_error(units) if np.isnan(result.se) else result.se,
        "status": "tested" if tested else "no_inference",
        "reason": "; ".join(text for text in reasons if text),
    }
