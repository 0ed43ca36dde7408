"""A verdict in words: numbers and names, one sentence or two for a hypothesis, and one sentence over all of them."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.statistics.densest import Densest
from saliency_stats.statistics.learned import beats_chance
from saliency_stats.statistics.parameters import StatisticsParameters

TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"
#: A compartment as the object of a sentence, and with its verb.
NOUNS = {"nucleus": "the nuclei", "cytoplasm": "the cytoplasm", "stroma": "the stroma"}
WERE = {"nucleus": "the nuclei were", "cytoplasm": "the cytoplasm was", "stroma": "the stroma was"}
_SPLITS = {"train": "training", "valid": "validation", "test": "test"}
CORRECTIONS = {"holm": "Holm", "bh": "Benjamini\N{EN DASH}Hochberg"}
_CONCLUSIONS: Final = {
    "supported": "the claim is supported",
    "contradicted": "the claim is contradicted",
    "equivalent": "the two are equally dense within the declared margin; the claim is not supported",
    "inconclusive": "the claim is neither supported nor contradicted",
    "present_without_training": "the claim is not supported, because it is not detectably more than in networks that "
    "learned nothing ({control})",
    "explained_by_the_picture": "the claim is not supported, because it is not detectably more than the picture alone "
    "({control}) explains",
}
_HEADLINES: Final = {
    "supported": "as claimed, saliency was denser in the cytoplasm than in the nuclei in",
    "contradicted": "against the claim, saliency was denser in the nuclei than in the cytoplasm in",
    "equivalent": "saliency was equally dense in cytoplasm and nuclei, within the declared margin, in",
    "inconclusive": "the data do not decide whether saliency is denser in the cytoplasm or in the nuclei in",
    "present_without_training": "saliency was denser in the cytoplasm, but not detectably more than in networks that "
    "learned nothing, in",
    "explained_by_the_picture": "saliency was denser in the cytoplasm, but not detectably more than edges or stain "
    "explain, in",
}


def magnification_words(magnification: Any) -> str:
    """Return 20, 20.0 and "20x" with the sign of multiplication, another name as it is."""
    if isinstance(magnification, Real) and not isinstance(magnification, bool):
        return f"{float(magnification):g}{TIMES}"
    text = str(magnification)
    return f"{text[:-1]}{TIMES}" if text[-1:] in {"x", "X"} and text[:-1].replace(".", "", 1).isdigit() else text


def claim_words(label: str, magnification: Any, classes: Classes) -> str:
    """State what one primary hypothesis claims."""
    where = f"{classes.name(label)} patches at {magnification_words(magnification)}"
    return f"In {where}, saliency is denser in the cytoplasm than in the nuclei."


def ratio_words(log2_ratio: float) -> str:
    """Return a log2 ratio as a plain ratio of three digits."""
    return np.format_float_positional(2.0**log2_ratio, precision=3, unique=False, fractional=False, trim="-")


def interval_words(low: float, high: float, alpha: float, *, flip: bool = False) -> str:
    """Return a log2 interval as an interval of ratios, of the inverse ratio if ``flip``."""
    if flip:
        low, high = -high, -low
    ends = [ratio_words(end) if np.isfinite(end) else "no limit" for end in (low, high)]
    return f"{100 * (1 - alpha):g} % CI {ends[0]}{DASH}{ends[1]}"


def p_words(p_adjusted: float, settings: StatisticsParameters) -> str:
    """Return an adjusted p-value with the name of its correction."""
    return f"{p_number(p_adjusted)} after {CORRECTIONS[settings.correction]}"


def p_number(p_value: float) -> str:
    """Return a p-value to two digits, or that it is small."""
    least = 0.0001
    return f"p < {least:.4f}" if p_value < least else f"p = {p_value:.2g}"


def reach_words(row: Any) -> str:
    """Say that a test could not have found anything, whatever the saliency."""
    return (
        "nothing could have been found here: the smallest p-value that "
        f"{counted(int(row['n_units']), row['unit'])} can give, after the correction, is {row['p_attainable']:.2g}"
    )


def saliency_words(row: Any, *, several: bool) -> str:
    """Say whose saliency is meant, and by which method where there are several."""
    n = int(row["n_networks"])
    whose = f"saliency of {n} networks" if n > 1 else "saliency of this network"
    return f"{whose} ({row['method']}, {row['reduction']})" if several else whose


def counted(number: int, noun: str) -> str:
    """Return "1 slide", "63 patches"."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def sizes_words(row: Any) -> str:
    """Return the sizes of a sample, the unit of inference first."""
    parts = [counted(int(row["n_units"]), "patient")] if row["unit"] == "patient" else []
    if row["n_slides"]:
        parts.append(counted(int(row["n_slides"]), "slide"))
    parts.append(counted(int(row["n_patches"]), "patch"))
    return ", ".join(parts) + (" taken as independent" if row["unit"] == "patch" else "")


