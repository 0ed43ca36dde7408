"""The crossed test: the mean over networks and units, both of which are samples."""

from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.inference import NAN, Inference
from saliency_stats.statistics.models.networks import NetworkCells
from saliency_stats.statistics.models.two_way import two_way
from saliency_stats.typing import Float64Array

#: Its name: it decides wherever there are several networks.
CROSSED: Final = "crossed"
#: Imaginary step of a derivative that is exact to rounding.
_STEP: Final = 1e-20


class Celled(Protocol):
    """What the test reads of :class:`~saliency_stats.statistics.units.Units`."""

    @property
    def cells(self) -> NetworkCells | None:
        """Values by network and unit; None where there is one network."""


@dataclass(frozen=True)
class NetworkComponents:
    """How values (log2) vary between networks and units, and what that makes of the mean over both.

    Parameters
    ----------
    n_networks, n_units
        Networks and units with a value.
    var_network, var_unit, var_interaction
        Variances between networks, between units, and of the mean of a network on a unit about both: what a network
        sees in this unit alone, and its patches. 0 where none is seen.
    network_share
        Share of the variance of the mean over both that lies between networks.
    var_network_low, var_network_high, network_share_low, network_share_high
        Intervals; NaN where there is none.
    """

    n_networks: int
    n_units: int
    var_network: float
    var_unit: float
    var_interaction: float
    network_share: float
    var_network_low: float
    var_network_high: float
    network_share_low: float
    network_share_high: float


def crossed(units: Celled, *, alpha: float, draws: int = 0, seed: int = 0) -> Inference:  # noqa: ARG001 - draws nothing
    """Test the mean over networks and units against 0, two-sided, both being samples of many.

    Where every network judged every unit it is the balanced closed form on the means of cells; else REML over patches,
    see :func:`~saliency_stats.statistics.models.networks.network_intercepts`, both with Satterthwaite's degrees of
    freedom. It finds only what the t tests over networks alone and over units alone find too: with few networks
    Satterthwaite's approximation errs in up to 8 %. Networks that found the same on every patch leave REML no residual,
    so that these two decide.

    Returns
    -------
    Inference
        ``p_value`` is the largest of the three tests' and the interval the widest; ``se``, ``df`` and ``statistic`` are
        those of the test with this p-value. The note says which of the two models it is, and which variance is 0.

    Raises
    ------
    StatisticsError
        If there are fewer than two networks or units, nothing varies, or the model cannot be told from the data.
    """
    cells = _several(units.cells)
    if cells.complete:
        table = two_way(cells.means)
        estimate, spreads = float(table.estimate), table.spreads
        at_zero = [name for name, value in zip(("network", "unit"), table.components, strict=False) if not value]
        note = "balanced closed form"
    elif cells.alike:
        estimate, spreads, at_zero = float(_means(cells)[1].mean()), _one_way(cells), []
        note = "t over networks and over units, as all networks found the same on every patch"
    else:
        fit = cells.fit
        estimate, (variances, dfs) = float(fit.coefficients[0]), _one_way(cells)
        spreads = np.append(cells.tested.se**2, variances), np.append(cells.tested.df, dfs)
        at_zero = [name for name, value in zip(fit.data.names, fit.variances, strict=True) if not value]
        note = f"REML (random: {', '.join(fit.data.names[:-1])})"
    if not spreads[0].max() > 0:
        raise StatisticsError("the means of all networks and units are equal, and without spread nothing can be tested")
    note += "".join(f"; the variance of {name} is 0" for name in at_zero)
    p_values, halves = p_and_half(np.array(estimate), *spreads, alpha=alpha)
    at, half = int(np.argmax(p_values)), float(halves.max())
    se, df = float(np.sqrt(spreads[0][at])), float(spreads[1][at])
    return Inference(estimate / se, df, float(p_values[at]), estimate - half, estimate + half, note, estimate, se)


