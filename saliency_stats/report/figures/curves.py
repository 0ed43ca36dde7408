"""Deletion and insertion curves: the logit while one compartment is taken away, or put back alone."""

from typing import Any, Final

import pandas as pd
from matplotlib.figure import Figure

from saliency_stats.report.figures.causal import NOTHING, strata_of, units_known
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, empty_figure, line_handle, new_figure
from saliency_stats.report.population import points, stratum_words
from saliency_stats.report.run import Run
from saliency_stats.vocabulary import PATCH_KEY, TISSUE, TRAINED

DIRECTION_WORDS: Final = {"deletion": "taken away", "insertion": "put back alone"}


def draw_curves(run: Run, curves: pd.DataFrame) -> Figure:
    """Draw the logit against the share of a compartment that is taken away, or put back alone.

    Parameters
    ----------
    run
        Tells the judged patches and the unit.
    curves
        ``ablation_curves.csv``: patch_id, slide_id, label, magnification, model, compartment, direction, share, logit.

    Returns
    -------
    Figure
        A row for every magnification and class, a panel for every direction.
    """
    table = shown_curves(run, curves)
    if table.empty:
        return empty_figure(NOTHING)
    strata = strata_of(run, table)
    directions = [name for name in DIRECTION_WORDS if (table["direction"] == name).any()]
    figure = new_figure(0.7 + 2.0 * len(strata))
    grid = figure.subplots(len(strata), len(directions), squeeze=False, sharex=True, sharey="row")
    for line, (magnification, label) in zip(grid, strata, strict=True):
        for axes, direction in zip(line, directions, strict=True):
            rows = table[
                (table["magnification"] == magnification)
                & (table["label"] == label)
                & (table["direction"] == direction)
            ]
            for compartment in TISSUE:
                _draw_curve(axes, run, rows[rows["compartment"] == compartment], COMPARTMENT_COLOURS[compartment])
            axes.set_title(f"{stratum_words(run, magnification, label)}: {DIRECTION_WORDS[direction]}")
        line[0].set_ylabel(f"logit of “{label}”")
    for axes in grid[-1]:
        axes.set_xlabel("share of the compartment (%)")
        axes.set_xlim(0, 100)
    handles = [line_handle(name, COMPARTMENT_COLOURS[name]) for name in TISSUE]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def caption_curves(run: Run, curves: pd.DataFrame) -> str:
    """Say what the two directions are."""
    table = shown_curves(run, curves)
    if table.empty:
        return "Nothing could be drawn: no judged patch had a compartment replaced."
    band = f"bands are {run.confidence_percent} intervals (Student's t over {run.unit}s)"
    if not units_known(run, table):
        band = f"there are no intervals, because the {run.unit}s are unknown"
    return (
        "The logit of the patch's own class while a compartment is replaced by the local mean colour of the tissue,"
        " blob by blob. Taken away: from the whole patch (0 %) to the patch without the compartment. Put back alone:"
        " from a patch whose whole tissue is replaced to one that shows this compartment only. A compartment that"
        " carries the decision falls fast when it is taken away and rises fast when it is put back. Compartments differ"
        f" in size, and these curves are not divided by it. Lines are means over {run.unit}s; {band}."
    )


def shown_curves(run: Run, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of the judged patches, of the trained network, with their patients."""
    rows = curves[curves["model"] == TRAINED].merge(run.population.patches, on=[*PATCH_KEY, "label"], how="inner")
    patients = run.patches[[*PATCH_KEY, "patient_id"]].drop_duplicates()
    return rows.drop(columns="patient_id", errors="ignore").merge(patients, on=list(PATCH_KEY), how="left")


def _draw_curve(axes: Any, run: Run, rows: pd.DataFrame, colour: str) -> None:
    shares, found = [], []
    for share, part in rows.groupby("share", sort=True):
        shares.append(100 * float(str(share)))
        found.append(points(run, part, "logit"))
    if not found:
        return
    axes.plot(shares, [one.mean for one in found], color=colour, linewidth=1.6, marker="o", markersize=2.5)
    axes.fill_between(
        shares, [one.low for one in found], [one.high for one in found], color=colour, alpha=0.18, linewidth=0
    )
