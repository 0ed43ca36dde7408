"""From the tables of what knows nothing to one value per patch: centred and matched contrasts (pure pandas)."""

from typing import Final

import pandas as pd

from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.parameters import PRIMARY
from saliency_stats.statistics.selection import with_network
from saliency_stats.statistics.values import IDENTITY, VALUE_KEY
from saliency_stats.vocabulary import NETWORK

#: The primary contrast minus its mean over all torus shifts of the map.
CENTRED: Final = f"{PRIMARY}_centred"
#: Ending of the contrasts of a matched map minus the picture that it is matched on.
EXCESS: Final = "_excess"
_VALUE: Final = [*VALUE_KEY, *IDENTITY]
_KEY: Final = tuple(name for name in VALUE_KEY if name != NETWORK)


def matched_name(picture: str) -> str:
    """Name the primary contrast within bins of a picture."""
    return f"matched_{picture}"


def centred_values(shift: pd.DataFrame) -> pd.DataFrame:
    """Read the centred contrast of every patch out of the table ``shift``.

    Returns
    -------
    DataFrame
        As :func:`~saliency_stats.statistics.patch_values` gives it. ``value`` is ``delta - null_mean``.
    """
    require_columns("shift", shift.columns, (*_KEY, *IDENTITY, "delta", "null_mean", "status"))
    table = with_network(shift)
    value = (table["delta"] - table["null_mean"]).astype("float64")
    return _values(table, CENTRED, value)


def matched_values(matched: pd.DataFrame) -> pd.DataFrame:
    """Read the matched contrasts of every patch out of the table ``matched``.

    Returns
    -------
    DataFrame
        As :func:`~saliency_stats.statistics.patch_values` gives it, two contrasts for every picture:
        ``matched_PICTURE`` of the map itself, and ``matched_PICTURE_excess``, how much more that is than of the
        picture.
    """
    needed = (*_KEY, *IDENTITY, "picture", "matched", "matched_of_picture", "status")
    require_columns("matched", matched.columns, needed)
    tables = []
    for picture, rows in with_network(matched).groupby("picture", sort=True):
        own = rows["matched"].astype("float64")
        name = matched_name(str(picture))
        tables += [_values(rows, name, own), _values(rows, f"{name}{EXCESS}", own - rows["matched_of_picture"])]
    return pd.concat(tables, ignore_index=True) if tables else _values(with_network(matched), "", matched["matched"])


def _values(rows: pd.DataFrame, contrast: str, value: pd.Series) -> pd.DataFrame:
    missing = rows["status"].astype(str).mask(value.notna(), "")
    found = rows[_VALUE].assign(contrast=contrast, value=value, missing=missing)
    return found.sort_values(list(VALUE_KEY), ignore_index=True)
