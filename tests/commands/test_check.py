"""`check` counts and estimates, and computes nothing."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from saliency_stats.cli.app import main
from saliency_stats.cohort.slides.pyramid import write_pyramid
from saliency_stats.commands import check as module
from saliency_stats.compartments.ways import cell_words
from saliency_stats.errors import CohortError
from saliency_stats.settings import load
from saliency_stats.study import estimates, parameters
from saliency_stats.vocabulary import USUAL_CELLS

CPU = torch.device("cpu")


def test_check_counts_patches_and_slides_and_estimates_costs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "cohort.slides=10",
        "cohort.patches_per_slide=4",
        "cohort.size_px=32",
        "classifier.architecture=densenet121",
    ]
    result = CliRunner().invoke(main, ["check", *(word for item in arguments for word in ("--set", item))])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["20.0", "train", "benign", "10", "5"] in lines
    assert ["20.0", "test", "malignant", "8", "4"] in lines
    assert "40 of 40 patches" in result.output
    assert f"cells by {USUAL_CELLS}: {cell_words(USUAL_CELLS, 15.0)}" in result.output
    assert re.search(r"estimated on this machine \(cpu\): \d+ s, of which training \d+ s;", result.output)
    assert (
        "with 4 slides (benign, 20×), 4 slides (malignant, 20×): the test sign_flip needs at least 7" in result.output
    )
    assert "memory about" in result.output
    assert "GB, disk at most 0." in result.output
    assert not list(tmp_path.iterdir())


def test_check_refuses_what_a_run_would_refuse():
    result = CliRunner().invoke(main, ["check", "--set", "cohort.slides=3", "--set", "cohort.fractions={train: 1.0}"])
    assert result.exit_code == 2


def table(*, slides=("a", "b"), status="used"):
    """Give two classes of each slide, of one place at two magnifications; all are judged."""
    rows = [
        (f"{slide}{label}", slide, label, magnification)
        for slide in slides
        for label in ("benign", "malignant")
        for magnification in (10.0, 20.0)
    ]
    made = pd.DataFrame(rows, columns=["patch_id", "slide_id", "label", "magnification"])
    return made.assign(
        split="test", status=status, height_px=64, width_px=32, patient_id="", sha256=made["patch_id"], fold=np.nan
    )


@pytest.fixture
def previewed(monkeypatch):
    """Preview a table that somebody else has looked at."""

    def preview(found, inner=None, assignments=()):
        monkeypatch.setattr(parameters, "cohort_of", lambda _: SimpleNamespace(table=found, inner=inner))
        monkeypatch.setattr(module, "look_at", lambda cohort, *_: cohort.table)
        monkeypatch.setattr(module, "_costs", lambda _, used, device, reading: [f"{len(used)} {device} {reading >= 0}"])
        return module.preview(load(None, assignments), "cpu")

    return preview


def test_what_is_said_of_a_cohort_that_can_all_be_used(previewed):
    made = pd.concat(
        [
            table(),
            table().assign(
                split="train",
                slide_id="",
                patch_id=lambda one: one["patch_id"] + "t",
                sha256=lambda one: one["patch_id"],
            ),
        ]
    )
    first, *lines = previewed(made, assignments=("statistics.primary_test=t_slide_means", "statistics.min_slides=2"))
    assert first == "study phantom: 16 of 16 patches can be used"
    counts = "\n".join(lines[:2]).split("\n")
    assert [line.split() for line in counts] == [
        [],
        ["magnification", "split", "label", "patches", "slides"],
        # an unknown slide is none
        *(
            [scale, split, label, "2", slides]
            for scale in ("10.0", "20.0")
            for split, slides in (("test", "2"), ("train", "0"))
            for label in ("benign", "malignant")
        ),
    ]
    assert lines[2] == ""
    assert lines[3].startswith("The verdict will be about this network alone")
    assert lines[4] == ""
    assert lines[5].startswith("cells by network: cytoplasm is what a small network takes for tissue of cells")
    assert lines[6:] == ["", "16 cpu True"]


def test_all_that_was_found_is_told_before_what_stands_in_the_way(previewed):
    made = table(slides=("a", "b", "c")).assign(label="benign")
    made.loc[:2, "status"] = "excluded: the image file is missing"
    made.loc[3, "status"] = "excluded: blurred"
    found = previewed(made)
    lines = []
    with pytest.raises(CohortError, match=r"^every one of the 8 usable patches is 'benign'"):
        lines.extend(found)
    assert lines[0] == "study phantom: 8 of 12 patches can be used"
    assert lines[3:7] == [
        "",
        "excluded patches, 4 of 12:",
        "      3  abenign, amalignant: the image file is missing",
        "      1  amalignant: blurred",
    ]
    assert lines[8].startswith("Nothing could be found")
    assert lines[9].startswith("The verdict will be about this network alone")
    assert lines[11].startswith("cells by network: ")
    assert len(lines) == 12


def test_where_nothing_can_be_used_no_counts_and_no_costs_are_told(previewed):
    lines = []
    with pytest.raises(CohortError, match=r"^none of the 8 patches can be used \(8 × excluded: blurred\)$"):
        lines.extend(previewed(table(status="excluded: blurred")))
    assert [line for line in lines if line][:2] == [
        "study phantom: 0 of 8 patches can be used",
        "excluded patches, 8 of 8:",
    ]


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
    """Estimate a study of given steps: 16 s to train on the trial's images, 8 s to explain, 4 s to classify them."""

    def estimate(*assignments, workers=2, times=(16.0, 8.0, 4.0)):
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
        monkeypatch.setattr(estimates, "batch_bytes", lambda *_: 4e9)
        monkeypatch.setattr(estimates, "training_bytes", lambda *_, **__: 4.93e9)
        monkeypatch.setattr(estimates, "needed_bytes", lambda *_: 3_240_000_000)
        used = pd.DataFrame({"split": ["train"] * 300 + ["valid"] * 40 + ["test"] * 500})
        used = used.assign(slide_id=[f"s{row % 10}" for row in range(840)], label="benign", magnification=20.0)
        used = used.assign(patch_id=[f"p{row}" for row in range(840)], height_px=64, width_px=32)
        used.loc[5, "width_px"] = 48
        lines = module._costs(load(None, assignments), used, CPU, 600.0)
        return lines, network.seen

    return estimate


