"""How dense the saliency is in each compartment, and how its shares compare with those of the area."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliency_stats.report.figures import marks, style
from saliency_stats.report.figures.facets import Stratum, facets, of_stratum
from saliency_stats.report.population import judged_counts, points, stratum_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import count
from saliency_stats.vocabulary import COMPARTMENTS, TRAINED

#: Bars narrower than this share carry no number.
_LEAST_LABELLED: Final = 0.04
#: Ink that reads on each compartment's colour.
_ON_BAR: Final = {"nucleus": "white", "cytoplasm": "black", "stroma": "white", "background": "white"}


def draw_density_ratio(run: Run) -> Figure:
    """Draw the density ratios: a point per slide, geometric mean and interval, trained beside control."""
    table = style.some(run.judged_ledger, marks.NOTHING_JUDGED)
    models = marks.networks(table)
    words = "density ratio (1 = like the whole patch)"
    figure, panels = facets(run, table, 2.5, around_in=0.6, beside=words, sharey=True)
    shown = [0.0]
    for (axes,), stratum, rows, _ in panels:
        shown += _density_panel(axes, run, rows, stratum, models).tolist()
        n_patches, n_units = judged_counts(run, *stratum)
        units = count(n_units, run.unit) if n_units else f"{run.unit}s unknown"
        axes.set_title(f"{stratum_words(run, *stratum)}: {count(n_patches, 'patch')}, {units}")
    style.ratio_axis(figure.axes[0], "y", np.nanmin(shown), np.nanmax(shown))
    dot = f"one {run.unit}" if marks.units_known(run) else "one patch (slides unknown: no interval)"
    handles = [marks.handle(run.network(model), _mean_look(model), linestyle="-") for model in models]
    handles.append(marks.handle(dot, marks.Look(style.QUIET, "o", 3.5**2)))
    handles.append(style.line_handle("as dense as the whole patch", style.QUIET, "--", 0.8))
    return style.with_legend(figure, handles, len(handles))


def caption_density_ratio(run: Run) -> str:
    """Say what a density ratio is and what the points are."""
    points_are = (
        "Each small dot is one patch, because the slides of these patches are unknown; the diamond is the geometric"
        " mean over patches. No interval is drawn: patches of one slide resemble one another, and an interval that"
        " ignored it would be too narrow."
        if not marks.units_known(run)
        else f"Each small dot is one {run.unit} (the geometric mean of its patches); the diamond is the geometric mean"
        f" over {run.unit}s with its {run.confidence_percent} interval (Student's t over {run.unit}s)."
    )
    points_are += " Strokes beside it are single networks." if run.n_networks > 1 else ""
    return (
        "Density ratio of each compartment: its share of the saliency divided by its share of the area. At 1 (dashed)"
        " a compartment receives the saliency that its size alone would give it; at 2 it receives twice as much."
        f" {points_are} Patches in which a compartment is too small to be measured do not count for it. Ratios are on a"
        " logarithmic axis."
    )


def draw_area_vs_mass(run: Run) -> Figure:
    """Draw, per class, the compartments' shares of the area above their shares of the saliency."""
    table = style.some(run.judged_ledger, marks.NOTHING_JUDGED)
    models = marks.networks(table)
    figure, panels = facets(run, table, 0.45 + 0.34 * (1 + len(models)), around_in=0.5, sharex=True, sharey=True)
    for (axes,), _, rows, _ in panels:
        _share_bars(axes, run, rows, models)
    return style.with_legend(figure, style.compartment_handles(), len(COMPARTMENTS))


def caption_area_vs_mass(run: Run) -> str:
    """Say how to read the bars."""
    mean = f"{run.unit}s" if marks.units_known(run) else "patches"
    return (
        f"What the tissue consists of and where the saliency goes, as means over {mean} of the judged patches. If the"
        " classifier looked everywhere alike, every saliency bar would equal the area bar above it: a longer piece"
        " means that the compartment draws more saliency than its area explains."
    )


def _mean_look(model: str) -> marks.Look:
    return marks.Look(marks.look(model).colour, "D", 4.2**2, 1.5)


def _density_panel(axes: Axes, run: Run, rows: pd.DataFrame, stratum: Stratum, models: list[str]) -> Any:
    """Fill one panel and return the values that its axis must reach."""
    marks.reference(axes)
    step = 0.8 / len(models)
    found = marks.summaries(run, rows, ["model", "compartment"], "density_ratio", log2=True)
    aside = step * (found["model"].map(models.index) - (len(models) - 1) / 2)
    place, hollow = found["compartment"].map(COMPARTMENTS.index) + aside, found["model"] != TRAINED
    found = found.assign(look=found["model"], place=place, hollow=hollow)
    axes.set_xticks(range(len(COMPARTMENTS)), COMPARTMENTS)
    axes.set_xlim(-0.6, len(COMPARTMENTS) - 0.4)
    axes.tick_params(axis="x", length=0)
    looks, known = {model: _mean_look(model) for model in models}, marks.units_known(run)
    if run.n_networks > 1:
        by, strokes = (
            ["model", "compartment"],
            {name: look._replace(marker="_", size=9.0) for name, look in looks.items()},
        )
        each = marks.summaries(
            run, of_stratum(run.network_ledger, stratum), ["network", *by], "density_ratio", log2=True
        )
        each = each.merge(found.assign(place=place + 0.42 * step)[[*by, "place", "look"]], on=by)
        marks.mark_estimates(axes, each, strokes, upright=True, columns=("estimate",))
    return marks.mark_points(axes, found, looks, 0.55 * step, known=known)


def _share_bars(axes: Axes, run: Run, rows: pd.DataFrame, models: list[str]) -> None:
    bars = [("area", models[0], "area_share")]
    bars += [(f"saliency, {run.network(model)}", model, "mass_share") for model in models]
    left = np.zeros(len(bars))
    for compartment in COMPARTMENTS:
        of = [rows[(rows["compartment"] == compartment) & (rows["model"] == model)] for _, model, _ in bars]
        means = [points(run, own, column).mean for own, (_, _, column) in zip(of, bars, strict=True)]
        widths = np.nan_to_num(means)
        colour = style.COMPARTMENT_COLOURS[compartment]
        drawn = axes.barh(range(len(bars)), widths, 0.72, left, color=colour, edgecolor="white")
        labels = [f"{100 * width:.0f}" if width >= _LEAST_LABELLED else "" for width in widths]
        ink: dict[str, Any] = {"color": _ON_BAR[compartment], "fontsize": 6.5, "fontweight": "bold"}
        axes.bar_label(drawn, labels, label_type="center", **ink)
        left += widths
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axes.set(xlim=(0.0, 1.0), ylim=(len(bars) - 0.5, -0.5))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100 %"])
    axes.tick_params(axis="y", length=0)
