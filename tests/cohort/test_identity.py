"""One file, or one content, under two names."""

import os
from pathlib import Path

import pandas as pd
import pytest

from saliency_stats.cohort import identity
from saliency_stats.cohort.identity import check_one_content, check_one_file
from saliency_stats.cohort.listing import Columns, Listing
from saliency_stats.cohort.problems import Problems
from saliency_stats.errors import CohortError

COLUMNS = Columns("slide", ("path",), (), closed=True)


def told(check, root, paths, names=None):
    names = names or [f"S{line}" for line in range(2, len(paths) + 2)]
    listing = Listing(COLUMNS, pd.DataFrame(), Problems(Path("t.csv")), "")
    check(listing, dict(enumerate(paths, 2)), dict(enumerate(names, 2)), root)
    try:
        listing.problems.stop()
    except CohortError as error:
        return str(error).removeprefix("t.csv")
    return ""


pytestmark = pytest.mark.posix("symbolic links")


@pytest.fixture
def root(tmp_path):
    for name, content in {"a": b"a" * 10, "b": b"b" * 10, "copy": b"a" * 10, "long": b"a" * 11}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    os.link(tmp_path / "a", tmp_path / "hard")
    (tmp_path / "soft").symlink_to("a")
    return tmp_path


def test_different_files_are_different(root):
    assert told(check_one_file, root, ["a", "b", "copy", "absent", "folder", "", ""]) == ""
    assert told(check_one_content, root, ["a", "b", "long", "absent", "folder", "", ""]) == ""


def test_one_path_twice(root):
    for path in ("a", "absent", "folder"):
        assert told(check_one_file, root, [path, "b", path]) == (
            f", line 2 (and 4): the file {path!r} is listed twice, as slide 'S2' and as 'S4'; every slide counts once. "
            f"Delete one of the lines"
        )


def test_one_path_twice_under_one_name(root):
    assert told(check_one_file, root, ["a", "a"], ["S", "S"]) == (
        ", line 2 (and 3): the file 'a' is listed twice; every slide counts once. Delete one of the lines"
    )


@pytest.mark.parametrize("link", ["hard", "soft"])
def test_a_file_by_a_link(root, link):
    assert told(check_one_file, root, ["a", link]).startswith(
        f", line 2 (and 3): the file 'a' (also called {link!r}) is listed twice, as slide 'S2' and as 'S3'"
    )
    assert told(check_one_content, root, ["a", link]) == ""  # said already


def test_where_a_system_numbers_no_files_paths_tell_them_apart(root, monkeypatch):
    state = (root / "a").stat()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: os.stat_result((state.st_mode, 0, *state[2:])))
    assert told(check_one_file, root, ["a", "b"]) == ""
    assert "listed twice" in told(check_one_file, root, ["a", "a"])


def test_a_path_that_is_none_is_the_same_as_nothing(root):
    assert told(check_one_file, root, ["a\0", "b"]) == ""
    assert told(check_one_content, root, ["a\0", "b\0"]) == ""


def test_a_copy_is_named_with_what_it_is_of(root):
    assert told(check_one_content, root, ["b", "a", "long", "copy"]) == (
        ", line 3 (and 5): 'copy' holds the same bytes as 'a': slide 'S3' is listed again as 'S5'; every slide counts "
        "once. Delete one of the lines"
    )
    assert told(check_one_content, root, ["a", "hard", "copy"]).startswith(", line 2 (and 4): 'copy'")


def test_two_empty_files_are_copies(root):
    for name in ("e", "f"):
        (root / name).write_bytes(b"")
    assert "'f' holds the same bytes as 'e'" in told(check_one_content, root, ["e", "f"])


@pytest.mark.parametrize("at", [0, 1, 2**19, 2**20 + 7, 2**21 - 1])
def test_big_files_that_differ_in_one_byte_are_different(tmp_path, at):
    content = bytearray(2**21)
    (tmp_path / "a").write_bytes(content)
    content[at] = 1
    (tmp_path / "b").write_bytes(content)
    assert told(check_one_content, tmp_path, ["a", "b"]) == ""


def test_big_copies_are_found(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(bytes(range(256)) * 2**13)
    assert "same bytes" in told(check_one_content, tmp_path, ["a", "b"])


def test_only_files_of_one_size_are_opened_and_only_those_alike_in_pieces_are_read(root, monkeypatch):
    opened, whole = [], []
    pieces, all_of_it = identity._pieces_sha256, identity._sha256
    monkeypatch.setattr(identity, "_pieces_sha256", lambda path: opened.append(path.name) or pieces(path))
    monkeypatch.setattr(identity, "_sha256", lambda path: whole.append(path.name) or all_of_it(path))
    told(check_one_content, root, ["a", "b", "long", "copy"])
    assert opened == ["a", "b", "copy"]
    assert whole == ["a", "copy"]


def test_the_pieces_reach_from_the_first_byte_to_the_last(tmp_path):
    """Else two uncompressed slides of one size would be read whole."""
    size = 5 * 2**20
    path = tmp_path / "a"
    found = set()
    for at in (None, 0, 2**16 - 1, size - 2**16, size - 1, size // 3 // 2**16 * 2**16):
        content = bytearray(size)
        if at is not None:
            content[at] = 1
        path.write_bytes(content)
        found.add(identity._pieces_sha256(path))
    assert len(found) >= 5
