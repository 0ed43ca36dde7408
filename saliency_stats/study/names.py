"""What a study file may name: methods, controls, reductions, tests, models of nuclei, each from its registry."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from saliency_stats.classifier.sources import source_of
from saliency_stats.compartments.finders import EXPECTED, model_path, there_is
from saliency_stats.compartments.variants import VARIANTS
from saliency_stats.errors import StudyError, listed, shortened, shown
from saliency_stats.execution.custom import is_custom
from saliency_stats.saliency import CONTROLS, METHODS, REDUCTIONS
from saliency_stats.saliency.baselines import AT, BASELINES
from saliency_stats.saliency.batched import Method
from saliency_stats.saliency.controls import Control, control_of
from saliency_stats.saliency.methods import GIVEN, at_baseline, method_of
from saliency_stats.settings import StudySettings
from saliency_stats.settings.faults import nearest
from saliency_stats.statistics import primary_tests
from saliency_stats.study.elsewhere import network_faults
from saliency_stats.study.parameters import crossed_baselines
from saliency_stats.vocabulary import NO_NETWORK, NUCLEUS_FINDERS, TORCHSCRIPT


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
    methods, controls = (*saliency.methods, *multiverse.methods), settings.controls
    # what a study without a network takes for a method; networks' methods are then refused as such
    known = METHODS if settings.classifier.is_network else {**METHODS, GIVEN.name: GIVEN}
    wrong = [
        *network_faults(settings),
        *_unknown("saliency.methods", saliency.methods, known),
        *_unknown("saliency.baseline", [saliency.baseline], BASELINES),
        *_unknown("saliency.reduction", [saliency.reduction], REDUCTIONS),
        *_unknown("saliency.more_reductions", saliency.more_reductions, REDUCTIONS),
        *_unknown("controls", controls, CONTROLS),
        *_unknown("multiverse.methods", multiverse.methods, known),
        *_unknown("multiverse.baselines", multiverse.baselines, BASELINES),
        *_unknown("multiverse.reductions", multiverse.reductions, REDUCTIONS),
        *_unknown("multiverse.segmentations", multiverse.segmentations, [variant.name for variant in VARIANTS]),
        *_unknown("statistics.primary_test", [settings.statistics.primary_test], primary_tests()),
        *_not_loaded("methods", methods, method_of, METHODS),
        *_not_loaded("controls", controls, control_of, CONTROLS),
        *_no_start(settings),
        *_no_model(settings.compartments.nuclei),
        *_no_network(settings.classifier.architecture),
    ]
    if wrong:
        raise StudyError(listed([f"{where}: {fault}" for fault in wrong]))


def _unknown(key: str, names: Sequence[str], known: Collection[str]) -> list[str]:
    otherwise = f"Known are {', '.join(known)}."
    return [
        f"{key}: there is no {shortened(name, 100)}. {nearest(name, known, otherwise)}"
        for name in names
        if name not in known and not is_custom(name)
    ]


def _not_loaded(
    kind: str, names: Sequence[str], make: Callable[[str], Method | Control], known: Collection[str]
) -> list[str]:
    """Say which of the user's own classes cannot be used, or are called as another is."""
    wrong, called = [], dict.fromkeys(known, "one of this package")
    for name in dict.fromkeys(filter(is_custom, names)):
        try:
            made = make(name)
        except StudyError as error:
            wrong.append(str(error))
            continue
        if made.name in called:
            wrong.append(f"{kind}: {name} is called {shown(made.name)}, as {called[made.name]} is; choose another name")
        called[made.name] = name
    return wrong


def _no_start(settings: StudySettings) -> Iterator[str]:
    """Say which baseline is of no method, and which method is named beside its own crossing."""
    multiverse = settings.multiverse
    methods = [*settings.saliency.methods, *(multiverse.methods if multiverse.enabled else ())]
    asked = [("saliency.baseline", settings.saliency.baseline)]
    asked += [("multiverse.baselines", name) for name in multiverse.baselines if multiverse.enabled]
    for key, baseline in asked:
        able = [name for name in METHODS if at_baseline(name, baseline) != name]
        if able and not any(at_baseline(name, baseline) != name for name in methods):
            yield (
                f"{key}: no method of the study starts from {baseline} where its name does not say so; leave it out, "
                f"or name one of {', '.join(able)}"
            )
    crossed = crossed_baselines(settings) if multiverse.enabled else {}
    for name in dict.fromkeys(name for name in methods if AT in name and name in crossed):
        method, baseline = crossed[name]
        yield f"methods: {name} is there as {method} from {baseline} (multiverse.baselines); leave it out"


def _no_network(architecture: str) -> list[str]:
    if architecture == NO_NETWORK:
        return []
    try:
        source, name = source_of(architecture)
        source.check(name)
    except StudyError as error:
        return [str(error)]
    return []


def _no_model(nuclei: str) -> list[str]:
    finders = ("truth", *NUCLEUS_FINDERS)
    if nuclei in finders or there_is(nuclei):
        return []
    if nuclei.startswith(TORCHSCRIPT):
        file, wanted = shortened(str(model_path(nuclei))), f"{TORCHSCRIPT}PATH, or {TORCHSCRIPT}PATH@0.5"
        where = "where the file does not state its µm per pixel"
        return [f"compartments.nuclei: there is no TorchScript file {file}. Expected {wanted} {where}."]
    hint = nearest(Path(nuclei).name, finders, f"Expected truth, {EXPECTED}.")
    return [f"compartments.nuclei: there is no StarDist model {shortened(nuclei)}. {hint}"]
