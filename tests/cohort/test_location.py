"""Where listed files lie: below one folder, under their own names."""

import ntpath
import os
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pandas as pd
import pytest

from saliency_stats.cohort import location
from saliency_stats.cohort.listing import Columns, Listing
from saliency_stats.cohort.location import locate, root_of
from saliency_stats.cohort.problems import Problems
from saliency_stats.errors import CohortError, StudyError

COLUMNS = Columns("slide", ("path",), (), closed=True)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.tif", "sub/b.tif", "sub/half.geojson"):
        (folder / name).write_bytes(b"x")
    (tmp_path / "outside.tif").write_bytes(b"x")
    return folder


def located(root, *paths, may_be_empty=False):
    """Paths as located, and what is wrong with them."""
    table = pd.DataFrame({"path": paths}, index=range(2, len(paths) + 2), dtype=object)
    listing = Listing(COLUMNS, table, Problems(Path("t.csv")), "")
    found = locate(listing, "path", root, what="a slide", may_be_empty=may_be_empty)
    assert found.index.equals(table.index)
    try:
        listing.problems.stop()
    except CohortError as error:
        return found.tolist(), str(error).removeprefix("t.csv")
    return found.tolist(), ""


# --- the root ---------------------------------------------------------------------------------------


def test_the_root_is_the_tables_folder_unless_another_is_named(tmp_path, monkeypatch):
    assert root_of(tmp_path / "t.csv", None) == tmp_path
    assert root_of(tmp_path / "x" / "t.csv", tmp_path) == tmp_path
    assert root_of(tmp_path / "t.csv", Path("/")) == Path("/")
    monkeypatch.chdir(tmp_path)
    assert root_of(Path("t.csv"), None) == tmp_path


def test_there_is_no_root(tmp_path):
    with pytest.raises(StudyError, match=r"cohort\.root: there is no folder .*nowhere; expected the folder"):
        root_of(tmp_path / "t.csv", tmp_path / "nowhere")


# --- accepted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("a.tif", "a.tif"), ("./a.tif", "a.tif"), ("sub/../a.tif", "a.tif"), ("sub//b.tif", "sub/b.tif")),
        *(("sub\\b.tif", "sub/b.tif"), (".\\sub\\..\\a.tif", "a.tif"), ("absent.tif", "absent.tif")),
        *(("..a/..b.tif", "..a/..b.tif"), ("nowhere/../../data/a.tif", None), ("", None)),
    ],
)
def test_one_file_has_one_spelling(root, written, meant):
    found, wrong = located(root, written)
    assert (found == [meant] and wrong == "") if meant else wrong != ""


def test_absolute_paths_below_the_root_are_fine(root):
    assert located(root, str(root / "sub" / "b.tif"), str(root / "sub" / ".." / "a.tif")) == (
        ["sub/b.tif", "a.tif"],
        "",
    )
    assert located(Path("/"), str(root / "a.tif")) == ([str(root / "a.tif").lstrip("/")], "")


@pytest.mark.posix("symbolic links")
def test_a_root_that_is_a_link_may_be_spelt_either_way(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    for spelt in (root, tmp_path / "link"):
        for named in (root, tmp_path / "link"):
            assert located(named, str(spelt / "sub" / "b.tif")) == (["sub/b.tif"], "")


@pytest.mark.posix("symbolic links")
def test_links_inside_the_root_are_fine(root):
    (root / "link.tif").symlink_to("sub/b.tif")
    (root / "folder").symlink_to(root / "sub")
    assert located(root, "link.tif", "folder/b.tif") == (["link.tif", "folder/b.tif"], "")


def test_an_empty_path_may_be_allowed(root):
    assert located(root, "", "a.tif", may_be_empty=True) == (["", "a.tif"], "")
    assert located(root, "") == ([""], f", line 2: the path is empty; expected a slide, relative to {root}")


# --- outside ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "../outside.tif",
        "..",
        "sub/../../outside.tif",
        "..\\outside.tif",
        "/etc/x",
        "C:\\x.tif",
        "c:x",
        "\\\\server\\x",
        "//server/x",
    ],
)
def test_what_lies_outside_is_refused_and_not_looked_at(root, written):
    found, wrong = located(root, "a.tif", written)
    assert found == ["a.tif", ""]
    assert wrong.startswith(f", line 3: path {written!r} lies outside {root}, the folder that paths are relative to")
    assert "Move the files (or the table), or set cohort.root in the study file to a folder above all" in wrong


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("sub\\a.tif", "sub/a.tif"),
        ("c:\\DATA\\sub\\a.tif", "sub/a.tif"),
        ("C:/data/a.tif", "a.tif"),
        ("\\data\\a.tif", None),  # of whichever drive is the current one
        ("/data/a.tif", None),
        ("D:\\data\\a.tif", None),
        ("C:a.tif", None),
        ("\\\\server\\data\\a.tif", None),
    ],
)
def test_paths_of_windows_on_windows(monkeypatch, written, found):
    monkeypatch.setattr(location, "Path", PureWindowsPath)
    monkeypatch.setattr(location, "os", SimpleNamespace(path=ntpath, pardir=".."))
    assert location._Folders(PureWindowsPath("C:/data")).relative(written) == found


