"""All contrasts of a study: its declared families of hypotheses, and their corrected p-values."""

from collections import Counter
from collections.abc import Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.averaged import over_networks
from saliency_stats.statistics.bounds import Bounds, mean_bounds
from saliency_stats.statistics.coded import with_shared_categories
from saliency_stats.statistics.contrasts import COLUMNS, Sampled, inferred, sampled
from saliency_stats.statistics.differences import called
from saliency_stats.statistics.margins import with_equivalence
from saliency_stats.statistics.multiplicity import adjust
from saliency_stats.statistics.parameters import DIFFERENCES, StatisticsParameters
from saliency_stats.statistics.pictures import (
    CENTRED,
    EXCESS,
    OF_MATCHED,
    OF_SHIFT,
    centred_values,
    matched_name,
    matched_values,
)
from saliency_stats.statistics.questions import BOTH_LABELS, STRATUM, Question, Samples, questions
from saliency_stats.statistics.resampling import draws_needed
from saliency_stats.statistics.selection import (
    CHOSEN,
    JUDGED,
    mute,
    primary_population,
    restrict,
    unlearned_of,
    with_network,
)
from saliency_stats.statistics.simultaneous import with_simultaneous_intervals
from saliency_stats.statistics.values import CONTRASTS, wide_values
from saliency_stats.vocabulary import LABELS, NETWORK, TRAINED

_BENIGN, _MALIGNANT = LABELS


