"""From the study file's sections to the parameters of each room."""

from typing import Any, Final, Literal

import pandas as pd
import torch

from saliency_stats.attribution import DistanceBins
from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.augmentation import Augmentation
from saliency_stats.classifier.building import parts_of
from saliency_stats.classifier.evaluation import EvaluationParameters
from saliency_stats.classifier.layers import NamedLayers
from saliency_stats.classifier.outputs import Outputs
from saliency_stats.classifier.preprocessing import Preprocessing
from saliency_stats.classifier.routes import Recipe
from saliency_stats.classifier.training import TrainingParameters
from saliency_stats.cohort import Cohort, PhantomCohort
from saliency_stats.cohort.cache import CachedCohort
from saliency_stats.cohort.folds import Folding
from saliency_stats.cohort.patch import USED
from saliency_stats.compartments import CompartmentParameters, NucleusFinder, TissueFinder, finder_for, nucleus_finder
from saliency_stats.compartments.variants import VARIANTS, impossible
from saliency_stats.measurement.ablation import Ablations, draw_replaced
from saliency_stats.measurement.importance import Rerendering
from saliency_stats.measurement.multiverse import Multiverse
from saliency_stats.measurement.references import References, draw_references
from saliency_stats.saliency.batched import Referring
from saliency_stats.saliency.controls import Control, control_of
from saliency_stats.saliency.maps import MapPlan
from saliency_stats.saliency.methods import at_baseline, method_of, words_of
from saliency_stats.saliency.naming import NetworkKey, folds_of, network_names, network_seed
from saliency_stats.seeds import derive
from saliency_stats.settings.cohort import PatchesSection
from saliency_stats.settings.study import StudySettings
from saliency_stats.vocabulary import ONE_NETWORK, SPLITS, TRAINED

CPU: Final = torch.device("cpu")


def cohort_of(settings: StudySettings) -> CachedCohort:
    """Open the cohort a study names, keeping in memory what fits."""
    section, most = settings.cohort, settings.cohort.cache_mb * 2**20
    if isinstance(section, PatchesSection) and not settings.classifier.is_network:
        return CachedCohort(section.open(settings.seed, maps=True), most)
    return CachedCohort(section.open(settings.seed), most)


def split_fractions(settings: StudySettings) -> dict[str, Any]:
    """Say how slides are dealt out where the table names no splits: arguments of ``with_splits``.

    Where nothing learns, all of them are judged.
    """
    fractions = settings.cohort.fractions.model_dump()
    if not settings.classifier.is_network:
        fractions = dict.fromkeys(SPLITS, 0.0) | {settings.cohort.evaluation_split: 1.0}
    return {"fractions": fractions, "seed": derive(settings.seed, "splits")}


def folding_of(settings: StudySettings) -> Folding:
    """Say how slides are dealt out into folds."""
    return Folding(settings.cohort.folds, **split_fractions(settings), classes=settings.cohort.two_classes)


def least(settings: StudySettings) -> dict[str, float]:
    """Say what a usable patch has at least: arguments of ``inspect``."""
    return {name: getattr(settings.cohort, name) for name in ("min_tissue", "min_light", "min_focus")}


def architecture_of(settings: StudySettings) -> Architecture:
    """Say which network is built."""
    section = settings.classifier
    stated, layers = section.preprocess, section.layers
    return Architecture(
        name=section.architecture,
        preprocessing=Preprocessing(stated.mean, stated.std, stated.size_px),
        layers=NamedLayers(tuple(layers.head), layers.gradcam, tuple(layers.parts)),
        outputs=Outputs.of(settings.cohort.two_classes, own=settings.classifier.own_outputs),
    )


def recipe_of(settings: StudySettings, magnification: float, network: str = ONE_NETWORK) -> Recipe:
    """Say how a classifier of one magnification is made."""
    section = settings.classifier
    training = {name: getattr(section, name) for name in TrainingParameters.__dataclass_fields__}
    return Recipe(
        architecture=architecture_of(settings),
        weights=section.weights,
        trainable=section.trainable,
        training=TrainingParameters(**training),
        augmentation=Augmentation(section.augmentation.dihedral, section.augmentation.stain),
        seed=network_seed(settings.network_seed, "classifier", magnification, network=network),
    )


