"""How often a verdict errs in studies like the run's own, in which there is nothing to find.

Simulated is the deciding test of δ. A verdict asks for more (untrained networks, the picture), each part at the same
level, so "supported" can only be rarer where there is nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.components import over_networks_counted
from saliency_stats.statistics.contrasts import obstacle_of
from saliency_stats.statistics.crossing import CROSSED
from saliency_stats.statistics.models.checks import check_alpha, check_seed, in_range, one_of
from saliency_stats.statistics.models.two_way import two_way
from saliency_stats.statistics.parameters import MIN_UNITS, StatisticsParameters
from saliency_stats.statistics.registry import TESTS, primary_tests
from saliency_stats.statistics.resampling import BLOCK, sign_flip_p, units_needed
from saliency_stats.statistics.units import independent_units
from saliency_stats.typing import Float64Array

#: Simulated studies of a sample; a rate of 5 % then has the 95 % limits 4.1 % and 6.0 %.
SIMULATIONS: Final = 2_000
_FEWEST: Final = 100
#: Sign assignments of a simulated study, of which a p-value of alpha / m must be many.
_DRAWS: Final = 1_999
_DRAWS_PER_LEVEL: Final = 20
#: Columns of :func:`calibrate`.
COLUMNS: Final = (
    *("label", "magnification", "test", "design", "type_1_error", "low", "high", "coverage", "simulations"),
    *("supported", "hypotheses", "family_error", "false_equivalent", "reason"),
)


@dataclass(frozen=True)
class VerdictError:
    """How often verdicts err.

    Parameters
    ----------
    type_1_error, low, high
        Share of studies of no effect whose test finds one at ``alpha``, with Wilson's 95 % limits. It is the error of
        one verdict where all other hypotheses of its family are findings; Holm's correction allows no more.
    supported
        Share that finds it upwards: "supported".
    coverage
        Share of the ``1 - alpha`` intervals that contain 0.
    family_error
        Share of families, all of whose independent hypotheses are null, with any finding after Holm's correction.
    false_equivalent
        Share of studies with an effect of exactly the margin, up or down, that are called equivalent: the larger.
    simulations
        Studies.
    """

    type_1_error: float
    low: float
    high: float
    supported: float
    coverage: float
    family_error: float
    false_equivalent: float
    simulations: int


def verdict_error(
    means: Float64Array,
    sizes: Float64Array,
    *,
    icc: float,
    skewness: float,
    test: str,
    alpha: float = 0.05,
    margin: float = 0.1,
    hypotheses: int = 1,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> VerdictError:
    """Simulate studies of the design that was seen, in which nothing is to be found, and count wrong verdicts.

    Parameters
    ----------
    means : array of float, shape (G,) or (K, G)
        Means (log2) of the units, or of each of K networks' units: what they vary by is simulated.
    sizes : array of float, shape (G,)
        Patches of the units.
    icc, skewness
        Intraclass correlation of patches, and skewness of the units' means.
    test
        "sign_flip" or "t_slide_means" of one network, "crossed" of several.
    alpha, margin, hypotheses
        Level of the family, half-width (log2) of "no preference", and how many are corrected together by Holm.
    simulations, seed
        Studies, fewer where units are very many; and the seed of their draws.

    Returns
    -------
    VerdictError

    Raises
    ------
    StatisticsError
        If a value is out of range, or shapes and test do not fit together.

    Notes
    -----
    A unit's variance is proportional to ``icc + (1 - icc) / size``; its effect follows a gamma distribution of the
    given skewness (normal at 0), moved to a mean of 0. Networks, and cells about networks and units, are normal with
    the variances of the two-way analysis of variance.
    """
    tables = np.atleast_2d(means)
    units = tables.shape[1]
    _check(tables, sizes, icc, skewness, test)
    check_alpha(alpha)
    check_seed(seed)
    in_range("margin", margin, margin > 0, "positive (log2)")
    in_range("hypotheses", hypotheses, hypotheses >= 1, "at least 1")
    in_range("simulations", simulations, simulations >= _FEWEST, f"at least {_FEWEST}")
    n = max(_FEWEST, min(simulations, BLOCK // tables.size))
    drawn = _draw(tables, np.asarray(sizes, dtype=np.float64), icc, skewness, n, np.random.default_rng((seed, 4)))
    draws = max(_DRAWS, int(np.ceil(_DRAWS_PER_LEVEL * hypotheses / alpha)) - 1)

    def tested(shift: float) -> tuple[Float64Array, Float64Array]:
        """Return the means and two-sided p-values of the studies, moved by so much."""
        moved = drawn + shift
        return moved.mean(axis=(1, 2)), _p_values(moved, test, draws, seed)

    mean, p_value = tested(0.0)
    found = p_value < alpha
    possible = test != "sign_flip" or units >= units_needed(hypotheses, alpha)
    equivalent = []
    for effect in (margin, -margin):
        # the interval of a mean that is the margin must end before it, and before the other one
        other_mean, other_p = tested(2 * effect)
        inside = (effect * mean < 0) & (p_value < 2 * alpha) & (effect * other_mean > 0) & (other_p < 2 * alpha)
        equivalent.append(float((inside & (tested(effect)[1] >= alpha) & possible).mean()))
    low, high = proportion_confint(int(found.sum()), n, method="wilson")
    return VerdictError(
        type_1_error=float(found.mean()),
        low=float(low),
        high=float(high),
        supported=float((found & (mean > 0)).mean()),
        coverage=float((p_value > alpha).mean()),
        family_error=float(1 - (1 - (p_value < alpha / hypotheses).mean()) ** hypotheses),
        false_equivalent=max(equivalent),
        simulations=n,
    )


def calibrate(values: pd.DataFrame, settings: StatisticsParameters, *, simulations: int = SIMULATIONS) -> pd.DataFrame:
    """Say of every primary sample of a run how often its verdict errs where there is nothing to find.

    Parameters
    ----------
    values : DataFrame
        The primary contrast: patch_id, slide_id, patient_id, label, magnification, value, and network where several
        judged a patch.

    Returns
    -------
    DataFrame
        A row per magnification and class with the columns :data:`COLUMNS`; the rates are empty where no test is
        possible or simulated, for the ``reason`` given.
    """
    samples = dict(iter(values.groupby(["magnification", "label"], sort=True)))
    designs = [_design(rows, settings) for rows in samples.values()]
    hypotheses = max(1, sum(not design.reason for design in designs))
    found = []
    for (magnification, label), design in zip(samples, designs, strict=True):
        row = {"label": label, "magnification": magnification, "test": design.test, "design": design.words}
        row |= {"hypotheses": hypotheses, "reason": design.reason}
        if not design.reason:
            error = verdict_error(
                **design.simulated,
                test=design.test,
                alpha=settings.alpha,
                margin=settings.equivalence_margin,
                hypotheses=hypotheses,
                simulations=simulations,
                seed=settings.seed,
            )
            row |= vars(error)
        found.append(row)
    return pd.DataFrame(found, columns=list(COLUMNS))


@dataclass(frozen=True, eq=False)
class _Design:
    """What a sample's simulation starts from, in words too, or the reason why it is not simulated."""

    test: str
    words: str = ""
    reason: str = ""
    simulated: Mapping[str, Any] = field(default_factory=dict)


