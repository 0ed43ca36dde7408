"""The distance profile: how saliency changes from inside the nuclei, across their border, outwards."""

from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from saliency_stats.report.figures import marks, style
from saliency_stats.report.figures.facets import facets
from saliency_stats.report.population import stratum_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import count, listing
from saliency_stats.vocabulary import TRAINED

#: A mean over slides is drawn where at least this share of them reaches the distance.
_LEAST_SHARE: Final = 0.5
_WIDTH: Final = 1.7


def draw_profile(run: Run) -> Figure:
    """Draw mean saliency against the signed distance to the nuclear border: slides thin, their mean thick."""
    table = shown_profile(run)
    models = marks.networks(table)
    limits = float(table["distance_um"].min()), float(table["distance_um"].max())
    words: dict[str, Any] = {
        "beside": "saliency (1 = patch mean)",
        "below": ("distance to the nearest nuclear border (µm)",),
    }
    figure, panels = facets(run, table, 2.1, around_in=0.7, sharex=True, sharey=True, **words)
    for (axes,), stratum, rows, _ in panels:
        _background(axes, run, *limits)
        _curves(axes, rows, models)
        axes.set_title(f"{stratum_words(run, *stratum)}: {_n_words(rows)}")
    handles = marks.network_handles(run, models, ["mean"] * len(models), _WIDTH)
    if (table["slide_id"] != "").any():
        handles.insert(1, style.line_handle("trained, one slide", style.TRAINED_COLOUR, "-", 0.4))
    return style.with_legend(figure, handles, len(handles))


def caption_profile(run: Run) -> str:
    """Say how to read the distances."""
    table = shown_profile(run)
    slides = (
        f"Thin lines are slides, the thick line their mean, drawn where at least {100 * _LEAST_SHARE:.0f} % of the"
        " slides have pixels."
        if (table["slide_id"] != "").any()
        else "The slides are unknown, so there is one line over all patches and no measure of its uncertainty."
    )
    reach = run.settings.compartments.cytoplasm_um
    band = f" The tinted band outside reaches as far as cytoplasm can be counted ({reach:g} µm)."
    controls = [run.network(model) for model in marks.networks(table) if model != TRAINED]
    beside = f" Grey, broken: the {listing(controls)}." if controls else ""
    return (
        "Saliency against the distance to the nearest nuclear border: negative distances lie inside a nucleus, zero is"
        " the border, positive distances lie outside. A value of 1 is the mean of the patch. The profile needs no"
        f" decision on how wide the cytoplasm is. {slides}{band}{beside} A peak at the border itself speaks for edges"
        " rather than for either compartment."
    )


def shown_profile(run: Run) -> pd.DataFrame:
    """Return the profile's rows of the method and reduction that the figures show."""
    rows = run.own_profile
    rows = rows[(rows["method"] == run.method) & (rows["reduction"] == run.reduction)]
    return style.some(rows.dropna(subset=["mean_saliency_ratio"]), "no judged patch holds a nucleus")


def _n_words(rows: pd.DataFrame) -> str:
    slides = rows.loc[rows["slide_id"] != "", "slide_id"].nunique()
    if slides:
        return count(slides, "slide")
    patches = rows.loc[rows["model"] == TRAINED, "n_patches"].max()
    return f"{count(patches, 'patch')}, slides unknown"


def _background(axes: Axes, run: Run, low: float, high: float) -> None:
    """Tint the inside of nuclei and as far as cytoplasm can be counted; mark the border and the patch's mean."""
    inside, outside = style.COMPARTMENT_COLOURS["nucleus"], style.COMPARTMENT_COLOURS["cytoplasm"]
    if low < 0:
        axes.axvspan(low, 0.0, color=inside, alpha=0.10, linewidth=0)
        axes.text(0.01, 0.985, "inside nuclei", transform=axes.transAxes, va="top", color=inside)
    reach = run.settings.compartments.cytoplasm_um
    axes.axvspan(0.0, min(reach, high), color=outside, alpha=0.12, linewidth=0)
    marks.reference(axes, 1.0)
    axes.axvline(0.0, color=style.QUIET, linewidth=0.9)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(MultipleLocator(5.0))


def _curves(axes: Axes, rows: pd.DataFrame, models: list[str]) -> None:
    means = []
    for model in models:
        own = rows[rows["model"] == model]
        wide = own.pivot_table(index="distance_um", columns="slide_id", values="mean_saliency_ratio").sort_index()
        if model == TRAINED and wide.shape[1] > 1:
            # not by seaborn, which would join the two sides of a distance that a slide does not reach
            axes.plot(wide.index, wide.to_numpy(), color=style.TRAINED_COLOUR, linewidth=0.4, alpha=0.45)
        mean = wide.mean(axis=1).where(wide.notna().mean(axis=1) >= _LEAST_SHARE)
        means.append(mean.rename("mean").reset_index().assign(model=model))
    marks.network_lines(axes, pd.concat(means, ignore_index=True), "distance_um", "mean", models, _WIDTH)
