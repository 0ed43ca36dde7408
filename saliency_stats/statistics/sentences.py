"""A verdict in words: one sentence or two for a hypothesis, and one sentence over all of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from saliency_stats.statistics.densest import Densest
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.wording import (
    DASH,
    NOUNS,
    WERE,
    counted,
    interval_words,
    listed,
    magnification_words,
    p_words,
    patches_words,
    ratio_words,
    sizes_words,
    split_words,
)

_CONCLUSIONS: Final = {
    "supported": "the claim is supported",
    "contradicted": "the claim is contradicted",
    "equivalent": "the two are equally dense within the declared margin, and the claim is not supported",
    "inconclusive": "the claim is neither supported nor contradicted",
}
_HEADLINES: Final = {
    "supported": "as claimed, saliency was denser in the cytoplasm than in the nuclei in",
    "contradicted": "against the claim, saliency was denser in the nuclei than in the cytoplasm in",
    "equivalent": "saliency was equally dense in cytoplasm and nuclei, within the declared margin, in",
    "inconclusive": "it stays open whether saliency prefers cytoplasm or nuclei in",
}


def density_words(estimate: float) -> str:
    """Return the primary contrast in words, the denser compartment first."""
    first, second = ("cytoplasm", "nucleus") if estimate >= 0 else ("nucleus", "cytoplasm")
    ratio = ratio_words(abs(estimate))
    how = "about as" if ratio == "1" else f"{ratio} times as"
    return f"{how} dense in {NOUNS[first]} as in {NOUNS[second]}"


def chance_words(metric: Mapping[str, Any], settings: StatisticsParameters) -> str:
    """State that a classifier is at chance, with its balanced accuracy."""
    low, high = metric["balanced_accuracy_low"], metric["balanced_accuracy_high"]
    # An interval that could not be estimated is said to be unknown, not left out.
    interval = f"interval {low:.2f}{DASH}{high:.2f}" if pd.notna(low) and pd.notna(high) else "interval unknown"
    evidence = f"balanced accuracy {metric['balanced_accuracy']:.2f}, {interval}"
    where = f"on the {split_words(settings)} patches at {magnification_words(metric['magnification'])}"
    return f"the classifier is at chance {where} ({evidence})"


def tested_sentence(
    row: pd.Series, status: str, densest: Densest, settings: StatisticsParameters, saliency: str
) -> str:
    """Say what a hypothesis' test found, and which compartment is the densest."""
    interval = interval_words(row["ci_low"], row["ci_high"], settings.alpha, flip=row["estimate"] < 0)
    return (
        f"In {patches_words(row['label'], row['magnification'], settings)}, {saliency} was "
        f"{density_words(row['estimate'])} ({interval}; {p_words(row['p_adjusted'], settings)}; "
        f"{sizes_words(row)}): {_CONCLUSIONS[status]}. {densest_sentence(densest, settings)}"
    )


def untested_sentence(row: pd.Series, densest: Densest, settings: StatisticsParameters, saliency: str) -> str:
    """Give the estimate without a p-value, and say in plain words why there is none."""
    if pd.isna(row["estimate"]):
        patch = patches_words(row["label"], row["magnification"], settings, number="patch")
        return f"No {patch} has saliency in both the nuclei and the cytoplasm, so nothing can be tested."
    return (
        f"In {patches_words(row['label'], row['magnification'], settings)}, {saliency} was "
        f"{density_words(row['estimate'])} (mean over {sizes_words(row)}). No p-value and no interval is "
        f"given, because {row['reason']}: the claim cannot be tested here. "
        f"{densest_sentence(densest, settings)}"
    )


def densest_sentence(densest: Densest, settings: StatisticsParameters) -> str:
    """Name the densest compartment, or say that none can be named."""
    row = densest.row
    if densest.candidate is None or row is None:
        return "No tissue compartment can be named as the densest."
    ratio = f"{ratio_words(row['estimate'])} times the rest of the tissue"
    if not densest.tested:
        named = f"{WERE[densest.candidate]} the densest tissue compartment"
        return f"In these patches {named} ({ratio}; not tested)."
    evidence = (
        f"{ratio}; {interval_words(row['ci_low'], row['ci_high'], settings.alpha)}; "
        f"{p_words(row['p_adjusted'], settings)}"
    )
    if densest.compartment is None and row["estimate"] <= 0:
        return "No tissue compartment was denser than the rest of the tissue."
    if densest.compartment is None:
        return (
            "No tissue compartment was significantly denser than the rest of the tissue; "
            f"{WERE[densest.candidate]} the densest by estimate ({evidence})."
        )
    return f"Of the tissue compartments, {WERE[densest.candidate]} the densest ({evidence})."


def headline(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Put all hypotheses into one sentence, for the top of a report.

    Parameters
    ----------
    verdicts : sequence of dict
        As :func:`~saliency_stats.statistics.verdicts` returns them.
    """
    if not verdicts:
        return "No hypothesis was tested."
    several = len({(v["method"], v["reduction"]) for v in verdicts}) > 1
    names = [_sample_name(v, several=several) for v in verdicts]
    clauses = []
    for status, words in _HEADLINES.items():
        found = [
            f"{name} ({ratio_words(abs(v['estimate']))} times, {v['p_words']})"
            for v, name in zip(verdicts, names, strict=True)
            if v["status"] == status
        ]
        if found:
            clauses.append(f"{words} {listed(found)}")
    untested = [(v["learned"], v["obstacle"]) for v in verdicts if v["status"] == "not_testable"]
    for learned, obstacle in dict.fromkeys(untested):
        found = [
            name + (f" ({density_words(v['estimate'])})" if learned and v["estimate"] is not None else "")
            for v, name in zip(verdicts, names, strict=True)
            if (v["status"], v["learned"], v["obstacle"]) == ("not_testable", learned, obstacle)
        ]
        nothing = "no test is possible in" if learned else "nothing can be concluded about saliency in"
        clauses.append(f"{nothing} {listed(found)}, because {obstacle}")
    densest = _densest_clause(verdicts, names)
    sentence = "; ".join(clauses + ([densest] if densest else []))
    return f"{sentence[0].upper()}{sentence[1:]}."


def _sample_name(verdict: Mapping[str, Any], *, several: bool) -> str:
    name = f"{verdict['label']} patches at {magnification_words(verdict['magnification'])}"
    return f"{name} ({verdict['method']}, {verdict['reduction']})" if several else name


def _densest_clause(verdicts: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    judged = [(v["densest_compartment"], name) for v, name in zip(verdicts, names, strict=True) if v["learned"]]
    found = list(dict.fromkeys(k for k, _ in judged if k is not None))
    if not found:
        return ""
    untested = any(v["status"] == "not_testable" and v["densest_compartment"] for v in verdicts)
    lead = f"{'by estimate alone, ' if untested else ''}the densest tissue compartment was"
    if len(found) == 1 and all(k == found[0] for k, _ in judged):
        return f"{lead} {NOUNS[found[0]]}"
    each = [f"{NOUNS[k]} in {listed([name for other, name in judged if other == k])}" for k in found]
    return f"{lead} {listed(each)}"


def missing_words(n_missing: int, n_patches: int) -> str:
    """Say how many selected patches are not in the contrast."""
    return (
        f"{counted(n_missing, 'patch')} of {n_missing + n_patches:,} selected left out: nucleus or "
        "cytoplasm is missing there or holds no saliency"
    )
