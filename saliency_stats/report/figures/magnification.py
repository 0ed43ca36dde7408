"""How the saliency changes with the magnification: the primary contrast, the compartments, and the classifier."""

from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliency_stats.report.figures.contrasts import NOT_INTERPRETABLE, missing_reasons, primary_rows
from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    empty_figure,
    line_handle,
    new_figure,
    ratio_axis,
)
from saliency_stats.report.population import points, unit_means
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import control_words, listing, magnification_words, model_words
from saliency_stats.vocabulary import TISSUE, TRAINED

_NOTHING: Final = "no judged patch has both nuclei and cytoplasm"
_NOTHING_JUDGED: Final = "no patch of the evaluation split was classified correctly and confidently"
_AT_CHANCE: Final = "(chance)"
_MARKERS: Final = dict(zip(TISSUE, "osD", strict=True))
#: Controls are grey and differ by their dashes.
_DASHES: Final[tuple[Any, ...]] = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (2, 3)))
#: Ratios closer to 1 than this on a log2 axis would look like differences if the axis were fitted to them.
_LEAST_REACH: Final = 0.3
_HEIGHT_IN: Final = 3.0


def has_magnifications(run: Run) -> bool:
    """Tell whether a run has several magnifications to compare."""
    return len(run.magnifications) > 1


def draw_magnification(run: Run) -> Figure:
    """Draw the ratio cytoplasm : nucleus by magnification, a panel per class, and the classifier's accuracy beside."""
    rows = primary_rows(run)
    rows = rows[np.isfinite(rows["estimate"])]
    if rows.empty:
        return empty_figure(_NOTHING)
    values = run.primary_values
    labels = [label for label in run.labels if (rows["label"] == label).any()]
    figure = new_figure(_HEIGHT_IN)
    panels: Any = figure.subplots(1, len(labels) + 1, width_ratios=[*[1.0] * len(labels), 0.85])
    shown: list[float] = [-_LEAST_REACH, _LEAST_REACH]
    for axes, label in zip(panels[:-1], labels, strict=True):
        own = rows[rows["label"] == label]
        lines = unit_means(run, values[values["label"] == label])
        _draw_lines(axes, run, lines)
        for control, dashes in zip(run.controls, _cycled(len(run.controls)), strict=True):
            _draw_line(axes, run, own[own["model"] == control], CONTROL_COLOUR, style=dashes, width=1.3, marks=False)
        _draw_line(axes, run, own[own["model"] == TRAINED], TRAINED_COLOUR)
        _magnification_axis(axes, run)
        axes.set_title(label)
        limits = own.loc[own["model"].isin([TRAINED, *run.controls]), ["estimate", "ci_low", "ci_high"]]
        shown += [*limits.to_numpy(np.float64).ravel(), *lines.to_numpy(np.float64).ravel()]
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    for axes in panels[:-1]:
        _ratio_panel(axes, low, high)
    for axes in panels[1:-1]:
        axes.tick_params(axis="y", labelleft=False)
    panels[0].set_ylabel("saliency density, cytoplasm ÷ nuclei")
    _accuracy_panel(panels[-1], run)
    figure.legend(handles=_handles(run), loc="outside lower center", ncols=2)
    return figure


def caption_magnification(run: Run) -> str:
    """Say what the lines are, and what the magnifications do not share."""
    text = (
        "How much denser the saliency is in the cytoplasm than in the nuclei, by magnification; one classifier was"
        " trained for each. Above the dashed line the cytoplasm is denser (the claim under test), below it the nuclei."
    )
    text += (
        f" Thin lines: one {run.unit} each. Thick line: their mean{_interval_words(run)}."
        if _units_known(run)
        else f" Thick line: the mean over patches, because their {run.unit}s are unknown; it has no interval."
    )
    rows = _trained(run)
    reasons = missing_reasons(rows[rows["status"] != NOT_INTERPRETABLE])
    if reasons and _units_known(run):
        text += f" Means without an interval: {'; '.join(reasons)}."
    if run.controls:
        text += f" Grey broken line: the same for the {listing(control_words(name) for name in run.controls)}."
    text += (
        " At each magnification the patches that its own classifier got right confidently are judged, so they are not"
        " all the same; paired differences are in the table of differences. Right: balanced accuracy on the"
        f" {run.evaluation_split} split with its interval; 0.5 is chance."
    )
    return text + _chance_words(run)


