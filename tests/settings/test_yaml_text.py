"""YAML of study files: one line for every fault."""

import os
import time

import pytest
import yaml

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


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: \x00", "line 1: the character 0x0000 is no text"),
        (b"a: 1\nb: \x07\n", "line 2: the character 0x0007 is no text"),
        (b"a: 1\nb: \xe9\n", "line 2: byte 0xe9 is not utf-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        ("a: 1".encode("utf-16-be").join([b"\xfe\xff", b""]), "it is UTF-16"),
        (b"a: !foo 1", "the tag '!foo'"),
        (b"a: !!timestamp 2026-02-31", "the tag 'tag:yaml.org,2002:timestamp'"),
        (b"a: !!binary aaaa", "the tag 'tag:yaml.org,2002:binary'"),
        (b"!!python/name:os.system a: 1", "the tag 'tag:yaml.org,2002:python/name:os.system'"),
        (b"a: !!int many", "line 1: expected int, found 'many'"),
        (b"a: !!float 1:30", "line 1: expected float, found '1:30'"),
        (b"a: !!bool yes", "line 1: expected bool, found 'yes'"),
        (b"a: !!null x", "line 1: expected null, found 'x'"),
        (b"a: !!map [1]", "line 1: expected keys and values, found a sequence"),
        (b"a: !!int [1]", "line 1: expected a scalar node"),
        (b"'': 1", "line 1: found unhashable key: expected a word, found an empty one"),
        (b"? {a: 1}\n: 1", "expected a word, found a mapping"),
        (b"<<: 1", "line 1: expected a mapping or list of mappings for merging"),
        (b"a: &x {b: 1, b: 2}\nc: *x", "line 1: the key 'b' stands twice"),
        (b"a: *nothing", "line 1: found undefined alias"),
        (b"a: &x [*x]", "line 1: the alias *x stands inside of what it repeats"),
        (b"a: &x {<<: *x}", "line 1: the alias *x stands inside of what it repeats"),
        (b"a: " + b"[" * 100_000, "line 1: more than 20 levels inside each other"),
        (b"a: " + b"{b: " * 21, "more than 20 levels"),
        (b"\n".join(b" " * level + b"a:" for level in range(500)), "line 20: more than 20 levels"),
        (b"a: 1\n#" + b"x" * 1_000_000, "it has more than 1,000,000 bytes"),
    ],
    ids=range(26),
)
def test_what_would_fill_the_memory_or_be_taken_for_something_else_is_refused(tmp_path, content, reason):
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    began = time.monotonic()
    message = refused(path)
    assert time.monotonic() - began < 5
    assert message.startswith(f"{path} is not a readable YAML file (")
    assert reason in message
    assert "\n" not in message
    assert len(message) < 1_000


