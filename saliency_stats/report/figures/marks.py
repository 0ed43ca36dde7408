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
from saliency_stats.report.population import points
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import control_words
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import TRAINED

#: Said where no patch is judged, and where none has the two compartments of the primary contrast.
NOTHING_JUDGED: Final = "no patch of the evaluation split was classified correctly and confidently"
NOT_BOTH: Final = "no judged patch has both nuclei and cytoplasm"
#: Columns of an estimate and of the limits of its interval.
ESTIMATE: Final = ("estimate", "ci_low", "ci_high")
#: Percentiles between which the bulk of many dots lies.
_BULK: Final = (1.0, 99.0)
#: Controls are grey and differ by their dashes (on, off, ... in points).
_DASHES: Final[tuple[tuple[float, ...], ...]] = ((4, 2), (1, 1.5), (6, 1.5, 1, 1.5), (2, 3))


class Look(NamedTuple):
    """How one kind of estimate is drawn: its mark, with its size (points²), and the width of its interval's line."""

    colour: str
    marker: str
    size: float = 21.0
    line: float = 1.3


def compartment_looks(marker: str = "o", size: float = 21.0, line: float = 1.3) -> dict[str, Look]:
    """Return the look of every compartment: its colour, one marker."""
    return {name: Look(colour, marker, size, line) for name, colour in style.COMPARTMENT_COLOURS.items()}


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
    """Join the rows of a table as :func:`seaborn.lineplot` does; nothing is estimated, axes keep their words."""
    if not table.empty:  # of nothing seaborn cannot tell the hues
        xy = {"x": table[x].to_numpy(), "y": table[y].to_numpy()}  # without the names of columns, it writes none
        sns.lineplot(table, estimator=None, legend=False, ax=axes, **xy, **drawn)


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


def mark_estimates(
    axes: Axes,
    rows: pd.DataFrame,
    looks: Mapping[str, Look],
    *,
    hollow: Any = False,
    upright: bool = False,
    columns: Sequence[str] = ESTIMATE,
    edge: str | None = None,
    opacity: Any = 1.0,
    **mark: Any,
) -> None:
    """Mark estimates, each on a line over its interval. Both are the table's: nothing is estimated here.

    Parameters
    ----------
    axes, rows, looks
        The panel, one row per estimate with its ``place`` along the other axis and its ``look``, and how each look is
        drawn; rows without an estimate are left out.
    hollow, upright
        Which of the rows have an open mark; whether values go up instead of to the right.
    columns
        The column of the estimate and, if any, of the limits of its interval.
    edge, opacity
        Colour around the marks (their own where None); opacity of the lines, of all or of each row.
    **mark
        As :func:`seaborn.scatterplot` takes them.
    """
    value, *limits = columns
    known = rows.assign(hollow=hollow, opacity=opacity)[np.isfinite(rows[value])]
    if known.empty:
        return
    lined = known[np.isfinite(known[limits]).all(axis=1)]
    if limits and len(lined):
        ends, drawn = (lined[name] for name in limits), [looks[name] for name in lined["look"]]
        kinds: dict[str, Any] = {"colors": [one.colour for one in drawn], "linewidths": [one.line for one in drawn]}
        (axes.vlines if upright else axes.hlines)(lined["place"], *ends, alpha=lined["opacity"], **kinds)
    xy = ("place", value) if upright else (value, "place")
    scatter(axes, known, xy, looks, edgecolor=edge, **{"zorder": 3} | mark)
    points: Any = axes.collections[-1]
    faces = points.get_facecolors()
    if edge is None:
        points.set_edgecolors(faces.copy())
    points.set_facecolors(np.where(known["hollow"].to_numpy(dtype=bool)[:, None], (1.0, 1.0, 1.0, 1.0), faces))


def scatter(axes: Axes, rows: pd.DataFrame, xy: tuple[str, str], looks: Mapping[str, Look], **mark: Any) -> None:
    """Draw a mark for each row, in the look that it names; axes keep their words."""
    if not rows.empty:
        x, y = (rows[name].to_numpy() for name in xy)
        palette, markers, sizes = ({name: one[k] for name, one in looks.items()} for k in range(3))
        drawn: dict[str, Any] = {"palette": palette, "markers": markers, "sizes": sizes, "legend": False, "ax": axes}
        drawn |= {"edgecolor": None, "linewidth": 1} | mark
        sns.scatterplot(rows, x=x, y=y, hue="look", style="look", size="look", **drawn)


def summaries(run: Run, rows: pd.DataFrame, by: list[str], column: str, *, log2: bool = False) -> pd.DataFrame:
    """Return a row per group with its mean over units, its interval, and ``each`` value, as :func:`points` has them."""
    found = [(group, points(run, part, column, log2=log2)) for group, part in rows.groupby(by)]
    cells = [(*group, one.mean, one.low, one.high, one.each, one.by_unit) for group, one in found]
    return pd.DataFrame(cells, columns=[*by, *ESTIMATE, "each", "by_unit"]).astype(dict.fromkeys(ESTIMATE, float))


def mark_points(
    axes: Axes, found: pd.DataFrame, looks: Mapping[str, Look], width: float, *, known: bool, most: float = np.inf
) -> Float64Array:
    """Mark the means of :func:`summaries` by compartment, upright, and a dot per value in the compartment's colour.

    Rows have a ``place``, around which dots spread over `width`, a ``look`` of their mean, and may be ``hollow``: their
    dots are. Where units are not `known` dots are patches: many, small and pale. Returned is what the axis must reach
    (NaN among it): every dot of fewer than `most` units; else their bulk, so that a few wild ones do not squeeze it.
    """
    aside = found["each"].map(lambda each: style.spread(len(each), width))
    dots = found.assign(aside=aside, look=found["compartment"]).explode(["each", "aside"])
    dots = dots.assign(place=dots["place"] + dots["aside"].astype(float), each=dots["each"].astype(float))
    look: dict[str, Any] = {"alpha": 0.75 if known else 0.35, "rasterized": not known, "linewidth": 0.6, "zorder": 1}
    colours, hollow = compartment_looks(size=11.0 if known else 2.5), dots.get("hollow", False)
    mark_estimates(axes, dots, colours, hollow=hollow, upright=True, columns=("each",), **look)
    mark_estimates(axes, found, looks, upright=True, edge="white")
    dotted = records(found[found["each"].map(len) > 0])
    ends = [np.percentile(row.each, (0, 100) if row.by_unit and len(row.each) < most else _BULK) for row in dotted]
    return np.concatenate([found[[*ESTIMATE]].to_numpy(np.float64).ravel(), *ends])


def handle(words: str, look: Look, *, hollow: bool = False, **line: Any) -> Line2D:
    """Return the legend's entry for a kind of mark, alone or on a line."""
    drawn: dict[str, Any] = {"linestyle": "none", "linewidth": look.line, "markersize": look.size**0.5}
    drawn |= {"markerfacecolor": "white" if hollow else look.colour} | line
    return Line2D([], [], marker=look.marker, color=look.colour, label=words, **drawn)