def draw_compartments(run: Run) -> Figure:
    """Draw the density ratio of nuclei, cytoplasm and stroma by magnification, a panel per class."""
    table = run.judged_ledger
    table = table[table["model"] == TRAINED]
    if table.empty:
        return empty_figure(_NOTHING_JUDGED)
    labels = [label for label in run.labels if (table["label"] == label).any()]
    figure = new_figure(_HEIGHT_IN)
    panels: Any = figure.subplots(1, len(labels), squeeze=False, sharey=True)[0]
    shown = [-_LEAST_REACH, _LEAST_REACH]
    for axes, label in zip(panels, labels, strict=True):
        for k, compartment in enumerate(TISSUE):
            rows = _means(run, table[(table["label"] == label) & (table["compartment"] == compartment)])
            offset = 0.07 * (k - 1)
            colour, marker = COMPARTMENT_COLOURS[compartment], _MARKERS[compartment]
            _draw_line(axes, run, rows, colour, marker=marker, offset=offset)
            shown += rows[["estimate", "ci_low", "ci_high"]].to_numpy(np.float64).ravel().tolist()
        _magnification_axis(axes, run)
        axes.set_title(label)
    for axes in panels:
        _ratio_panel(axes, float(np.nanmin(shown)), float(np.nanmax(shown)), words=False)
    panels[0].set_ylabel("density ratio (1 = like the whole patch)")
    handles = [
        Line2D([], [], color=COMPARTMENT_COLOURS[name], marker=_MARKERS[name], markersize=5, label=name)
        for name in TISSUE
    ]
    figure.legend(handles=[*handles, *_hollow_handle(run)], loc="outside lower center", ncols=4)
    return figure


def caption_compartments(run: Run) -> str:
    """Say what a density ratio is, by magnification."""
    over = f"{run.unit}s with {run.confidence_percent} intervals (Student's t over {run.unit}s)"
    mean = over if _units_known(run) else f"patches, because their {run.unit}s are unknown; they have no interval"
    return (
        "Each compartment's share of the saliency divided by its share of the area, trained classifier, by"
        " magnification. At 1 (dashed) a compartment receives the saliency that its size alone would give it. Marks:"
        f" geometric means over {mean}. Marks of one magnification stand a little apart so that none hides another."
        + _chance_words(run)
    )


def _units_known(run: Run) -> bool:
    return not (run.judged_ledger[run.unit_column] == "").any()


