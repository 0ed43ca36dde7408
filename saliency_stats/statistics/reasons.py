"""What supports a verdict or limits it, one short string each (pure pandas)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from saliency_stats.statistics.crossing import CROSSED
from saliency_stats.statistics.densest import Densest
from saliency_stats.statistics.ladder import Ladder
from saliency_stats.statistics.parameters import PRIMARY, StatisticsParameters
from saliency_stats.statistics.pictures import CENTRED
from saliency_stats.statistics.registry import TESTS, words_of
from saliency_stats.statistics.selection import ALL_PATCHES, JUDGED
from saliency_stats.statistics.sentences import (
    counted,
    interval_words,
    missing_words,
    p_number,
    p_words,
    ratio_words,
    reach_words,
)
from saliency_stats.vocabulary import TRAINED

#: An effective number of units below this share of their number is worth saying.
_FEWER = 0.8


@dataclass(frozen=True, eq=False)
class Judged:
    """One hypothesis with all that is known of it.

    Parameters
    ----------
    row
        Its row of ``contrasts.csv``, by the test that decides.
    sample
        All rows of the same class, magnification, method and reduction.
    metric
        The row of ``metrics.csv`` that says whether the classifier learned.
    ladder
        Its rungs.
    factor
        What Holm multiplies its p-values by.
    p_supported
        Its p-value of "supported" after Holm, NaN where nothing was tested.
    """

    row: pd.Series
    sample: pd.DataFrame
    metric: dict[str, Any]
    ladder: Ladder
    factor: float
    p_supported: float

    def beside(self, contrast: str, model: str, population: str = JUDGED) -> pd.Series | None:
        """Return another contrast of the same sample by the same test, None where it was not asked."""
        rows = self.sample
        found = rows[
            (rows["test"] == self.row["test"])
            & (rows["contrast"] == contrast)
            & (rows["model"] == model)
            & (rows["population"] == population)
        ]
        return None if found.empty else found.iloc[0]


def reasons(judged: Judged, settings: StatisticsParameters, densest: Densest, *, within: bool) -> Iterable[str]:
    """Yield what supports the verdict or limits it; ``within`` says whether the contrast lies within the margin."""
    row = judged.row
    if not judged.metric["learned"]:
        yield str(judged.metric["learned_reason"])
        return
    if row["reason"]:
        yield str(row["reason"])
    if row["status"] == "tested":
        if row["p_adjusted"] < settings.alpha and within:
            yield f"significant, but within the equivalence margin (±{settings.equivalence_margin:g} log2)"
        if row["p_attainable"] >= settings.alpha:
            yield reach_words(row)
        if row["p_adjusted"] >= settings.alpha and densest.compartment in {"nucleus", "cytoplasm"}:
            yield "cytoplasm and nuclei do not differ significantly, although one of them is named as the densest"
        yield from _networks(row)
        yield from _other_tests(judged, settings)
    yield from _centred(judged, settings)
    yield from _all_patches(judged, settings)
    yield from _controls(judged, settings)
    yield from _missing(row)
    yield from _clustering(row)


def _networks(row: pd.Series) -> Iterable[str]:
    if row["test"] == CROSSED:
        spread = f"{np.sqrt(row['var_network']):.2g} log2" if row["var_network"] > 0 else "0"
        yield (
            f"{int(row['n_networks'])} networks of other seeds: standard deviation between networks {spread}, between "
            f"{row['unit']}s {np.sqrt(row['var_unit']):.2g}; networks make {100 * row['network_share']:.0f} % of the "
            "variance of the estimate"
        )


def _other_tests(judged: Judged, settings: StatisticsParameters) -> Iterable[str]:
    """Compare with the other tests of the same mean; tests of other estimands are not asked whether they agree."""
    row, sample = judged.row, judged.sample
    own = (sample["contrast"] == PRIMARY) & (sample["model"] == TRAINED) & (sample["population"] == JUDGED)
    others = sample[own & (sample["test"] != row["test"])]
    significant = row["p_adjusted"] < settings.alpha
    for_and_against: dict[bool, list[str]] = {True: [], False: []}
    for _, other in others.iterrows():
        name = words_of(str(other["test"]))
        if other["status"] != "tested":
            yield f"{name}: no test, because {other['reason']}"
            continue
        note = str(other["reason"]).removeprefix(str(row["reason"])).removeprefix("; ")
        if note:
            yield f"{name}: {note}"
        if estimand_of(str(other["test"])) == estimand_of(str(row["test"])):
            same_side = other["estimate"] * row["estimate"] > 0 or not significant
            agrees = (other["p_adjusted"] < settings.alpha) == significant and same_side
            for_and_against[agrees].append(f"{name} ({p_words(other['p_adjusted'], settings)})")
    asked = sum(map(len, for_and_against.values()))
    for agrees, names in for_and_against.items():
        if names:
            share = f"{len(names)} of the {asked} other tests of this mean"
            if len(names) == asked > 1:
                share = f"all {asked} other tests of this mean"
            verb = {True: ("agrees", "agree"), False: ("disagrees", "disagree")}[agrees][len(names) > 1]
            yield f"{share} {verb}: {', '.join(names)}"


def estimand_of(test: str) -> str:
    """Return what a test is about: tests of one estimand can agree or disagree, others cannot."""
    return TESTS[test].estimand if test in TESTS else test


def _centred(judged: Judged, settings: StatisticsParameters) -> Iterable[str]:
    """Set the centred contrast beside its own, and say where they disagree."""
    other = judged.beside(CENTRED, TRAINED)
    if other is None or not np.isfinite(other["estimate"]):
        return
    text = f"minus its own mean over all shifts of the map the ratio is {ratio_words(other['estimate'])}"
    if other["status"] != "tested":
        yield f"{text}, not tested, because {other['reason']}"
        return
    text += _evidence(other, settings)
    own, centred = (np.sign(one["estimate"]) * (one["p_value"] < settings.alpha) for one in (judged.row, other))
    yield text if own == centred else f"{text}: this disagrees with the ratio as it is"


def _all_patches(judged: Judged, settings: StatisticsParameters) -> Iterable[str]:
    other = judged.beside(PRIMARY, TRAINED, ALL_PATCHES)
    if other is None or not np.isfinite(other["estimate"]):
        return
    patches = counted(int(other["n_patches"]), "patch")
    text = (
        f"over all {patches} of the split, however they were classified, the ratio is {ratio_words(other['estimate'])}"
    )
    yield text + (_evidence(other, settings) if other["status"] == "tested" else "")


def _evidence(row: pd.Series, settings: StatisticsParameters) -> str:
    """Return interval and p-value, as they follow a ratio."""
    return f" ({interval_words(row['ci_low'], row['ci_high'], settings.alpha)}; {p_number(row['p_value'])})"


def _controls(judged: Judged, settings: StatisticsParameters) -> Iterable[str]:
    sample = judged.sample
    of_test = sample[(sample["test"] == judged.row["test"]) & (sample["population"] == JUDGED)]
    rows = of_test[of_test["model"].str.startswith(f"{TRAINED}-")]
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
        if other["p_adjusted"] < settings.alpha:
            towards = "cytoplasm" if other["estimate"] > 0 else "nuclei"
            yield f"{change} ({evidence}): the trained model's saliency is shifted towards the {towards}"
        elif other["p_attainable"] >= settings.alpha:
            yield f"{change} ({evidence}): {reach_words(other)}"
        else:
            yield f"{change} ({evidence}): no detectable difference from the control {control}"


def _missing(row: pd.Series) -> Iterable[str]:
    if not row["n_missing"]:
        return
    text = missing_words(int(row["n_missing"]), int(row["n_patches"]))
    if np.isfinite(row["bound_low"]) and np.isfinite(row["bound_high"]):
        text += (
            f"; were they like the lowest or the highest that was seen, the ratio would be "
            f"{ratio_words(row['bound_low'])} to {ratio_words(row['bound_high'])}"
        )
        if row["bound_low"] * row["bound_high"] <= 0:
            text += ", so that they could turn its direction"
    yield text


def _clustering(row: pd.Series) -> Iterable[str]:
    if np.isfinite(row["n_effective_units"]) and row["n_effective_units"] < _FEWER * row["n_units"]:
        yield (
            f"{row['unit']}s have very different numbers of patches: {int(row['n_units'])} count as "
            f"{row['n_effective_units']:.1f}; weighted by what they tell, the ratio is "
            f"{ratio_words(row['weighted_estimate'])}"
        )
    if np.isfinite(row["icc"]):
        yield (
            f"intraclass correlation {row['icc']:.2f}, design effect {row['design_effect']:.1f}: "
            f"{int(row['n_patches']):,} patches tell as much as {row['n_effective']:.0f} independent ones"
        )
