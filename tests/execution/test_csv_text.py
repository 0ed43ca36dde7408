"""CSV by Arrow: byte for byte what pandas writes, whatever the table holds."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.execution import csv_text
from saliency_stats.execution.csv_text import csv_pieces

TEXTS = [
    *("", "a", "a,b", 'say "a"', '"', "two\nlines", "\r", "a\r\nb", " a ", "ä €", "007", "nan", "NA", "'", "\t"),
    *("\\", "🔬", "\x00", ",", "\u2028", "True", "1.0"),
]
NUMBERS = [
    *(0.0, -0.0, 1.0, -2.0, 0.5, 0.1 + 0.2, 1 / 3, np.nan, np.inf, -np.inf, 5e-324, -2.2250738585072014e-308, 1e-310),
    *(1e-4, np.nextafter(1e-4, 0), -9.5e-5, 2e-05, 1e-7, 1e9, np.nextafter(1e9, 0), -1e9, 1234567890.5, 1e15, 1e16),
    *(np.nextafter(1e16, 0), 123456789012345680.0, 1e22, 1.7976931348623157e308, 2.0**53 + 2, 1 + 2.0**-17, 100.0),
]


@pytest.fixture
def by_arrow(monkeypatch):
    """Require that no row goes to pandas."""
    left = csv_text._by_pandas

    def refused(table):
        assert table.empty, "left to pandas"
        return left(table)

    monkeypatch.setattr(csv_text, "_by_pandas", refused)


def by_pandas(table):
    return table.to_csv(index=False, lineterminator="\n").encode()


def same(table):
    return b"".join(csv_pieces(table)) == by_pandas(table)


def texts(*values, dtype="str"):
    return pd.Series(values, dtype=dtype)


SPELLED = {
    "text": texts(*TEXTS),
    "string": texts(*TEXTS, None, dtype="string"),
    "python": texts(*TEXTS, None, dtype=pd.StringDtype("python")),
    "missing text": texts("a", None, "a,b", np.nan, ""),
    "category": texts(*TEXTS, None, *TEXTS[::-1]).astype("category"),
    "order": pd.Series(pd.Categorical(["b", "a", None], pd.Index(["b", "unused,", "a"], dtype="str"), ordered=True)),
    "float": pd.Series(NUMBERS),
    "odd": pd.Series([1e-5, 1e20, np.inf]),
    "whole": pd.Series([5.0, 10.0, np.nan, -40.0]),
    "missing": pd.Series([np.nan, np.nan]),
    "int": pd.Series([0, -1, 2**63 - 1, -(2**63), 2**53 + 1]),
    "small": pd.Series([-128, 127], dtype="int8"),
    "unsigned": pd.Series([0, 2**64 - 1], dtype="uint64"),
    "Int64": pd.Series([2**53 + 1, pd.NA, -1], dtype="Int64"),
    "bool": pd.Series([True, False]),
    "boolean": pd.Series([True, pd.NA, False], dtype="boolean"),
    "no rows": pd.Series([], dtype=float),
    "no text": texts(),
    "no category": texts().astype("category"),
}


@pytest.mark.usefixtures("by_arrow")
@pytest.mark.parametrize("name", SPELLED)
@pytest.mark.parametrize("last", [False, True])
def test_what_arrow_spells(name, last):
    odd = SPELLED[name]
    plain = pd.Series(np.arange(len(odd)))
    assert same(pd.DataFrame({"a, b": plain, name: odd} if last else {name: odd, 'say "b"': plain}))


LEFT = {
    "float32": pd.Series([0.1, 1e-5], dtype="float32"),
    "Float64": pd.Series([0.1, pd.NA], dtype="Float64"),
    "object": pd.Series([1, "a,b", None, 2.0], dtype=object),
    "numbers as categories": pd.Series([1.0, 2e-5]).astype("category"),
    "time": pd.Series(pd.to_datetime(["2026-11-28", None])),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_pandas(name):
    table = pd.DataFrame({name: LEFT[name], "b": 1.0})
    assert list(csv_pieces(table)) == [by_pandas(table)]


@pytest.mark.parametrize("values", [["", "a"], [None, "a"]])
def test_a_lone_column_is_quoted_where_it_is_empty(values):
    assert b"".join(csv_pieces(pd.DataFrame({"a": texts(*values)}))) == b'a\n""\na\n'


@pytest.mark.parametrize("table", [pd.DataFrame(), pd.DataFrame(index=[0, 1]), pd.DataFrame({"a": texts()})])
def test_a_table_of_no_columns_or_rows(table):
    assert same(table)


@pytest.mark.usefixtures("by_arrow")
def test_columns_of_one_name_and_any_index():
    table = pd.DataFrame([[0.5, 1.0], [1e-5, 2.0]], columns=["a", "a"], index=[7, 7])
    assert same(table)


@pytest.mark.usefixtures("by_arrow")
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=5), st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans()), max_size=6)
)
def test_any_table(rows):
    table = pd.DataFrame(rows, columns=["text", "float", "int", "flag"])
    assert same(table.astype({"text": "str", "float": float, "int": "int64", "flag": bool}))


def floats():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**63, 20_000).view(float)
    sizes = 10 ** rng.uniform(-6, 11, 20_000)
    shares = rng.integers(0, 2**20, 20_000) / 2.0 ** rng.integers(0, 40, 20_000)
    edges = 2.0 ** np.arange(-16, 40)
    return np.concatenate([bits[~np.isnan(bits)], sizes, -shares, sizes.round(3), edges, np.nextafter(edges, 0)])


@pytest.mark.usefixtures("by_arrow")
def test_floats_of_all_sizes_in_pieces(monkeypatch):
    monkeypatch.setattr(csv_text, "_ROWS", 30_000)
    values = floats()
    table = pd.DataFrame({"a": values, "b": pd.Categorical(np.where(values > 1, "high", "low"))})
    table["b"] = table["b"].astype("str").astype("category")
    pieces = list(csv_pieces(table))
    assert [bytes(piece).count(b"\n") for piece in pieces] == [1, 30_000, 30_000, len(table) - 60_000]
    assert b"".join(pieces) == by_pandas(table)