def test_a_neighbour_whose_name_begins_alike_is_outside(root, tmp_path):
    (tmp_path / "data2").mkdir()
    assert "lies outside" in located(root, str(tmp_path / "data2" / "x.tif"))[1]


def test_many_files_outside_are_one_problem(root, tmp_path):
    wrong = located(root, "../x.tif", "a.tif", "../y.tif", str(tmp_path / "outside.tif"))[1]
    assert wrong.startswith(", line 2 (and 4, 5): path '../x.tif' and 2 more lies outside")


@pytest.mark.posix("symbolic links")
def test_links_that_lead_out_are_refused_by_name(root, tmp_path):
    (root / "link.tif").symlink_to(tmp_path / "outside.tif")
    (root / "away").symlink_to(tmp_path)
    (root / "dangling.tif").symlink_to(tmp_path / "absent.tif")
    for written, target in (
        ("link.tif", "outside.tif"),
        ("away/outside.tif", "outside.tif"),
        ("dangling.tif", "absent.tif"),
    ):
        found, wrong = located(root, written)
        assert found == [""]
        assert f"{written} (a link to {tmp_path / target})"[:50] in wrong
        assert "lies outside" in wrong


@pytest.mark.posix("symbolic links")
def test_loops_of_links_end(root):
    (root / "loop.tif").symlink_to("loop.tif")
    (root / "ring").symlink_to("ring")
    for written in ("loop.tif", "ring/a.tif"):
        assert "cannot be reached (Too many levels of symbolic links); expected a slide" in located(root, written)[1]


# --- names ------------------------------------------------------------------------------------------


def test_another_letter_case_names_the_file_that_is_there(root):
    for written, meant in (("A.TIF", "a.tif"), ("Sub/half.GEOJSON", "sub/half.geojson"), ("SUB\\b.tif", "sub/b.tif")):
        shown = written.replace("\\", "/")
        assert located(root, written)[1] == (
            f", line 2: there is no file {shown!r}, but {meant!r}, which differs in letter case alone; write the path "
            f"as the file is called"
        )


def test_another_unicode_form_names_the_file_that_is_there(root):
    (root / "e\u0301.tif").write_bytes(b"x")
    assert "which differs in Unicode form alone" in located(root, "\u00e9.tif")[1]
    (root / "u\u0308").mkdir()
    (root / "u\u0308" / "x.tif").write_bytes(b"x")
    assert "which differs in Unicode form and letter case alone" in located(root, "\u00fc/X.tif")[1]
    assert "which differs in letter case alone" in located(root, "E\u0301.tif")[1]


def test_of_two_files_that_differ_in_letter_case_each_is_itself(root):
    (root / "A.tif").write_bytes(b"y")
    assert located(root, "a.tif", "A.tif") == (["a.tif", "A.tif"], "")


@pytest.mark.posix("symbolic links")
def test_a_missing_file_is_left_to_who_reads_it(root):
    (root / "gone.tif").symlink_to("sub/absent.tif")
    assert located(root, "absent.tif", "nowhere/a.tif", "a.tif/b", "gone.tif")[1] == ""


@pytest.mark.parametrize("word", ["NA", "none", "-", "n/a", "?"])
def test_a_word_for_no_file(root, word):
    assert f"path is {word!r}; leave it empty where there is none" in located(root, word)[1]
    if "/" not in word:
        (root / word).write_bytes(b"x")
        assert located(root, word) == ([word], "")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("https://example.org/a.tif", "is a URL; expected a slide on this machine"),
        ("file:/data/a.tif", "is a URL"),
        ("s3://bucket/a.tif", "is a URL"),
        ("a\nb.tif", "is no path: it holds control characters"),
        ("a\x00.tif", "is no path: it holds control characters"),
        ("sub", "is a folder; expected a slide"),
        (".", "is a folder; expected a slide"),
        ("x" * 300, "cannot be reached (File name too long); expected a slide"),
    ],
)
def test_what_is_no_file(root, written, said):
    assert said in located(root, written)[1]


@pytest.mark.posix("named pipes")
def test_what_is_no_regular_file(root):
    os.mkfifo(root / "pipe")
    assert "path 'pipe' is no file; expected a slide" in located(root, "pipe")[1]


def test_all_that_is_wrong_is_told(root):
    wrong = located(root, "A.tif", "sub", "..", "")[1]
    assert wrong.startswith(": 4 things are wrong\n  line 2: there is no file 'A.tif'")
