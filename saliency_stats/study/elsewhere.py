"""A study without a network, whose maps were made elsewhere: what it asks by default, and what it cannot ask."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from saliency_stats.cohort.cache import CachedCohort
from saliency_stats.cohort.given import GivenMaps
from saliency_stats.errors import shown
from saliency_stats.saliency.controls import CONTROLS
from saliency_stats.saliency.methods import GIVEN
from saliency_stats.settings import StudySettings
from saliency_stats.settings.cohort import PatchesSection
from saliency_stats.statistics.ladder import OF_MAPS, OF_NETWORKS, Reach
from saliency_stats.vocabulary import NO_NETWORK

_NONE: Final = f"classifier.architecture: {NO_NETWORK}"
#: What such a study asks by default where others ask a network, by section and key.
_USUAL: Final[dict[str, dict[str, Any]]] = {
    "classifier": {"trainable": "none"},
    "saliency": {"methods": [GIVEN.name]},
    "multiverse": {"methods": [GIVEN.name]},
    "causal": {"replacements": []},
}
#: Keys by section that say nothing about a network, where most of the section does.
_KEPT: Final = {
    "classifier": ("architecture", "min_balanced_accuracy"),
    "saliency": ("min_confidence", "batch_size", "signed", "scores", "keep"),
    "causal": ("patches_per_class",),
    "multiverse": ("enabled", "segmentations", "min_confidence"),
}


def resolved(settings: StudySettings) -> StudySettings:
    """Give the keys that a study without a network leaves out the values that such a study can have."""
    if settings.classifier.is_network:
        return settings
    update: dict[str, Any] = {} if "controls" in settings.model_fields_set else {"controls": _controls()}
    for name, usual in _USUAL.items():
        section = getattr(settings, name)
        left_out = {key: value for key, value in usual.items() if key not in section.model_fields_set}
        update[name] = section.model_copy(update=left_out)
    return settings.model_copy(update=update)


def network_faults(settings: StudySettings) -> Iterator[str]:
    """Say what a resolved study asks of a network that it has not, or of maps that it has not."""
    if settings.classifier.is_network:
        if settings.saliency.signed:
            yield f"saliency.signed is about the maps of a table ({_NONE}); leave it out, networks' maps are reduced"
        return
    if not isinstance(settings.cohort, PatchesSection):
        yield (
            f"{_NONE} takes the maps that a table of patches gives (found cohort.kind: {settings.cohort.kind}); "
            "expected cohort.kind: patches, and the columns map and p_malignant in its table"
        )
    for name in settings.controls:
        if name in CONTROLS and CONTROLS[name].needs_network:
            yield (
                f"controls: {name} needs a network, and {_NONE} has none; leave it out. Without one there are "
                f"{', '.join(_controls())}"
            )
    values, defaults = settings.model_dump(), StudySettings().model_dump()
    for section, kept in _KEPT.items():
        usual = defaults[section] | _USUAL[section]
        for key, value in values[section].items():
            if key not in kept and value != usual[key]:
                yield f"{section}.{key} is {shown(value)}, which needs a network, and {_NONE} has none; leave it out"
    if settings.cohort.folds or settings.cohort.fractions != type(settings.cohort.fractions)():
        yield (
            f"cohort.folds and cohort.fractions deal patches out to networks that learn, and {_NONE} has none; leave "
            "them out: all patches are judged, or those that the table's column 'split' names"
        )


def given_of(settings: StudySettings, cohort: CachedCohort) -> GivenMaps | None:
    """Return the maps and probabilities that the cohort's table gives; None where networks are asked."""
    given = getattr(cohort.inner, "given", None)
    return None if given is None else replace(given, signed=settings.saliency.signed)


def reach_of(settings: StudySettings) -> Reach:
    """Say how far the study can ask."""
    return OF_NETWORKS if settings.classifier.is_network else OF_MAPS


def _controls() -> list[str]:
    """Name the controls of the built-in study that need no network."""
    return [name for name in StudySettings().controls if not CONTROLS[name].needs_network]
