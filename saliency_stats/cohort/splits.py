"""Splits that share no patient and no slide: whole groups are dealt out, stratified by their labels."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.cohort.patch import USED
from saliency_stats.vocabulary import LABELS, SPLITS

#: How to give a split a class that it lacks, where a table may name splits.
NAME_SPLITS: Final = "name the splits in the table's column 'split'"


def grouping(table: pd.DataFrame) -> "pd.Series[str]":
    """Name the group of every patch that must stay together: its patient, else its slide, else itself.

    Patches that share a patient, a slide or an id are in one group, also by way of others: a patch of a slide
    whose patient is named on another line belongs to that patient.
    """
    n = len(table)
    names, owners, nodes = [], [], []
    n_nodes = n
    for word in ("patch", "slide", "patient"):
        ids = table[f"{word}_id"].astype("string").fillna("")
        codes, known = pd.factorize(ids.where(ids != ""), use_na_sentinel=True)
        rows = np.flatnonzero(codes >= 0)
        names.append((f"{word} " + ids).where(ids != ""))
        owners.append(rows)
        nodes.append(n_nodes + codes[rows])
        n_nodes += len(known)
    edges = (np.concatenate(owners), np.concatenate(nodes))
    graph = coo_array((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(n_nodes, n_nodes))
    component = connected_components(graph, directed=False)[1][:n]
    patch, slide, patient = (pd.Series(name, index=table.index).groupby(component).transform("min") for name in names)
    return patient.fillna(slide).fillna(patch)


def assign_splits(table: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> "pd.Series[str]":
    """Deal groups of patches out to the splits.

    Groups are stratified by their share of malignant patches (none, some, all), shuffled by ``seed`` and dealt
    out in that order, so that each split gets its fraction of each stratum, to within one group.

    Parameters
    ----------
    table
        Patches with ``patch_id``, ``slide_id``, ``patient_id``, ``label``.
    fractions
        Share of the groups for train, valid and test, summing to 1.
    seed
        Seed of the shuffle. Neither the order of the rows nor the number of patches per group matters.
    """
    group = grouping(table)
    stratum = strata(table, group)
    rng = np.random.default_rng([seed, 0x5B1175])
    bounds = np.cumsum([fractions[split] for split in SPLITS])
    assigned: dict[str, str] = {}
    for _, members in stratum.groupby(stratum):
        order = rng.permutation(members.index.to_numpy())
        # the middle of the i-th of n equal pieces decides: every split gets its share, rounded to the nearest
        position = np.searchsorted(bounds, (np.arange(len(order)) + 0.5) / len(order), side="right")
        assigned |= {name: SPLITS[min(index, len(SPLITS) - 1)] for name, index in zip(order, position, strict=True)}
    return group.map(assigned)


def strata(table: pd.DataFrame, group: "pd.Series[str]") -> "pd.Series[int]":
    """Say of every group, sorted by name, whether none (0), some (1) or all (2) of its patches are malignant."""
    malignant = table["label"].eq(LABELS[1]).groupby(group).mean().sort_index()
    return malignant.gt(0).astype(int) + malignant.eq(1)


def with_splits(table: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> pd.DataFrame:
    """Give usable patches their splits, where the table names none; a table that names them stays as it is."""
    used = table["status"] == USED
    if not used.any() or (table.loc[used, "split"] != "").any():
        return table
    return table.assign(split=assign_splits(table[used], fractions, seed).reindex(table.index, fill_value=""))


def split_obstacles(
    table: pd.DataFrame,
    evaluation_split: str,
    remedy: str = NAME_SPLITS,
    classes: Classes = USUAL_CLASSES,
    *,
    learned: bool = True,
) -> list[str]:
    """Say everything that keeps a cohort from being trained on or judged; nothing where it can be.

    A class that no patch has is missing from every split: causes are said, and not what follows from them. ``remedy``
    helps where a split lacks a class, beside more patches and other fractions; ``classes`` have their names. Without
    anything that is ``learned`` no patch need be one to train on.

    Returns
    -------
    list of str
        Each names the split, the class or the group, and the remedy.
    """
    used = table[table["status"] == USED]
    if used.empty:
        if table.empty:
            return ["the cohort holds no patch; expected patches of both classes"]
        reasons = table["status"].value_counts()
        listed = "; ".join(f"{count} × {reason}" for reason, count in reasons.head(10).items())
        more = f"; and {len(reasons) - 10} other reasons" if len(reasons) > 10 else ""  # noqa: PLR2004  (as many as are listed)
        return [f"none of the {len(table)} patches can be used ({listed}{more})"]
    leaks = [*_leaks(used)]
    present = set(used["label"])
    absent = [label for label in LABELS if label not in present]
    if absent:
        lacking = (
            f"every one of the {len(used)} usable patches is {classes.name(present.pop())!r}, none is "
            f"{classes.name(absent[0])!r}; both classes are needed to train a classifier and to judge it. Add patches "
            "of the other class"
        )
        return [lacking, *leaks]
    splits = dict.fromkeys(("train", evaluation_split) if learned else (evaluation_split,))
    return [*_classes_of_splits(used, splits, remedy, classes), *leaks]


def _classes_of_splits(used: pd.DataFrame, splits: Iterable[str], remedy: str, classes: Classes) -> Iterator[str]:
    for magnification, part in used.groupby("magnification"):
        for split in splits:
            counts = part.loc[part["split"] == split, "label"].value_counts()
            absent = " and no ".join(repr(classes.name(label)) for label in LABELS if counts.get(label, 0) == 0)
            if absent:
                yield (
                    f"the {split} split at {magnification:g}× holds no usable {absent} patch ({int(counts.sum())} "
                    f"patches in that split, {len(part)} in all); expected some of both classes. Add patches (or "
                    f"slides), {remedy}, or change cohort.fractions"
                )


def _leaks(used: pd.DataFrame) -> Iterator[str]:
    group, pixels = grouping(used), ["magnification", "sha256"]
    # inspection left copies out; should there be any, one of them may not teach what another one judges
    copied = used[used.duplicated(pixels, keep=False)]
    copies = copied.groupby(pixels)["patch_id"].transform(lambda ids: f"patches {', '.join(ids)}")
    for rows, whose, what, remedy in (
        (used, group, "patches", "Give all patches of a slide (and patient) the same split"),
        (copied, copies, "the same pixels", "Leave all but one of the copies out"),
    ):
        leaking = rows["split"].groupby(whose).nunique()
        leaking = leaking[leaking > 1]
        if leaking.empty:
            continue
        names = [str(name) for name in leaking.index[:10]]
        found = ", ".join(sorted(set(rows.loc[whose.isin(names), "split"])))
        more = f" and {len(leaking) - len(names)} more" if len(leaking) > len(names) else ""
        yield (
            f"{', '.join(names)}{more}: {what} in more than one split ({found}). A classifier would be judged on "
            f"slides it has seen. {remedy}"
        )
