"""Marks, lines and their entries in legends: of networks, of estimates with their intervals, of no preference."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from saliency_stats.report.figures import style
from saliency_stats.report.run import Run
from saliency_stats.report.words import control_words
from saliency_stats.vocabulary import TRAINED

#: Said where no patch is judged, and where none has the two compartments of the primary contrast.
NOTHING_JUDGED: Final = "no patch of the evaluation split was classified correctly and confidently"
NOT_BOTH: Final = "no judged patch has both nuclei and cytoplasm"
#: Controls are grey and differ by their dashes (on, off, ... in points).
_DASHES: Final[tuple[tuple[float, ...], ...]] = ((4, 2), (1, 1.5), (6, 1.5, 1, 1.5), (2, 3))


class Look(NamedTuple):
    """How one kind of estimate is drawn: its mark, with its size (points²), and the width of its interval's line."""

    colour: str
    marker: str
    size: float = 21.0
    line: float = 1.3


def units_known(run: Run, table: pd.DataFrame | None = None) -> bool:
    """Tell whether every row of a table, else every judged patch, names its unit of inference (slide or patient)."""
    rows = run.judged_ledger if table is None else table
    return bool((rows[run.unit_column] != "").all())


def networks(table: pd.DataFrame) -> list[str]:
    """Return the networks that a table has: the trained one, then the controls by name."""
    return sorted(set(table["model"]), key=lambda model: (model != TRAINED, model))


def control_meaning(run: Run, control: str) -> str:
    """Return a control's name with what it is, in brackets, where that is recorded."""
    return control_words(run.words("controls", control), run.words("controls", control, "is"))


def look(model: str) -> Look:
    """Return how the trained network, a control, or the difference of the two is drawn."""
    if model == TRAINED:
        return Look(style.TRAINED_COLOUR, "o", 25.0, 1.5)
    difference = model.startswith(f"{TRAINED}-")
    return Look(*((style.DIFFERENCE_COLOUR, "D") if difference else (style.CONTROL_COLOUR, "s")), 25.0, 1.5)


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
    palette = {model: look(model).colour for model in models}
    kinds = {"hue": "model", "hue_order": models, "style": "model", "style_order": models, "dashes": dashes(models)}
    lines(axes, parts, x, y, units="part", palette=palette, sort=False, linewidth=width, **kinds)


def lines(axes: Axes, table: pd.DataFrame, x: str, y: str, **drawn: Any) -> None:
    """Join the rows of a table as :func:`seaborn.lineplot` does; nothing is estimated, axes stay without words."""
    if table.empty:  # of nothing seaborn cannot tell the hues
        return
    sns.lineplot(table, x=x, y=y, estimator=None, legend=False, ax=axes, **drawn)
    axes.set(xlabel="", ylabel="")


def network_handles(run: Run, models: list[str], more: Sequence[str] = (), width: float = 1.5) -> list[Line2D]:
    """Return the legend entries of networks' lines, with what `more` there is to say of each."""
    dashed = dashes(models)
    words = ((run.network(model), *filter(None, more[k : k + 1])) for k, model in enumerate(models))
    looks = [(look(model).colour, (0, dashed[model]) if dashed[model] else "-", width) for model in models]
    return [style.line_handle(", ".join(said), *drawn) for said, drawn in zip(words, looks, strict=True)]


def reference(axes: Axes, value: float = 0.0, which: str = "y") -> None:
    """Mark the value of no preference, of no effect or of guessing on ``"x"`` or ``"y"`` by a broken line."""
    mark = axes.axhline if which == "y" else axes.axvline
    mark(value, color=style.QUIET, linestyle="--", linewidth=0.8, zorder=0)


def fit_ratios(axes: Axes, values: Any, which: str = "x", least: float = 0.1, most_ticks: int | None = 6) -> None:
    """Fit an axis of ratios to log2 values and to no preference, which a broken line marks.

    It reaches at least `least` to both sides, and has at most about `most_ticks` ticks: a narrow panel has no room for
    more.
    """
    found = np.append(np.asarray(values, np.float64).ravel(), [-least, least])
    found = found[np.isfinite(found)]
    reference(axes, 0.0, which)
    style.ratio_axis(axes, which, float(found.min()), float(found.max()))
    if which == "x":
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(FixedLocator([*axes.get_xticks()], nbins=most_ticks))  # 1 : 1 stays


def estimate(
    axes: Axes,
    at: float,
    value: float,
    limits: tuple[float, float],
    look: Look,
    *,
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
    look, edge
        Of the mark, and the colour around it; the interval has the mark's colour.
    upright, hollow, faint
        Whether the value is on the vertical axis; whether the mark is open (no finding); whether the interval is pale.
    """
    if np.isfinite(limits).all():
        line = ([at, at], limits) if upright else (limits, [at, at])
        axes.plot(*line, color=look.colour, linewidth=look.line, alpha=0.4 if faint else 1.0, zorder=3)
    point = ([at], [value]) if upright else ([value], [at])
    axes.plot(
        *point, marker=look.marker, markersize=look.size**0.5, color=look.colour, zorder=4,
        markerfacecolor="white" if hollow else look.colour, markeredgecolor=edge or look.colour,
    )  # fmt: skip


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
    if known.empty:  # seaborn draws nothing then, not even a collection without marks
        return
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
    drawn: dict[str, Any] = {"palette": palette, "markers": markers, "sizes": sizes, "edgecolor": None, "linewidth": 1}
    sns.scatterplot(rows, x=xy[0], y=xy[1], hue=look, style=look, size=look, legend=False, ax=axes, **(drawn | mark))
    for label in (axes.xaxis.label, axes.yaxis.label):  # seaborn writes the names of columns there
        label.set(text="", visible=True)


def handle(words: str, look: Look, *, hollow: bool = False, **line: Any) -> Line2D:
    """Return the legend's entry for a kind of mark, alone or on a line."""
    drawn: dict[str, Any] = {"linestyle": "none", "linewidth": look.line, "markersize": look.size**0.5}
    drawn |= {"markerfacecolor": "white" if hollow else look.colour} | line
    return Line2D([], [], marker=look.marker, color=look.colour, label=words, **drawn)
