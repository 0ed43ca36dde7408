"""Three ways to a classifier: all layers are trained, the head alone, or nothing."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from saliency_stats.classifier.augmentation import Augmentation
from saliency_stats.classifier.building import build
from saliency_stats.classifier.evaluation import EvaluationParameters
from saliency_stats.classifier.head import Head, cache, freeze_all_but_head, split_of
from saliency_stats.classifier.routes import Recipe, train_classifier
from saliency_stats.classifier.samples import ImageSamples
from saliency_stats.classifier.saved import save_weights
from saliency_stats.classifier.training import LOG_COLUMNS, TrainingParameters, fit
from saliency_stats.errors import ClassifierError
from saliency_stats.seeds import derive

pytestmark = pytest.mark.usefixtures("small_densenets")
CPU = torch.device("cpu")
TRAINING = TrainingParameters(epochs=2, batch_size=4, learning_rate=0.01, precision="float32")
RECIPE = Recipe("densenet121", "none", "all", TRAINING, Augmentation(), seed=3)


@pytest.fixture
def cohort(cohort_of):
    return cohort_of([(32, 32)] * 12)


def trained(recipe, cohort, valid=slice(8, 12), **options):
    return train_classifier(recipe, cohort, cohort.table[:8], cohort.table[valid], CPU, **options)


def started(recipe):
    """The network before training."""
    return build(recipe.architecture, recipe.weights, derive(recipe.seed, "initialisation"))


def samples(cohort, rows, recipe):
    return ImageSamples(cohort, cohort.table[rows], recipe.augmentation, derive(recipe.seed, "training"), CPU)


def same_weights(one, other):
    return {name for name, value in one.state_dict().items() if torch.equal(value, other.state_dict()[name])}


def test_nothing_is_trained_with_weights_as_they_come(cohort):
    ticks = []
    model, log = trained(replace(RECIPE, trainable="none"), cohort, tick=ticks.append)
    assert same_weights(model, started(RECIPE)) == set(model.state_dict())
    assert (list(log.columns), len(log), ticks) == (list(LOG_COLUMNS), 0, [])
    assert not model.training


def test_all_layers_are_trained_on_varied_patches(cohort):
    ticks = []
    model, log = trained(RECIPE, cohort, tick=ticks.append)
    expected = started(RECIPE).to(memory_format=torch.channels_last)
    log_expected = fit(expected, samples(cohort, slice(8), RECIPE), samples(cohort, slice(8, 12), RECIPE), TRAINING)
    assert same_weights(model, expected) == set(model.state_dict())
    pd.testing.assert_frame_equal(log, log_expected)
    assert log["loss_valid"].notna().all()
    assert ticks == [4, 4] * 2
    assert not same_weights(model, started(RECIPE)) & {name for name, _ in model.named_parameters()}
    assert not model.training


def test_the_head_alone_is_trained_on_what_is_computed_once(cohort):
    recipe = replace(RECIPE, trainable="head")
    ticks = []
    model, log = trained(recipe, cohort, tick=ticks.append)
    expected = started(recipe).to(memory_format=torch.channels_last)
    freeze_all_but_head(expected)
    made = split_of(expected.eval(), samples(cohort, slice(8), recipe))
    cached, valid = (cache(made, samples(cohort, rows, recipe), 4) for rows in (slice(8), slice(8, 12)))
    log_expected = fit(Head(expected), cached, valid, TRAINING)
    assert same_weights(model, expected) == set(model.state_dict())
    pd.testing.assert_frame_equal(log, log_expected)
    # three batches through the backbone, of train and valid, and two epochs
    assert ticks == [4, 4, 4] + [4, 4] * 2
    changed = set(model.state_dict()) - same_weights(model, started(recipe))
    assert changed == {name for name in model.state_dict() if name.startswith(model.head)}
    assert not model.training


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_without_a_valid_split_the_last_weights_are_kept_and_early_stopping_is_refused(cohort, trainable):
    recipe = replace(RECIPE, trainable=trainable)
    _, log = trained(recipe, cohort, valid=slice(0))
    assert log["loss_valid"].isna().all()
    assert log["chosen"].tolist() == [False, True]
    with pytest.raises(ClassifierError, match=r"classifier\.stopping: early .* holds no usable patch"):
        trained(replace(recipe, training=replace(TRAINING, stopping="early")), cohort, valid=slice(0))


def test_early_stopping_needs_no_valid_split_where_nothing_is_trained(cohort):
    recipe = replace(RECIPE, trainable="none", training=replace(TRAINING, stopping="early"))
    assert len(trained(recipe, cohort, valid=slice(0))[1]) == 0


def test_early_stopping_with_a_valid_split_looks_at_it(cohort):
    recipe = replace(RECIPE, training=replace(TRAINING, stopping="early", epochs=3))
    _, log = trained(recipe, cohort)
    assert log["chosen"].to_numpy().argmax() == log["loss_valid"].argmin()


def test_weights_of_a_file_are_gone_on_from(cohort, tmp_path):
    model = started(replace(RECIPE, seed=99))
    save_weights(model, tmp_path / "w.safetensors")
    found, _ = trained(replace(RECIPE, weights=str(tmp_path / "w.safetensors"), trainable="none"), cohort)
    assert same_weights(found, model) == set(model.state_dict())


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_an_interrupted_training_goes_on_from_its_checkpoint(cohort, tmp_path, trainable):
    recipe = replace(RECIPE, trainable=trainable)
    expected, log_expected = trained(recipe, cohort)

    class Interrupted(Exception):  # noqa: N818  (a stand-in for a killed process)
        pass

    ticks = []

    def tick(n):
        ticks.append(n)
        # of the head after three batches went through the backbone
        if len(ticks) == (6 if trainable == "head" else 3):
            raise Interrupted

    with pytest.raises(Interrupted):
        trained(recipe, cohort, checkpoint=tmp_path / "state", tick=tick)
    assert (tmp_path / "state").is_file()
    model, log = trained(recipe, cohort, checkpoint=tmp_path / "state")
    assert same_weights(model, expected) == set(model.state_dict())
    pd.testing.assert_frame_equal(log, log_expected)


def test_the_seed_decides_the_start_and_the_order(cohort):
    one, same, other = (trained(replace(RECIPE, seed=seed), cohort)[0] for seed in (3, 3, 4))
    weights = [model.backbone.features.conv0.weight.detach().numpy() for model in (one, same, other)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


def test_the_network_is_laid_out_channels_last(cohort):
    model, _ = trained(replace(RECIPE, trainable="none"), cohort)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert all(one.weight.is_contiguous(memory_format=torch.channels_last) for one in convolutions)


@pytest.mark.parametrize("parameters", [RECIPE, TRAINING, Augmentation(), EvaluationParameters()])
def test_parameters_cannot_be_changed_after_they_were_checked(parameters):
    with pytest.raises(FrozenInstanceError):
        setattr(parameters, next(iter(vars(parameters))), None)
