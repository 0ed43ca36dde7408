"""The crossed test: the mean over networks and units, both of which are samples."""

from typing import Final, Protocol

import numpy as np
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.inference import Inference
from saliency_stats.statistics.models.networks import NetworkCells
from saliency_stats.statistics.models.two_way import two_way
from saliency_stats.typing import Float64Array

_UNKNOWN: Final = "how much networks differ is unknown"


class Celled(Protocol):
    """What the test reads of :class:`~saliency_stats.statistics.units.Units`."""

    @property
    def cells(self) -> NetworkCells | None:
        """Values by network and unit; None where there is one network."""


def crossed(units: Celled, *, alpha: float, draws: int = 0, seed: int = 0) -> Inference:  # noqa: ARG001 - draws nothing
    """Test the mean over networks and units against 0, two-sided, both being samples of many.

    Where every network judged every unit it is the balanced closed form on the means of cells; else REML over patches,
    see :func:`~saliency_stats.statistics.models.networks.network_intercepts`. Both have Satterthwaite's degrees of
    freedom, and a variance that is at least that of a one-way analysis over networks, or over units, alone.

    Returns
    -------
    Inference
        The note says which of the two it is, and between what there is no variance.

    Raises
    ------
    StatisticsError
        If there are fewer than two networks or units, nothing varies, or the model cannot be told from the data.
    """
    cells = _several(units.cells)
    if cells.complete:
        table = two_way(cells.means)
        estimate, variance, df = float(table.estimate), float(table.variance), float(table.df)
        at_zero = [
            name for name, square in (("network", table.network), ("unit", table.unit)) if square <= table.interaction
        ]
        note = "balanced closed form"
    else:
        fit = cells.fit
        found = fit.test(np.ones(1), alpha=alpha)
        estimate, variance, df = max(
            (found.estimate, found.se**2, found.df),
            *((found.estimate, *_one_way(cells.means, axis)) for axis in (0, 1)),
            key=lambda one: one[1],
        )
        at_zero = [name for name, value in zip(fit.data.names, fit.variances, strict=True) if not value]
        note = f"REML (random: {', '.join(fit.data.names[:-1])})"
    if not variance > 0:
        raise StatisticsError("the means of all networks and units are equal, and without spread nothing can be tested")
    se = float(np.sqrt(variance))
    half = float(stats.t.ppf(1 - alpha / 2, df)) * se
    note += "".join(f"; the variance of {name} is 0" for name in at_zero)
    p_value = float(2 * stats.t.sf(abs(estimate) / se, df))
    return Inference(estimate / se, df, p_value, estimate - half, estimate + half, note, estimate, se)


def _several(cells: NetworkCells | None) -> NetworkCells:
    """Return cells that have a variance between networks and between units."""
    if cells is None or cells.n_networks == 1:
        raise StatisticsError(f"one network: {_UNKNOWN}; train several (classifier.networks)")
    if cells.n_units == 1:
        raise StatisticsError("one unit: how much units differ is unknown; judge patches of several")
    return cells


def _one_way(means: Float64Array, axis: int) -> tuple[float, float]:
    """Variance of the mean, and its degrees of freedom, from the means over one axis of the cells alone."""
    found = np.nanmean(means, axis=axis)
    return float(np.var(found, ddof=1)) / found.size, found.size - 1.0