#: Of 500 judged patches of 10 slides, 6 each are replaced, 22 altered images each; 340 others are classified. Two
#: workers: 0.5 s for a gradient, 0.25 s for a logit.
HEAD = ("classifier.trainable=head", "classifier.weights=some.safetensors")
REST = 600 + 60 * 22 * 0.25 + 340 * 0.25


@pytest.mark.parametrize(
    ("assignments", "gradients", "training"),
    [
        (("controls=[]",), 1, 12 * 300 * 2),
        (("controls=[]", "classifier.epochs=20"), 1, 20 * 300 * 2),
        (("controls=[randomised, sobel, shift]",), 2, 12 * 300 * 2),
        # each control that is trained is trained as long, and explained by the first method alone
        (("controls=[shuffled]", "saliency.methods=[gradient, occlusion]"), 1 + 87 + 1, 2 * 12 * 300 * 2),
        (("controls=[randomised]", "saliency.methods=[gradient, occlusion]"), 2 * 88, 12 * 300 * 2),
        (("controls=[]", "classifier.trainable=head"), 1, 300 * 0.25),
        (("controls=[]", "classifier.trainable=none"), 1, 0),
        # networks beside each other are trained and explained as often; the backbone of all runs once
        (("controls=[randomised]", "classifier.networks=3"), 6, 3 * 12 * 300 * 2),
        (("controls=[shuffled]", "classifier.networks=3", "classifier.trainable=head"), 6, 3 * 300 * 0.25),
        (("controls=[]", "classifier.networks=3", *HEAD), 3, 300 * 0.25),
    ],
)
def test_times_are_those_of_the_steps_times_their_number(costs, assignments, gradients, training):
    lines, seen = costs(*assignments)
    networks = 3 if "classifier.networks=3" in assignments else 1
    seconds = 600 + networks * (REST - 600) + training + 500 * gradients * 0.5
    assert lines[0] == (
        f"estimated on this machine (cpu): {module.duration(seconds)}, of which training {module.duration(training)}; "
        "segmentation and figures come on top"
    )
    # on images of the largest sides: a training step, a gradient, and logits alone
    shape = (8, 3, 64, 48)
    assert seen == [(shape, True, True), (shape, False, True), (shape, False, False)]


@pytest.mark.parametrize(
    ("workers", "cache_mb", "gigabytes"),
    # the 840 patches take 0.0206 GB in memory, at 8 bytes for each pixel of the largest
    [(1, 1024, 1.5 + 4.93 + 0.0206), (1, 10, 1.5 + 4.93 + 0.0105), (2, 1024, 1.5 + 8), (3, 0, 1.5 + 12)],
)
def test_memory_is_that_of_training_or_measuring_whichever_is_more(costs, workers, cache_mb, gigabytes):
    lines, _ = costs(f"cohort.cache_mb={cache_mb}", workers=workers)
    assert lines[1] == f"memory about {gigabytes:.1f} GB, disk at most 3.2 GB"