def _design(rows: pd.DataFrame, settings: StatisticsParameters) -> _Design:
    patches, networks = over_networks_counted(rows)
    units = independent_units(
        patches,
        "value",
        patient="patient_id" if settings.unit == "patient" else None,
        assume_independent=settings.assume_independent,
    )
    test = settings.deciding_test(networks)
    obstacle = obstacle_of(units, settings.min_slides) or ("" if networks > 1 else TESTS[test].obstacle(units))
    if obstacle or units.sums is None:
        return _Design(test, reason=obstacle or units.reason)
    # the means of units are sorted and their sizes are not: what is simulated does not depend on which is whose
    means, sizes = units.means, units.sums.sizes
    if units.owners is not None:
        sizes = np.bincount(units.owners, sizes).astype(np.float64)
    if networks > 1:
        if units.unit == "patch":
            return _Design(test, reason=f"{units.reason}, and such networks are not simulated")
        means, sizes = _cells(rows, f"{units.unit}_id")
        if means.shape[1] < settings.min_slides or len(means) < networks:
            return _Design(test, reason=f"networks judged different {units.unit}s, and such a design is not simulated")
    few, many = int(np.min(sizes)), int(np.max(sizes))
    icc = units.clustering.icc if np.isfinite(units.clustering.icc) else 1.0
    skewness = float(np.nan_to_num(stats.skew(units.means, bias=False)))
    words = (
        f"{means.shape[-1]} {units.unit}s of {few if few == many else f'{few}–{many}'} patches, ICC {icc:.2f}, skewness"
        f" {skewness:.1f}, {networks} network{'s' * (networks > 1)}"
    )
    return _Design(test, words, "", {"means": means, "sizes": sizes, "icc": icc, "skewness": skewness})


