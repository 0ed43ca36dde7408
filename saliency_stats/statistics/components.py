"""How patch values vary between and within the slides of a run: what a plan of the next one rests on."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.averaged import over_networks
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.mixed import fit_random_intercept
from saliency_stats.statistics.models.nested import nested_intercepts
from saliency_stats.statistics.models.two_way import two_way
from saliency_stats.statistics.parameters import MIN_UNITS
from saliency_stats.statistics.studies import Spread
from saliency_stats.statistics.units import Units
from saliency_stats.typing import IndexArray

#: One-sided level of the upper limits of the variances between slides and between networks.
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
    networks
        Networks that judged a slide. Of one, ``between`` and ``within`` hold what several would tell apart as
        ``interaction`` and ``noise``.
    network, network_high
        Variance between networks and its upper limit; NaN where it is unknown, as in a run of one network.
    interaction, noise
        Variance of a slide in one network about both means, and of a patch in one network.
    """

    unit: str
    n_units: int
    patches_per_slide: int
    estimate: float
    between: float
    between_high: float
    within: float
    networks: int = 1
    network: float = NAN
    network_high: float = NAN
    interaction: float = 0.0
    noise: float = 0.0

    def between_by(self, variance: str) -> float:
        """Return the variance between slides: the ``"estimate"`` or the ``"upper limit"``."""
        return self.between_high if variance == UPPER_LIMIT else self.between

    def network_by(self, variance: str) -> float:
        """Return the variance between networks: the ``"estimate"`` or the ``"upper limit"``."""
        return self.network_high if variance == UPPER_LIMIT else self.network

    def spread(self, patches: int, variance: str = ESTIMATE) -> Spread:
        """Return the variances of a study with so many patches per slide."""
        return Spread(
            self.network_by(variance),
            self.between_by(variance) + self.within / patches,
            self.interaction + self.noise / patches,
        )

    def with_networks_that_vary(self, sd: float) -> "Components":
        """Return the same with a standard deviation (log2) between networks that is known from elsewhere."""
        return replace(self, network=sd**2, network_high=sd**2)


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
    widen = _widening(units.n - 1)
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


def over_networks_counted(values: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return each patch's mean over the networks that judged it, and how many these are at most."""
    networks = int(values.groupby("patch_id", sort=False).size().max()) if len(values) else 1
    return over_networks(values, ["patch_id"], ["value"]), networks


def components_of_networks(values: pd.DataFrame, units: Units) -> Components:
    """Estimate how much networks differ as well, from the values of several.

    Parameters
    ----------
    values : DataFrame
        One row per patch and network: patch_id, slide_id, network, value (NaN where there is none).
    units : Units
        Of the patches' means over networks.

    Returns
    -------
    Components
        Those of :func:`variance_components`, split. Slides that the same networks judged are one table (with folds
        there are several); their mean squares are pooled. With K networks, G slides and n patches: between networks
        ``(MS_N - MS_NS) / G``, of both ``MS_NS`` less the patches' share; patches vary within a cell by ``within +
        noise`` and their means over networks by ``within + noise / K``. None is below 0.

    Raises
    ------
    StatisticsError
        As of :func:`variance_components`; or if no two networks judged the same two slides.
    """
    seen = variance_components(units)
    rows = values[values["value"].notna()]
    grouped = rows.groupby(["network", "slide_id"])["value"]
    within = float(grouped.var(ddof=1).mul(grouped.size() - 1).sum() / (grouped.size() - 1).sum())
    squares, tables = np.zeros(3), _tables(rows.pivot_table("value", "slide_id", "network"))
    freedom = np.array([(k - 1, g - 1, (k - 1) * (g - 1)) for k, g in (table.shape for table in tables)])
    if not tables:
        raise StatisticsError(
            "no two networks judged the same two slides, so how much networks differ cannot be told from how much"
            " slides do; judge every slide by several networks (classifier.networks)"
        )
    for table, df in zip(tables, freedom, strict=True):
        found = two_way(table)
        squares += np.array([found.network, found.unit, found.interaction]) * df
    of_networks, _, of_cells = squares / freedom.sum(axis=0)
    networks = max(table.shape[0] for table in tables)
    # a mean square between networks counts the slides of its own table
    slides = sum(table.shape[1] * df[0] for table, df in zip(tables, freedom, strict=True)) / freedom[:, 0].sum()
    noise = min(max(0.0, (within - seen.within) * networks / (networks - 1)), within)
    interaction = max(0.0, of_cells - noise / seen.patches_per_slide)
    widen = _widening(int(freedom[:, 0].sum()))
    return replace(
        seen,
        networks=networks,
        network=max(0.0, of_networks - of_cells) / slides,
        network_high=max(0.0, widen * of_networks - of_cells) / slides,
        between=max(0.0, seen.between - interaction / networks),
        between_high=max(0.0, seen.between_high - interaction / networks),
        within=within - noise,
        interaction=interaction,
        noise=noise,
    )


def _tables(means: pd.DataFrame) -> list[NDArray[np.float64]]:
    """Return the complete networks × slides tables of two or more of both, of means by slide and network."""
    judged = means.notna()
    found = (means.loc[rows.index, list(rows.columns[rows.iloc[0]])] for _, rows in judged.groupby(list(judged)))
    return [table.to_numpy().T for table in found if min(table.shape) >= MIN_UNITS]


def _widening(freedom: int) -> float:
    """Return the upper limit of a variance over its estimate."""
    return freedom / float(stats.chi2.ppf(1 - LIMIT_LEVEL, freedom))