def patches_words(label: str, magnification: Any, settings: StatisticsParameters, *, number: str = "patches") -> str:
    """Return the name of a sample: class, split and magnification."""
    where = f"{split_words(settings)} {number} at {magnification_words(magnification)}"
    return f"correctly and confidently classified {settings.classes.name(label)} {where}"


def split_words(settings: StatisticsParameters) -> str:
    """Return the evaluation split as an adjective."""
    return _SPLITS[settings.evaluation_split]


def listed(words: Iterable[str]) -> str:
    """Return "a", "a and b", "a, b and c"; "none" of nothing."""
    found = list(words)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else "none"


def density_words(estimate: float) -> str:
    """Return the primary contrast in words, the denser compartment first."""
    first, second = ("cytoplasm", "nucleus") if estimate >= 0 else ("nucleus", "cytoplasm")
    ratio = ratio_words(abs(estimate))
    how = "about as" if ratio == "1" else f"{ratio} times as"
    return f"{how} dense in {NOUNS[first]} as in {NOUNS[second]}"


def unlearned_words(metric: Mapping[str, Any], settings: StatisticsParameters) -> str:
    """State that a classifier has not learned enough, with its balanced accuracy, and whether it beats chance."""
    low, high = metric["balanced_accuracy_low"], metric["balanced_accuracy_high"]
    # An interval that could not be estimated is said to be unknown, not left out.
    interval = f"interval {low:.2f}{DASH}{high:.2f}" if pd.notna(low) and pd.notna(high) else "interval unknown"
    evidence = f"balanced accuracy {metric['balanced_accuracy']:.2f}, {interval}"
    if pd.notna(p_value := metric.get("p_learned", np.nan)):
        evidence += f", p = {p_value:.2g}"
    where = f"on the {split_words(settings)} patches at {magnification_words(metric['magnification'])}"
    if pd.isna(metric["balanced_accuracy"]):
        return f"the accuracy of the classifier is unknown {where}"
    above = beats_chance(metric, settings.alpha)
    found = "is above chance, but below the required accuracy," if above else "is not shown to beat chance"
    return f"the classifier {found} {where} ({evidence})"


def tested_sentence(
    row: pd.Series, status: str, explained_by: str, densest: Densest, settings: StatisticsParameters, saliency: str
) -> str:
    """Say what a hypothesis' test found, and which compartment is the densest."""
    interval = interval_words(row["ci_low"], row["ci_high"], settings.alpha, flip=row["estimate"] < 0)
    return (
        f"In {patches_words(row['label'], row['magnification'], settings)}, {saliency} was "
        f"{density_words(row['estimate'])} ({interval}; {p_words(row['p_adjusted'], settings)}; "
        f"{sizes_words(row)}): {_CONCLUSIONS[status].format(control=explained_by)}. "
        f"{densest_sentence(densest)}"
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
        f"{densest_sentence(densest)}"
    )


def densest_sentence(densest: Densest) -> str:
    """Name the densest compartment, or those that cannot be told apart from it."""
    if not densest.candidates:
        return "No tissue compartment can be named as the densest."
    if densest.compartment is None:
        together = listed(NOUNS[name] for name in densest.candidates)
        return f"Which tissue compartment is the densest cannot be told: {together} cannot be told apart."
    ratios = [
        f"{ratio_words(row['estimate'])} times {NOUNS[row['other']]}"
        + (f", p = {row['p_value']:.2g}" if densest.tested else "")
        for _, row in densest.rows.iterrows()
    ]
    named = f"{WERE[densest.compartment]} the densest"
    if not densest.tested:
        return f"In these patches {named} tissue compartment by estimate ({'; '.join(ratios)}; not tested)."
    return f"Of the tissue compartments, {named} ({'; '.join(ratios)})."


def headline(verdicts: Sequence[Mapping[str, Any]], classes: Classes = USUAL_CLASSES) -> str:
    """Put all hypotheses into one sentence, for the top of a report; ``classes`` have their names."""
    if not verdicts:
        return "No hypothesis was tested."
    several = len({(v["method"], v["reduction"]) for v in verdicts}) > 1
    names = [_sample_name(v, classes, several=several) for v in verdicts]
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


def _sample_name(verdict: Mapping[str, Any], classes: Classes, *, several: bool) -> str:
    name = f"{classes.name(verdict['label'])} patches at {magnification_words(verdict['magnification'])}"
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
        f"{counted(n_missing, 'patch')} of {n_missing + n_patches:,} selected left out: nucleus or cytoplasm is "
        "missing there or holds no saliency"
    )
