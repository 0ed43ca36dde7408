"""Several networks of one study: their names, and means over them (pure pandas)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.statistics.averaged import log2_positive
from saliency_stats.vocabulary import TRAINED, network_order

#: Numbers that say which row it is, not what was measured.
_PLACES: Final = ("magnification", "share")
#: Texts that say nothing of which row it is.
_NOTES: Final = ("network", "status", "relevance_status")


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of networks, each once, by their numbers."""
    return tuple(sorted(set(names), key=network_order))


def trained_networks(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Name the trained networks of a run."""
    return in_order(predictions.loc[predictions["model"] == TRAINED, "network"].tolist())


def averaged(table: pd.DataFrame) -> pd.DataFrame:
    """Average what was measured over the networks, patch by patch; a ratio by its logarithm.

    What is missing, or a ratio that is zero, is left out of the mean of the others.
    """
    measured = [name for name in table.select_dtypes("number") if name not in _PLACES]
    ratios = [name for name in measured if name == "density_ratio"]
    key = [name for name in table if name not in {*measured, *_NOTES}]
    logs = {name: log2_positive(table[name]) for name in ratios}
    how = dict.fromkeys(measured, "mean") | {name: "first" for name in _NOTES[1:] if name in table}
    means = table.assign(**logs).groupby(key, sort=False, dropna=False, as_index=False).agg(how)
    means[ratios] = np.exp2(means[ratios])
    return means[[name for name in table if name in means]]
