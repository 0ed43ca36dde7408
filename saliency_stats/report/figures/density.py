"""How dense the saliency is in each compartment, and how its shares compare with those of the area."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    compartment_handles,
    empty_figure,
    new_figure,
    ratio_axis,
    spread,
)
from saliency_stats.report.population import judged_counts, points, stratum_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import count, model_words
from saliency_stats.vocabulary import COMPARTMENTS, TRAINED

_NOTHING: Final = "no patch of the evaluation split was classified correctly and confidently"
#: Bars narrower than this share carry no number.
_LEAST_LABELLED: Final = 0.04
#: Ink that reads on each compartment's colour.
_ON_BAR: Final = {"nucleus": "white", "cytoplasm": "black", "stroma": "white", "background": "white"}


def draw_density_ratio(run: Run) -> Figure:
    """Draw the density ratios: a point per slide, geometric mean and interval, trained beside control."""
    table = run.judged_ledger
    if table.empty:
        return empty_figure(_NOTHING)
    models = _models(table)
    strata = _grid(table, run)
    figure = new_figure(0.6 + 2.5 * len(strata))
    grid: Any = figure.subplots(len(strata), len(strata[0]), squeeze=False, sharey=True)
    shown: list[float] = [0.0]
    for line, stratum in zip(grid, strata, strict=True):
        for axes, (magnification, label) in zip(line, stratum, strict=True):
            rows = table[(table["magnification"] == magnification) & (table["label"] == label)]
            shown += _density_panel(axes, run, rows, models)
            n_patches, n_slides = judged_counts(run, magnification, label)
            axes.set_title(f"{stratum_words(run, magnification, label)}: {_n_words(run, n_patches, n_slides)}")
        line[0].set_ylabel("density ratio (1 = like the whole patch)")
    ratio_axis(grid[0, 0], "y", min(shown), max(shown))
    handles = [
        Line2D(
            [],
            [],
            marker="D",
            markersize=4.2,
            color=TRAINED_COLOUR if model == TRAINED else CONTROL_COLOUR,
            label=model_words(model),
        )
        for model in models
    ]
    dot = "one patch (slides unknown: no interval)" if (judged_units(run) == "").any() else f"one {run.unit}"
    handles.append(Line2D([], [], marker="o", markersize=3.5, color=QUIET, linestyle="", label=dot))
    handles.append(Line2D([], [], color=QUIET, linestyle="--", linewidth=0.8, label="as dense as the whole patch"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def caption_density_ratio(run: Run) -> str:
    """Say what a density ratio is and what the points are."""
    unknown = (judged_units(run) == "").any()
    points_are = (
        "Each small dot is one patch, because the slides of these patches are unknown; the diamond is the"
        " geometric mean over patches. No interval is drawn: patches of one slide resemble one another, and"
        " an interval that ignored it would be too narrow."
        if unknown
        else (
            f"Each small dot is one {run.unit} (the geometric mean of its patches); the diamond is the"
            f" geometric mean over {run.unit}s with its {run.confidence_percent} interval (Student's t over"
            f" {run.unit}s)."
        )
    )
    return (
        "Density ratio of each compartment: its share of the saliency divided by its share of the area. At 1"
        " (dashed) a compartment receives the saliency that its size alone would give it; at 2 it receives"
        f" twice as much. {points_are} Patches in which a compartment is too small to be measured do not"
        " count for it. Ratios are on a logarithmic axis."
    )


def draw_area_vs_mass(run: Run) -> Figure:
    """Draw, per class, the compartments' shares of the area above their shares of the saliency."""
    table = run.judged_ledger
    if table.empty:
        return empty_figure(_NOTHING)
    models = _models(table)
    strata = _grid(table, run)
    n_bars = 1 + len(models)
    figure = new_figure(0.5 + (0.45 + 0.34 * n_bars) * len(strata))
    grid: Any = figure.subplots(len(strata), len(strata[0]), squeeze=False, sharex=True, sharey=True)
    for line, stratum in zip(grid, strata, strict=True):
        for axes, (magnification, label) in zip(line, stratum, strict=True):
            rows = table[(table["magnification"] == magnification) & (table["label"] == label)]
            _share_bars(axes, run, rows, models)
            axes.set_title(stratum_words(run, magnification, label))
    figure.legend(handles=compartment_handles(), loc="outside lower center", ncols=len(COMPARTMENTS))
    return figure