def test_aliases_are_counted_as_what_they_stand_for(tmp_path):
    """Nine times nine times … values: a file of a kilobyte that would be 10**11."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "more than 100,000 values, aliases counted" in refused(study_file(tmp_path, "\n".join(lines)))
    merged = "a: &a {b: 1}\n" + "\n".join(f"c{n}: {{<<: [{', '.join(['*a'] * 300)}]}}" for n in range(200))
    assert "more than 100,000 values" in refused(study_file(tmp_path, merged))


@pytest.mark.parametrize("n", [yaml_text.MAX_VALUES - 6, yaml_text.MAX_VALUES - 5])
def test_the_largest_number_of_values(n):
    # besides n: the mapping, two keys, the list and its alias's one
    text = f"a: &x 1\nb: [{'*x, ' * n}]"
    content = {}
    if n == yaml_text.MAX_VALUES - 6:
        yaml_text.assign(content, f"k={{{text.replace(chr(10), ', ')}}}")
        assert len(content["k"]["b"]) == n
    else:
        with pytest.raises(StudyError, match="values, aliases counted"):
            yaml_text.assign(content, f"k={{{text.replace(chr(10), ', ')}, c: 1}}")


def test_the_last_value_that_is_allowed(monkeypatch):
    monkeypatch.setattr(yaml_text, "MAX_VALUES", 10)
    content = {}
    yaml_text.assign(content, "a=[1, 2, 3, 4, 5, 6, 7, 8, 9]")
    yaml_text.assign(content, "a=[&x [1, 2], *x, *x]")
    for text in ("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "[&x [1, 2], *x, *x, 1]"):
        with pytest.raises(StudyError, match="more than 10 values"):
            yaml_text.assign(content, f"a={text}")


def test_the_deepest_level(tmp_path):
    deep = "[" * 19 + "]" * 19
    assert yaml_text.read(study_file(tmp_path, f"a: {deep[1:-1]}"))["a"] == yaml.safe_load(deep[1:-1])
    assert "more than 20 levels" in refused(study_file(tmp_path, f"a: [{deep}]"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (word, word)
            for word in ("yes", "no", "on", "Off", "y", "0123", "08", "1:30", "1_000", "0x1F", "0o7", "0b1")
        ),
        *((word, word) for word in ("2026-02-31", "2026-11-27", "=", "1e", "e3", "1.2.3", "nan", "+-1", "1,5", "--1")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        ("0", 0),
        ("-3", -3),
        ("+5", 5),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("0.50", 0.5),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("!!float 3", 3.0),
        ("!!str 3", "3"),
        ("'3'", "3"),
        ("9" * 300, 10**300 - 1),
        ("9" * 301, "9" * 301),
        ("9" * 5_000, "9" * 5_000),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else type(value).__name__,
)
def test_a_value_is_what_was_typed(tmp_path, text, value):
    found = yaml_text.read(study_file(tmp_path, f"a: {text}\n"))["a"]
    assert (found, type(found)) == (value, type(value))


def test_a_key_is_the_text_that_was_typed(tmp_path):
    text = "001: 1\nyes: 2\n1.50: 3\n2026-02-31: 4\n'null': 5\ntrue: 6\n"
    assert yaml_text.read(study_file(tmp_path, text)) == {
        "001": 1,
        "yes": 2,
        "1.50": 3,
        "2026-02-31": 4,
        "null": 5,
        "true": 6,
    }


def test_sections_may_be_merged(tmp_path):
    text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {b: 4, <<: [*x, {c: 5}]}\n"
    found = yaml_text.read(study_file(tmp_path, text))
    assert found == {"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}, "z": {"a": 1, "b": 4, "c": 5}}


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: 3\n")
    assert load(path).seed == 3


@pytest.mark.parametrize(
    "word", ["yes", "0123", "1:30", "1e3", "1_000", "null", "~", "3", ".5", ".inf", "2026-01-01", ""]
)
def test_written_text_is_text_for_both_versions_of_yaml(tmp_path, word):
    text = yaml_text.write({"a": word})
    assert yaml_text.read(study_file(tmp_path, text)) == yaml.safe_load(text) == {"a": word}


@pytest.mark.parametrize("number", [0, -3, 1e-7, 1e300, 0.1, 123456.789])
def test_written_numbers_are_read_as_the_same(tmp_path, number):
    assert yaml_text.read(study_file(tmp_path, yaml_text.write({"a": number}))) == {"a": number}


@pytest.mark.posix("named pipes")
def test_a_pipe_is_not_waited_for_and_a_device_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "(it is a pipe, expected a file)" in refused(tmp_path / "pipe")
    assert "(it is a device, expected a file)" in refused(type(tmp_path)("/dev/zero"))
    assert "(it is a folder, expected a file)" in refused(tmp_path)


@pytest.mark.posix("symbolic links")
def test_paths_that_lead_nowhere(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "is not a readable YAML file (Too many levels of symbolic links)" in refused(tmp_path / "loop")
    message = refused(tmp_path / ("x" * 5_000))
    assert message.endswith("is not a readable YAML file (File name too long)")
    assert len(message) < 500
    assert "embedded null byte" in refused(tmp_path / "a\0b")


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


@pytest.mark.parametrize(
    "assignment", ["seed", "=3", "cohort.=3", ".signal=x", "", "cohort..signal=x", " = ", "a.a.a.a.a.a.a.a.a.a.a=1"]
)
def test_an_assignment_has_a_key_and_a_value(assignment):
    message = refused(None, assignment)
    assert f"--set {assignment!r}: expected section.key=value, for example cohort.signal=nucleus" in message


def test_an_assignment_is_yaml():
    assert "--set 'controls=[a': the value is not readable (line 1:" in refused(None, "controls=[a")
    assert "the value is not readable (line 1: the character 0xdcff is no text" in refused(None, "seed=\udcff")
    assert "more than 20 levels" in refused(None, "seed=" + "[" * 50_000)
    assert len(refused(None, "seed" * 50_000)) < 1_000


def test_a_section_is_no_value():
    message = refused(None, "cohort.signal=none", "cohort.signal.strength=1")
    assert "signal is set to a value and a section at once" in message


def test_an_assignment_has_at_most_ten_steps():
    content = {}
    assert yaml_text.assign(content, f"{'.'.join('abcdefghij')}=1") == (list("abcdefghij"), 1)
    assert content["a"]["b"]["c"]["d"]["e"]["f"]["g"]["h"]["i"] == {"j": 1}


def test_an_assignment_makes_the_sections_that_it_needs():
    content = {"cohort": {"slides": 3}}
    for assignment in ("cohort.signal=none", " a.b.c = [1, two]", "seed=", "name=x=y"):
        yaml_text.assign(content, assignment)
    expected = {"cohort": {"slides": 3, "signal": "none"}, "a": {"b": {"c": [1, "two"]}}, "seed": None, "name": "x=y"}
    assert content == expected
