"""The claim against every control: the primary contrast of each, and what the trained network has beyond it."""

import re
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch as ColourPatch

from saliency_stats.report.figures.contrasts import NOT_INTERPRETABLE, missing_reasons, one_test
from saliency_stats.report.figures.style import (
    CONTROL_COLOUR,
    DIFFERENCE_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    empty_figure,
    new_figure,
    ratio_axis,
)
from saliency_stats.report.population import stratum_words
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import count, listing, magnification_words, ratio, ratio_interval
from saliency_stats.statistics import PRIMARY
from saliency_stats.vocabulary import TRAINED

#: Said where there is nothing to draw.
NOTHING: Final = "no judged patch has both nuclei and cytoplasm"
#: Width of the figures of many rows (in), and height of what is around the rows of one magnification.
WIDE_IN, AROUND_IN = 8.4, 0.5
_ROW_IN: Final = 0.235
_IMAGES: Final = {"sobel": "edges (Sobel)", "haematoxylin": "haematoxylin", "eosin": "eosin"}
_SHIFT: Final = "shift"
#: What each step of the cascade re-initialises beyond the step before it.
_CASCADE: Final = (
    *("classifier", "+ dense block 4", "+ dense block 3", "+ dense block 2", "+ dense block 1"),
    "+ stem (all)",
)
_KEY: Final = ["label", "magnification", "model"]
#: What the columns of the difference are called beside those of the control.
_BEYOND: Final = {"estimate": "beyond", "ci_low": "beyond_low", "ci_high": "beyond_high", "p_adjusted": "beyond_p"}
#: Ticks that a panel has room for.
_MOST_TICKS: Final = 6.5
_ALONE: Final = "randomised"
_NETWORKS, _OF_IMAGES, _SPATIAL = "networks", "images alone", "spatial null"
_GROUPS: Final = (_NETWORKS, _OF_IMAGES, _SPATIAL)
_KINDS: Final = {
    _ALONE: "randomised: the same architecture with random weights",
    "cascading": "cascading: the trained network with ever more of it re-initialised from the top",
    "shuffled": "shuffled: trained on permuted labels",
    _OF_IMAGES: "images alone: edges or stain, without any network",
    _SHIFT: "shifted map: the trained network’s own map, moved to a random place of the patch",
}


class _Line(NamedTuple):
    """A row of the figure: a heading, or a model under it."""

    place: float
    words: str
    model: str  # "" for a heading


def all_primary(run: Run) -> pd.DataFrame:
    """Return the primary contrast of everything that was measured, one row per class, magnification and map."""
    rows = run.contrasts
    return one_test(run, rows[(rows["contrast"] == PRIMARY) & rows["label"].isin(run.labels)])


def control_rows(run: Run) -> pd.DataFrame:
    """Return the trained network and its controls, in order, each with what the trained network has beyond it.

    Returns
    -------
    pandas.DataFrame
        Rows of ``contrasts.csv`` with ``group``, and of the difference ``beyond``, ``beyond_low``, ``beyond_high``,
        ``beyond_p`` (adjusted); NaN where there is no difference.
    """
    rows = all_primary(run)
    own = (rows["method"] == run.method) & (rows["reduction"] == run.reduction)
    difference = rows["model"].str.startswith(f"{TRAINED}-")
    beyond = rows[own & difference].rename(columns=_BEYOND)[[*_KEY, *_BEYOND.values()]]
    beyond["model"] = beyond["model"].str.removeprefix(f"{TRAINED}-")
    of_image = rows["model"].isin(_IMAGES) & (rows["method"] == rows["model"])
    found = rows[(own | of_image) & ~difference].merge(beyond, on=_KEY, how="left", validate="one_to_one")
    return found.assign(group=[_group(str(model)) for model in found["model"]])


def has_controls(run: Run) -> bool:
    """Tell whether a run has controls other than the one randomised network, which the forest plot shows already."""
    return bool(set(control_rows(run)["model"]) - {TRAINED, _ALONE})


def draw_controls(run: Run) -> Figure:
    """Draw the estimates of the trained network and all controls, and beside each the trained network's difference."""
    rows = control_rows(run)
    rows = rows[np.isfinite(rows["estimate"])]
    if rows.empty:
        return empty_figure(NOTHING)
    magnifications, labels = strata(run, rows)
    lines = _lines(rows)
    bottom = lines[-1].place + 0.7
    figure = new_figure(len(magnifications) * (_ROW_IN * (bottom + 0.7) + AROUND_IN) + 0.55, WIDE_IN)
    panels = figure.subplots(
        len(magnifications), 2 * len(labels), squeeze=False, sharey=True, width_ratios=[1.5, 1.0] * len(labels)
    )
    for panel, magnification in zip(panels, magnifications, strict=True):
        at = rows[rows["magnification"] == magnification]
        for k, label in enumerate(labels):
            estimates, differences = panel[2 * k : 2 * k + 2]
            own = at[at["label"] == label]
            _draw_estimates(estimates, own, lines)
            _draw_differences(differences, own, lines, run.alpha)
            fit_ratios(estimates, at[["estimate", "ci_low", "ci_high"]])
            fit_ratios(differences, at[["beyond", "beyond_low", "beyond_high"]])
            for axes in (estimates, differences):
                for line in lines:
                    if line.model:  # leads the eye from the name to the last panel
                        axes.axhline(line.place, color=CONTROL_COLOUR, alpha=0.25, linewidth=0.5, zorder=-1)
            estimates.set_title(stratum_words(run, magnification, label), loc="left")
        panel[0].set_yticks([line.place for line in lines], [line.words for line in lines])
        for tick, line in zip(panel[0].get_yticklabels(), lines, strict=True):
            tick.set_fontweight("normal" if line.model else "bold")
        panel[0].set_ylim(bottom, -0.7)
    for k in range(len(labels)):
        panels[-1, 2 * k].set_xlabel("cytoplasm ÷ nuclei")
        panels[-1, 2 * k + 1].set_xlabel("trained ÷ control")
    figure.legend(handles=_handles(run, rows), loc="outside upper center", ncols=5)
    return figure


