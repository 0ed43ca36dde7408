"""Rows of estimates: their names, the numbers beside them, a heading per class and magnification."""

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliency_stats.report.figures.marks import Look, fit_ratios, mark_estimates
from saliency_stats.report.figures.style import QUIET, new_figure
from saliency_stats.report.run import records
from saliency_stats.report.words import NONE, magnification_words, p_words, ratio, ratio_interval, whole

NOT_INTERPRETABLE: Final = "not_interpretable"
#: Width (in) of figures whose rows have long names.
WIDE_IN: Final = 8.4
_ROW_IN: Final = 0.23
_FONT: Final = 6.6


def draw_rows(
    rows: pd.DataFrame,
    names: Sequence[str],
    looks: Mapping[str, Look],
    columns: Mapping[str, tuple[float, Sequence[str]]],
    around_in: float,
    reach: Any,
) -> tuple[Figure, Axes, list[float]]:
    """Draw rows of log2 ratios, each with its name to the left and its numbers to the right.

    Parameters
    ----------
    rows, names
        Rows of contrasts with their ``look``; those of one class and magnification follow one another. Their names.
    looks
        How estimates of each ``look`` are drawn.
    columns
        The numbers: heading to where the column ends (share of the panel's width) and the text of every row.
    around_in, reach
        Height of what surrounds the rows (in), and log2 ratios that the axis must reach.

    Returns
    -------
    tuple
        The figure, the panel of the estimates, and the height of every row in it.
    """
    places = row_places(rows)
    figure = new_figure(around_in + _ROW_IN * (places[-1] + 1.0))
    axes, numbers = figure.subplots(1, 2, sharey=True, width_ratios=[1.0, 1.06])
    fit_ratios(axes, reach, least=0.3, most_ticks=None)
    hollow = rows["status"] == NOT_INTERPRETABLE
    mark_estimates(axes, rows.assign(place=places), looks, hollow=hollow, opacity=np.where(hollow, 0.4, 1.0))
    axes.set_yticks(places, names)
    axes.set_ylim(places[-1] + 0.7, -1.1)
    numbers.set_axis_off()
    numbers.set_xlim(0.0, 1.0)
    for head, (end, words) in columns.items():
        numbers.text(end, -0.8, head, color=QUIET, ha="right", va="center", fontsize=_FONT)
        for place, word in zip(places, words, strict=True):
            numbers.text(end, place, word, ha="right", va="center", fontsize=_FONT)
    write_headings(axes, rows, places)
    axes.set_xlabel("saliency density, cytoplasm ÷ nuclei  (log axis)")
    for shift, side, words in ((-3, "right", "← nuclei denser"), (3, "left", "cytoplasm denser →")):
        axes.annotate(
            words, (0.0, 1.0), xycoords=axes.get_xaxis_transform(), xytext=(shift, 0), textcoords="offset points",
            ha=side, va="bottom", color=QUIET, fontsize=_FONT,
        )  # fmt: skip
    if reasons := missing_reasons(rows):
        text = textwrap.fill(f"{NONE} no interval: {'; '.join(reasons)}", 120)
        figure.supxlabel(text, color=QUIET, fontsize=6.5)
    return figure, axes, places


def number_columns(rows: pd.DataFrame, level: str, ends: Sequence[float]) -> dict[str, tuple[float, Sequence[str]]]:
    """Return the columns of numbers that every forest plot has: ratio, interval, adjusted p, slides, patches."""
    texts = {
        "ratio": [ratio(value) for value in rows["estimate"]],
        level: [ratio_interval(row.ci_low, row.ci_high) for row in records(rows)],
        "adjusted p": [p_words(value) for value in rows["p_adjusted"]],
        "slides": [whole(n) if n else NONE for n in rows["n_slides"]],
        "patches": [whole(n) for n in rows["n_patches"]],
    }
    return {head: (end, words) for end, (head, words) in zip(ends, texts.items(), strict=True)}


def missing_reasons(rows: pd.DataFrame) -> list[str]:
    """Return why some of the rows have no interval, each reason once."""
    return sorted({str(reason) for reason in rows.loc[~np.isfinite(rows["ci_low"]), "reason"] if reason})


def row_places(rows: pd.DataFrame) -> list[float]:
    """Give each row its height: rows of one class and magnification stand together under a heading line."""
    places: list[float] = []
    at, before = -1.0, None
    for stratum in zip(rows["magnification"], rows["label"], strict=True):
        at += 1.0 if stratum == before else 2.2
        before = stratum
        places.append(at)
    return places


def write_headings(axes: Axes, rows: pd.DataFrame, places: list[float]) -> None:
    """Write each class and magnification above the first of its rows."""
    for row in records(rows.assign(place=places).drop_duplicates(["magnification", "label"])):
        axes.annotate(
            f"{row.label}, {magnification_words(row.magnification)}", (0.0, row.place - 0.95),
            xycoords=axes.get_yaxis_transform(), xytext=(-4, 0), textcoords="offset points", ha="right", va="center",
            fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def name_rows(axes: Axes, names: Iterable[tuple[float, str]], bold: Collection[str] = (), **text: Any) -> None:
    """Write the names of rows, given with their places, beside the leftmost panel; some of them bold."""
    spec: Any = axes.get_subplotspec()
    if spec.is_first_col():
        axes.set_yticks(*zip(*names, strict=True), **text)
        for tick in axes.get_yticklabels():
            tick.set_fontweight("bold" if tick.get_text() in bold else "normal")
