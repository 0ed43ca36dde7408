"""From contrasts to verdicts: what each primary hypothesis' numbers say about the claim."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.densest import Densest, densest_compartment
from saliency_stats.statistics.inference import equivalence_interval
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.parameters import PRIMARY, StatisticsParameters
from saliency_stats.statistics.registry import words_of
from saliency_stats.statistics.resampling import units_needed
from saliency_stats.statistics.selection import learned_flags, plain
from saliency_stats.statistics.sentences import (
    headline,
    interval_words,
    magnification_words,
    missing_words,
    p_words,
    ratio_words,
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
)

_METRIC: Final = (
    *("magnification", "model", "split", "balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high"),
    "learned",
)


def verdicts(contrasts: pd.DataFrame, metrics: pd.DataFrame, settings: StatisticsParameters) -> list[dict[str, Any]]:
    """Judge every primary hypothesis.

    Parameters
    ----------
    contrasts : DataFrame
        As :func:`~saliency_stats.statistics.study_contrasts` returns it, or as read back from
        ``contrasts.csv``.
    metrics : DataFrame
        Rows of ``metrics.csv``: magnification, model, split, balanced_accuracy, balanced_accuracy_low,
        balanced_accuracy_high, learned, learned_reason.

    Returns
    -------
    list of dict
        The objects of ``verdict.json``, in the order of the contrasts; numbers that do not exist are None.
        ``status`` is

        - "not_testable": the classifier beats no chance, or no test is possible;
        - "supported" or "contradicted": significant after correction, saliency denser in the cytoplasm or in
          the nuclei;
        - "equivalent": not significant, and the ``1 - 2 alpha`` interval lies inside the margin (two
          one-sided tests);
        - "inconclusive": none of these.

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
    rows = texts[texts["test"] == settings.primary_test]
    primary = rows[(rows["contrast"] == PRIMARY) & (rows["model"] == TRAINED)]
    several = len(primary[["method", "reduction"]].drop_duplicates()) > 1
    n_tested = int((primary["status"] == "tested").sum())
    found = []
    for _, row in primary.iterrows():
        if plain(row["magnification"]) not in learned:
            raise StatisticsError(
                f"metrics: no row of the trained model at magnification {row['magnification']} on split "
                f"{settings.evaluation_split!r}; a verdict needs to know whether the classifier learned"
            )
        metric = _metric(metrics, row["magnification"], settings)
        verdict = _verdict(row, _same_sample(texts, row), metric, settings, several=several)
        verdict["reasons"] += list(_discreteness(row, n_tested, settings))
        found.append(verdict)
    return found


def _verdict(
    row: pd.Series, sample: pd.DataFrame, metric: dict[str, Any], settings: StatisticsParameters, *, several: bool
) -> dict[str, Any]:
    learned = bool(metric["learned"])
    status = _status(row, settings, learned=learned)
    of_test = sample[sample["test"] == settings.primary_test]
    densest = Densest(None, (), tested=False, rows=pd.DataFrame())
    if learned:
        densest = densest_compartment(of_test[of_test["model"] == TRAINED], alpha=settings.alpha)
    saliency = f"saliency ({row['method']}, {row['reduction']})" if several else "saliency"
    if not learned:
        obstacle = unlearned_words(metric, settings)
        sentence = f"{obstacle[0].upper()}{obstacle[1:]}: nothing can be concluded from its saliency."
    elif status == "not_testable":
        sentence, obstacle = untested_sentence(row, densest, settings, saliency), str(row["reason"])
    else:
        sentence, obstacle = tested_sentence(row, status, densest, settings, saliency), ""
    where = f"{row['label']} patches at {magnification_words(row['magnification'])}"
    return {
        "claim": f"In {where}, saliency is denser in the cytoplasm than in the nuclei.",
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
        "reasons": list(_reasons(row, sample, metric, settings, densest)),
        "densest_compartment": densest.compartment,
        "n_patches": int(row["n_patches"]),
        "learned": learned,
        "obstacle": obstacle,
        "method": row["method"],
        "reduction": row["reduction"],
        "p_words": "" if pd.isna(row["p_adjusted"]) else p_words(row["p_adjusted"], settings),
    }


def _status(row: pd.Series, settings: StatisticsParameters, *, learned: bool) -> str:
    if not learned or row["status"] != "tested":
        return "not_testable"
    if row["p_adjusted"] < settings.alpha:
        return "supported" if row["estimate"] > 0 else "contradicted"
    return "equivalent" if _within_margin(row, settings) else "inconclusive"


def _within_margin(row: pd.Series, settings: StatisticsParameters) -> bool:
    low, high = equivalence_interval(row["estimate"], row["se"], int(row["n_units"]), alpha=settings.alpha)
    return -settings.equivalence_margin < low and high < settings.equivalence_margin


