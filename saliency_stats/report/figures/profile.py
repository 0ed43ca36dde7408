"""The distance profile: how saliency changes from inside the nuclei, across their border, outwards."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    empty_figure,
    line_handle,
    new_figure,
)
from saliency_stats.report.population import stratum_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import count, listing, model_words
from saliency_stats.vocabulary import TRAINED

_CONTROL_STYLES: Final = ("--", ":", "-.")
#: A mean over slides is drawn where at least this share of them reaches the distance.
_LEAST_SHARE: Final = 0.5


def draw_profile(run: Run) -> Figure:
    """Draw mean saliency against the signed distance to the nuclear border: slides thin, their mean thick."""
    table = shown_profile(run)
    if table.empty:
        return empty_figure("no judged patch holds a nucleus")
    labels = [label for label in run.labels if (table["label"] == label).any()]
    magnifications = [value for value in run.magnifications if (table["magnification"] == value).any()]
    figure = new_figure(0.7 + 2.1 * len(magnifications))
    grid: Any = figure.subplots(len(magnifications), len(labels), squeeze=False, sharex=True, sharey=True)
    models = _models(table)
    low, high = float(table["distance_um"].min()), float(table["distance_um"].max())
    for line, magnification in zip(grid, magnifications, strict=True):
        for axes, label in zip(line, labels, strict=True):
            rows = table[(table["magnification"] == magnification) & (table["label"] == label)]
            _background(axes, run, low, high)
            for k, model in enumerate(models):
                _curves(axes, rows[rows["model"] == model], model, _CONTROL_STYLES[(k - 1) % 3])
            axes.set_title(f"{stratum_words(run, magnification, label)}: {_n_words(rows)}")
        line[0].set_ylabel("saliency (1 = patch mean)")
    for axes in grid[-1]:
        axes.set_xlabel("distance to the nearest nuclear border (µm)")
    handles = [
        line_handle(
            f"{model_words(model)}, mean",
            TRAINED_COLOUR if model == TRAINED else CONTROL_COLOUR,
            "-" if model == TRAINED else _CONTROL_STYLES[(k - 1) % 3],
            1.7,
        )
        for k, model in enumerate(models)
    ]
    if (table["slide_id"] != "").any():
        handles.insert(1, line_handle("trained, one slide", TRAINED_COLOUR, "-", 0.4))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def caption_profile(run: Run) -> str:
    """Say how to read the distances."""
    table = shown_profile(run)
    if table.empty:
        return "No profile could be drawn: no judged patch holds a nucleus."
    slides = (
        f"Thin lines are slides, the thick line their mean, drawn where at least {100 * _LEAST_SHARE:.0f} %"
        " of the slides have pixels."
        if (table["slide_id"] != "").any()
        else ("The slides are unknown, so there is one line over all patches and no measure of its uncertainty.")
    )
    reach = run.settings.compartments.cytoplasm_um
    band = f" The tinted band outside reaches as far as cytoplasm can be counted ({reach:g} µm)." if reach else ""
    controls = [model_words(model) for model in _models(table) if model != TRAINED]
    beside = f" Grey, broken: the {listing(controls)}." if controls else ""
    return (
        "Saliency against the distance to the nearest nuclear border: negative distances lie inside a"
        " nucleus, zero is the border, positive distances lie outside. A value of 1 is the mean of the"
        f" patch. The profile needs no decision on how wide the cytoplasm is. {slides}{band}{beside} A peak"
        " at the border itself speaks for edges rather than for either compartment."
    )


def shown_profile(run: Run) -> pd.DataFrame:
    """Return the profile's rows of the method and reduction that the figures show."""
    rows = run.own_profile[(run.own_profile["method"] == run.method) & (run.own_profile["reduction"] == run.reduction)]
    return rows.dropna(subset=["mean_saliency_ratio"]).reset_index(drop=True)


def _models(table: pd.DataFrame) -> list[str]:
    return [TRAINED, *sorted(set(table["model"]) - {TRAINED})]


def _n_words(rows: pd.DataFrame) -> str:
    slides = rows.loc[rows["slide_id"] != "", "slide_id"].nunique()
    if slides:
        return count(slides, "slide")
    patches = rows.loc[rows["model"] == TRAINED, "n_patches"].max()
    return f"{count(patches, 'patch')}, slides unknown"


def _background(axes: Any, run: Run, low: float, high: float) -> None:
    if low < 0:
        axes.axvspan(low, 0.0, color=COMPARTMENT_COLOURS["nucleus"], alpha=0.10, linewidth=0)
        axes.text(
            0.01,
            0.985,
            "inside nuclei",
            transform=axes.transAxes,
            va="top",
            color=COMPARTMENT_COLOURS["nucleus"],
        )
    reach = run.settings.compartments.cytoplasm_um
    if isinstance(reach, int | float) and reach > 0:
        axes.axvspan(0.0, min(float(reach), high), color=COMPARTMENT_COLOURS["cytoplasm"], alpha=0.12, linewidth=0)
    axes.axhline(1.0, color=QUIET, linestyle="--", linewidth=0.7)
    axes.axvline(0.0, color=QUIET, linewidth=0.9)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(MultipleLocator(5.0))


def _curves(axes: Any, rows: pd.DataFrame, model: str, control_style: str) -> None:
    if rows.empty:
        return
    wide = rows.pivot_table(index="distance_um", columns="slide_id", values="mean_saliency_ratio").sort_index()
    colour = TRAINED_COLOUR if model == TRAINED else CONTROL_COLOUR
    if model == TRAINED and wide.shape[1] > 1:
        axes.plot(wide.index, wide.to_numpy(), color=colour, linewidth=0.4, alpha=0.45)
    reached = wide.notna().mean(axis=1) >= _LEAST_SHARE
    mean = wide.mean(axis=1).where(reached, np.nan)
    axes.plot(
        mean.index,
        mean.to_numpy(),
        color=colour,
        linewidth=1.7,
        linestyle="-" if model == TRAINED else control_style,
    )