def caption_area_vs_mass(run: Run) -> str:
    """Say how to read the bars."""
    mean = "patches" if (judged_units(run) == "").any() else f"{run.unit}s"
    return (
        f"What the tissue consists of and where the saliency goes, as means over {mean} of the judged"
        " patches. If the classifier looked everywhere alike, every saliency bar would equal the area bar"
        " above it: a longer piece means that the compartment draws more saliency than its area explains."
    )


def judged_units(run: Run) -> pd.Series:
    """Return the unit (slide or patient) of every judged ledger row; empty where it is unknown."""
    return run.judged_ledger[run.unit_column]


def _models(table: pd.DataFrame) -> list[str]:
    found = set(table["model"])
    return [TRAINED, *sorted(found - {TRAINED})] if TRAINED in found else sorted(found)


def _grid(table: pd.DataFrame, run: Run) -> list[list[tuple[float, str]]]:
    labels = [label for label in run.labels if (table["label"] == label).any()]
    magnifications = [value for value in run.magnifications if (table["magnification"] == value).any()]
    return [[(magnification, label) for label in labels] for magnification in magnifications]


def _n_words(run: Run, n_patches: int, n_units: int) -> str:
    units = f", {count(n_units, run.unit)}" if n_units else f", {run.unit}s unknown"
    return f"{count(n_patches, 'patch')}{units}"


def _density_panel(axes: Any, run: Run, rows: pd.DataFrame, models: list[str]) -> list[float]:
    """Fill one panel and return the extremes that its axis must reach."""
    axes.axhline(0.0, color=QUIET, linestyle="--", linewidth=0.8, zorder=0)
    step = 0.8 / len(models)
    extremes: list[float] = []
    for place, compartment in enumerate(COMPARTMENTS):
        for k, model in enumerate(models):
            found = points(
                run,
                rows[(rows["compartment"] == compartment) & (rows["model"] == model)],
                "density_ratio",
                log2=True,
            )
            if not found.each.size:
                continue
            centre = place + (k - (len(models) - 1) / 2) * step
            colour = COMPARTMENT_COLOURS[compartment]
            axes.scatter(
                centre + spread(found.each.size, 0.55 * step),
                found.each,
                s=11 if found.by_unit else 2.5,
                facecolor=colour if model == TRAINED else "white",
                edgecolor=colour,
                linewidth=0.6,
                alpha=0.75 if found.by_unit else 0.35,
                rasterized=not found.by_unit,
                zorder=1,
            )
            ink = TRAINED_COLOUR if model == TRAINED else CONTROL_COLOUR
            if np.isfinite(found.low):
                axes.plot([centre, centre], [found.low, found.high], color=ink, linewidth=1.6, zorder=2)
            axes.plot(
                [centre],
                [found.mean],
                marker="D",
                color=ink,
                markersize=4.2,
                markeredgecolor="white",
                zorder=3,
            )
            # A few wild patches must not squeeze the rest: a point per patch, and the axis spans the bulk.
            bulk = found.each if found.by_unit else np.percentile(found.each, [1.0, 99.0])
            extremes += [float(bulk.min()), float(bulk.max()), *filter(np.isfinite, (found.low, found.high))]
    axes.set_xticks(range(len(COMPARTMENTS)), COMPARTMENTS)
    axes.set_xlim(-0.6, len(COMPARTMENTS) - 0.4)
    axes.tick_params(axis="x", length=0)
    return extremes


def _share_bars(axes: Any, run: Run, rows: pd.DataFrame, models: list[str]) -> None:
    bars = [
        ("area", models[0], "area_share"),
        *((f"saliency, {model_words(m)}", m, "mass_share") for m in models),
    ]
    for place, (_, model, column) in enumerate(bars):
        left = 0.0
        for compartment in COMPARTMENTS:
            found = points(run, rows[(rows["compartment"] == compartment) & (rows["model"] == model)], column)
            width = found.mean if found.each.size else 0.0
            axes.barh(
                place,
                width,
                left=left,
                height=0.72,
                color=COMPARTMENT_COLOURS[compartment],
                edgecolor="white",
            )
            if width >= _LEAST_LABELLED:
                axes.text(
                    left + width / 2,
                    place,
                    f"{100 * width:.0f}",
                    ha="center",
                    va="center",
                    color=_ON_BAR[compartment],
                    fontsize=6.5,
                    fontweight="bold",
                )
            left += width
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_xlim(0.0, 1.0)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100 %"])
    axes.tick_params(axis="y", length=0)
