"""Accuracy of a classifier with intervals over slides, and whether it learned the task."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from saliency_stats.errors import StudyError
from saliency_stats.statistics.learned import CHANCE, exchange_test, learned_words
from saliency_stats.typing import BoolArray, Float64Array
from saliency_stats.vocabulary import ALL_NETWORKS, LABELS, network_order

METRIC_COLUMNS: Final = (
    "magnification",
    "model",
    "network",
    "split",
    "n_patches",
    "n_slides",
    "balanced_accuracy",
    "balanced_accuracy_low",
    "balanced_accuracy_high",
    "sensitivity",
    "specificity",
    "auc",
    "brier",
    "learned",
    "learned_reason",
    "interval",
    "p_learned",
)


@dataclass(frozen=True)
class EvaluationParameters:
    """Parameters of the intervals, and the accuracy that counts as learned.

    Parameters
    ----------
    min_balanced_accuracy
        Balanced accuracy below which a classifier counts as not having learned the task.
    alpha
        1 - coverage of the intervals, and level of the test of having learned.
    draws
        Bootstrap draws; of the test at least 20 / alpha.
    seed
        Seed of both.
    unit
        ``slide`` or ``patient``: what is drawn, and keeps its classes apart from others', as a whole.
    """

    min_balanced_accuracy: float = 0.65
    alpha: float = 0.05
    draws: int = 2000
    seed: int = 0
    unit: Literal["slide", "patient"] = "slide"

    def __post_init__(self) -> None:
        if not CHANCE <= self.min_balanced_accuracy < 1.0:
            raise StudyError(
                f"classifier.min_balanced_accuracy is {self.min_balanced_accuracy}; expected 0.5 (chance) to 1"
            )


def predictions_table(
    keys: pd.DataFrame, logits: Float64Array, model: str, network: str, p_malignant: Float64Array | None = None
) -> pd.DataFrame:
    """Make rows of ``predictions.csv`` from logits (N, 2) of the patches in ``keys``.

    Probabilities that are known are taken to the last digit: a bound such as 0.8 falls on one side of it.
    """
    rows = keys[["patch_id", "slide_id", "patient_id", "label", "split", "magnification"]].reset_index(drop=True)
    rows["model"], rows["network"] = model, network
    rows["logit_benign"], rows["logit_malignant"] = logits[:, 0], logits[:, 1]
    rows["p_malignant"] = 1.0 / (1.0 + np.exp(logits[:, 0] - logits[:, 1])) if p_malignant is None else p_malignant
    rows["predicted"] = np.where(logits[:, 1] > logits[:, 0], LABELS[1], LABELS[0])
    rows["correct"] = rows["predicted"] == rows["label"]
    return rows


def metrics_table(predictions: pd.DataFrame, parameters: EvaluationParameters) -> pd.DataFrame:
    """Score every magnification × model × network × split, and several networks together.

    Returns
    -------
    DataFrame
        Columns :data:`METRIC_COLUMNS`. The interval of the balanced accuracy resamples units where every
        patch has one, and patches otherwise (``interval`` says which). ``learned`` is True if the balanced
        accuracy reaches ``min_balanced_accuracy`` and ``p_learned``, from exchanging the classes of whole units, is at
        most alpha; where a unit is unknown there is no test, and the interval must lie above chance (0.5). The row of
        the network "all" pools the predictions of several; a unit is drawn with those of all networks.
    """
    rows = []
    for (magnification, model, split), group in predictions.groupby(["magnification", "model", "split"], sort=True):
        parts = sorted(group.groupby("network"), key=lambda part: network_order(str(part[0])))
        for network, part in [*parts, *([(ALL_NETWORKS, group)] if len(parts) > 1 else [])]:
            of = {"magnification": magnification, "model": model, "network": network, "split": split}
            rows.append(of | _score(part, parameters))
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS))


def _score(group: pd.DataFrame, parameters: EvaluationParameters) -> dict[str, Any]:
    # sorted, so that the resampling does not depend on the order of the rows
    group = group.sort_values(["patch_id", "network"])
    malignant = (group["label"] == LABELS[1]).to_numpy()
    correct = group["correct"].to_numpy(dtype=bool)
    p = group["p_malignant"].to_numpy(dtype=float)
    slides, owners = (group[name].fillna("").astype(str) for name in ("slide_id", f"{parameters.unit}_id"))
    n_slides = int(slides.nunique()) if (slides != "").all() else 0
    # of one unit alone nothing can be drawn anew
    known = bool((owners != "").all() and (owners != owners.iloc[0]).any())
    sensitivity = float(correct[malignant].mean()) if malignant.any() else float("nan")
    specificity = float(correct[~malignant].mean()) if (~malignant).any() else float("nan")
    accuracy = (sensitivity + specificity) / 2.0
    units = pd.factorize(owners, sort=True)[0] if known else pd.factorize(group["patch_id"])[0]
    low, high = _interval(units, malignant, correct, parameters)
    exchange = None
    if (owners != "").all() and np.isfinite(accuracy):
        draws = max(parameters.draws, round(20 / parameters.alpha))
        codes = pd.factorize(owners, sort=True)[0]
        exchange = exchange_test(codes, malignant, correct, draws=draws, seed=parameters.seed)
    learned, reason = learned_words(
        accuracy,
        low,
        exchange,
        minimum=parameters.min_balanced_accuracy,
        alpha=parameters.alpha,
        unit=parameters.unit,
    )
    return {
        "n_patches": int(group["patch_id"].nunique()),
        "n_slides": n_slides,
        "balanced_accuracy": accuracy,
        "balanced_accuracy_low": low,
        "balanced_accuracy_high": high,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "auc": _auc(p, malignant),
        "brier": float(np.mean((p - malignant) ** 2)),
        "learned": learned,
        "learned_reason": reason,
        "interval": f"bootstrap over {parameters.unit}s"
        if known
        else f"bootstrap over patches, as if independent: {parameters.unit}s are unknown or only one, so the interval "
        f"is too narrow",
        "p_learned": float("nan") if exchange is None else exchange.p_value,
    }


def _interval(
    units: NDArray[Any], malignant: BoolArray, correct: BoolArray, parameters: EvaluationParameters
) -> tuple[float, float]:
    """Percentile bootstrap of the balanced accuracy, resampling whole units (Efron & Tibshirani 1993, ch. 13)."""
    if malignant.all() or not malignant.any():
        return float("nan"), float("nan")
    n = int(units.max()) + 1
    counts = np.stack(
        [
            np.bincount(units, weights=values, minlength=n)
            for values in (malignant & correct, malignant, ~malignant & correct, ~malignant)
        ]
    )
    rng = np.random.default_rng(parameters.seed)
    # multinomial weights are the same as drawing n units with replacement, without building each sample
    weights = rng.multinomial(n, np.full(n, 1.0 / n), size=parameters.draws)
    hits, positives, rejections, negatives = counts @ weights.T
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = (hits / positives + rejections / negatives) / 2.0
    # a draw without one of the classes has no balanced accuracy
    low, high = np.nanquantile(accuracy, [parameters.alpha / 2, 1 - parameters.alpha / 2])
    return float(low), float(high)


def _auc(p: Float64Array, malignant: BoolArray) -> float:
    """Area under the ROC curve as the Mann-Whitney statistic (Hanley & McNeil 1982)."""
    if malignant.all() or not malignant.any():
        return float("nan")
    u = stats.mannwhitneyu(p[malignant], p[~malignant]).statistic
    return float(u / (malignant.sum() * (~malignant).sum()))
