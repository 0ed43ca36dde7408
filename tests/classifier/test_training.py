"""The training loop: deterministic, resumable, honest about what it cannot train."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from saliency_stats.classifier.augmentation import Augmentation
from saliency_stats.classifier.samples import ImageSamples
from saliency_stats.classifier.training import LOG_COLUMNS, TrainingParameters, balanced_accuracy, fit, uses_bfloat16
from saliency_stats.errors import ClassifierError, StorageError, StudyError

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
    log = fit(
        small_network(),
        samples,
        samples,
        TrainingParameters(epochs=25, batch_size=5, learning_rate=0.05, precision="float32"),
    )
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


BOUNDS = {
    "epochs": (1, 10_000),
    "batch_size": (2, 4096),
    "learning_rate": (1e-7, 1.0),
    "weight_decay": (0.0, 1.0),
    "label_smoothing": (0.0, 0.5),
    "patience": (1, 10_000),
}


@pytest.mark.parametrize("key", BOUNDS)
def test_the_ends_of_the_ranges_are_inside(key):
    low, high = BOUNDS[key]
    step = 1 if isinstance(low, int) else 1e-8
    assert [getattr(TrainingParameters(**{key: end}), key) for end in (low, high)] == [low, high]
    for wrong in (low - step, high + step):
        with pytest.raises(StudyError, match=rf"classifier\.{key} is .*; expected {low:g} to {high:g}"):
            TrainingParameters(**{key: wrong})


def test_the_usual_parameters():
    expected = TrainingParameters(12, 32, 2e-3, 0.01, 0.0, "balanced", "one_cycle", 3, "auto")
    assert TrainingParameters() == expected


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_precision_that_is_asked_for_is_used(samples, precision):
    assert uses_bfloat16(precision, CPU) == (precision == "bfloat16")
    seen = set()

    class Watched(nn.Linear):
        def forward(self, inputs):
            found = super().forward(inputs)
            seen.add(found.dtype)
            return found

    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), Watched(3, 2))
    fit(module, samples, samples, replace(PARAMETERS, epochs=1, precision=precision))
    assert seen == {getattr(torch, precision)}


def test_a_gpu_is_asked_whether_it_computes_in_bfloat16(monkeypatch):
    for answer in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda answer=answer: answer)
        assert uses_bfloat16("auto", torch.device("cuda")) == answer


def test_the_gpu_of_a_mac_trains_in_float32_unless_told_otherwise():
    assert not uses_bfloat16("auto", torch.device("mps"))
    assert uses_bfloat16("bfloat16", torch.device("mps"))


class Still:
    """Samples that come in one order: numbers in a line, some of each class."""

    seed = 0

    def __init__(self, targets, shift=0.0):
        self.targets = np.array(targets)
        self._inputs = torch.linspace(-1, 2, len(targets))[:, None] + shift

    def n_batches(self, size):
        return -(-len(self.targets) // size)

    def batches(self, size, epoch):
        order = np.roll(np.arange(len(self.targets)), epoch or 0)
        for start in range(0, len(order), size):
            members = order[start : start + size]
            yield (self._inputs[members],), torch.from_numpy(self.targets[members])


def line():
    module = nn.Linear(1, 2)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[0.3], [-0.2]]))
        module.bias.copy_(torch.tensor([0.1, 0.0]))
    return module


def recalls(logits, targets):
    return np.mean([(logits.argmax(1)[targets == label] == label).float().mean() for label in (0, 1)])


@pytest.mark.parametrize("stopping", ["one_cycle", "early"])
def test_training_is_the_loop_written_out(stopping):
    train, valid = Still([0, 1, 1, 0, 1, 1, 1]), Still([1, 0, 0], shift=0.3)
    parameters = TrainingParameters(
        epochs=4, batch_size=3, learning_rate=0.3, weight_decay=0.1, label_smoothing=0.2, stopping=stopping,
        precision="float32",
    )  # fmt: skip
    module = line()
    log = fit(module, train, valid, parameters)

    own = line()
    loss_of = nn.CrossEntropyLoss(torch.tensor([7 / (2 * 2), 7 / (2 * 5)]), label_smoothing=0.2)
    optimizer = torch.optim.AdamW(own.parameters(), lr=0.3, weight_decay=0.1)
    rates = []
    if stopping == "one_cycle":
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=4 * 3 + 1)
    states = []
    for epoch in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        losses, logits, targets = [], [], []
        for (inputs,), target in train.batches(3, epoch):
            output = own(inputs)
            loss = loss_of(output, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if stopping == "one_cycle":
                schedule.step()
            losses += [loss.item()] * len(target)
            logits.append(output.detach())
            targets.append(target)
        with torch.no_grad():
            seen = own(valid._inputs)
        row = log.iloc[epoch]
        assert row["epoch"] == epoch + 1
        assert row["loss_train"] == pytest.approx(np.mean(losses), rel=1e-5)
        assert row["balanced_accuracy_train"] == pytest.approx(recalls(torch.cat(logits), torch.cat(targets)))
        assert row["loss_valid"] == pytest.approx(loss_of(seen, torch.from_numpy(valid.targets)).item(), rel=1e-5)
        assert row["balanced_accuracy_valid"] == pytest.approx(recalls(seen, torch.from_numpy(valid.targets)))
        states.append({key: value.clone() for key, value in own.state_dict().items()})
        if stopping == "early" and epoch - log["loss_valid"][: epoch + 1].argmin() >= 3:
            break
    assert len(log) == len(states)
    np.testing.assert_allclose(log["learning_rate"], rates, rtol=1e-6)
    chosen = int(log["loss_valid"].argmin()) if stopping == "early" else 3
    assert log["chosen"].tolist() == [epoch == chosen for epoch in range(len(log))]
    for key, value in states[chosen].items():
        torch.testing.assert_close(module.state_dict()[key], value, rtol=1e-5, atol=1e-6)
    assert list(log.columns) == list(LOG_COLUMNS)


@pytest.mark.parametrize(("patience", "n_epochs"), [(1, 2), (2, 3), (3, 4)])
def test_early_stopping_waits_as_long_as_it_is_told(patience, n_epochs):
    """Valid labels are those of training turned around: every epoch is worse than the one before."""
    parameters = TrainingParameters(
        epochs=9, batch_size=8, learning_rate=0.3, stopping="early", patience=patience, precision="float32"
    )
    module = line()
    log = fit(module, Still([0, 0, 1, 1]), Still([1, 1, 0, 0]), parameters)
    assert (np.diff(log["loss_valid"]) > 0).all()
    assert len(log) == n_epochs
    assert log["chosen"].tolist() == [True] + [False] * (n_epochs - 1)
    only = line()
    fit(only, Still([0, 0, 1, 1]), Still([1, 1, 0, 0]), replace(parameters, epochs=1))
    assert torch.equal(module.weight, only.weight)  # the weights of the best epoch are put back
    assert torch.equal(module.bias, only.bias)


def test_without_a_valid_split_there_is_no_valid_loss_and_the_last_epoch_is_chosen():
    module, ticks = line(), []
    log = fit(module, Still([0, 0, 1, 1, 1]), None, replace(PARAMETERS, batch_size=2), tick=ticks.append)
    assert log[["loss_valid", "balanced_accuracy_valid"]].isna().all(axis=None)
    assert log["chosen"].tolist() == [False] * 3 + [True]
    assert ticks == [2, 2, 1] * 4
    assert not module.training


def test_what_a_checkpoint_holds_counts_as_done(tmp_path):
    fit(line(), Still([0, 1, 1]), None, replace(PARAMETERS, epochs=2), checkpoint=tmp_path / "state")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    ticks = []
    log = fit(
        line(), Still([0, 1, 1]), None, replace(PARAMETERS, epochs=2), checkpoint=tmp_path / "state", tick=ticks.append
    )
    assert (len(log), ticks) == (2, [6])


def damaged(content, at):
    """Yield what a cut, a flipped byte or another file leaves of a checkpoint."""
    yield content[:at]
    yield content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.7, 0.95])
def test_a_damaged_checkpoint_is_not_gone_on_from(samples, tmp_path, share):
    """Torch reads a file whose numbers were changed without a word; the archive's checksums tell."""
    parameters = replace(PARAMETERS, epochs=2)
    whole, checkpoint = small_network(), tmp_path / "state"
    expected = fit(whole, samples, None, parameters)
    fit(small_network(), samples, None, parameters, checkpoint=checkpoint)
    content = checkpoint.read_bytes()
    for left in damaged(content, int(share * len(content))):
        checkpoint.write_bytes(left)
        resumed = small_network()
        log = fit(resumed, samples, None, parameters, checkpoint=checkpoint)
        pd.testing.assert_frame_equal(log, expected)
        for name, value in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[name], value), name


