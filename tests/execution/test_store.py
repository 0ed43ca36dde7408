"""A run's folder: one study, one writer, and nothing of anybody else's."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StorageError
from saliency_stats.execution import store as module
from saliency_stats.execution.files import write_text
from saliency_stats.execution.inputs import fingerprints
from saliency_stats.execution.manifest import sha256
from saliency_stats.execution.schema import TABLES, artefacts
from saliency_stats.execution.store import Store

IDENTITY = {"study": {"name": "a", "seed": 0}, "device": "cpu", "versions": {"numpy": "2.0"}}
NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def kept(store, name, compute):
    store.compute_once(name, compute)
    return {key: table.to_pandas() for key, table in store.read_batch(name).items()}


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def opened(folder, identity=IDENTITY, *, fresh=False):
    return Store(folder).opened(identity, fresh=fresh)


def refused(folder, identity=IDENTITY, **kwargs):
    with pytest.raises(StorageError) as caught, opened(folder, identity, **kwargs):
        pytest.fail("the folder was opened")
    return str(caught.value)


# --- the folder and its owner -----------------------------------------------------------------------


@pytest.mark.parametrize("made", [True, False])
def test_a_new_or_empty_folder_is_taken(tmp_path, made):
    folder = tmp_path / "reports" / "run"
    if made:
        folder.mkdir(parents=True)
    with opened(folder):
        assert json.loads((folder / "work" / "identity.json").read_text(encoding="utf-8")) == IDENTITY
    with opened(folder):
        pass


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize(
    "name", ["thesis.tex", "paper/methods.tex", "work/notes.txt", "report.html", "ledger.csv", "work"]
)
def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(tmp_path, name, fresh):
    """Many names of artefacts are anybody's: `--fresh` must not delete somebody's paper."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine", encoding="utf-8")
    before = names(tmp_path)
    message = refused(tmp_path, fresh=fresh)
    assert str(tmp_path) in message
    if name != "work":
        assert "is not empty and holds no run of saliency-stats (found " in message
        assert "new or empty folder" in message
    assert names(tmp_path) == before
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


def test_a_run_stopped_before_its_first_word_can_be_begun_again(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".lock").touch()
    (tmp_path / "work" / ".identity.json.partial").write_text("{", encoding="utf-8")
    with opened(tmp_path):
        pass


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("", encoding="utf-8")
    assert "cannot be written" in refused(tmp_path / "run")


@pytest.mark.parametrize(
    ("identity", "found"),
    [
        (IDENTITY | {"study": {"name": "a", "seed": 1}}, "study.seed was 0 and is now 1. Choose"),
        (IDENTITY | {"study": {"name": "b", "seed": 1}}, "study.name was 'a' and is now 'b' (2 differences)"),
        (IDENTITY | {"versions": {"numpy": "2.0", "a": 1}}, "versions.a was 'absent' and is now 1"),
        ({"study": IDENTITY["study"], "device": "cpu"}, "versions.numpy was '2.0' and is now 'absent'"),
        (IDENTITY | {"study": {"name": "a", "seed": None}}, "study.seed was 0 and is now None"),
    ],
)
def test_another_study_is_refused_by_what_differs(tmp_path, identity, found):
    with opened(tmp_path):
        write_text(tmp_path / "ledger.csv", "a\n")
    before = names(tmp_path)
    message = refused(tmp_path, identity)
    assert f"{tmp_path} holds another study: {found}" in message
    assert "--fresh" in message
    assert names(tmp_path) == before
    # the refusal changes nothing: the first study still owns the folder
    with opened(tmp_path):
        pass


def test_a_key_that_was_not_there_is_not_a_key_without_a_value(tmp_path):
    with opened(tmp_path):
        pass
    assert "more was 'absent' and is now None" in refused(tmp_path, IDENTITY | {"more": None})


def test_paths_and_numbers_of_numpy_make_no_other_study(tmp_path):
    with opened(tmp_path, {"table": Path("/a.csv"), "seed": np.int64(3), "fractions": (0.5, 0.5)}):
        pass
    with opened(tmp_path, {"table": "/a.csv", "seed": 3, "fractions": [0.5, 0.5]}):
        pass


