"""Which files a study reads: its cohort's, and the weights, models and classes that it names."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from saliency_stats.classifier.building import PUBLISHED, published_path
from saliency_stats.cohort import Cohort
from saliency_stats.compartments.finders import model_path
from saliency_stats.compartments.stardist.download import OFFICIAL, official_folder
from saliency_stats.compartments.tissue.files import BUILTIN_TISSUE
from saliency_stats.compartments.ways import WAYS
from saliency_stats.errors import SaliencyStatsError
from saliency_stats.execution.custom import is_custom, module_of
from saliency_stats.settings import StudySettings
from saliency_stats.study.parameters import cells_of


def input_files(settings: StudySettings, cohort: Cohort) -> Mapping[str, Path]:
    """Name every file whose content a run of the study depends on.

    Published weights and models are fetched first where they are not in their caches; those that cannot be had are
    left out, as the study stops for them before it computes anything. What comes with the package goes by its version,
    and packages that a class of the user's own imports are its author's to keep; the tissue network, which decides what
    is cytoplasm, is named all the same.
    """
    found = {**cohort.files, **_classes(settings), **_tissue(settings)}
    for published in (_weights, _nuclei):
        with suppress(SaliencyStatsError):
            found |= published(settings)
    return found


def _weights(settings: StudySettings) -> dict[str, Path]:
    weights = settings.classifier.weights
    if weights == "none":
        return {}
    path = published_path(settings.classifier.architecture) if weights in PUBLISHED else Path(weights)
    return {} if path is None else {f"classifier.weights: {path}": path}


def _nuclei(settings: StudySettings) -> dict[str, Path]:
    nuclei = settings.compartments.nuclei
    if nuclei in OFFICIAL:
        path = official_folder(nuclei)
    else:
        found = None if nuclei == "truth" else model_path(nuclei)
        if found is None:
            return {}
        path = found
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {f"compartments.nuclei: {file}": file for file in files if not file.is_dir()}


def _tissue(settings: StudySettings) -> dict[str, Path]:
    asked = any(WAYS[cells].soft for cells in cells_of(settings))
    return {f"compartments.cells: {BUILTIN_TISSUE.name}": BUILTIN_TISSUE} if asked else {}


def _classes(settings: StudySettings) -> dict[str, Path]:
    named = (
        *settings.saliency.methods,
        *settings.multiverse.methods,
        *settings.controls,
        settings.classifier.architecture,
    )
    found = {}
    for name in filter(is_custom, named):
        file = getattr(sys.modules.get(module_of(name)), "__file__", None)
        if file is not None:
            found[f"class: {file}"] = Path(file)
    return found
