"""Tables as CSV, spelled by Arrow: the bytes that pandas' ``to_csv`` writes, in a part of its time."""

import csv
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

#: Spells the rows of a column.
_Spelled = Callable[[slice], Any]

#: So many rows are spelled at a time.
_ROWS: Final = 100_000
#: Of this size Arrow spells numbers as NumPy does, but for the ".0" of whole ones.
_LEAST, _BELOW = 1e-4, 1e9
_TEXT: Final = pa.large_string()


def csv_pieces(table: pd.DataFrame) -> Iterator[bytes | memoryview]:
    """Yield a table as CSV, in full precision, piece by piece: as ``table.to_csv`` without the index spells it.

    Columns of float64, whole numbers, flags, text and categories of text are spelled by Arrow. A table that has any
    other is left to pandas, as is one of a single column, where a missing value is quoted.
    """
    columns = [_spelled(table.iloc[:, place]) for place in range(table.shape[1])]
    spelled = [column for column in columns if column is not None]
    if len(spelled) < max(len(columns), 2):
        yield _by_pandas(table)
        return
    yield _by_pandas(table.iloc[:0])
    for start in range(0, len(table), _ROWS):
        *rest, last = (column(slice(start, start + _ROWS)) for column in spelled)
        lines = _joined(*rest, _joined(last, "\n"), by=",")
        yield memoryview(lines.buffers()[2])


def _by_pandas(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _spelled(column: pd.Series) -> _Spelled | None:
    """Return what spells a column; None for one that only pandas can spell."""
    dtype = column.dtype
    if isinstance(dtype, pd.StringDtype):
        return _of_texts(column.astype("category"))
    if isinstance(dtype, pd.CategoricalDtype):
        return _of_texts(column) if isinstance(dtype.categories.dtype, pd.StringDtype) else None
    if dtype == np.float64:
        values = column.to_numpy()
        return lambda rows: _of_floats(values[rows])
    if pd.api.types.is_bool_dtype(dtype):
        return lambda rows: pc.if_else(_array(column, rows), *pa.array(["True", "False"], _TEXT))
    if pd.api.types.is_integer_dtype(dtype):
        return lambda rows: pc.cast(_array(column, rows), _TEXT)
    return None


def _array(column: pd.Series, rows: slice) -> Any:
    return pa.array(column.iloc[rows])


def _of_texts(column: pd.Series) -> _Spelled:
    codes = column.cat.codes.to_numpy()
    lines: list[str] = []
    # Python's own writer knows which texts it quotes; that depends on its version
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator="\n")
    writer.writerows((text, "") for text in column.cat.categories)
    texts = pa.array([line.removesuffix(",\n") for line in lines], _TEXT)
    return lambda rows: texts.take(pa.array(codes[rows], mask=codes[rows] < 0))


def _of_floats(values: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    texts = pc.cast(pa.array(values, from_pandas=True), _TEXT)
    size, whole = np.abs(values), np.floor(values) == values
    texts = pc.if_else(whole, _joined(texts, ".0"), texts)
    other = (size > 0) & (size < _LEAST) | (size >= _BELOW)
    return pc.replace_with_mask(texts, other, pa.array(values[other].astype(str), _TEXT))


def _joined(*texts: Any, by: str = "") -> Any:
    scalars = (pa.scalar(text, _TEXT) if isinstance(text, str) else text for text in (*texts, by))
    return pc.binary_join_element_wise(*scalars, null_handling="replace", null_replacement="")
