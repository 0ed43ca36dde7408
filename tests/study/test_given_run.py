"""Maps made elsewhere, from a table on disk to a report: the cytoplasm itself is supported, noise never is.

Five studies of 32 patches, each of about 3 s; the report, drawn once, takes about 10 s.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.commands.check import preview
from saliency_stats.commands.explain import explain_patch
from saliency_stats.errors import CohortError
from saliency_stats.execution.progress import Progress
from saliency_stats.report.write import write_report
from saliency_stats.settings.study import load
from saliency_stats.study.study import Study
from saliency_stats.vocabulary import COMPARTMENT_CODES, LABELS

SIZE, CYTOPLASM = 64, COMPARTMENT_CODES["cytoplasm"]
STUDY = """\
name: elsewhere
cohort: {kind: patches, table: patches.csv}
classifier: {architecture: none}
compartments: {cells: rule}
statistics: {bootstrap_draws: 2000}
report: {examples: 1}
"""
QUIET = Progress(show=False)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The study file, and the table whose maps are the cytoplasm; images without splits."""
    folder = tmp_path_factory.mktemp("elsewhere")
    cohort = PhantomCohort(Phantom(size_px=SIZE), PhantomCohortSize(slides=8, patches_per_slide=4), seed=3)
    rows = []
    for row, (name, slide, label) in enumerate(cohort.table[["patch_id", "slide_id", "label"]].to_numpy()):
        patch = cohort.read(row)
        Image.fromarray(patch.image).save(folder / f"{name}.png")
        np.save(folder / f"{name}.npy", (patch.truth == CYTOPLASM).astype(np.uint8))
        p_malignant = {"benign": 0.2, "malignant": 1.0}[label]
        rows.append((f"{name}.png", label, slide, 0.5, f"{name}.npy", p_malignant))
    columns = ["path", "label", "slide_id", "mpp", "map", "p_malignant"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "patches.csv", index=False)
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    return folder


