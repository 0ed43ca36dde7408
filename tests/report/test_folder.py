"""What a run left in its folder is read as it left it, and checked."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from saliency_stats.errors import ReportError, StorageError, StudyError
from saliency_stats.report.run import Run
from saliency_stats.report.write import write_report


@pytest.fixture
def copied(small_folder: Path, tmp_path: Path) -> Path:
    """A run's folder that a test may spoil."""
    return Path(shutil.copytree(small_folder, tmp_path / "run"))


@pytest.mark.parametrize(
    ("file", "content", "error", "message"),
    [
        ("verdict.json", "{", StorageError, r"verdict\.json cannot be read as JSON .* a list\. Run the study again"),
        ("verdict.json", "[1]", ReportError, r"verdict\.json holds something else"),
        ("verdict.json", "{}", StorageError, r"verdict\.json holds a dict, expected a list\. Run the study again"),
        ("study.yaml", "- a", StudyError, "holds a list"),
        ("ledger.csv", "patch_id\n", StorageError, r"ledger\.csv: the columns slide_id, .* are missing"),
    ],
)
def test_reading_checks_everything(
    copied: Path, file: str, content: str, error: type, message: str, record: Callable[[Path], Path]
) -> None:
    (copied / file).write_text(content, encoding="utf-8")
    with pytest.raises(StorageError, match=rf"is not as the run left it: {file} "):
        Run.read(copied)
    # of a version that wrote so
    with pytest.raises(error, match=message):
        Run.read(record(copied))


def test_all_that_is_damaged_is_named_at_once(copied: Path) -> None:
    (copied / "ledger.csv").write_text("", encoding="utf-8")
    (copied / "study.yaml").unlink()
    next((copied / "examples").iterdir()).write_bytes(b"x")
    for read in (lambda: Run.read(copied), lambda: write_report(copied)):
        with pytest.raises(
            StorageError, match=r"examples/\S+npz has changed .*; ledger\.csv is empty .*; study\.yaml is"
        ):
            read()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("ledger.csv", lambda run: run.ledger),
        ("study.yaml", lambda run: run.settings),
        ("verdict.json", lambda run: run.verdict),
        ("examples/000_trained.npz", lambda run: run.example("000_trained.npz")),
    ],
)
def test_what_is_read_later_is_checked_too(copied: Path, name: str, read: Callable[[Run], object]) -> None:
    run = Run(copied)
    read(run)
    with (copied / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(StorageError, match=rf"{name} "):
        read(Run(copied))


def test_what_no_report_reads_may_be_gone(copied: Path, record: Callable[[Path], Path]) -> None:
    for name in ("weights/trained-20x.safetensors", "maps/000000.npz", "figures/flow.png", "report.html"):
        (copied / name).parent.mkdir(exist_ok=True)
        (copied / name).write_text("x", encoding="utf-8")
    record(copied)
    for name in ("weights", "maps", "figures"):
        shutil.rmtree(copied / name)
    Run.read(copied)


def test_a_table_that_the_run_did_not_write_is_not_its_own(copied: Path) -> None:
    (copied / "multiverse.csv").write_text("somebody's own\n", encoding="utf-8")
    assert Run.read(copied).multiverse.empty


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere: no such folder; give the folder that `saliency-stats run` wrote"):
        Run.read(tmp_path / "nowhere")


def test_changed_tables_are_typed_and_the_others_stay(small_folder: Path) -> None:
    run = Run.read(small_folder)
    other = run.changed(contrasts=run.contrasts.iloc[:2].assign(estimate="0.5"))
    assert other.contrasts["estimate"].tolist() == [0.5, 0.5]
    assert len(run.contrasts) > 2
    assert other.ledger is run.ledger
    with pytest.raises(StorageError, match="contrasts: the columns label"):
        run.changed(contrasts=run.contrasts[["contrast"]])


def test_an_example_is_read_from_the_runs_folder_alone(copied: Path, tmp_path: Path) -> None:
    run = Run.read(copied)
    file = run.examples["file"].iloc[0]
    arrays = run.example(file)
    assert arrays["image"].shape == (*arrays["saliency"].shape, 3)
    assert arrays["compartments"].shape == arrays["saliency"].shape
    shutil.copy(copied / "examples" / file, tmp_path / "outside.npz")
    with pytest.raises(StorageError, match=r"examples/outside\.npz is not among the artefacts"):
        run.example("../../outside.npz")
    with pytest.raises(StorageError, match=r"this example of the run: \S+outside\.npz cannot be read .*--fresh"):
        Run(copied, record={}).example("../../outside.npz")
