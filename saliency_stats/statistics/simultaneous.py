"""Intervals that cover a whole family of hypotheses at once."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from saliency_stats.statistics.contrasts import Sampled
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.registry import infer, tests_of


def rows_of(samples: Iterable[Sampled]) -> Iterator[tuple[Sampled, list[str], slice]]:
    """Yield each sample with its tests, and where in a table of all samples their rows are."""
    end = 0
    for sample in samples:
        names = tests_of(sample.units)
        yield sample, names, slice(end, end := end + len(names))


def with_simultaneous_intervals(
    table: pd.DataFrame, samples: Sequence[Sampled], together: Sequence[str], settings: StatisticsParameters
) -> pd.DataFrame:
    """Test each sample again at the level that its family leaves to one hypothesis (Dunn 1961, *JASA* 56, 52-64).

    Parameters
    ----------
    table : DataFrame
        For every sample, in order, one row per test of :func:`tests_of`; only what is ``tested`` belongs to a family.
    together : sequence of str
        Columns that together name a family and its test.

    Returns
    -------
    DataFrame
        With the columns ci_low_simultaneous and ci_high_simultaneous, empty where nothing was tested.
    """
    tested = table["status"] == "tested"
    sizes = tested.groupby([table[name] for name in together]).transform("sum").to_numpy()
    own = table[["ci_low", "ci_high"]].to_numpy(dtype=np.float64)
    limits = np.full((len(table), 2), NAN)
    for sample, names, rows in rows_of(samples):
        possible, size = tested.to_numpy()[rows], int(sizes[rows].max())
        if not possible.any():
            continue
        again = own[rows] if size == 1 else _intervals(sample, names, settings, settings.alpha / size)
        limits[rows][possible] = again[possible]
    return table.assign(ci_low_simultaneous=limits[:, 0], ci_high_simultaneous=limits[:, 1])


def _intervals(sample: Sampled, names: Sequence[str], settings: StatisticsParameters, alpha: float) -> np.ndarray:
    results = (
        infer(test, sample.units, sample.obstacle, alpha=alpha, draws=settings.bootstrap_draws, seed=settings.seed)
        for test in names
    )
    return np.array([(result.ci_low, result.ci_high) for result in results])
