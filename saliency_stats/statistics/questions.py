"""What a study asks of its patches: every contrast, of every network and map, in every stratum (pure pandas)."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import pandas as pd

from saliency_stats.statistics.parameters import PRIMARY
from saliency_stats.statistics.pictures import CENTRED
from saliency_stats.statistics.selection import ALL_PATCHES, JUDGED, Population, without_network
from saliency_stats.statistics.values import CONTRASTS, model_difference, paired_difference
from saliency_stats.vocabulary import LABELS, NETWORK, TRAINED

_BENIGN, _MALIGNANT = LABELS
#: Label of the rows that compare the classes.
BOTH_LABELS: Final = f"{_MALIGNANT}-{_BENIGN}"
#: What names a sample besides its contrast.
STRATUM: Final = ("label", "magnification", "model", "method", "reduction")
_SETTING: Final = ["magnification", "method", "reduction"]


@dataclass(frozen=True, eq=False)
class Question:
    """One sample of patches, what names it in the table, and what is asked of it.

    ``hypothesis`` is its name in the families, ``n_selected`` how many patches could have been in it, ``versus`` the
    magnification that its own is compared with, ``group`` the column and the pair that are compared, if any,
    ``population`` which patches are asked about.
    """

    contrast: str
    label: str
    magnification: Any  # a number, or the name a study gives it
    model: str
    method: str
    reduction: str
    hypothesis: str
    patches: pd.DataFrame
    n_selected: int
    versus: float | None = None
    group: tuple[str, tuple[str, str]] | None = None
    population: str = JUDGED

    @property
    def together(self) -> tuple[str, ...]:
        """What it is corrected together with, of one family: the questions of its own map and population."""
        return self.method, self.reduction, self.population


def questions(
    values: pd.DataFrame,
    unsure: pd.DataFrame,
    evaluated: pd.DataFrame,
    strata: pd.DataFrame,
    population: Population,
    reference: float,
) -> list[Question]:
    """List every question of a study.

    Parameters
    ----------
    values, unsure, evaluated : DataFrame
        As :func:`~saliency_stats.statistics.patch_values` gives them: of the judged patches, with contrasts beside
        those of the ledger; of those that are not confidently classified; of all.
    strata : DataFrame
        Every magnification, model, method and reduction of the ledger.
    reference : float
        Magnification that the others are compared with.
    """
    judged = population.of_any_network
    own = values[values["contrast"].isin(CONTRASTS)]
    return [
        *_own(values, strata, judged),
        *_controls(own, strata, judged, JUDGED),
        *_classes(own, strata, judged),
        *_confidence(own, unsure, strata, judged, without_network(population.unsure)),
        *_magnifications(own, strata, judged, reference),
        *_all_patches(evaluated, strata, without_network(population.evaluated)),
    ]


def _own(values: pd.DataFrame, strata: pd.DataFrame, judged: pd.DataFrame) -> Iterable[Question]:
    samples = _by(values, ["contrast", *STRATUM])
    for mag, model, method, reduction in strata.itertuples(index=False, name=None):
        for contrast in _names(values):
            hypothesis = _hypothesis(contrast) if model == TRAINED else "control_contrasts"
            for label in LABELS:
                fixed = (contrast, label, mag, model, method, reduction)
                sample = samples.get(fixed, values.iloc[:0])
                yield Question(*fixed, hypothesis, sample, _count(judged, mag, label))


def _all_patches(values: pd.DataFrame, strata: pd.DataFrame, evaluated: pd.DataFrame) -> Iterable[Question]:
    """Ask about all patches of the split: how much hangs on the choice of the judged ones."""
    for mag, method, reduction, sample in _primary_of_trained(values, strata):
        for label in LABELS:
            fixed = (PRIMARY, label, mag, TRAINED, method, reduction, "all_test_patches")
            rows = sample[sample["label"] == label]
            yield Question(*fixed, rows, _count(evaluated, mag, label), population=ALL_PATCHES)
    for question in _controls(values, strata, evaluated, ALL_PATCHES):
        yield replace(question, hypothesis="all_test_patches")


def _controls(values: pd.DataFrame, strata: pd.DataFrame, judged: pd.DataFrame, population: str) -> Iterable[Question]:
    primary = values[values["contrast"] == PRIMARY]
    own = strata.loc[strata["model"] == TRAINED, _SETTING].drop_duplicates()
    trained = set(strata.loc[strata["model"] == TRAINED, _SETTING].itertuples(index=False, name=None))
    for control, found in strata[strata["model"] != TRAINED].groupby("model"):
        rows, compared = found, primary
        if set(found["method"]) == {control} and len(own[["method", "reduction"]].drop_duplicates()) == 1:
            # a map of the image alone has no method of its own: it is compared with the trained model's only one
            method, reduction = own.iloc[0][["method", "reduction"]]
            rows = found.assign(method=method, reduction=reduction)
            of_control = primary["model"] == control
            compared = primary.assign(
                method=primary["method"].mask(of_control, method),
                reduction=primary["reduction"].mask(of_control, reduction),
            )
        comparable = {TRAINED, control} <= set(primary["model"].unique())
        samples = _by(model_difference(compared, str(control)), list(STRATUM)) if comparable else {}
        name = f"{TRAINED}-{control}"
        for mag, method, reduction in rows[_SETTING].itertuples(index=False, name=None):
            for label in LABELS if (mag, method, reduction) in trained else ():
                sample = samples.get((label, mag, name, method, reduction), values.iloc[:0])
                fixed = (PRIMARY, label, mag, name, method, reduction)
                n = _count(judged, mag, label)
                yield Question(*fixed, "trained_vs_control", sample, n, population=population)


def _classes(values: pd.DataFrame, strata: pd.DataFrame, judged: pd.DataFrame) -> Iterable[Question]:
    contrast = "malignant_vs_benign"
    for mag, method, reduction, sample in _primary_of_trained(values, strata):
        fixed = (contrast, BOTH_LABELS, mag, TRAINED, method, reduction, contrast)
        yield Question(*fixed, sample, _count(judged, mag), group=("label", (_MALIGNANT, _BENIGN)))


def _confidence(
    values: pd.DataFrame, unsure_values: pd.DataFrame, strata: pd.DataFrame, judged: pd.DataFrame, unsure: pd.DataFrame
) -> Iterable[Question]:
    contrast = "confident_vs_unsure"
    both = pd.concat([values.assign(confidence="confident"), unsure_values.assign(confidence="unsure")])
    for mag, method, reduction, sample in _primary_of_trained(both, strata):
        for label in LABELS:
            n = _count(judged, mag, label) + _count(unsure, mag, label)
            fixed = (contrast, label, mag, TRAINED, method, reduction, contrast)
            group = ("confidence", ("confident", "unsure"))
            yield Question(*fixed, sample[sample["label"] == label], n, group=group)


def _magnifications(
    values: pd.DataFrame, strata: pd.DataFrame, judged: pd.DataFrame, reference: float
) -> Iterable[Question]:
    contrast = "magnification_vs_reference"
    trained = strata[strata["model"] == TRAINED]
    if len(trained["magnification"].unique()) == 1:
        return
    primary = values[(values["contrast"] == PRIMARY) & (values["model"] == TRAINED)]
    at_reference = primary[primary["magnification"] == reference]
    for mag, method, reduction, sample in _primary_of_trained(values, trained):
        if mag == reference:
            continue
        paired = paired_difference(
            sample, at_reference, ["patch_id", "method", "reduction", NETWORK], f"{reference:g}×"
        )
        for label in LABELS:
            fixed = (contrast, label, mag, TRAINED, method, reduction, contrast)
            rows = paired[paired["label"] == label]
            yield Question(*fixed, rows, _count(judged, mag, label), versus=reference)


def _primary_of_trained(values: pd.DataFrame, strata: pd.DataFrame) -> Iterable[tuple[Any, str, str, pd.DataFrame]]:
    primary = values[(values["contrast"] == PRIMARY) & (values["model"] == TRAINED)]
    samples = _by(primary, _SETTING)
    for key in strata.loc[strata["model"] == TRAINED, _SETTING].itertuples(index=False, name=None):
        yield *key, samples.get(key, primary.iloc[:0])


def _by(table: pd.DataFrame, columns: list[str]) -> dict[Hashable, pd.DataFrame]:
    return dict(iter(table.groupby(columns, sort=False)))


def _count(patches: pd.DataFrame, magnification: Any, label: str | None = None) -> int:
    chosen = patches["magnification"] == magnification
    return int((chosen if label is None else chosen & (patches["label"] == label)).sum())


def _names(values: pd.DataFrame) -> list[str]:
    """Name the contrasts that are asked of every network and map, in their order."""
    return [*CONTRASTS, *sorted(set(values["contrast"].unique()) - set(CONTRASTS))]


def _hypothesis(contrast: str) -> str:
    """Name the hypothesis that families know a contrast of the trained network by."""
    return contrast if contrast in (*CONTRASTS, CENTRED) else "matched"
