"""The flow diagram: how many patches were listed, which were left out and why, which were judged."""

import textwrap
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from saliency_stats.report.figures.style import QUIET, WIDTH_IN, empty_figure
from saliency_stats.report.population import exclusions
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import STEP_WORDS, count, magnification_words, shorten
from saliency_stats.vocabulary import SPLITS

_LINE_IN: Final = 0.125
_PAD_IN: Final = 0.07
_GAP_IN: Final = 0.16
_BOX_IN: Final = 1.62
_SIDE_IN: Final = 1.5
#: Reasons beyond these are counted together; the report's table lists them all.
_SHOWN_REASONS: Final = 3
_FONT: Final = 6.4
_SIDE_CHARACTERS: Final = 30
_INK: Final = "#33404D"
#: From a point to a point, each (x, y) in inches.
_Arrow: TypeAlias = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class _Box:
    """A box of the diagram: its text and its place in inches (centre and upper edge)."""

    lines: tuple[str, ...]
    centre_in: float
    top_in: float
    width_in: float

    @property
    def height_in(self) -> float:
        return 2 * _PAD_IN + _LINE_IN * len(self.lines)


def draw_flow(run: Run) -> Figure:
    """Draw one diagram per magnification: listed patches above, an arm per class, exclusions at the sides."""
    magnifications = [value for value in run.magnifications if (run.selection["magnification"] == value).any()]
    if not magnifications:
        return empty_figure("selection.csv holds no counts")
    plans = [_plan(run, magnification) for magnification in magnifications]
    heights = [plan[1] for plan in plans]
    figure = Figure(figsize=(WIDTH_IN, sum(heights)))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0.0, WIDTH_IN)
    axes.set_ylim(sum(heights), 0.0)
    axes.set_axis_off()
    above = 0.0
    for boxes, height, arrows in plans:
        for box, main in boxes:
            _draw_box(axes, box, above, main=main)
        for start, end in arrows:
            _draw_arrow(axes, (start[0], start[1] + above), (end[0], end[1] + above))
        above += height
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


def _plan(run: Run, magnification: float) -> tuple[list[tuple[_Box, bool]], float, list[_Arrow]]:
    """Place the boxes of one magnification; return them (with whether each is a step), height and arrows."""
    rows = run.selection[run.selection["magnification"] == magnification]
    labels = [label for label in run.labels if (rows["label"] == label).any()]
    trunk = _trunk(run, magnification)
    boxes: list[tuple[_Box, bool]] = [(trunk, True)]
    arrows: list[_Arrow] = []
    before: dict[str, tuple[_Box, int]] = {}
    at = trunk.top_in + trunk.height_in + 2 * _GAP_IN
    for step in dict.fromkeys(rows["step"]):
        asides: list[_Box] = []
        for label in before:
            centre, side = _place(label, labels)
            left_out = before[label][1] - _count(rows, label, step, "n_patches")
            lines = _side_lines(run, magnification, label, step, left_out)
            if lines:
                aside = _Box(lines, centre + side * (_BOX_IN / 2 + 0.12 + _SIDE_IN / 2), at, _SIDE_IN)
                middle = at + aside.height_in / 2
                arrows.append(((centre, middle), (aside.centre_in - side * _SIDE_IN / 2, middle)))
                asides.append(aside)
        boxes += [(aside, False) for aside in asides]
        # Both arms wait for the taller box at the side, so that one step stands at one height.
        at += max((aside.height_in + _GAP_IN for aside in asides), default=0.0)
        for label in labels:
            centre, _ = _place(label, labels)
            n_patches, n_slides = (_count(rows, label, step, column) for column in ("n_patches", "n_slides"))
            title = STEP_WORDS.get(step, step.capitalize()) if label in before else label.capitalize()
            box = _Box((title, _counts(n_patches, n_slides)), centre, at, _BOX_IN)
            above = before[label][0] if label in before else trunk
            arrows.append(((centre, above.top_in + above.height_in), (centre, box.top_in)))
            boxes.append((box, True))
            before[label] = (box, n_patches)
        at += box.height_in + _GAP_IN
    return boxes, at, arrows


def _trunk(run: Run, magnification: float) -> _Box:
    listed = run.patches[run.patches["magnification"] == magnification]
    slides = listed.loc[listed["slide_id"] != "", "slide_id"].nunique()
    title = f"Patches listed at {magnification_words(magnification)}"
    return _Box((title, _counts(len(listed), slides)), WIDTH_IN / 2, 0.1, 2.3)


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
    words = {
        "correct": ["classified wrongly"],
        "correct and confident": [f"probability of the true class below {run.settings.saliency.min_confidence:g}"],
        "both compartments present": ["too little nucleus or cytoplasm to measure"],
    }.get(step, [])
    if step == "used":
        reasons = exclusions(run)
        reasons = reasons[(reasons["magnification"] == magnification) & (reasons["label"] == label)]
        words = [f"{row.n_patches}: {shorten(row.reason, 2 * _SIDE_CHARACTERS)}" for row in records(reasons)]
        more = len(words) - _SHOWN_REASONS
        words = [*words[:_SHOWN_REASONS], f"and {count(more, 'other reason')}"] if more > 0 else words
    elif step == "evaluation split":
        rows = run.patches[(run.patches["magnification"] == magnification) & (run.patches["label"] == label)]
        counts = rows.loc[rows["status"] == "used", "split"].value_counts()
        others = [split for split in SPLITS if split != run.evaluation_split and split in counts]
        words = [f"{counts[split]}: {split} split" for split in others]
    lines = [line for word in words for line in textwrap.wrap(word, _SIDE_CHARACTERS)]
    return (f"{count(left_out, 'patch')} left out", *lines)


def _draw_box(axes: Axes, box: _Box, above: float, *, main: bool) -> None:
    left, top = box.centre_in - box.width_in / 2, above + box.top_in
    look: dict[str, Any] = {"facecolor": "white", "edgecolor": QUIET, "linewidth": 0.6}
    if main:
        look = {"facecolor": "#EEF3F8", "edgecolor": _INK, "linewidth": 0.8}
    shape = "round,pad=0,rounding_size=0.04"
    axes.add_patch(FancyBboxPatch((left, top), box.width_in, box.height_in, boxstyle=shape, zorder=2, **look))
    x, side = (box.centre_in, "center") if main else (left + _PAD_IN, "left")
    for k, line in enumerate(box.lines):
        weight = "normal" if k else "bold"
        y = top + _PAD_IN + _LINE_IN * (k + 0.5)
        axes.text(x, y, line, ha=side, va="center", fontsize=_FONT, fontweight=weight, color="#111111", zorder=3)


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 6, "color": _INK, "linewidth": 0.7, "zorder": 1}
    axes.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **look))
