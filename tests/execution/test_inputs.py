"""The files that a run reads: described so that whatever changes is found and named, in a time that grows with them."""

import hashlib
import os
import threading

import pytest

from saliency_stats.execution import inputs as module
from saliency_stats.execution.inputs import as_csv, changes, fingerprint, fingerprints
from saliency_stats.execution.schema import TABLES
from saliency_stats.execution.store import Store


@pytest.fixture
def files(tmp_path):
    found = {}
    for name in ("b.png", "a.png", "slides/c.svs"):
        found[name] = tmp_path / name
        found[name].parent.mkdir(exist_ok=True)
        found[name].write_bytes(name.encode() * 100)
    return found


@pytest.fixture
def parts(monkeypatch):
    """Files of more than 1000 bytes are hashed in 4 parts of 100."""
    monkeypatch.setattr(module, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(module, "_PARTS", 4)
    monkeypatch.setattr(module, "_PART_BYTES", 100)


def kept(table):
    """The table as a run reads it back."""
    return TABLES["inputs"].typed(table, "")


def changed(before, now):
    return list(changes(kept(before), kept(now)))


def test_files_are_described_by_name_size_and_hash_in_the_order_of_their_names(files):
    seen = []
    table = fingerprints(files, seen.append)
    assert table["name"].tolist() == ["a.png", "b.png", "slides/c.svs"]
    assert table["size_bytes"].tolist() == [500, 500, 1200]
    assert table["sha256"].tolist() == [hashlib.sha256(files[name].read_bytes()).hexdigest() for name in table["name"]]
    assert set(table["hashed"]) == {"whole"}
    assert set(table["modified"]) == {""}
    assert seen == [3]


def test_nothing_to_read_is_a_table_too():
    table = fingerprints({})
    assert as_csv(table) == b"name,size_bytes,modified,hashed,sha256\n"
    assert not changed(table, table)


def test_what_is_hashed_is_what_is_written(files, tmp_path):
    files["gone.png"] = tmp_path / "gone.png"
    table = fingerprints(files)
    Store(tmp_path).write("inputs", table)
    assert (tmp_path / "inputs.csv").read_bytes() == as_csv(table)
    assert b"\ngone.png,,,missing,\n" in as_csv(table)
    assert not list(changes(Store(tmp_path).table("inputs"), kept(table)))


def test_more_files_than_a_thread_takes_at_once(files, monkeypatch):
    monkeypatch.setattr(module, "_TAKEN", 3)
    seen, many = [], {f"{n:02d}": files["a.png"] for n in range(7)}
    assert fingerprints(many, seen.append)["name"].tolist() == sorted(many)
    assert seen == [3, 3, 1]


def test_files_are_read_side_by_side(files, monkeypatch):
    """Where each has to be asked for over a network, one after the other takes hours."""
    together = threading.Barrier(3, timeout=10)
    monkeypatch.setattr(module, "_TAKEN", 1)
    describe = module.fingerprint
    monkeypatch.setattr(module, "fingerprint", lambda *item: (together.wait() and None) or describe(*item))
    assert len(fingerprints(files)) == 3


def test_whole_up_to_the_bound_and_in_parts_above_it(tmp_path, parts):
    path = tmp_path / "a"
    path.write_bytes(bytes(1000))
    assert fingerprint("a", path)[1:4] == (1000, "", "whole")
    path.write_bytes(bytes(1001))
    os.utime(path, (0, 86_400.5))
    assert fingerprint("a", path)[1:4] == (1001, "1970-01-02T00:00:00.500000+00:00", "parts")


@pytest.mark.parametrize(
    ("at", "seen"), [(0, True), (99, True), (100, False), (1100, True), (1999, True), (1899, False)]
)
def test_of_a_large_file_head_tail_and_parts_between_are_hashed(tmp_path, parts, at, seen):
    """Parts begin at 0, 633, 1266 and 1900 of 2000 bytes."""
    content = bytearray(2000)
    path = tmp_path / "a"
    path.write_bytes(content)
    before = fingerprint("a", path).sha256
    at = 650 if at == 1100 else at
    content[at] = 1
    path.write_bytes(content)
    assert (fingerprint("a", path).sha256 != before) == seen


def test_a_large_file_that_changed_where_nothing_is_hashed_is_told_by_its_time(tmp_path, parts):
    path = tmp_path / "a.svs"
    path.write_bytes(bytes(2000))
    os.utime(path, (0, 0))
    before = fingerprints({"a.svs": path})
    content = bytearray(2000)
    content[150] = 1
    path.write_bytes(content)
    os.utime(path, (0, 60))
    assert changed(before, fingerprints({"a.svs": path})) == [
        "a.svs has changed, or only its time of modification (1970-01-01T00:00:00+00:00, now 1970-01-01T00:01:00+00:00)"
    ]


def test_what_changed_is_named_with_its_sizes(files, tmp_path):
    files["late.png"] = tmp_path / "late.png"
    before = fingerprints(files)
    assert changed(before, fingerprints(files)) == []
    flipped = bytearray(files["a.png"].read_bytes())
    flipped.reverse()
    files["a.png"].write_bytes(flipped)
    files["b.png"].write_bytes(b"x" * 1234)
    files["slides/c.svs"].unlink()
    (tmp_path / "late.png").write_bytes(b"here now")
    assert changed(before, fingerprints(files)) == [
        "a.png has changed",
        "b.png has changed (500 bytes, now 1,234)",
        "late.png was missing and is there now",
        "slides/c.svs is gone",
    ]


def test_a_list_that_names_others(files):
    before = fingerprints(files)
    other = {"b.png": files["b.png"], "d.png": files["a.png"], "slides/c.svs": files["slides/c.svs"]}
    assert changed(before, fingerprints(other)) == ["a.png is gone from the study", "d.png is new"]


def test_a_file_that_is_missing_stays_missing(files, tmp_path):
    files["gone.png"] = tmp_path / "gone.png"
    before = fingerprints(files)
    assert changed(before, fingerprints(files)) == []
    files["below.png"] = files["a.png"] / "below.png"
    assert fingerprint("below.png", files["below.png"])[1:] == (None, "", "missing", "")


def test_a_file_that_cannot_be_read(files, tmp_path):
    before = fingerprints(files)
    files["a.png"] = tmp_path
    now = fingerprints(files)
    assert now["hashed"].tolist() == ["unreadable", "whole", "whole"]
    assert changed(before, now) == ["a.png cannot be read any more"]
