"""How much memory and disk a study takes, before anything is computed."""

import pandas as pd

from saliency_stats.classifier.building import kept_bytes, weight_bytes
from saliency_stats.measurement.thumbnails import MOST_PATCHES, PATCH_BYTES
from saliency_stats.saliency import DIFFERENTIATED_PX
from saliency_stats.settings.study import StudySettings
from saliency_stats.study import parameters
from saliency_stats.vocabulary import TRAINED

#: Bytes on disk, from above, per patch: the rows of its nuclei, of a network (predictions and
#: profile), of a map (ledger), of a map under another segmentation and of a replaced image. Rows are there twice until
#: a run is finished.
_NUCLEI, _NETWORK, _MAP, _CROSSED, _REPLACED = 30_000, 6_000, 2_000, 400, 400
#: Bytes in memory of what a frozen DenseNet-201 makes of a pixel and of a patch.
_ACTIVATED, _POOLED = 128 * 2 / 32**2, 1_920 * 4


def batch_bytes(settings: StudySettings, used: pd.DataFrame) -> float:
    """Estimate the memory that a batch of work takes, of the largest patches of an inspected table."""
    pixels = float((used["height_px"] * used["width_px"]).max())
    # maps and compartments of all its patches
    arrays = 100 + 4 * len(parameters.plan_of(settings).keys(parameters.networks_of(settings)))
    # and what the network keeps of those that it sees at once
    kept = _kept(settings, pixels, DIFFERENTIATED_PX["cpu"])
    return settings.saliency.batch_size * pixels * arrays + kept


def network_bytes(settings: StudySettings) -> int:
    """Estimate the memory that all networks of a magnification and fold beside the first, and its controls, take."""
    each, several = _weight_bytes(settings), settings.classifier.networks
    return each * len(parameters.networks_of(settings)) * (several - 1) // several


def _weight_bytes(settings: StudySettings) -> int:
    return weight_bytes(parameters.architecture_of(settings)) if settings.classifier.is_network else 0


def _kept(settings: StudySettings, pixels: float, at_once: float = 0.0) -> float:
    return kept_bytes(parameters.architecture_of(settings), pixels, at_once) if settings.classifier.is_network else 0.0


def training_bytes(settings: StudySettings, used: pd.DataFrame, *, bfloat16: bool) -> float:
    """Estimate the memory that training takes, of the largest patches of an inspected table."""
    if settings.classifier.trainable == "none":
        return 0.0
    if settings.classifier.trainable == "head":
        # what the backbone makes of all patches of a magnification
        pixels = (used["height_px"] * used["width_px"]).groupby(used["magnification"]).sum().max()
        return float(pixels) * _ACTIVATED + _POOLED * float(used["magnification"].value_counts().max())
    each = _kept(settings, float((used["height_px"] * used["width_px"]).max()))
    return settings.classifier.batch_size * each * (0.6 if bfloat16 else 1.2)


def needed_bytes(settings: StudySettings, used: pd.DataFrame) -> int:
    """Estimate the disk space of a run from above, of the usable patches: weights, optimiser state, tables, maps."""
    networks, multiverse = parameters.networks_of(settings), parameters.multiverse_of(settings)
    each = _weight_bytes(settings)
    kinds = 1 + len(parameters.trained_controls(settings))
    weights = each * used["magnification"].nunique() * len(parameters.all_networks(settings)) * kinds
    checkpoint = 3 * each if settings.classifier.trainable == "all" else 10_000_000
    keys = parameters.plan_of(settings).keys(networks)
    crossed = len(multiverse.variants) * sum(key.model == TRAINED for key in keys) if multiverse else 0
    rows = _NUCLEI + _NETWORK * len(networks) + _MAP * len(keys) + _CROSSED * crossed
    rows += _REPLACED * altered_images(settings) * settings.classifier.networks
    pixels = int((used["height_px"] * used["width_px"]).sum())
    maps = 4 * pixels * len(networks) if settings.saliency.keep else 0
    pictures = PATCH_BYTES * min(len(used), MOST_PATCHES)
    return weights + checkpoint + len(used) * rows + maps + pictures + 30_000_000


def altered_images(settings: StudySettings) -> int:
    """Count the images in which a compartment of one patch is altered."""
    # three compartments, each with a random region beside it, or curves in two directions
    images = 6 * (len(settings.causal.replacements) + settings.causal.curve_steps)
    # and those of a phantom, with the background four, drawn as the other class
    return images + (4 if settings.causal.replacements and settings.cohort.kind == "phantom" else 0)
