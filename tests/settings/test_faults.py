"""All that is wrong is told at once: causes alone, each with where it comes from."""

import pytest

from saliency_stats.errors import StudyError
from saliency_stats.settings.faults import is_section, keys_of, nearest
from saliency_stats.settings.study import StudySettings, load


def refused(folder, text, *assignments):
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        load(path, assignments)
    assert len(str(caught.value)) < 3_000
    return str(caught.value).replace(str(path), "FILE").split("\n  ")


def test_every_fault_is_told_in_one_message(tmp_path):
    found = refused(
        tmp_path, "seed: x\nzzz: 1\ncohort: {slides: 1, signal: q}\nclassifier: {epochs: 0}\nname: '/'", "report.a=1"
    )
    assert found[0] == "7 faults:"
    assert found[1] == (
        "FILE: seed: Input should be a valid integer (found 'x'). Write it in plain digits, without quotes"
    )
    assert found[2].startswith("FILE: unknown key zzz. Known keys: name, seed")
    assert found[3] == "--set 'report.a=1': unknown key report.a. Known keys: examples."
    assert [line.split(": ")[1] for line in found[4:]] == [
        "name",
        "cohort.signal",
        "cohort.slides",
        "classifier.epochs",
    ]


def test_of_many_faults_ten_are_told_and_the_rest_counted(tmp_path):
    found = refused(tmp_path, "\n".join(f"key{n}: 1" for n in range(30)))
    assert (found[0], len(found), found[-1]) == ("30 faults:", 12, "and 20 more")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        # the sum of the fractions and the missing key only follow
        ("cohort: {fractions: {trian: 0.6}}", "FILE: unknown key cohort.fractions.trian. Did you mean"),
        (
            "cohort: {fractions: {train: yes, test: 0.1}}",
            "FILE: cohort.fractions.train: Input should be a valid number",
        ),
        ("cohort: {kind: patches, tabel: a.csv}", "FILE: unknown key cohort.tabel. Did you mean cohort.table?"),
        (
            "cohort: {kind: patches, table: 'a\0'}".replace("'a\0'", '"a\\0"'),
            "FILE: cohort.table: 'a\\x00' cannot be a",
        ),
        ("cohort: {kind: slydes, tabel: a.csv, zzz: 1}", "FILE: cohort.kind is 'slydes'. Did you mean slides?"),
    ],
)
def test_what_only_follows_is_not_told(tmp_path, text, told):
    (found,) = refused(tmp_path, text)
    assert found.startswith(told)


def test_what_does_not_follow_is_told_beside_the_unknown_key(tmp_path):
    found = refused(tmp_path, "cohort: {kind: patches, zzz: a.csv}\nsaliency: {methods: [a, a]}")
    assert found[1].startswith("FILE: unknown key cohort.zzz. Known keys: ")
    assert found[2:] == ["FILE: cohort.table: Field required", "FILE: saliency: saliency.methods names one twice"]


def test_what_does_not_fit_together_is_told_at_once(tmp_path):
    (found,) = refused(
        tmp_path,
        "compartments: {nuclei: truth}\nmultiverse: {enabled: yes}\nclassifier: {weights: imagenet, trainable: none}\n"
        "cohort: {kind: slides, table: a.csv, size_px: 2048}",
    )
    for fault in (
        "compartments.nuclei: truth is known for phantoms only",
        "multiverse needs nuclei that are found",
        "set cohort.carry to native",
        "classifier.trainable: none needs weights with two classes (found 1000, those of imagenet)",
    ):
        assert fault in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("controls: a, b", "controls: Input should be a valid list (found 'a, b'). A list is written [a, b]"),
        ("controls: [1]", "controls.0: Input should be a valid string (found 1). Put it in quotes"),
        ("name: 2026", "name: Input should be a valid string (found 2026). Put it in quotes if it is meant as text"),
        ("cohort: {signal: nucleos}", "(found 'nucleos'). Did you mean nucleus?"),
        ("cohort: {signal: [nucleus]}", "(found ['nucleus']). Did you mean nucleus?"),
        ("cohort: {signal: qqqq}", "'suppressor' or 'background' (found 'qqqq')"),
        ("cohort: 3", "(found 3). Expected keys and values below it"),
        ("classifier: []", "(found []). Expected keys and values below it"),
        (
            "cohort: {kind: slides, table: a, annotation_groups: {tumor: [a]}}",
            "cohort.annotation_groups.tumor: Input should be 'tumour', 'exclude' or 'ignore' (found 'tumor'). Did you",
        ),
        ("cohort: {kind: slides, table: a, annotation_groups: {tumour: [3]}}", "cohort.annotation_groups.tumour.0: "),
        ("cohort: {kind: slides, table: a, annotation_groups: 3}", "(found 3). Expected keys and values below it"),
        ("cohort: {kind: slides, table: a, mpp_override: {001: yes}}", "cohort.mpp_override: 001: Input should be"),
        ("cohort: {kind: slides, table: a, mpp_override: {a: 0.04}}", "cohort.mpp_override.a: Input should be greater"),
        ("cohort: {kind: slides, table: a, magnifications: [201]}", "less than or equal to 200 (found 201)"),
        ("statistics: {families: {primary: 3}}", "statistics.families.primary: Input should be a valid list (found 3)"),
        (
            "statistics: {families: {primary: [cytoplasm_vs_nuclei, zzz]}}",
            "no contrast 'cytoplasm_vs_nuclei'. Did you mean cytoplasm_vs_nucleus?; primary: there is no contrast 'zzz",
        ),
        ("statistics: {families: {}}", "families is empty"),
        ("'a\tb': 1", "unknown key 'a\\tb'"),
        ("? a\n: {b: 1}", "unknown key a. "),
    ],
)
def test_a_fault_says_what_helps(tmp_path, text, message):
    (found,) = refused(tmp_path, text)
    assert message in found


