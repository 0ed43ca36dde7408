"""The comparison of several runs as one page with everything inside."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from saliency_stats.report.figures.compare import caption_comparison
from saliency_stats.report.ladder import RUNG_WORDS, hypothesis_words, ladder_rows
from saliency_stats.report.page import embedded, page_template
from saliency_stats.report.run import Run, records
from saliency_stats.report.tables.table import Table
from saliency_stats.report.words import (
    CONTRAST_WORDS,
    MINUS,
    NONE,
    STATUS_WORDS,
    count,
    listing,
    magnification_words,
    number,
    p_words,
    ratio,
    ratio_interval,
    whole,
)
from saliency_stats.statistics import PRIMARY
from saliency_stats.statistics.registry import words_of
from saliency_stats.vocabulary import TRAINED

_NUMBERS: Final = ("Ratio", "Interval", "p", "Adjusted p", "Slides", "Patches")


def render_comparison(
    runs: Mapping[str, Run],
    table: pd.DataFrame,
    sentences: Sequence[str],
    differences: Sequence[tuple[str, ...]],
    picture: Path,
    level: str,
) -> str:
    """Write the page: HTML that loads nothing from anywhere else.

    Parameters
    ----------
    table
        As :func:`~saliency_stats.report.compare.comparison_table` returns it.
    differences
        The keys in which the study files differ, as :func:`~saliency_stats.report.compare.study_differences` returns
        them.
    level
        The intervals' level in words.
    """
    return page_template("comparison.html.j2").render(
        summary=f"{count(len(runs), 'run')}: {', '.join(runs)}.",
        sentences=sentences,
        data=embedded(picture.read_bytes()),
        caption=caption_comparison(level),
        tables=[
            made
            for made in (_primary(table, level), _ladders(runs), _networks(runs, table), _compartments(table))
            if made.rows
        ],
        differences=_studies(runs, differences),
    )


def _primary(table: pd.DataFrame, level: str) -> Table:
    rows = table[(table["contrast"] == PRIMARY) & (table["model"] == TRAINED)]
    cells = [
        (
            *_stratum(row),
            STATUS_WORDS.get(row.verdict, NONE),
            words_of(row.test),
            *_numbers(row),
            number(row.balanced_accuracy, 3),
        )
        for row in records(rows)
    ]
    notes = []
    for (reason, run), found in rows[rows["reason"] != ""].groupby(["reason", "run"], sort=False):
        where = listing(f"{row.label} {magnification_words(row.magnification)}" for row in records(found))
        notes.append(f"{run}, {where}: {reason}.")
    return Table(
        "primary",
        "Saliency density in the cytoplasm against the nuclei, trained network",
        f"Intervals: {level}. {' '.join(notes)}".strip(),
        ("Class", "Magnification", "Run", "Verdict", "Test", *_NUMBERS, "Balanced accuracy"),
        tuple(cells),
        n_text=5,
    )


def _ladders(runs: Mapping[str, Run]) -> Table:
    """Return what each run's verdicts survive, a row per hypothesis and run."""
    found = [(*climbed, name) for name, run in runs.items() for climbed in ladder_rows(run.verdict)]
    found.sort(key=lambda row: (row[0]["label"], row[0]["magnification"]))
    rows = [
        (hypothesis_words(runs[name], verdict), name, STATUS_WORDS.get(verdict["status"], NONE), *answers)
        for verdict, answers, name in found
    ]
    heads = ("Patches", "Run", "Verdict", *RUNG_WORDS.values())
    title = "What each verdict survives"
    return Table("ladder", title, "Each run’s report has the numbers.", heads, tuple(rows), n_text=len(heads))


def _networks(runs: Mapping[str, Run], table: pd.DataFrame) -> Table:
    rows = table[(table["contrast"] == PRIMARY) & (table["model"] != TRAINED)]
    return Table(
        "networks",
        "The same for the controls, and the trained network against them",
        f"Trained {MINUS} control: the ratio of the two ratios.",
        ("Class", "Magnification", "Run", "Network", *_NUMBERS),
        tuple((*_stratum(row), runs[row.run].network(row.model), *_numbers(row)) for row in records(rows)),
        n_text=4,
    )


def _compartments(table: pd.DataFrame) -> Table:
    rows = table[(table["contrast"] != PRIMARY) & (table["model"] == TRAINED)]
    return Table(
        "compartments",
        "The other compartments, trained network",
        "",
        ("Class", "Magnification", "Run", "Contrast", *_NUMBERS),
        tuple(
            (*_stratum(row), CONTRAST_WORDS.get(row.contrast, row.contrast), *_numbers(row)) for row in records(rows)
        ),
        n_text=4,
    )


def _studies(runs: Mapping[str, Run], differences: Sequence[tuple[str, ...]]) -> Table:
    note = "" if differences else "The study files are the same in every key."
    return Table("studies", "Keys whose values differ", note, ("Key", *runs), tuple(differences), n_text=1 + len(runs))


def _stratum(row: Any) -> tuple[str, str, str]:
    return row.label, magnification_words(row.magnification), row.run


def _numbers(row: Any) -> tuple[str, ...]:
    return (
        ratio(row.estimate),
        ratio_interval(row.ci_low, row.ci_high),
        p_words(row.p_value),
        p_words(row.p_adjusted),
        whole(row.n_slides) if row.n_slides else NONE,
        whole(row.n_patches),
    )
