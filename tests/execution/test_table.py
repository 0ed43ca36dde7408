"""A table of a run: its types, wherever it comes from."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StorageError
from saliency_stats.execution.table import Table

TABLE = Table("row", ("slide_id",), ("magnification",), "a stage", flags=("correct",), may_have=("more",))


def test_kinds():
    assert [TABLE.kind(name) for name in ("slide_id", "magnification", "correct", "more", "other")] == [
        *("text", "number", "flag", "number", None)
    ]
    assert TABLE.required == ("slide_id", "magnification", "correct")


def test_by_default_a_finished_run_has_it_and_it_does_not_change():
    assert (TABLE.optional, TABLE.readers, TABLE.may_have_text, TABLE.long) == (False, (), (), False)
    with pytest.raises(FrozenInstanceError):
        TABLE.optional = True


def test_types_do_not_depend_on_where_a_table_comes_from():
    computed = pd.DataFrame({"slide_id": ["7", None], "magnification": [20, 5], "correct": [np.True_, False]})
    read = pd.DataFrame({"slide_id": ["7", ""], "magnification": ["20.0", "5"], "correct": ["True", ""]})
    for table in (computed, read):
        typed = TABLE.typed(table, "here")
        assert typed.dtypes.astype(str).to_dict() == {
            "slide_id": "str",
            "magnification": "float64",
            "correct": "bool",
        }
        assert typed.to_dict("list") == {"slide_id": ["7", ""], "magnification": [20.0, 5.0], "correct": [True, False]}


def test_texts_of_a_long_table_are_sorted_categories_wherever_they_come_from():
    long = replace(TABLE, long=True)
    texts = pd.Series(["b", "007", None, "b"], dtype="str")
    unsorted = pd.Series(pd.Categorical(["b", "007", "", "b"], categories=["b", "unused", "", "007"]))
    others = {"magnification": 20, "correct": True}
    for values, categories in (
        (texts, ["", "007", "b"]),
        (texts.astype(object), ["", "007", "b"]),
        (texts.astype("category"), ["", "007", "b"]),
        (unsorted, ["", "007", "b", "unused"]),
        (pd.Series([7, 10]), ["10", "7"]),
    ):
        found = long.typed(pd.DataFrame({"slide_id": values}).assign(**others), "")["slide_id"]
        assert found.cat.categories.tolist() == categories
        assert found.cat.categories.dtype == "str"
        assert found.tolist() == values.astype("str").fillna("").tolist()
        short = TABLE.typed(pd.DataFrame({"slide_id": values}).assign(**others), "")["slide_id"]
        assert (str(short.dtype), short.tolist()) == ("str", found.tolist())


@pytest.mark.parametrize("long", [False, True])
def test_parts_are_joined_as_if_they_were_one(long):
    table = replace(TABLE, long=long)
    whole = pd.DataFrame({"slide_id": ["b", "", "a", "c", "b"], "magnification": ["5", "", "7", "1", "2"]})
    whole = whole.assign(correct=["True", "", "False", "True", "1"], more="0.5")
    expected = table.typed(whole, "")
    for parts in ([whole], [whole[:2], whole[2:]], [whole[:1], whole[1:4], whole[4:], whole[:0]]):
        pd.testing.assert_frame_equal(table.joined(parts, ""), expected)
    with pytest.raises(StorageError, match="here: column magnification holds something that is no number"):
        table.joined([whole, whole.assign(magnification="20x")], "here")


@pytest.mark.parametrize("written", ["1", "1.0", "true", "TRUE", " True "])
def test_a_flag_is_spelt_in_several_ways(written):
    table = pd.DataFrame({"slide_id": ["a"], "magnification": ["1"], "correct": [written]})
    assert TABLE.typed(table, "")["correct"].tolist() == [True]
    assert TABLE.typed(table.assign(correct="0.0"), "")["correct"].tolist() == [False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"magnification": ["20x"]}, "here: column magnification holds something that is no number"),
        ({"correct": ["perhaps"]}, "here: column correct holds 'perhaps'; expected True, False or nothing"),
    ],
)
def test_another_value_is_named(change, message):
    table = pd.DataFrame({"slide_id": ["a"], "magnification": ["1"], "correct": ["True"]}).assign(**change)
    with pytest.raises(StorageError, match=message):
        TABLE.typed(table, "here")


def test_a_missing_column_is_named():
    with pytest.raises(StorageError, match=r"here: the columns magnification, correct are missing \(found slide_id\)"):
        TABLE.typed(pd.DataFrame({"slide_id": ["a"]}), "here")


@pytest.mark.parametrize("long", [False, True])
def test_a_table_without_rows_has_its_types_and_is_the_callers_own(long):
    table = replace(TABLE, long=long)
    first = table.empty()
    assert first.dtypes.astype(str).tolist() == ["category" if long else "str", "float64", "bool"]
    first["another"] = 1.0
    assert list(table.empty().columns) == list(TABLE.required)
    pd.testing.assert_frame_equal(table.empty(), table.typed(table.empty(), "here"))