@pytest.mark.parametrize(
    "text",
    [
        "seed: " + "9" * 5_000,
        "seed: " + "9" * 250,
        "name: " + "a" * 5_000,
        "? " + "k" * 5_000 + "\n: 1",
        "cohort: {signal: " + "x" * 5_000 + "}",
        "cohort: {kind: " + "x" * 5_000 + "}",
        "cohort: {kind: " + "[a, " * 15 + "]" * 15 + "}",
        "controls: " + "x" * 5_000,
        "controls: [" + "a, " * 5_000 + "]",
        "seed: [" + "[1, 2], " * 5_000 + "]",
        "saliency: {target: {" + ", ".join(f"k{n}: {'v' * 50}" for n in range(500)) + "}}",
        "statistics: {families: {primary: [" + ", ".join(f"x{n}" for n in range(5_000)) + "]}}",
        "statistics: {families: {" + "f" * 1_000 + ": [" + "c" * 5_000 + "]}}",
        "multiverse: {min_confidence: [" + "yes, " * 5_000 + "]}",
        "report: {" + ", ".join(f"k{n}: 1" for n in range(2_000)) + "}",
    ],
    ids=range(15),
)
def test_no_value_makes_a_long_message(tmp_path, text):
    assert len("\n".join(refused(tmp_path, text))) < 2_000


# --- where a fault comes from -------------------------------------------------------------------------


def test_an_assignment_is_blamed_for_what_it_sets_and_the_file_for_the_rest(tmp_path):
    found = refused(tmp_path, "seed: x\ncohort: {slides: 1}", "seed=y", "cohort.slidez=4", "cohort.signal=3")
    assert [line.partition(": ")[0] for line in found[1:]] == [
        "--set 'seed=y'",
        "--set 'cohort.slidez=4'",
        "--set 'cohort.signal=3'",
        "FILE",
    ]


def test_of_two_assignments_of_a_key_the_last_is_blamed(tmp_path):
    (found,) = refused(tmp_path, "", "seed=x", "seed=y")
    assert found.startswith("--set 'seed=y': seed: ")


def test_an_assignment_is_blamed_for_a_section_that_it_makes_wrong(tmp_path):
    (found,) = refused(tmp_path, "seed: 3", "cohort.fractions.train=0.9")
    assert found == "--set 'cohort.fractions.train=0.9': cohort.fractions: the fractions add up to 1.4; expected 1"


def test_of_two_that_make_it_wrong_together_the_last_is_blamed(tmp_path):
    (found,) = refused(tmp_path, "", "cohort.fractions.train=0.9", "cohort.fractions.test=0.3")
    assert found.startswith("--set 'cohort.fractions.test=0.3': cohort.fractions: the fractions add up to 1.3")


def test_an_assignment_of_a_whole_section_is_blamed_for_its_keys_alone(tmp_path):
    found = refused(tmp_path, "cohort: {slides: 1}", "cohort={size_px: 1}")
    assert found[1].startswith("FILE: cohort.slides: ")
    assert found[2].startswith("--set 'cohort={size_px: 1}': cohort.size_px: ")


@pytest.mark.parametrize("value", ["5", "", "null", "[1]", "text"])
@pytest.mark.parametrize("key", ["cohort", "classifier.augmentation", "cohort.fractions", "report"])
def test_a_section_is_not_replaced_by_a_value(tmp_path, key, value):
    (found,) = refused(tmp_path, "cohort: {signal: nucleus}", f"{key}={value}")
    assert found.startswith(f"--set '{key}={value}': {key} is a section (found ")
    assert found.endswith(f"expected one of its keys, as in --set {key}.KEY=VALUE")


def test_every_wrong_assignment_is_told(tmp_path):
    found = refused(tmp_path, "", "seed", "cohort=5", "a=[", "cohort.slides=1")
    assert [line.partition(": ")[0] for line in found[1:]] == ["--set 'seed'", "--set 'cohort=5'", "--set 'a=['"]


@pytest.mark.parametrize(
    "assignment",
    ["a.b.c.d=1", "seed.x=1", "seed=", "cohort.kind.x=1", "controls=-", "controls=a,b", "cohort.a.svs=0.25", "x=" * 50],
)
def test_an_assignment_is_named(tmp_path, assignment):
    (found,) = refused(tmp_path, "", assignment)
    assert found.startswith(f"--set {assignment!r}: ")


# --- words and keys -----------------------------------------------------------------------------------


def test_the_nearest_word():
    assert nearest("gradiant", ["gradient", "sobel"], "none") == "Did you mean gradient?"
    assert nearest("zzz", ["gradient"], "none") == "none"
    assert nearest("slydes", ["slides"], "", "cohort.") == "Did you mean cohort.slides?"
    assert nearest("x" * 10**6, ["gradient"], "none") == "none"


def test_keys_and_sections():
    keys = set(keys_of(StudySettings))
    assert {"seed", "cohort", "cohort.kind", "cohort.carry", "cohort.fractions.train"} <= keys
    assert is_section(StudySettings, ["cohort"])
    assert is_section(StudySettings, ["cohort", "fractions"])
    for steps in (["seed"], ["cohort", "slides"], ["zzz"], ["cohort", "fractions", "train"]):
        assert not is_section(StudySettings, steps)
