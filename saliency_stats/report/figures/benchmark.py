"""The benchmark drawn: a row per map or replacement, a panel per score, over all cohorts and in each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pandas as pd
from matplotlib.figure import Figure

from saliency_stats.report.figures.marks import Look, handle, mark_estimates, reference
from saliency_stats.report.figures.rows import WIDE_IN
from saliency_stats.report.figures.style import (
    CONTROL_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    empty_figure,
    new_figure,
    with_legend,
)
from saliency_stats.report.run import records
from saliency_stats.report.words import magnification_words
from saliency_stats.statistics.agreement import ATTRIBUTION, CONTROL, ITEM, REFERENCE, REPLACEMENT
from saliency_stats.statistics.benchmark import ALL_SIGNALS, overall
from saliency_stats.vocabulary import ALL_NETWORKS

#: Scores with what their axis is called, and the value that chance or no effect gives, if any.
_OF_MAPS: Final = {
    "rank_correlation": ("rank correlation with importance", 0.0),
    "densest_is_most_important": ("densest is most important", 1 / 3),
    "sign_errors": ("importance of the wrong sign", 0.5),
}
_OF_REPLACEMENTS: Final = {
    "rank_correlation": ("rank correlation with drawing again", 0.0),
    "sign_errors": ("importance of the wrong sign", 0.5),
    "relative_error": ("error, relative to importance", None),
}
#: Okabe and Ito's palette without black, which is that of all cohorts together, and the yellow.
_COLOURS: Final = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_MARKERS: Final = ("o", "s", "D", "^")
_LOOKS: Final = {
    ATTRIBUTION: Look(TRAINED_COLOUR, "o", 25.0, 1.5),
    REPLACEMENT: Look(TRAINED_COLOUR, "o", 25.0, 1.5),
    CONTROL: Look(CONTROL_COLOUR, "s", 21.0, 1.3),
    REFERENCE: Look(QUIET, "D", 18.0, 1.0),
}
_ROW_IN, _AROUND_IN, _GAP = 0.21, 1.0, 0.6


def draw_maps(table: pd.DataFrame, name: Callable[[Any], str]) -> Figure:
    """Draw how well the maps, the controls and the references tell what networks use.

    `table` is ``benchmark.csv``; `name` says what a row of it is called.
    """
    kinds = (ATTRIBUTION, CONTROL, REFERENCE)
    return _drawn(table[table["kind"].isin(kinds) & table["relative_error"].isna()], kinds, _OF_MAPS, name)


def draw_replacements(table: pd.DataFrame, name: Callable[[Any], str]) -> Figure:
    """Draw how close replacements come to drawing compartments again; arguments as of :func:`draw_maps`."""
    return _drawn(table[table["relative_error"].notna()], (REPLACEMENT, CONTROL), _OF_REPLACEMENTS, name)


def _drawn(
    table: pd.DataFrame,
    kinds: Sequence[str],
    panels: Mapping[str, tuple[str, float | None]],
    name: Callable[[Any], str],
) -> Figure:
    every = overall(table)
    if every.empty:
        return empty_figure("no network learned to tell the classes apart, or none judged a patch with confidence")
    every = every.assign(
        name=[name(row) for row in records(every)], order=every["kind"].map(kinds.index), look=every["kind"]
    ).sort_values(["order", "rank_correlation"], ascending=[True, False], ignore_index=True)
    every["place"] = every.index + _GAP * every["order"]
    cohorts, looks = _cohorts(table, every)
    figure = new_figure(_AROUND_IN + _ROW_IN * (every["place"].iloc[-1] + 1), WIDE_IN)
    for at, (axes, (score, (words, chance))) in enumerate(
        zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True)
    ):
        mark_estimates(axes, cohorts, looks, columns=(score,), zorder=2, opacity=0.8)
        mark_estimates(axes, every, _LOOKS, columns=(score, f"{score}_low", f"{score}_high"), edge="white")
        if chance is not None:
            reference(axes, chance, "x")
        axes.set_xlabel(words)
        if at == 0:
            axes.set_yticks(every["place"], every["name"])
            axes.set_ylim(every["place"].iloc[-1] + 0.7, -0.7)
    handles = [handle(text, look) for text, look in looks.items()]
    return with_legend(figure, [handle("all cohorts", _LOOKS[ATTRIBUTION]), *handles], 5, "upper")


def _cohorts(table: pd.DataFrame, every: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Look]]:
    """Return the rows of each cohort with their places, and how a cohort is drawn; none where there is one."""
    own = table[(table["network"] == ALL_NETWORKS) & (table["signal"] != ALL_SIGNALS)]
    signals, magnifications = list(own["signal"].unique()), sorted(own["magnification"].unique())
    looks = {
        f"{signal} {magnification_words(at)}": Look(_COLOURS[k % len(_COLOURS)], _MARKERS[n % len(_MARKERS)], 11.0)
        for k, signal in enumerate(signals)
        for n, at in enumerate(magnifications)
    }
    if len(looks) == 1:
        return own.iloc[:0].assign(place=0.0, look=""), {}
    look = [
        f"{signal} {magnification_words(at)}" for signal, at in zip(own["signal"], own["magnification"], strict=True)
    ]
    return own.assign(look=look).merge(every[[*ITEM, "place"]], on=list(ITEM)), looks