def _cells(rows: pd.DataFrame, unit: str) -> tuple[Float64Array, Float64Array]:
    """Return the (K, G) means of the units that all networks judged, and their patches."""
    known = rows[rows["value"].notna()]
    of_slides = known.groupby(list(dict.fromkeys(("network", unit, "slide_id"))))["value"].mean().reset_index()
    means = of_slides.pivot_table("value", "network", unit).dropna(axis="columns")
    sizes = known.groupby(unit)["patch_id"].nunique().loc[means.columns]
    return np.asarray(means, dtype=np.float64), np.asarray(sizes, dtype=np.float64)


def _check(tables: Float64Array, sizes: Float64Array, icc: float, skewness: float, test: str) -> None:
    networks, units = tables.shape
    one_of("test", test, (*primary_tests(), CROSSED))
    in_range("icc", icc, 0 <= icc <= 1, "from 0 to 1")
    in_range("skewness", skewness, np.isfinite(skewness), "a number")
    in_range("units", units, units >= MIN_UNITS, f"at least {MIN_UNITS}")
    if np.shape(sizes) != (units,) or not np.all(np.asarray(sizes) >= 1):
        raise StatisticsError(f"sizes has the shape {np.shape(sizes)}, expected patches (1 or more) of {units} units")
    if not np.isfinite(tables).all():
        raise StatisticsError("means holds values that are not finite; leave units without a value out")
    if (test == CROSSED) != (networks > 1):
        raise StatisticsError(f"test is {test!r} and there are {networks} networks; several are judged by {CROSSED!r}")


def _draw(
    tables: Float64Array, sizes: Float64Array, icc: float, skewness: float, n: int, rng: np.random.Generator
) -> Float64Array:
    """Return n studies (n, K, G) whose true mean is 0."""
    networks, units = tables.shape
    between, of_network, of_cell = float(np.var(tables[0], ddof=1)), 0.0, 0.0
    if networks > 1:
        of_network, between, of_cell = (float(variance) for variance in two_way(tables).components)
    share = icc + (1 - icc) / sizes
    share /= share.mean()
    if skewness:
        shape = 4 / skewness**2
        effects = np.sign(skewness) * (rng.standard_gamma(shape, (n, units)) - shape) / np.sqrt(shape)
    else:
        effects = rng.standard_normal((n, units))
    drawn = (np.sqrt(between * share) * effects)[:, None]
    if networks == 1:
        return np.asarray(drawn)
    drawn = drawn + np.sqrt(of_network) * rng.standard_normal((n, networks, 1))
    return np.asarray(drawn + np.sqrt(of_cell) * rng.standard_normal((n, networks, units)))


def _p_values(tables: Float64Array, test: str, draws: int, seed: int) -> Float64Array:
    if test == "sign_flip":
        return sign_flip_p(tables[:, 0], draws=draws, seed=seed)
    if test != CROSSED:
        return np.asarray(stats.ttest_1samp(tables[:, 0], 0.0, axis=1).pvalue)
    found = two_way(tables)
    variances, dfs = found.spreads
    return np.asarray((2 * stats.t.sf(np.abs(found.estimate) / np.sqrt(variances), dfs)).max(axis=0))