def p_and_half(
    estimate: Float64Array, variances: Float64Array, dfs: Float64Array, *, alpha: float
) -> tuple[Float64Array, Float64Array]:
    """Return two-sided p-values of t tests, and half the width of their intervals; everything broadcasts."""
    se = np.sqrt(variances)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(se > 0, np.abs(estimate) / se, np.inf)
    return 2 * stats.t.sf(statistic, dfs), stats.t.ppf(1 - alpha / 2, dfs) * se


def network_components(units: Celled, *, alpha: float = 0.05, draws: int = 9_999, seed: int = 0) -> NetworkComponents:
    """Estimate the variances behind :func:`crossed`.

    Returns
    -------
    NetworkComponents
        Of a complete table the intervals are generalised confidence intervals, from ``draws`` of the mean squares'
        chi-squared variables (Weerahandi 1993, *JASA* 88, 899-905; for this design Burdick, Borror and Montgomery 2005,
        *Design and Analysis of Gauge R&R Studies*). Else that of the variance is Satterthwaite's, and that of the share
        follows from it with the other variances taken for known.

    Raises
    ------
    StatisticsError
        As :func:`crossed`.
    """
    cells = _several(units.cells)
    if cells.complete:
        table = two_way(cells.means)
        rng = np.random.default_rng((seed, 4))
        squares = (table.network, table.unit, table.interaction)
        network, unit, interaction = (
            square * df / rng.chisquare(df, draws) for square, df in zip(squares, table.freedoms, strict=True)
        )
        drawn = replace(table, network=network, unit=unit, interaction=interaction)
        parts = [float(value) for value in table.components]
        share = float(table.network_share)
        tails = [alpha / 2, 1 - alpha / 2]
        limits = [*np.quantile(drawn.components[0], tails), *np.quantile(drawn.network_share, tails)]
    elif cells.alike:
        parts, share, limits = [0.0, float(np.var(_means(cells)[1], ddof=1)), 0.0], 0.0, [NAN] * 4
    else:
        parts, share, limits = _parts_by_reml(cells, alpha)
    numbers = [float(number) for number in (*parts, share, *limits)]
    return NetworkComponents(cells.n_networks, cells.n_units, *numbers)


def _several(cells: NetworkCells | None) -> NetworkCells:
    """Return cells that have a variance between networks and between units."""
    if cells is None or cells.n_networks == 1:
        raise StatisticsError("one network: how much networks differ is unknown; train several (classifier.networks)")
    if cells.n_units == 1:
        raise StatisticsError("one unit: how much units differ is unknown; judge patches of several")
    return cells


def _means(cells: NetworkCells) -> list[Float64Array]:
    """Return the means of networks and of units, each cell counting alike."""
    return [np.nanmean(cells.means, axis=axis) for axis in (1, 0)]


def _one_way(cells: NetworkCells) -> tuple[Float64Array, Float64Array]:
    """Return variances of the estimate and degrees of freedom: networks alone, units alone."""
    one_way = _means(cells)
    return (
        np.array([np.var(means, ddof=1) / means.size for means in one_way]),
        np.array([means.size - 1.0 for means in one_way]),
    )


def _parts_by_reml(cells: NetworkCells, alpha: float) -> tuple[list[float], float, list[float]]:
    """Return the variances of :class:`NetworkComponents`, the share of networks, and the limits of both."""
    fit, total = cells.fit, max(cells.tested.se**2, float(_one_way(cells)[0].max()))
    of = {name: float(value) for name, value in zip(fit.data.names, fit.variances, strict=True)}
    network, unit, patch, cell = (of.get(name, 0.0) for name in ("network", "unit", "patch", "network and unit"))
    sizes = cells.sums.sizes
    rows = float(stats.hmean(sizes[sizes > 0]))
    parts = [network, unit + patch / rows, cell + of["residual"] / rows]
    # the estimate is the best one: as its weights change with a variance, its own does not
    tilted = fit.variances + 1j * _STEP * network * (np.array(fit.data.names) == "network")
    between = float(np.imag(1 / fit.data.products(tilted)[0, 0])) / _STEP
    if not network:
        return parts, 0.0, [NAN] * 4
    limits = fit.variance_limits(alpha)[0]
    shares = 1 / (1 + (total - between) / (between * limits / network))
    return parts, between / total, [*limits, *shares]
