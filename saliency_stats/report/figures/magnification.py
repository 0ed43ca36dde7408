"""How the saliency changes with the magnification: the primary contrast, the compartments, and the classifier."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliency_stats.report.figures import marks, style
from saliency_stats.report.figures.facets import in_order
from saliency_stats.report.figures.rows import NOT_INTERPRETABLE, missing_reasons
from saliency_stats.report.population import unit_means
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import listing, magnification_words
from saliency_stats.statistics.selection import AT_CHANCE, UNLEARNED
from saliency_stats.vocabulary import TISSUE, TRAINED

_LIMITS: Final = [*marks.ESTIMATE]
_MEAN: Final = marks.Look(style.TRAINED_COLOUR, "o", 5.5**2, 1.5)
_LOOKS: Final = {
    name: _MEAN._replace(colour=style.COMPARTMENT_COLOURS[name], marker=marker)
    for name, marker in zip(TISSUE, "osD", strict=True)
}
#: Ratios closer to 1 than this on a log2 axis would look like differences if the axis were fitted to them.
_LEAST_REACH: Final = 0.3
_HEIGHT_IN: Final = 3.0


def has_magnifications(run: Run) -> bool:
    """Tell whether a run has several magnifications to compare."""
    return len(run.magnifications) > 1


def draw_magnification(run: Run) -> Figure:
    """Draw the ratio cytoplasm : nucleus by magnification, a panel per class, and the classifier's accuracy beside."""
    rows = run.primary_contrasts
    shown = np.isfinite(rows["estimate"]) & rows["model"].isin([TRAINED, *run.controls])
    rows = style.some(rows[shown], marks.NOT_BOTH)
    figure, labels, panels = _panels(run, rows, "saliency density, cytoplasm ÷ nuclei", [0.85])
    reach: list[float] = []
    for label, axes in zip(labels, panels, strict=False):
        own = rows[rows["label"] == label]
        means = unit_means(run, run.mean_values[run.mean_values["label"] == label])
        _unit_lines(axes, means)
        controls = own[own["model"] != TRAINED]
        controls = controls.assign(place=np.log2(controls["magnification"]))
        marks.network_lines(axes, controls, "place", "estimate", list(run.controls), 1.3)
        _mean_line(axes, run, own[own["model"] == TRAINED], _MEAN)
        reach += [*own[_LIMITS].to_numpy(np.float64).ravel(), *means.to_numpy(np.float64).ravel()]
        for place, side, text in ((1.0, "top", "↑ denser in cytoplasm"), (0.0, "bottom", "↓ denser in nuclei")):
            axes.text(0.02, place, text, transform=axes.transAxes, va=side, color=style.QUIET, fontsize=6.2)
    for axes in panels[:-1]:
        marks.fit_ratios(axes, reach, "y", _LEAST_REACH)
    _accuracy_panel(panels[-1], run)
    return style.with_legend(figure, _handles(run), 2)


def caption_magnification(run: Run) -> str:
    """Say what the lines are, and what the magnifications do not share."""
    text = (
        "How much denser the saliency is in the cytoplasm than in the nuclei, by magnification; one classifier was"
        " trained for each. Above the dashed line the cytoplasm is denser (the claim under test), below it the nuclei."
    )
    text += (
        f" Thin lines: one {run.unit} each. Thick line: their mean{_interval_words(run)}."
        if marks.units_known(run)
        else f" Thick line: the mean over patches, because their {run.unit}s are unknown; it has no interval."
    )
    rows = _trained(run)
    reasons = missing_reasons(rows[rows["status"] != NOT_INTERPRETABLE])
    if reasons and marks.units_known(run):
        text += f" Means without an interval: {'; '.join(reasons)}."
    if run.controls:
        controls = listing(marks.control_meaning(run, name) for name in run.controls)
        text += f" Grey broken line: the same for the {controls}."
    text += (
        " At each magnification the patches that its own classifier got right confidently are judged, so they are not"
        " all the same; paired differences are in the table of differences. Right: balanced accuracy on the"
        f" {run.evaluation_split} split with its interval; 0.5 is chance."
    )
    return text + _chance_words(run)


def draw_compartments(run: Run) -> Figure:
    """Draw the density ratio of nuclei, cytoplasm and stroma by magnification, a panel per class."""
    table = run.judged_ledger
    table = style.some(table[table["model"] == TRAINED], marks.NOTHING_JUDGED)
    figure, labels, panels = _panels(run, table, "density ratio (1 = like the whole patch)")
    means = marks.summaries(run, table, ["label", "compartment", "magnification"], "density_ratio", log2=True)
    means.loc[~means["magnification"].map(run.learned), _LIMITS[1:]] = np.nan
    means = means[means["compartment"].isin(TISSUE)]
    for label, axes in zip(labels, panels, strict=True):
        for k, (compartment, look) in enumerate(_LOOKS.items()):
            own = means[(means["label"] == label) & (means["compartment"] == compartment)]
            _mean_line(axes, run, own, look, offset=0.07 * (k - 1))
        marks.fit_ratios(axes, means[_LIMITS], "y", _LEAST_REACH)
    handles = [marks.handle(name, look._replace(size=25.0), linestyle="-") for name, look in _LOOKS.items()]
    return style.with_legend(figure, [*handles, *_hollow_handle(run)], 4)