def study_contrasts(
    ledger: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    settings: StatisticsParameters,
    learned: Mapping[Hashable, bool] | None = None,
    shift: pd.DataFrame | None = None,
    matched: pd.DataFrame | None = None,
    all_patches: bool = True,
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
    for each method and reduction apart and test by test, and its simultaneous intervals cover all of it with
    probability ``1 - alpha`` (Dunn 1961, *JASA* 56, 52-64). ``p_attainable`` is the smallest adjusted p-value that a
    row could have had, whatever the saliency.

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
    all_patches : bool
        Whether all patches of the split are asked about beside the judged ones.

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
    every, unlearned = _questions(ledger, predictions, shift, matched, settings, learned)
    asked = [question for question in every if all_patches or question.population == JUDGED]
    asked.sort(key=lambda question: _order(question, settings))
    # two samples at a time are put together, and leave what is left of them: means, sums and bounds
    with ThreadPoolExecutor(2, "sample") as pool:
        samples, bounds = zip(*pool.map(_reduced, asked, repeat(settings)), strict=True)
    muted = [_is_muted(one, unlearned) for one in asked]
    sizes = Counter(
        _family(one, settings)
        for one, sample, silent in zip(asked, samples, muted, strict=True)
        if not (sample.obstacle or silent)
    )
    answers = [
        _ask(one, sample, limits, settings, sizes[_family(one, settings)]).assign(muted=silent)
        for one, sample, limits, silent in zip(asked, samples, bounds, muted, strict=True)
    ]
    contrasts = pd.concat(answers, ignore_index=True)
    mute(contrasts, contrasts["muted"])
    together = ("family", "method", "reduction", "population")
    contrasts["p_adjusted"] = adjust(contrasts, correction=settings.correction, family=(*together, "test"))
    contrasts = with_equivalence(contrasts, samples, together, settings)
    return with_simultaneous_intervals(contrasts, samples, (*together, "test"), settings)[list(COLUMNS)]


def _questions(
    ledger: pd.DataFrame,
    predictions: pd.DataFrame,
    shift: pd.DataFrame | None,
    matched: pd.DataFrame | None,
    settings: StatisticsParameters,
    learned: Mapping[Hashable, bool] | None,
) -> tuple[list[Question], set[Hashable]]:
    """List what is asked of the tables, and who learned nothing.

    Of the tables nothing is kept but the values, which the questions hold.
    """
    beside = [
        table.loc[:, table.columns.isin([*columns, NETWORK])]
        for table, columns in ((shift, OF_SHIFT), (matched, OF_MATCHED))
        if table is not None
    ]
    ledger, predictions, *beside = with_shared_categories(*map(with_network, (ledger, predictions, *beside)))
    population = primary_population(
        predictions, min_confidence=settings.min_confidence, evaluation_split=settings.evaluation_split
    )
    strata = ledger[["magnification", "model", "method", "reduction"]].drop_duplicates()
    if TRAINED not in set(strata["model"]):
        raise StatisticsError(f"ledger: no rows of model {TRAINED!r}; found {sorted(strata['model'].unique())}")
    unlearned = unlearned_of(strata["magnification"].unique(), learned)
    values = Samples(restrict(wide_values(ledger), population.evaluated))
    further = {}
    if shift is not None:
        further[CENTRED] = _judged(centred_values(restrict(beside.pop(0), population.patches)))
    if matched is not None:
        for picture, wide in matched_values(restrict(beside.pop(0), population.patches)).items():
            name, of_picture = matched_name(picture), _judged(wide)
            further |= {name: of_picture, f"{name}{EXCESS}": of_picture}
    return questions(values, further, strata, population, settings.reference_magnification), unlearned


def _judged(wide: pd.DataFrame) -> Samples:
    """Return samples of judged patches alone."""
    all_judged = pd.Categorical.from_codes(np.zeros(len(wide), dtype=np.int8), categories=pd.Index([JUDGED]))
    return Samples(wide.assign(**{CHOSEN: all_judged}))


def _family(question: Question, settings: StatisticsParameters) -> tuple[str, ...]:
    return settings.family_of(question.hypothesis), *question.together


def _reduced(question: Question, settings: StatisticsParameters) -> tuple[Sampled, Bounds]:
    """Put a sample together, and reduce it to its units and its bounds."""
    patches, group, pair = question.patches, None, None
    compared = patches
    if question.group is not None:
        group, labels = question.group
        compared, pair = called(patches, group, labels, settings.classes)
    patient = "patient_id" if settings.unit == "patient" else None
    sample = sampled(
        compared,
        "value",
        patient=patient,
        assume_independent=settings.assume_independent,
        min_units=settings.min_slides,
        group=group,
        pair=pair,
        network=NETWORK,
    )
    if patches["value"].isna().any():  # else there is nothing to be bounded, of any network
        patches = over_networks(patches, ["patch_id"], ["value"])
    return sample, mean_bounds(patches, "value", sample.units, contrast=question.contrast, patient=patient)


def _is_muted(question: Question, unlearned: set[Hashable]) -> bool:
    """Tell whether a network that learned nothing has a part in the contrast; magnifications are numbers here."""
    of_trained = question.model == TRAINED or question.model.startswith(f"{TRAINED}-")
    return of_trained and not unlearned.isdisjoint((question.magnification, question.versus))


def _ask(
    question: Question, sample: Sampled, bounds: Bounds, settings: StatisticsParameters, n_together: int
) -> pd.DataFrame:
    table = inferred(
        sample,
        alpha=settings.alpha,
        seed=settings.seed,
        draws=max(settings.bootstrap_draws, draws_needed(max(n_together, 1), settings.alpha)),
        margin=settings.equivalence_margin,
        n_together=n_together if settings.correction == "holm" else 1,
    )
    names = {name: getattr(question, name) for name in ("contrast", *STRATUM, "population")}
    names["versus"] = "" if question.versus is None else str(question.versus)
    family = settings.family_of(question.hypothesis)
    n_missing = question.n_selected - table["n_patches"]
    return table.assign(**names, family=family, n_missing=n_missing, bound_low=bounds.low, bound_high=bounds.high)


def _order(question: Question, settings: StatisticsParameters) -> tuple[Any, ...]:
    """Return the sort key of rows: families, then contrasts, malignant before benign, then by name."""
    labels = (BOTH_LABELS, _MALIGNANT, _BENIGN)
    known = (*CONTRASTS, *DIFFERENCES)
    return (
        settings.family_order.index(settings.family_of(question.hypothesis)),
        known.index(question.contrast) if question.contrast in known else len(known),
        question.contrast,
        labels.index(question.label),
        *(getattr(question, name) for name in STRATUM[1:]),
    )
