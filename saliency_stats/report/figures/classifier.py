"""The classifier itself: how well it tells the classes apart, how honest it is, how it was trained."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliency_stats.report.figures import marks, style
from saliency_stats.report.figures.facets import in_order
from saliency_stats.report.run import Run
from saliency_stats.report.words import count, magnification_words, number
from saliency_stats.statistics.selection import of_all_networks
from saliency_stats.typing import BoolArray, Float64Array
from saliency_stats.vocabulary import LABELS, TRAINED

_BINS: Final = 10
_PARTS: Final = {"train": "#0072B2", "valid": "#D55E00"}
_PART_WORDS: Final = {"train": "training", "valid": "validation"}


def roc_curve(malignant: BoolArray, score: Float64Array) -> Float64Array:
    """Return false and true positive rates (2, n) from 0 to 1 at every threshold of the `score`, ties together."""
    called = pd.crosstab(-score, malignant).cumsum().to_numpy()
    return np.vstack([np.zeros(2), called / called[-1]]).T


def reliability(malignant: BoolArray, score: Float64Array) -> pd.DataFrame:
    """Compare predicted and observed frequencies of malignancy in ten bins of equal width.

    Returns
    -------
    pandas.DataFrame
        ``bin``, ``predicted`` (mean `score`, the probability), ``observed`` (share `malignant`), ``n``; bins that hold
        nothing are left out.
    """
    bins = np.minimum((score * _BINS).astype(int), _BINS - 1)
    table = pd.DataFrame({"bin": bins, "predicted": score, "observed": malignant.astype(float)})
    grouped = table.groupby("bin")
    return grouped.mean().assign(n=grouped.size()).reset_index()


def draw_roc_reliability(run: Run) -> Figure:
    """Draw, per magnification, the ROC of every network, the reliability diagram and the bins' counts."""
    scored = run.own_predictions[run.own_predictions["split"] == run.evaluation_split]
    scored = style.some(scored, "there is no prediction on the evaluation split")
    magnifications = in_order(run.magnifications, scored["magnification"])
    figure = style.new_figure(0.1 + 2.35 * len(magnifications))
    grid: Any = figure.subplots(len(magnifications), 3, squeeze=False)
    for line, magnification in zip(grid, magnifications, strict=True):
        rows = scored[scored["magnification"] == magnification]
        _roc_panel(line[0], run, rows, magnification)
        _reliability_panels(line[1], line[2], run, rows[rows["model"] == TRAINED], magnification)
    return figure


def caption_roc_reliability(run: Run) -> str:
    """Say what the three panels are."""
    benign, malignant = run.classes.names
    return (
        f"How well the classifier diagnoses the patches of the evaluation split ({run.evaluation_split}). Left: share"
        f" of {malignant} patches found against share of {benign} patches wrongly called {malignant}, for every"
        " threshold; the diagonal is guessing, and the area under the curve (AUC) is 0.5 there and 1 for a perfect"
        f" classifier. Middle: of the patches given a certain {_probability(run)}, the share that is {malignant}; on"
        " the diagonal, the probabilities can be taken at their word. Right: how many patches fall into each bin."
        + (f" Thin lines are single networks, dots all {run.n_networks} together." if run.n_networks > 1 else "")
    )


def draw_training(run: Run) -> Figure:
    """Draw loss and balanced accuracy by epoch; a line marks the epoch whose weights were kept."""
    table = _trained_epochs(run)
    magnifications = in_order(run.magnifications, table["magnification"])
    figure = style.new_figure(0.5 + 1.9 * len(magnifications))
    grid: Any = figure.subplots(len(magnifications), 2, squeeze=False, sharex=True)
    for line, magnification in zip(grid, magnifications, strict=True):
        rows = table[table["magnification"] == magnification]
        for axes, quantity in zip(line, ("loss", "balanced_accuracy"), strict=True):
            columns = {f"{quantity}_{part}": part for part in _PARTS}
            curves = rows.rename(columns=columns).melt(["epoch", "network"], list(_PARTS), "part", "value")
            drawn: dict[str, Any] = {"linewidth": 1.4, "marker": "o", "markersize": 3.2, "markeredgewidth": 0}
            drawn |= {"linewidth": 0.7, "marker": None, "alpha": 0.7} if run.n_networks > 1 else {}
            marks.lines(axes, curves, "epoch", "value", hue="part", palette=_PARTS, units="network", **drawn)
            for epoch in rows.loc[rows["chosen"], "epoch"].unique():
                axes.axvline(epoch, color=style.QUIET, linestyle=":", linewidth=1.0)
            axes.set_title(f"{quantity.replace('_', ' ')}, {magnification_words(magnification)}")
        marks.reference(line[1], 0.5)
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    handles = [style.line_handle(f"{part} patches", _PARTS[key]) for key, part in _PART_WORDS.items()]
    handles.append(style.line_handle("epoch kept", style.QUIET, ":"))
    handles.append(style.line_handle("guessing", style.QUIET, "--", 0.8))
    return style.with_legend(figure, handles, 4)


