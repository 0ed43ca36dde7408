"""The benchmark as one page with everything inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.report.page import embedded, page_template
from saliency_stats.report.run import Run, records
from saliency_stats.report.tables.importance import importance_cells
from saliency_stats.report.tables.table import Table
from saliency_stats.report.words import architecture_words, count, interval, magnification_words, number, whole
from saliency_stats.statistics.agreement import ATTRIBUTION, CONTROL, ITEM, RANDOM, REFERENCE, REPLACEMENT, TRUTH
from saliency_stats.statistics.benchmark import ALL_SIGNALS, overall
from saliency_stats.vocabulary import ALL_NETWORKS, TRAINED

_REFERENCES: Final = {TRUTH: "the importance itself", RANDOM: "drawn by chance"}
_CAPTIONS: Final = {
    "maps": (
        "How well maps tell what networks use. Within each slide the density of the saliency in a compartment is ranked"
        " against that of the importance, which is known because the same phantom was drawn again with the compartment"
        " as in the other class. Dashed: what chance gives. Large marks: all cohorts, with intervals over networks and"
        " slides; small ones: each cohort. Grey squares: maps of the picture alone; diamonds: what the truth itself and"
        " chance would get."
    ),
    "replacements": (
        "How close replacing a compartment comes to drawing it as the other class, by the fall of the logit. Grey: a"
        " random region of the same size and shape."
    ),
}


@dataclass(frozen=True)
class Words:
    """What methods and controls are called, by their names, and the level of the intervals."""

    names: Mapping[str, str]
    level: str

    @classmethod
    def of_run(cls, run: Run) -> "Words":
        """Take them from the record of a run."""
        known = {name: run.words(kind, name) for kind in ("controls", "methods") for name in run.recorded(kind)}
        return cls(known, run.confidence_percent)

    def of(self, row: Any) -> str:
        """Say what a row of ``benchmark.csv`` is of."""
        method = _REFERENCES[row.method] if row.kind == REFERENCE else self.names.get(row.method, row.method)
        if row.model in {TRAINED, row.method}:
            return method
        return f"{method} ({self.names.get(row.model, row.model)})"


def render_benchmark(
    runs: Sequence[Run],
    table: pd.DataFrame,
    used: pd.DataFrame,
    stable: pd.DataFrame,
    sentences: Sequence[str],
    pictures: Mapping[str, Path],
    words: Words,
) -> str:
    """Write the page: HTML that loads nothing from anywhere else; reports of the runs are linked to.

    Parameters
    ----------
    table, used, stable
        ``benchmark.csv``, ``importance.csv`` and ``stability.csv``.
    pictures
        PNGs by the name of what they show.
    """
    first = runs[0].settings
    networks = count(first.classifier.networks, "network")
    tables = (
        *(make(table, words) for make in (_maps, _replacements, _cohorts)),
        _used(used, runs[0]),
        _networks(table),
        _stability(stable),
    )
    return page_template("benchmark.html.j2").render(
        summary=f"{count(len(runs), 'cohort')} of phantoms, each with {networks}"
        f" ({architecture_words(first.classifier.architecture)}).",
        sentences=sentences,
        figures=[
            {
                "name": name,
                "data": embedded(path.read_bytes()),
                "caption": _CAPTIONS[name],
            }
            for name, path in pictures.items()
        ],
        tables=[made for made in tables if made.rows],
    )


def _ordered(rows: pd.DataFrame, kinds: Sequence[str]) -> pd.DataFrame:
    rows = rows[rows["kind"].isin(kinds)]
    return rows.assign(order=rows["kind"].map(list(kinds).index)).sort_values(
        ["order", "rank_correlation"], ascending=[True, False], kind="stable"
    )


def _limits(row: Any, score: str) -> tuple[str, str]:
    value, low, high = (getattr(row, f"{score}{end}") for end in ("", "_low", "_high"))
    return number(value), interval(low, high)


def _maps(table: pd.DataFrame, words: Words) -> Table:
    every = overall(table[table["relative_error"].isna()])
    cells = [
        (
            words.of(row),
            row.kind,
            *_limits(row, "rank_correlation"),
            *_limits(row, "beyond_edges"),
            *_limits(row, "densest_is_most_important"),
            number(row.mass_correlation),
            number(row.sign_errors),
            number(row.gradients, 1),
            number(1000 * row.seconds_per_patch, 1),
        )
        for row in records(_ordered(every, (ATTRIBUTION, CONTROL, REFERENCE)))
    ]
    return Table(
        "maps",
        "Which maps tell what networks use",
        f"Over all cohorts; intervals: {words.level}, over networks and slides. Beyond edges: the rank correlation less"
        " that of the Sobel map of the same patches. Densest: how often the compartment with the densest saliency has"
        " the densest importance. Mass: the rank correlation of shares, in which the size of a compartment counts on"
        " both sides, so that every map has some. Wrong sign: of maps that add up to a change of the logit.",
        (
            *("Map", "Kind", "Rank correlation", "Interval", "Beyond edges", "Interval", "Densest", "Interval", "Mass"),
            *("Wrong sign", "Gradients", "ms per patch"),
        ),
        tuple(cells),
        n_text=2,
    )


def _replacements(table: pd.DataFrame, words: Words) -> Table:
    every = overall(table[table["relative_error"].notna()])
    cells = [
        (
            words.of(row),
            *(text for score in ("rank_correlation", "sign_errors", "relative_error") for text in _limits(row, score)),
            whole(row.n_patches),
        )
        for row in records(_ordered(every, (REPLACEMENT, CONTROL)))
    ]
    return Table(
        "replacements",
        "Which replacement comes closest to drawing again",
        "Of the patches whose class the network gives at least the study's least probability. Error: the mean absolute"
        " difference of the falls over the mean importance; 1 is what doing nothing would get.",
        (
            *("Replacement", "Rank correlation", "Interval", "Wrong sign", "Interval", "Error", "Interval"),
            "Patches",
        ),
        tuple(cells),
        n_text=1,
    )


def _cohorts(table: pd.DataFrame, words: Words) -> Table:
    rows = table[(table["network"] == ALL_NETWORKS) & (table["signal"] != ALL_SIGNALS)]
    names = [
        f"{signal} {magnification_words(at)}" for signal, at in zip(rows["signal"], rows["magnification"], strict=True)
    ]
    wide = rows.assign(cohort=names).pivot_table("rank_correlation", list(ITEM), "cohort", "first")
    columns = [name for name in dict.fromkeys(names) if name in wide]
    every = records(_ordered(overall(table), (ATTRIBUTION, CONTROL, REFERENCE, REPLACEMENT)))
    cells = [
        (words.of(row), row.kind, *(number(float(wide.loc[key, name])) for name in columns))
        for row in every
        if (key := tuple(getattr(row, name) for name in ITEM)) in wide.index
    ]
    if len(columns) == 1:  # the same as over all cohorts
        cells = []
    title = "Rank correlation in each cohort"
    return Table("cohorts", title, "", ("Map or replacement", "Kind", *columns), tuple(cells), n_text=2)


def _used(used: pd.DataFrame, run: Run) -> Table:
    cells = [
        (row.signal, *importance_cells(run, row), f"{row.largest_in} of {row.n_networks}") for row in records(used)
    ]
    return Table(
        "importance",
        "What the networks use",
        "The fall of the log-odds of the patch’s class when a compartment alone is drawn as in the other class, over"
        f" slides and networks ({run.confidence_percent} intervals). Size: the mean change whatever its sign. Most: in"
        " how many networks no other compartment has a larger size.",
        ("Signal", "Magnification", "Class", "Compartment", "Importance", "Interval", "Size", "Most"),
        tuple(cells),
        n_text=4,
    )


def _networks(table: pd.DataFrame) -> Table:
    rows = table[table["network"] != ALL_NETWORKS].drop_duplicates(["signal", "magnification", "network"])
    cells = [
        (
            row.signal,
            magnification_words(row.magnification),
            row.network,
            "yes" if row.learned else "no: left out above",
            number(row.balanced_accuracy),
        )
        for row in records(rows)
    ]
    heads = ("Signal", "Magnification", "Network", "Learned", "Balanced accuracy")
    return Table("networks", "The networks", "On test patches.", heads, tuple(cells), n_text=4)


def _stability(stable: pd.DataFrame) -> Table:
    cells = [
        (
            row.signal,
            magnification_words(row.magnification) if np.isfinite(row.magnification) else ALL_SIGNALS,
            number(row.rank_correlation),
            number(row.lowest),
            whole(row.n_networks),
            whole(row.n_methods),
        )
        for row in records(stable)
    ]
    return Table(
        "stability",
        "Would other networks order the methods alike?",
        "Spearman's correlation of the methods' scores in one half of the networks with those in the other: the mean"
        " over the ways to halve them, and the lowest.",
        ("Signal", "Magnification", "Rank correlation", "Lowest", "Networks", "Methods"),
        tuple(cells),
        n_text=2,
    )
