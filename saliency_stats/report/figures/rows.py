"""What the figures of many estimates share: panels by magnification and class, and marks with a table's intervals."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from saliency_stats.report.figures.style import QUIET, WIDTH_IN, new_figure, ratio_axis
from saliency_stats.report.run import Run
from saliency_stats.report.words import magnification_words

#: Width (in) of figures whose rows have long names.
WIDE_IN: Final = 8.4
#: Ticks that a narrow panel has room for.
_MOST_TICKS: Final = 6
#: An axis of ratios reaches at least this far (log2) to both sides of no preference.
_LEAST_REACH: Final = 0.1

Stratum = tuple[float, str]


class Look(NamedTuple):
    """How one kind of estimate is drawn: its mark, with its size (points²), and the width of its interval's line."""

    colour: str
    marker: str
    size: float = 21.0
    line: float = 1.3


def strata(run: Run, table: pd.DataFrame) -> list[Stratum]:
    """Return the magnifications, coarse to fine, and classes that a table has rows of, in reading order."""
    present = set(zip(table["magnification"], table["label"], strict=True))
    return [(at, label) for at in run.magnifications for label in run.labels if (at, label) in present]


def of_stratum(table: pd.DataFrame, stratum: Stratum) -> pd.DataFrame:
    """Return the rows of one magnification and class."""
    return table[(table["magnification"] == stratum[0]) & (table["label"] == stratum[1])]


def place_words(stratum: Stratum) -> str:
    """Return "Benign, 20×", which begins a sentence of a caption."""
    return f"{stratum[1].capitalize()}, {magnification_words(stratum[0])}"


def in_order(known: Iterable[Any], present: Iterable[Any]) -> list[Any]:
    """Return what is present, each once: first what is known, in its order, then the others, sorted."""
    found = set(present)
    return [name for name in dict.fromkeys([*known, *sorted(found)]) if name in found]


def panels(
    run: Run, table: pd.DataFrame, height_in: float, *, around_in: float = 0.55, width_in: float = WIDTH_IN, **grid: Any
) -> tuple[Figure, dict[Stratum, Any]]:
    """Make a figure with a row of panels per magnification and a column per class: a figure, and a panel by stratum.

    The height is that of one magnification, with what is ``around_in`` all of them. Where ``grid`` (as
    :meth:`matplotlib.figure.Figure.subplots` takes it) has several ``width_ratios`` or ``height_ratios``, a stratum has
    as many panels.
    """
    magnifications = in_order(run.magnifications, table["magnification"])
    labels = in_order(run.labels, table["label"])
    down, across = grid.pop("height_ratios", [1.0]), grid.pop("width_ratios", [1.0])
    grid |= {"height_ratios": down * len(magnifications), "width_ratios": across * len(labels), "squeeze": False}
    figure = new_figure(len(magnifications) * height_in + around_in, width_in)
    axes = figure.subplots(len(grid["height_ratios"]), len(grid["width_ratios"]), **grid)
    return figure, {
        (at, label): axes[j * len(down) : (j + 1) * len(down), k * len(across) : (k + 1) * len(across)].ravel()
        for j, at in enumerate(magnifications)
        for k, label in enumerate(labels)
    }