def _reasons(
    row: pd.Series, sample: pd.DataFrame, metric: dict[str, Any], settings: StatisticsParameters, densest: Densest
) -> Iterable[str]:
    """Yield what supports the verdict or limits it, one short string each."""
    if not metric["learned"]:
        yield str(metric["learned_reason"])
        return
    if row["reason"]:
        yield str(row["reason"])
    if row["status"] == "tested":
        if row["p_adjusted"] < settings.alpha and _within_margin(row, settings):
            yield f"significant, but within the equivalence margin (±{settings.equivalence_margin:g} log2)"
        if row["p_adjusted"] >= settings.alpha and densest.compartment in {"nucleus", "cytoplasm"}:
            yield "cytoplasm and nuclei do not differ significantly, although one of them is named as the densest"
        yield from _other_tests(row, sample, settings)
    yield from _controls(row, sample, settings)
    if row["n_missing"]:
        yield missing_words(int(row["n_missing"]), int(row["n_patches"]))
    if np.isfinite(row["icc"]):
        yield (
            f"intraclass correlation {row['icc']:.2f}, design effect {row['design_effect']:.1f}: "
            f"{int(row['n_patches']):,} patches tell as much as {row['n_effective']:.0f} independent ones"
        )


def _discreteness(row: pd.Series, n_tested: int, settings: StatisticsParameters) -> Iterable[str]:
    """Say where sign flips over so few units could not have been significant, whatever the saliency."""
    if row["status"] != "tested" or row["test"] != "sign_flip":
        return
    needed = units_needed(n_tested, settings.alpha)
    if row["n_units"] >= needed:
        return
    least = 2.0 ** (1 - row["n_units"])
    together = f", and {n_tested} hypotheses are corrected together" if n_tested > 1 else ""
    yield (
        f"the smallest p-value of sign flips over {row['n_units']} {row['unit']}s is {least:.4g}{together}: nothing "
        f"could have been significant; at least {needed} {row['unit']}s are needed"
    )


def _other_tests(row: pd.Series, sample: pd.DataFrame, settings: StatisticsParameters) -> Iterable[str]:
    own = (sample["contrast"] == PRIMARY) & (sample["model"] == TRAINED)
    others = sample[own & (sample["test"] != row["test"]) & (sample["test"] != "permutation")]  # that is of two samples
    significant = row["p_adjusted"] < settings.alpha
    for_and_against: dict[bool, list[str]] = {True: [], False: []}
    for _, other in others.iterrows():
        name = words_of(str(other["test"]))
        if other["status"] != "tested":
            yield f"{name}: no test, because {other['reason']}"
            continue
        same_side = other["estimate"] * row["estimate"] > 0 or not significant
        agrees = (other["p_adjusted"] < settings.alpha) == significant and same_side
        for_and_against[agrees].append(f"{name} ({p_words(other['p_adjusted'], settings)})")
        note = str(other["reason"]).removeprefix(str(row["reason"])).removeprefix("; ")
        if note:
            yield f"{name}: {note}"
    for agrees, names in for_and_against.items():
        if names:
            share = f"{len(names)} of the {len(others)} other tests"
            if len(names) == len(others) > 1:
                share = f"all {len(others)} other tests"
            verb = {True: ("agrees", "agree"), False: ("disagrees", "disagree")}[agrees][len(names) > 1]
            yield f"{share} {verb}: {', '.join(names)}"


def _controls(row: pd.Series, sample: pd.DataFrame, settings: StatisticsParameters) -> Iterable[str]:
    rows = sample[sample["model"].str.startswith(f"{TRAINED}-") & (sample["test"] == row["test"])]
    for _, other in rows.iterrows():
        control = str(other["model"]).removeprefix(f"{TRAINED}-")
        if pd.isna(other["estimate"]):
            yield f"no patch can be compared with the control {control}"
            continue
        change = f"trained minus {control} is {other['estimate']:+.2f} log2"
        if other["status"] != "tested":
            yield f"{change}, not tested, because {other['reason']}"
            continue
        interval = interval_words(other["ci_low"], other["ci_high"], settings.alpha)
        factor = f"a factor of {ratio_words(other['estimate'])}"
        evidence = f"{factor}; {interval}; {p_words(other['p_adjusted'], settings)}"
        if other["p_adjusted"] >= settings.alpha:
            yield f"{change} ({evidence}): no detectable difference from the control {control}"
        else:
            towards = "cytoplasm" if other["estimate"] > 0 else "nuclei"
            yield f"{change} ({evidence}): the trained model's saliency is shifted towards the {towards}"


def _same_sample(contrasts: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    return contrasts[(contrasts[_SAMPLE] == row[_SAMPLE]).all(axis=1)]


def _metric(metrics: pd.DataFrame, magnification: Any, settings: StatisticsParameters) -> dict[str, Any]:
    where = (metrics["model"] == TRAINED) & (metrics["split"] == settings.evaluation_split)
    row = metrics[where & (metrics["magnification"] == magnification)].iloc[0]
    return {str(name): value for name, value in row.items()}


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
