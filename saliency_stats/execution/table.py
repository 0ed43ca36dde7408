"""A table of a run: what its columns hold, and how a table that was computed, or read as text, gets its types."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import pandas as pd
from pandas.api.types import union_categoricals

from saliency_stats.errors import StorageError

Kind = Literal["text", "number", "flag"]

_TEXT: Final = pd.Series(dtype=str).dtype
_TRUE: Final = frozenset({"true", "1", "1.0"})
_FALSE: Final = frozenset({"false", "0", "0.0", ""})


@dataclass(frozen=True)
class Table:
    """A table of a run, kept as ``NAME.csv``.

    Parameters
    ----------
    rows
        What a row is.
    text, numbers, flags
        Columns by what they hold. Text stays text whatever it looks like: slide "007" is not slide 7.
    writer
        The stage that writes it.
    readers
        Figures and tables of the report that are drawn from it.
    may_have, may_have_text
        Numbers, and texts, that only some studies ask for.
    optional
        Whether a finished run may do without it.
    long
        Whether it has several rows per patch, millions in a large study: its texts are categories, in which a row
        costs a few bytes.
    """

    rows: str
    text: tuple[str, ...]
    numbers: tuple[str, ...]
    writer: str
    readers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()
    may_have_text: tuple[str, ...] = ()
    optional: bool = False
    long: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that the table always has."""
        return (*self.text, *self.numbers, *self.flags)

    def kind(self, column: str) -> Kind | None:
        """Say what a column holds; None for one that the table does not have."""
        if column in (*self.text, *self.may_have_text):
            return "text"
        return "flag" if column in self.flags else "number" if column in (*self.numbers, *self.may_have) else None

    def empty(self) -> pd.DataFrame:
        """Make the table without rows."""
        return _without_rows(self).copy()

    def typed(self, table: pd.DataFrame, where: str) -> pd.DataFrame:
        """Return a table, computed or read as text, with every column in its declared type.

        Parameters
        ----------
        table
            Columns as declared; further ones stay as they are.
        where
            Named in messages.

        Returns
        -------
        DataFrame
            Text as str (missing as ""), of a long table as sorted categories; numbers as float64 (missing as NaN),
            flags as bool (missing as False).

        Raises
        ------
        StorageError
            If a column is missing, or holds something else.
        """
        missing = [column for column in self.required if column not in table.columns]
        if missing:
            raise StorageError(
                f"{where}: the columns {', '.join(missing)} are missing (found {', '.join(map(str, table.columns))}); "
                "the folder was written by another version or edited. Run the study again"
            )
        columns = {name: self._column(table[name], f"{where}: column {name}") for name in table.columns}
        return pd.DataFrame(columns, copy=False)  # of what has its type already, nothing is copied

    def joined(self, parts: Iterable[pd.DataFrame], where: str) -> pd.DataFrame:
        """Type parts of a table one after the other, see :meth:`typed`, and put them together."""
        typed = [self.typed(part, where) for part in parts]
        if len(typed) == 1:
            return typed[0]
        return pd.DataFrame({name: _concatenated([part[name] for part in typed]) for name in typed[0].columns})

    def _column(self, values: pd.Series, where: str) -> pd.Series:
        kind = self.kind(str(values.name))
        if kind == "text":
            return _categories(values) if self.long else _texts(values)
        if values.dtype == {"flag": bool, "number": float}.get(str(kind)):
            return values
        if kind == "flag":
            lowered = _texts(values).str.strip().str.lower()
            odd = sorted(set(lowered) - _TRUE - _FALSE)
            if odd:
                raise StorageError(f"{where} holds {odd[0]!r}; expected True, False or nothing")
            return lowered.isin(_TRUE)
        if kind == "number":
            try:
                return pd.to_numeric(values.replace({"": None})).astype(float)
            except (ValueError, TypeError) as error:
                raise StorageError(f"{where} holds something that is no number: {error}") from error
        return values


@cache
def _without_rows(table: Table) -> pd.DataFrame:
    # a report asks dozens of times for the tables that its run lacks, and dozens of columns take 20 ms
    return table.typed(pd.DataFrame({column: pd.Series(dtype=str) for column in table.required}), "")


def _categories(values: pd.Series) -> pd.Series:
    """Make sorted categories of texts, or of their categories: sorted so that they are ordered as texts are."""
    if isinstance(values.dtype, pd.CategoricalDtype) and not values.hasnans:
        if values.cat.categories.is_monotonic_increasing:
            return values
        return values.cat.reorder_categories(values.cat.categories.sort_values())
    return _texts(values).astype("category")


def _concatenated(parts: list[pd.Series]) -> pd.Series:
    if isinstance(parts[0].dtype, pd.CategoricalDtype):
        return pd.Series(union_categoricals(parts, sort_categories=True))
    return pd.concat(parts, ignore_index=True)


def _texts(values: pd.Series) -> pd.Series:
    if values.dtype == _TEXT and not values.hasnans:
        return values
    return values.astype("str").where(values.notna(), "")
