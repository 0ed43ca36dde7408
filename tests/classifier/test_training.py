"""The training loop: deterministic, resumable, honest about what it cannot train."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from saliency_stats.classifier.augmentation import Augmentation
from saliency_stats.classifier.samples import ImageSamples
from saliency_stats.classifier.training import TrainingParameters, balanced_accuracy, fit
from saliency_stats.errors import ClassifierError, StudyError

CPU = torch.device("cpu")


def small_network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        )


@pytest.fixture
def samples(cohort_of):
    cohort = cohort_of([(32, 32)] * 20)
    return ImageSamples(cohort, cohort.table, Augmentation(), 7, CPU)


PARAMETERS = TrainingParameters(epochs=4, batch_size=6, learning_rate=0.02, precision="float32")


def test_training_learns_and_logs(samples):
    log = fit(small_network(), samples, samples, TrainingParameters(epochs=25, batch_size=5, learning_rate=0.05))
    assert log["balanced_accuracy_valid"].iloc[-1] == 1.0
    assert log["loss_train"].iloc[-1] < log["loss_train"].iloc[0]
    assert list(log["epoch"]) == list(range(1, 26))
    assert list(log["chosen"]) == [False] * 24 + [True]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(cohort_of):
    cohort = cohort_of([(32, 32)] * 20)
    weights = []
    for seed in (1, 1, 2):
        module = small_network()
        fit(module, ImageSamples(cohort, cohort.table, Augmentation(), seed, CPU), None, PARAMETERS)
        weights.append(module[0].weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("stopping", ["one_cycle", "early"])
@pytest.mark.parametrize("interrupted_after", [1, 5, 9])
def test_an_interrupted_training_goes_on_to_the_same_weights(samples, tmp_path, stopping, interrupted_after):
    parameters = TrainingParameters(
        epochs=4, batch_size=6, learning_rate=0.02, precision="float32", stopping=stopping, patience=10
    )
    whole = small_network()
    expected = fit(whole, samples, samples, parameters)

    class Interrupted(Exception):  # noqa: N818  (a stand-in for a killed process)
        pass

    calls = []

    def tick(n):
        calls.append(n)
        if len(calls) > interrupted_after:
            raise Interrupted

    checkpoint = tmp_path / "state"
    with pytest.raises(Interrupted):
        fit(small_network(), samples, samples, parameters, checkpoint=checkpoint, tick=tick)
    resumed = small_network(seed=99)
    if not checkpoint.exists():  # killed before the first epoch ended: it starts again
        resumed = small_network()
    log = fit(resumed, samples, samples, parameters, checkpoint=checkpoint)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    pd.testing.assert_frame_equal(log, expected)


def test_early_stopping_keeps_the_epoch_with_the_lowest_valid_loss(samples, cohort_of):
    other = cohort_of([(32, 32)] * 8, seed=5)
    valid = ImageSamples(other, other.table, Augmentation(), 0, CPU)
    parameters = TrainingParameters(
        epochs=60, batch_size=6, learning_rate=0.2, stopping="early", patience=2, precision="float32"
    )
    module = small_network()
    log = fit(module, samples, valid, parameters)
    best = int(log["loss_valid"].argmin())
    assert log["chosen"].to_numpy().argmax() == best
    assert len(log) in {best + 3, 60}
    (inputs, targets), *_ = valid.batches(8, None)
    with torch.no_grad():
        logits = module(*inputs)
    assert balanced_accuracy(logits, targets) == log.loc[best, "balanced_accuracy_valid"]


def test_class_weights_balance_the_loss(cohort_of):
    cohort = cohort_of([(32, 32)] * 20)
    few = cohort.table.drop(cohort.table.index[cohort.table["label"] == "malignant"][:-2])
    bias = {}
    for mode in ("balanced", "none"):
        module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))
        nn.init.zeros_(module[1].weight)
        nn.init.zeros_(module[1].bias)
        module[1].weight.requires_grad_(requires_grad=False)
        parameters = TrainingParameters(
            epochs=60, batch_size=12, learning_rate=0.05, class_weights=mode, weight_decay=0.0
        )
        fit(module, ImageSamples(cohort, few, Augmentation(), 0, CPU), None, parameters)
        bias[mode] = float((module[1].bias[1] - module[1].bias[0]).detach())
    # without an input that tells the classes apart, the loss is least at the log ratio of the weighted classes
    assert abs(bias["balanced"]) < 0.1
    assert bias["none"] == pytest.approx(np.log(2 / 10), abs=0.3)


def test_an_absent_class_and_a_diverging_loss_are_errors(samples, cohort_of):
    cohort = cohort_of([(32, 32)] * 8)
    benign = cohort.table[cohort.table["label"] == "benign"]
    with pytest.raises(ClassifierError, match="no 'malignant' patch"):
        fit(small_network(), ImageSamples(cohort, benign, Augmentation(), 0, CPU), None, PARAMETERS)
    module = small_network()
    nn.init.constant_(module[5].weight, float("inf"))
    with pytest.raises(ClassifierError, match=r"diverged in epoch 1.*learning_rate"):
        fit(module, samples, None, PARAMETERS)


@pytest.mark.parametrize(("key", "value"), [("epochs", 0), ("batch_size", 1), ("learning_rate", 0.0), ("patience", 0)])
def test_parameters_out_of_range_are_named(key, value):
    with pytest.raises(StudyError, match=f"classifier.{key} is {value}"):
        TrainingParameters(**{key: value})


def test_balanced_accuracy_is_the_mean_of_recalls():
    logits = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert balanced_accuracy(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx((2 / 3 + 0) / 2)