def test_one_run_at_a_time(tmp_path):
    with opened(tmp_path):
        message = refused(tmp_path)
        assert f"another run is writing to {tmp_path}; wait for it" in message
        assert "another run" in refused(tmp_path, fresh=True)
    with opened(tmp_path):
        pass


def test_the_lock_is_released_after_an_error_and_after_a_refusal(tmp_path):
    with pytest.raises(ZeroDivisionError), opened(tmp_path):
        raise ZeroDivisionError
    refused(tmp_path, IDENTITY | {"study": {}})
    with opened(tmp_path):
        pass


def test_a_lock_of_another_process(tmp_path):
    script = (
        "import sys, pathlib\n"
        "from saliency_stats.execution.store import Store\n"
        "with Store(pathlib.Path(sys.argv[1])).opened({'a': 1}, fresh=False):\n"
        "    print('locked', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        assert "another run is writing" in refused(tmp_path, {"a": 1})
        other.kill()
    # a killed run leaves no lock behind
    with opened(tmp_path, {"a": 1}):
        pass


def test_a_run_fits_or_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    Store(tmp_path).check_space(10**6)
    with pytest.raises(StorageError, match=r"no disk space for .*needs about 1 MB and 1 MB are free"):
        Store(tmp_path).check_space(10**6 + 1)


# --- tables of the inputs ---------------------------------------------------------------------------


def selection(n):
    return TABLES["selection"].empty().reindex([0]).assign(label="benign", step="used", magnification=20.0, n_patches=n)


def test_inputs_that_are_the_same_are_read_and_not_written(tmp_path):
    store = Store(tmp_path)
    first = store.write_once("selection", selection(1.0))
    before = (tmp_path / "selection.csv").stat()
    pd.testing.assert_frame_equal(store.write_once("selection", selection(1.0)), first)
    assert (tmp_path / "selection.csv").stat().st_mtime_ns == before.st_mtime_ns


def test_a_table_of_the_inputs_that_was_damaged_is_written_again(tmp_path):
    store = Store(tmp_path)
    store.write_once("selection", selection(1.0))
    before = (tmp_path / "selection.csv").read_bytes()
    for damage in (lambda path: path.write_bytes(before[:-4]), Path.unlink):
        damage(tmp_path / "selection.csv")
        store.write_once("selection", selection(1.0))
        assert (tmp_path / "selection.csv").read_bytes() == before
        assert store.is_sealed("selection")


def test_inputs_that_have_changed_are_refused_and_what_was_there_stays(tmp_path):
    """The CSV and the Parquet file beside it: they were overwritten before they were compared once."""
    store = Store(tmp_path)
    store.write_once("selection", selection(1.0))
    (tmp_path / "selection.parquet").write_bytes(b"as it was")
    before = (tmp_path / "selection.csv").read_bytes()
    with pytest.raises(StorageError, match=r"the patches have changed .*\(line 2 of selection\.csv\).*--fresh"):
        store.write_once("selection", selection(2.0))
    assert (tmp_path / "selection.csv").read_bytes() == before
    assert (tmp_path / "selection.parquet").read_bytes() == b"as it was"


# --- --fresh ----------------------------------------------------------------------------------------


def test_fresh_deletes_artefacts_and_nothing_else(tmp_path):
    with opened(tmp_path):
        for name in artefacts():
            if name != "work":
                write_text(tmp_path / name / "inner.txt" if "." not in name else tmp_path / name, "x")
        write_text(tmp_path / "work" / "batches" / "a" / "ledger.parquet", "x")
        (tmp_path / ".ledger.csv.partial").write_text("left by a killed run", encoding="utf-8")
        write_text(tmp_path / "notes.txt", "mine")
        write_text(tmp_path / "slides" / "ledger.csv", "mine")
    other = IDENTITY | {"study": {"name": "b"}}
    with opened(tmp_path, other, fresh=True):
        left = names(tmp_path)
    assert left == ["notes.txt", "slides", "slides/ledger.csv", "work", "work/.lock", "work/identity.json"]
    assert json.loads((tmp_path / "work" / "identity.json").read_text(encoding="utf-8")) == other


@pytest.mark.posix("symbolic links")
def test_fresh_follows_no_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    write_text(tmp_path / "elsewhere" / "a.png", "mine")
    run = tmp_path / "run"
    with opened(run):
        (run / "figures").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with opened(run, fresh=True):
        assert not (run / "figures").is_symlink()
    assert (tmp_path / "elsewhere" / "a.png").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("stop", range(5))
def test_fresh_that_was_stopped_can_be_given_again(tmp_path, monkeypatch, stop):
    """The identity goes last: a folder half deleted must still be known as a run's."""
    with opened(tmp_path):
        write_text(tmp_path / "work" / "batches" / "a.txt", "x")
        for name in ("figures/a.png", "patches.csv", "report.html"):
            write_text(tmp_path / name, "x")
    remove, removed = module._remove, []

    def stopping(path):
        if path.exists():
            removed.append(path.name)
        if len(removed) > stop:
            raise KeyboardInterrupt
        remove(path)

    monkeypatch.setattr(module, "_remove", stopping)
    with pytest.raises(KeyboardInterrupt), opened(tmp_path, fresh=True):
        pytest.fail("not stopped")
    assert len(removed) == stop + 1
    monkeypatch.setattr(module, "_remove", remove)
    with opened(tmp_path, fresh=True):
        assert names(tmp_path) == ["work", "work/.lock", "work/identity.json"]


def test_without_fresh_everything_stays(tmp_path):
    with opened(tmp_path):
        write_text(tmp_path / "ledger.csv", "x")
    with opened(tmp_path):
        assert (tmp_path / "ledger.csv").read_text(encoding="utf-8") == "x"


# --- once -------------------------------------------------------------------------------------------


def batch_tables():
    return {
        "ledger": pd.DataFrame(
            {"patch_id": ["007", ""], "share": [0.1 + 0.2, np.nan], "n": np.array([1, 2], np.int32)}
        ),
        "profile": pd.DataFrame({"distance_um": np.array([0.1, 1e-30], np.float32)}),
    }


def test_a_batch_is_computed_once(tmp_path):
    store, calls = Store(tmp_path), []

    def compute():
        calls.append(1)
        return batch_tables()

    first, second = kept(store, "a", compute), kept(Store(tmp_path), "a", compute)
    assert len(calls) == 1
    assert sorted(first) == sorted(second) == ["ledger", "profile"]
    for name, table in batch_tables().items():
        pd.testing.assert_frame_equal(first[name], second[name])
        pd.testing.assert_frame_equal(first[name], table, check_dtype=False)
        assert first[name].select_dtypes("number").dtypes.equals(table.select_dtypes("number").dtypes)


def test_batches_do_not_see_each_other(tmp_path):
    store = Store(tmp_path)
    store.compute_once("a", batch_tables)
    other = kept(store, "b", lambda: {"nuclei": pd.DataFrame({"n": [5]})})
    assert list(other) == ["nuclei"]
    assert names(tmp_path / "work" / "batches") == [
        "a", "a/ledger.parquet", "a/profile.parquet", "a/seal.json", "b", "b/nuclei.parquet", "b/seal.json",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_crash_while_computing_stores_nothing(tmp_path, error):
    store = Store(tmp_path)

    def crash():
        raise error

    with pytest.raises(error):
        store.compute_once("a", crash)
    assert not (tmp_path / "work" / "batches" / "a").exists()
    assert len(kept(store, "a", batch_tables)["ledger"]) == 2


def test_killed_between_two_tables_the_batch_is_computed_again(tmp_path):
    """Half a batch on disk, as `kill -9` leaves it, must not pass for a whole one."""
    half = tmp_path / "work" / "batches" / ".a.partial"
    half.mkdir(parents=True)
    pd.DataFrame({"wrong": [1]}).to_parquet(half / "wrong.parquet")
    (half / "ledger.parquet").write_bytes(b"PAR1 half a fi")
    assert sorted(kept(Store(tmp_path), "a", batch_tables)) == ["ledger", "profile"]


def test_what_was_begun_by_killed_processes_is_swept_when_the_run_goes_on(tmp_path):
    with opened(tmp_path):
        pass
    for name in ("work/batches/.a.0f.partial/ledger.parquet", "weights/.b.0f.partial", ".ledger.csv.0f.partial"):
        write_text(tmp_path / name, "half")
    for name in (".notes.0f.partial", "notes/.mine.0f.partial", "weights/.hidden", "weights/c.partial"):
        write_text(tmp_path / name, "mine")
    with opened(tmp_path):
        left = [name for name in names(tmp_path) if (tmp_path / name).is_file() and not name.startswith("work/")]
        assert left == [".notes.0f.partial", "notes/.mine.0f.partial", "weights/.hidden", "weights/c.partial"]
        assert names(tmp_path / "work" / "batches") == []


def test_of_two_workers_with_one_batch_the_first_keeps_it(tmp_path):
    """One that was taken for dead goes on: what the other has finished, and may be read now, stays untouched."""
    store = Store(tmp_path)

    def overtaken():
        store.compute_once("a", batch_tables)
        before.append((tmp_path / "work" / "batches" / "a" / "ledger.parquet").stat().st_ino)
        return batch_tables()

    before = []
    store.compute_once("a", overtaken)
    assert [(tmp_path / "work" / "batches" / "a" / "ledger.parquet").stat().st_ino] == before
    assert names(tmp_path / "work" / "batches") == ["a", "a/ledger.parquet", "a/profile.parquet", "a/seal.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda batch: (batch / "ledger.parquet").write_bytes((batch / "ledger.parquet").read_bytes()[:-100]),
        lambda batch: (batch / "ledger.parquet").write_bytes(b""),
        lambda batch: (batch / "ledger.parquet").write_bytes(b"PAR1" + bytes(400) + b"PAR1"),
        lambda batch: (batch / "profile.parquet").unlink(),
        lambda batch: pd.DataFrame({"wrong": [1]}).to_parquet(batch / "ledger.parquet"),
        lambda batch: (batch / "seal.json").write_text("{", encoding="utf-8"),
        lambda batch: (batch / "seal.json").unlink(),
        lambda batch: (shutil.rmtree(batch), batch.write_text("a file for a folder", encoding="utf-8")),
        lambda batch: (shutil.rmtree(batch), batch.mkdir()),
        pytest.param(
            lambda batch: (shutil.rmtree(batch), batch.symlink_to(batch)), marks=pytest.mark.posix("symbolic links")
        ),
    ],
)
def test_a_damaged_batch_is_computed_again_and_comes_out_the_same(tmp_path, damage):
    store, calls = Store(tmp_path), []

    def compute():
        calls.append(1)
        return batch_tables()

    batch = tmp_path / "work" / "batches" / "a"
    first = kept(store, "a", compute)
    before = {path.name: path.read_bytes() for path in batch.iterdir()}
    damage(batch)
    second = kept(Store(tmp_path), "a", compute)
    assert len(calls) == 2
    assert {path.name: path.read_bytes() for path in batch.iterdir()} == before
    for name, table in first.items():
        pd.testing.assert_frame_equal(second[name], table)


def test_a_file_that_is_no_part_of_a_batch_is_not_read(tmp_path):
    store = Store(tmp_path)
    store.compute_once("a", batch_tables)
    pd.DataFrame({"stray": [1]}).to_parquet(tmp_path / "work" / "batches" / "a" / "stray.parquet")
    assert sorted(store.read_batch("a")) == ["ledger", "profile"]
    assert list(store.read_batch("a", "profile".__eq__)) == ["profile"]


def test_a_batch_that_is_damaged_while_the_run_goes_on_is_named(tmp_path):
    store = Store(tmp_path)
    for damage in (lambda path: path.write_bytes(b"x"), Path.unlink):
        store.compute_once("a", batch_tables)
        damage(tmp_path / "work" / "batches" / "a" / "ledger.parquet")
        with pytest.raises(
            StorageError, match=r"batches/a was changed by something else .* give the same command again"
        ):
            store.read_batch("a")


def test_a_seal_is_of_the_runs_files(tmp_path):
    store = Store(tmp_path)
    write_text(tmp_path / "weights" / "w.bin", "trained")
    assert not store.is_sealed("training")
    store.seal("training", [tmp_path / "weights" / "w.bin"])
    assert store.is_sealed("training")
    assert names(tmp_path / "work") == ["seals", "seals/training.json"]
    (tmp_path / "weights" / "w.bin").write_text("train", encoding="utf-8")
    assert not store.is_sealed("training")


# --- the inputs -------------------------------------------------------------------------------------


def described(tmp_path, **content):
    folder = tmp_path / "inputs"
    folder.mkdir(exist_ok=True)
    for name, text in content.items():
        (folder / name).write_text(text, encoding="utf-8")
    return fingerprints({name: folder / name for name in content})


def test_a_run_goes_on_with_the_files_it_began_with(tmp_path):
    run, files = tmp_path / "run", described(tmp_path, a="1", b="2")
    store = Store(run)
    with store.opened(IDENTITY, fresh=False):
        digest = store.check_inputs(files)
        assert digest == sha256(run / "inputs.csv")
        assert json.loads((run / "work" / "identity.json").read_text(encoding="utf-8")) == {
            **IDENTITY,
            "inputs": digest,
        }
        write_text(run / "patches.csv", "x")
    before = (run / "inputs.csv").stat().st_mtime_ns
    with store.opened(IDENTITY, fresh=False):
        assert store.check_inputs(files) == digest
    assert (run / "inputs.csv").stat().st_mtime_ns == before
    # the same files again after the table was lost or cut: it is written again
    for damage in (lambda path: path.write_text("name,si", encoding="utf-8"), Path.unlink):
        damage(run / "inputs.csv")
        with store.opened(IDENTITY, fresh=False):
            assert store.check_inputs(files) == digest
        assert sha256(run / "inputs.csv") == digest


def test_files_that_have_changed_are_refused_by_name(tmp_path):
    run, content = tmp_path / "run", {f"{n:02d}": "1" for n in range(14)}
    store = Store(run)
    with store.opened(IDENTITY, fresh=False):
        store.check_inputs(described(tmp_path, **content))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(StorageError) as caught, store.opened(IDENTITY, fresh=False):
        store.check_inputs(described(tmp_path, **{**content, "03": "other", "07": "2"}))
    message = str(caught.value)
    assert f"the files that the run in {run} reads have changed since it began (2 of 14 files): " in message
    assert "03 has changed (1 bytes, now 5); 07 has changed. Put them back as they were; or choose another" in message
    assert message.endswith("or give --fresh to delete that run and start again")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    with pytest.raises(StorageError, match=r"\(14 of 14 files\): 00 has changed.* 09 has changed and 4 more\. Put"):
        store.check_inputs(described(tmp_path, **dict.fromkeys(content, "2")))
    with store.opened(IDENTITY, fresh=True):
        store.check_inputs(described(tmp_path, a="2"))


def test_what_changed_cannot_be_named_without_the_table(tmp_path):
    store = Store(tmp_path / "run")
    for damage in (lambda path: path.write_text("name,si", encoding="utf-8"), Path.unlink):
        with store.opened(IDENTITY, fresh=True):
            store.check_inputs(described(tmp_path, a="1"))
        damage(tmp_path / "run" / "inputs.csv")
        with pytest.raises(
            StorageError, match=r"since it began \(1 files\): inputs\.csv, which would tell which, is missing"
        ):
            store.check_inputs(described(tmp_path, a="2"))


def test_a_run_that_did_not_note_what_it_read_is_not_trusted(tmp_path):
    store = Store(tmp_path / "run")
    with store.opened(IDENTITY, fresh=False):
        write_text(tmp_path / "run" / "patches.csv", "x")
        with pytest.raises(StorageError, match=r"the run there did not note which files it read .*--fresh"):
            store.check_inputs(described(tmp_path, a="1"))
    assert not (tmp_path / "run" / "inputs.csv").exists()


# --- links, and files for folders -------------------------------------------------------------------


@pytest.mark.posix("symbolic links")
@pytest.mark.parametrize("fresh", [True, False])
def test_a_run_works_through_no_link(tmp_path, fresh):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    with opened(run):
        pass
    (run / "work").rename(elsewhere)
    (run / "work").symlink_to(elsewhere, target_is_directory=True)
    before = names(elsewhere)
    assert f"work is a link to {elsewhere}, expected a folder of its own" in refused(run, fresh=fresh)
    assert names(elsewhere) == before


def test_nothing_is_deleted_through_a_junction_of_windows(tmp_path, monkeypatch):
    """It is no symbolic link: only where it really lies tells."""
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    with opened(run):
        pass
    real, before = os.path.realpath, names(run)
    monkeypatch.setattr(os.path, "realpath", lambda path, **_: real(elsewhere if path == run / "work" else path))
    assert f"work is a link to {elsewhere}, expected a folder of its own" in refused(run, fresh=True)
    assert names(run) == before


@pytest.mark.posix("symbolic links")
def test_a_link_or_a_folder_in_the_way_is_refused_before_anything_is_computed(tmp_path):
    with opened(tmp_path / "run"):
        pass
    (tmp_path / "run" / "figures").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "run" / "ledger.csv").mkdir()
    message = refused(tmp_path / "run")
    assert "ledger.csv is a folder, expected a file; figures is a link to" in message
    # --fresh deletes both
    with opened(tmp_path / "run", fresh=True):
        assert names(tmp_path / "run") == ["work", "work/.lock", "work/identity.json"]


