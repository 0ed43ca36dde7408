"""The primary contrast by every attribution method and reduction of colours, of the trained network and controls."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliency_stats.report.figures import style
from saliency_stats.report.figures.controls import all_primary, interval_words
from saliency_stats.report.figures.facets import facets, in_order, place_words, strata
from saliency_stats.report.figures.marks import ESTIMATE, NOT_BOTH, Look, fit_ratios, handle, mark_estimates
from saliency_stats.report.figures.rows import NOT_INTERPRETABLE, WIDE_IN, name_rows
from saliency_stats.report.run import Run
from saliency_stats.report.words import begun, count, listing, ratio
from saliency_stats.vocabulary import NO_REDUCTION, TRAINED

#: Colour (Okabe and Ito 2008, none that a compartment has) and marker of reductions, the study's own first.
_LOOKS: Final = ((style.TRAINED_COLOUR, "o"), ("#56B4E9", "s"), ("#D55E00", "^"), (style.QUIET, "v"))
_ONE_CHANNEL: Final = ("#B5568F", "D")
_CONTROL: Final = Look(style.CONTROL_COLOUR, "o", 11.5, 0.8)
#: Height (in) of what is around the rows of a magnification, of a row without reductions, and of each of these.
_AROUND_IN, _ROW_IN, _REDUCTION_IN = 0.5, 0.13, 0.15
#: Where in a reduction's part of its row the trained network's mark stands, and the last of the controls': nearer to
#: it than to the next.
_TRAINED_AT, _CONTROL_AT = 0.32, 0.77


def method_rows(run: Run) -> pd.DataFrame:
    """Return the primary contrast of the trained network, and of the controls, by every method and reduction.

    They are rows of ``contrasts.csv`` with ``own``: whether method and reduction are those that the study judges by.
    Of the controls there are those that other methods explain too.
    """
    rows = all_primary(run)
    rows = rows.assign(own=(rows["method"] == run.method) & (rows["reduction"] == run.reduction))
    of_image = rows["method"] == rows["model"]
    explained = set(rows.loc[~rows["own"] & ~of_image, "model"]) | {TRAINED}
    kept = rows["model"].isin(explained) & ~rows["model"].str.startswith(f"{TRAINED}-")
    return rows[kept].reset_index(drop=True)


def has_methods(run: Run) -> bool:
    """Tell whether the trained network was explained by more than one method or reduction."""
    rows = method_rows(run)
    return len(rows.loc[rows["model"] == TRAINED, ["method", "reduction"]].drop_duplicates()) > 1


def draw_methods(run: Run) -> Figure:
    """Draw a row for each method, a mark in it for each reduction, and the study's own as a vertical line."""
    rows = method_rows(run)
    rows = style.some(rows[np.isfinite(rows["estimate"])], NOT_BOTH)
    looks = _looks(run, rows)
    rows, ends = _placed(run, rows)
    bottom = max(below for _, below in ends.values())
    names = [(sum(end) / 2, _row_words(run, method)) for method, end in ends.items()]
    words, height = ("saliency density, cytoplasm ÷ nuclei  (log axis)",), bottom + _AROUND_IN
    figure, panels = facets(run, rows, height, around_in=0.6, width_in=WIDE_IN, below=words, sharey=True)
    for (axes,), _, own, beside in panels:
        hollow = (own["model"] != TRAINED) | (own["status"] == NOT_INTERPRETABLE)
        mark_estimates(axes, own, looks, hollow=hollow)
        for estimate in own.loc[own["own"] & (own["model"] == TRAINED), "estimate"]:
            axes.axvline(estimate, color=style.TRAINED_COLOUR, linewidth=0.7, zorder=0)
        fit_ratios(axes, beside[[*ESTIMATE]])
        if run.method in ends:
            axes.axhspan(*ends[run.method], color=style.CONTROL_COLOUR, alpha=0.12, linewidth=0, zorder=0)
        name_rows(axes, names, {_row_words(run, run.method)})
        axes.set_ylim(bottom + 0.05, -0.05)
    return style.with_legend(figure, _handles(run, rows, looks), 6, "upper")


def caption_methods(run: Run) -> str:
    """Say what the marks are, and count the methods that agree with the study's own."""
    every = method_rows(run)
    rows = every[np.isfinite(every["estimate"])]
    text = (
        "The primary contrast by every attribution method, on the same pixels and the same logit. Right of the dashed"
        " line the saliency is denser in the cytoplasm (the claim under test), left of it in the nuclei. Shape and"
        " colour: how the colours of a pixel were reduced to one number. Filled: the trained network."
    )
    if controls := _controls(run, rows):
        meanings = listing(run.words("controls", name, "is") for name in controls)
        text += f" Grey and open: the same method on a control ({meanings})."
    text += (
        f" Shaded row, bold name: the method of this study ({run.words('methods', run.method)},"
        f" {reduction_words(run.reduction)}); the vertical line is its estimate."
    )
    if np.isfinite(rows["ci_low"]).any():
        text += (
            f" Lines are {run.confidence_percent} intervals over {run.unit}s; p-values are corrected over the classes,"
            " not over the methods."
        )
    for stratum, own in strata(run, rows).items():
        text += f" {place_words(run, stratum)}: {_agreement(run, own[own['model'] == TRAINED])}."
    if multiplied := [run.words("methods", method) for method in _methods(run, rows) if _times_input(run, method)]:
        names = listing(multiplied)
        text += (
            f" * {begun(names)} multiply by 1 − x, the light that the pixel lost on its way from white"
            " glass. It is largest in dark nuclei, so these maps lean to nuclei by construction, whatever the network"
            " learned."
        )
    if len(rows) < len(every):
        text += f" {count(len(every) - len(rows), 'estimate')} missing, because {NOT_BOTH}."
    return text + interval_words(rows)


