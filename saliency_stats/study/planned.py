"""What a study will ask of its patches, before there are any numbers: by the code that asks it."""

from collections.abc import Sequence

import pandas as pd

from saliency_stats.saliency.controls import control_of
from saliency_stats.settings import StudySettings
from saliency_stats.statistics.parameters import PRIMARY
from saliency_stats.statistics.pictures import CENTRED, EXCESS, matched_name
from saliency_stats.statistics.questions import STRATUM, Question, Samples, questions
from saliency_stats.statistics.selection import CHOSEN, JUDGED, Population
from saliency_stats.study import parameters
from saliency_stats.vocabulary import NETWORK, PATCH_KEY, TRAINED


def planned(settings: StudySettings, magnifications: Sequence[float]) -> list[Question]:
    """List the questions that a study asks of its own map and its controls at these magnifications.

    Other methods and reductions, which stand beside, are asked the same in families of their own.
    """
    plan = parameters.plan_of(settings)
    own, pictures = plan.own(), [one.name for one in map(control_of, plan.controls) if one.map is not None]
    keys = plan.keys(parameters.networks_of(settings))
    maps = dict.fromkeys(
        (key.model, key.method, key.reduction)
        for key in keys
        if key.model in pictures or (key.method, key.reduction) == (own.method, own.reduction)
    )
    strata = pd.DataFrame(
        [(magnification, *one) for magnification in magnifications for one in maps],
        columns=["magnification", "model", "method", "reduction"],
    )
    matched = [f"{matched_name(name)}{ending}" for name in pictures for ending in ("", EXCESS)]
    nobody = pd.DataFrame(columns=[*PATCH_KEY, "label", NETWORK, CHOSEN])
    samples = Samples(pd.DataFrame(columns=[CHOSEN, *STRATUM]))
    population = Population(nobody, nobody, nobody, nobody)
    beside = dict.fromkeys([CENTRED, *matched], samples)
    return questions(samples, beside, strata, population, settings.statistics.reference_magnification)


def primary(asked: Sequence[Question]) -> list[Question]:
    """Keep the questions that are judged: a verdict each."""
    return [one for one in asked if (one.contrast, one.model, one.population) == (PRIMARY, TRAINED, JUDGED)]