def evaluation_of(settings: StudySettings, unit: Literal["slide", "patient"]) -> EvaluationParameters:
    """Say how accuracy is judged over the units of inference."""
    return EvaluationParameters(
        min_balanced_accuracy=settings.classifier.min_balanced_accuracy,
        alpha=settings.statistics.alpha,
        seed=derive(settings.seed, "accuracy"),
        unit=unit,
    )


def measurement_parameters(settings: StudySettings) -> dict[str, Any]:
    """Say how saliency is measured and attributed: the keyword arguments of ``Measurement`` a study decides."""
    section = settings.compartments
    return {
        "plan": plan_of(settings),
        "target": settings.saliency.target,
        "compartments": CompartmentParameters(
            **{key: getattr(section, key) for key in ("nuclei", "cells", "segmentation_mpp", "cytoplasm_um")}
        ),
        "min_area": section.min_area,
        "bins": DistanceBins(),
        "keep": settings.saliency.keep,
        "scores": settings.saliency.scores,
        "ablations": _ablations(settings),
    }


def plan_of(settings: StudySettings) -> MapPlan:
    """Say which maps are made; the study's own method and reduction come first."""
    saliency, multiverse = settings.saliency, settings.multiverse
    crossed = (multiverse.methods, multiverse.reductions) if multiverse.enabled else ([], [])
    baselines = _baselines(settings)
    methods = (at_baseline(name, baseline) for name in (*saliency.methods, *crossed[0]) for baseline in baselines)
    return MapPlan(
        methods=tuple(dict.fromkeys(methods)),
        reductions=tuple(dict.fromkeys([saliency.reduction, *saliency.more_reductions, *crossed[1]])),
        controls=tuple(settings.controls),
        seed=derive(settings.seed, "maps"),
        signed=saliency.scores,
    )


def _baselines(settings: StudySettings) -> tuple[str, ...]:
    """Name the baselines of methods whose name does not say theirs, the study's own first."""
    multiverse = settings.multiverse
    return tuple(dict.fromkeys([settings.saliency.baseline, *(multiverse.baselines if multiverse.enabled else ())]))


def crossed_baselines(settings: StudySettings) -> dict[str, tuple[str, str]]:
    """Say of each map, by its method, as which method and from which baseline the multiverse has it.

    Only of methods that are made from several.
    """
    baselines, names = _baselines(settings), (*settings.saliency.methods, *settings.multiverse.methods)
    made = {name: [at_baseline(name, baseline) for baseline in baselines] for name in names}
    return {
        method: (name, baseline)
        for name, methods in made.items()
        if len(set(methods)) > 1
        for method, baseline in zip(methods, baselines, strict=True)
    }


def networks_of(settings: StudySettings, fold: int = 0) -> tuple[NetworkKey, ...]:
    """Name the networks that see every measured patch of a fold: trained ones, and the controls that are networks."""
    models = (TRAINED, *(name for control in _controls(settings) for name in control.networks))
    names = network_names(settings.classifier.networks, fold)
    return tuple(NetworkKey(model, network) for network in names for model in models)


def _controls(settings: StudySettings) -> list[Control]:
    """Return the study's controls, those by parts with the parts of its network."""
    made = [control_of(name) for name in settings.controls]
    parts = parts_of(architecture_of(settings)) if any(one.by_part for one in made) else ()
    return [one.on(parts) for one in made]


def all_networks(settings: StudySettings) -> tuple[str, ...]:
    """Name every network of a study, fold by fold."""
    folds = folds_of(settings.cohort.folds)
    return tuple(name for fold in folds for name in network_names(settings.classifier.networks, fold))


def deciding_test(settings: StudySettings) -> str:
    """Name the test that decides the verdicts of a study."""
    return settings.statistics_parameters("slide").deciding_test(len(all_networks(settings)))


def untrained_of(settings: StudySettings) -> tuple[str, ...]:
    """Name the controls that are whole networks that learned nothing of the classes."""
    learned_nothing = [one for one in map(control_of, settings.controls) if one.learned_nothing]
    return tuple(name for one in learned_nothing for name in one.networks)


def trained_controls(settings: StudySettings) -> tuple[Control, ...]:
    """Return the controls that are networks trained on other labels."""
    return tuple(control for control in map(control_of, settings.controls) if control.relabel is not None)


