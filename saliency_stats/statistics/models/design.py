"""A table read by a formula: the outcome, the design of the fixed part, and the names of its coefficients."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from formulaic import Formula  # type: ignore[import-untyped]  # ships no types
from formulaic.errors import FormulaicError  # type: ignore[import-untyped]

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.checks import check_alpha, one_of, require_columns
from saliency_stats.statistics.models.linear import LinearTest
from saliency_stats.statistics.models.mixed import Freedom, Method
from saliency_stats.typing import BoolArray, Float64Array, IndexArray


@dataclass(frozen=True, eq=False)
class Design:
    """Outcome and design of the rows that have a value in every column the formula uses.

    ``y`` (n,) are the outcomes, ``x`` (n, p) the design with the columns ``terms``, and ``rows`` (n,) their places in
    the table, of which ``n_missing`` rows were left out.
    """

    y: Float64Array
    x: Float64Array
    terms: tuple[str, ...]
    rows: IndexArray
    n_missing: int


def read_design(table: pd.DataFrame, formula: str) -> Design:
    """Read the fixed part of a model out of a table.

    Parameters
    ----------
    table
        One row per observation. A row without a value (NaN, or blank text) in a column that the formula uses is left
        out; levels that then no row has are dropped.

    Returns
    -------
    Design
        In ascending order of the outcome, so that the order of the table changes no sum.

    Raises
    ------
    StatisticsError
        If the formula cannot be read, names a grouping or no single numeric outcome, a column is missing, or no row is
        left.
    """
    if "|" in formula:
        raise StatisticsError(
            f"formula {formula!r}: a term with a bar names a grouping; leave it out, slide= and patient= do that"
        )
    try:
        parsed = Formula(formula)
    except FormulaicError as error:
        raise _unreadable(formula, error) from error
    outcome = [str(term) for term in getattr(parsed, "lhs", ())]
    if len(outcome) != 1:
        raise StatisticsError(f"formula {formula!r} has {len(outcome)} outcomes; write one, as in 'value ~ label'")
    used = sorted(str(name) for name in parsed.required_variables)
    require_columns("table", table.columns, tuple(used))
    rows = np.flatnonzero(~np.any([_missing(table[name]) for name in used], axis=0))
    if not rows.size:
        raise StatisticsError(f"None of {len(table)} rows has a value in every column of {formula!r}.")
    complete = pd.DataFrame({name: _used_levels(table[name].iloc[rows]) for name in used}).reset_index(drop=True)
    try:
        with np.errstate(all="ignore"):  # a logarithm of 0 is refused below, with the number of rows
            matrices = parsed.get_model_matrix(complete, na_action="ignore")
    except (FormulaicError, TypeError, ValueError) as error:
        raise _unreadable(formula, error) from error
    if matrices.lhs.columns.tolist() != outcome:
        raise StatisticsError(f"formula {formula!r}: {outcome[0]} holds {complete.dtypes.iloc[0]}, expected numbers")
    x, y = (np.asarray(part, dtype=np.float64) for part in (matrices.rhs, matrices.lhs))
    bad = int(np.count_nonzero(~np.isfinite(np.column_stack([x, y])).all(axis=1)))
    if bad:
        raise StatisticsError(
            f"formula {formula!r}: {bad} of {len(y)} rows hold a value that is not finite; set it to NaN, and "
            "the row is counted as missing"
        )
    if not x.shape[1]:
        raise StatisticsError(f"formula {formula!r} has no coefficient; write 'value ~ 1' for the mean alone")
    order = np.argsort(y[:, 0], kind="stable")
    return Design(y[order, 0], x[order], tuple(map(str, matrices.rhs.columns)), rows[order], len(table) - rows.size)


def _unreadable(formula: str, error: Exception) -> StatisticsError:
    return StatisticsError(f"formula {formula!r} cannot be read: {str(error).splitlines()[0]}")


def _missing(column: pd.Series) -> BoolArray:
    absent = column.isna().to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(column):
        return absent
    return np.asarray(absent | (column.astype("string").str.strip() == "").to_numpy(dtype=bool, na_value=True))


def _used_levels(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    return column


def known_ids(table: pd.DataFrame, column: str, design: Design) -> pd.Series:
    """Return the ids of the design's rows.

    Raises
    ------
    StatisticsError
        If the column is missing, or an id in it.
    """
    require_columns("table", table.columns, (column,))
    ids = table[column].iloc[design.rows].reset_index(drop=True)
    unknown = int(np.count_nonzero(_missing(ids)))
    if unknown:
        raise StatisticsError(
            f"table: {column} is unknown in {unknown} of {len(ids)} rows; name it, or leave these rows out"
        )
    return ids


def check_choices(df: Freedom, method: Method, alpha: float) -> None:
    """Raise :class:`StatisticsError` if a choice is not one of those offered, or two do not go together."""
    one_of("df", df, ("satterthwaite", "kenward_roger"))
    one_of("method", method, ("reml", "ml"))
    check_alpha(alpha)
    if df == "kenward_roger" and method == "ml":
        raise StatisticsError("statistics: df is 'kenward_roger', which is made for method 'reml'; found 'ml'")


def term_weights(contrast: Float64Array | str, terms: tuple[str, ...]) -> Float64Array:
    """Return the (p,) weights of a contrast that is given as such or by the name of one term.

    Raises
    ------
    StatisticsError
        If there is no such term, or another number of weights than of terms.
    """
    if isinstance(contrast, str):
        if contrast not in terms:
            raise StatisticsError(f"no term {contrast!r} in the model (found: {', '.join(terms)})")
        return np.array([float(term == contrast) for term in terms])
    weights = np.asarray(contrast, dtype=np.float64)
    if weights.shape != (len(terms),):
        raise StatisticsError(f"{weights.size} weights for the {len(terms)} terms {', '.join(terms)}")
    return weights


def coefficient_table(terms: tuple[str, ...], test: Callable[[str], LinearTest]) -> pd.DataFrame:
    """Test each coefficient against 0: columns term, estimate, se, df, statistic, p_value, ci_low, ci_high."""
    return pd.DataFrame([{"term": term} | asdict(test(term)) for term in terms])
