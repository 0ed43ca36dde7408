"""Batches that no machine holds are refused with the size that it does."""

import re
import types

import pandas as pd
import psutil
import pytest
import torch

from saliency_stats.settings.study import load
from saliency_stats.study.memory import MEASURED_BYTES, too_large_batches

CPU = torch.device("cpu")


def table(train=100, test=100, size=(1000, 500)):
    splits = ["train"] * train + ["test"] * test
    return pd.DataFrame({"split": splits, "height_px": size[0], "width_px": size[1]})


def told(settings, used, device):
    return "\n".join(too_large_batches(settings, used, device))


@pytest.fixture
def memory(monkeypatch):
    def of(size):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(total=size))

    return of


def test_a_batch_in_training(memory):
    settings = load(None, ("classifier.batch_size=64", "saliency.batch_size=1"))
    memory(64 * 500_000 * 1_000)
    assert told(settings, table(), CPU) == ""
    memory(64 * 500_000 * 1_000 - 1)
    assert told(settings, table(), CPU) == (
        "classifier.batch_size: 64 patches of 1000 × 500 px take at least 32.0 GB in training; this machine has 32.0 "
        "GB. Set it to 15 or less, or use smaller patches"
    )


def test_a_batch_in_training_takes_what_its_network_keeps(memory, tmp_path):
    (tmp_path / "tiny.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Conv2d(3, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))\n"
    )
    settings = load(None, (f"classifier.architecture=python:{tmp_path / 'tiny.py'}:make", "saliency.batch_size=1"))
    # its input, of twelve bytes a pixel, of which a quarter counts
    memory(32 * 500_000 * 40)
    assert told(settings, table(), CPU) == ""
    memory(32 * 500_000 * 2)
    assert told(settings, table(), CPU).startswith("classifier.batch_size: 32 patches of 1000 × 500 px take at least")


def test_of_a_network_that_cannot_be_used_nothing_is_said(memory):
    memory(1)
    settings = load(None, ("classifier.architecture=torchvision:none_such", "saliency.batch_size=1"))
    assert "classifier" not in told(settings, table(), CPU)


def test_a_batch_that_is_measured(memory):
    settings = load(None, ("classifier.trainable=none", "saliency.batch_size=64"))
    memory(64 * 500_000 * MEASURED_BYTES)
    assert told(settings, table(), CPU) == ""
    memory(64 * 500_000 * MEASURED_BYTES - 1)
    assert re.search(
        r"^saliency\.batch_size: 64 patches .* while measured; this machine has 1\.6 GB", told(settings, table(), CPU)
    )


def test_both_are_told(memory):
    memory(1)
    assert re.search(
        r"(?s)^classifier\.batch_size.*Set it to 1 or.*\nsaliency\.batch_size", told(load(None), table(), CPU)
    )


def test_a_batch_is_no_larger_than_the_patches_that_there_are(memory):
    settings = load(None, ("classifier.batch_size=4096", "saliency.batch_size=1"))
    memory(3 * 500_000 * 1_000)
    assert told(settings, table(train=3), CPU) == ""
    assert told(settings, table(train=0, test=0), CPU) == ""
    assert re.search("4 patches", told(settings, table(train=4), CPU))


def test_the_largest_patch_counts(memory):
    memory(2 * 500_000 * 1_000)
    mixed = pd.concat([table(5, 0, (10, 10)), table(1, 0), table(5, 0, (10, 10))], ignore_index=True)
    settings = load(None, ("classifier.batch_size=3",))
    assert re.search("3 patches of 1000 × 500 px", told(settings, mixed, CPU))


def test_of_a_gpu_its_own_memory_counts(memory, monkeypatch):
    memory(1)
    size = types.SimpleNamespace(total_memory=10**15)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: size)
    assert told(load(None), table(), torch.device("cuda")) == ""
    size.total_memory = 10**6
    assert re.search(r"the GPU has 0\.0 GB", told(load(None), table(), torch.device("cuda")))


def test_with_folds_every_patch_is_trained_on(memory):
    settings = load(None, ("classifier.batch_size=64", "saliency.batch_size=1", "cohort.folds=2"))
    memory(64 * 500_000 * 1_000 - 1)
    judged = table(train=0, test=100)
    assert "classifier.batch_size: 64 patches of 1000 × 500 px" in told(settings, judged, CPU)
    assert told(load(None, ("classifier.batch_size=64", "saliency.batch_size=1")), judged, CPU) == ""
