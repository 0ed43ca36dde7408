"""Small pictures of the measured patches, kept for the page on which people look at them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import pandas as pd

from saliency_stats.compartments import to_codes
from saliency_stats.execution.files import atomic
from saliency_stats.imaging.thumbnail import code_thumbnail, image_thumbnail, map_thumbnail
from saliency_stats.measurement.examination import Examination
from saliency_stats.saliency.controls import control_of
from saliency_stats.saliency.maps import MapKey, MapPlan
from saliency_stats.vocabulary import TRAINED

#: So many patches have pictures; of fewer they are larger, so that the page that holds them stays below 60 MB.
MOST_PATCHES: Final = 2_000
#: Pixels of the longer side of each picture: of so many patches, and at most.
_SIDE_PX, _LARGEST_PX = 128, 256
#: Bytes on disk of the pictures of a patch, from above.
PATCH_BYTES: Final = 60_000


@dataclass(frozen=True)
class Thumbnails:
    """Makes pictures of the patches that were drawn.

    Parameters
    ----------
    rank
        By row of the cohort's table, the place of its patch in the order in which patches were drawn, from 0.
    side_px
        Pixels of the longer side of a picture.
    """

    rank: Mapping[int, int]
    side_px: int

    @classmethod
    def drawn(cls, measured: pd.DataFrame, seed: int) -> Self:
        """Draw at most :data:`MOST_PATCHES` rows of the measured patches, all those of a patch or none.

        Every patch has the same chance; which are drawn depends on their ids and the seed alone.
        """
        ids = np.array(sorted(set(measured["patch_id"])), dtype=object)
        order = np.random.default_rng(seed).permutation(len(ids))
        rank = measured["patch_id"].map(dict(zip(ids[order], range(len(ids)), strict=True)))
        rows_up_to = rank.value_counts().sort_index().cumsum()
        chosen = rank[rank.map(rows_up_to) <= MOST_PATCHES]
        side = _SIDE_PX * (MOST_PATCHES / max(len(chosen), 1)) ** 0.5
        return cls({int(str(row)): int(place) for row, place in chosen.items()}, min(int(side), _LARGEST_PX))

    def rows(self, examined: Examination, plan: MapPlan) -> pd.DataFrame:
        """Return a row per patch of the batch that was drawn: of its first network, and of one control beside it."""
        own = next(plan.own(*key) for key in examined.logits if key.model == TRAINED)
        beside = _control_beside(own, examined.maps, plan)
        drawn = [(at, int(row)) for at, row in enumerate(examined.table.index) if int(row) in self.rank]
        return pd.DataFrame(
            {
                "patch_id": examined.table["patch_id"].iloc[at],
                "magnification": examined.table["magnification"].iloc[at],
                "rank": self.rank[row],
                "network": own.network,
                "control": "" if beside is None else beside.model,
                "image": image_thumbnail(examined.patches[at].image, self.side_px),
                "compartments": code_thumbnail(to_codes(examined.segmentations[at].memberships), self.side_px),
                "saliency": map_thumbnail(examined.maps[own].raw[at], self.side_px),
                "control_saliency": b""
                if beside is None
                else map_thumbnail(examined.maps[beside].raw[at], self.side_px),
            }
            for at, row in drawn
        )


def _control_beside(own: MapKey, keys: Iterable[MapKey], plan: MapPlan) -> MapKey | None:
    """Return the map of one control: of one that the figures show, else of the first; None where there is none."""
    shown = {model for control in map(control_of, plan.controls) if control.shown for model in control.models}
    others = [key for key in keys if key.model != TRAINED and (key[1:] == own[1:] or not key.network)]
    return min(others, key=lambda key: key.model not in shown, default=None)


def write_thumbnails(path: Path, parts: Sequence[pd.DataFrame]) -> None:
    """Write the pictures of all batches into one file, in the order in which patches were drawn."""
    table = pd.concat([part for part in parts if not part.empty], ignore_index=True)
    table = table.sort_values(["rank", "magnification"], ignore_index=True)
    with atomic(path) as partial:
        table.to_parquet(partial, index=False)
