"""A run goes on, or is believed, only with the files that it began with, and with its own files as it left them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency_stats import Run, Study
from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.errors import StorageError
from saliency_stats.execution.files import write_text
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.recorded import Recorded
from saliency_stats.study.stages import Stages

pytestmark = pytest.mark.usefixtures("small_densenets", "sketched")

STUDY = """\
name: images
cohort: {kind: patches, table: patches.csv}
classifier: {architecture: densenet121, weights: w.safetensors, trainable: head, epochs: 2, batch_size: 8}
saliency: {min_confidence: 0.5, batch_size: 4, keep: true}
compartments: {nuclei: classical}
causal: {replacements: []}
controls: [randomised, shuffled]
statistics: {bootstrap_draws: 2000, min_slides: 2}
report: {examples: 1}
"""


@pytest.fixture(scope="module")
def sketched():
    """Draws two files for the report: what figures show is tested elsewhere, and takes most of a run's time here."""

    def sketch(run):
        for name in ("figures/flow.png", "report.html"):
            write_text(run.folder / name, "drawn")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saliency_stats.report.write.write_report", sketch)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small_densenets) -> Path:
    """A study of images in files, with weights of its own."""
    from saliency_stats.classifier.building import initialise  # noqa: PLC0415  (of small networks)
    from saliency_stats.classifier.saved import save_weights  # noqa: PLC0415  (of small networks)

    folder = tmp_path_factory.mktemp("study")
    cohort = PhantomCohort(Phantom(size_px=64), PhantomCohortSize(6, 4), seed=1)
    lines = ["path,label,mpp,slide_id"]
    for row, place in enumerate(cohort.table.itertuples()):
        Image.fromarray(cohort.read(row).image).save(folder / f"{row:02d}.png")
        lines.append(f"{row:02d}.png,{place.label},0.5,{place.slide_id}")
    (folder / "patches.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    save_weights(initialise("densenet121", 4), folder / "w.safetensors")
    return folder


@pytest.fixture(scope="module")
def finished(folder, sketched, tmp_path_factory) -> Path:
    return Study.from_yaml(folder / "study.yaml").run(tmp_path_factory.mktemp("run") / "out", workers=1).folder


@pytest.fixture
def copied(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "out"))


@pytest.fixture
def inputs(folder, tmp_path, monkeypatch):
    """The files of the study, put back afterwards."""
    kept = shutil.copytree(folder, tmp_path / "kept")
    yield folder
    for path in folder.iterdir():
        path.unlink()
    for path in kept.iterdir():
        shutil.copy2(path, folder)


class Told(Progress):
    def __init__(self):
        super().__init__(show=False)
        self.told = []

    def say(self, text):
        self.told.append(text)


def again(folder, out):
    progress = Told()
    run = Study.from_yaml(folder / "study.yaml").run(out, workers=1, progress=progress)
    return run, progress.told


def content(out):
    """Everything that is computed, apart from times and what is drawn."""
    kept = [path for path in out.rglob("*") if path.suffix in {".csv", ".npz", ".safetensors"}]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in [*kept, out / "verdict.json"]}


def flip(path):
    Image.fromarray(np.asarray(Image.open(path))[::-1]).save(path)


def test_a_finished_run_names_its_inputs(folder, finished):
    table = Run(finished).table("inputs")
    weights = f"classifier.weights: {folder / 'w.safetensors'}"
    tissue = "compartments.cells: tissue.safetensors"
    assert table["name"].tolist() == sorted(["patches.csv", *(f"{n:02d}.png" for n in range(24)), weights, tissue])
    record = json.loads((finished / "manifest.json").read_text(encoding="utf-8"))
    assert set(record["inputs"]) == {"patches.csv", "inputs.csv"}
    identity = json.loads((finished / "work" / "identity.json").read_text(encoding="utf-8"))
    assert record["inputs"]["inputs.csv"] == record["artefacts"]["inputs.csv"] == identity["inputs"]
    assert {"read inputs", "report"} <= set(record["seconds"])


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        ("07.png", flip, r"\(1 of 27 files\): 07\.png has changed"),
        ("07.png", Path.unlink, r"\(1 of 27 files\): 07\.png is gone\. Put them back"),
        (
            "w.safetensors",
            lambda path: path.write_bytes(path.read_bytes() + b" "),
            r"classifier\.weights: \S+ has changed",
        ),
        (
            "patches.csv",
            lambda path: path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8"),
            r"patches\.csv has changed \(\S+ bytes",
        ),
    ],
)
def test_the_verdict_of_other_inputs_is_not_given(inputs, copied, name, change, found):
    before = content(copied)
    change(inputs / name)
    with pytest.raises(StorageError, match=f"have changed since it began .*{found}"):
        again(inputs, copied)
    assert content(copied) == before


