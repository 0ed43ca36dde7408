"""From the tables of what knows nothing to one value per patch: centred and matched contrasts (pure pandas)."""

from collections.abc import Mapping
from typing import Final

import pandas as pd

from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.parameters import PRIMARY
from saliency_stats.statistics.selection import with_network
from saliency_stats.statistics.values import IDENTITY, VALUE_KEY, why_missing
from saliency_stats.vocabulary import NETWORK

#: The primary contrast minus its mean over all torus shifts of the map.
CENTRED: Final = f"{PRIMARY}_centred"
#: Ending of the contrasts of a matched map minus the picture that it is matched on.
EXCESS: Final = "_excess"
_VALUE: Final = [*VALUE_KEY, *IDENTITY]
_KEY: Final = tuple(name for name in VALUE_KEY if name != NETWORK)
#: What is read of the tables ``shift`` and ``matched``, beside the network.
OF_SHIFT: Final = (*_KEY, *IDENTITY, "delta", "null_mean", "status")
OF_MATCHED: Final = (*_KEY, *IDENTITY, "picture", "matched", "matched_of_picture", "status")


def matched_name(picture: str) -> str:
    """Name the primary contrast within bins of a picture."""
    return f"matched_{picture}"


def centred_values(shift: pd.DataFrame) -> pd.DataFrame:
    """Read the centred contrast of every patch out of the table ``shift``.

    Returns
    -------
    DataFrame
        One row per key, sorted, as :func:`~saliency_stats.statistics.values.values_of` reads it. The value is
        ``delta - null_mean``.
    """
    require_columns("shift", shift.columns, OF_SHIFT)
    rows = with_network(shift)
    return _wide(rows, {CENTRED: rows["delta"] - rows["null_mean"]})


def matched_values(matched: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Read the matched contrasts of every patch out of the table ``matched``.

    Returns
    -------
    dict
        For every picture one row per key, sorted, as :func:`~saliency_stats.statistics.values.values_of` reads it; two
        contrasts: ``matched_PICTURE`` of the map itself, and ``matched_PICTURE_excess``, how much more that is than of
        the picture.
    """
    require_columns("matched", matched.columns, OF_MATCHED)
    found = {}
    for picture, rows in with_network(matched).groupby("picture", sort=True, observed=True):
        name = matched_name(str(picture))
        excess = rows["matched"] - rows["matched_of_picture"]
        found[str(picture)] = _wide(rows, {name: rows["matched"], f"{name}{EXCESS}": excess})
    return found


def _wide(rows: pd.DataFrame, contrasts: Mapping[str, pd.Series]) -> pd.DataFrame:
    found, status = rows[_VALUE].copy(deep=False), rows["status"].astype("category")
    status = status.cat.add_categories([] if "" in status.cat.categories else [""])
    for contrast, value in contrasts.items():
        found[contrast] = value.astype("float64")
        found[why_missing(contrast)] = status.mask(value.notna(), "")
    return found.sort_values(list(VALUE_KEY), ignore_index=True)
