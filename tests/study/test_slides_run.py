"""From slide files to the report: phantom slides, a slide that is broken, two magnifications."""

import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
import shapely
import torch

from saliency_stats import Study
from saliency_stats.cohort.phantom.slide import PhantomSlideSpec, write_phantom_slide
from saliency_stats.commands.explain import explain_patch
from saliency_stats.commands.export import export_qupath
from saliency_stats.errors import CohortError, StorageError
from saliency_stats.execution.names import file_name
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.study.stages import Stages

pytestmark = pytest.mark.usefixtures("small_densenets")
STUDY_YAML = """\
name: small
cohort:
  {kind: slides, table: slides.csv, size_px: 32, magnifications: [10, 20], patches_per_slide: 4, spacing_um: 20,
  fractions: {train: 0.4, valid: 0.2, test: 0.4}}
classifier: {architecture: densenet121, weights: none, trainable: all, epochs: 1, batch_size: 4,
  min_balanced_accuracy: 0.5}
saliency: {min_confidence: 0.5, batch_size: 4}
statistics: {bootstrap_draws: 2000, min_slides: 2}
report: {examples: 1}
"""


@pytest.fixture(scope="module")
def study_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    lines = ["path,slide_id,patient_id,annotation"]
    for number in range(5):
        spec = PhantomSlideSpec(
            f"slide-{number}",
            width_px=512,
            height_px=512,
            mpp=0.5,
            compression="jpeg" if number % 2 else "deflate",
            seed=number,
            tumour=True,
        )
        files = write_phantom_slide(folder, spec)
        lines.append(f"{files.slide.name},{spec.slide_id},patient-{number},{files.xml.name}")
    (folder / "broken.svs").write_bytes(b"not a slide")
    (folder / "slides.csv").write_text("\n".join([*lines, "broken.svs,broken,,"]), encoding="utf-8")
    (folder / "study.yaml").write_text(STUDY_YAML, encoding="utf-8")
    return folder / "study.yaml"


@pytest.fixture(scope="module")
def run(study_file, small_densenets, tmp_path_factory):
    return Study.from_yaml(study_file).run(tmp_path_factory.mktemp("run") / "out", workers=3)


def test_the_road_from_slides_to_the_report(run):
    slides = pd.read_csv(run.folder / "slides.csv").set_index("slide_id")
    assert slides.loc["broken", "status"].startswith("excluded")
    assert (slides.drop(index="broken")["status"] == "used").all()
    patches = pd.read_csv(run.folder / "patches.csv")
    assert patches.groupby("patch_id").size().eq(2).all()
    assert patches.groupby("slide_id")["split"].nunique().eq(1).all()
    for name in ("slides", "magnification", "magnification_compartments"):
        assert (run.folder / "figures" / f"{name}.png").is_file()
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "1 slide could not be used" in page
    assert "How does it change with magnification?" in page
    assert sorted(run.metrics["magnification"].unique()) == [10.0, 20.0]
    assert (run.contrasts["contrast"] == "magnification_vs_reference").any()


def test_the_paper_of_slides_compiles(run, compiled):
    compiled(run.folder / "paper")


def test_a_moved_annotation_is_another_study(run, study_file):
    """All outlines by 900 px: the old verdict would be of tissue that nobody calls tumour any more."""
    moved = next(study_file.parent.glob("slide-3*.xml"))
    before = moved.read_text(encoding="utf-8")
    shifted = re.sub(r'X="([^"]+)"', lambda found: f'X="{float(found[1]) + 900}"', before)
    assert shifted != before
    try:
        moved.write_text(shifted, encoding="utf-8")
        with pytest.raises(
            StorageError, match=rf"\(1 of 13 files\): {moved.name} has changed.* Put them back as they were"
        ):
            Study.from_yaml(study_file).run(run.folder)
    finally:
        moved.write_text(before, encoding="utf-8")
    assert Study.from_yaml(study_file).run(run.folder).verdict == run.verdict


def test_the_files_of_slides_are_inputs(run):
    names = set(run.inputs["name"])
    assert {"slides.csv", "broken.svs"} <= names
    assert len(names) == 13  # five slides and their annotations, and the tissue network


