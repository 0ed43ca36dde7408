"""Deletion and insertion curves: the logit while one compartment is taken away, or put back alone."""

from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from saliency_stats.report.figures.causal import NOTHING
from saliency_stats.report.figures.facets import strata
from saliency_stats.report.figures.marks import lines, summaries, units_known
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, line_handle, new_figure, some, with_legend
from saliency_stats.report.population import stratum_words
from saliency_stats.report.run import Run
from saliency_stats.vocabulary import TISSUE, TRAINED

_DIRECTION_WORDS: Final = {"deletion": "taken away", "insertion": "put back alone"}


def draw_curves(run: Run) -> Figure:
    """Draw the logit against the share of a compartment, a row per stratum, a panel per direction."""
    table = shown_curves(run)
    rows = strata(run, table)
    directions = [name for name in _DIRECTION_WORDS if (table["direction"] == name).any()]
    figure = new_figure(0.7 + 2.0 * len(rows))
    grid = figure.subplots(len(rows), len(directions), squeeze=False, sharex=True, sharey="row")
    for line, (stratum, own) in zip(grid, rows.items(), strict=True):
        for axes, direction in zip(line, directions, strict=True):
            means = summaries(run, own[own["direction"] == direction], ["compartment", "share"], "logit")
            means["share"] *= 100
            look = {"palette": COMPARTMENT_COLOURS, "marker": "o", "markersize": 3.5, "linewidth": 1.6}
            lines(axes, means, "share", "estimate", hue="compartment", **look)
            for name, part in means.groupby("compartment"):
                colour = COMPARTMENT_COLOURS[str(name)]
                axes.fill_between(part["share"], part["ci_low"], part["ci_high"], color=colour, alpha=0.18, linewidth=0)
            axes.set_title(f"{stratum_words(run, *stratum)}: {_DIRECTION_WORDS[direction]}")
            axes.set_xlim(0, 100)
        line[0].set_ylabel(f"logit of “{stratum[1]}”")
    for axes in grid[-1]:
        axes.set_xlabel("share of the compartment (%)")
    handles = [line_handle(name, COMPARTMENT_COLOURS[name]) for name in TISSUE]
    return with_legend(figure, handles, len(handles))


def caption_curves(run: Run) -> str:
    """Say what the two directions are."""
    table = shown_curves(run)
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


def shown_curves(run: Run) -> pd.DataFrame:
    """Return the curves of the judged patches, of the trained network."""
    return some(run.of_judged(run.ablation_curves[run.ablation_curves["model"] == TRAINED]), NOTHING)
