"""The training patches that expected gradients take for baselines: never one that is judged."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from saliency_stats.cohort.patch import Cohort
from saliency_stats.seeds import derive
from saliency_stats.typing import UInt8Array

#: Training patches of a network that are at hand; a patch's own seed draws from them.
MOST: Final = 64


class Place(NamedTuple):
    """Where a reference serves: beside patches of its magnification and size, for the networks of its fold."""

    magnification: float
    fold: int
    height_px: int
    width_px: int


def draw_references(tables: Mapping[int, pd.DataFrame], seed: int, most: int = MOST) -> dict[Place, tuple[int, ...]]:
    """Draw the rows of training patches, without regard to their class.

    Parameters
    ----------
    tables
        By fold, the usable patches with the splits of that fold.
    seed
        The same seed draws the same patches.
    most
        How many at most of each place.

    Returns
    -------
    dict
        Rows of the cohort's table, rising.
    """
    drawn = {}
    for place, rows in _places(tables, "train"):
        rng = np.random.default_rng(derive(seed, "references", *place))
        drawn[place] = tuple(sorted(rng.permutation(rows)[:most].tolist()))
    return drawn


def without_references(tables: Mapping[int, pd.DataFrame], evaluation_split: str) -> Iterator[str]:
    """Say which judged patches have no training patch like them."""
    trained = {place for place, _ in _places(tables, "train")}
    for place, rows in _places(tables, evaluation_split):
        if place not in trained:
            fold = f" of fold {place.fold}" if place.fold else ""
            yield (
                f"there is no training patch{fold} of {place.height_px} × {place.width_px} px at "
                f"{place.magnification:g}×, of which baselines could be drawn for {len(rows)} judged ones"
            )


def _places(tables: Mapping[int, pd.DataFrame], split: str) -> Iterator[tuple[Place, Any]]:
    for fold, table in tables.items():
        part = table[table["split"] == split]
        groups: Iterable[Any] = part.groupby(["magnification", "height_px", "width_px"])
        for (magnification, height, width), rows in groups:
            yield Place(float(magnification), fold, int(height), int(width)), rows.index.to_numpy()


@dataclass(frozen=True, eq=False)
class References:
    """Reads the training patches of a place; those of the last one are kept.

    Parameters
    ----------
    cohort
        Where they are read.
    drawn
        Of :func:`draw_references`.
    """

    cohort: Cohort
    drawn: Mapping[Place, tuple[int, ...]]
    _kept: dict[Place, UInt8Array] = field(default_factory=dict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # another process reads its own
        return type(self), (self.cohort, self.drawn)

    def at(self, place: Place) -> UInt8Array:
        """Return the images (R, H, W, 3) for patches of a place."""
        with self._lock:
            if place not in self._kept:
                images = np.stack([self.cohort.read(row).image for row in self.drawn[place]])
                self._kept.clear()
                self._kept[place] = images
            return self._kept[place]