def reduction_words(reduction: str) -> str:
    """Return a reduction's name, or that there was nothing to reduce."""
    return "one channel" if reduction == NO_REDUCTION else reduction


def _methods(run: Run, rows: pd.DataFrame) -> list[str]:
    """Return the methods of rows in the order of the run's record."""
    return in_order(run.recorded("methods", {}), rows["method"])


def _reductions(run: Run, present: pd.Series) -> list[str]:
    """Return the reductions that are present, the study's own first, in the order of its settings."""
    asked = [run.settings.saliency.reduction, *run.settings.saliency.more_reductions]
    return in_order([*asked, *sorted(set(present) - {NO_REDUCTION})], present)


def _controls(run: Run, rows: pd.DataFrame) -> list[str]:
    return in_order(run.recorded("controls", {}), set(rows["model"]) - {TRAINED})


def _times_input(run: Run, method: str) -> bool:
    return bool(run.recorded("methods", {}).get(method, {}).get("times_input", False))


def _row_words(run: Run, method: str) -> str:
    mark = " *" if _times_input(run, method) else ""
    return run.words("methods", method) + mark + ("\n(this study’s own)" if method == run.method else "")


def _looks(run: Run, rows: pd.DataFrame) -> dict[str, Look]:
    """Return how each reduction is drawn, and how the same reduction of a control is."""
    names = [name for name in _reductions(run, rows["reduction"]) if name != NO_REDUCTION]
    colours = {name: _LOOKS[min(k, len(_LOOKS) - 1)] for k, name in enumerate(names)} | {NO_REDUCTION: _ONE_CHANNEL}
    looks = {name: Look(*look) for name, look in colours.items()}
    controls = {f"{name} of a control": _CONTROL._replace(marker=marker) for name, (_, marker) in colours.items()}
    return looks | controls


def _placed(run: Run, rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, tuple[float, float]]]:
    """Give each estimate its look and place (in, downwards), and each method a row as high as its reductions need."""
    ends: dict[str, tuple[float, float]] = {}
    start: dict[tuple[str, str], float] = {}
    top = 0.0
    for method in _methods(run, rows):
        reductions = _reductions(run, rows.loc[rows["method"] == method, "reduction"])
        start |= {(method, name): top + _ROW_IN / 2 + _REDUCTION_IN * k for k, name in enumerate(reductions)}
        ends[method] = (top, top + _ROW_IN + _REDUCTION_IN * len(reductions))
        top = ends[method][1]
    controls = _controls(run, rows)
    step = (_CONTROL_AT - _TRAINED_AT) / max(1, len(controls))
    slots = {name: _TRAINED_AT + step * k for k, name in enumerate([TRAINED, *controls])}
    above = [start[key] for key in zip(rows["method"], rows["reduction"], strict=True)]
    look = rows["reduction"].where(rows["model"] == TRAINED, rows["reduction"] + " of a control")
    return rows.assign(place=above + _REDUCTION_IN * rows["model"].map(slots), look=look), ends


def _agreement(run: Run, rows: pd.DataFrame) -> str:
    """Count the methods, and the maps of all reductions, that have the sign of the study's own."""
    own, others = rows[rows["own"]], rows[~rows["own"]]
    if own.empty:
        return "the study’s own method has no estimate"
    sign = float(np.sign(own["estimate"].iloc[0]))
    # of a method without the study's reduction, the first that it has
    first = {method: _reductions(run, part["reduction"])[0] for method, part in others.groupby("method")}
    usual = others[(others["method"] != run.method) & (others["reduction"] == others["method"].map(first))]
    text = f"{ratio(own['estimate'].iloc[0])} by the study’s own"
    if len(usual):
        text += f"; the same sign in {_counts(run, usual, 'other method', sign)}"
    if len(others) > len(usual):
        text += f"; of all methods and reductions in {_counts(run, others, 'other map', sign)}"
    return text


def _counts(run: Run, rows: pd.DataFrame, what: str, sign: float) -> str:
    agree = sign * rows["estimate"] > 0
    sure = rows["p_adjusted"] < run.alpha
    text = f"{int(agree.sum())} of {count(len(rows), what)}"
    if not np.isfinite(rows["p_adjusted"]).any():
        return f"{text} (none tested)"
    opposed = sure & (sign * rows["estimate"] < 0)
    return f"{text} (significant in {int((agree & sure).sum())}; significantly the opposite in {int(opposed.sum())})"


def _handles(run: Run, rows: pd.DataFrame, looks: dict[str, Look]) -> list[Line2D]:
    handles = [handle(reduction_words(name), looks[name]) for name in _reductions(run, rows["reduction"])]
    if controls := _controls(run, rows):
        words = f"{listing(run.words('controls', name) for name in controls)}, same shapes"
        handles.append(handle(words, _CONTROL, hollow=True, linestyle="-"))
    return handles
