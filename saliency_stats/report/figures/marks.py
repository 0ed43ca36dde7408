"""What the figures of a run have in common: panels by class and magnification, networks' lines, estimates."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliency_stats.report.figures import style
from saliency_stats.report.population import stratum_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import control_words
from saliency_stats.vocabulary import TRAINED

#: Said where no patch is judged.
NOTHING_JUDGED: Final = "no patch of the evaluation split was classified correctly and confidently"
#: Controls are grey and differ by their dashes (on, off, ... in points).
_DASHES: Final[tuple[tuple[float, ...], ...]] = ((4, 2), (1, 1.5), (6, 1.5, 1, 1.5), (2, 3))


class Panel(NamedTuple):
    """A panel of one class at one magnification, and the rows it shows."""

    axes: Axes
    magnification: float
    label: str
    rows: pd.DataFrame


def facets(
    run: Run, table: pd.DataFrame, around_in: float, row_in: float, **shared: Any
) -> tuple[Figure, Any, list[Panel]]:
    """Lay out a panel per class in a row per magnification, coarse to fine; seaborn's facets would need pyplot.

    Parameters
    ----------
    run, table
        What says the order of magnifications and classes, and the rows to be shown (``magnification``, ``label``).
    around_in, row_in
        Height of what surrounds the panels, and of a row of them (in).
    **shared
        For ``Figure.subplots``: whether axes are shared.

    Returns
    -------
    tuple
        The figure, its axes (rows, columns), and the panels in reading order.
    """
    magnifications, labels = strata(run, table)
    figure = style.new_figure(around_in + row_in * len(magnifications))
    grid: Any = figure.subplots(len(magnifications), len(labels), squeeze=False, **shared)
    panels = []
    for line, magnification in zip(grid, magnifications, strict=True):
        for axes, label in zip(line, labels, strict=True):
            own = table[(table["magnification"] == magnification) & (table["label"] == label)]
            panels.append(Panel(axes, magnification, label, own))
            axes.set_title(stratum_words(run, magnification, label))
    return figure, grid, panels


def strata(run: Run, table: pd.DataFrame) -> tuple[list[float], list[str]]:
    """Return the magnifications, coarse to fine, and the classes that a table has."""
    magnifications = [value for value in run.magnifications if (table["magnification"] == value).any()]
    return magnifications, [label for label in run.labels if (table["label"] == label).any()]


def units_known(run: Run) -> bool:
    """Tell whether the unit (slide or patient) of every judged patch is known."""
    return not (run.judged_ledger[run.unit_column] == "").any()


def networks(table: pd.DataFrame) -> list[str]:
    """Return the networks that a table has: the trained one, then the controls by name."""
    return sorted(set(table["model"]), key=lambda model: (model != TRAINED, model))


def control_meaning(run: Run, control: str) -> str:
    """Return a control's name with what it is, in brackets, where that is recorded."""
    return control_words(run.words("controls", control), run.words("controls", control, "is"))


def look(model: str) -> tuple[str, str]:
    """Return the colour and the marker of the trained network, a control, or the difference of the two."""
    if model == TRAINED:
        return style.TRAINED_COLOUR, "o"
    return (style.DIFFERENCE_COLOUR, "D") if model.startswith(f"{TRAINED}-") else (style.CONTROL_COLOUR, "s")


def dashes(models: list[str]) -> dict[str, Any]:
    """Return each network's dashes, as seaborn takes them: the trained network's line is unbroken."""
    controls = [model for model in models if model != TRAINED]
    return {TRAINED: ""} | {model: _DASHES[k % len(_DASHES)] for k, model in enumerate(controls)}


def network_lines(axes: Axes, table: pd.DataFrame, x: str, y: str, models: list[str], width: float = 1.5) -> None:
    """Draw a line per network through the rows of a table, in their order; where `y` is missing, it is interrupted.

    `models` are the networks of the legend, which decide the dashes. seaborn joins what lies at both sides of a
    missing value, so each uninterrupted part is a line of its own.
    """
    parts = table.assign(part=table[y].isna().groupby(table["model"]).cumsum())
    sns.lineplot(
        parts, x=x, y=y, hue="model", style="model", units="part", estimator=None, sort=False, hue_order=models,
        style_order=models, palette={model: look(model)[0] for model in models}, dashes=dashes(models), legend=False,
        linewidth=width, ax=axes,
    )  # fmt: skip
    axes.set(xlabel="", ylabel="")


def network_handles(run: Run, models: list[str], more: Sequence[str] = (), width: float = 1.5) -> list[Line2D]:
    """Return the legend entries of networks' lines, with what `more` there is to say of each."""
    dashed = dashes(models)
    words = ((run.network(model), *filter(None, more[k : k + 1])) for k, model in enumerate(models))
    looks = [(look(model)[0], (0, dashed[model]) if dashed[model] else "-", width) for model in models]
    return [style.line_handle(", ".join(said), *drawn) for said, drawn in zip(words, looks, strict=True)]


def reference(axes: Axes, value: float, which: str = "y") -> None:
    """Mark the value of no preference (or of guessing) by a broken line across ``"x"`` or ``"y"``."""
    mark = axes.axhline if which == "y" else axes.axvline
    mark(value, color=style.QUIET, linestyle="--", linewidth=0.8, zorder=0)


def estimate(
    axes: Axes,
    at: float,
    value: float,
    limits: tuple[float, float],
    *,
    colour: str,
    marker: str,
    size: float = 5.0,
    upright: bool = False,
    hollow: bool = False,
    faint: bool = False,
    edge: str = "",
) -> None:
    """Draw an estimate and, where it has one, its interval.

    Parameters
    ----------
    axes, at, value, limits
        Where to draw: at which place of the other axis, the estimate, and its interval (NaN where there is none).
    colour, marker, size, edge
        Of the mark; the interval has its colour.
    upright, hollow, faint
        Whether the value is on the vertical axis; whether the mark is open (no finding); whether the interval is pale.
    """
    if np.isfinite(limits).all():
        line = ([at, at], limits) if upright else (limits, [at, at])
        axes.plot(*line, color=colour, linewidth=1.5, alpha=0.4 if faint else 1.0, zorder=3)
    point = ([at], [value]) if upright else ([value], [at])
    drawn: dict[str, Any] = {"markerfacecolor": "white" if hollow else colour, "markeredgecolor": edge or colour}
    axes.plot(*point, marker=marker, markersize=size, color=colour, zorder=4, **drawn)
