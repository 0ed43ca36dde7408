"""A pre-registration is found, checked, carried into the run's folder, and compared with the run."""

import json
import re
import shutil
from pathlib import Path

import pytest

from saliency_stats import Study
from saliency_stats import settings as study_file
from saliency_stats.commands.preregister import preregister
from saliency_stats.errors import StorageError, StudyError
from saliency_stats.execution.recorded import Recorded
from saliency_stats.report.run import Run
from saliency_stats.settings import StudySettings
from saliency_stats.study import registration
from saliency_stats.study.registration import FILE, Registration, decisive, note_results, results_since

TABLE = "path,label,mpp,slide_id\na.png,benign,0.5,s1\nb.png,malignant,0.5,s2\n"
STUDY = "name: mine\ncohort: {kind: patches, table: lists/patches.csv}\nstatistics: {alpha: 0.01}\n"
EARLY, LATE = "2020-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    (folder / "lists").mkdir()
    (folder / "lists/patches.csv").write_text(TABLE, encoding="utf-8")
    path = folder / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    assert preregister(path) == registration.path_of(path) == folder / "study.preregistration.md"
    return path


@pytest.fixture
def study(first: Path, tmp_path: Path) -> Path:
    """A study file that was registered, in another place: its folder was moved."""
    return shutil.copytree(first.parent, tmp_path / "s") / first.name


def differences(path: Path, *assignments: str) -> list[list[object]]:
    found = Registration.beside(path)
    assert found is not None
    return found.compared(study_file.load(path, assignments), None)["differences"]


def test_a_study_without_one_has_none(tmp_path):
    assert Registration.beside(None) is None
    assert Registration.beside(tmp_path / "study.yaml") is None


def test_what_is_registered_is_the_study(study):
    found = Registration.beside(study)
    assert decisive(found.settings) == decisive(study_file.load(study))
    assert found.settings.statistics.alpha == 0.01
    assert differences(study) == []
    assert found.sha256 in found.text.splitlines()[-1]


def test_what_decides_nothing_may_change_and_what_decides_may_not(study):
    idle = ("name=other", "report.examples=1", "cohort.cache_mb=1", "saliency.batch_size=2", "saliency.keep=true")
    assert differences(study, *idle) == []
    assert differences(study, "statistics.alpha=0.05", "controls=[]", "classifier.batch_size=2") == [
        ["classifier.batch_size", 32, 2],
        ["controls", ["randomised", "sobel", "haematoxylin", "eosin", "shift"], []],
        ["statistics.alpha", 0.01, 0.05],
    ]
    assert differences(study, "cohort.classes={healthy: [benign], ill: [malignant]}")[0][:2] == ["cohort.classes", {}]


def test_a_key_that_one_of_them_lacks_is_told(study):
    study.write_text("cohort: {kind: phantom}\nstatistics: {alpha: 0.01}\n", encoding="utf-8")
    found = {key: (before, now) for key, before, now in differences(study)}
    assert found["cohort.signal"] == ("not there", "cytoplasm")
    assert found["cohort.root"] == (None, "not there")
    assert found["contents of cohort.table"][1] == ""


def test_another_list_of_patches_is_a_difference(study):
    (study.parent / "lists/patches.csv").write_text(TABLE + "c.png,benign,0.5,s3\n", encoding="utf-8")
    ((key, before, now),) = differences(study)
    assert key == "contents of cohort.table"
    assert len(before) == len(now) == 64


def test_another_version_is_a_difference(study, monkeypatch):
    monkeypatch.setattr(registration, "__version__", "99.0")
    assert [pair[0] for pair in differences(study)] == ["version of saliency-stats"]


def test_line_ends_of_another_system_are_no_change(study):
    path = registration.path_of(study)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert differences(study) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("alpha: 0.01", "alpha: 0.05"),
        ("## 1. Hypotheses", "## 1. Ideas"),
        ("SHA-256 of everything", "SHA256 of everything"),
        (r"`[0-9a-f]{64}`\n\Z", f"`{64 * '0'}`\n"),
        (r"\n[^\n]+\n\Z", "\n"),
        (r"\Z", "A line of my own.\n"),
    ],
)
def test_one_that_was_changed_is_refused(study, old, new):
    path = registration.path_of(study)
    text = path.read_text(encoding="utf-8")
    changed = re.sub(old, new, text, count=1)
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(StudyError, match=r"study\.preregistration\.md was changed after it was registered.*init"):
        Study.from_yaml(study)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "cannot be read"),
        (registration.sealed("no block\n").encode(), "holds no study"),
        (registration.sealed("```yaml\nversion: 1\n```\n").encode(), "holds no study.*registered"),
        (registration.sealed("```yaml\n[\n```\n").encode(), "holds no study"),
    ],
)
def test_one_that_cannot_be_read_is_refused(study, content, message):
    registration.path_of(study).write_bytes(content)
    with pytest.raises(StudyError, match=rf"(?s)preregistration\.md {message}.*Put back what was registered"):
        Registration.beside(study)


