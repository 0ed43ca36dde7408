"""Tables of millions of rows: texts as categories, and rows numbered by their key (pure pandas)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saliency_stats.typing import IndexArray


def with_shared_categories(*tables: pd.DataFrame) -> list[pd.DataFrame]:
    """Make categories of columns of text (or of categories), the same ones in all tables that have the column.

    A row then costs a few bytes per column, and tables are joined by numbers. Categories are sorted, so that they sort
    as their texts do. Columns that hold anything but text in one of the tables stay as they are.
    """
    coded = [table.copy(deep=False) for table in tables]
    for name in dict.fromkeys(name for table in tables for name in table.columns):
        having = [table for table in coded if name in table]
        if not all(_is_text(table[name].dtype) for table in having):
            continue
        found = [pd.factorize(table[name]) for table in having]
        texts = pd.Index(pd.concat([pd.Series(names, dtype="str") for _, names in found]).unique()).sort_values()
        for table, (codes, names) in zip(having, found, strict=True):
            table[name] = pd.Categorical.from_codes(places_among(texts, codes, names), categories=texts)
    return coded


def places_among(texts: pd.Index, codes: IndexArray, names: pd.Index) -> IndexArray:
    """Return where each text of a column stands among others, given the column as :func:`pandas.factorize` does.

    A missing text, and one that is not among them, is at -1.
    """
    return np.asarray(np.append(texts.get_indexer(pd.Index(names)), -1)[codes])


def _is_text(dtype: object) -> bool:
    return isinstance(dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype, pd.StringDtype)


def row_numbers(table: pd.DataFrame, key: Sequence[str]) -> IndexArray:
    """Return numbers of rows, ``0 … k-1`` by the sorted values of a key; what is missing is a value, the last."""
    numbers = np.zeros(len(table), dtype=np.int64)
    for name in key:
        codes, names = pd.factorize(table[name], sort=True, use_na_sentinel=False)
        if len(names) > 1:
            numbers *= len(names)  # in place: these may be the longest arrays of a study
            numbers += codes
            del codes
            numbers = pd.factorize(numbers, sort=True)[0]
    return numbers