def caption_training(run: Run) -> str:
    """Say what the curves are."""
    alone = " No validation patches were set apart, so there is no second curve."
    beside = "" if _trained_epochs(run)["loss_valid"].notna().any() else alone
    each = f" Each line is one of {run.n_networks} networks." if run.n_networks > 1 else ""
    return (
        "Loss (cross-entropy) and balanced accuracy after each epoch. Where the validation curve worsens while the"
        " training curve improves, the classifier starts to learn its training patches by heart; the dotted line marks"
        f" the epoch whose weights were kept.{beside}{each}"
    )


def _trained_epochs(run: Run) -> pd.DataFrame:
    rows = run.own_training.dropna(subset=["epoch"])
    reason = "no training was recorded (the weights were loaded as they are)"
    return style.some(rows[rows["model"] == TRAINED], reason)


def _roc_panel(axes: Axes, run: Run, rows: pd.DataFrame, magnification: float) -> None:
    models = marks.networks(rows)
    curves = []
    for (model, _), found in rows.groupby(["model", "network"]):
        malignant = found["label"].to_numpy() == LABELS[1]
        if malignant.any() and not malignant.all():
            false, true = roc_curve(malignant, found["p_malignant"].to_numpy(np.float64))
            ends = [np.nan] * (run.n_networks > 1)  # a line ends where its network does
            curves.append(pd.DataFrame({"false": [*false, *ends], "true": [*true, *ends], "model": model}))
    if curves:
        width = 0.7 if run.n_networks > 1 else 1.5
        marks.network_lines(axes, pd.concat(curves, ignore_index=True), "false", "true", models, width)
        scores = of_all_networks(run.own_metrics)
        of_split = (scores["magnification"] == magnification) & (scores["split"] == run.evaluation_split)
        areas = scores[of_split].groupby("model")["auc"].first().dropna()
        words = [f"AUC {number(areas[model], 3)}" if model in areas else "" for model in models]
        handles = marks.network_handles(run, models, words)
        axes.legend(handles=handles, loc="lower right", handlelength=1.8, fontsize=6.2, borderaxespad=0.2)
    else:
        axes.text(0.5, 0.5, "one class only:\nno ROC", ha="center", va="center", color=style.QUIET)
    benign, name = run.classes.names
    _unit_square(axes, f"share of {benign} called {name}", f"share of {name} found")
    axes.set_title(f"ROC, {magnification_words(magnification)}")


def _reliability_panels(axes: Axes, counts: Axes, run: Run, rows: pd.DataFrame, magnification: float) -> None:
    n_networks = run.n_networks
    table, *each = (
        reliability((own["label"] == LABELS[1]).to_numpy(), own["p_malignant"].to_numpy(np.float64))
        for own in (rows, *(own for _, own in rows.groupby("network") if n_networks > 1))
    )
    _unit_square(axes, _probability(run), f"share that is {run.classes.names[1]}")
    for one in each:
        axes.plot(one["predicted"], one["observed"], color=style.CONTROL_COLOUR, linewidth=0.5, zorder=0)
    axes.plot(table["predicted"], table["observed"], color=style.TRAINED_COLOUR, linewidth=0.8, zorder=1)
    sizes = 8 + 60 * table["n"] / table["n"].max()
    axes.scatter(table["predicted"], table["observed"], s=sizes, color=style.TRAINED_COLOUR, clip_on=False)
    axes.set_title(f"Reliability, {magnification_words(magnification)}")
    bars = counts.bar((table["bin"] + 0.5) / _BINS, table["n"], width=0.9 / _BINS, color=style.CONTROL_COLOUR)
    counts.bar_label(bars, fontsize=5.5)
    counts.set(xlim=(0, 1), box_aspect=1, xlabel=_probability(run), ylabel="patches")
    counts.set_title(f"Counts, {count(len(rows), 'patch') if n_networks == 1 else f'{n_networks} networks'}")


def _probability(run: Run) -> str:
    """Name the probability that the reliability is about."""
    name = run.classes.names[1]
    return f"probability of {'malignancy' if name == LABELS[1] else name}"


def _unit_square(axes: Axes, x_label: str, y_label: str) -> None:
    """Make a square panel from 0 to 1 in both directions; its diagonal is guessing, or honesty."""
    axes.plot([0, 1], [0, 1], color=style.QUIET, linestyle="--", linewidth=0.7)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1, xlabel=x_label, ylabel=y_label)
