"""Parts of a table, as batches leave them, put together by Arrow: thousands of small ones cost pandas minutes."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


def coded(part: Any) -> Any:
    """Turn texts of a part (a table of Arrow) into numbers, so that a row costs a byte or four a column."""
    columns = [_numbered(column) if _is_text(column.type) else column for column in part.columns]
    return pa.table(columns, names=part.column_names)


def together(parts: list[Any]) -> pd.DataFrame:
    """Put coded parts together, one after the other; texts are sorted categories. The list is empty afterwards.

    Column after column leaves the parts for the table, so that there are never two of the whole.
    """
    full = [part for part in parts if part.num_rows] or parts[:1]
    table = pa.concat_tables(full, promote_options="permissive")
    del full
    parts.clear()
    columns = {}
    for name in table.column_names:
        columns[name] = _series(table[name])
        table = table.drop_columns(name)
    return pd.DataFrame(columns, copy=False)


def _is_text(dtype: Any) -> bool:
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype))


def _numbered(column: Any) -> Any:
    found = column.combine_chunks().dictionary_encode()
    if len(found.dictionary) > np.iinfo(np.int8).max:
        return found
    return pa.DictionaryArray.from_arrays(found.indices.cast(pa.int8()), found.dictionary)


def _series(column: Any) -> pd.Series:
    values: pd.Series = column.to_pandas()
    if pa.types.is_dictionary(column.type):
        values = values.cat.reorder_categories(values.cat.categories.sort_values())
    return values