def caption_compartments(run: Run) -> str:
    """Say what a density ratio is, by magnification."""
    over = f"{run.unit}s with {run.confidence_percent} intervals (Student's t over {run.unit}s)"
    mean = over if marks.units_known(run) else f"patches, because their {run.unit}s are unknown; they have no interval"
    return (
        "Each compartment's share of the saliency divided by its share of the area, trained classifier, by"
        " magnification. At 1 (dashed) a compartment receives the saliency that its size alone would give it. Marks:"
        f" geometric means over {mean}. Marks of one magnification stand a little apart so that none hides another."
        + _chance_words(run)
    )


def _panels(
    run: Run, table: pd.DataFrame, beside: str, more: Sequence[float] = ()
) -> tuple[Figure, list[str], list[Axes]]:
    """Lay out a panel per class, which share their vertical axis, and `more` of these widths, along magnifications."""
    labels = in_order(run.labels, table["label"])
    figure = style.new_figure(_HEIGHT_IN)
    ratios = [*[1.0] * len(labels), *more]
    panels: Any = figure.subplots(1, len(ratios), squeeze=False, width_ratios=ratios)[0]
    places = np.log2(run.magnifications)
    words = [magnification_words(at) + ("" if run.learned[at] else "\n(hollow)") for at in run.magnifications]
    for axes, title in zip(panels, [*map(run.classes.name, labels), *[""] * len(more)], strict=True):
        axes.set_xticks(places, words)
        axes.set(xlim=(places.min() - 0.35, places.max() + 0.35), xlabel="magnification", title=title)
    for axes in panels[1 : len(labels)]:
        axes.sharey(panels[0])
        axes.tick_params(axis="y", labelleft=False)
    panels[0].set_ylabel(beside)
    return figure, labels, list(panels)


def _unit_lines(axes: Axes, means: pd.DataFrame) -> None:
    """Join each unit's means over the magnifications at which it has one."""
    table = means.melt(var_name="magnification", value_name="mean", ignore_index=False).dropna()
    if not table.empty:
        table = table.assign(place=np.log2(table["magnification"].astype(float)), unit=table.index)
        drawn: dict[str, Any] = {"color": style.TRAINED_COLOUR, "linewidth": 0.5, "alpha": 0.3, "units": "unit"}
        marks.lines(axes, table, "place", "mean", marker=".", markersize=4.0, markeredgewidth=0, **drawn)


def _mean_line(
    axes: Axes, run: Run, rows: pd.DataFrame, mean: marks.Look, *, width: float = 2.0, offset: float = 0.0
) -> None:
    """Draw one mean per magnification with its interval; what leads to one without findings is dotted."""
    rows = rows[np.isfinite(rows["estimate"])].sort_values("magnification")
    place, learned = np.log2(rows["magnification"]) + offset, rows["magnification"].map(run.learned).astype(bool)
    rows = rows.assign(place=place, learned=learned, look="mean")
    for before, after in pairwise(records(rows)):
        look: dict[str, Any] = {"linestyle": ":", "linewidth": 0.9}
        look = {"linestyle": "-", "linewidth": width} if before.learned and after.learned else look
        axes.plot([before.place, after.place], [before.estimate, after.estimate], color=mean.colour, zorder=2, **look)
    marks.mark_estimates(axes, rows, {"mean": mean}, hollow=~rows["learned"], upright=True)


def _accuracy_panel(axes: Axes, run: Run) -> None:
    """Draw the balanced accuracy of each classifier with its interval."""
    names = ["balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high"]
    rows = run.scored.rename(columns=dict(zip(names, _LIMITS, strict=True)))
    _mean_line(axes, run, rows, _MEAN, width=1.2)
    marks.reference(axes, 0.5)
    axes.annotate(
        "chance", (1.0, 0.5), xycoords=axes.get_yaxis_transform(), xytext=(0, -2), textcoords="offset points",
        ha="right", va="top", color=style.QUIET, fontsize=6.2,
    )  # fmt: skip
    lowest = float(np.nanmin([*rows["estimate"], *rows["ci_low"], 0.5]))
    axes.set(ylim=(min(0.45, lowest - 0.03), 1.02), title="the classifier", ylabel="balanced accuracy")


def _trained(run: Run) -> pd.DataFrame:
    rows = run.primary_contrasts
    return pd.DataFrame(rows[(rows["model"] == TRAINED) & np.isfinite(rows["estimate"])])


def _interval_words(run: Run) -> str:
    """Say that a mean has an interval, where any has."""
    return f" with {run.confidence_percent} interval" if np.isfinite(_trained(run)["ci_low"]).any() else ""


def _hollow_handle(run: Run) -> list[Line2D]:
    words = f"hollow: {UNLEARNED}, no finding"
    handle = marks.handle(words, _MEAN._replace(size=25.0, line=0.9), hollow=True, linestyle=":")
    return [] if all(run.learned.values()) else [handle]


def _handles(run: Run) -> list[Line2D]:
    mean = f"{run.unit}s{_interval_words(run)}" if marks.units_known(run) else "patches"
    handles = [marks.handle(f"trained: mean over {mean}", _MEAN._replace(line=2.0), linestyle="-")]
    if marks.units_known(run):
        handles.append(style.line_handle(f"one {run.unit}", style.TRAINED_COLOUR, width=0.5))
    return [*handles, *marks.network_handles(run, list(run.controls), width=1.3), *_hollow_handle(run)]


def _chance_words(run: Run) -> str:
    at = listing(magnification_words(value) for value in run.magnifications if not run.learned[value])
    words = f" Hollow marks, at {at}: {AT_CHANCE}."
    return "" if all(run.learned.values()) else words