def judged(tables, folder, *assignments, workers=2):
    """Run a study without drawing its report, which takes longest; returns the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saliency_stats.study.study._draw", lambda *_: None)
        study = Study(load(tables / "study.yaml", assignments))
        return study.run(folder, workers=workers, progress=QUIET)


@pytest.fixture(scope="module")
def run(tables):
    return judged(tables, tables / "run", workers=1)


def test_the_cytoplasm_itself_is_supported_and_the_ladder_says_what_was_not_asked(run):
    for verdict in run.verdict:
        assert verdict["status"] == "supported"
        answers = {rung["rung"]: rung["answer"] for rung in verdict["survives"]}
        assert answers == dict.fromkeys(("maps", "picture", "place"), "yes") | dict.fromkeys(
            ("training", "method", "decision", "networks", "analyses"), "not tested"
        )
        why = {rung["rung"]: rung["why"] for rung in verdict["survives"]}
        assert why["training"] == (
            "the maps were made elsewhere: there is no network that learned nothing to compare with"
        )
    assert {verdict["label"] for verdict in run.verdict} == set(LABELS)


def test_probabilities_and_all_patches_are_taken_as_they_are(run, tables):
    listed = pd.read_csv(tables / "patches.csv")
    found = run.predictions.set_index("patch_id").loc[listed["path"]]
    # 0.8 of the true class is judged: no digit may be lost on the way
    np.testing.assert_array_equal(found["p_malignant"], listed["p_malignant"])
    assert found["correct"].all()
    assert (run.patches["split"] == "test").all()
    assert len(run.judged) == len(listed)
    (metric,) = run.scored.to_dict("records")
    assert (metric["balanced_accuracy"], metric["learned"]) == (1.0, True)


def test_what_was_not_run_left_nothing(run):
    assert not (run.folder / "weights").exists()
    assert run.training.empty
    assert run.ablation.empty
    assert set(run.ledger["model"]) == {"trained", "sobel", "haematoxylin", "eosin", "shift"}
    own = run.ledger[run.ledger["model"] == "trained"]
    assert set(own["method"]) == {"map"}
    assert set(own["reduction"]) == {"none"}


def test_the_maps_are_inputs_by_their_hashes(run, tables):
    names = set(run.inputs.loc[run.inputs["sha256"] != "", "name"])
    assert names == {"patches.csv", *(path.name for ending in ("npy", "png") for path in tables.glob(f"*.{ending}"))}
    recorded = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))
    assert recorded["study"]["saliency"]["methods"] == ["map"]
    assert recorded["methods"] == {"map": {"words": "map made elsewhere", "times_input": False}}


def test_the_report_says_where_the_maps_are_from(run):
    assert write_report(run.folder) == run.folder / "report.html"
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Classifier: outside this study (maps and probabilities from files)" in page
    assert "Saliency: map made elsewhere." in page
    assert "The maps were made elsewhere" in page
    assert "Training, the decision and other networks cannot be asked of maps made elsewhere" in page
    methods = (run.folder / "paper" / "methods.tex").read_text(encoding="utf-8")
    assert "The patches were classified, and the maps made, outside this study" in methods
    assert "There is one map of each patch (method: map made elsewhere)" in methods
    assert "logit" not in methods


def test_more_workers_and_a_stop_on_the_way_give_the_same_bytes(run, tables, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("saliency_stats.study.stages.conclude", lambda *_: pytest.fail("stopped"))
        with pytest.raises(pytest.fail.Exception, match="stopped"):
            judged(tables, tmp_path)
    again = judged(tables, tmp_path)
    for path in sorted(again.folder.glob("*.csv")):
        assert path.read_bytes() == (run.folder / path.name).read_bytes(), path.name


def test_a_patch_is_explained_while_its_map_is_the_one_that_was_read(run, tables, tmp_path):
    name = str(run.patches["patch_id"].iloc[0])
    assert explain_patch(run.folder, name, out=tmp_path / "one.png").is_file()
    with pytest.raises(CohortError, match=r"there is no model 'sobel' in .*; it has trained$"):
        explain_patch(run.folder, name, model="sobel")
    file = (tables / name).with_suffix(".npy")
    before = file.read_bytes()
    try:
        np.save(file, np.ones((SIZE, SIZE)))
        with pytest.raises(CohortError, match=rf"its map {file.name} is not the file that was read"):
            explain_patch(run.folder, name)
    finally:
        file.write_bytes(before)


NOISE = {
    "pixels": lambda rng: rng.exponential(size=(SIZE, SIZE)),
    "smooth": lambda rng: np.exp(gaussian_filter(rng.normal(size=(SIZE, SIZE)), 3) * 10),
    "tokens": lambda rng: rng.normal(size=(8, 8)),
}


@pytest.mark.parametrize("kind", NOISE)
def test_noise_is_never_supported(tables, tmp_path, kind):
    rng, listed = np.random.default_rng(5), pd.read_csv(tables / "patches.csv")
    names = [f"{kind}-{number}.npz" for number in range(len(listed))]
    for name in names:
        np.savez(tables / name, NOISE[kind](rng))
    listed.assign(map=names).to_csv(tables / f"{kind}.csv", index=False)
    # one picture is the least that "supported" asks for
    settings = (f"cohort.table={tables / kind}.csv", "saliency.signed=true", "controls=[sobel]")
    found = judged(tables, tmp_path, *settings)
    assert {verdict["status"] for verdict in found.verdict} <= {"inconclusive", "equivalent", "contradicted"}
    assert all(verdict["p_supported"] > 0.05 for verdict in found.verdict)
    assert found.words("methods", "map") == "map made elsewhere (signed; absolute values)"


def test_a_check_says_all_that_is_wrong_with_the_maps_and_computes_nothing(tables, tmp_path):
    listed = pd.read_csv(tables / "patches.csv")
    for name in listed["map"]:
        values = np.load(tables / name).astype(np.float32)
        np.save(tmp_path / name, values - 0.5)
        shutil.copy((tables / name).with_suffix(".png"), tmp_path)
    listed.to_csv(tmp_path / "patches.csv", index=False)
    (tmp_path / listed["map"][3]).unlink()
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    with pytest.raises(CohortError) as caught:
        list(preview(Study(load(tmp_path / "study.yaml")).settings, "cpu"))
    first, *rest = str(caught.value).splitlines()
    assert first == "32 faults:"
    assert "line 2: map " in rest[0]
    assert "negative values of 4096; expected none" in rest[0]
    assert "line 5: map " in rest[3]
    assert "is missing; expected a file .npy, .npz or .tif" in rest[3]
    assert rest[-1].strip() == "and 22 more"
    lines = list(preview(Study(load(tables / "study.yaml")).settings, "cpu"))
    assert any(line.startswith("no network is run: ") for line in lines)
    assert any("is not tested, and the verdict rests on the rest" in line for line in lines)
