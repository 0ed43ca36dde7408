"""A run's folder holds files and folders where a run has them, and no way out."""

import os

import pytest

from saliency_stats.errors import StorageError
from saliency_stats.execution.layout import check_layout
from saliency_stats.execution.schema import FILES, FOLDERS, TABLES


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    for name in (*FOLDERS, "work/batches/000000", "explain"):
        (folder / name).mkdir(parents=True)
    for name in (*FILES, *(f"{table}.csv" for table in TABLES), "ledger.parquet", "manifest.json", "notes.txt"):
        (folder / name).write_text("", encoding="utf-8")
    return folder


def refused(folder):
    with pytest.raises(StorageError) as caught:
        check_layout(folder)
    return str(caught.value)


def test_a_run_a_new_folder_and_one_that_is_not_there(run, tmp_path):
    (tmp_path / "new").mkdir()
    for folder in (run, tmp_path / "new", tmp_path / "nowhere"):
        check_layout(folder)


@pytest.mark.parametrize("name", ["manifest.json", "ledger.csv", "ledger.parquet", "study.yaml", "report.html"])
def test_a_folder_for_a_file(run, name):
    (run / name).unlink()
    (run / name).mkdir()
    message = refused(run)
    assert message.startswith(f"{run} is not laid out as a run's folder is: {name} is a folder, expected a file. Not")
    assert "move them away, or choose another folder with --out" in message


@pytest.mark.parametrize("name", [*FOLDERS, "explain", "work"])
def test_a_file_for_a_folder(run, name):
    (run / name).rename(run.parent / "away")
    (run / name).write_text("", encoding="utf-8")
    assert f": {name} is a file, expected a folder. Nothing was changed" in refused(run)


@pytest.mark.posix("symbolic links")
@pytest.mark.parametrize("name", ["figures", "explain", "work", "work/batches", "work/batches/000000"])
def test_a_link_that_leads_out(run, tmp_path, name):
    (run / name).rename(tmp_path / "elsewhere")
    (run / name).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert f": {name} is a link to {tmp_path / 'elsewhere'}, expected a folder of its own." in refused(run)


def test_a_junction_leads_out_like_a_link(run, tmp_path, monkeypatch):
    """Windows has folders that lie elsewhere and are no symbolic links: only where they really lie tells."""
    real = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path, **_: real(tmp_path if path == run / "figures" else path))
    assert f": figures is a link to {tmp_path}, expected a folder of its own." in refused(run)


@pytest.mark.posix("symbolic links")
def test_links_that_lead_nowhere_else(run, tmp_path):
    """Into the run itself; below a folder of the user's own; a table, which is replaced and never written through."""
    (run / "paper").rmdir()
    (run / "paper").symlink_to(run / "figures", target_is_directory=True)
    (run / "mine").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "kept.csv").write_text("", encoding="utf-8")
    (run / "ledger.csv").unlink()
    (run / "ledger.csv").symlink_to(tmp_path / "kept.csv")
    check_layout(run)
    # the folder itself may be a link
    (tmp_path / "link").symlink_to(run, target_is_directory=True)
    check_layout(tmp_path / "link")


@pytest.mark.posix("symbolic links")
def test_all_that_is_wrong_is_said(run, tmp_path):
    for name in ("ledger.csv", "verdict.json"):
        (run / name).unlink()
        (run / name).mkdir()
    (run / "maps").rmdir()
    (run / "maps").symlink_to(tmp_path, target_is_directory=True)
    message = refused(run)
    assert (
        "ledger.csv is a folder, expected a file; verdict.json is a folder, expected a file; maps is a link" in message
    )