def caption_controls(run: Run) -> str:
    """Say what each control is, and which of them the trained network differs from."""
    every = control_rows(run)
    rows = every[np.isfinite(every["estimate"])]
    text = (
        "Wide panels: how much denser the saliency is in the cytoplasm than in the"
        " nuclei (log axis; right of the dashed line the cytoplasm is denser, the claim under test); the vertical line"
        " and band are the trained network’s estimate and interval. Narrow panels: the trained network against the"
        " control of that row in the same patches, as a ratio of the two ratios (right of the dashed line: the trained"
        " network looks more at the cytoplasm). Filled diamonds differ significantly (adjusted p below"
        f" {run.alpha:g}), open ones do not or were not tested."
    )
    present = {re.sub(r"_\d+$", "", str(model)) for model in rows["model"]} | set(rows["group"])
    kinds = [words for kind, words in _KINDS.items() if kind in present]
    if kinds:
        text += f" {'; '.join(kinds).capitalize()}."
    if np.isfinite(rows[["ci_low", "beyond_low"]]).any(axis=None):
        text += f" Lines are {run.confidence_percent} intervals over {run.unit}s."
    magnifications, labels = strata(run, rows)
    for magnification in magnifications:
        for label in labels:
            own = rows[(rows["magnification"] == magnification) & (rows["label"] == label)]
            text += _compared(run, own, f"{label.capitalize()}, {magnification_words(magnification)}")
    return text + interval_words(rows) + _absent(every)


def strata(run: Run, rows: pd.DataFrame) -> tuple[list[float], list[str]]:
    """Return the magnifications, coarse to fine, and the classes that rows have."""
    magnifications = [name for name in run.magnifications if (rows["magnification"] == name).any()]
    return magnifications, [label for label in run.labels if (rows["label"] == label).any()]


def fit_ratios(axes: Axes, values: pd.DataFrame) -> None:
    """Fit the horizontal axis of ratios to log2 values and to no preference, which a broken line marks."""
    found = values.to_numpy(np.float64)
    found = found[np.isfinite(found)]
    axes.axvline(0.0, color=QUIET, linestyle="--", linewidth=0.9, zorder=0)
    ratio_axis(axes, "x", min(-0.1, *found, 0.0), max(0.1, *found, 0.0))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    _thin_ticks(axes)


def interval_words(rows: pd.DataFrame) -> str:
    """Say why estimates have no interval; "" where all have one."""
    reasons = missing_reasons(rows)
    unlearned = (rows["model"] == TRAINED) & (rows["status"] == NOT_INTERPRETABLE)
    text = f" Estimates without an interval: {'; '.join(reasons)}." if reasons else ""
    return text + (" Hollow marks of the trained network: it learned nothing there." if unlearned.any() else "")


def _thin_ticks(axes: Axes) -> None:
    """Drop ticks until their labels stand apart: the narrow panels have room for few."""
    low, high = axes.get_xlim()
    ticks = list(axes.get_xticks())
    room = (high - low) / _MOST_TICKS
    while len(ticks) > 1 and min(after - before for before, after in pairwise(ticks)) < room:
        middle = int(np.argmin(np.abs(ticks)))  # 1 : 1 stays
        ticks = [tick for k, tick in enumerate(ticks) if (k - middle) % 2 == 0]
    axes.xaxis.set_ticks(ticks)


def _group(model: str) -> str:
    return _OF_IMAGES if model in _IMAGES else _SPATIAL if model == _SHIFT else _NETWORKS


def _step(model: str) -> int:
    found = re.fullmatch(r"cascading_(\d+)", model)
    return int(found[1]) if found else 0


def _order(model: str) -> tuple[int, int, str]:
    named = (TRAINED, _ALONE, "cascading", "shuffled", *_IMAGES, _SHIFT)
    kind = "cascading" if _step(model) else model
    return _GROUPS.index(_group(model)), named.index(kind) if kind in named else len(named), f"{_step(model):03}{model}"


