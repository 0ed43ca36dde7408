"""The forest plot: the primary contrast of each class and magnification, by network and their difference."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from saliency_stats.report.figures.marks import NOT_BOTH, control_meaning, look
from saliency_stats.report.figures.rows import NOT_INTERPRETABLE, draw_rows, missing_reasons, number_columns
from saliency_stats.report.figures.style import empty_figure
from saliency_stats.report.run import Run
from saliency_stats.report.words import listing
from saliency_stats.statistics import PRIMARY
from saliency_stats.vocabulary import TRAINED

#: The rows of the primary contrast, and what they say of missing intervals, for every figure and table of contrasts.
__all__ = ["NOT_INTERPRETABLE", "caption_forest", "draw_forest", "missing_reasons", "one_test", "primary_rows"]
_COLUMN_ENDS: Final = (0.12, 0.42, 0.64, 0.8, 0.97)


def primary_rows(run: Run) -> pd.DataFrame:
    """Return one row per class, magnification and network of the primary contrast, in reading order.

    The rows are those of the study's primary test, for the method and reduction that the figures show.
    """
    rows = run.own_contrasts
    own = (rows["method"] == run.method) & (rows["reduction"] == run.reduction)
    return one_test(run, rows[own & (rows["contrast"] == PRIMARY) & rows["label"].isin(run.labels)])


def one_test(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    """Keep, of the rows of one contrast, those of the primary test (of the first test where it is absent)."""
    key = ["magnification", "label", "contrast", "model", "method", "reduction"]
    ranked = rows.assign(
        depth=[0 if model == TRAINED else 1 + model.startswith(f"{TRAINED}-") for model in rows["model"]],
        other=rows["test"] != run.primary_test,
    )
    order = ["magnification", "label", "contrast", "depth", "model", "other", "test"]
    ranked = ranked.sort_values(order, kind="stable").groupby(key, sort=False).head(1)
    return ranked.drop(columns=["other", "depth"]).reset_index(drop=True)


def draw_forest(run: Run) -> Figure:
    """Draw the estimates with their intervals, numbers beside them, a dashed line at no preference."""
    rows = primary_rows(run)
    rows = rows[np.isfinite(rows["estimate"])].reset_index(drop=True)
    if rows.empty:
        return empty_figure(NOT_BOTH)
    names = [run.network(model) for model in rows["model"]]
    columns = number_columns(rows, f"{run.confidence_percent} interval", _COLUMN_ENDS)
    limits = rows[["estimate", "ci_low", "ci_high"]].to_numpy(np.float64)
    return draw_rows(rows, names, [look(model) for model in rows["model"]], columns, 1.15, [limits, -limits])[0]


def caption_forest(run: Run) -> str:
    """Say what the lines are, and why some have no interval."""
    rows = primary_rows(run)
    text = (
        "How much denser the saliency is in the cytoplasm than in the nuclei. To the right of the dashed line the"
        " cytoplasm is denser (the claim under test), to the left the nuclei are. Circles: the trained network."
    )
    if controls := [control_meaning(run, name) for name in run.controls if (rows["model"] == name).any()]:
        text += (
            f" Squares: the {listing(controls)}. Diamonds: the trained network against the control, as a ratio of the"
            " two ratios; only this shows what training added."
        )
    if np.isfinite(rows["ci_low"]).any():
        text += (
            f" Lines are {run.confidence_percent} intervals over {run.unit}s; p-values are corrected for the number of"
            " hypotheses in their family."
        )
    if reasons := missing_reasons(rows):
        text += f" Estimates without an interval: {'; '.join(reasons)}."
    if (rows["status"] == NOT_INTERPRETABLE).any():
        text += " Hollow marks are no finding: the classifier learned nothing there."
    return text