def test_results_that_were_there_before_are_told(study):
    found = Registration.beside(study)
    for since, told in ((None, None), (LATE, None), (found.registered, None), (EARLY, EARLY)):
        assert found.compared(study_file.load(study), since)["results_since"] == told


def test_first_results_are_noted_once(tmp_path):
    assert results_since(tmp_path) is None
    note_results(tmp_path)
    first = results_since(tmp_path)
    assert EARLY < first < LATE
    note_results(tmp_path, EARLY)
    assert results_since(tmp_path) == first
    note_results(tmp_path / "other", EARLY)
    assert results_since(tmp_path / "other") == EARLY


def test_a_list_that_cannot_be_read_is_refused(tmp_path):
    settings = StudySettings(cohort={"kind": "slides", "table": tmp_path / "none.csv"})
    with pytest.raises(StudyError, match=r"cohort\.table: .*none\.csv cannot be read \(No such file"):
        registration.list_sha256(settings)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Run a phantom study whose stages compute nothing: what is recorded and told beside is all there is."""

    def measured(stages, record, engine=None, *, judge=True):
        note_results(stages.store.folder)
        return Run(stages.store.folder, {}, record)

    drawn = []
    monkeypatch.setattr("saliency_stats.study.stages.Stages.run", measured)
    monkeypatch.setattr(Run, "read", classmethod(lambda cls, folder: cls(folder)))
    monkeypatch.setattr("saliency_stats.report.write.write_report", lambda run: drawn.append(_page(run)))
    study = tmp_path / "study.yaml"
    study.write_text("cohort: {slides: 3, patches_per_slide: 2, size_px: 32}\ncontrols: []\n", encoding="utf-8")

    def run(*assignments, fresh=False):
        Study.from_yaml(study, assignments).run(tmp_path / "run", device="cpu", fresh=fresh)
        return Recorded(tmp_path / "run").manifest.get("registration")

    return study, run, drawn


def _page(run):
    (run.folder / "report.html").write_text(json.dumps(run.recorded("registration", None)), encoding="utf-8")
    return run.recorded("registration", None)


def test_a_run_records_what_it_kept_and_goes_on_with_it(runs, tmp_path, capsys):
    study, run, drawn = runs
    text = preregister(study).read_text(encoding="utf-8")
    first = run()
    assert (first["differences"], first["results_since"]) == ([], None)
    assert "The run kept to it." in capsys.readouterr().err
    assert (tmp_path / "run" / FILE).read_text(encoding="utf-8") == text
    assert FILE in Recorded(tmp_path / "run").hashes
    # again, drawn again, and anew: the same
    assert run() == first
    (tmp_path / "run/report.html").unlink()
    assert run() == first
    assert run(fresh=True) == first
    assert drawn == [first, first, first]


def test_an_override_differs(runs):
    study, run, _ = runs
    preregister(study)
    assert run("statistics.equivalence_margin=0.2")["differences"] == [["statistics.equivalence_margin", 0.1, 0.2]]


@pytest.mark.parametrize(("stopped", "fresh"), [(False, False), (False, True), (True, False)])
def test_what_was_registered_after_the_results_is_told_as_such(runs, tmp_path, stopped, fresh, monkeypatch):
    study, run, drawn = runs
    assert run() is None
    if stopped:
        (tmp_path / "run/manifest.json").unlink()
    since = results_since(tmp_path / "run")
    monkeypatch.setattr("saliency_stats.commands.preregister.now", lambda: LATE)
    preregister(study)
    assert run(fresh=fresh)["results_since"] == since
    assert run()["results_since"] == since
    assert [found and found["results_since"] for found in drawn] == [None, since]


def test_a_run_that_goes_on_needs_the_registration_that_it_began_with(runs, tmp_path):
    study, run, _ = runs
    path = preregister(study)
    run()
    text = path.read_text(encoding="utf-8")
    path.unlink()
    with pytest.raises(StorageError, match=rf"began with the pre-registration .*{FILE}, and .* there is none.*--fresh"):
        run()
    path.write_text(registration.sealed(f"{text[:20]}\n{text.rpartition(chr(10) + 'SHA')[0]}"), encoding="utf-8")
    with pytest.raises(StorageError, match="there is another one"):
        run()
    path.write_text(text, encoding="utf-8")
    (tmp_path / "run" / FILE).write_bytes(b"\xff")
    with pytest.raises(StorageError, match=r"preregistration\.md cannot be read"):
        run()
