"""Folds: every group of patches is judged once, by networks that never saw it (cross-validation over groups)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.cohort.patch import USED
from saliency_stats.cohort.splits import assign_splits, grouping, split_obstacles, strata
from saliency_stats.seeds import derive
from saliency_stats.vocabulary import LABELS


@dataclass(frozen=True)
class Folding:
    """How groups of patches (patients, else slides) are dealt out into folds.

    Parameters
    ----------
    folds
        How many; 0 for a study without.
    fractions
        Share of the groups for train, valid and test. Of the groups outside a fold, train and valid get theirs in this
        proportion. Nothing learns where train has none.
    seed
        From which the folds, and the splits of each, are drawn.
    classes
        What messages call the two classes.
    """

    folds: int
    fractions: Mapping[str, float]
    seed: int
    classes: Classes = USUAL_CLASSES

    def dealt(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add the column ``fold`` (1 to ``folds``; empty without folds) and, with folds, the split ``test``.

        A table that names splits of its own stays as it is: :meth:`obstacles` says so.
        """
        used = table["status"] == USED
        fold = pd.Series(pd.NA, index=table.index, dtype="Int64")
        if self.folds and used.any() and not (table.loc[used, "split"] != "").any():
            fold[used] = assign_folds(table[used], self.folds, derive(self.seed, "folds"))
            table = table.assign(split=table["split"].where(~used, "test"))
        names = list(table.columns)
        at = names.index("split") + 1
        return table.assign(fold=fold)[[*names[:at], "fold", *names[at:]]]

    def tables(self, used: pd.DataFrame) -> dict[int, pd.DataFrame]:
        """Return, by fold, the usable patches with the splits of that fold: its own are ``test``.

        Without folds that is the table as it is, under fold 0.
        """
        if not self.folds:
            return {0: used}
        train, valid = self.fractions["train"], self.fractions["valid"]
        shares = {"train": train / (train + valid), "valid": valid / (train + valid), "test": 0.0}
        tables = {}
        for fold in range(1, self.folds + 1):
            outside = used["fold"] != fold
            split = assign_splits(used[outside], shares, derive(self.seed, "folds", fold))
            tables[fold] = used.assign(split=split.reindex(used.index, fill_value="test"))
        return tables

    def obstacles(self, table: pd.DataFrame, evaluation_split: str) -> list[str]:
        """Say everything that keeps a cohort from being trained on or judged; nothing where it can be.

        See :func:`~saliency_stats.cohort.splits.split_obstacles`, which without folds says it.
        """
        used = table[table["status"] == USED]
        if not self.folds or used["label"].nunique() < len(LABELS):
            learned = self.fractions["train"] > 0
            return split_obstacles(table, evaluation_split, classes=self.classes, learned=learned)
        found = [*self._own_splits(used), *self._too_few(used)]
        if found:
            return found
        return [
            f"fold {fold} of {self.folds}: {obstacle}"
            for fold, part in self.tables(used).items()
            for obstacle in split_obstacles(part, "test", "use fewer folds (cohort.folds)", self.classes)
        ]

    def _own_splits(self, used: pd.DataFrame) -> Iterator[str]:
        named = used.loc[used["fold"].isna(), "split"]
        if named.empty:
            return
        numbers = named.value_counts(sort=False).items()
        counts = ", ".join(f"{str(split) or 'none'}: {n} patches" for split, n in numbers)
        yield (
            f"cohort.folds is {self.folds}, which deals patients or slides out by itself, but the table names splits "
            f"({counts}). Empty its column 'split', or set cohort.folds to 0"
        )

    def _too_few(self, used: pd.DataFrame) -> Iterator[str]:
        group = grouping(used)
        for label in LABELS:
            names = sorted(set(group[used["label"] == label]))
            if len(names) < self.folds:
                remedy = f"Set cohort.folds to at most {len(names)}" if len(names) > 1 else "Set cohort.folds to 0"
                yield (
                    f"cohort.folds is {self.folds}, but only {len(names)} groups (patients, else slides) hold usable "
                    f"{self.classes.name(label)!r} patches ({', '.join(names[:10])}); expected one in every fold. "
                    f"{remedy}, or add some"
                )


def assign_folds(table: pd.DataFrame, folds: int, seed: int) -> "pd.Series[int]":
    """Deal groups of patches out into folds, from 1.

    Groups are stratified by their share of malignant patches (none, some, all) and shuffled by ``seed`` as those of
    splits are, then dealt out one after the other. Folds differ by one group at most, in each stratum too; a class
    that as many groups have as there are folds is in every fold.
    """
    group = grouping(table)
    stratum = strata(table, group)
    rng = np.random.default_rng([seed, 0xF01D5])
    # a class is in two neighbouring strata, so that any `folds` groups of it in a row are in as many folds
    order = np.concatenate([rng.permutation(part.index.to_numpy()) for _, part in stratum.groupby(stratum)])
    return group.map(dict(zip(order, np.arange(len(order)) % folds + 1, strict=True)))
