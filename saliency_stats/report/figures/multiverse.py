"""The specification curve, and the primary contrast over the segmentations: what a choice of analysis decides."""

import re
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch as ColourPatch

from saliency_stats.compartments.variants import VARIANTS
from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    empty_figure,
    new_figure,
    ratio_axis,
)
from saliency_stats.report.run import Run
from saliency_stats.report.words import MINUS, count, magnification_words, percent, ratio, ratio_interval
from saliency_stats.statistics.multiverse import DIMENSIONS

_DIMENSION_WORDS: Final = {
    "method": "method",
    "reduction": "reduction of colours",
    "target": "explained class",
    "segmentation": "segmentation",
    "min_confidence": "least confidence",
}
_VARIANT_WORDS: Final = (
    (r"nuclei([+-][\d.]+)um", r"nuclei \1 µm"),
    (r"band([\d.]+)um", r"borders ±\1 µm left out"),
    (r"probability([+-][\d.]+)", r"threshold \1"),
    (r"cytoplasm([\d.]+)um", r"cells up to \1 µm"),
)
ABOVE, BELOW = COMPARTMENT_COLOURS["cytoplasm"], COMPARTMENT_COLOURS["nucleus"]
#: Height (in) of a row of the dashboard, and of a curve.
_ROW_IN, _CURVE_IN = 0.125, 1.75


def has_multiverse(run: Run) -> bool:
    """Tell whether the run crossed choices of analysis."""
    return not run.multiverse.empty


def draw_multiverse(run: Run) -> Figure:
    """Draw all specifications in the order of their estimates, and below them the choices of each."""
    table = _drawable(run.multiverse)
    if table.empty:
        return empty_figure("no specification has an estimate")
    lines = _dashboard_lines(table)
    magnifications, labels = _strata(run, table)
    below = _ROW_IN * (len(lines) + 1)
    figure = new_figure(len(magnifications) * (_CURVE_IN + below) + 0.55)
    panels = figure.subplots(
        2 * len(magnifications),
        len(labels),
        squeeze=False,
        sharex="col",
        height_ratios=[_CURVE_IN, below] * len(magnifications),
    )
    for place, magnification in enumerate(magnifications):
        reach = table.loc[table["magnification"] == magnification, ["estimate", "ci_low", "ci_high"]].to_numpy()
        for column, label in enumerate(labels):
            curve, dashboard = panels[2 * place : 2 * place + 2, column]
            own = table[(table["magnification"] == magnification) & (table["label"] == label)]
            own = own.sort_values("estimate", kind="stable", ignore_index=True)
            _draw_curve(curve, own)
            ratio_axis(curve, "y", min(-0.1, float(np.nanmin(reach))), max(0.1, float(np.nanmax(reach))))
            curve.set_title(f"{label}, {magnification_words(magnification)}")
            _draw_dashboard(dashboard, own, lines, named=column == 0)
        panels[2 * place, 0].set_ylabel("cytoplasm ÷ nuclei\n(ratio of densities, log axis)")
    figure.legend(handles=_handles(), loc="outside upper center", ncols=4)
    return figure


def caption_multiverse(run: Run) -> str:
    """Say what a point is, and how many agree."""
    rows = run.multiverse
    table = _drawable(rows)
    text = (
        "Specification curve: the primary contrast of the trained network under every combination of choices, sorted;"
        f" each point is one analysis, its line the {run.confidence_percent} interval over {run.unit}s, not corrected"
        " for their number. Below, the choices that each makes; the black diamond and line are this study's own."
    )
    same = [f"{_DIMENSION_WORDS[name]} {_words(name, table[name].iloc[0])}" for name in _fixed(table)]
    if same:
        text += f" The same in all: {', '.join(same)}."
    magnifications, labels = _strata(run, table)
    for magnification in magnifications:
        for label in labels:
            own = table[(table["magnification"] == magnification) & (table["label"] == label)]
            tested = own[own["status"] == "tested"]
            text += (
                f" {label.capitalize()}, {magnification_words(magnification)}:"
                f" {count(len(own), 'specification')} ({own['sample'].nunique()} with values of their own), denser in"
                f" the cytoplasm in {percent((own['estimate'] > 0).mean(), 0)}"
            )
            if len(tested):
                above, below = (
                    percent((tested["significant"] & (sign * tested["estimate"] > 0)).mean(), 0) for sign in (1, -1)
                )
                text += f", significantly so in {above}, significantly denser in the nuclei in {below}"
            text += "."
    if len(table) < len(rows):
        text += f" {count(len(rows) - len(table), 'specification')} without an estimate left out."
    return text + " They share patches and slides and are not independent tests."


