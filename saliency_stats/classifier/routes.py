"""Train a classifier: all its layers, its head alone, or none (weights as they are)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import pandas as pd
import torch

from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.augmentation import Augmentation
from saliency_stats.classifier.building import build
from saliency_stats.classifier.head import Activations, freeze_all_but_head, split_of, whole
from saliency_stats.classifier.network import NetworkClassifier
from saliency_stats.classifier.samples import ImageSamples
from saliency_stats.classifier.training import LOG_COLUMNS, TrainingParameters, fit
from saliency_stats.cohort.patch import Cohort
from saliency_stats.errors import ClassifierError
from saliency_stats.seeds import derive

#: Why early stopping is refused where nobody could say when to stop.
NO_VALID: Final = (
    "classifier.stopping: early chooses the epoch on the valid split, which holds no usable patch; expected some. "
    "Raise cohort.fractions.valid, name valid patches in the table, or use one_cycle"
)


@dataclass(frozen=True)
class Recipe:
    """Which network, from which weights, trained how.

    Parameters
    ----------
    architecture, weights
        As in :func:`~saliency_stats.classifier.building.build`.
    trainable
        ``all`` layers; ``head``, the layer of classes and, where one stands directly before it, the last convolution;
        or
        ``none``.
    training, augmentation
        Parameters; augmentation varies patches only where all layers are trained, since the head is trained
        on activations that are computed once.
    seed
        Root of initialisation, order and augmentation.
    """

    architecture: Architecture
    weights: str
    trainable: Literal["all", "head", "none"]
    training: TrainingParameters
    augmentation: Augmentation
    seed: int


def train_classifier(
    recipe: Recipe,
    cohort: Cohort,
    train: pd.DataFrame,
    valid: pd.DataFrame,
    device: torch.device,
    *,
    activations: Activations | None = None,
    checkpoint: Path | None = None,
    tick: Callable[[int], object] = lambda _: None,
    say: Callable[[str], object] = lambda _: None,
) -> tuple[NetworkClassifier, pd.DataFrame]:
    """Build and train a classifier.

    Parameters
    ----------
    train, valid
        Rows of the inspected patch table; ``valid`` may be empty.
    activations
        Of the backbone, where only the head is trained: shared with other networks of the same backbone, else its own.
    checkpoint
        See :func:`~saliency_stats.classifier.training.fit`.
    tick
        Called with the number of patches that went through the backbone or through training.
    say
        Called with every respect in which the weights of a file are not used as they are.

    Returns
    -------
    tuple
        The network in evaluation mode, and one row per epoch (none where nothing is trained).

    Raises
    ------
    ClassifierError
        If weights do not fit, a class is absent, or early stopping has no valid split to look at.
    """
    is_trained = recipe.trainable != "none"
    seed = derive(recipe.seed, "initialisation")
    model = build(recipe.architecture, recipe.weights, seed, trained=is_trained, say=say)
    model = model.to(device).to(memory_format=torch.channels_last)
    if not is_trained:
        return model.eval(), pd.DataFrame(columns=list(LOG_COLUMNS))
    if recipe.training.stopping == "early" and valid.empty:
        raise ClassifierError(NO_VALID)
    seed = derive(recipe.seed, "training")
    samples = ImageSamples(cohort, train, recipe.augmentation, seed, device)
    held_out = None if valid.empty else ImageSamples(cohort, valid, recipe.augmentation, seed, device)
    if recipe.trainable == "all":
        return model, fit(model, samples, held_out, recipe.training, checkpoint=checkpoint, tick=tick)
    freeze_all_but_head(model)
    size = recipe.training.batch_size
    made = split_of(model.eval(), samples)
    if made is None:
        say(
            f"classifier.trainable: head: {recipe.architecture.name} cannot be split at its head, so that the "
            "whole network runs over every patch in every epoch"
        )
        plain = Augmentation(dihedral=False, stain=0.0)
        still = [None if some is None else replace(some, augmentation=plain) for some in (samples, held_out)]
        assert still[0] is not None
        log = fit(whole(model), still[0], still[1], recipe.training, checkpoint=checkpoint, tick=tick)
        return model.eval(), log
    activations = Activations([train, valid]) if activations is None else activations
    cached = activations.of(made, samples, size, tick)
    cached_valid = None if held_out is None else activations.of(made, held_out, size, tick)
    log = fit(made.head.to(device), cached, cached_valid, recipe.training, checkpoint=checkpoint, tick=tick)
    return model.eval(), log