def test_further_networks_take_memory_while_patches_are_measured(costs):
    # two more, each with a control; and nothing while they are trained, one after the other
    lines, _ = costs("cohort.cache_mb=0", "controls=[randomised]", "classifier.networks=3", workers=2)
    assert lines[1].startswith(f"memory about {1.5 + 8 + 4 * 0.085:.1f} GB")
    lines, _ = costs("cohort.cache_mb=0", "controls=[randomised]", "classifier.networks=3", workers=1)
    assert lines[1].startswith(f"memory about {1.5 + 4.93:.1f} GB")


def test_with_folds_each_has_its_training_and_the_frozen_backbone_sees_every_patch_once(costs, monkeypatch):
    of_folds = SimpleNamespace(tables=lambda used: {fold: used.assign(split="train") for fold in (1, 2, 3)})
    monkeypatch.setattr(parameters, "folding_of", lambda _: of_folds)
    lines, _ = costs("controls=[]", "classifier.networks=2")
    assert f"of which training {module.duration(2 * 3 * 840 * 12 * 2)};" in lines[0]
    lines, _ = costs("controls=[]", "classifier.networks=2", *HEAD)
    assert f"of which training {module.duration(840 * 0.25)};" in lines[0]
    lines, _ = costs("controls=[]", "classifier.networks=2", "classifier.trainable=head")
    assert f"of which training {module.duration(2 * 3 * 840 * 0.25)};" in lines[0]


@pytest.mark.parametrize(("device", "waits"), [("cpu", 0), ("cuda", 2)])
def test_the_second_call_is_timed_when_the_device_has_finished(monkeypatch, device, waits):
    done, clock = [], iter([0.0, 100.0, 200.0, 203.0])
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: done.append("waited"))
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


def half_of(folder):
    """Outline the left half of a slide of 256 px, as QuPath writes it."""
    ring = [[0, 0], [128, 0], [128, 256], [0, 256], [0, 0]]
    kind = {"objectType": "annotation", "classification": {"name": "Tumor"}}
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": kind}
    (folder / "half.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))


def slide_study(folder, names):
    """List slides, of which those that are there hold tissue, half of it tumour."""
    half_of(folder)
    for name in names:
        if name.startswith("ok"):
            noise = np.random.default_rng(len(name)).integers(-30, 30, (256, 256, 3))
            image = (np.array([200, 120, 180]) + noise).astype(np.uint8)
            image[0, 0] = len(name)
            write_pyramid(folder / f"{name}.tif", lambda *_, image=image: image, (256, 256), 0.5)
        elif name.startswith("text"):
            (folder / f"{name}.tif").write_text("no slide")
    lines = [f"{name}.tif,half.geojson,{split}" for name, split in zip(names, ["train", "test"] * 9, strict=False)]
    (folder / "slides.csv").write_text("\n".join(["path,annotation,split", *lines, ""]))
    (folder / "study.yaml").write_text(
        "cohort: {kind: slides, table: slides.csv, size_px: 32, magnifications: [20], patches_per_slide: 8}\n"
        "classifier: {architecture: densenet121}\n"
    )
    return CliRunner().invoke(main, ["check", str(folder / "study.yaml")])


def test_two_of_five_slides_that_cannot_be_used_are_named_with_their_reasons(tmp_path, small_densenets):
    result = slide_study(tmp_path, ["ok", "ok-2", "gone", "text", "ok--3"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    at = lines.index("excluded slides, 2 of 5:")
    assert lines[at + 1].startswith("      1  gone: slide 'gone': there is no file")
    assert lines[at + 2].startswith("      1  text: slide 'text' (text.tif)")
    assert "  tumour: _0, _1, Tumor, Tumour, Metastasis, Metastases" in lines


def test_where_no_slide_can_be_used_every_reason_is_told(tmp_path):
    result = slide_study(tmp_path, ["gone", "text"])
    assert result.exit_code == 1
    for said in (result.stdout, result.stderr):
        assert "slide 'gone': there is no file" in said
        assert "slide 'text' (text.tif)" in said
    assert result.stderr.startswith("saliency-stats: none of the 2 slides can be used (")
