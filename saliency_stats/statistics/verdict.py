"""From contrasts to verdicts: what each primary hypothesis' numbers say about the claim."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.densest import Densest, densest_compartment
from saliency_stats.statistics.ladder import NO, NOT_TESTED, OF_NETWORKS, YES, Part, Reach, climbed, holm_factors
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.multiplicity import holm
from saliency_stats.statistics.parameters import PRIMARY, StatisticsParameters
from saliency_stats.statistics.reasons import Judged, reasons
from saliency_stats.statistics.selection import JUDGED, learned_flags, of_all_networks, plain
from saliency_stats.statistics.sentences import (
    claim_words,
    headline,
    p_words,
    saliency_words,
    tested_sentence,
    unlearned_words,
    untested_sentence,
)
from saliency_stats.vocabulary import TRAINED

__all__ = ["headline", "verdicts"]

_SAMPLE: Final = ["label", "magnification", "method", "reduction"]
_NEEDED: Final = (
    *("contrast", *_SAMPLE, "model", "estimate", "ci_low", "ci_high", "test", "p_value", "p_adjusted", "family"),
    *(
        "icc",
        "n_slides",
        "n_patches",
        "se",
        "design_effect",
        "n_effective",
        "status",
        "reason",
        "unit",
        "n_units",
        "n_missing",
    ),
    *("n_networks", "population", "p_attainable", "p_equivalence_adjusted", "least_margin"),
)

_METRIC: Final = (
    *("magnification", "model", "split", "balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high"),
    "learned",
)


def verdicts(
    contrasts: pd.DataFrame,
    metrics: pd.DataFrame,
    settings: StatisticsParameters,
    *,
    untrained: Sequence[str] = ("randomised", "shuffled"),
    further: Mapping[tuple[str, Any], Mapping[str, Sequence[Part]]] | None = None,
    reach: Reach = OF_NETWORKS,
) -> list[dict[str, Any]]:
    """Judge every primary hypothesis.

    Parameters
    ----------
    contrasts : DataFrame
        As :func:`~saliency_stats.statistics.study_contrasts` returns it, or as read back from
        ``contrasts.csv``.
    metrics : DataFrame
        Rows of ``metrics.csv``: magnification, model, split, balanced_accuracy, balanced_accuracy_low,
        balanced_accuracy_high, learned, learned_reason.
    untrained : sequence of str
        Controls that are networks that learned nothing.
    further : mapping, optional
        By class and magnification, what other tables say of the rungs "method", "decision", "networks" and
        "analyses".
    reach : Reach, optional
        How far the study can ask: of maps that were made elsewhere, not of training.

    Returns
    -------
    list of dict
        The objects of ``verdict.json``, in the order of the contrasts; numbers that do not exist are None.
        ``status`` is

        - "not_testable": the classifier beats no chance, or no test is possible;
        - "contradicted": saliency is significantly denser in the nuclei;
        - "supported": it is significantly denser in the cytoplasm, more so than in networks that learned nothing, and
          more than the picture explains (:mod:`~saliency_stats.statistics.ladder`);
        - "present_without_training" or "explained_by_the_picture": it is significantly denser in the cytoplasm, but not
          more than by the control that ``explained_by`` names;
        - "equivalent": not significant, and significantly within the margin;
        - "inconclusive": none of these, or one of the rungs that "supported" needs was not tested.

        ``survives`` is the ladder of eight rungs; ``p_supported`` the p-value of "supported" after Holm.

    Raises
    ------
    StatisticsError
        If columns are missing, or the metrics lack a magnification.
    """
    require_columns("contrasts", contrasts.columns, _NEEDED)
    require_columns("metrics", metrics.columns, (*_METRIC, "learned_reason"))
    learned = learned_flags(metrics, evaluation_split=settings.evaluation_split)
    # An empty text comes back from a CSV file as NaN.
    texts = contrasts.assign(**{column: contrasts[column].astype(object).fillna("") for column in ("reason", "unit")})
    deciding = settings.deciding_test(int(contrasts["n_networks"].max()))
    rows = texts[(texts["test"] == deciding) & (texts["population"] == JUDGED)]
    primary = rows[(rows["contrast"] == PRIMARY) & (rows["model"] == TRAINED)]
    for magnification in primary["magnification"]:
        if plain(magnification) not in learned:
            raise StatisticsError(
                f"metrics: no row of the trained model at magnification {magnification} on split "
                f"{settings.evaluation_split!r}; a verdict needs to know whether the classifier learned"
            )
    several = len(primary[["method", "reduction"]].drop_duplicates()) > 1
    hypotheses = [row for _, row in primary.iterrows()]
    samples = [_same_sample(texts, row) for row in hypotheses]
    rungs = further or {}
    ladders = [
        climbed(sample, row, untrained, rungs.get((row["label"], plain(row["magnification"])), {}), reach)
        for row, sample in zip(hypotheses, samples, strict=True)
    ]
    tested = np.array([row["status"] == "tested" for row in hypotheses], dtype=bool)
    p_values = np.array([ladder.p_value for ladder in ladders])
    factors, supported = np.ones(len(hypotheses)), np.full(len(hypotheses), np.nan)
    factors[tested] = holm_factors(p_values[tested], settings.alpha)
    supported[tested] = holm(p_values[tested])
    within = [
        row["p_equivalence_adjusted"] <= settings.alpha and row["p_attainable"] <= settings.alpha for row in hypotheses
    ]
    return [
        _verdict(
            Judged(row, sample, _metric(metrics, row["magnification"], settings), ladder, factor, p_supported),
            settings,
            equivalent=bool(inside),
            several=several,
        )
        for row, sample, ladder, factor, p_supported, inside in zip(
            *(hypotheses, samples, ladders, factors.tolist(), supported.tolist(), within), strict=True
        )
    ]


def _verdict(judged: Judged, settings: StatisticsParameters, *, equivalent: bool, several: bool) -> dict[str, Any]:
    row, metric, ladder = judged.row, judged.metric, judged.ladder
    learned = bool(metric["learned"])
    status, explained_by = _status(judged, settings, learned=learned, equivalent=equivalent)
    of_test = judged.sample[(judged.sample["test"] == row["test"]) & (judged.sample["population"] == JUDGED)]
    densest = Densest(None, (), tested=False, rows=pd.DataFrame())
    if learned:
        densest = densest_compartment(of_test[of_test["model"] == TRAINED], alpha=settings.alpha)
    saliency = saliency_words(row, several=several)
    if not learned:
        obstacle = unlearned_words(metric, settings)
        sentence = f"{obstacle[0].upper()}{obstacle[1:]}: nothing can be concluded from its saliency."
    elif status == "not_testable":
        sentence, obstacle = untested_sentence(row, densest, settings, saliency), str(row["reason"])
    else:
        sentence, obstacle = tested_sentence(row, status, explained_by, densest, settings, saliency), ""
    survives = ladder.as_list(judged.factor, settings) if learned else []
    return {
        "claim": claim_words(row["label"], row["magnification"], settings.classes),
        "status": status,
        "sentence": sentence,
        "contrast": row["contrast"],
        "label": row["label"],
        "magnification": plain(row["magnification"]),
        "estimate": _number(row["estimate"]),
        "ci_low": _number(row["ci_low"]),
        "ci_high": _number(row["ci_high"]),
        "p_adjusted": _number(row["p_adjusted"]),
        "n_slides": int(row["n_slides"]),
        "reasons": list(reasons(judged, settings, densest, within=equivalent)),
        "densest_compartment": densest.compartment,
        "n_patches": int(row["n_patches"]),
        "learned": learned,
        "obstacle": obstacle,
        "method": row["method"],
        "reduction": row["reduction"],
        "p_words": "" if pd.isna(row["p_adjusted"]) else p_words(row["p_adjusted"], settings),
        "test": row["test"],
        "n_networks": int(row["n_networks"]),
        "explained_by": explained_by,
        # the ladder of a finding against the claim is climbed the other way
        "p_supported": (_number(judged.p_supported) if ladder.sign > 0 else 1.0) if learned else None,
        "survives": survives,
    }


def _status(judged: Judged, settings: StatisticsParameters, *, learned: bool, equivalent: bool) -> tuple[str, str]:
    """Return the status, and the control that does as much, if any."""
    row = judged.row
    if not learned or row["status"] != "tested":
        return "not_testable", ""
    if not row["p_adjusted"] < settings.alpha:
        return "equivalent" if equivalent else "inconclusive", ""
    if row["estimate"] < 0:
        return "contradicted", ""
    needed = judged.ladder.reach.needed
    answers = {rung: judged.ladder.answer(rung, judged.factor, settings.alpha) for rung in (*needed, "place")}
    for rung, status in (("training", "present_without_training"), ("picture", "explained_by_the_picture")):
        weakest = judged.ladder.weakest(rung)
        if answers.get(rung) == NO and weakest is not None:
            return status, weakest.name
    # a map that prefers the cytoplasm wherever it lies says nothing of the cytoplasm
    stands = all(answers[rung] == YES for rung in needed) and answers["place"] in (YES, NOT_TESTED)
    return "supported" if stands else "inconclusive", ""


def _same_sample(contrasts: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    return contrasts[(contrasts[_SAMPLE] == row[_SAMPLE]).all(axis=1)]


def _metric(metrics: pd.DataFrame, magnification: Any, settings: StatisticsParameters) -> dict[str, Any]:
    where = (metrics["model"] == TRAINED) & (metrics["split"] == settings.evaluation_split)
    row = of_all_networks(metrics[where & (metrics["magnification"] == magnification)]).iloc[0]
    return {str(name): value for name, value in row.items()}


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