def test_with_the_inputs_back_the_old_verdict_is_given(folder, copied):
    changed = (copied / "manifest.json").stat().st_mtime_ns
    run, told = again(folder, copied)
    assert told == [f"{copied} holds this study, finished; --fresh would compute it again"]
    assert run.verdict
    assert (copied / "manifest.json").stat().st_mtime_ns == changed


def test_fresh_computes_what_the_inputs_are_now(inputs, copied):
    before = content(copied)
    flip(inputs / "07.png")
    Study.from_yaml(inputs / "study.yaml").run(copied, workers=1, fresh=True)
    assert content(copied)["inputs.csv"] != before["inputs.csv"]


# --- a finished run that is not as it was left ------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["ledger.csv", "verdict.json", "study.yaml", "weights/trained-20x.safetensors", "maps/000000.npz"]
)
def test_a_finished_run_that_was_changed_is_refused(folder, copied, name):
    path = copied / name
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(StorageError, match=rf"is not as the run left it: {name} (ends|has changed)"):
        again(folder, copied)


@pytest.mark.parametrize(
    "lost",
    [
        ("ledger.csv", "verdict.json", "weights/trained-20x.safetensors"),
        ("manifest.json", "contrasts.csv"),
        ("maps", "examples", "study.yaml", "work/training-20x.parquet", "work/seals"),
        ("inputs.csv", "patches.csv", "weights"),
    ],
)
def test_what_is_missing_is_computed_again_to_the_same_bytes(folder, finished, copied, lost):
    for name in lost:
        path = copied / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    run, told = again(folder, copied)
    assert content(copied) == content(finished)
    assert Recorded(copied).hashes.keys() == Recorded(finished).hashes.keys()
    assert Recorded(copied).missing() == []
    assert run.verdict == Run(finished).verdict
    if "ledger.csv" in lost:
        assert any("lacks what its run wrote (ledger.csv; verdict.json; weights/" in line for line in told)


def test_what_was_only_drawn_is_drawn_again(folder, copied, monkeypatch):
    (copied / "report.html").unlink()
    (copied / "figures" / "flow.png").unlink()
    changed = (copied / "manifest.json").stat().st_mtime_ns
    monkeypatch.setattr(Stages, "run", lambda *_: pytest.fail("computed again"))
    _, told = again(folder, copied)
    assert told == [f"{copied} lacks what its run wrote (figures/flow.png; report.html); it is written again"]
    assert (copied / "figures" / "flow.png").is_file()
    assert (copied / "report.html").is_file()
    assert (copied / "manifest.json").stat().st_mtime_ns == changed


def test_a_garbled_manifest_is_named(folder, copied):
    (copied / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(StorageError, match=r"manifest\.json cannot be read as JSON .*--fresh"):
        again(folder, copied)


# --- a run that was stopped -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped_run(folder, sketched, tmp_path_factory) -> Path:
    """A run that was stopped when its report was to be drawn: all it has measured is there."""

    def stop(*_):
        raise KeyboardInterrupt

    out = tmp_path_factory.mktemp("stopped") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saliency_stats.report.write.write_report", stop)
        with pytest.raises(KeyboardInterrupt):
            again(folder, out)
    return out


@pytest.fixture
def stopped(stopped_run, tmp_path) -> Path:
    return Path(shutil.copytree(stopped_run, tmp_path / "stopped"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("work/batches/000001/ledger.parquet", cut),
        ("work/batches/000001/ledger.parquet", Path.unlink),
        ("work/training-20x.parquet", cut),
        ("work/training-shuffled-20x.parquet", Path.unlink),
        ("weights/trained-20x.safetensors", cut),
        ("work/seals/*.json", cut),
        ("patches.csv", cut),
        ("maps/*.npz", cut),
        ("manifest.json", Path.unlink),
    ],
)
def test_what_was_damaged_while_it_was_stopped_is_computed_again(folder, finished, stopped, pattern, damage):
    assert not Recorded(stopped).finished
    found = list(stopped.glob(pattern))
    assert found
    for path in found:
        damage(path)
    again(folder, stopped)
    assert content(stopped) == content(finished)
    assert not (stopped / "work" / "batches").exists()


def test_a_run_that_was_stopped_goes_on_with_its_inputs_alone(inputs, stopped):
    flip(inputs / "11.png")
    with pytest.raises(StorageError, match=r"\(1 of 27 files\): 11\.png has changed"):
        again(inputs, stopped)


def test_a_run_that_was_stopped_can_be_read_and_is_checked(stopped):
    assert len(Run.read(stopped).contrasts)
    cut(stopped / "contrasts.csv")
    with pytest.raises(StorageError, match=r"contrasts\.csv ends in the middle of a line"):
        Run.read(stopped)
