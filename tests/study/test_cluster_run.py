"""Workers that are processes, killed in mid-training and in mid-unit: the bytes of a run on threads."""

import os
import sys

import pytest

from saliency_stats import Study
from saliency_stats.errors import StudyError
from saliency_stats.execution.progress import Progress
from saliency_stats.settings.study import load

#: A worker is killed, as `kill -9` would, at its third step of training, and one at its first gradient of a unit.
NETWORK = """\
import multiprocessing, os, signal
from pathlib import Path

from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(12, 2)
        self.steps = 0

    def forward(self, images):
        self.steps += self.training
        if multiprocessing.parent_process():
            if self.steps == 3:
                kill_once("training")
            if images.requires_grad and not self.training and images.shape[-1] == 40:
                kill_once("unit")
        return self.classifier(self.pool(self.features(images)).flatten(1))


def kill_once(what):
    mark = Path(__file__).with_name(what)
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
"""
STUDY = """\
name: killed
cohort: {kind: phantom, slides: 6, patches_per_slide: 2, size_px: 40}
classifier:
  {architecture: "python:network:Network", weights: none, trainable: all, epochs: 2, batch_size: 4,
  min_balanced_accuracy: 0.5}
saliency: {min_confidence: 0.5, batch_size: 1}
compartments: {nuclei: truth}
causal: {replacements: []}
controls: [randomised, shuffled]
statistics: {bootstrap_draws: 2000, min_slides: 2}
report: {examples: 1}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    (tmp_path / "network.py").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # a report is drawn here in either case
    monkeypatch.setattr("saliency_stats.report.write.write_report", lambda _: None)
    return Study(load(tmp_path / "study.yaml"))


def computed(folder):
    kept = [path for path in folder.rglob("*") if path.suffix in {".csv", ".npz", ".safetensors"}]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in kept}


@pytest.mark.posix("signals")
def test_workers_killed_over_a_training_and_a_unit_end_with_the_bytes_of_threads(study, tmp_path):
    """Two processes that load torch, and two in place of those that die: the test takes its time."""
    quiet = Progress(show=False)
    # a folder relative to this process's, which workers do not know
    study.run("threads", workers=2, progress=quiet)
    study.run("processes", scheduler="local:2", progress=quiet)
    killed = {int((tmp_path / what).read_text(encoding="utf-8")) for what in ("training", "unit")}
    assert len(killed) == 2
    assert os.getpid() not in killed
    on_threads = computed(tmp_path / "threads")
    assert {"training.csv", "ledger.csv", "contrasts.csv", "weights/shuffled-20x.safetensors"} <= on_threads.keys()
    assert computed(tmp_path / "processes") == on_threads
    assert not list((tmp_path / "processes").rglob(".*.partial"))
    # it is finished, for whomever
    assert study.run("processes", workers=1, progress=quiet).folder.name == "processes"


def test_a_wrong_scheduler_leaves_an_earlier_run_alone(study, tmp_path):
    (tmp_path / "out" / "work").mkdir(parents=True)
    (tmp_path / "out" / "work" / "identity.json").write_text("{}", encoding="utf-8")
    for words in ("two", "tcp://127.0.0.1:1x"):
        with pytest.raises(StudyError, match=f"--scheduler (is ')?{words}.*; expected local:N"):
            study.run("out", scheduler=words, fresh=True, progress=Progress(show=False))
    assert (tmp_path / "out" / "work" / "identity.json").read_text(encoding="utf-8") == "{}"


def test_workers_of_two_kinds_are_refused(study):
    with pytest.raises(StudyError, match=r"--workers 3 counts threads .* --scheduler local:2; expected one of the two"):
        study.run("out", scheduler="local:2", workers=3)
    assert not os.path.lexists("out")


def test_without_dask_the_extra_is_named(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "saliency_stats.execution.cluster", raising=False)
    monkeypatch.delattr("saliency_stats.execution.cluster", raising=False)
    with pytest.raises(StudyError, match=r"--scheduler needs Dask.*pip install 'saliency-stats\[cluster\]'"):
        study.run("out", scheduler="local:2")
