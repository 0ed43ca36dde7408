"""The shape of a report's table, and what all tables share."""

from dataclasses import dataclass

import pandas as pd

from saliency_stats.report.run import Run


@dataclass(frozen=True)
class Table:
    """A table of text.

    Parameters
    ----------
    name
        Stem of its file.
    title, note
        What stands above and below it.
    columns
        Headings.
    rows
        Cells, one text per column.
    n_text
        How many of the first columns are text; the others are numbers and stand to the right.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_text: int


def of_labels(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of the classes that the cohort has."""
    return rows[rows["label"].isin(run.labels)]


def place_of(run: Run, magnification: float) -> int:
    """Return the place of a magnification from coarse to fine; unknown ones come last."""
    known = list(run.magnifications)
    return known.index(magnification) if magnification in known else len(known)
