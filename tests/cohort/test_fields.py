"""The rules for ids, words and µm per pixel."""

import math
from pathlib import Path

import pandas as pd
import pytest

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.cohort import fields
from saliency_stats.cohort.listing import Columns, Listing
from saliency_stats.cohort.problems import Problems
from saliency_stats.errors import CohortError

COLUMNS = Columns("patch", ("path",), ("mpp", "split", "label", "slide_id", "patient_id"), closed=False)
#: One letter as one character, and as a letter and an accent.
COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"


def listing(**columns):
    n = len(next(iter(columns.values())))
    table = pd.DataFrame(
        {name: columns.get(name, [""] * n) for name in COLUMNS.known}, index=range(2, n + 2), dtype=object
    )
    return Listing(COLUMNS, table, Problems(Path("t.csv")), "")


def told(found):
    """What was found to be wrong; empty if nothing."""
    try:
        found.problems.stop()
    except CohortError as error:
        return str(error).removeprefix("t.csv")
    return ""


# --- ids --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["007", "1e5", "1.0", "TRUE", "S 1", "a/b", "-1", "0", "ref", "value", "naples", "nana", COMPOSED]
)
def test_ids_stay_as_typed(text):
    found = listing(slide_id=[text, ""])
    assert fields.ids(found, "slide_id").tolist() == [text, ""]
    assert told(found) == ""


def test_two_unicode_forms_of_one_id_are_one_id():
    found = fields.ids(listing(slide_id=[COMPOSED, DECOMPOSED]), "slide_id")
    assert found.tolist() == [COMPOSED, COMPOSED]
    assert fields.one_form(pd.Series([DECOMPOSED])).tolist() == [COMPOSED]


@pytest.mark.parametrize(
    "word",
    [
        *(
            "NA",
            "N/A",
            "n.a.",
            "#N/A",
            "<NA>",
            "nan",
            "NaN",
            "-nan",
            "NaT",
            "none",
            "None",
            "null",
            "NULL",
            "(null)",
            "nil",
        ),
        *("unknown", "Unknown", "UNK", "not available", "not applicable", "not known", "n/a ", "missing", "undefined"),
        *(
            "-",
            "--",
            "?",
            "??",
            ".",
            "…",
            "/",
            "_",
            "*",
            "\u2014",
            "#REF!",
            "#VALUE!",
            "#DIV/0!",
            "TBD",
            "[blank]",
            "empty",
        ),
        *("anonymous", "Anonymized", "anonymised", "REDACTED", "\uff2e\uff21"),
    ],
)
def test_words_for_unknown_are_no_ids(word):
    assert fields.is_unknown(word)
    found = listing(patient_id=[word, "P1", word])
    fields.ids(found, "patient_id")
    assert told(found) == (
        f", line 2 (and 4): patient_id is {word!r}; leave it empty where it is unknown: as an id it would make one "
        f"patient of all patches that have none"
    )


@pytest.mark.parametrize("word", ["", "P1", "0", "N", "nab", "anon-17", "unknown primary 3", "1", "é", "ref", "div0"])
def test_names_are_not_taken_for_words_for_unknown(word):
    assert not fields.is_unknown(word)


def test_every_word_for_unknown_is_told():
    found = listing(slide_id=["NA", "?", "S"])
    fields.ids(found, "slide_id")
    assert told(found).startswith(": 2 things are wrong\n  line 2: slide_id is 'NA'")
    assert "line 3: slide_id is '?'" in told(found)


@pytest.mark.parametrize(
    ("letter", "name"),
    [
        ("\u200b", "U+200B (zero width space)"),
        ("\ufeff", "U+FEFF (zero width no-break space)"),
        ("\u00a0", "U+00A0 (no-break space)"),
        ("\n", "U+000A (a control character)"),
        ("\x07", "U+0007 (a control character)"),
        ("\u202e", "U+202E (right-to-left override)"),
        ("\ufffd", "U+FFFD (replacement character)"),
    ],
)
def test_an_id_shows_all_its_characters(letter, name):
    found = listing(slide_id=["S1", f"S{letter}1"])
    fields.ids(found, "slide_id")
    assert told(found).startswith(f", line 3: slide_id {f'S{letter}1'!a} holds {name}, which cannot be seen")


def test_an_id_has_a_longest_length():
    assert told(listing(slide_id=["x" * 200])) == ""
    fits, longer = listing(slide_id=["x" * 200]), listing(slide_id=["x" * 201])
    fields.ids(fits, "slide_id")
    fields.ids(longer, "slide_id")
    assert told(fits) == ""
    assert told(longer).startswith(", line 2: slide_id is 'xxxx")
    assert told(longer).endswith("x', 201 characters; expected at most 200 characters")


def test_an_invisible_id_is_quoted_no_longer_than_an_id():
    found = listing(slide_id=["\u200b" + "x" * 100_000])
    fields.ids(found, "slide_id")
    assert len(told(found)) < 400


