"""The forest plot: the primary contrast of each class and magnification, by network and their difference."""

import textwrap
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from saliency_stats.report.figures.style import (
    CONTROL_COLOUR,
    DIFFERENCE_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    empty_figure,
    new_figure,
    ratio_axis,
)
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import (
    NONE,
    control_words,
    listing,
    magnification_words,
    model_words,
    p_words,
    ratio,
    ratio_interval,
    whole,
)
from saliency_stats.statistics import PRIMARY
from saliency_stats.vocabulary import TRAINED

NOT_INTERPRETABLE: Final = "not_interpretable"


def primary_rows(run: Run) -> pd.DataFrame:
    """Return one row per class, magnification and network of the primary contrast, in reading order.

    The rows are those of the study's primary test, for the method and reduction that the figures show.
    """
    rows = run.own_contrasts[
        (run.own_contrasts["contrast"] == PRIMARY)
        & (run.own_contrasts["method"] == run.method)
        & (run.own_contrasts["reduction"] == run.reduction)
        & (run.own_contrasts["label"].isin(run.labels))
    ]
    return one_test(run, rows)


def one_test(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    """Keep, of the rows of one contrast, those of the primary test (of the first test where it is absent)."""
    key = ["magnification", "label", "contrast", "model", "method", "reduction"]
    order = {name: k for k, name in enumerate(run.magnifications)}
    ranked = rows.assign(
        place=[order.get(value, len(order)) for value in rows["magnification"]],
        other=rows["test"] != run.primary_test,
        depth=[_depth(str(model)) for model in rows["model"]],
    )
    ranked = ranked.sort_values(["place", "label", "contrast", "depth", "model", "other", "test"], kind="stable")
    return ranked.groupby(key, sort=False).head(1).drop(columns=["place", "other", "depth"]).reset_index(drop=True)


def draw_forest(run: Run) -> Figure:
    """Draw the estimates with their intervals, numbers beside them, a dashed line at no preference."""
    rows = primary_rows(run)
    rows = rows[np.isfinite(rows["estimate"])].reset_index(drop=True)
    if rows.empty:
        return empty_figure("no judged patch has both nuclei and cytoplasm")
    places = row_places(rows)
    figure = new_figure(1.15 + 0.23 * (places[-1] + 1.0))
    axes, numbers = _two_panels(figure, run.confidence_percent)
    axes.axvline(0.0, color=QUIET, linestyle="--", linewidth=0.9, zorder=0)
    for place, row in zip(places, records(rows), strict=True):
        _draw_estimate(axes, place, row)
        _write_numbers(numbers, place, row)
    axes.set_yticks(places, [model_words(str(model)) for model in rows["model"]])
    write_headings(axes, rows, places)
    limits = rows[["estimate", "ci_low", "ci_high"]].to_numpy(np.float64)
    reach = max(0.3, float(np.nanmax(np.abs(limits))))
    ratio_axis(axes, "x", -reach, reach)
    for panel in (axes, numbers):
        panel.set_ylim(places[-1] + 0.7, -1.0)
    axes.set_xlabel("saliency density in the cytoplasm ÷ density in the nuclei  (log axis)")
    axes.text(0.48, 1.0, "← denser in nuclei", transform=axes.transAxes, ha="right", va="bottom", color=QUIET)
    axes.text(0.52, 1.0, "denser in cytoplasm →", transform=axes.transAxes, ha="left", va="bottom", color=QUIET)
    reasons = missing_reasons(rows)
    if reasons:
        words = textwrap.fill(f"{NONE} no interval: {'; '.join(reasons)}", 120)
        figure.supxlabel(words, color=QUIET, fontsize=6.5)
    return figure


def missing_reasons(rows: pd.DataFrame) -> list[str]:
    """Return why some of the rows have no interval, each reason once."""
    return sorted({str(reason) for reason in rows.loc[~np.isfinite(rows["ci_low"]), "reason"] if reason})


def caption_forest(run: Run) -> str:
    """Say what the lines are, and why some have no interval."""
    rows = primary_rows(run)
    controls = [control_words(name) for name in run.controls if (rows["model"] == name).any()]
    text = (
        "How much denser the saliency is in the cytoplasm than in the nuclei. To the right of the dashed line"
        " the cytoplasm is denser (the claim under test), to the left the nuclei are. Circles: the trained"
        " network."
    )
    if controls:
        text += (
            f" Squares: the same for the {listing(controls)}. Diamonds: the trained network"
            " against the control, as a ratio of the two ratios; only here is what training added."
        )
    if np.isfinite(rows["ci_low"]).any():
        text += (
            f" Lines are {run.confidence_percent} intervals over {run.unit}s; p-values are corrected for the"
            " number of hypotheses in their family."
        )
    reasons = missing_reasons(rows)
    if reasons:
        text += f" Estimates without an interval: {'; '.join(reasons)}."
    if (rows["status"] == NOT_INTERPRETABLE).any():
        text += " Hollow circles are no finding: the classifier learned nothing there."
    return text


def _depth(model: str) -> int:
    if model == TRAINED:
        return 0
    return 2 if model.startswith(f"{TRAINED}-") else 1


def _two_panels(figure: Figure, level: str) -> tuple[Any, Any]:
    axes, numbers = figure.subplots(1, 2, sharey=True, width_ratios=[1.0, 1.02])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_yticks([])
    numbers.set_axis_off()
    numbers.set_xlim(0.0, 1.0)
    for left, word in zip(_COLUMNS, ("ratio", f"{level} interval", "adjusted p", "slides", "patches"), strict=True):
        numbers.text(left, -0.75, word, color=QUIET, ha="right", va="center", fontsize=6.8)
    return axes, numbers


_COLUMNS: Final = (0.12, 0.42, 0.64, 0.8, 0.97)


def row_places(rows: pd.DataFrame) -> list[float]:
    """Give each row its height: rows of one class and magnification stand together under a heading line."""
    places: list[float] = []
    at, before = -1.0, None
    for stratum in zip(rows["magnification"], rows["label"], strict=True):
        at += 1.0 if stratum == before else 2.2
        before = stratum
        places.append(at)
    return places


def write_headings(axes: Any, rows: pd.DataFrame, places: list[float]) -> None:
    """Write each class and magnification above the first of its rows."""
    for row in records(rows.assign(place=places).drop_duplicates(["magnification", "label"])):
        axes.annotate(
            f"{row.label}, {magnification_words(row.magnification)}",
            (0.0, row.place - 0.95),
            xycoords=axes.get_yaxis_transform(),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontweight="bold",
            annotation_clip=False,
        )


def _draw_estimate(axes: Any, place: float, row: Any) -> None:
    depth = _depth(row.model)
    colour = (TRAINED_COLOUR, CONTROL_COLOUR, DIFFERENCE_COLOUR)[depth]
    marker = ("o", "s", "D")[depth]
    hollow = row.status == NOT_INTERPRETABLE
    if np.isfinite(row.ci_low) and np.isfinite(row.ci_high):
        axes.plot(
            [row.ci_low, row.ci_high],
            [place, place],
            color=colour,
            linewidth=1.5,
            alpha=0.4 if hollow else 1.0,
        )
    axes.plot(
        [row.estimate],
        [place],
        marker=marker,
        markersize=5,
        color=colour,
        markerfacecolor="white" if hollow else colour,
    )


def _write_numbers(numbers: Any, place: float, row: Any) -> None:
    words = (
        ratio(row.estimate),
        ratio_interval(row.ci_low, row.ci_high),
        p_words(row.p_adjusted),
        whole(row.n_slides) if row.n_slides else NONE,
        whole(row.n_patches),
    )
    for left, word in zip(_COLUMNS, words, strict=True):
        numbers.text(left, place, word, ha="right", va="center", fontsize=6.8)