def test_a_disk_that_cannot_lock_is_said(tmp_path, monkeypatch):
    def cannot(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(module.filelock.FileLock, "acquire", cannot)
    message = refused(tmp_path / "run")
    assert "lies on a disk that cannot lock files" in message
    assert "choose a folder on another disk with --out" in message


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with opened(tmp_path / "run"):
        pass
    monkeypatch.setattr(module.filelock.FileLock, "acquire", read_only)
    assert "run cannot be written (Read-only file system); check the folder's permissions" in refused(tmp_path / "run")


def test_no_space_while_storing(tmp_path, monkeypatch):
    def full(self, path, **_):
        Path(path).write_bytes(b"half")
        raise NO_SPACE

    with monkeypatch.context() as patched:
        patched.setattr(pd.DataFrame, "to_parquet", full)
        with pytest.raises(StorageError, match="no disk space left"):
            Store(tmp_path).compute_once("a", batch_tables)
    assert names(tmp_path / "work" / "batches") == []
    assert len(kept(Store(tmp_path), "a", batch_tables)["ledger"]) == 2


def test_batches_of_a_finished_run_can_be_forgotten(tmp_path):
    store = Store(tmp_path)
    store.compute_once("a", batch_tables)
    store.forget_batches()
    assert names(tmp_path / "work") == []
    store.forget_batches()


def test_a_table_is_read_in_pieces_as_if_it_were_one(tmp_path, monkeypatch):
    names = [*TABLES["shift"].text, *TABLES["shift"].numbers]
    table = pd.DataFrame({name: ["10", "007", "10", "", "2"] for name in names}).replace({"007": "7"})
    table["slide_id"] = ["10", "007", "10", "", "2"]
    Store(tmp_path).write("shift", table)
    whole = Store(tmp_path).table("shift")
    assert whole["slide_id"].tolist() == table["slide_id"].tolist()
    assert whole["slide_id"].cat.categories.tolist() == ["", "007", "10", "2"]
    monkeypatch.setattr(module, "_ROWS", 2)
    pd.testing.assert_frame_equal(Store(tmp_path).table("shift"), whole)
    # what cannot be read lies behind the first piece
    with (tmp_path / "shift.csv").open("a") as file:
        file.write("a," * 2 * len(names) + "\n")
    with pytest.raises(StorageError, match=r"shift\.csv: cannot be read as CSV"):
        Store(tmp_path).table("shift")