# --- words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("Train", ". Did you mean 'train'?"),
        ("TEST", ". Did you mean 'test'?"),
        ("val", ". Did you mean 'valid'?"),
        ("7", ""),
    ],
)
def test_another_word_is_told_with_the_nearest(word, hint):
    found = listing(split=["train", word, "", word])
    fields.check_words(found, "split", ("train", "valid", "test"))
    assert told(found) == f", line 3 (and 5): split is {word!r}; expected train or valid or test, or nothing{hint}"


# --- labels -----------------------------------------------------------------------------------------

CLASSES = Classes.stated({"normal": ["healthy", 0], "tumor": ["Carcinoma", 1]})


def test_words_of_labels_stand_for_classes():
    found = listing(label=["0", "Carcinoma", "normal", " 1"])
    assert fields.labels(found, CLASSES, may_be_empty=False).tolist() == ["benign", "malignant", "benign", "malignant"]
    assert told(found) == ""
    usual = fields.labels(listing(label=["malignant", "benign"]), USUAL_CLASSES, may_be_empty=False)
    assert usual.tolist() == ["malignant", "benign"]


def test_an_empty_label_is_wrong_where_one_is_needed():
    found = listing(label=["benign", ""])
    assert fields.labels(found, USUAL_CLASSES, may_be_empty=False).tolist() == ["benign", ""]
    assert told(found) == ", line 3: label is ''; expected benign or malignant"
    optional = listing(label=["benign", ""])
    assert fields.labels(optional, USUAL_CLASSES, may_be_empty=True).tolist() == ["benign", ""]
    assert told(optional) == ""


@pytest.mark.parametrize(
    ("word", "hint"), [("Malignant", ". Did you mean 'malignant'?"), ("bening", ". Did you mean 'benign'?"), ("7", "")]
)
def test_a_word_of_no_class_is_told_with_the_nearest_and_where_words_are_stated(word, hint):
    for may_be_empty, otherwise in ((False, ""), (True, ", or nothing")):
        found = listing(label=["benign", word, "malignant", word])
        fields.labels(found, USUAL_CLASSES, may_be_empty=may_be_empty)
        assert told(found) == (
            f", line 3 (and 5): label is {word!r}; expected benign or malignant{otherwise}{hint}"
            ". What other words stand for, cohort.classes says"
        )


def test_every_word_that_no_class_names_is_told():
    found = listing(label=["0", "carcinoma", "benign", "carcinoma"])
    fields.labels(found, CLASSES, may_be_empty=False)
    expected = "expected normal, healthy, 0 (normal) or tumor, Carcinoma, 1 (tumor)"
    message = told(found)
    assert "2 things are wrong" in message
    assert f"line 3 (and 5): label is 'carcinoma'; {expected}. Did you mean 'Carcinoma'?" in message
    assert f"line 4: label is 'benign'; {expected}. What other" in message


def test_a_class_that_no_row_has_is_told_with_the_words_that_are_there():
    found = listing(label=["0", "healthy", "0"])
    fields.labels(found, CLASSES, may_be_empty=False)
    assert told(found) == (
        ": no patch is of the class tumor: none has the label tumor or Carcinoma or 1, found '0' (2 patches), "
        "'healthy' (1 patches). Correct cohort.classes, or add patches of that class"
    )
    other = listing(label=["1"])
    fields.labels(other, CLASSES, may_be_empty=False)
    assert told(other).startswith(": no patch is of the class normal: none has the label normal or healthy or 0")


def test_a_class_may_be_absent_where_none_is_stated_or_needed():
    for classes, optional in ((USUAL_CLASSES, False), (CLASSES, True)):
        found = listing(label=["1" if classes is CLASSES else "malignant"])
        fields.labels(found, classes, may_be_empty=optional)
        assert told(found) == ""


def test_a_column_is_full_or_empty():
    for column in (["train", "test"], ["", ""]):
        found = listing(split=column)
        fields.check_all_or_none(found, "split")
        assert told(found) == ""
    found = listing(split=["train", "", "test", ""])
    fields.check_all_or_none(found, "split")
    assert told(found) == (", line 3 (and 5): no split, while other patches have one; give all of them one, or none")


# --- µm per pixel -----------------------------------------------------------------------------------


