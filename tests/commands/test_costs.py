"""What a study will cost: steps and patches that are timed, times their number."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from saliency_stats.commands import costs as module
from saliency_stats.saliency.methods import METHODS
from saliency_stats.saliency.sampled_methods import ExpectedGradients
from saliency_stats.settings import load
from saliency_stats.study import estimates, parameters

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.0, "1 s"), (1.4, "1 s"), (89.4, "89 s"), (90.0, "1.5 min"), (95.0, "1.6 min"), (600.0, "10 min")),
        *((5399.0, "90 min"), (5400.0, "1.5 h"), (36_000.0, "10 h"), (1e6, "280 h")),
    ],
)
def test_a_time_is_told_in_its_unit_and_never_as_nothing(seconds, text):
    assert module.duration(seconds) == text


@pytest.fixture
def costs(monkeypatch):
    """Estimate a study whose trial takes 16 s to train, 4 s to classify, and 2 s to measure a patch."""

    def estimate(*assignments, workers=2, times=(16.0, 4.0)):
        answers = iter(times)

        def seconds(work, device):
            assert device == CPU
            work()
            return next(answers)

        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(3, 2))
                self.seen = []

            def forward(self, images):
                self.seen.append((tuple(images.shape), self.training, torch.is_grad_enabled()))
                return images.mean(dim=(2, 3)) @ self.weight

        network = Network()
        monkeypatch.setattr(module, "initialise", lambda *_: network)
        monkeypatch.setattr(module, "usual_workers", lambda *_: workers)
        monkeypatch.setattr(module, "_seconds", seconds)
        monkeypatch.setattr(module, "measuring_seconds", lambda *_, **__: {20.0: 2.0})
        monkeypatch.setattr(estimates, "batch_bytes", lambda *_: 4e9)
        monkeypatch.setattr(estimates, "training_bytes", lambda *_, **__: 4.93e9)
        monkeypatch.setattr(estimates, "needed_bytes", lambda *_: 3_240_000_000)
        used = pd.DataFrame({"split": ["train"] * 300 + ["valid"] * 40 + ["test"] * 500})
        used = used.assign(slide_id=[f"s{row % 10}" for row in range(840)], label="benign", magnification=20.0)
        used = used.assign(patch_id=[f"p{row}" for row in range(840)], height_px=64, width_px=32)
        used.loc[5, "width_px"] = 48
        lines = module.costs(load(None, assignments), None, used, CPU, 600.0)
        return lines, network.seen

    return estimate


#: Of 500 judged patches of 10 slides, 4 each are replaced, 22 altered images each; 340 others are classified. Two
#: workers: 1 s to measure a patch, 0.25 s for a logit.
HEAD = ("classifier.trainable=head", "classifier.weights=some.safetensors")
REST = 40 * 22 * 0.25 + 340 * 0.25


@pytest.mark.parametrize(
    ("assignments", "training"),
    [
        (("controls=[]",), 12 * 300 * 2),
        (("controls=[]", "classifier.epochs=20"), 20 * 300 * 2),
        (("controls=[randomised, sobel, shift]",), 12 * 300 * 2),
        # each control that is trained is trained as long
        (("controls=[shuffled]",), 2 * 12 * 300 * 2),
        (("controls=[]", "classifier.trainable=head"), 300 * 0.25),
        (("controls=[]", "classifier.trainable=none"), 0),
        # networks beside each other are trained as often; the backbone of all runs once
        (("controls=[randomised]", "classifier.networks=3"), 3 * 12 * 300 * 2),
        (("controls=[shuffled]", "classifier.networks=3", "classifier.trainable=head"), 3 * 300 * 0.25),
        (("controls=[]", "classifier.networks=3", *HEAD), 300 * 0.25),
    ],
)
def test_times_are_those_of_the_steps_times_their_number(costs, assignments, training):
    lines, seen = costs(*assignments)
    # one pass of a shared backbone is of all networks
    networks = 3 if "classifier.networks=3" in assignments and HEAD[1] not in assignments else 1
    seconds = 600 + networks * REST + training + 500 * 2 / 2
    assert lines[0] == (
        f"estimated on this machine (cpu): {module.duration(seconds)}, of which training {module.duration(training)}; "
        "statistics and figures come on top"
    )
    # on images of the largest sides: a training step, and logits alone
    shape = (8, 3, 64, 48)
    assert seen == [(shape, True, True), (shape, False, False)]


def test_on_workers_elsewhere_networks_are_trained_side_by_side_and_patches_shared(costs, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    lines, _ = costs("controls=[shuffled]", "classifier.networks=3")
    # six trainings of two threads each, measured by two workers here
    training, measuring = 6 * 12 * 300 * 2, 3 * REST + 500
    eight, many = (module.duration(600 + 2 * training / 6 + 2 * measuring / n) for n in (8, 32))
    assert lines[1] == f"elsewhere, each worker with a core like these: 8 workers {eight}, 32 workers {many}"


def judged_by_two(n, *assignments):
    """Return a study of two small networks, its cohort, and n of its patches that are judged."""
    small = ("classifier.architecture=densenet121", "classifier.networks=2", "cohort.size_px=32")
    settings = load(None, (*small, *assignments))
    cohort = parameters.cohort_of(settings)
    table = cohort.table.iloc[:n].assign(split="test", fold=np.nan, height_px=32, width_px=32, status="used")
    return settings, cohort, table.assign(magnification=20.0)


def test_a_patch_is_measured_as_in_a_run_by_every_network_at_each_magnification(monkeypatch, small_densenets):
    settings, cohort, table = judged_by_two(4, "saliency.methods=[gradient, expected_gradients]")
    table["magnification"] = [20.0, 20.0, 20.0, 10.0]
    # which nobody measures, and which expected gradients start from
    trained = table.iloc[2:].assign(split="train").set_axis([4, 5])
    table = pd.concat([table, trained])
    monkeypatch.setitem(METHODS, "expected_gradients", ExpectedGradients(n_samples=1))
    asked = []

    def seconds(work, device):
        asked.append(work())
        return 6.0

    monkeypatch.setattr(module, "_seconds", seconds)
    model = module.initialise("densenet121", 0).eval()
    assert module.measuring_seconds(settings, cohort, table, model, CPU, shares=False) == {10.0: 6.0, 20.0: 2.0}
    ledger = asked[1]["ledger"]
    assert set(ledger["method"]) >= {"gradient", "expected_gradients"}
    assert set(ledger["patch_id"]) == set(table["patch_id"].iloc[:3])
    keys = parameters.networks_of(settings)
    assert {(key.model, key.network) for key in keys} <= set(zip(ledger["model"], ledger["network"], strict=True))
    # nothing is replaced by a network that has learned nothing
    assert asked[1]["ablation"].empty
    assert asked[1]["importance"].empty


def test_networks_that_share_a_backbone_are_timed_together(monkeypatch, small_densenets):
    settings, cohort, table = judged_by_two(2, "controls=[randomised, shuffled]")
    model = module.initialise("densenet121", 0).eval()
    calls, passes = [], []
    model.backbone.features.conv0.register_forward_hook(lambda *_: calls.append(1))

    def seconds(work, device):
        calls.clear()
        work()
        passes.append(len(calls))
        return 1.0

    monkeypatch.setattr(module, "_seconds", seconds)
    for shares in (False, True):
        module.measuring_seconds(settings, cohort, table, model, CPU, shares=shares)
    # one for all six, one after the other; of these four are a family, and two are random networks of their own
    assert passes == [6, 1]


@pytest.mark.parametrize(
    ("workers", "cache_mb", "gigabytes"),
    # the 840 patches take 0.0206 GB in memory, at 8 bytes for each pixel of the largest
    [(1, 1024, 1.5 + 4.93 + 0.0206), (1, 10, 1.5 + 4.93 + 0.0105), (2, 1024, 1.5 + 8), (3, 0, 1.5 + 12)],
)
def test_memory_is_that_of_training_or_measuring_whichever_is_more(costs, workers, cache_mb, gigabytes):
    lines, _ = costs(f"cohort.cache_mb={cache_mb}", workers=workers)
    assert lines[2] == f"memory about {gigabytes:.1f} GB, disk at most 3.2 GB"


def test_further_networks_take_memory_while_patches_are_measured(costs):
    # two more, each with a control; and nothing while they are trained, one after the other
    lines, _ = costs("cohort.cache_mb=0", "controls=[randomised]", "classifier.networks=3", workers=2)
    assert lines[2].startswith(f"memory about {1.5 + 8 + 4 * 0.085:.1f} GB")
    lines, _ = costs("cohort.cache_mb=0", "controls=[randomised]", "classifier.networks=3", workers=1)
    assert lines[2].startswith(f"memory about {1.5 + 4.93:.1f} GB")


def test_with_folds_each_has_its_training_and_the_frozen_backbone_sees_every_patch_once(costs, monkeypatch):
    of_folds = SimpleNamespace(tables=lambda used: {fold: used.assign(split="train") for fold in (1, 2, 3)})
    monkeypatch.setattr(parameters, "folding_of", lambda _: of_folds)
    lines, _ = costs("controls=[]", "classifier.networks=2")
    assert f"of which training {module.duration(2 * 3 * 840 * 12 * 2)};" in lines[0]
    lines, _ = costs("controls=[]", "classifier.networks=2", *HEAD)
    assert f"of which training {module.duration(840 * 0.25)};" in lines[0]
    lines, _ = costs("controls=[]", "classifier.networks=2", "classifier.trainable=head")
    assert f"of which training {module.duration(2 * 3 * 840 * 0.25)};" in lines[0]


@pytest.mark.parametrize(("device", "waits"), [("cpu", 0), ("cuda", 2), ("mps", 2)])
def test_the_second_call_is_timed_when_the_device_has_finished(monkeypatch, device, waits):
    done, clock = [], iter([0.0, 100.0, 200.0, 203.0])
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    for gpu in (torch.cuda, torch.mps):
        monkeypatch.setattr(gpu, "synchronize", lambda: done.append("waited"))
    assert module._seconds(lambda: done.append("worked"), torch.device(device)) == 3.0
    assert done == (["worked", "waited"] * 2 if waits else ["worked"] * 2)


@pytest.mark.parametrize(("precision", "kind"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_training_step_leaves_no_gradients(precision, kind):
    seen = []

    class Network(nn.Linear):
        def forward(self, images):
            found = super().forward(images.flatten(1))
            seen.append((self.training, found.dtype))
            found.register_hook(lambda _: seen.append("backward"))
            return found

    network = Network(12, 2).eval()
    module._train_step(load(None, (f"classifier.precision={precision}",)), network, torch.ones(4, 3, 2, 2))
    assert seen == [(True, kind), "backward"]
    assert network.weight.grad is None
