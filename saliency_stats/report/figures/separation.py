"""What tells the classes apart: by how much they come closer when one compartment is replaced."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliency_stats.report.figures.causal import REPLACEMENT_WORDS
from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    compartment_handles,
    empty_figure,
    new_figure,
)
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import count, magnification_words, p_sign
from saliency_stats.statistics.causal import SUM_OF_LABELS
from saliency_stats.statistics.largest import largest
from saliency_stats.statistics.registry import words_of
from saliency_stats.vocabulary import TISSUE, TRAINED

_NOTHING: Final = "no magnification has judged patches of both classes with a compartment replaced"
#: Asked where the study's own test needs slides that hold both classes and there are none.
_OTHERWISE: Final = "t_slide_means"
_ROW_IN: Final = 2.5


def has_separation(causal: pd.DataFrame) -> bool:
    """Tell whether a run's causal table says anything of both classes together."""
    return bool((causal["label"] == SUM_OF_LABELS).any())


def draw_separation(run: Run, causal: pd.DataFrame) -> Figure:
    """Draw what both classes lose together for every compartment and replacement.

    Parameters
    ----------
    run
        Tells the magnifications, the test and the level.
    causal
        ``causal.csv``, magnifications spelt as in the run's other tables.

    Returns
    -------
    Figure
        A row of two panels for every magnification: the drop and that of the random region, and their difference.
    """
    rows, _ = _shown(run, causal)
    magnifications = [name for name in run.magnifications if (rows["magnification"] == name).any()]
    if not magnifications:
        return empty_figure(_NOTHING)
    kinds = [kind for kind in REPLACEMENT_WORDS if (rows["replacement"] == kind).any()]
    figure = new_figure(0.7 + _ROW_IN * len(magnifications))
    grid = figure.subplots(len(magnifications), 2, squeeze=False)
    for (drops, excess), magnification in zip(grid, magnifications, strict=True):
        own = rows[rows["magnification"] == magnification]
        words = magnification_words(magnification)
        drops.set_title(words if run.learned[magnification] else f"{words} (classifier at chance)", loc="left")
        drops.set_ylabel("drop of the logits of both classes")
        excess.set_ylabel("÷ area, more than a random region")
        for axes in (drops, excess):
            _ground(axes, kinds)
        for place, kind in enumerate(kinds):
            of_kind = own[own["replacement"] == kind].set_index("contrast")
            for position, compartment in enumerate(TISSUE):
                _mark(drops, excess, of_kind, compartment, place + (position - 1) * 0.24)
        named = records(largest(own, test=own["test"].iloc[0], alpha=run.alpha))
        for axes, said in (
            (drops, [f"{REPLACEMENT_WORDS[row.replacement]}: most by {row.largest_drop or 'none'}" for row in named]),
            (excess, [_says(row) for row in named]),
        ):
            axes.set_title("\n".join(said), fontsize=6.5, fontweight="normal", loc="left")
        where = words if run.learned[magnification] else f"{words} (classifier at chance)"
        drops.set_title(where, loc="right")
    figure.legend(
        handles=[
            *compartment_handles(TISSUE),
            Line2D([], [], marker="_", color=CONTROL_COLOUR, linestyle="", label="random region of the same area"),
        ],
        loc="outside lower center",
        ncols=4,
    )
    return figure


def caption_separation(run: Run, causal: pd.DataFrame) -> str:
    """Say what is added, and why."""
    rows, test = _shown(run, causal)
    if rows.empty:
        return f"Nothing could be drawn: {_NOTHING}."
    text = (
        "Left: the drop of the logit of the right class when one compartment is replaced,"
        " of malignant plus that of benign patches: by so much the classes come closer. What a replacement does to both"
        " alike (a patch without its nuclei may look malignant, whatever it was) raises the one drop and lowers the"
        " other, and of the sum nothing is left of it; the figure before shows the classes apart. Right: the same per"
        " area, which does not favour large compartments but makes much of small ones, less that of random regions of"
        f" equal area, with {run.confidence_percent} intervals that hold for the family of compartments together."
    )
    if rows["ci_low_simultaneous"].isna().all():
        return text.replace(
            f", with {run.confidence_percent} intervals that hold", ", without intervals, which hold", 1
        )
    n = int(rows["n_units"].max())
    return f"{text} Test: {words_of(test)}, {count(n, run.unit)}."


def _shown(run: Run, causal: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the trained network's rows of both classes by the study's test, or by the other where it cannot be."""
    both = causal[(causal["label"] == SUM_OF_LABELS) & (causal["model"] == TRAINED)]
    possible = both.groupby("magnification")["n_patches"].transform("max") > 0
    both = both[possible.astype(bool)]
    own = both[both["test"] == run.primary_test]
    test = run.primary_test if (own["status"] == "tested").any() else _OTHERWISE
    return both[both["test"] == test], test


def _ground(axes: Any, kinds: list[str]) -> None:
    axes.axhline(0.0, color=QUIET, linestyle="--", linewidth=0.8, zorder=0)
    axes.set_xticks(range(len(kinds)), [REPLACEMENT_WORDS[kind] for kind in kinds])
    axes.set_xlim(-0.6, len(kinds) - 0.4)
    axes.tick_params(axis="x", length=0)


def _mark(drops: Any, excess: Any, rows: pd.DataFrame, compartment: str, at: float) -> None:
    row = rows.loc[f"separation:{compartment}"]
    colour = COMPARTMENT_COLOURS[compartment]
    drops.plot([at], [row["drop"]], marker="D", color=colour, markersize=5.5, linestyle="")
    drops.plot([at], [row["random_drop"]], marker="_", color=CONTROL_COLOUR, markersize=9, linestyle="")
    low, high = row["ci_low_simultaneous"], row["ci_high_simultaneous"]
    if np.isfinite(low):
        excess.plot([at, at], [low, high], color=colour, linewidth=1.8)
    excess.plot([at], [row["estimate"]], marker="D", color=colour, markersize=5.5, markeredgecolor="white")


def _says(row: Any) -> str:
    """Name the compartment whose replacement brings the classes closest, per area."""
    kind = REPLACEMENT_WORDS[row.replacement]
    if not row.compartment:
        return f"{kind}: {row.reason}"
    sign = p_sign(row.p_adjusted)
    return f"{kind}: {row.compartment} more than {row.second}" + (f", {sign}" if sign else "")
