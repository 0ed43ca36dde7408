"""YAML of study files: one line for every fault."""

import pytest

from saliency_stats.errors import StudyError
from saliency_stats.settings import yaml_text
from saliency_stats.settings.study import load


def study_file(folder, text):
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path, *assignments):
    with pytest.raises(StudyError) as caught:
        load(path, assignments)
    assert caught.value.exit_status == 2
    return str(caught.value)


# --- the file itself --------------------------------------------------------------------------------


def test_there_is_no_study_file(tmp_path):
    message = refused(tmp_path / "study.yaml")
    assert message == (
        f"there is no study file {tmp_path / 'study.yaml'}; `saliency-stats init DIR` writes one to start from"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"cohort: {signal: nucleus\nseed: 3\n", "line 2: "),
        (b"seed: 1\n\tname: x\n", "line 2: found character"),
        (b"seed: 1\nname: a\nseed: 2\n", "line 3: the key 'seed' stands twice in its section"),
        (b"cohort: {slides: 3, slides: 4}\n", "the key 'slides' stands twice"),
        (b"seed: !!python/object/apply:os.getcwd []\n", "line 1: could not determine a constructor"),
        (b"[a]: 1\n", "line 1: found unhashable key"),
        (b"a: 1\n---\nb: 2\n", "line 2: but found another document"),
        ("name: körper\n".encode("latin-1"), "utf-8"),
    ],
)
def test_what_is_no_yaml_is_refused_in_one_line(tmp_path, content, reason):
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    message = refused(path)
    assert message.startswith(f"{path} is not a readable YAML file (")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(("text", "kind"), [("- seed\n", "list"), ("phantom\n", "str"), ("3\n", "int")])
def test_what_has_no_sections_is_refused(tmp_path, text, kind):
    assert f"holds a {kind}; expected sections such as 'cohort:'" in refused(study_file(tmp_path, text))


def test_a_folder_is_no_study_file(tmp_path):
    assert "is not a readable YAML file" in refused(tmp_path)


def test_one_key_may_stand_in_two_sections(tmp_path):
    settings = load(study_file(tmp_path, "classifier: {batch_size: 4}\nsaliency: {batch_size: 5}\n"))
    assert (settings.classifier.batch_size, settings.saliency.batch_size) == (4, 5)


def test_what_is_written_keeps_its_order_and_its_letters():
    assert yaml_text.write({"b": {"ä": 1}, "a": None}) == "b:\n  ä: 1\na: null\n"


# --- --set --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("assignment", ["seed", "=3", "cohort.=3", ".signal=x", "", "cohort..signal=x"])
def test_an_assignment_has_a_key_and_a_value(assignment):
    message = refused(None, assignment)
    assert f"--set {assignment!r}: expected section.key=value, for example cohort.signal=nucleus" in message


def test_an_assignment_is_yaml():
    assert "--set 'controls=[a': the value is not readable (line 1:" in refused(None, "controls=[a")


def test_a_section_is_no_value():
    message = refused(None, "cohort.signal=none", "cohort.signal.strength=1")
    assert "signal is set to a value and a section at once" in message


def test_an_assignment_makes_the_sections_that_it_needs():
    content = {"cohort": {"slides": 3}}
    for assignment in ("cohort.signal=none", " a.b.c = [1, two]", "seed=", "name=x=y"):
        yaml_text.assign(content, assignment)
    expected = {"cohort": {"slides": 3, "signal": "none"}, "a": {"b": {"c": [1, "two"]}}, "seed": None, "name": "x=y"}
    assert content == expected
