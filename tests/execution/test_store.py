"""A run's folder: one study, one writer, and nothing of anybody else's."""

import errno
import json
import os
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
from saliency_stats.execution.schema import TABLES, artefacts
from saliency_stats.execution.store import Store

IDENTITY = {"study": {"name": "a", "seed": 0}, "inputs": {}, "versions": {"numpy": "2.0"}}
NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def kept(store, name, compute):
    store.compute_once(name, compute)
    return store.read_batch(name)


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
        assert json.loads((folder / "work" / "identity.json").read_text()) == IDENTITY
    with opened(folder):
        pass


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize(
    "name", ["thesis.tex", "paper/methods.tex", "work/notes.txt", "report.html", "ledger.csv", "work"]
)
def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(tmp_path, name, fresh):
    """Many names of artefacts are anybody's: `--fresh` must not delete somebody's paper."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = names(tmp_path)
    message = refused(tmp_path, fresh=fresh)
    assert str(tmp_path) in message
    if name != "work":
        assert "is not empty and holds no run of saliency-stats (found " in message
        assert "new or empty folder" in message
    assert names(tmp_path) == before
    assert (tmp_path / name).read_text() == "mine"


def test_a_run_stopped_before_its_first_word_can_be_begun_again(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".lock").touch()
    (tmp_path / "work" / ".identity.json.partial").write_text("{")
    with opened(tmp_path):
        pass


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("")
    assert "cannot be written" in refused(tmp_path / "run")


@pytest.mark.parametrize(
    ("identity", "found"),
    [
        (IDENTITY | {"study": {"name": "a", "seed": 1}}, "study.seed was 0 and is now 1. Choose"),
        (IDENTITY | {"study": {"name": "b", "seed": 1}}, "study.name was 'a' and is now 'b' (2 differences)"),
        (IDENTITY | {"inputs": {"patches.csv": "abc"}}, "inputs.patches.csv was 'absent' and is now 'abc'"),
        ({"study": IDENTITY["study"], "inputs": {}}, "versions.numpy was '2.0' and is now 'absent'"),
        (IDENTITY | {"study": {"name": "a", "seed": None}}, "study.seed was 0 and is now None"),
    ],
)
def test_another_study_is_refused_by_what_differs(tmp_path, identity, found):
    with opened(tmp_path):
        write_text(tmp_path / "ledger.csv", "a\n")
    before = names(tmp_path)
    message = refused(tmp_path, identity)
    assert f"{tmp_path} holds another study or other inputs: {found}" in message
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
        (tmp_path / ".ledger.csv.partial").write_text("left by a killed run")
        write_text(tmp_path / "notes.txt", "mine")
        write_text(tmp_path / "slides" / "ledger.csv", "mine")
    other = IDENTITY | {"study": {"name": "b"}}
    with opened(tmp_path, other, fresh=True):
        left = names(tmp_path)
    assert left == ["notes.txt", "slides", "slides/ledger.csv", "work", "work/.lock", "work/identity.json"]
    assert json.loads((tmp_path / "work" / "identity.json").read_text()) == other


def test_fresh_follows_no_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    write_text(tmp_path / "elsewhere" / "a.png", "mine")
    run = tmp_path / "run"
    with opened(run):
        (run / "figures").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with opened(run, fresh=True):
        assert not (run / "figures").is_symlink()
    assert (tmp_path / "elsewhere" / "a.png").read_text() == "mine"


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
        assert (tmp_path / "ledger.csv").read_text() == "x"


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
        "a", "a/ledger.parquet", "a/profile.parquet", "b", "b/nuclei.parquet",
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
    assert not half.exists()


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
