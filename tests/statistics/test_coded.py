"""Texts as categories that tables share, and rows numbered by their key."""

import numpy as np
import pandas as pd

from saliency_stats.statistics.coded import row_numbers, with_shared_categories


def test_tables_share_their_categories_and_keep_every_value():
    first = pd.DataFrame({"name": pd.Series(["b", None, "a"], dtype="str"), "number": [1.0, 2.0, 3.0]}, index=[4, 2, 7])
    second = pd.DataFrame({"name": pd.Series(["c", "b"], dtype="str"), "other": pd.Series(["x", "x"], dtype="str")})
    found = with_shared_categories(first, second)
    assert [table["name"].cat.categories.tolist() for table in found] == [["a", "b", "c"]] * 2
    assert found[0]["name"].dtype == found[1]["name"].dtype
    assert found[1]["other"].cat.categories.tolist() == ["x"]
    for before, after in zip((first, second), found, strict=True):
        pd.testing.assert_frame_equal(after.astype(before.dtypes), before)
    assert isinstance(first["name"].dtype, pd.StringDtype)  # the table that was given stays as it was


def test_what_is_no_text_in_one_table_stays_as_it_is_in_all():
    first = pd.DataFrame({"slide_id": pd.Series(["1", "2"], dtype="str")})
    second = pd.DataFrame({"slide_id": pd.Series([1, 1.0], dtype=object)})
    for before, after in zip((first, second), with_shared_categories(first, second), strict=True):
        pd.testing.assert_frame_equal(after, before)


def test_rows_are_numbered_as_pandas_sorts_them():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "name": pd.Series(rng.choice(["b", "a", "10", "9"], 200), dtype="str").mask(rng.random(200) < 0.1),
            "number": np.where(rng.random(200) < 0.1, np.nan, rng.integers(0, 3, 200)),
            "same": "x",
        }
    )
    key = ["same", "number", "name"]
    expected = table.groupby(key, sort=True, dropna=False).ngroup()
    for form in (table, *with_shared_categories(table)):
        np.testing.assert_array_equal(row_numbers(form, key), expected)
    assert row_numbers(table.iloc[:0], key).size == 0
    np.testing.assert_array_equal(row_numbers(table, ["same"]), np.zeros(200))
