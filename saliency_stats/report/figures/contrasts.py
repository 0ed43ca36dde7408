"""The forest plot: the primary contrast of each class and magnification, by network and their difference."""

from typing import Final

import numpy as np
from matplotlib.figure import Figure

from saliency_stats.report.figures.marks import NOT_BOTH, Look, control_meaning, look, mark_estimates
from saliency_stats.report.figures.networks import network_estimates
from saliency_stats.report.figures.rows import NOT_INTERPRETABLE, draw_rows, missing_reasons, number_columns
from saliency_stats.report.figures.style import QUIET, some
from saliency_stats.report.run import Run
from saliency_stats.report.words import listing
from saliency_stats.statistics.selection import UNLEARNED

_COLUMN_ENDS: Final = (0.12, 0.42, 0.64, 0.8, 0.97)
#: One of several networks, below the estimate of all.
_NETWORK: Final = Look(QUIET, "|", 16.0)


def draw_forest(run: Run) -> Figure:
    """Draw the estimates with their intervals, numbers beside them, a dashed line at no preference."""
    rows = run.primary_contrasts
    rows = some(rows[np.isfinite(rows["estimate"])], NOT_BOTH)
    names = [run.network(model) for model in rows["model"]]
    columns = number_columns(rows, f"{run.confidence_percent} interval", _COLUMN_ENDS)
    limits = rows[["estimate", "ci_low", "ci_high"]].to_numpy(np.float64)
    rows, looks = rows.assign(look=rows["model"]), {model: look(model) for model in rows["model"]}
    figure, axes, places = draw_rows(run.named(rows), names, looks, columns, 1.15, [limits, -limits])
    if run.n_networks > 1:
        of = ["magnification", "label", "model"]
        each = network_estimates(run).merge(rows.assign(place=places, look="each")[[*of, "place", "look"]], on=of)
        mark_estimates(axes, each.assign(place=each["place"] + 0.3), {"each": _NETWORK}, columns=("estimate",))
    return figure


def caption_forest(run: Run) -> str:
    """Say what the lines are, and why some have no interval."""
    rows = run.primary_contrasts
    text = (
        "How much denser the saliency is in the cytoplasm than in the nuclei. To the right of the dashed line the"
        " cytoplasm is denser (the claim under test), to the left the nuclei are. Circles: the trained network."
    )
    if controls := [control_meaning(run, name) for name in run.controls if (rows["model"] == name).any()]:
        text += (
            f" Squares: the {listing(controls)}. Diamonds: the trained network against the control, as a ratio of the"
            " two ratios; only this shows what training added."
        )
    if run.n_networks > 1:
        text += " Small strokes: single networks."
    if np.isfinite(rows["ci_low"]).any():
        text += (
            f" Lines are {run.confidence_percent} intervals over {run.unit}s; p-values are corrected for the number of"
            " hypotheses in their family."
        )
    if reasons := missing_reasons(rows):
        text += f" Estimates without an interval: {'; '.join(reasons)}."
    if (rows["status"] == NOT_INTERPRETABLE).any():
        text += f" Hollow marks are no finding: the classifier is {UNLEARNED} there."
    return text
