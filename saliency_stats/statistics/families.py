"""All contrasts of a study: its strata, its declared families of hypotheses, and their corrected p-values."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.contrasts import COLUMNS, Sampled, inferred, sampled
from saliency_stats.statistics.multiplicity import adjust
from saliency_stats.statistics.parameters import DIFFERENCES, PRIMARY, StatisticsParameters
from saliency_stats.statistics.pictures import CENTRED, centred_values, matched_values
from saliency_stats.statistics.resampling import draws_needed
from saliency_stats.statistics.selection import (
    ALL_PATCHES,
    JUDGED,
    mute,
    primary_population,
    restrict,
    unlearned_of,
    with_network,
    without_network,
)
from saliency_stats.statistics.simultaneous import with_simultaneous_intervals
from saliency_stats.statistics.values import CONTRASTS, model_difference, paired_difference, patch_values
from saliency_stats.vocabulary import LABELS, NETWORK, TRAINED

_BENIGN, _MALIGNANT = LABELS
#: Label of the rows that compare the classes.
BOTH_LABELS: Final = f"{_MALIGNANT}-{_BENIGN}"
_STRATUM: Final = ["label", "magnification", "model", "method", "reduction"]
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


def study_contrasts(
    ledger: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    settings: StatisticsParameters,
    learned: Mapping[Hashable, bool] | None = None,
    shift: pd.DataFrame | None = None,
    matched: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Build the whole of ``contrasts.csv``.

    For every magnification, method, reduction and label: every contrast of every model, and the primary
    contrast of the trained model minus that of each control, on the patches that the trained model
    classified correctly and confidently (:func:`~saliency_stats.statistics.primary_population`). Then, of the trained
    model's primary contrast, the differences

    - ``malignant_vs_benign`` (its label is "malignant-benign"), within slides that have both classes where most have;
    - ``confident_vs_unsure``: these patches against those that are correctly but not confidently classified;
    - ``magnification_vs_reference`` (``versus`` names the reference), the same locations paired by their id.

    The primary contrast, and its differences from controls, are asked of all patches of the split as well
    (``population``): judged ones were chosen by the network. Where there are several trained networks, each has its own
    judged patches, and the rows ``crossed`` take networks and units both for samples.

    Which hypotheses are corrected together is declared in ``settings.families``; each family is corrected for itself,
    for each method and reduction apart and test by test, and its simultaneous intervals cover all of it with probability
    ``1 - alpha`` (Dunn 1961, *JASA* 56, 52-64). ``p_attainable`` is the smallest adjusted p-value that a row could have
    had, whatever the saliency.

    Parameters
    ----------
    ledger : DataFrame
        As :func:`~saliency_stats.statistics.patch_values` reads it.
    predictions : DataFrame
        As :func:`~saliency_stats.statistics.primary_population` reads it.
    learned : mapping, optional
        For every magnification whether the trained model beats chance. Where it does not, the rows of the
        trained model and its differences from controls keep their estimates, have the status
        "not_interpretable" and neither p-value nor interval, and leave their family. Without it every model
        is taken to have learned.
    shift, matched : DataFrame, optional
        As :func:`~saliency_stats.statistics.pictures.centred_values` and
        :func:`~saliency_stats.statistics.pictures.matched_values` read them: the primary contrast centred, and matched
        on pictures, are asked about beside it.

    Returns
    -------
    DataFrame
        Columns :data:`~saliency_stats.statistics.COLUMNS`, one row per stratum and test, in a fixed order. A
        stratum without patches has its rows too. ``n_missing`` counts the selected patches that are not in
        the contrast.

    Raises
    ------
    StatisticsError
        If a table does not have the form described, the ledger has no trained model, or ``learned`` lacks a
        magnification.
    """
    population = primary_population(
        predictions, min_confidence=settings.min_confidence, evaluation_split=settings.evaluation_split
    )
    strata = ledger[["magnification", "model", "method", "reduction"]].drop_duplicates()
    if TRAINED not in set(strata["model"]):
        raise StatisticsError(f"ledger: no rows of model {TRAINED!r}; found {sorted(strata['model'].unique())}")
    unlearned = unlearned_of(strata["magnification"].unique(), learned)
    evaluated = patch_values(restrict(with_network(ledger), population.evaluated))
    values, unsure = (restrict(evaluated, patches) for patches in (population.patches, population.unsure))
    beside = [
        read(restrict(with_network(table), population.patches))
        for table, read in ((shift, centred_values), (matched, matched_values))
        if table is not None
    ]
    judged = population.of_any_network
    questions = [
        *_own(pd.concat([values, *beside], ignore_index=True), strata, judged),
        *_controls(values, strata, judged, JUDGED),
        *_classes(values, strata, judged),
        *_confidence(values, unsure, strata, judged, without_network(population.unsure)),
        *_magnifications(values, strata, judged, settings.reference_magnification),
        *_all_patches(evaluated, strata, without_network(population.evaluated)),
    ]
    questions.sort(key=lambda question: _order(question, settings))
    samples = [_sampled(question, settings) for question in questions]
    sizes = Counter(_family(one, settings) for one, sample in zip(questions, samples, strict=True) if not sample.obstacle)
    asked = [
        _ask(question, sample, settings, sizes[_family(question, settings)]).assign(
            muted=_is_muted(question, unlearned)
        )
        for question, sample in zip(questions, samples, strict=True)
    ]
    contrasts = pd.concat(asked, ignore_index=True)
    mute(contrasts, contrasts["muted"])
    together = ("family", "method", "reduction", "population", "test")
    contrasts["p_adjusted"] = adjust(contrasts, correction=settings.correction, family=together)
    return with_simultaneous_intervals(contrasts, samples, together, settings)[list(COLUMNS)]


