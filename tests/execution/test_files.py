"""Files of a run: whole or not at all, and what is read is what was written."""

import errno
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saliency_stats.compartments import Stains, stain_table, stains_from
from saliency_stats.errors import StorageError
from saliency_stats.execution.files import (
    atomic,
    partials,
    read_arrays,
    read_json,
    some,
    write_json,
    write_table,
    write_text,
)
from saliency_stats.execution.schema import BIG_TABLE, TABLES, Table
from saliency_stats.execution.store import Store

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# --- atomic -----------------------------------------------------------------------------------------


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "deep" / "er" / "a.txt"
    with atomic(path) as partial:
        partial.write_text("new", encoding="utf-8")
        assert partial.parent == path.parent  # a rename to another disk would not be atomic
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "new"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1), OSError("x"), NO_SPACE])
def test_a_block_that_fails_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")

    def write():
        with atomic(path) as partial:
            partial.write_text("half of the n", encoding="utf-8")
            raise error

    with pytest.raises(StorageError if isinstance(error, OSError) else type(error)):
        write()
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


def test_what_a_killed_run_left_does_not_stand_in_the_way(tmp_path):
    half = tmp_path / ".a.txt.partial"
    half.write_text("left by a run that was killed, and longer than the new text", encoding="utf-8")
    write_text(tmp_path / "a.txt", "new")
    write_text(tmp_path / "b.txt", "new")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new"
    assert list(partials(tmp_path)) == list(partials(tmp_path, "a.txt")) == [half]
    assert not list(partials(tmp_path, "b.txt"))


def test_two_that_write_one_file_at_once_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with atomic(path) as first:
        first.write_text("the first of two", encoding="utf-8")
        with atomic(path) as second:
            second.write_text("second", encoding="utf-8")
            assert first.read_text(encoding="utf-8") == "the first of two"
            assert set(partials(tmp_path, "a.txt")) == {first, second}
        assert path.read_text(encoding="utf-8") == "second"
    assert path.read_text(encoding="utf-8") == "the first of two"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.posix("signals")
def test_killed_while_writing_the_old_file_stays(tmp_path):
    """The writer kills itself, as `kill -9` would, with half the text on disk."""
    (tmp_path / "a.txt").write_text("old", encoding="utf-8")
    script = (
        "import os, signal, sys, pathlib\n"
        "from saliency_stats.execution.files import atomic\n"
        "with atomic(pathlib.Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "a.txt"], check=False)
    assert done.returncode == -9
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"


def test_a_text_has_the_same_bytes_on_windows(tmp_path, monkeypatch):
    """There a text file that is opened without more has other line ends and another encoding."""
    usual = Path.write_text

    def write(self, text, encoding="cp1252", errors=None, newline="\r\n"):
        return usual(self, text, encoding, errors, newline)

    monkeypatch.setattr(Path, "write_text", write)
    write_text(tmp_path / "a.txt", "δ\nµ\n")
    assert (tmp_path / "a.txt").read_bytes() == "δ\nµ\n".encode()


def test_a_file_that_another_program_holds_is_said_with_its_remedy(tmp_path, monkeypatch):
    """Windows replaces no file that a spreadsheet has open."""

    def held(*_):
        raise PermissionError(errno.EACCES, "Access is denied")

    monkeypatch.setattr(os, "replace", held)
    with pytest.raises(StorageError, match=r"a\.txt cannot be written \(Access is denied\).*and close the file where"):
        write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == []


def test_no_space_is_said_with_its_remedy(tmp_path):
    with pytest.raises(StorageError) as caught, atomic(tmp_path / "a.txt"):
        raise NO_SPACE
    message = str(caught.value)
    assert message.startswith(f"no disk space left while writing {tmp_path / 'a.txt'}.")
    assert "free some space and give the same command again" in message
    assert "--out" in message


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match=r"a\.txt cannot be written \((File exists|Not a directory)\)"):
        write_text(tmp_path / "file" / "a.txt", "x")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if not sys.platform.startswith("linux") or os.geteuid() or mount is None:
        pytest.skip("NOT TESTED: a full disk needs root on Linux, to mount a tmpfs of one megabyte")
    if subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False, capture_output=True
    ).returncode:
        pytest.skip("NOT TESTED: a full disk; this system does not let root mount a tmpfs")
    yield disk
    # lazily: a test that fails may leave a file open
    subprocess.run(["umount", "--lazy", disk], check=True)