def sizes(texts, default=None, *, needed=True):
    found = listing(mpp=texts)
    names = pd.Series([f"p{line}" for line in found.table.index], index=found.table.index)
    return fields.pixel_sizes(found, names, default, needed=needed), told(found)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", 0.5),
        (".5", 0.5),
        ("1", 1.0),
        ("1.", 1.0),
        ("+0.25", 0.25),
        ("5e-1", 0.5),
        ("2.5E-1", 0.25),
        ("0.05", 0.05),
        ("20", 20.0),
    ],
)
def test_numbers(text, value):
    found, wrong = sizes([text])
    assert (found.tolist(), wrong) == ([value], "")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        *(
            ("0.049", ""),
            ("20.1", ""),
            ("0", ""),
            ("500", ""),
            ("1e400", ""),
            ("1e-400", ""),
            ("9" * 50, ""),
            ("half", ""),
        ),
        *(
            ("-1", ""),
            ("inf", ""),
            ("1_0", ". Write the number alone, without its unit"),
            ("0x1", ". Write the number alone, without its unit"),
            ("\u0661", ""),
        ),
        *(("0,5", ". Write decimals with a point"), ("1,000", ". Write decimals with a point")),
        *(
            ("0.5 µm", ". Write the number alone, without its unit"),
            ("20x", ". Write the number alone, without its unit"),
        ),
        *(("nan", ". Leave it empty where it is unknown"), ("N/A", ". Leave it empty where it is unknown")),
    ],
)
def test_what_is_no_pixel_size(text, hint):
    found, wrong = sizes(["0.5", text, "1", text], 0.25)
    assert found.isna().tolist() == [False, True, False, True]
    assert wrong == (
        f", line 3 (and 5): mpp is {text!r} (patch 'p3'); expected µm per pixel between 0.05 and 20 (0.25 at 40×, 0.5 "
        f"at 20×, 1 at 10×){hint}"
    )


def test_the_default_fills_gaps():
    found, wrong = sizes(["", "1"], 0.5)
    assert (found.tolist(), wrong) == ([0.5, 1.0], "")
    assert sizes(["1"], 0.05)[1] == sizes(["1"], 20.0)[1] == ""
    for default in (0.04, 20.5):
        assert f": cohort.mpp is {default:g}; expected µm per pixel between" in sizes(["1"], default)[1]


def test_a_gap_is_wrong_only_where_a_size_is_needed():
    found, wrong = sizes(["", "1", ""])
    assert [math.isnan(size) for size in found] == [True, False, True]
    assert wrong.startswith(", line 2 (and 4): mpp is missing (patch 'p2'); expected")
    assert "Fill in the column mpp, or set cohort.mpp in the study file for all patches without one" in wrong
    found, wrong = sizes(["", "1"], needed=False)
    assert (found.isna().tolist(), wrong) == ([True, False], "")
    assert sizes(["1", "2"])[1] == ""


# --- once, and of one patient -----------------------------------------------------------------------


def test_what_is_listed_twice_is_named_with_all_its_lines():
    found = listing(slide_id=["a", "b", "a", "c", "b", "a"], mpp=["1"] * 6)
    fields.check_once(found, found.table, ["slide_id"], "once")
    assert told(found) == (
        ": 2 things are wrong\n  line 2 (and 4, 7): patch 'a' is listed 3 times; once"
        "\n  line 3 (and 6): patch 'b' is listed twice; once"
    )
    found = listing(slide_id=["a", "a"], mpp=["1", "2"])
    fields.check_once(found, found.table, ["slide_id", "mpp"], "once")
    assert told(found) == ""


def test_a_slide_is_of_one_patient():
    found = listing(slide_id=["S", "S", "S", "T", "", "", "S"], patient_id=["P", "", "Q", "P", "P", "R", "Z"])
    fields.check_one_patient(found, found.table["slide_id"], found.table["patient_id"])
    assert told(found) == (
        ", line 4 (and 8): slide 'S' is of patient 'Q', but of patient 'P' on line 2; no two patients share a slide id"
    )
    found = listing(slide_id=["S", "S"], patient_id=["P", "P"])
    fields.check_one_patient(found, found.table["slide_id"], found.table["patient_id"])
    assert told(found) == ""


# --- probabilities ----------------------------------------------------------------------------------


def probabilities(*texts):
    columns = Columns("patch", ("path", "p_malignant"), (), closed=False)
    names = [f"{letter}.png" for letter in "abcdefgh"[: len(texts)]]
    table = pd.DataFrame({"path": names, "p_malignant": list(texts)}, index=range(2, len(texts) + 2), dtype=object)
    found = Listing(columns, table, Problems(Path("t.csv")), "")
    return fields.probabilities(found, "p_malignant", table["path"]), told(found)


def test_probabilities_are_read_to_the_last_digit_both_ends_included():
    values, wrong = probabilities("0", "1", "0.8", "1e-3", ".5", "1.0")
    assert values.tolist() == [0.0, 1.0, 0.8, 0.001, 0.5, 1.0]
    assert wrong == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "p_malignant is missing (patch 'b.png'); expected a probability from 0 to 1"),
        ("1.01", "p_malignant is '1.01' (patch 'b.png'); expected a probability from 0 to 1"),
        ("-0.1", "p_malignant is '-0.1' (patch 'b.png'); expected a probability from 0 to 1"),
        ("nan", "p_malignant is 'nan' (patch 'b.png'); "),
        ("inf", "p_malignant is 'inf' (patch 'b.png'); "),
        ("yes", "p_malignant is 'yes' (patch 'b.png'); "),
        ("0,9", "from 0 to 1. Write decimals with a point"),
        ("0.9 %", "from 0 to 1. Write the number alone, without its unit"),
    ],
)
def test_other_probabilities_are_refused(text, said):
    values, wrong = probabilities("0.5", text)
    assert math.isnan(values.iloc[1])
    assert wrong.startswith(", line 3: ")
    assert said in wrong
