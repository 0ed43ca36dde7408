"""The primary contrast by every attribution method and reduction of colours, trained and randomised."""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliency_stats.report.figures.contrasts import NOT_INTERPRETABLE
from saliency_stats.report.figures.controls import (
    AROUND_IN,
    NOTHING,
    WIDE_IN,
    all_primary,
    fit_ratios,
    interval_words,
    strata,
)
from saliency_stats.report.figures.style import CONTROL_COLOUR, QUIET, TRAINED_COLOUR, empty_figure, new_figure
from saliency_stats.report.population import stratum_words
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import TIMES, control_words, count, listing, magnification_words, ratio
from saliency_stats.vocabulary import NO_REDUCTION, TRAINED

_RANDOMISED: Final = "randomised"
#: Every method in the order of its row.
METHOD_WORDS: Final = {
    "gradient": "gradient",
    "shifted_gradient": "shift-averaged gradient",
    "smoothgrad": "SmoothGrad",
    "guided_backprop": "guided backprop",
    "gradient_x_input": f"gradient {TIMES} input",
    "integrated_gradients": "integrated gradients",
    "deeplift": "DeepLIFT",
    "grad_cam": "Grad-CAM",
    "occlusion": "occlusion",
}
#: Methods that multiply by what light the pixel lost.
_TIMES_INPUT: Final = ("gradient_x_input", "integrated_gradients", "deeplift")
#: Colour (Okabe and Ito 2008, none that a compartment has) and marker of each reduction.
_LOOK: Final = {
    "l2": (TRAINED_COLOUR, "o"),
    "l1": ("#56B4E9", "s"),
    "max": ("#D55E00", "^"),
    NO_REDUCTION: ("#B5568F", "D"),
}
_OTHER: Final = (QUIET, "v")
_REDUCTION_WORDS: Final = {"l2": "l2", "l1": "l1", "max": "max", NO_REDUCTION: "one channel"}
#: Height (in) of a row without reductions, and of each of these.
_ROW_IN, _REDUCTION_IN = 0.13, 0.15


class _Place(NamedTuple):
    """Where the row of a method begins and ends (in), and the reductions in it, from above."""

    above: float
    below: float
    reductions: list[str]


def method_rows(run: Run) -> pd.DataFrame:
    """Return the primary contrast of the trained network, and of the randomised one, by every method and reduction.

    Returns
    -------
    pandas.DataFrame
        Rows of ``contrasts.csv`` with ``own``: whether method and reduction are those that the study judges by.
    """
    rows = all_primary(run)
    rows = rows[rows["model"].isin([TRAINED, _RANDOMISED])].reset_index(drop=True)
    return rows.assign(own=(rows["method"] == run.method) & (rows["reduction"] == run.reduction))


def has_methods(run: Run) -> bool:
    """Tell whether the trained network was explained by more than one method or reduction."""
    rows = method_rows(run)
    return len(rows.loc[rows["model"] == TRAINED, ["method", "reduction"]].drop_duplicates()) > 1


def draw_methods(run: Run) -> Figure:
    """Draw a row for each method, a mark in it for each reduction, and the study's own as a vertical line."""
    rows = method_rows(run)
    rows = rows[np.isfinite(rows["estimate"])]
    if rows.empty:
        return empty_figure(NOTHING)
    places = _places(rows)
    magnifications, labels = strata(run, rows)
    bottom = max(place.below for place in places.values())
    figure = new_figure(len(magnifications) * (bottom + AROUND_IN) + 0.6, WIDE_IN)
    panels = figure.subplots(len(magnifications), len(labels), squeeze=False, sharey=True)
    for panel, magnification in zip(panels, magnifications, strict=True):
        at = rows[rows["magnification"] == magnification]
        for axes, label in zip(panel, labels, strict=True):
            _draw_marks(axes, at[at["label"] == label], places)
            fit_ratios(axes, at[["estimate", "ci_low", "ci_high"]])
            axes.set_title(stratum_words(run, magnification, label), loc="left")
            if run.method in places:
                own = places[run.method]
                axes.axhspan(own.above, own.below, color=CONTROL_COLOUR, alpha=0.12, linewidth=0, zorder=0)
        words = [_row_words(run, method) for method in places]
        panel[0].set_yticks([(place.above + place.below) / 2 for place in places.values()], words)
        for tick, method in zip(panel[0].get_yticklabels(), places, strict=True):
            tick.set_fontweight("bold" if method == run.method else "normal")
        panel[0].set_ylim(bottom + 0.05, -0.05)
    for axes in panels[-1]:
        axes.set_xlabel("saliency density, cytoplasm ÷ nuclei  (log axis)")
    figure.legend(handles=_handles(rows), loc="outside upper center", ncols=6)
    return figure


