"""Tables of several networks, averaged over them: for questions that are asked of these networks together (pandas)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.typing import Float64Array, IndexArray
from saliency_stats.vocabulary import NETWORK

_LEDGER_KEY: Final = ("model", "patch_id", "magnification", "method", "reduction", "compartment")
_SHARES: Final = ("area_share", "mass_share", "density_ratio")


def log2_positive(ratios: pd.Series) -> pd.Series:
    """Return the logarithms in which ratios are averaged over networks, NaN where a ratio is zero or missing.

    What is tested is the mean of log2 ratios over networks. So the mean of a density is the geometric one: a ratio of
    two such means is then the mean ratio that is tested, which with arithmetic means it is not.
    """
    return ratios.where(ratios > 0).transform(np.log2)


def over_networks(
    table: pd.DataFrame, key: Sequence[str], numbers: Sequence[str], network: str = NETWORK
) -> pd.DataFrame:
    """Return one row per key with the means of numbers over networks; a table of one network stays as it is.

    A network without a number does not count. Everything else is as in the first row of a key. Sums run over the
    numbers in ascending order, so that neither the order of rows nor the names of networks change a bit.
    """
    if network not in table or len(table[network].unique()) <= 1:
        return table.drop(columns=network, errors="ignore")
    codes = np.asarray(table.groupby(list(key), sort=False, dropna=False).ngroup(), dtype=np.intp)
    means = {}
    for name in numbers:
        values = table[name].to_numpy(dtype=np.float64)
        order = np.argsort(values, kind="stable")[: int(np.count_nonzero(~np.isnan(values)))]
        first, means[name] = group_means(codes, values, order)
    return table.iloc[first].drop(columns=network).assign(**means).reset_index(drop=True)


def group_means(codes: IndexArray, values: Float64Array, order: IndexArray) -> tuple[IndexArray, Float64Array]:
    """Return the first row of each group ``0 … k-1``, and the mean of its values in an order, NaN where it has none."""
    n = int(codes.max(initial=-1)) + 1
    first = np.empty(n, dtype=np.intp)
    first[codes[::-1]] = np.arange(codes.size)[::-1]
    counts = np.bincount(codes[order], minlength=n)
    sums = np.bincount(codes[order], weights=values[order], minlength=n)
    return first, np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)


def ledger_over_networks(ledger: pd.DataFrame) -> pd.DataFrame:
    """Average the shares and densities of a ledger over networks: what these networks together look at.

    A compartment that holds saliency under any network is ``measured``. Densities are averaged by their logarithms
    (:func:`log2_positive`), shares as they are.
    """
    if NETWORK not in ledger or len(ledger[NETWORK].unique()) <= 1:
        return ledger.drop(columns=NETWORK, errors="ignore")
    # a row that is measured stands first of its key, and gives it its status
    ledger = ledger.sort_values("status", key=lambda status: status != "measured", kind="stable")
    given = ledger["density_ratio"]
    found = over_networks(ledger.assign(density_ratio=log2_positive(given), given=given), _LEDGER_KEY, _SHARES)
    # a compartment without saliency under any network keeps its zero
    return found.assign(density_ratio=np.exp2(found["density_ratio"]).fillna(found["given"])).drop(columns="given")
