"""The networks of a study: which are trained on what, from which seeds, and how often the backbone runs."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from saliency_stats.classifier import head
from saliency_stats.classifier.building import initialise
from saliency_stats.classifier.routes import train_classifier
from saliency_stats.classifier.saved import save_weights
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.saliency.control_networks import permuted_labels
from saliency_stats.seeds import derive
from saliency_stats.settings.study import load
from saliency_stats.study import parameters
from saliency_stats.study import training as module
from saliency_stats.study.training import train_networks

pytestmark = pytest.mark.usefixtures("small_densenets")
CPU = torch.device("cpu")
SMALL = (
    *("classifier.architecture=densenet121", "classifier.epochs=2", "classifier.batch_size=8"),
    *("classifier.precision=float32", "controls=[]"),
)
HEAD = ("classifier.trainable=head", "classifier.weights={weights}")


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "start.safetensors"
    save_weights(initialise("densenet121", 77), path)
    return path


@pytest.fixture
def study(cohort_of, tmp_path):
    """Trains the networks of a study of 24 patches of 6 slides; returns its table of training."""
    cohort = cohort_of([(32, 32)] * 24)
    splits = np.repeat([*["train"] * 3, "valid", "test", "test"], 4)

    def train(*assignments, out="run", used=None):
        settings = load(None, (*SMALL, *assignments))
        table = cohort.table.assign(split="" if settings.cohort.folds else splits, sha256=cohort.table["patch_id"])
        table = parameters.folding_of(settings).dealt(table) if used is None else used(table)
        store = Store(tmp_path / out)
        store.work.mkdir(parents=True, exist_ok=True)
        return train_networks(settings, store, cohort, CPU, Progress(show=False), table)

    train.folder = tmp_path
    train.cohort = cohort
    return train


@pytest.fixture
def passes(monkeypatch):
    """How many patches went through a frozen backbone, call by call."""
    seen, activations = [], head.activations

    def counting(model, images):
        seen.append(len(images))
        return activations(model, images)

    monkeypatch.setattr(head, "activations", counting)
    return seen


@pytest.fixture
def trained(monkeypatch):
    """What each network was trained on: the seed of its recipe, the rows and labels of train, and those of valid."""
    seen = []

    def remembering(recipe, cohort, train, valid, device, **options):
        seen.append((recipe.seed, train.index.tolist(), train["label"].tolist(), valid.index.tolist()))
        return train_classifier(recipe, cohort, train, valid, device, **options)

    monkeypatch.setattr(module, "train_classifier", remembering)
    return seen


def files(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "weights").iterdir())}


def test_networks_beside_each_other_differ_in_their_seeds_alone(study, trained):
    log = study("classifier.networks=2", "controls=[shuffled]")
    assert log[["model", "network", "epoch"]].to_numpy().tolist() == [
        [model, network, epoch] for network in "12" for model in ("trained", "shuffled") for epoch in (1, 2)
    ]
    assert list(log.columns[:3]) == ["magnification", "model", "network"]
    first, second = derive(0, "classifier", 20.0), derive(0, "classifier", 20.0, "2")
    assert [seed for seed, *_ in trained] == [first, first, second, second]
    own = study.cohort.table["label"].tolist()[:12]
    assert all((rows, valid) == (list(range(12)), list(range(12, 16))) for _, rows, _, valid in trained)
    permuted = [
        np.array(own)[permuted_labels(np.arange(12), derive(0, "shuffled", "train", 20.0, *names))].tolist()
        for names in ((), ("2",))
    ]
    assert [labels for _, _, labels, _ in trained] == [own, permuted[0], own, permuted[1]]
    assert permuted[0] != permuted[1]
    found = files(study.folder / "run")
    assert list(found) == [f"{name}-20x.safetensors" for name in ("shuffled-2", "shuffled", "trained-2", "trained")]
    assert len(set(found.values())) == 4


def test_the_first_network_is_that_of_a_study_of_one(study):
    log = study("classifier.networks=2", out="two")
    alone = study(out="one")
    pd.testing.assert_frame_equal(log[log["network"] == "1"], alone)
    one, two = (files(study.folder / name) for name in ("one", "two"))
    assert one["trained-20x.safetensors"] == two["trained-20x.safetensors"]
    other = study("classifier.seed=4", out="other")
    assert (other["loss_train"] != alone["loss_train"]).all()
    pd.testing.assert_frame_equal(study("classifier.seed=0", out="same"), alone)


def test_networks_of_a_fold_learn_from_the_other_folds(study, trained):
    log = study("cohort.folds=3", "classifier.networks=2")
    assert log["network"].tolist() == [f"fold{fold}-{name}" for fold in (1, 2, 3) for name in "12" for _ in range(2)]
    settings = load(None, (*SMALL, "cohort.folds=3", "classifier.networks=2"))
    table = study.cohort.table.assign(split="", sha256=study.cohort.table["patch_id"])
    tables = parameters.folding_of(settings).tables(parameters.folding_of(settings).dealt(table))
    for at, (seed, rows, _, valid) in enumerate(trained):
        fold = at // 2 + 1
        assert seed == derive(0, "classifier", 20.0, f"fold{fold}-{at % 2 + 1}")
        split = tables[fold]["split"]
        assert (rows, valid) == (split.index[split == "train"].tolist(), split.index[split == "valid"].tolist())
        slides = tables[fold].groupby("slide_id")["split"].agg(set)
        assert slides.map(len).eq(1).all()
    assert len(files(study.folder / "run")) == 6


def test_a_frozen_backbone_of_a_file_runs_once_for_all_networks_and_controls(study, passes, weights):
    of_file = tuple(one.format(weights=weights) for one in HEAD)
    study(*of_file, "classifier.networks=3", "controls=[shuffled]")
    # 12 patches to learn from and 4 to look at, in batches of at most 8: as of a network alone
    assert passes == [6, 6, 4]
    passes.clear()
    study(*of_file, "classifier.networks=2", "cohort.folds=3", "controls=[shuffled]", out="folds")
    assert sum(passes) == 24
    passes.clear()
    study(*of_file, out="two", used=lambda table: pd.concat([table.assign(magnification=at) for at in (10.0, 20.0)]))
    # of each magnification there is another network
    assert sum(passes) == 2 * 16


def test_networks_with_random_backbones_run_each_their_own_and_share_it_with_their_controls(study, passes):
    study("classifier.trainable=head", "classifier.networks=3", "controls=[shuffled]")
    assert passes == [6, 6, 4] * 3
    passes.clear()
    study("classifier.trainable=head", "cohort.folds=3", out="folds")
    # 4 of 6 slides are outside a fold
    assert sum(passes) == 3 * 16


@pytest.mark.parametrize("folds", [0, 3])
@pytest.mark.parametrize("route", ["all", "head"])
def test_where_it_was_interrupted_it_goes_on_to_the_same_bytes(study, weights, monkeypatch, folds, route):
    asked = [f"cohort.folds={folds}", "classifier.networks=2", "controls=[shuffled]"]
    asked += [one.format(weights=weights) for one in HEAD] if route == "head" else []
    whole = study(*asked, out="whole")

    class Interrupted(Exception):  # noqa: N818  (a stand-in for a killed process)
        pass

    def interrupted(*arguments, **options):
        calls.append(options["checkpoint"].name)
        if len(calls) == 3:
            raise Interrupted
        return train_classifier(*arguments, **options)

    calls = []
    monkeypatch.setattr(module, "train_classifier", interrupted)
    with pytest.raises(Interrupted):
        study(*asked, out="parts")
    before = {path.name: path.stat().st_mtime_ns for path in (study.folder / "parts" / "weights").iterdir()}
    assert len(before) == 2
    found = study(*asked, out="parts")
    pd.testing.assert_frame_equal(found, whole)
    assert files(study.folder / "parts") == files(study.folder / "whole")
    # what was finished is not trained again, and the interrupted one first
    after = {path.name: path.stat().st_mtime_ns for path in (study.folder / "parts" / "weights").iterdir()}
    assert {name: after[name] for name in before} == before
    assert calls[2] == calls[3]
    assert len(calls) == 3 + len(after) - 2
    assert all(one != other for one, other in pairwise(calls[3:]))


def test_stages_say_which_network_of_how_many_is_trained(study, monkeypatch):
    titles = []
    stage = Progress.stage

    def titled(self, name, total, unit="patch"):
        titles.append((name, total))
        return stage(self, name, total, unit)

    monkeypatch.setattr(Progress, "stage", titled)
    study("controls=[shuffled]")
    assert titles == [("train at 20×", 24), ("train shuffled at 20×", 24)]
    titles.clear()
    study("classifier.networks=2", "controls=[shuffled]", "classifier.trainable=head", out="two")
    assert titles == [
        # 16 patches go through the backbone first
        ("train network 1 of 2 at 20×", 24 + 16),
        ("train shuffled network 1 of 2 at 20×", 24),
        ("train network 2 of 2 at 20×", 24 + 16),
        ("train shuffled network 2 of 2 at 20×", 24),
    ]
    titles.clear()
    study("cohort.folds=2", out="folds")
    assert [name for name, _ in titles] == ["train network 1 of 2 at 20×", "train network 2 of 2 at 20×"]


def test_how_a_file_is_used_is_said_once(study, weights, monkeypatch):
    said = []

    def remembering(*arguments, **options):
        said.append("say" in options)
        return train_classifier(*arguments, **options)

    monkeypatch.setattr(module, "train_classifier", remembering)
    of_file = [one.format(weights=weights) for one in HEAD]
    study(*of_file, "classifier.networks=2", "controls=[shuffled]")
    assert said == [True, False, False, False]
    said.clear()
    study(*of_file, "cohort.folds=2", "classifier.networks=2", out="folds")
    assert said == [True, False, False, False]