def mark_estimates(
    axes: Axes,
    rows: pd.DataFrame,
    looks: Mapping[str, Look],
    *,
    look: str,
    at: str,
    hollow: Any = False,
    upright: bool = False,
    columns: Sequence[str] = ("estimate", "ci_low", "ci_high"),
    edge: str | None = None,
    opacity: float = 1.0,
    **mark: Any,
) -> None:
    """Mark estimates, each with a line over its interval. Both are the table's: nothing is estimated here.

    Parameters
    ----------
    axes, rows
        The panel, and one row per estimate; rows without an estimate are left out.
    looks, look
        How each kind is drawn, and the column that names the kind.
    at, columns
        The column of the places along the other axis; those of the estimate and, if any, the limits of its interval.
    hollow
        Which of the rows have an open mark.
    upright
        Whether values go up instead of to the right.
    edge, opacity
        Colour around the marks (their own where None); opacity of the lines.
    **mark
        As :func:`seaborn.scatterplot` takes them.
    """
    value, *limits = columns
    known = rows.assign(hollow=hollow)[np.isfinite(rows[value])]
    draw_lines = axes.vlines if upright else axes.hlines
    for name, part in known.dropna(subset=limits).groupby(look, sort=False) if limits else ():
        kind = looks[str(name)]
        draw_lines(part[at], part[limits[0]], part[limits[1]], color=kind.colour, linewidth=kind.line, alpha=opacity)
    scatter(axes, known, (at, value) if upright else (value, at), looks, look, edgecolor=edge, zorder=3, **mark)
    points: Any = axes.collections[-1]
    faces = points.get_facecolors()
    if edge is None:
        points.set_edgecolors(faces.copy())
    points.set_facecolors(np.where(known["hollow"].to_numpy(dtype=bool)[:, None], (1.0, 1.0, 1.0, 1.0), faces))


def scatter(
    axes: Axes, rows: pd.DataFrame, xy: tuple[str, str], looks: Mapping[str, Look], look: str, **mark: Any
) -> None:
    """Draw a mark for each row, in the look that its column `look` names; axes stay without words."""
    palette, markers, sizes = ({name: one[k] for name, one in looks.items()} for k in range(3))
    style: dict[str, Any] = {"palette": palette, "markers": markers, "sizes": sizes, "edgecolor": None, "linewidth": 1}
    sns.scatterplot(rows, x=xy[0], y=xy[1], hue=look, style=look, size=look, legend=False, ax=axes, **(style | mark))
    for label in (axes.xaxis.label, axes.yaxis.label):  # seaborn writes the names of columns there
        label.set(text="", visible=True)


def handle(words: str, look: Look, *, hollow: bool = False, **line: Any) -> Line2D:
    """Return the legend's entry for a kind of mark."""
    face = "white" if hollow else look.colour
    style: dict[str, Any] = {"linestyle": "none", "markersize": look.size**0.5, "markerfacecolor": face}
    return Line2D([], [], marker=look.marker, color=look.colour, label=words, **(style | line))


def name_rows(axes: Axes, names: Iterable[tuple[float, str]], bold: Collection[str] = (), **text: Any) -> None:
    """Write the names of rows, given with their places, beside the leftmost panel; some of them bold."""
    spec: Any = axes.get_subplotspec()
    if spec.is_first_col():
        axes.set_yticks(*zip(*names, strict=True), **text)
        for tick in axes.get_yticklabels():
            tick.set_fontweight("bold" if tick.get_text() in bold else "normal")


def name_below(axes: Axes, words: str) -> None:
    """Write what the values are below the lowest panels."""
    spec: Any = axes.get_subplotspec()
    if spec.is_last_row():
        axes.set_xlabel(words)


def no_preference(axes: Axes, which: str) -> None:
    """Mark zero on an axis (``"x"`` or ``"y"``) by a broken line: no preference, or no effect."""
    (axes.axvline if which == "x" else axes.axhline)(0.0, color=QUIET, linestyle="--", linewidth=0.9, zorder=0)


def fit_ratios(axes: Axes, values: pd.DataFrame, which: str = "x") -> None:
    """Fit an axis of ratios to log2 values and to no preference, which a broken line marks."""
    found = values.to_numpy(np.float64)
    found = found[np.isfinite(found)]
    no_preference(axes, which)
    ratio_axis(axes, which, min(-_LEAST_REACH, *found, 0.0), max(_LEAST_REACH, *found, 0.0))
    if which == "x":
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(FixedLocator([*axes.get_xticks()], nbins=_MOST_TICKS))  # 1 : 1 stays
