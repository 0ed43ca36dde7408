"""A table read by a formula: its columns, its order, what is left out."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.design import (
    check_choices,
    coefficient_table,
    known_ids,
    read_design,
    term_weights,
)
from saliency_stats.statistics.models.linear import LinearTest

TABLE = pd.DataFrame(
    {
        "value": [3.0, 1.0, np.nan, 2.0, 5.0],
        "label": ["b", "a", "a", " ", "b"],
        "depth": [1.0, 2.0, 3.0, 4.0, 5.0],
        "slide": ["s", "t", "", "u", None],
    }
)


def test_rows_stand_in_the_order_of_the_outcome_and_incomplete_ones_are_counted():
    found = read_design(TABLE, "value ~ label + depth")
    assert found.y.tolist() == [1, 3, 5]
    assert found.rows.tolist() == [1, 0, 4]
    assert found.terms == ("Intercept", "label[T.b]", "depth")
    assert found.x.tolist() == [[1, 0, 2], [1, 1, 1], [1, 1, 5]]
    assert found.n_missing == 2
    assert read_design(TABLE, "value ~ 1").n_missing == 1


def test_ids_of_rows_that_are_used_must_be_known():
    design = read_design(TABLE.iloc[:4], "value ~ 1")
    assert known_ids(TABLE, "slide", design).tolist() == ["t", "u", "s"]
    with pytest.raises(StatisticsError, match="table: slide is unknown in 1 of 4 rows"):
        known_ids(TABLE, "slide", read_design(TABLE, "value ~ 1"))
    with pytest.raises(StatisticsError, match="table: no column patient"):
        known_ids(TABLE, "patient", design)


def test_choices_go_together():
    check_choices("satterthwaite", "ml", 0.05)
    check_choices("kenward_roger", "reml", 0.05)
    check_choices("satterthwaite", "reml", 0.05)
    for df, method, alpha, message in (
        ("kenward_roger", "ml", 0.05, "made for method 'reml'"),
        ("z", "ml", 0.05, "df is 'z'"),
        ("satterthwaite", "bayes", 0.05, "method is 'bayes'"),
        ("satterthwaite", "ml", 0.5, "alpha is 0.5"),
    ):
        with pytest.raises(StatisticsError, match=message):
            check_choices(df, method, alpha)


def test_a_contrast_is_a_term_or_weights():
    assert term_weights("b", ("a", "b")).tolist() == [0, 1]
    assert term_weights(np.array([1, -1]), ("a", "b")).tolist() == [1, -1]
    with pytest.raises(StatisticsError, match=r"no term 'c' in the model \(found: a, b\)"):
        term_weights("c", ("a", "b"))
    with pytest.raises(StatisticsError, match="3 weights for the 2 terms a, b"):
        term_weights(np.ones(3), ("a", "b"))


def test_the_table_has_a_row_for_every_coefficient():
    found = coefficient_table(("a", "b"), lambda term: LinearTest({"a": 1.0, "b": 2.0}[term], *range(6)))
    assert list(found) == ["term", "estimate", "se", "df", "statistic", "p_value", "ci_low", "ci_high"]
    assert found["term"].tolist() == ["a", "b"]
    assert found["estimate"].tolist() == [1, 2]
