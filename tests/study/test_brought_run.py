"""A stranger's network: a factory in a file beside the study file, its three outputs in two classes, to a report."""

import json

import pandas as pd
import pytest

from saliency_stats.errors import CohortError
from saliency_stats.execution.progress import Progress
from saliency_stats.settings.study import load
from saliency_stats.study.study import Study

FACTORY = """\
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 6, 4, 4), nn.Linear(6, 3)

    def forward(self, images):
        return self.fc(torch.relu(self.conv(images - 0.7)).mean((2, 3)))


def build():
    return Network()


def probabilities():
    return nn.Sequential(Network(), nn.Softmax(dim=1))
"""
#: Five lines are the stranger's own; the others keep the run short.
STUDY = """\
name: stranger
cohort:
  {kind: phantom, slides: 8, patches_per_slide: 4, size_px: 64, classes: {normal: [0, 1], tumor: [2]}}
classifier:
  {architecture: "python:mine:build", trainable: head, epochs: 3, batch_size: 8, min_balanced_accuracy: 0.5}
saliency: {methods: [gradient, grad_cam], min_confidence: 0.5, batch_size: 8}
compartments: {nuclei: truth}
controls: [randomised, cascading, shuffled, sobel]
causal: {replacements: [mean]}
statistics: {bootstrap_draws: 2000, min_slides: 2}
report: {examples: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "mine.py").write_text(FACTORY, encoding="utf-8")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    return folder


def test_it_runs_to_a_report(folder):
    """Takes about 20 s: a whole study, and every figure of its report."""
    study = Study(load(folder / "study.yaml"))
    study.run(folder / "run", workers=1, progress=Progress(show=False))
    run = folder / "run"
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "build (mine.py)" in text
    methods = (run / "paper" / "methods.tex").read_text(encoding="utf-8")
    assert "huang2017densenet" not in methods
    predictions = pd.read_csv(run / "predictions.csv")
    # the cascade has the parts of this network, and no more
    assert set(predictions["model"]) == {"trained", "randomised", "cascading_1", "cascading_2", "shuffled"}
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["controls"]["cascading_1"]["words"] == "cascading 1: fc"
    assert manifest["controls"]["cascading_2"]["words"] == "cascading 2: + conv (all)"
    assert manifest["study"]["classifier"]["weights"] == "own"
    notes = manifest["weight_notes"]["trained-20x.safetensors"]
    assert "its head (trainable: head) is conv and fc" in notes
    assert "its 3 classes are taken as normal, normal and tumor, in this order" in notes
    # people see the study's names, tables keep those of the contract
    assert set(pd.read_csv(run / "ledger.csv")["label"]) <= {"benign", "malignant"}
    assert "tumor patches" in json.loads((run / "verdict.json").read_text(encoding="utf-8"))[0]["claim"]
    assert "Normal patches, 20×" in text
    assert "malignant" not in methods
    inputs = pd.read_csv(run / "inputs.csv")
    assert inputs.astype(str).apply(lambda column: column.str.contains("mine.py")).any(axis=None)
    assert set(pd.read_csv(run / "ledger.csv")["method"]) == {"gradient", "grad_cam", "sobel"}


def refused(folder, out, *assignments):
    with pytest.raises(CohortError) as caught:
        Study(load(folder / "study.yaml", assignments)).run(out, workers=1, progress=Progress(show=False))
    return str(caught.value)


def test_what_it_cannot_do_is_told_before_anything_is_computed(folder, tmp_path):
    found = refused(
        folder,
        tmp_path,
        "saliency.methods=[deeplift, grad_cam]",
        "classifier.layers.gradcam=fc",
        "controls=[randomised]",
    )
    assert "saliency.methods: grad_cam cannot explain this network: layer 'backbone.fc' returns no image" in found
    assert "deeplift" not in found


def test_a_network_that_is_no_classifier_is_told_before_anything_is_computed(folder, tmp_path):
    factory = f"classifier.architecture=python:{folder / 'mine.py'}:probabilities"
    found = refused(
        folder, tmp_path, factory, "controls=[randomised]", "cohort.fractions={train: 0.9, valid: 0, test: 0.1}"
    )
    assert "mine.py:probabilities returns probabilities (they add up to 1)" in found