def test_a_changed_slide_is_no_longer_explained(run, study_file):
    patch = run.patches.query("split == 'test'").iloc[0]
    slide = next(study_file.parent.glob(f"{patch['slide_id']}.*tif*"))
    before = slide.read_bytes()
    other = next(path for path in study_file.parent.glob("slide-*.*tif*") if path != slide)
    try:
        slide.write_bytes(other.read_bytes() + b"no copy")
        with pytest.raises(CohortError, match=r"has changed since the run: (its image|the study's table)"):
            explain_patch(run.folder, patch["patch_id"])
    finally:
        slide.write_bytes(before)


@pytest.mark.parametrize("asked", [None, 10.0])
def test_judged_patches_come_to_qupath_where_they_lie(run, tmp_path, asked):
    magnification = asked or 20.0
    files = export_qupath(run.folder, tmp_path, magnification=asked, device="cpu")
    judged = run.judged[run.judged["magnification"] == magnification].set_index("patch_id")
    assert sorted(path.name for path in files) == sorted({f"{name}.geojson" for name in judged["slide_id"]})
    features = [feature for path in files for feature in json.loads(path.read_text(encoding="utf-8"))["features"]]
    tiles = {one["properties"]["name"]: one for one in features if one["properties"]["objectType"] == "tile"}
    assert sorted(tiles) == sorted(judged.index)
    assert len(features) > len(tiles)
    own = run.own_ledger[(run.own_ledger["model"] == "trained") & (run.own_ledger["magnification"] == magnification)]
    for name, tile in tiles.items():
        row, side = judged.loc[name], 32 * 20 / magnification
        x, y = row["x_um"] / 0.5, row["y_um"] / 0.5
        outline = shapely.geometry.shape(tile["geometry"])
        np.testing.assert_allclose(outline.bounds, [x - side / 2, y - side / 2, x + side / 2, y + side / 2], atol=0.01)
        shares = own[own["patch_id"] == name].set_index("compartment")["mass_share"]
        measured = tile["properties"]["measurements"]
        assert measured["mass_share_stroma"] == pytest.approx(shares["stroma"], abs=1e-6)
        at = features.index(tile) + 1
        cells = itertools.takewhile(lambda one: one["properties"]["objectType"] == "cell", features[at:])
        mass = sum(
            shapely.geometry.shape(cell["nucleusGeometry"]).area
            * cell["properties"]["measurements"]["saliency_density_nucleus"]
            for cell in cells
        )
        # borders of nuclei are shared between compartments in a coarser patch
        assert mass / side**2 == pytest.approx(shares["nucleus"], abs=0.03)
    for feature in features:
        geometry = shapely.geometry.shape(feature["geometry"])
        assert any(shapely.geometry.shape(tile["geometry"]).covers(geometry) for tile in tiles.values())


def test_compartments_are_those_of_the_finest_magnification(run):
    tissue = run.ledger.groupby(["patch_id", "magnification", "model"])["area_share"].sum()
    np.testing.assert_allclose(tissue, 1, atol=1e-6)
    kept = sorted((run.folder / "work" / "compartments").glob("*.npz"))
    assert {path.stem for path in kept} == set(run.ledger["patch_id"])
    with np.load(kept[0]) as file:
        # the field of the coarser patch at the pixel size of the finer one
        assert file["shares"].shape == (4, 64, 64)


def test_an_id_of_a_slide_leads_no_file_out_of_the_runs_folder(study_file, tmp_path):
    """Its pictures, its compartments and its patches' pictures bear names that are made of it."""
    table = pd.read_csv(study_file.parent / "slides.csv").iloc[:-1]
    first = table.loc[0, "slide_id"]
    table.loc[0, "slide_id"] = "../../../escaped"
    odd = tmp_path / "odd.csv"
    table.to_csv(odd, index=False)
    out = tmp_path / "deep" / "er" / "run"
    study = Study.from_yaml(study_file, (f"cohort.table={odd}", f"cohort.root={study_file.parent}"))
    stages = Stages(study.settings, Store(out), torch.device("cpu"), Progress(show=False))
    with stages.store.opened({}, fresh=False):
        stages.patches()
    outside = {path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(out)}
    assert outside == {odd}
    pictures = {path.name for path in (out / "slide_pictures").iterdir()}
    assert file_name("../../../escaped", ".npz") in pictures
    assert len(pictures) == len(table)
    assert f"{first}.npz" not in pictures