def _own(values: pd.DataFrame, strata: pd.DataFrame, judged: pd.DataFrame) -> Iterable[Question]:
    samples = _by(values, ["contrast", *_STRATUM])
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


def _controls(
    values: pd.DataFrame, strata: pd.DataFrame, judged: pd.DataFrame, population: str
) -> Iterable[Question]:
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
        comparable = {TRAINED, control} <= set(primary["model"])
        samples = _by(model_difference(compared, str(control)), _STRATUM) if comparable else {}
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
        paired = paired_difference(sample, at_reference, ["patch_id", "method", "reduction", NETWORK], f"{reference:g}×")
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
    return [*CONTRASTS, *sorted(set(values["contrast"]) - set(CONTRASTS))]


def _hypothesis(contrast: str) -> str:
    """Name the hypothesis that families know a contrast of the trained network by."""
    return contrast if contrast in (*CONTRASTS, CENTRED) else "matched"


def _family(question: Question, settings: StatisticsParameters) -> tuple[str, ...]:
    return settings.family_of(question.hypothesis), *question.together


def _sampled(question: Question, settings: StatisticsParameters) -> Sampled:
    group, pair = question.group or (None, None)
    return sampled(
        question.patches,
        "value",
        patient="patient_id" if settings.unit == "patient" else None,
        assume_independent=settings.assume_independent,
        min_units=settings.min_slides,
        group=group,
        pair=pair,
        network=NETWORK,
    )


def _is_muted(question: Question, unlearned: set[Hashable]) -> bool:
    """Tell whether a network that learned nothing has a part in the contrast; magnifications are numbers here."""
    of_trained = question.model == TRAINED or question.model.startswith(f"{TRAINED}-")
    return of_trained and not unlearned.isdisjoint((question.magnification, question.versus))


def _ask(question: Question, sample: Sampled, settings: StatisticsParameters, n_together: int) -> pd.DataFrame:
    table = inferred(
        sample,
        alpha=settings.alpha,
        seed=settings.seed,
        draws=max(settings.bootstrap_draws, draws_needed(max(n_together, 1), settings.alpha)),
        margin=settings.equivalence_margin,
        n_together=n_together if settings.correction == "holm" else 1,
    )
    names = {name: getattr(question, name) for name in ("contrast", *_STRATUM, "population")}
    names["versus"] = "" if question.versus is None else str(question.versus)
    family = settings.family_of(question.hypothesis)
    return table.assign(**names, family=family, n_missing=question.n_selected - table["n_patches"])


def _order(question: Question, settings: StatisticsParameters) -> tuple[Any, ...]:
    """Return the sort key of rows: families, then contrasts, malignant before benign, then by name."""
    labels = (BOTH_LABELS, _MALIGNANT, _BENIGN)
    known = (*CONTRASTS, *DIFFERENCES)
    return (
        settings.family_order.index(settings.family_of(question.hypothesis)),
        known.index(question.contrast) if question.contrast in known else len(known),
        question.contrast,
        labels.index(question.label),
        *(getattr(question, name) for name in _STRATUM[1:]),
    )