def draw_segmentation(run: Run) -> Figure:
    """Draw the study's own contrast under every segmentation, with the range over them as a band."""
    table = _segmentations(run.multiverse)
    if table.empty:
        return empty_figure("no segmentation has an estimate")
    names = _levels(table, "segmentation")
    magnifications, labels = _strata(run, table)
    figure = new_figure(len(magnifications) * (0.17 * len(names) + 0.45) + 0.5)
    panels = figure.subplots(len(magnifications), len(labels), squeeze=False, sharey=True)
    for row, magnification in zip(panels, magnifications, strict=True):
        reach = table.loc[table["magnification"] == magnification, ["estimate", "ci_low", "ci_high"]].to_numpy()
        for axes, label in zip(row, labels, strict=True):
            own = table[(table["magnification"] == magnification) & (table["label"] == label)]
            places = np.array([names.index(name) for name in own["segmentation"]], dtype=float)
            axes.axvspan(own["estimate"].min(), own["estimate"].max(), color=CONTROL_COLOUR, alpha=0.2, linewidth=0)
            axes.axvline(0.0, color=QUIET, linestyle="--", linewidth=0.9, zorder=0)
            axes.hlines(places, own["ci_low"], own["ci_high"], color=_colours(own), linewidth=1.2)
            axes.scatter(own["estimate"], places, s=14, color=_colours(own), zorder=3)
            usual = own["usual"].to_numpy(dtype=bool)
            axes.scatter(own["estimate"][usual], places[usual], s=24, marker="D", color=TRAINED_COLOUR, zorder=4)
            ratio_axis(axes, "x", min(-0.1, float(np.nanmin(reach))), max(0.1, float(np.nanmax(reach))))
            span = ratio_interval(own["estimate"].min(), own["estimate"].max())
            axes.set_title(f"{label}, {magnification_words(magnification)}: {span}")
        row[0].set_yticks(range(len(names)), [_words("segmentation", name) for name in names])
        row[0].set_ylim(len(names) - 0.4, -0.6)
    words = "saliency density in the cytoplasm ÷ density in the nuclei  (log axis)"
    figure.supxlabel(words, fontsize=panels[0, 0].xaxis.label.get_size())
    band = ColourPatch(facecolor=CONTROL_COLOUR, alpha=0.2, label="range over segmentations")
    figure.legend(handles=[*_handles(), band], loc="outside upper center", ncols=3)
    return figure


def caption_segmentation(run: Run) -> str:
    """Say what the band is."""
    table = _segmentations(run.multiverse)
    text = (
        "The primary contrast of the trained network under other segmentations, all else being this study's own: nuclei"
        " grown or shrunk, their borders left out, the finder's threshold moved, cells of another size. The band is the"
        " range of the estimates: an interval over segmentations, not a point. Black diamond: the segmentation of this"
        f" study. Lines are {run.confidence_percent} intervals over {run.unit}s."
    )
    magnifications, labels = _strata(run, table)
    for magnification in magnifications:
        for label in labels:
            own = table[(table["magnification"] == magnification) & (table["label"] == label)]
            usual, low, high = own.loc[own["usual"], "estimate"], own["estimate"].min(), own["estimate"].max()
            if len(usual):
                text += (
                    f" {label.capitalize()}, {magnification_words(magnification)}: {ratio(usual.iloc[0])}, over"
                    f" {count(len(own), 'segmentation')} {ratio_interval(low, high)}."
                )
    return text


