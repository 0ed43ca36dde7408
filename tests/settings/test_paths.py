"""Paths of a study file: what can be none is a fault, not a traceback."""

import pytest

from saliency_stats.settings.paths import anchored


def test_relative_paths_are_those_from_the_folder(tmp_path):
    content = {"cohort": {"table": "a.csv"}, "classifier": {"weights": "../w.pt"}, "compartments": {"nuclei": "m"}}
    assert anchored(content, tmp_path) == []
    assert content["cohort"]["table"] == str(tmp_path / "a.csv")
    assert content["classifier"]["weights"] == str(tmp_path.parent / "w.pt")
    assert content["compartments"]["nuclei"] == str(tmp_path / "m")


@pytest.mark.posix("symbolic links")
@pytest.mark.parametrize(
    ("value", "reason"),
    [("x" * 5_000, "File name too long"), ("a\0b", "null byte"), ("loop", "ymlink loop|symbolic links")],
)
@pytest.mark.parametrize("key", ["cohort.table", "classifier.weights", "compartments.nuclei"])
def test_what_can_be_no_path_is_a_fault_of_its_key(tmp_path, key, value, reason):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    section, _, name = key.partition(".")
    content = {section: {name: value, "kind": "patches"}}
    (fault,) = anchored(content, tmp_path)
    assert fault.steps == (section, name)
    assert fault.words.startswith(f"{key}: ")
    assert any(word in fault.words for word in reason.split("|"))
    assert len(fault.words) < 500
    assert content == {section: {"kind": "patches"}}


def test_an_empty_path_of_a_table_is_a_fault(tmp_path):
    (fault,) = anchored({"cohort": {"table": ""}}, tmp_path)
    assert fault.words == "cohort.table: is empty; expected the path of a file"
    assert anchored({"classifier": {"weights": ""}, "compartments": {"nuclei": ""}}, tmp_path) == []


@pytest.mark.parametrize("content", [{"cohort": 3}, {"cohort": {"table": 5}}, {"controls": 3}, {"saliency": []}, {}])
def test_what_is_no_path_stays_for_the_settings_to_judge(tmp_path, content):
    before = repr(content)
    assert anchored(content, tmp_path) == []
    assert repr(content) == before


def test_a_class_whose_file_can_be_none_keeps_its_name(tmp_path):
    names = ["python:" + "x" * 5_000 + ":A", "python:a\0b:A", 3, "sobel"]
    content = {"controls": list(names)}
    assert anchored(content, tmp_path) == []
    assert content == {"controls": names}
