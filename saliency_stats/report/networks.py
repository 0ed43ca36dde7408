"""Several networks of one study: their names, what each of them judged, and means over them (pure pandas)."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.statistics import Population, patch_values, primary_population
from saliency_stats.vocabulary import PATCH_KEY, TRAINED

#: Stands in the column ``network`` of metrics for all networks together.
ALL: Final = "all"
_JUDGED: Final = [*PATCH_KEY, "label"]
#: Numbers that say which row it is, not what was measured.
_PLACES: Final = ("magnification", "share")
#: Texts that say nothing of which row it is.
_NOTES: Final = ("network", "status", "relevance_status")


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of networks, each once, by their numbers: "2" before "10", "fold2-1" before "fold10-1"."""
    return tuple(sorted(set(names), key=lambda name: ([int(part) for part in re.findall(r"\d+", name)], name)))


def trained_networks(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Name the trained networks of a run."""
    return in_order(predictions.loc[predictions["model"] == TRAINED, "network"].tolist())


def overall(metrics: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of all networks together, and those of the only network where there is one."""
    together = metrics["network"] == ALL
    key = ["magnification", "model", "split"]
    covered = together.groupby([metrics[name] for name in key]).transform("any")
    return metrics[together | ~covered]


def populations(predictions: pd.DataFrame, min_confidence: float, evaluation_split: str) -> Population:
    """Return the patches that are judged: of several networks those that each got right, with the ``network``."""
    names = trained_networks(predictions)
    found = [
        primary_population(
            predictions[predictions["network"] == name] if len(names) > 1 else predictions,
            min_confidence=min_confidence,
            evaluation_split=evaluation_split,
        )
        for name in names or ("",)
    ]
    if len(found) == 1:
        return found[0]
    parts = ("patches", "unsure", "counts")
    tables = [
        [getattr(one, part).assign(network=name) for name, one in zip(names, found, strict=True)] for part in parts
    ]
    return Population(*(pd.concat(part, ignore_index=True) for part in tables))


def of_judged(table: pd.DataFrame, patches: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of judged patches: of each network those that it judges, of maps of the image those of any.

    A control has as many networks as the trained one, each read on the patches of the network of its name.
    """
    if "network" not in patches:
        return table.merge(patches, on=_JUDGED, how="inner", validate="many_to_one")
    own = table.merge(patches, on=[*_JUDGED, "network"], how="inner", validate="many_to_one")
    of_image = table[table["network"] == ""]
    return pd.concat([own, of_image.merge(patches[_JUDGED].drop_duplicates(), on=_JUDGED)], ignore_index=True)


def averaged(table: pd.DataFrame) -> pd.DataFrame:
    """Average what was measured over the networks, patch by patch; a ratio by its logarithm.

    What is missing, or a ratio that is zero, is left out of the mean of the others.
    """
    measured = [name for name in table.select_dtypes("number") if name not in _PLACES]
    ratios = [name for name in measured if name == "density_ratio"]
    key = [name for name in table if name not in {*measured, *_NOTES}]
    logs = {name: np.log2(table[name].where(table[name] > 0)) for name in ratios}
    how = dict.fromkeys(measured, "mean") | {name: "first" for name in _NOTES[1:] if name in table}
    means = table.assign(**logs).groupby(key, sort=False, dropna=False, as_index=False).agg(how)
    means[ratios] = np.exp2(means[ratios])
    return means[[name for name in table if name in means]]


def contrast_values(ledger: pd.DataFrame, contrast: str) -> pd.DataFrame:
    """Return a contrast (log2) of every patch of a ledger, of each network for itself."""
    found = [patch_values(rows).assign(network=name) for name, rows in ledger.groupby("network", sort=True)] or [
        patch_values(ledger).assign(network="")
    ]
    values = pd.concat(found, ignore_index=True)
    return values[values["contrast"] == contrast].reset_index(drop=True)
