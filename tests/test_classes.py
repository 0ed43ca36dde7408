"""Two classes of any name: what a study file states, the words of a table, the outputs of a network."""

import pytest

from saliency_stats.classes import LONGEST_NAME, USUAL_CLASSES, Classes
from saliency_stats.errors import StudyError

STATED = {"normal": ["healthy", 0], "tumor": ["Carcinoma", "DCIS", 1]}


def test_without_a_statement_they_are_called_as_the_tables_call_them():
    assert Classes.stated({}) == USUAL_CLASSES == Classes()
    assert USUAL_CLASSES.names == ("benign", "malignant")
    assert USUAL_CLASSES.known_words == (("benign",), ("malignant",))
    assert (USUAL_CLASSES.outputs, USUAL_CLASSES.stated_words) == (((), ()), ((), ()))
    assert not USUAL_CLASSES.are_stated
    assert Classes.stated({"benign": [0], "malignant": [1]}).are_stated


def test_a_list_holds_words_and_numbers_which_are_outputs_too():
    classes = Classes.stated(STATED)
    assert classes.names == ("normal", "tumor")
    assert classes.words == (("healthy", "0"), ("Carcinoma", "DCIS", "1"))
    assert classes.outputs == ((0,), (1,))
    assert classes.known_words == (("normal", "healthy", "0"), ("tumor", "Carcinoma", "DCIS", "1"))
    assert classes.stated_words == classes.known_words


@pytest.mark.parametrize(
    ("word", "label"),
    [
        *(
            ("healthy", "benign"),
            ("0", "benign"),
            ("normal", "benign"),
            (" Carcinoma\t", "malignant"),
            ("1", "malignant"),
        ),
        *(("carcinoma", ""), ("benign", ""), ("malignant", ""), ("", ""), ("01", ""), ("1.0", "")),
    ],
)
def test_a_word_of_a_table_is_compared_as_it_is_written_but_for_spaces(word, label):
    assert Classes.stated(STATED).label(word) == label


def test_one_word_may_be_encoded_in_two_ways():
    classes = Classes.stated({"gutartig": ["a"], "Geschwu\u0308r": ["bo\u0308se"]})
    assert classes.label("b\u00f6se") == classes.label("bo\u0308se") == "malignant"
    assert classes.names[1] == "Geschw\u00fcr"


def test_a_label_has_a_name_and_what_is_none_is_called_as_it_is():
    classes = Classes.stated(STATED)
    assert [classes.name(label) for label in ("benign", "malignant", "malignant-benign")] == [
        *("normal", "tumor", "malignant-benign")
    ]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        # their order decides
        ({"tumor": [1], "normal": [0]}, ("tumor", "normal")),
        # unless one is called benign or malignant
        ({"malignant": [1], "benign": [0]}, ("benign", "malignant")),
        ({"malignant": [1], "healthy": [0]}, ("healthy", "malignant")),
        ({"healthy": [0], "benign": [1]}, ("benign", "healthy")),
        # or has this among its words
        ({"tumor": ["malignant"], "normal": ["x"]}, ("normal", "tumor")),
        ({"tumor": ["x"], "normal": ["benign"]}, ("normal", "tumor")),
        # of which the name is what counts
        ({"malignant": ["benign"], "other": ["x"]}, ("other", "malignant")),
        ({"lesion": ["malignant", "benign"], "normal": ["x"]}, ("lesion", "normal")),
    ],
)
def test_the_roles_go_by_name_then_by_word_then_by_order(content, names):
    assert Classes.stated(content).names == names


def test_a_single_word_needs_no_list_and_a_number_in_quotes_is_no_output():
    classes = Classes.stated({"normal": "0", "tumor": "1"})
    assert classes.words == (("0",), ("1",))
    assert classes.outputs == ((), ())
    assert Classes.stated({"normal": 0, "tumor": 1}).outputs == ((0,), (1,))


