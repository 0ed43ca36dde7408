"""Parts of a table, as batches leave them, put together by Arrow: thousands of small ones cost pandas minutes."""

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

#: Parts that are put together at a time: each takes some kilobytes a column beside its rows, more than the rows do.
AT_A_TIME: Final = 64


class Parts:
    """Parts of one table, one below the other; texts are numbers, so that a row costs a byte or four a column."""

    def __init__(self) -> None:
        self._joined: list[Any] = []
        self._recent: list[Any] = []

    def add(self, part: Any) -> None:
        """Add a part, a table of Arrow."""
        self._recent.append(_coded(part))
        if len(self._recent) == AT_A_TIME:
            self._join()

    def together(self) -> pd.DataFrame:
        """Return the whole table; texts are sorted categories. No part is left afterwards.

        Column after column leaves the parts for the table, so that there are never two of the whole.
        """
        self._join()
        table = _below_each_other(self._joined)
        self._joined = []
        columns = {}
        for name in table.column_names:
            columns[name] = _series(table[name])
            table = table.drop_columns(name)
        return pd.DataFrame(columns, copy=False)

    def _join(self) -> None:
        if self._recent:
            table = _below_each_other(self._recent).unify_dictionaries()
            columns = [_narrowed(column.combine_chunks()) for column in table.columns]
            self._joined.append(pa.table(columns, names=table.column_names))
            self._recent = []


def _coded(part: Any) -> Any:
    columns = [column.dictionary_encode() if _is_text(column.type) else column for column in part.columns]
    return pa.table(columns, names=part.column_names)


def _below_each_other(parts: list[Any]) -> Any:
    full = [part for part in parts if part.num_rows] or parts[:1]
    return pa.concat_tables(full, promote_options="permissive")


def _is_text(dtype: Any) -> bool:
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype))


def _narrowed(column: Any) -> Any:
    if not pa.types.is_dictionary(column.type) or len(column.dictionary) > np.iinfo(np.int8).max:
        return column
    return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int8()), column.dictionary)


def _series(column: Any) -> pd.Series:
    values: pd.Series = column.to_pandas()
    if pa.types.is_dictionary(column.type):
        values = values.cat.reorder_categories(values.cat.categories.sort_values())
    return values
