"""The forest of several runs: one mark per run, grouped by class and magnification."""

import textwrap
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliency_stats.report.figures.contrasts import NOT_INTERPRETABLE, missing_reasons, row_places, write_headings
from saliency_stats.report.figures.style import CONTROL_COLOUR, QUIET, empty_figure, new_figure, ratio_axis
from saliency_stats.report.run import records
from saliency_stats.report.words import (
    NONE,
    number,
    p_words,
    ratio,
    ratio_interval,
    whole,
)
from saliency_stats.statistics import PRIMARY
from saliency_stats.vocabulary import TRAINED

#: Okabe and Ito's palette without its yellow, which is too pale for a mark on white.
_COLOURS: Final = ("#1A1A1A", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS: Final = ("o", "s", "D", "^", "v", "P", "X", "p")
_CONTROL: Final = "randomised"
_COLUMNS: Final = (0.09, 0.36, 0.52, 0.65, 0.82, 1.0)
_LONGEST_NAME: Final = 26
_LEAST_REACH: Final = 0.3


def draw_comparison(table: pd.DataFrame, names: Sequence[str], level: str) -> Figure:
    """Draw the primary contrast of the trained network of every run, with its numbers beside it.

    Parameters
    ----------
    table
        As :func:`~saliency_stats.report.compare.comparison_table` returns it.
    names
        The runs in the order of the legend; it decides their colours and marks.
    level
        The intervals' level in words.
    """
    primary = table[(table["contrast"] == PRIMARY) & np.isfinite(table["estimate"])]
    rows = primary[primary["model"] == TRAINED].reset_index(drop=True)
    if rows.empty:
        return empty_figure("no run has a judged patch with both nuclei and cytoplasm")
    places = row_places(rows)
    figure = new_figure(1.35 + 0.21 * (places[-1] + 1.0))
    axes, numbers = figure.subplots(1, 2, sharey=True, width_ratios=[1.0, 1.12])
    numbers.set_axis_off()
    numbers.set_xlim(0.0, 1.0)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.axvline(0.0, color=QUIET, linestyle="--", linewidth=0.9, zorder=0)
    controls = primary[primary["model"] == _CONTROL].set_index(["run", "label", "magnification"])["estimate"]
    shown = [-_LEAST_REACH, _LEAST_REACH]
    for place, row in zip(places, records(rows), strict=True):
        control = float(controls.get((row.run, row.label, row.magnification), np.nan))
        _draw_estimate(axes, place, row, names.index(row.run), control)
        _write_numbers(numbers, place, row)
        shown += [row.estimate, row.ci_low, row.ci_high, control]
    axes.set_yticks(places, [_short(name) for name in rows["run"]])
    write_headings(axes, rows, places)
    heads = ("ratio", "interval" if "(" in level else f"{level} interval", "adj. p", "slides", "patches", "accuracy")
    for left, word in zip(_COLUMNS, heads, strict=True):
        numbers.text(left, -0.8, word, color=QUIET, ha="right", va="center", fontsize=6.5)
    ratio_axis(axes, "x", float(np.nanmin(shown)), float(np.nanmax(shown)))
    for panel in (axes, numbers):
        panel.set_ylim(places[-1] + 0.7, -1.1)
    axes.set_xlabel("saliency density, cytoplasm ÷ nuclei  (log axis)")
    for ends, side, words in ((-3, "right", "← nuclei denser"), (3, "left", "cytoplasm denser →")):
        axes.annotate(
            words, (0.0, 1.0), xycoords=axes.get_xaxis_transform(), xytext=(ends, 0), textcoords="offset points",
            ha=side, va="bottom", color=QUIET, fontsize=6.5,
        )  # fmt: skip
    figure.legend(handles=_handles(names, rows, has_control=bool(len(controls))), loc="outside upper center", ncols=3)
    reasons = missing_reasons(rows)
    if reasons:
        figure.supxlabel(textwrap.fill(f"{NONE} no interval: {'; '.join(reasons)}", 120), color=QUIET, fontsize=6.5)
    return figure


def caption_comparison(level: str) -> str:
    """Say what the marks are, and what must not be read into them."""
    return (
        "How much denser the saliency of the trained network is in the cytoplasm than in the nuclei, in every run. To"
        " the right of the dashed line the cytoplasm is denser (the claim under test), to the left the nuclei. Lines:"
        f" {level} intervals by each run's own primary test; p is corrected within each run, not across runs. Accuracy:"
        " balanced accuracy of the classifier on the evaluation split. Hollow marks are no finding: the classifier"
        " learned nothing there. Small grey crosses: the same for a network with random weights. Runs are not compared"
        " by a test: intervals that overlap do not show that two runs agree, and runs on the same slides do not confirm"
        " each other independently."
    )


def _short(name: str) -> str:
    """Cut a long name in its middle: names of runs tend to differ at their ends."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"


def _style(k: int) -> dict[str, Any]:
    """Return one run's colour and marker: no two of the first 56 runs share both."""
    return {"color": _COLOURS[k % len(_COLOURS)], "marker": _MARKERS[k % len(_MARKERS)]}


def _draw_estimate(axes: Axes, place: float, row: Any, k: int, control: float) -> None:
    style = _style(k)
    hollow = row.status == NOT_INTERPRETABLE
    if np.isfinite(control):
        axes.plot([control], [place], marker="x", markersize=4, color=CONTROL_COLOUR, zorder=1)
    if np.isfinite(row.ci_low) and np.isfinite(row.ci_high):
        axes.plot([row.ci_low, row.ci_high], [place, place], color=style["color"], linewidth=1.5)
    axes.plot([row.estimate], [place], markersize=5, markerfacecolor="white" if hollow else style["color"], **style)


def _write_numbers(numbers: Axes, place: float, row: Any) -> None:
    words = (
        ratio(row.estimate),
        ratio_interval(row.ci_low, row.ci_high),
        p_words(row.p_adjusted),
        whole(row.n_slides) if row.n_slides else NONE,
        whole(row.n_patches),
        number(row.balanced_accuracy),
    )
    for left, word in zip(_COLUMNS, words, strict=True):
        numbers.text(left, place, word, ha="right", va="center", fontsize=6.5)


def _handles(names: Sequence[str], rows: pd.DataFrame, *, has_control: bool) -> list[Line2D]:
    handles = [
        Line2D([], [], linestyle="", markersize=5, label=_short(name), **_style(k)) for k, name in enumerate(names)
    ]
    if (rows["status"] == NOT_INTERPRETABLE).any():
        words = "hollow: classifier at chance, no finding"
        handles.append(
            Line2D([], [], linestyle="", marker="o", markersize=5, color=QUIET, markerfacecolor="white", label=words)
        )
    if has_control:
        handles.append(
            Line2D([], [], linestyle="", marker="x", markersize=4, color=CONTROL_COLOUR, label="random weights")
        )
    return handles
