"""The flow diagram: how many patches were listed, which were left out and why, which were judged."""

import textwrap
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from saliency_stats.report.figures.facets import in_order
from saliency_stats.report.figures.style import QUIET, WIDTH_IN, some
from saliency_stats.report.population import left_out_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import STEP_WORDS, begun, count, magnification_words, shorten

#: Heights of a line of text, of what is around it, and between boxes; widths of a box and of one at the side.
_LINE_IN, _PAD_IN, _GAP_IN, _BOX_IN, _SIDE_IN = 0.125, 0.07, 0.16, 1.62, 1.5
#: Reasons beyond these are counted together; the report's table lists them all.
_SHOWN_REASONS: Final = 3
_FONT: Final = 6.4
_SIDE_CHARACTERS: Final = 30
_INK: Final = "#33404D"


def draw_flow(run: Run) -> Figure:
    """Draw one diagram per magnification: listed patches above, an arm per class, exclusions at the sides."""
    counted = some(run.selection, "selection.csv holds no counts")
    figure = Figure()
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    end = 0.0
    for magnification in in_order(run.magnifications, counted["magnification"]):
        end = _draw_arms(axes, run, magnification, end)
    figure.set_size_inches(WIDTH_IN, end)
    axes.set(xlim=(0.0, WIDTH_IN), ylim=(end, 0.0))
    axes.set_axis_off()
    return figure


def caption_flow(run: Run) -> str:
    """Say what each step leaves out."""
    return (
        "Which patches the numbers rest on. Each box counts the patches (and their slides) that are left; the boxes at"
        f" the sides say how many were left out and why. Judged are patches of the {run.evaluation_split} split that"
        " the trained network classified correctly, with a probability of the true class of at least"
        f" {run.settings.saliency.min_confidence:g}; a contrast of two compartments also needs both of them in the"
        " patch."
    )


def _draw_arms(axes: Axes, run: Run, magnification: float, top: float) -> float:
    """Draw one magnification from `top` downwards (in inches, as all places here), and return where it ends."""
    rows = run.selection[run.selection["magnification"] == magnification]
    labels = in_order(run.labels, rows["label"])
    listed = run.patches[run.patches["magnification"] == magnification]
    slides = listed.loc[listed["slide_id"] != "", "slide_id"].nunique()
    words = (f"Patches listed at {magnification_words(magnification)}", _counts(len(listed), slides))
    foot = _draw_box(axes, words, WIDTH_IN / 2, top + 0.1, 2.3)
    feet = dict.fromkeys(labels, foot)
    patches: dict[str, int] = {}
    at = foot + 2 * _GAP_IN
    for step in dict.fromkeys(rows["step"]):
        below = at
        for label, before in patches.items():
            centre, side = _place(label, labels)
            lines = _side_lines(run, magnification, label, step, before - _count(rows, label, step, "n_patches"))
            if lines:
                aside = centre + side * (_BOX_IN / 2 + 0.12 + _SIDE_IN / 2)
                foot = _draw_box(axes, lines, aside, at, _SIDE_IN, main=False)
                _draw_arrow(axes, (centre, (at + foot) / 2), (aside - side * _SIDE_IN / 2, (at + foot) / 2))
                # both arms wait for the taller box at the side, so that one step stands at one height
                below = max(below, foot + _GAP_IN)
        at = below
        for label in labels:
            centre, _ = _place(label, labels)
            title = STEP_WORDS.get(step, step.capitalize()) if label in patches else begun(run.classes.name(label))
            patches[label] = _count(rows, label, step, "n_patches")
            words = (title, _counts(patches[label], _count(rows, label, step, "n_slides")))
            foot = _draw_box(axes, words, centre, at, _BOX_IN)
            _draw_arrow(axes, (centre, feet[label]), (centre, at))
            feet[label] = foot
        at = foot + _GAP_IN
    return at


def _counts(n_patches: int, n_slides: int) -> str:
    """Say how many patches of how many slides there are; patches without a slide are of unknown ones."""
    slides = count(n_slides, "slide") if n_slides or not n_patches else "slides unknown"
    return f"{count(n_patches, 'patch')}, {slides}"


def _place(label: str, labels: list[str]) -> tuple[float, int]:
    """Return the middle of a class's arm and the side of its exclusions; one class stands in the middle."""
    if len(labels) == 1:
        return WIDTH_IN / 2, 1
    side = 1 if label == labels[1] else -1
    return WIDTH_IN / 2 + side * (_BOX_IN / 2 + 0.1), side


def _count(rows: pd.DataFrame, label: str, step: str, column: str) -> int:
    return int(rows.loc[(rows["label"] == label) & (rows["step"] == step), column].sum())


def _side_lines(run: Run, magnification: float, label: str, step: str, left_out: int) -> tuple[str, ...]:
    """Return the text of a box of exclusions; nothing where a step leaves nothing out."""
    if left_out <= 0:
        return ()
    words = left_out_words(run, magnification, label, step)
    if step == "used":
        more = len(words) - _SHOWN_REASONS
        words = [shorten(text, 2 * _SIDE_CHARACTERS) for text in words[:_SHOWN_REASONS]]
        words += [f"and {count(more, 'other reason')}"] if more > 0 else []
    lines = [line for word in words for line in textwrap.wrap(word, _SIDE_CHARACTERS)]
    return (f"{count(left_out, 'patch')} left out", *lines)


def _draw_box(
    axes: Axes, lines: tuple[str, ...], centre: float, top: float, width: float, *, main: bool = True
) -> float:
    """Draw a box with its text, the first line bold, and return its foot."""
    height, left = 2 * _PAD_IN + _LINE_IN * len(lines), centre - width / 2
    look = {"facecolor": "#EEF3F8", "edgecolor": _INK, "linewidth": 0.8}
    look |= {} if main else {"facecolor": "white", "edgecolor": QUIET, "linewidth": 0.6}
    shape: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.04", "zorder": 2} | look
    axes.add_patch(FancyBboxPatch((left, top), width, height, **shape))
    x, side = (centre, "center") if main else (left + _PAD_IN, "left")
    for k, line in enumerate(lines):
        text: dict[str, Any] = {"ha": side, "va": "center", "fontsize": _FONT, "color": "#111111", "zorder": 3}
        axes.text(x, top + _PAD_IN + _LINE_IN * (k + 0.5), line, fontweight="normal" if k else "bold", **text)
    return top + height


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 6, "color": _INK, "linewidth": 0.7, "zorder": 1}
    axes.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **look))
