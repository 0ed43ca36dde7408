"""The division of a study's patches into batches, each of which can be measured anywhere, and again."""

from dataclasses import dataclass

import pandas as pd

from saliency_stats.cohort.patch import USED


@dataclass(frozen=True)
class Batch:
    """A batch of patches of one slide, one split and fold, one magnification and one image size.

    Parameters
    ----------
    name
        Name under which its tables are stored.
    rows
        Rows of the cohort's table.
    magnification
        Which network looks at them.
    measured
        Whether saliency is measured, or only the trained networks' predictions.
    fold
        Whose networks look at them; 0 in a study without folds.
    """

    name: str
    rows: tuple[int, ...]
    magnification: float
    measured: bool
    fold: int = 0

    @property
    def place(self) -> tuple[float, int]:
        """Where the networks that look at them are found: magnification and fold."""
        return self.magnification, self.fold


def batches_of(table: pd.DataFrame, evaluation_split: str, size: int) -> list[Batch]:
    """Divide the usable patches into batches: one magnification, split, fold, slide and image size each.

    The division depends on the table alone, so that every run of a study computes the same batches.
    """
    used = table[table["status"] == USED]
    used = used.assign(fold=used["fold"].fillna(0).astype(int))
    keys = ["magnification", "split", "fold", "slide_id", "height_px", "width_px"]
    batches: list[Batch] = []
    for (magnification, split, fold, *_), part in used.groupby(keys, sort=True):
        scale = float(str(magnification))
        rows = [int(row) for row in part.index]
        for start in range(0, len(rows), size):
            batches.append(
                Batch(
                    name=f"{len(batches):06d}",
                    rows=tuple(rows[start : start + size]),
                    magnification=scale,
                    measured=split == evaluation_split,
                    fold=int(str(fold)),
                )
            )
    return batches
