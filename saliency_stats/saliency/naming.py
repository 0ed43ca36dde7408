"""The names of a study's networks, and what follows from a name: files and seeds."""

from typing import NamedTuple

import pandas as pd

from saliency_stats.seeds import derive
from saliency_stats.vocabulary import ONE_NETWORK


class NetworkKey(NamedTuple):
    """Which network: what it is (``trained`` or a control), and which of the study's networks it is or belongs to."""

    model: str
    network: str


def network_names(networks: int, fold: int = 0) -> tuple[str, ...]:
    """Name the networks that judge a fold; fold 0 is a study without folds."""
    return tuple(f"fold{fold}-{number}" if fold else str(number) for number in range(1, networks + 1))


def folds_of(folds: int) -> tuple[int, ...]:
    """Return the numbers of the folds, from 1; a study without folds has fold 0 alone."""
    return tuple(range(1, folds + 1)) or (0,)


def first_networks(table: pd.DataFrame) -> pd.DataFrame:
    """Keep, of rows with a ``network``, those of the first one of every fold, and of maps of the image alone."""
    return table[table["network"].isin(["", ONE_NETWORK]) | table["network"].str.fullmatch(r"fold\d+-1")]


def stem_of(model: str, network: str) -> str:
    """Say what a network's files are called."""
    return model if network == ONE_NETWORK else f"{model}-{network}"


def network_seed(seed: int, use: str, *names: str | float, network: str) -> int:
    """Derive the seed of a use of chance by one network."""
    return derive(seed, use, *names, *(() if network == ONE_NETWORK else (network,)))