def test_words_and_outputs_can_be_stated_apart():
    classes = Classes.stated({"normal": {"words": [1], "outputs": [1, 2]}, "tumor": {"words": [2, "x"], "outputs": 0}})
    assert classes.words == (("1",), ("2", "x"))
    assert classes.outputs == ((1, 2), (0,))
    only = Classes.stated({"normal": {"outputs": [0]}, "tumor": {"outputs": [1]}})
    assert (only.words, only.outputs) == (((), ()), ((0,), (1,)))
    assert only.label("tumor") == "malignant"
    assert Classes.stated({"normal": {"words": None, "outputs": [0]}, "tumor": 1}) == Classes.stated(
        {"normal": {"outputs": [0]}, "tumor": {"words": ["1"], "outputs": [1]}}
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"tumor": ["x"]}, "found 1 class (tumor); expected two: {normal: [normal, 0], tumor: [tumor, 1]}"),
        ({"a": ["1"], "b": ["2"], "c": ["3"]}, "found 3 classes (a, b, c); expected two: "),
        ({"a": ["1"], "b": ["2"], "c": ["3"]}, "Several words may stand for one class"),
        ({"normal": [], "tumor": ["x"]}, "normal has no word; expected the words that stand for it, as in {normal:"),
        ({"normal": None, "tumor": ["x"]}, "normal has no word"),
        ({"normal": {"words": [], "outputs": []}, "tumor": ["x"]}, "normal has no word"),
        ({"normal": ["x"], "tumor": ["x", "y"]}, "the word 'x' stands for more than one class; expected each for one"),
        ({"normal": ["tumor"], "tumor": ["y"]}, "the word 'tumor' stands for more than one class"),
        ({"normal": ["1"], "tumor": [1]}, "the word '1' stands for more than one class"),
        ({"normal": ["x", "z"], "tumor": ["z", "x"]}, "the word 'x', 'z' stands for more than one class"),
        (
            {"normal": {"words": ["x"], "outputs": [0]}, "tumor": {"words": ["y"], "outputs": [0]}},
            "the output '0' stands for more than one class",
        ),
        ({"normal": ["1"], "tumor": [1]}, "say {words: [...], outputs: [...]} of each class"),
        (
            {"Tumor": ["x"], "tumor": ["y"]},
            "the name tumor stands for 2 classes; expected two names that people can tell",
        ),
        ({"tumor": ["x"], "tumor ": ["y"]}, "the name tumor stands for 2 classes"),
        (
            {0: ["normal"], 1: ["tumor"]},
            "0 is no name of a class; expected the two names, each with its words: {normal:",
        ),
        ({"0": ["normal"], "1": ["tumor"]}, "'0' is no name of a class"),
        ({"": ["normal"], "b": ["tumor"]}, "'' is no name of a class"),
        ({True: ["normal"], "b": ["tumor"]}, "True is no name of a class"),
        (
            {"a\nb": ["normal"], "b": ["tumor"]},
            r"the name 'a\nb' cannot be shown; expected up to 40 printable characters",
        ),
        ({"a" * (LONGEST_NAME + 1): ["normal"], "b": ["tumor"]}, "cannot be shown; expected up to 40"),
        (
            {"a": [True], "b": ["x"]},
            "a: True is neither a word nor a whole number; put it in quotes if the table has it",
        ),
        ({"a": [1.5], "b": ["x"]}, "a: 1.5 is neither a word nor a whole number"),
        ({"a": [["x"]], "b": ["y"]}, "a: ['x'] is neither a word nor a whole number"),
        ({"a": [" "], "b": ["x"]}, "a: a word is empty; expected what stands in the table, or delete it"),
        ({"a": ["x", "x"], "b": ["y"]}, "a: 'x' stands there twice; expected each once"),
        ({"a": [0, 0], "b": [1]}, "a: 0 stands there twice"),
        ({"a": {"words": ["x"], "outputs": [0, 0]}, "b": [1]}, "a: 0 stands there twice"),
        ({"a": [-1], "b": [1]}, "a: -1 is no output of a network, which are numbered from 0; put it in quotes if"),
        ({"a": [100_001], "b": [1]}, "a: 100001 is no output of a network"),
        ({"a": {"outputs": ["0"]}, "b": [1]}, "a: outputs has '0'; expected whole numbers, without quotes"),
        ({"a": {"outputs": [True]}, "b": [1]}, "a: outputs has True; expected whole numbers"),
        ({"a": {"wods": ["x"]}, "b": ["y"]}, "a has the unknown key 'wods'; expected name, words, outputs"),
        ({"a": {"wods": ["x"], 1: 2}, "b": ["y"]}, "a has the unknown key 'wods', 1; expected name, words, outputs"),
        ({"a": {"name": "x", "words": ["y"]}, "b": ["z"]}, "a has a name; expected it as the key, or below benign and"),
        ({"benign": {"name": "0", "words": ["y"]}, "malignant": ["z"]}, "'0' is no name of a class"),
        ({"benign": {"name": 1, "words": ["y"]}, "malignant": ["z"]}, "1 is no name of a class"),
        ({"benign": {"name": "malignant", "words": ["y"]}, "malignant": ["z"]}, "the name malignant stands for 2 cl"),
        ({"a": ["x"], "b": [1]}, "b alone has outputs; expected those of every class, or of none"),
    ],
)
def test_what_cannot_be_is_told_with_the_remedy(content, message):
    with pytest.raises(StudyError) as caught:
        Classes.stated(content)
    assert message in str(caught.value)


def test_all_that_is_wrong_is_told_once():
    with pytest.raises(StudyError) as caught:
        Classes.stated({"a": ["x", "x", True], "b": [], "c": [1, 1]})
    found = str(caught.value).split("; ")
    for part in (
        "a: 'x' stands there twice",
        "a: True is neither",
        "b has no word",
        "c: 1 stands there",
        "found 3 classes",
    ):
        assert sum(text.startswith(part) for text in found) == 1, part


def test_stated_by_role_their_order_does_not_matter():
    classes = Classes.stated({"tumor": ["x", 1], "normal": ["benign", 0]})
    resolved = classes.resolved
    assert resolved == {
        "benign": {"name": "normal", "words": ["benign", "0"], "outputs": [0]},
        "malignant": {"name": "tumor", "words": ["x", "1"], "outputs": [1]},
    }
    assert Classes.stated(resolved) == Classes.stated(dict(reversed(resolved.items()))) == classes
    # the role is no word of a table then
    assert Classes.stated({"benign": {"name": "a", "words": ["b"]}, "malignant": ["c"]}).label("benign") == ""


@pytest.mark.parametrize("number", [0, 100_000])
def test_the_numbers_that_outputs_may_have(number):
    assert Classes.stated({"a": [number], "b": [1]}).outputs == ((number,), (1,))
    assert Classes.stated({"a" * LONGEST_NAME: [number], "b": [1]}).names[0] == "a" * LONGEST_NAME


def test_a_name_that_stands_for_two_classes_is_told_without_its_word():
    with pytest.raises(StudyError) as caught:
        Classes.stated({"tumor": ["x"], "tumor ": ["y"]})
    assert "word" not in str(caught.value)
