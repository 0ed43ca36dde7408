"""The classifier itself: how well it tells the classes apart, how honest it is, how it was trained."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from saliency_stats.report.figures.style import (
    CONTROL_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    empty_figure,
    line_handle,
    new_figure,
)
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import count, magnification_words, model_words, number
from saliency_stats.typing import BoolArray, Float64Array
from saliency_stats.vocabulary import TRAINED

_BINS: Final = 10
_NO_PREDICTIONS: Final = "there is no prediction on the evaluation split"
_TRAIN_COLOUR: Final = "#0072B2"
_VALID_COLOUR: Final = "#D55E00"


def roc_curve(malignant: BoolArray, score: Float64Array) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return false and true positive rates at every threshold, ties taken together.

    Parameters
    ----------
    malignant
        True class (n,).
    score
        Probability of malignancy (n,).

    Returns
    -------
    tuple of ndarray
        False positive rates and true positive rates, both from 0 to 1.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    hits = np.cumsum(malignant[order])[ends]
    alarms = np.cumsum(~malignant[order])[ends]
    return np.append(0.0, alarms / alarms[-1]), np.append(0.0, hits / hits[-1])


def reliability(malignant: BoolArray, score: Float64Array) -> pd.DataFrame:
    """Compare predicted and observed frequencies of malignancy in ten bins of equal width.

    Parameters
    ----------
    malignant
        True class (n,).
    score
        Probability of malignancy (n,).

    Returns
    -------
    pandas.DataFrame
        ``bin``, ``predicted`` (mean probability), ``observed`` (share malignant), ``n``; bins that hold
        nothing are left out.
    """
    bins = np.minimum((score * _BINS).astype(int), _BINS - 1)
    table = pd.DataFrame({"bin": bins, "predicted": score, "observed": malignant.astype(float)})
    grouped = table.groupby("bin")
    return grouped.mean().assign(n=grouped.size()).reset_index()


def draw_roc_reliability(run: Run) -> Figure:
    """Draw, per magnification, the ROC of every network, the reliability diagram and the bins' counts."""
    scored = run.own_predictions[run.own_predictions["split"] == run.evaluation_split]
    magnifications = [value for value in run.magnifications if (scored["magnification"] == value).any()]
    if not magnifications:
        return empty_figure(_NO_PREDICTIONS)
    figure = new_figure(0.1 + 2.35 * len(magnifications))
    grid: Any = figure.subplots(len(magnifications), 3, squeeze=False)
    for line, magnification in zip(grid, magnifications, strict=True):
        rows = scored[scored["magnification"] == magnification]
        _roc_panel(line[0], run, rows, magnification)
        _reliability_panels(line[1], line[2], rows[rows["model"] == TRAINED], magnification)
    return figure


def caption_roc_reliability(run: Run) -> str:
    """Say what the three panels are."""
    return (
        f"How well the classifier diagnoses the patches of the evaluation split ({run.evaluation_split})."
        " Left: share of malignant patches found against share of benign patches wrongly called malignant,"
        " for every threshold; the diagonal is guessing, and the area under the curve (AUC) is 0.5 there and"
        " 1 for a perfect classifier. Middle: of the patches given a certain probability of malignancy, the"
        " share that is malignant; on the diagonal, the probabilities can be taken at their word. Right: how"
        " many patches fall into each bin."
    )