LARGE = pd.DataFrame({"number": np.random.default_rng(0).random(150_000)})


def test_a_full_disk(small_disk):
    write_text(small_disk / "a.csv", "old\n")
    with pytest.raises(StorageError, match=r"no disk space left while writing .*a\.csv"):
        write_table(small_disk / "a.csv", LARGE)
    assert names(small_disk) == ["a.csv"]
    assert (small_disk / "a.csv").read_text(encoding="utf-8") == "old\n"


def test_a_full_disk_while_a_batch_is_stored(small_disk):
    store = Store(small_disk)
    with pytest.raises(StorageError, match="no disk space left while writing"):
        store.compute_once("batch", lambda: {"ledger": LARGE.head(10), "profile": LARGE})
    assert names(small_disk / "work" / "batches") == []
    # with space again the same run goes on
    assert len(kept(store, "batch", lambda: {"ledger": LARGE.head(10)})["ledger"]) == 10


def test_a_disk_too_small_for_the_run(small_disk):
    with pytest.raises(StorageError, match=r"the run needs about 50 MB and 1 MB are free.*--out"):
        Store(small_disk).check_space(50_000_000)


# --- tables and JSON --------------------------------------------------------------------------------


TEXT = ("patch_id", "slide_id", "patient_id", "split")


def kept(store, name, compute):
    store.compute_once(name, compute)
    return {key: table.to_pandas() for key, table in store.read_batch(name).items()}


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Writes a table with columns of every kind into a run's folder and reads it back."""

    def write_and_read(table):
        kinds = {"text": TEXT, "numbers": ("value", "x_um"), "flags": ("correct",)}
        here = {kind: tuple(name for name in names if name in table) for kind, names in kinds.items()}
        monkeypatch.setitem(TABLES, "t", Table("row", writer="a test", **here))
        typed = Store(tmp_path).write("t", table)
        read = Store(tmp_path).table("t")
        # what was just computed is handed on as it would be read
        pd.testing.assert_frame_equal(read, typed)
        return read

    return write_and_read


def test_ids_are_text_whatever_they_look_like(stored):
    words = ["007", "", "1e5", "NA", "nan", "None", "null", "True", "1.0", " x ", "a,b", 'say "ä"', "two\nlines"]
    table = pd.DataFrame(dict.fromkeys(TEXT, words)).astype("str")
    pd.testing.assert_frame_equal(stored(table), table)


def test_ids_that_are_all_numbers_or_all_empty_stay_text(stored):
    table = pd.DataFrame({"slide_id": ["012", "13"], "patient_id": ["", ""], "split": ["", ""]}).astype("str")
    pd.testing.assert_frame_equal(stored(table), table)


def test_missing_numbers_stay_missing_and_truths_stay_truths(stored):
    table = pd.DataFrame(
        {"patch_id": ["1", "2"], "x_um": [np.nan, np.nan], "value": [0.5, np.nan], "correct": [True, False]}
    ).astype({"patch_id": "str"})
    pd.testing.assert_frame_equal(stored(table), table)


def test_a_table_without_rows_keeps_its_columns_and_types(stored):
    read = stored(pd.DataFrame(columns=["patch_id", "value", "correct"]))
    assert read.dtypes.astype(str).to_dict() == {"patch_id": "str", "value": "float64", "correct": "bool"}
    assert read.empty


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text("01eNAn. ", max_size=4), st.floats(allow_nan=True)), min_size=1, max_size=6))
def test_numbers_and_ids_come_back_exactly(stored, rows):
    table = pd.DataFrame(rows, columns=["slide_id", "value"]).astype({"slide_id": "str", "value": float})
    read = stored(table)
    assert read["slide_id"].tolist() == table["slide_id"].tolist()
    np.testing.assert_array_equal(read["value"], table["value"])
    known = table["value"].notna()
    np.testing.assert_array_equal(np.signbit(read["value"][known]), np.signbit(table["value"][known]))


def test_a_table_is_written_the_same_wherever(tmp_path):
    write_table(tmp_path / "t.csv", pd.DataFrame({"a": [0.1 + 0.2, 1e-300], "b": ["ä", ""]}))
    assert (tmp_path / "t.csv").read_bytes() == "a,b\n0.30000000000000004,ä\n1e-300,\n".encode()
    assert not (tmp_path / "t.parquet").exists()


