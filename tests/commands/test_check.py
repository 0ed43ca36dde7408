"""`check` counts and estimates, and computes nothing."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from saliency_stats.cli.app import main
from saliency_stats.cohort.slides.pyramid import write_pyramid
from saliency_stats.commands import check as module
from saliency_stats.commands.preregister import preregister
from saliency_stats.compartments.ways import cell_words
from saliency_stats.errors import CohortError
from saliency_stats.settings import load
from saliency_stats.study import parameters
from saliency_stats.study.registration import Registration
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

    def preview(found, inner=None, assignments=(), registration=None):
        monkeypatch.setattr(parameters, "cohort_of", lambda _: SimpleNamespace(table=found, inner=inner))
        monkeypatch.setattr(module, "look_at", lambda cohort, *_: cohort.table)
        monkeypatch.setattr(
            module, "costs", lambda _, __, used, device, reading: [f"{len(used)} {device} {reading >= 0}"]
        )
        return module.preview(load(None, assignments), "cpu", registration)

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


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        ((), "a run would keep to it"),
        (
            ("controls=[sobel]", "report.examples=1"),
            "a run would differ from it in 1 setting: controls (registered [], run ['sobel'])",
        ),
    ],
)
def test_of_a_registered_study_it_is_said_whether_a_run_would_keep_to_it(previewed, tmp_path, assignments, said):
    (tmp_path / "study.yaml").write_text("controls: []\n", encoding="utf-8")
    preregister(tmp_path)
    found = Registration.beside(tmp_path / "study.yaml")
    lines = previewed(table(), assignments=("controls=[]", *assignments), registration=found)
    assert next(lines) == "study phantom: 8 of 8 patches can be used"
    assert next(lines) == f"registered on {found.registered[:10]} {found.registered[11:16]} UTC: {said}"
    assert "registered" not in next(lines)


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


def half_of(folder):
    """Outline the left half of a slide of 256 px, as QuPath writes it."""
    ring = [[0, 0], [128, 0], [128, 256], [0, 256], [0, 0]]
    kind = {"objectType": "annotation", "classification": {"name": "Tumor"}}
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": kind}
    (folder / "half.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8"
    )


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
            (folder / f"{name}.tif").write_text("no slide", encoding="utf-8")
    lines = [f"{name}.tif,half.geojson,{split}" for name, split in zip(names, ["train", "test"] * 9, strict=False)]
    (folder / "slides.csv").write_text("\n".join(["path,annotation,split", *lines, ""]), encoding="utf-8")
    (folder / "study.yaml").write_text(
        "cohort: {kind: slides, table: slides.csv, size_px: 32, magnifications: [20], patches_per_slide: 8}\n"
        "classifier: {architecture: densenet121}\n",
        encoding="utf-8",
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
