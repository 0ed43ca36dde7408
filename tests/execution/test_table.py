"""A table of a run: its types, wherever it comes from."""

from dataclasses import FrozenInstanceError

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
    assert (TABLE.optional, TABLE.readers, TABLE.may_have_text) == (False, (), ())
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
