"""Panels by class and magnification: their order, their rows of a table, what is written around them."""

from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from saliency_stats.report.figures.style import WIDTH_IN, new_figure
from saliency_stats.report.population import stratum_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import begun

Stratum = tuple[float, str]


class Facet(NamedTuple):
    """The panels of one magnification and class, the rows they show, and those of all classes at the magnification."""

    axes: Any
    stratum: Stratum
    rows: pd.DataFrame
    beside: pd.DataFrame


def in_order(known: Iterable[Any], present: Iterable[Any]) -> list[Any]:
    """Return what is present, each once: first what is known, in its order, then the others, sorted."""
    found = set(present)
    return [name for name in dict.fromkeys([*known, *sorted(found)]) if name in found]


def strata(run: Run, table: pd.DataFrame) -> dict[Stratum, pd.DataFrame]:
    """Return a table's rows by magnification, coarse to fine, and class, in reading order; none is empty."""
    found = {(at, label): of_stratum(table, (at, label)) for at in run.magnifications for label in run.labels}
    return {stratum: rows for stratum, rows in found.items() if len(rows)}


def of_stratum(table: pd.DataFrame, stratum: Stratum) -> pd.DataFrame:
    """Return the rows of one magnification and class."""
    return table[(table["magnification"] == stratum[0]) & (table["label"] == stratum[1])]


def place_words(run: Run, stratum: Stratum) -> str:
    """Return "Benign, 20×", which begins a sentence of a caption."""
    return begun(run.place(*stratum))


def facets(
    run: Run,
    table: pd.DataFrame,
    height_in: float,
    *,
    around_in: float = 0.55,
    width_in: float = WIDTH_IN,
    beside: str = "",
    below: Sequence[str] = ("",),
    **grid: Any,
) -> tuple[Figure, list[Facet]]:
    """Lay out a row of panels per magnification and a column per class; seaborn's facets would need pyplot.

    The height is that of one magnification, with what is ``around_in`` all of them. Where ``grid`` (as
    :meth:`matplotlib.figure.Figure.subplots` takes it) has several ``width_ratios`` or ``height_ratios``, a stratum has
    as many panels, the first with its title. They are returned in reading order. What the values are is written
    ``beside`` the leftmost panels, and ``below`` the lowest (for each panel of a stratum).
    """
    magnifications = in_order(run.magnifications, table["magnification"])
    labels = in_order(run.labels, table["label"])
    down, across = grid.pop("height_ratios", [1.0]), grid.pop("width_ratios", [1.0])
    grid |= {"height_ratios": down * len(magnifications), "width_ratios": across * len(labels), "squeeze": False}
    figure = new_figure(len(magnifications) * height_in + around_in, width_in)
    axes = figure.subplots(len(grid["height_ratios"]), len(grid["width_ratios"]), **grid)
    for first in axes[:: len(down), 0]:
        first.set_ylabel(beside)
    for last, words in zip(axes[-1], cycle(below), strict=False):
        last.set_xlabel(words)
    found = []
    for j, at in enumerate(magnifications):
        for k, label in enumerate(labels):
            own = axes[j * len(down) : (j + 1) * len(down), k * len(across) : (k + 1) * len(across)].ravel()
            own[0].set_title(stratum_words(run, at, label))
            same = table[table["magnification"] == at]
            found.append(Facet(own, (at, label), same[same["label"] == label], same))
    return figure, found
