"""What a run concludes from what it measured: contrasts, verdicts, causal effects, the multiverse."""

from collections.abc import Hashable, Mapping

import pandas as pd

from saliency_stats.attribution import combine
from saliency_stats.classifier.evaluation import metrics_table
from saliency_stats.execution.store import Store, write_json, write_table
from saliency_stats.saliency.maps import SHIFT
from saliency_stats.settings.maps import IMAGE_CONTROLS
from saliency_stats.settings.study import StudySettings
from saliency_stats.statistics import (
    PRIMARY,
    StatisticsParameters,
    compositional_table,
    learned_flags,
    patch_values,
    primary_population,
    restrict,
    study_contrasts,
    study_flow,
    verdicts,
)
from saliency_stats.statistics.causal import causal_table
from saliency_stats.statistics.multiverse import Specification, multiverse_summary, multiverse_table
from saliency_stats.statistics.selection import Population
from saliency_stats.study import parameters
from saliency_stats.vocabulary import PATCH_KEY, TRAINED

_MAP = ["method", "reduction"]


def conclude(settings: StudySettings, store: Store, profile_parts: pd.DataFrame) -> pd.DataFrame:
    """Write metrics, selection, profile, contrasts, composition, verdicts, and what the study asks for beside them.

    Parameters
    ----------
    settings
        The study.
    store
        The run's folder, with the tables of what was measured.
    profile_parts
        Profile rows of every patch.

    Returns
    -------
    DataFrame
        The judged patches: patch_id, magnification, label, and ``contrasted``, whether the primary contrast of the
        trained network is defined in them.
    """
    split = settings.cohort.evaluation_split
    chosen = parameters.statistics_of(settings)
    predictions, ledger = store.table("predictions"), store.table("ledger")
    metrics = metrics_table(predictions, parameters.evaluation_of(settings))
    write_table(store.folder / "metrics.csv", metrics)
    population = primary_population(
        predictions, min_confidence=chosen.min_confidence, evaluation_split=split, model=TRAINED
    )
    own = of_own_map(ledger, settings)
    write_table(
        store.folder / "selection.csv",
        study_flow(store.table("patches"), predictions, own, population, evaluation_split=split),
    )
    judged = profile_parts.merge(population.patches[list(PATCH_KEY)], on=list(PATCH_KEY))
    write_table(store.folder / "profile.csv", combine(judged))
    learned = learned_flags(metrics, evaluation_split=split)
    contrasts = study_contrasts(own, predictions, settings=chosen, learned=learned)
    write_json(store.folder / "verdict.json", verdicts(contrasts, metrics, chosen))
    further = _further_contrasts(ledger, own, predictions, chosen, learned)
    write_table(store.folder / "contrasts.csv", pd.concat([contrasts, *further], ignore_index=True))
    networks = own[~own["method"].isin(IMAGE_CONTROLS) & (own["model"] != SHIFT)]
    compositional = compositional_table(networks, predictions, settings=chosen, learned=learned)
    write_table(store.folder / "compositional.csv", compositional)
    if settings.causal.replacements:
        of_trained = networks[networks["model"] == TRAINED]
        causal = causal_table(store.table("ablation"), of_trained, population, chosen, learned=learned)
        write_table(store.folder / "causal.csv", causal)
    if settings.multiverse.enabled:
        _cross(settings, store, predictions, learned)
    return _contrasted(own, population)


def of_own_map(ledger: pd.DataFrame, settings: StudySettings) -> pd.DataFrame:
    """Keep the rows of the method and reduction that the study judges by, and those of maps without a network."""
    key = parameters.plan_of(settings).own()
    return ledger[
        ((ledger["method"] == key.method) & (ledger["reduction"] == key.reduction))
        | ledger["method"].isin(IMAGE_CONTROLS)
    ]


def _contrasted(own: pd.DataFrame, population: Population) -> pd.DataFrame:
    values = patch_values(restrict(own[own["model"] == TRAINED], population))
    defined = values.loc[(values["contrast"] == PRIMARY) & values["value"].notna(), list(PATCH_KEY)]
    judged = population.patches.merge(defined, on=list(PATCH_KEY), how="left", validate="one_to_one", indicator="found")
    return judged.assign(contrasted=judged.pop("found") == "both")


def _further_contrasts(
    ledger: pd.DataFrame,
    own: pd.DataFrame,
    predictions: pd.DataFrame,
    chosen: StatisticsParameters,
    learned: Mapping[Hashable, bool],
) -> list[pd.DataFrame]:
    """Ask the same of every other method and reduction, each with families of its own.

    A study reads one method, named beforehand; its hypotheses do not pay for those that stand beside it for comparison.
    """
    rest = ledger.drop(own.index)
    found = []
    for (method, reduction), rows in rest.groupby(_MAP, sort=True):
        contrasts = study_contrasts(rows, predictions, settings=chosen, learned=learned)
        found.append(contrasts.assign(family=contrasts["family"] + f" ({method}, {reduction})"))
    return found


def _cross(settings: StudySettings, store: Store, predictions: pd.DataFrame, learned: Mapping[Hashable, bool]) -> None:
    section, plan = settings.multiverse, parameters.plan_of(settings)
    crossed = store.table("crossed")
    # judged patches are classified correctly: the class of the label and the predicted one are the same logit there
    crossed = pd.concat([crossed.assign(target=target) for target in section.targets], ignore_index=True)
    key = plan.own()
    target = settings.saliency.target if settings.saliency.target in section.targets else section.targets[0]
    table = multiverse_table(
        crossed,
        predictions,
        settings=parameters.statistics_of(settings),
        min_confidences=section.min_confidence,
        min_area=settings.compartments.min_area,
        usual=Specification(key.method, key.reduction, target),
        learned=learned,
    )
    write_table(store.folder / "multiverse.csv", table)
    write_table(store.folder / "multiverse_summary.csv", multiverse_summary(table))
