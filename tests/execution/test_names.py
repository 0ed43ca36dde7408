"""Ids become names of files: none for two of them, none elsewhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliency_stats.execution.names import file_name

ODD = [
    *(
        "",
        ".",
        "..",
        "/",
        "a/b",
        "a_b",
        "a\\b",
        "../../escaped",
        "/etc/passwd",
        "CON",
        "con",
        "con.x",
        "nul",
        "com1",
        "lpt9.txt",
    ),
    *(
        "a.",
        "a",
        "A",
        "a ",
        " a",
        ".a",
        "-a",
        "a\n",
        "a\0",
        "é",
        "e\u0301",
        "\u200b",
        "a:b",
        "C:\\x",
        "x" * 99,
        "x" * 100,
    ),
    *("x" * 101, "x" * 5000, "ä" * 300, "~", "*", "a.png", "a.PNG", "a.npz", ".png", "images/a.png", "\ud800"),
]


@pytest.mark.parametrize(
    "name", ["a", "slide-01", "tumor_001", "s1.2", "0", "a-", "a_", "x" * 100, "normal-abcdef", "console"]
)
def test_a_plain_id_stays_as_it_is(name):
    assert file_name(name) == name
    assert file_name(name, ".npz") == f"{name}.npz"


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("../../escaped", "escaped"),
        ("a/b", "a_b"),
        ("S 1: (3, 4)", "S_1_3_4"),
        ("S1", "S1"),
        ("con", "con"),
        ("com1.x", "com1_x"),
        ("", "id"),
        ("..", "id"),
        ("é", "id"),
        ("y" * 101, "y" * 60),
        ("a" + "é" * 99 + "b", "a_b"),
    ],
)
def test_of_another_id_what_can_be_read_stays(name, readable):
    found = file_name(name, ".npz")
    assert found.startswith(f"{readable}-")
    assert len(found) == len(readable) + len("-") + 12 + len(".npz")


def test_an_ending_is_not_doubled():
    assert file_name("images/a.png", ".png") == "images_a-50edaf76ce4d.png"
    assert file_name("a.png", ".png").startswith("a-")
    assert file_name("a.png", ".npz") == "a.png.npz"
    assert file_name("A.PNG", ".png").startswith("A-")
    assert file_name("a.png.tif", ".png") == "a.png.tif.png"


def test_an_id_that_looks_escaped_is_escaped():
    looks = file_name("é")
    assert file_name(looks) != looks
    assert file_name(looks).startswith(f"{looks}-")


def test_no_two_names_are_one_also_where_letter_cases_are():
    for ending in ("", ".png"):
        assert len({file_name(name, ending).casefold() for name in ODD}) == len(ODD)


def fits(name, folder):
    found = file_name(name, ".npz")
    assert found == Path(found).name
    assert (folder / found).resolve().parent == folder.resolve()
    assert len(found.encode()) <= 110
    assert found.isascii()
    assert not found.startswith((".", "-"))
    assert found.partition(".")[0].lower() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}
    assert file_name(name, ".npz") == found


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_files_of_the_folder(tmp_path, name):
    fits(name, tmp_path)
    (tmp_path / file_name(name, ".npz")).write_bytes(b"")
    assert len(list(tmp_path.iterdir())) == 1


@given(st.text(max_size=300))
def test_any_name_is_a_file_of_the_folder(name):
    fits(name, Path("run"))


@given(st.lists(st.text(alphabet="aA.-_/ 1é\\", max_size=4), unique=True, min_size=2))
def test_different_ids_have_different_files(names):
    assert len({file_name(name, ".npz").casefold() for name in names}) == len(names)