def draw_training(run: Run) -> Figure:
    """Draw loss and balanced accuracy by epoch; a line marks the epoch whose weights were kept."""
    table = run.own_training.dropna(subset=["epoch"])
    table = table[table["model"] == TRAINED]
    if table.empty:
        return empty_figure("no training was recorded (the weights were loaded as they are)")
    magnifications = [value for value in run.magnifications if (table["magnification"] == value).any()]
    figure = new_figure(0.5 + 1.9 * len(magnifications))
    grid: Any = figure.subplots(len(magnifications), 2, squeeze=False, sharex=True)
    for line, magnification in zip(grid, magnifications, strict=True):
        rows = table[table["magnification"] == magnification].sort_values("epoch")
        for axes, quantity in zip(line, ("loss", "balanced_accuracy"), strict=True):
            for part, colour in (("train", _TRAIN_COLOUR), ("valid", _VALID_COLOUR)):
                values = rows[f"{quantity}_{part}"].to_numpy(np.float64)
                if np.isfinite(values).any():
                    axes.plot(rows["epoch"], values, color=colour, linewidth=1.4, marker="o", markersize=2.5)
            for epoch in rows.loc[rows["chosen"], "epoch"]:
                axes.axvline(epoch, color=QUIET, linestyle=":", linewidth=1.0)
            axes.set_title(f"{quantity.replace('_', ' ')}, {magnification_words(magnification)}")
        line[1].axhline(0.5, color=QUIET, linestyle="--", linewidth=0.7)
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    handles = [
        line_handle("training patches", _TRAIN_COLOUR),
        line_handle("validation patches", _VALID_COLOUR),
        line_handle("epoch kept", QUIET, ":"),
        line_handle("guessing", QUIET, "--", 0.8),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def caption_training(run: Run) -> str:
    """Say what the curves are."""
    table = run.own_training[run.own_training["model"] == TRAINED]
    if table.empty:
        return "No training was recorded: the classifier's weights were loaded as they are."
    valid = table["loss_valid"].notna().any()
    beside = "" if valid else " No validation patches were set apart, so there is no second curve."
    return (
        "Loss (cross-entropy) and balanced accuracy after each epoch. Where the validation curve worsens"
        " while the training curve improves, the classifier starts to learn its training patches by heart;"
        f" the dotted line marks the epoch whose weights were kept.{beside}"
    )


def _roc_panel(axes: Any, run: Run, rows: pd.DataFrame, magnification: float) -> None:
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=0.7)
    handles = []
    models = [TRAINED, *sorted(set(rows["model"]) - {TRAINED})]
    for model in models:
        found = rows[rows["model"] == model]
        malignant = found["label"].to_numpy() == "malignant"
        if malignant.all() or not malignant.any():
            continue
        colour, style = (TRAINED_COLOUR, "-") if model == TRAINED else (CONTROL_COLOUR, "--")
        axes.plot(*roc_curve(malignant, found["p_malignant"].to_numpy(np.float64)), color=colour, linestyle=style)
        handles.append(line_handle(f"{model_words(model)}{_auc_words(run, magnification, model)}", colour, style))
    if handles:
        axes.legend(handles=handles, loc="lower right", handlelength=1.2, fontsize=6.2, borderaxespad=0.2)
    else:
        axes.text(0.5, 0.5, "one class only:\nno ROC", ha="center", va="center", color=QUIET)
    _unit_square(axes, "share of benign called malignant", "share of malignant found")
    axes.set_title(f"ROC, {magnification_words(magnification)}")


def _auc_words(run: Run, magnification: float, model: str) -> str:
    rows = run.own_metrics[
        (run.own_metrics["magnification"] == magnification)
        & (run.own_metrics["model"] == model)
        & (run.own_metrics["split"] == run.evaluation_split)
    ]
    auc = float("nan") if rows.empty else float(rows.iloc[0]["auc"])
    return f", AUC {number(auc, 3)}" if np.isfinite(auc) else ""


def _reliability_panels(axes: Any, counts: Any, rows: pd.DataFrame, magnification: float) -> None:
    table = reliability((rows["label"] == "malignant").to_numpy(), rows["p_malignant"].to_numpy(np.float64))
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=0.7)
    axes.plot(table["predicted"], table["observed"], color=TRAINED_COLOUR, linewidth=0.8, zorder=1)
    axes.scatter(
        table["predicted"],
        table["observed"],
        s=8 + 60 * table["n"] / max(table["n"].max(), 1),
        color=TRAINED_COLOUR,
        clip_on=False,
    )
    _unit_square(axes, "probability of malignancy", "share that is malignant")
    axes.set_title(f"Reliability, {magnification_words(magnification)}")
    counts.bar((table["bin"] + 0.5) / _BINS, table["n"], width=0.9 / _BINS, color=CONTROL_COLOUR)
    for row in records(table):
        counts.text((row.bin + 0.5) / _BINS, row.n, f"{row.n}", ha="center", va="bottom", fontsize=5.5)
    counts.set_xlim(0, 1)
    counts.set_box_aspect(1)
    counts.set_xlabel("probability of malignancy")
    counts.set_ylabel("patches")
    counts.set_title(f"Counts, {count(len(rows), 'patch')}")


def _unit_square(axes: Any, x_label: str, y_label: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_box_aspect(1)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
