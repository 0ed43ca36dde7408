"""The primary contrast asked otherwise, and what varies in it: networks, slides, missing patches."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.report import queries
from saliency_stats.report.run import Run, records
from saliency_stats.report.tables.table import Table, of_labels
from saliency_stats.report.words import (
    NONE,
    check_words,
    magnification_words,
    number,
    p_words,
    percent,
    ratio,
    ratio_interval,
    whole,
)
from saliency_stats.statistics import PRIMARY
from saliency_stats.statistics.selection import ALL_PATCHES
from saliency_stats.vocabulary import TRAINED

_STRATUM: Final = ["magnification", "label", "method", "reduction"]


def check_tables(run: Run) -> tuple[Table, ...]:
    """Return the tables that have rows."""
    return tuple(table for make in (networks_table, checks_table) if (table := make(run)).rows)


def networks_table(run: Run) -> Table:
    """Return, of several networks, how much of the primary contrast varies between them and between slides."""
    rows = of_labels(run, run.by_deciding_test(run.own_contrasts[run.own_contrasts["contrast"] == PRIMARY]))
    cells = [
        (
            magnification_words(row.magnification),
            row.label,
            run.network(row.model),
            whole(row.n_networks),
            ratio(row.estimate),
            ratio_interval(row.ci_low, row.ci_high),
            *(number(np.sqrt(value), 3) for value in (row.var_network, row.var_unit, row.var_interaction)),
            percent(row.network_share, 0),
            p_words(row.p_adjusted),
            number(row.df, 1),
        )
        for row in records(run.named(rows[rows["n_networks"] > 1]))
    ]
    return Table(
        "networks",
        "Networks as a sample",
        f"Networks and {run.unit}s are both samples, so the interval is that of further networks too. SD: standard"
        f" deviation (log2) between networks, between {run.unit}s, and of {run.unit}s within a network. Share: how much"
        " of the variance of the estimate lies between networks.",
        (
            *("Magnification", "Class", "Network", "Networks", "Ratio", f"{run.confidence_percent} interval"),
            *("SD networks", f"SD {run.unit}s", "SD both", "Share", "Adjusted p", "df"),
        ),
        tuple(cells),
        n_text=3,
    )


def checks_table(run: Run) -> Table:
    """Return the primary contrast of the trained network beside what selection, place and picture make of it."""
    rows = run.contrasts
    own = (rows["model"] == TRAINED) & (rows["method"] == run.method) & (rows["reduction"] == run.reduction)
    rows = of_labels(run, rows[own])
    asked = (rows["contrast"] == PRIMARY) | (rows["contrast"].map(check_words) != "")
    everywhere = rows["population"] == ALL_PATCHES
    judged = queries.one_test(rows[asked & ~everywhere], *run.tests)
    all_patches = queries.one_test(rows[(rows["contrast"] == PRIMARY) & everywhere], *run.tests)
    cells = []
    for stratum, found in judged.groupby(_STRATUM, sort=False):
        primary = found[found["contrast"] == PRIMARY]
        beside = all_patches[(all_patches[_STRATUM] == list(stratum)).all(axis=1)]
        others = found[found["contrast"] != PRIMARY]
        lines = [
            *(_line("judged patches", row) for row in records(primary)),
            *(_line("all test patches", row) for row in records(beside)),
            *(_line(check_words(row.contrast), row) for row in records(others)),
            *(line for row in records(primary) for line in _weighted_and_bounds(run, row)),
        ]
        where = (magnification_words(stratum[0]), run.classes.name(str(stratum[1])))
        cells += [(*where, *line) for line in lines] if len(lines) > 1 else []
    return Table(
        "checks",
        "The same contrast, asked otherwise",
        "All test patches: also those that the classifier got wrong or was unsure of. Centred: less the mean over all"
        " shifts of the map over the same tissue, which takes away what small compartments do to a ratio. At equal"
        " edges, eosin and the like: cytoplasm and nuclei compared where the picture is alike; beyond the picture: less"
        f" what the picture’s own map gives there. Weighted: {run.unit}s with few patches count less. Missing patches:"
        " the limits between which they could move the estimate.",
        (
            "Magnification",
            "Class",
            "Asked",
            "Ratio",
            "Interval",
            "p",
            "Adjusted p",
            f"{run.unit.capitalize()}s",
            "Patches",
        ),
        tuple(cells),
        n_text=3,
    )


def _line(words: str, row: Any) -> tuple[str, ...]:
    tested = (p_words(row.p_value), p_words(row.p_adjusted))
    numbers = (whole(row.n_units) if row.n_units else NONE, whole(row.n_patches))
    return (words, ratio(row.estimate), ratio_interval(row.ci_low, row.ci_high), *tested, *numbers)


def _weighted_and_bounds(run: Run, row: Any) -> Iterator[tuple[str, ...]]:
    if np.isfinite(row.weighted_estimate):
        units = number(row.n_effective_units, 1)
        words = f"weighted by what a {run.unit} tells"
        yield (words, ratio(row.weighted_estimate), NONE, NONE, NONE, f"{units} effective", whole(row.n_patches))
    if row.n_missing and np.isfinite(row.bound_low) and np.isfinite(row.bound_high):
        limits = ratio_interval(row.bound_low, row.bound_high)
        yield ("with the missing patches, at most", NONE, limits, NONE, NONE, NONE, f"{whole(row.n_missing)} missing")


def reach_words(run: Run, row: Any, table: pd.DataFrame) -> str:
    """Say that a row could not have been significant, and why; "" where it could, or where that is not known."""
    if not row.p_attainable >= run.alpha:
        return ""
    together = table[(table["family"] == row.family) & (table["test"] == row.test)]
    together = together[together["population"] != ALL_PATCHES]
    hypotheses = "1 hypothesis" if len(together) == 1 else f"{len(together)} hypotheses"
    return f"could not have been found with {whole(row.n_units)} {row.unit or run.unit}s and {hypotheses}"