def control_label(model: str) -> str:
    """Return a control's name as a row of the figure has it."""
    step = _step(model)
    if step:
        return f"cascading {step}" + (f": {_CASCADE[step - 1]}" if step <= len(_CASCADE) else "")
    return _IMAGES.get(model, "shifted map" if model == _SHIFT else model.replace("_", " "))


def _lines(rows: pd.DataFrame) -> list[_Line]:
    """Return the rows of the figure, each group of models under its heading."""
    lines: list[_Line] = []
    place = 0.0
    for group in _GROUPS:
        models = sorted(set(rows.loc[rows["group"] == group, "model"]), key=_order)
        if models:
            lines.append(_Line(place, group, ""))
            lines += [_Line(place + 1.0 + k, control_label(model), model) for k, model in enumerate(models)]
            place += len(models) + 1.15
    return lines


def _draw_estimates(axes: Axes, rows: pd.DataFrame, lines: list[_Line]) -> None:
    places = {line.model: line.place for line in lines}
    for row in records(rows):
        trained = row.model == TRAINED
        colour, place = TRAINED_COLOUR if trained else CONTROL_COLOUR, places[row.model]
        if trained:
            axes.axvline(row.estimate, color=colour, linewidth=0.7, zorder=0)
            if np.isfinite(row.ci_low) and np.isfinite(row.ci_high):
                axes.axvspan(row.ci_low, row.ci_high, color=colour, alpha=0.1, linewidth=0, zorder=0)
        axes.hlines(place, row.ci_low, row.ci_high, color=colour, linewidth=1.4)
        face = "white" if row.status == NOT_INTERPRETABLE else colour
        axes.plot([row.estimate], [place], "o" if trained else "s", markersize=4.6, color=colour, markerfacecolor=face)


def _draw_differences(axes: Axes, rows: pd.DataFrame, lines: list[_Line], alpha: float) -> None:
    places = {line.model: line.place for line in lines}
    for row in records(rows[np.isfinite(rows["beyond"])]):
        axes.hlines(places[row.model], row.beyond_low, row.beyond_high, color=DIFFERENCE_COLOUR, linewidth=1.2)
        face = DIFFERENCE_COLOUR if row.beyond_p < alpha else "white"
        axes.plot([row.beyond], [places[row.model]], "D", markersize=4.0, color=DIFFERENCE_COLOUR, markerfacecolor=face)


def _handles(run: Run, rows: pd.DataFrame) -> list[Any]:
    def mark(marker: str, colour: str, words: str, face: str = "") -> Line2D:
        look: dict[str, Any] = {"linestyle": "none", "markersize": 4.5, "markerfacecolor": face or colour}
        return Line2D([], [], marker=marker, color=colour, label=words, **look)

    handles: list[Any] = [mark("o", TRAINED_COLOUR, "trained"), mark("s", CONTROL_COLOUR, "control")]
    if np.isfinite(rows.loc[rows["model"] == TRAINED, "ci_low"]).any():
        handles.insert(1, ColourPatch(facecolor=TRAINED_COLOUR, alpha=0.1, label="its interval"))
    if (rows["beyond_p"] < run.alpha).any():
        handles.append(mark("D", DIFFERENCE_COLOUR, f"difference, adjusted p < {run.alpha:g}"))
    handles.append(mark("D", DIFFERENCE_COLOUR, "difference, not significant or not tested", "white"))
    return handles


def _compared(run: Run, rows: pd.DataFrame, where: str) -> str:
    """Say of one class and magnification which controls the trained network differs from."""
    trained, controls = rows[rows["model"] == TRAINED], rows[rows["model"] != TRAINED]
    text = f" {where}:"
    for row in records(trained):
        limits = ratio_interval(row.ci_low, row.ci_high) if np.isfinite(row.ci_low) else "no interval"
        text += f" trained {ratio(row.estimate)} ({limits});"
    tested = controls[np.isfinite(controls["beyond_p"])]
    if tested.empty:
        return f"{text} no difference from a control is tested."
    sure = tested["beyond_p"] < run.alpha
    above, below = sure & (tested["beyond"] > 0), sure & (tested["beyond"] < 0)
    text += f" significantly more in the cytoplasm than {int(above.sum())} of {count(len(tested), 'control')}"
    for words, which in (("significantly less than", below), ("not significantly different from", ~sure)):
        models = sorted(tested.loc[which, "model"], key=_order)
        if models:
            text += f", {words} {listing(control_label(model).split(':')[0] for model in models)}"
    return f"{text}."


def _absent(rows: pd.DataFrame) -> str:
    """Name the controls that have no estimate somewhere, or whose difference is not known."""
    text = ""
    for words, column in (("No estimate", "estimate"), ("No difference", "beyond")):
        lacking = rows[~np.isfinite(rows[column])]
        if column == "beyond":
            lacking = lacking[(lacking["model"] != TRAINED) & np.isfinite(lacking["estimate"])]
        names = [
            f"{control_label(row.model).split(':')[0]} ({row.label}, {magnification_words(row.magnification)})"
            for row in records(lacking)
        ]
        text += f" {words}: {listing(names)}." if names else ""
    return text