def test_a_checkpoint_is_what_training_wrote(samples, tmp_path):
    parameters, checkpoint = replace(PARAMETERS, epochs=1), tmp_path / "state"
    for other in ({"module": {}}, [1], {}):
        torch.save(other, checkpoint)
        assert len(fit(small_network(), samples, None, parameters, checkpoint=checkpoint)) == 1
    ticks = []
    fit(small_network(), samples, None, parameters, checkpoint=checkpoint, tick=ticks.append)
    assert ticks == [20]


def test_a_checkpoint_on_a_full_disk_is_said(samples, tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"no disk space left while writing .*state\. What was finished is kept"):
        fit(small_network(), samples, None, replace(PARAMETERS, epochs=1), checkpoint=tmp_path / "state")


def test_only_what_may_be_trained_is_trained():
    module = line()
    module.bias.requires_grad_(requires_grad=False)
    before = [value.detach().clone() for value in module.parameters()]
    fit(module, Still([0, 0, 1, 1]), None, PARAMETERS)
    assert [torch.equal(one, other) for one, other in zip(module.parameters(), before, strict=True)] == [False, True]


def test_an_absent_class_is_counted():
    for targets, absent in (([1, 1, 1], "benign"), ([0, 0], "malignant")):
        with pytest.raises(ClassifierError, match=rf"no '{absent}' patch \({len(targets)} patches in all\)"):
            fit(line(), Still(targets), None, PARAMETERS)