def caption_methods(run: Run) -> str:
    """Say what the marks are, and count the methods that agree with the study's own."""
    every = method_rows(run)
    rows = every[np.isfinite(every["estimate"])]
    text = (
        "The primary contrast by every attribution method, on the same pixels and the same logit. Right of the dashed"
        " line the saliency is denser in the cytoplasm (the claim under test), left of it in the nuclei. Shape and"
        " colour: how the colours of a pixel were reduced to one number. Filled: the trained network."
    )
    if (rows["model"] == _RANDOMISED).any():
        text += f" Grey and open: the {control_words(_RANDOMISED)}, by the same method."
    text += (
        f" Shaded row, bold name: the method of this study ({method_words(run.method)},"
        f" {_REDUCTION_WORDS.get(run.reduction, run.reduction)}); the vertical line is its estimate."
    )
    if np.isfinite(rows["ci_low"]).any():
        text += (
            f" Lines are {run.confidence_percent} intervals over {run.unit}s; p-values are corrected over the classes,"
            " not over the methods."
        )
    magnifications, labels = strata(run, rows)
    trained = rows[rows["model"] == TRAINED]
    for magnification in magnifications:
        for label in labels:
            here = trained[(trained["magnification"] == magnification) & (trained["label"] == label)]
            text += f" {label.capitalize()}, {magnification_words(magnification)}: {_agreement(run, here)}."
    multiplied = [METHOD_WORDS[method] for method in _TIMES_INPUT if (rows["method"] == method).any()]
    if multiplied:
        text += (
            f" * {_start(listing(multiplied))} multiply by 1 − x, the light that the pixel lost on its way from white"
            " glass. It is largest in dark nuclei, so these maps lean to nuclei by construction, whatever the network"
            " learned."
        )
    if len(rows) < len(every):
        text += f" {count(len(every) - len(rows), 'estimate')} missing, because {NOTHING}."
    return text + interval_words(rows)


def method_words(method: str) -> str:
    """Return a method's name as its authors spell it."""
    return METHOD_WORDS.get(method, method.replace("_", " "))


def _start(text: str) -> str:
    return text[0].upper() + text[1:]


def _known(order: Any, present: pd.Series) -> list[str]:
    """Return what is present, what has a place first and in its order."""
    names = list(order)
    return sorted(set(present), key=lambda name: (names.index(name) if name in names else len(names), name))


def _row_words(run: Run, method: str) -> str:
    mark = " *" if method in _TIMES_INPUT else ""
    return f"{method_words(method)}{mark}" + ("\n(this study’s own)" if method == run.method else "")


def _places(rows: pd.DataFrame) -> dict[str, _Place]:
    """Give each method a row as high as its reductions need."""
    places: dict[str, _Place] = {}
    top = 0.0
    for method in _known(METHOD_WORDS, rows["method"]):
        reductions = _known(_LOOK, rows.loc[rows["method"] == method, "reduction"])
        places[method] = _Place(top, top + _ROW_IN + _REDUCTION_IN * len(reductions), reductions)
        top = places[method].below
    return places


def _draw_marks(axes: Axes, rows: pd.DataFrame, places: dict[str, _Place]) -> None:
    for row in records(rows):
        trained, place = row.model == TRAINED, places[row.method]
        if trained and row.own:
            axes.axvline(row.estimate, color=TRAINED_COLOUR, linewidth=0.7, zorder=0)
        # the randomised network's mark stands below the trained one's, and nearer to it than to the next
        slot = place.reductions.index(row.reduction) + (0.32 if trained else 0.77)
        at = place.above + _ROW_IN / 2 + _REDUCTION_IN * slot
        colour, marker = _LOOK.get(row.reduction, _OTHER)
        line = colour if trained else CONTROL_COLOUR
        axes.hlines(at, row.ci_low, row.ci_high, color=line, linewidth=1.3 if trained else 0.8)
        face = colour if trained and row.status != NOT_INTERPRETABLE else "white"
        axes.plot([row.estimate], [at], marker, markersize=4.6 if trained else 3.4, color=line, markerfacecolor=face)


def _agreement(run: Run, rows: pd.DataFrame) -> str:
    """Count the methods, and the maps of all reductions, that have the sign of the study's own."""
    own = rows[rows["own"]]
    if own.empty:
        return "the study’s own method has no estimate"
    sign = float(np.sign(own["estimate"].iloc[0]))
    others = rows[~rows["own"]]
    usual = others[(others["method"] != run.method) & _in_usual_reduction(run, others)]
    text = f"{ratio(own['estimate'].iloc[0])} by the study’s own"
    if len(usual):
        text += f"; the same sign in {_counts(run, usual, 'other method', sign)}"
    if len(others) > len(usual):
        text += f"; of all methods and reductions in {_counts(run, others, 'other map', sign)}"
    return text


def _in_usual_reduction(run: Run, rows: pd.DataFrame) -> Any:
    """Tell which rows have the study's reduction, or, of a method without it, the first that it has."""
    first = {method: _usual(run, own["reduction"]) for method, own in rows.groupby("method")}
    return rows["reduction"] == rows["method"].map(first)


def _usual(run: Run, reductions: pd.Series) -> str:
    return run.reduction if (reductions == run.reduction).any() else _known(_LOOK, reductions)[0]


def _counts(run: Run, rows: pd.DataFrame, what: str, sign: float) -> str:
    agree = sign * rows["estimate"] > 0
    sure = rows["p_adjusted"] < run.alpha
    text = f"{int(agree.sum())} of {count(len(rows), what)}"
    if not np.isfinite(rows["p_adjusted"]).any():
        return f"{text} (none tested)"
    opposed = sure & (sign * rows["estimate"] < 0)
    return f"{text} (significant in {int((agree & sure).sum())}; significantly the opposite in {int(opposed.sum())})"


def _handles(rows: pd.DataFrame) -> list[Line2D]:
    handles = []
    for name in _known(_LOOK, rows["reduction"]):
        colour, marker = _LOOK.get(name, _OTHER)
        words = _REDUCTION_WORDS.get(name, name)
        handles.append(Line2D([], [], marker=marker, color=colour, linestyle="none", markersize=4.6, label=words))
    if (rows["model"] == _RANDOMISED).any():
        look: dict[str, Any] = {"color": CONTROL_COLOUR, "markerfacecolor": "white", "linewidth": 0.8}
        handles.append(Line2D([], [], marker="o", markersize=3.4, label="randomised, same shapes", **look))
    return handles
