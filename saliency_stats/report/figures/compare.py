"""The forest of several runs: one mark per run, grouped by class and magnification."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from saliency_stats.report.figures.marks import Look, handle
from saliency_stats.report.figures.rows import NOT_INTERPRETABLE, draw_rows, number_columns
from saliency_stats.report.figures.style import CONTROL_COLOUR, QUIET, empty_figure, with_legend
from saliency_stats.report.run import records
from saliency_stats.report.words import number
from saliency_stats.statistics import PRIMARY
from saliency_stats.statistics.selection import UNLEARNED
from saliency_stats.vocabulary import TRAINED

#: Okabe and Ito's palette without its yellow, which is too pale for a mark on white.
_COLOURS: Final = ("#1A1A1A", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS: Final = ("o", "s", "D", "^", "v", "P", "X", "p")
_CONTROL: Final = "randomised"
_COLUMN_ENDS: Final = (0.09, 0.35, 0.55, 0.68, 0.84)
_LONGEST_NAME: Final = 26


def draw_comparison(table: pd.DataFrame, names: Sequence[str], level: str) -> Figure:
    """Draw the primary contrast of the trained network of every run, with its numbers beside it.

    `table` is as :func:`~saliency_stats.report.compare.comparison_table` returns it; the order of the runs' `names` is
    that of the legend and decides colours and marks; `level` is that of the intervals in words.
    """
    primary = table[(table["contrast"] == PRIMARY) & np.isfinite(table["estimate"])]
    rows = primary[primary["model"] == TRAINED]
    if rows.empty:
        return empty_figure("no run has a judged patch with both nuclei and cytoplasm")
    columns = number_columns(rows, "interval" if "(" in level else f"{level} interval", _COLUMN_ENDS)
    columns["accuracy"] = (1.0, [number(value) for value in rows["balanced_accuracy"]])
    looks = {name: _look(k) for k, name in enumerate(names)}
    controls = primary[primary["model"] == _CONTROL].set_index(["run", "label", "magnification"])["estimate"]
    beside = [float(controls.get((row.run, row.label, row.magnification), np.nan)) for row in records(rows)]
    reach = [*rows[["estimate", "ci_low", "ci_high"]].to_numpy(np.float64).T, beside]
    rows = rows.assign(look=rows["run"])
    figure, axes, places = draw_rows(rows, [_short(name) for name in rows["run"]], looks, columns, 1.35, reach)
    axes.plot(beside, places, "x", markersize=4, color=CONTROL_COLOUR, zorder=1)
    handles = [handle(_short(name), look) for name, look in looks.items()]
    if NOT_INTERPRETABLE in set(rows["status"]):
        handles.append(handle(f"hollow: {UNLEARNED}, no finding", Look(QUIET, "o", 25.0), hollow=True))
    if np.isfinite(beside).any():
        handles.append(handle("random weights", Look(CONTROL_COLOUR, "x", 16.0)))
    return with_legend(figure, handles, 3, "upper")


def caption_comparison(level: str) -> str:
    """Say what the marks are, and what must not be read into them."""
    return (
        "How much denser the saliency of the trained network is in the cytoplasm than in the nuclei, in every run. To"
        " the right of the dashed line the cytoplasm is denser (the claim under test), to the left the nuclei. Lines:"
        f" {level} intervals by each run's own primary test; p is corrected within each run, not across runs. Accuracy:"
        " balanced accuracy of the classifier on the evaluation split. Hollow marks are no finding: the classifier"
        f" is {UNLEARNED} there. Small grey crosses: the same for a network with random weights. Runs are not compared"
        " by a test: intervals that overlap do not show that two runs agree, and runs on the same slides do not"
        " confirm each other independently."
    )


def _short(name: str) -> str:
    """Cut a long name in its middle: names of runs tend to differ at their ends."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"


def _look(k: int) -> Look:
    """Return how one run is drawn: no two of the first 56 runs share colour and marker."""
    return Look(_COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)], 25.0, 1.5)