def _drawable(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(table[np.isfinite(table["estimate"])]).reset_index(drop=True)


def _segmentations(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows that differ from the study's own in the segmentation alone."""
    others = [name for name in DIMENSIONS if name != "segmentation"]
    rows: pd.DataFrame = table.merge(table.loc[table["usual"], others].drop_duplicates(), on=others)
    return _drawable(rows)


def _strata(run: Run, table: pd.DataFrame) -> tuple[list[float], list[str]]:
    magnifications = [name for name in run.magnifications if (table["magnification"] == name).any()]
    return magnifications, [label for label in run.labels if (table["label"] == label).any()]


def _fixed(table: pd.DataFrame) -> list[str]:
    return [name for name in DIMENSIONS if len(table[name].unique()) == 1]


def _levels(table: pd.DataFrame, dimension: str) -> list[Any]:
    """Return the levels of a dimension, the study's own first; segmentations in the order of the variants."""
    known = {variant.name: place for place, variant in enumerate(VARIANTS)}
    own = set(table.loc[table["usual"], dimension])
    if dimension == "min_confidence":
        return sorted(table[dimension].unique())
    return sorted(table[dimension].unique(), key=lambda level: (level not in own, known.get(level, len(known)), level))


def _dashboard_lines(table: pd.DataFrame) -> list[tuple[str, Any]]:
    """Return a line for each dimension, with None for a level, and one for each of its levels."""
    varied = [name for name in DIMENSIONS if name not in _fixed(table)]
    return [(name, level) for name in varied for level in (None, *_levels(table, name))]


def _words(dimension: str, level: Any) -> str:
    if dimension == "min_confidence":
        return f"{level:g}"
    words = str(level)
    if dimension == "segmentation":
        for pattern, spelt in _VARIANT_WORDS:
            words = re.sub(f"^{pattern}$", spelt, words)
        return words.replace(" -", f" {MINUS}")
    return words.replace("_", " ")


def _colours(rows: pd.DataFrame) -> Any:
    sign = np.where(rows["estimate"] > 0, ABOVE, BELOW)
    return np.where(rows["significant"], sign, CONTROL_COLOUR)


def _draw_curve(axes: Axes, rows: pd.DataFrame) -> None:
    places, colours = np.arange(len(rows)), _colours(rows)
    axes.axhline(0.0, color=QUIET, linestyle="--", linewidth=0.9, zorder=0)
    # lines of many specifications would be one area without a gap between them
    width = min(1.2, 90.0 / max(1, len(rows)))
    axes.vlines(places, rows["ci_low"], rows["ci_high"], colors=colours, linewidth=width, alpha=0.45)
    axes.scatter(places, rows["estimate"], s=min(14.0, 1200.0 / max(1, len(rows))) + 2, c=colours, linewidths=0)
    usual = np.flatnonzero(rows["usual"])
    axes.scatter(usual, rows["estimate"].iloc[usual], s=26, marker="D", color=TRAINED_COLOUR, zorder=4)
    axes.set_xlim(-0.02 * len(rows) - 0.5, 1.02 * len(rows) - 0.5)
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    axes.spines["bottom"].set_visible(False)


def _draw_dashboard(axes: Axes, rows: pd.DataFrame, lines: list[tuple[str, Any]], *, named: bool) -> None:
    colours = _colours(rows)
    for place, (name, level) in enumerate(lines):
        if level is None:
            continue
        at = np.flatnonzero(rows[name] == level)
        axes.vlines(at, place - 0.38, place + 0.38, colors=colours[at], linewidth=min(2.0, 150.0 / max(1, len(rows))))
    for usual in np.flatnonzero(rows["usual"]):
        axes.axvline(float(usual), color=TRAINED_COLOUR, linewidth=0.7)
    axes.set_ylim(len(lines) - 0.3, -0.7)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="both", length=0, labelbottom=False)
    axes.set_yticks([])
    if named:
        words = [_DIMENSION_WORDS[name] if level is None else _words(name, level) for name, level in lines]
        axes.set_yticks(range(len(lines)), words, fontsize=6.0)
        for tick, (_, level) in zip(axes.get_yticklabels(), lines, strict=True):
            tick.set_fontweight("bold" if level is None else "normal")


def _handles() -> list[Line2D]:
    dot: dict[str, Any] = {"linestyle": "none", "markersize": 4}
    return [
        Line2D([], [], marker="o", color=ABOVE, label="denser in cytoplasm, significant", **dot),
        Line2D([], [], marker="o", color=BELOW, label="denser in nuclei, significant", **dot),
        Line2D([], [], marker="o", color=CONTROL_COLOUR, label="not significant or not tested", **dot),
        Line2D([], [], marker="D", color=TRAINED_COLOUR, label="this study's own", **dot),
    ]