def described(settings: StudySettings) -> dict[str, Any]:
    """Describe the study's methods and controls for the record: the report quotes it, and needs no network to do so."""
    methods = [method_of(name) for name in plan_of(settings).methods]
    controls = _controls(settings)
    signed = " (signed; absolute values)" * settings.saliency.signed
    return {
        "methods": {
            method.name: {
                "words": words_of(method) + signed,
                "times_input": bool(getattr(method, "times_input", False)),
            }
            for method in methods
        },
        "controls": {
            model: {
                "words": words,
                "control": one.name,
                "is": one.words,
                "group": one.group,
                "shown": one.shown,
                "relabelled": one.relabel is not None,
            }
            for one in controls
            for model, words in one.models.items()
        },
    }


def _ablations(settings: StudySettings) -> Ablations | None:
    section = settings.causal
    if not section.replacements:
        return None
    return Ablations(
        replacements=tuple(section.replacements),
        curve_steps=section.curve_steps,
        min_confidence=settings.saliency.min_confidence,
        min_area=settings.compartments.min_area,
        seed=derive(settings.seed, "causal"),
    )


def rerendering_of(settings: StudySettings, cohort: Cohort) -> Rerendering | None:
    """Say what draws compartments as the other class: of phantoms, wherever compartments are replaced."""
    if not settings.causal.replacements or not isinstance(cohort, PhantomCohort):
        return None
    return Rerendering(cohort, settings.compartments.min_area)


def references_of(settings: StudySettings, cohort: Cohort, table: pd.DataFrame) -> References | None:
    """Draw the training patches by which methods explain others; None where no method of the study does."""
    if not refers(settings):
        return None
    tables = folding_of(settings).tables(table[table["status"] == USED])
    return References(cohort, draw_references(tables, derive(settings.seed, "references")))


def refers(settings: StudySettings) -> tuple[str, ...]:
    """Name the methods of a study that explain a patch by training patches."""
    return tuple(name for name in plan_of(settings).methods if isinstance(method_of(name), Referring))


def replaced_of(settings: StudySettings, measured: pd.DataFrame) -> "pd.Series[bool]":
    """Say of which measured patches compartments are replaced, if they are judged."""
    return draw_replaced(measured, settings.causal.patches_per_class, derive(settings.seed, "causal"))


def multiverse_of(settings: StudySettings) -> Multiverse | None:
    """Say which segmentations are crossed with the maps; None where the study crosses nothing."""
    section, compartments = settings.multiverse, settings.compartments
    if not section.enabled:
        return None
    wanted = [variant for variant in VARIANTS if not section.segmentations or variant.name in section.segmentations]
    left_out = impossible(compartments.nuclei)  # a study that names one of these is refused
    # the study's own cells are those of the first
    wanted = [one for one in wanted if one.name not in left_out and one.cells != compartments.cells]
    wanted = [VARIANTS[0], *(variant for variant in wanted if variant != VARIANTS[0])]
    return Multiverse(tuple(wanted), compartments.cytoplasm_um, crossed_baselines(settings))


def finder_of(settings: StudySettings, device: torch.device) -> NucleusFinder | None:
    """Load what finds nuclei, down to the lowest threshold of the multiverse; None for the phantoms' own map."""
    nuclei, multiverse = settings.compartments.nuclei, multiverse_of(settings)
    if nuclei == "truth":
        return None
    lowest = 0.0 if multiverse is None else min(variant.probability for variant in multiverse.variants)
    return nucleus_finder(nuclei, str(device), probability_offset=lowest)


def cells_of(settings: StudySettings) -> tuple[str, ...]:
    """Name the ways in which a study tells cells: its own first, then those of its multiverse."""
    if settings.compartments.nuclei == "truth":
        return ()
    multiverse = multiverse_of(settings)
    others = [variant.cells for variant in multiverse.variants if variant.cells] if multiverse else []
    return (settings.compartments.cells, *others)


def tissue_of(settings: StudySettings, device: torch.device) -> TissueFinder | None:
    """Load the network that tells tissues apart; None for a study that does not ask it."""
    return finder_for(cells_of(settings), str(device))


def stain_groups(table: pd.DataFrame) -> "pd.Series[str]":
    """Name the patches whose stains are estimated together: those of one slide, or each by itself.

    Patches of unknown slides are not pooled: the stains of several scanners mixed together fit none of them.
    """
    slide, patch = table["slide_id"].astype(str), table["patch_id"].astype(str)
    return ("slide " + slide).where(slide != "", "patch " + patch)