def test_a_big_table_is_written_as_parquet_too(tmp_path):
    table = pd.DataFrame({"number": np.arange(BIG_TABLE + 1)})
    write_table(tmp_path / "t.csv", table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(StorageError, match=r"ledger\.csv: missing; a finished run has it\. Run the study again"):
        Store(tmp_path).table("ledger")


def test_stains_of_numbered_slides_are_found_again(tmp_path):
    stains = {"012": Stains(vectors=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), source="macenko")}
    write_table(tmp_path / "stains.csv", stain_table(stains))
    assert stains_from(Store(tmp_path).table("stains")) == stains


def test_json_holds_plain_values(tmp_path):
    content = {
        "missing": float("nan"),
        "numpy": [np.float64("nan"), np.float32(0.5), np.int64(3), np.bool_(1)],
        "nested": {"path": Path("a") / "b", "none": None, "tuple": (1, "ä")},
    }
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {
        "missing": None,
        "numpy": [None, 0.5, 3, True],
        "nested": {"path": "a/b", "none": None, "tuple": [1, "ä"]},
    }
    assert text.endswith("}\n")
    assert "ä" in text


@pytest.mark.parametrize("content", [float("inf"), object(), {"table": pd.DataFrame()}])
def test_json_refuses_what_it_would_have_to_make_up(tmp_path, content):
    with pytest.raises((TypeError, ValueError)):
        write_json(tmp_path / "a.json", content)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("kind", "content"), [(dict, {"a": [1, None]}), (list, [{"a": "ä"}])])
def test_json_is_read_as_it_was_written(tmp_path, kind, content):
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json", kind, "") == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"cannot be read as JSON \(Expecting value.*\); expected an object\. Run it again$"),
        (b"\xff", r"cannot be read as JSON \('utf-8' codec"),
        (b'{"a": -Infinity}', r"cannot be read as JSON \(-Infinity is no number of JSON\)"),
        (b"1" * 5000, r"cannot be read as JSON \(Exceeds the limit"),
        (b"[" * 100_000, r"cannot be read as JSON \(maximum recursion"),
        (b"[]", r"holds a list, expected an object\. Run it again$"),
        (b'"text"', r"holds a str, expected an object"),
    ],
)
def test_json_that_cannot_be_is_named(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(StorageError, match=r"a\.json " + message):
        read_json(tmp_path / "a.json", dict, "Run it again")


def test_a_list_is_asked_for_as_one(tmp_path):
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    with pytest.raises(StorageError, match="holds a dict, expected a list"):
        read_json(tmp_path / "a.json", list, "")


@pytest.fixture
def arrays(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", image=np.arange(600).reshape(2, 3, 100), mpp=np.array(0.5))
    return tmp_path / "a.npz"


def test_arrays_are_read_by_name(arrays):
    read = read_arrays(arrays, ("mpp", "image"))
    assert list(read) == ["mpp", "image"]
    assert read["image"].shape == (2, 3, 100)
    with pytest.raises(
        StorageError, match=r"a\.npz cannot be read \(KeyError: .*expected an \.npz with the arrays depth"
    ):
        read_arrays(arrays, ("depth",))


def test_arrays_that_are_damaged_anywhere_are_refused(arrays):
    """Whatever a flipped or a missing byte does to the archive, it is either found or does no harm."""
    content = arrays.read_bytes()
    whole = read_arrays(arrays, ("image",))["image"]
    for at in range(0, len(content), 7):
        for damaged in (content[:at], content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]):
            arrays.write_bytes(damaged)
            with suppress(StorageError):  # no other error
                np.testing.assert_array_equal(read_arrays(arrays, ("image",))["image"], whole)
    for other in (b"", b"x", content[:-1], b"\x80\x04K\x01."):
        arrays.write_bytes(other)
        with pytest.raises(StorageError, match=r"a\.npz cannot be read"):
            read_arrays(arrays, ("image",))


def test_of_a_long_list_the_first_ten_are_named():
    assert some([]) == ""
    assert some(["a", "b"]) == "a; b"
    assert some(map(str, range(10))) == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9"
    assert some(map(str, range(12))).endswith("; 9 and 2 more")