def _means(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the geometric mean density ratio and its interval at each magnification."""
    found = []
    for magnification in run.magnifications:
        point = points(run, rows[rows["magnification"] == magnification], "density_ratio", log2=True)
        bounds = (point.low, point.high) if run.learned[magnification] else (np.nan, np.nan)
        found.append((magnification, point.mean, *bounds))
    return pd.DataFrame(found, columns=["magnification", "estimate", "ci_low", "ci_high"])


def _places(run: Run) -> dict[float, float]:
    """Return where each magnification stands on a log2 axis."""
    return {value: float(np.log2(value)) for value in run.magnifications}


def _magnification_axis(axes: Axes, run: Run) -> None:
    places = _places(run)
    words = [
        magnification_words(value) + ("" if run.learned[value] else f"\n{_AT_CHANCE}") for value in run.magnifications
    ]
    axes.set_xticks(list(places.values()), words)
    axes.set_xlim(min(places.values()) - 0.35, max(places.values()) + 0.35)
    axes.set_xlabel("magnification")


def _ratio_panel(axes: Axes, low: float, high: float, *, words: bool = True) -> None:
    axes.axhline(0.0, color=QUIET, linestyle="--", linewidth=0.8, zorder=0)
    ratio_axis(axes, "y", low, high)
    if words:
        for place, side, text in ((1.0, "top", "↑ denser in cytoplasm"), (0.0, "bottom", "↓ denser in nuclei")):
            axes.text(0.02, place, text, transform=axes.transAxes, va=side, color=QUIET, fontsize=6.2)


def _draw_lines(axes: Axes, run: Run, means: pd.DataFrame) -> None:
    """Join each unit's means over the magnifications at which it has one."""
    places = np.array(list(_places(run).values()))
    for each in means.to_numpy(np.float64):
        has = np.isfinite(each)
        axes.plot(places[has], each[has], color=TRAINED_COLOUR, linewidth=0.5, alpha=0.3, marker=".", markersize=2.5)


def _draw_line(
    axes: Axes,
    run: Run,
    rows: pd.DataFrame,
    colour: str,
    *,
    style: Any = "-",
    width: float = 2.0,
    marker: str = "o",
    marks: bool = True,
    offset: float = 0.0,
) -> None:
    """Draw one mean per magnification with its interval; what leads to a magnification at chance is dotted."""
    order = {value: k for k, value in enumerate(run.magnifications)}
    ordered = sorted(records(rows[np.isfinite(rows["estimate"])]), key=lambda row: order[row.magnification])
    places = {value: place + offset for value, place in _places(run).items()}
    for before, after in pairwise(ordered):
        # only a trained line depends on what the classifier learned
        sure = not marks or (run.learned[before.magnification] and run.learned[after.magnification])
        axes.plot(
            [places[before.magnification], places[after.magnification]],
            [before.estimate, after.estimate],
            color=colour,
            linestyle=style if sure else ":",
            linewidth=width if sure else 0.9,
            zorder=2,
        )
    for row in ordered if marks else ():
        at = places[row.magnification]
        if np.isfinite(row.ci_low):
            axes.plot([at, at], [row.ci_low, row.ci_high], color=colour, linewidth=1.5, zorder=3)
        hollow = not run.learned[row.magnification]
        face = "white" if hollow else colour
        axes.plot([at], [row.estimate], marker=marker, markersize=5.5, color=colour, markerfacecolor=face, zorder=4)


def _accuracy_panel(axes: Axes, run: Run) -> None:
    """Draw the balanced accuracy of each classifier with its interval."""
    scored = run.own_metrics[(run.own_metrics["model"] == TRAINED) & (run.own_metrics["split"] == run.evaluation_split)]
    names = {"balanced_accuracy": "estimate", "balanced_accuracy_low": "ci_low", "balanced_accuracy_high": "ci_high"}
    rows = scored.rename(columns=names)
    _draw_line(axes, run, rows, TRAINED_COLOUR, width=1.2)
    axes.axhline(0.5, color=QUIET, linestyle="--", linewidth=0.8, zorder=0)
    axes.annotate(
        "chance", (1.0, 0.5), xycoords=axes.get_yaxis_transform(), xytext=(0, -2), textcoords="offset points",
        ha="right", va="top", color=QUIET, fontsize=6.2,
    )  # fmt: skip
    found = rows[["estimate", "ci_low"]].to_numpy(np.float64)
    low = float(np.nanmin(found)) if np.isfinite(found).any() else 0.5
    axes.set_ylim(min(0.45, low - 0.03), 1.02)
    _magnification_axis(axes, run)
    axes.set_title("the classifier")
    axes.set_ylabel("balanced accuracy")


def _trained(run: Run) -> pd.DataFrame:
    rows = primary_rows(run)
    trained: pd.DataFrame = rows[(rows["model"] == TRAINED) & np.isfinite(rows["estimate"])]
    return trained


def _interval_words(run: Run) -> str:
    """Say that a mean has an interval, where any has."""
    return f" with {run.confidence_percent} interval" if np.isfinite(_trained(run)["ci_low"]).any() else ""


def _cycled(n: int) -> list[Any]:
    return [_DASHES[k % len(_DASHES)] for k in range(n)]


def _hollow_handle(run: Run) -> list[Line2D]:
    if all(run.learned[value] for value in run.magnifications):
        return []
    return [
        Line2D([], [], color=TRAINED_COLOUR, marker="o", markerfacecolor="white", linestyle=":", linewidth=0.9,
               label="hollow: classifier at chance, no finding")
    ]  # fmt: skip


def _handles(run: Run) -> list[Line2D]:
    known = _units_known(run)
    mean = f"trained: mean over {run.unit}s{_interval_words(run)}" if known else "trained: mean over patches"
    handles = [Line2D([], [], color=TRAINED_COLOUR, linewidth=2.0, marker="o", markersize=5.5, label=mean)]
    if known:
        handles.append(line_handle(f"one {run.unit}", TRAINED_COLOUR, width=0.5))
    for control, dashes in zip(run.controls, _cycled(len(run.controls)), strict=True):
        handles.append(line_handle(model_words(control), CONTROL_COLOUR, dashes, 1.3))
    return [*handles, *_hollow_handle(run)]


def _chance_words(run: Run) -> str:
    chance = [magnification_words(value) for value in run.magnifications if not run.learned[value]]
    if not chance:
        return ""
    return (
        f" Hollow marks, at {listing(chance)}: the classifier does not beat chance there, so where it looks means"
        " nothing."
    )
