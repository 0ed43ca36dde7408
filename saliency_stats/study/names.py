"""What a study file may name: methods, controls, reductions, tests, models of nuclei, each from its registry."""

from collections.abc import Collection, Sequence
from pathlib import Path

from saliency_stats.compartments.variants import VARIANTS
from saliency_stats.errors import StudyError
from saliency_stats.saliency import CONTROLS, METHODS, REDUCTIONS
from saliency_stats.saliency.controls import control_of
from saliency_stats.saliency.custom import is_custom
from saliency_stats.saliency.methods import method_of
from saliency_stats.settings import StudySettings
from saliency_stats.settings.faults import nearest
from saliency_stats.statistics import primary_tests
from saliency_stats.vocabulary import NUCLEUS_FINDERS


def check_names(settings: StudySettings, where: str) -> None:
    """Refuse names that no registry holds.

    Parameters
    ----------
    settings
        The study.
    where
        Its file.

    Raises
    ------
    StudyError
        With every name that is wrong, its key, and the nearest one that is right.
    """
    saliency, multiverse = settings.saliency, settings.multiverse
    for name in (*saliency.methods, *multiverse.methods):
        if is_custom(name):
            method_of(name)  # says itself what is wrong
    for name in settings.controls:
        if is_custom(name):
            control_of(name)
    wrong = [
        *_unknown("saliency.methods", saliency.methods, METHODS),
        *_unknown("saliency.reduction", [saliency.reduction], REDUCTIONS),
        *_unknown("saliency.more_reductions", saliency.more_reductions, REDUCTIONS),
        *_unknown("controls", settings.controls, CONTROLS),
        *_unknown("multiverse.methods", multiverse.methods, METHODS),
        *_unknown("multiverse.reductions", multiverse.reductions, REDUCTIONS),
        *_unknown("multiverse.segmentations", multiverse.segmentations, [variant.name for variant in VARIANTS]),
        *_unknown("statistics.primary_test", [settings.statistics.primary_test], primary_tests()),
    ]
    nuclei = settings.compartments.nuclei
    finders = ("truth", *NUCLEUS_FINDERS)
    if nuclei not in finders and not Path(nuclei).exists():
        hint = nearest(Path(nuclei).name, finders, f"Expected one of {', '.join(finders)}, or the path of a model.")
        wrong.append(f"compartments.nuclei: there is no StarDist model {nuclei}. {hint}")
    if wrong:
        raise StudyError(f"{where}: {'; '.join(wrong)}")


def _unknown(key: str, names: Sequence[str], known: Collection[str]) -> list[str]:
    found = [name for name in names if name not in known and not is_custom(name)]
    return [f"{key}: there is no {name}. {nearest(name, known, f'Known are {_listed(known)}.')}" for name in found]


def _listed(names: Collection[str]) -> str:
    """List names with commas."""
    return ", ".join(names)
