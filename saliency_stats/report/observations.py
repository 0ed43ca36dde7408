"""The measured patches as a matrix: a row per patch and network, a column per number of a map (pure pandas)."""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from saliency_stats.statistics.selection import CHOSEN
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import NETWORK, PATCH_KEY, TRAINED

_KEY: Final = [*PATCH_KEY, NETWORK]
#: What a column is of, beside the number that it holds.
_OF: Final = ["model", "method", "reduction", "compartment"]
_NUMBERS: Final = ["density_ratio", "mass_share", "area_share"]


class Observations(NamedTuple):
    """A matrix, what its rows are, and what its columns are."""

    values: Float64Array
    rows: pd.DataFrame
    columns: pd.DataFrame


def observations(
    ledger: pd.DataFrame, patches: pd.DataFrame, predictions: pd.DataFrame, evaluated: pd.DataFrame
) -> Observations:
    """Spread a ledger over columns, a row per patch, magnification and network.

    Parameters
    ----------
    ledger, patches, predictions
        Tables of a run. Maps of the image alone, which are of no network, stand in the rows of every network.
    evaluated
        What became of every patch, as of :class:`~saliency_stats.statistics.Population`.

    Returns
    -------
    Observations
        Rows have the columns of ``patches``, ``network``, ``p_malignant``, ``predicted``, ``correct`` and ``chosen``;
        columns have ``number``, ``model``, ``method``, ``reduction`` and ``compartment``. Both have unique names.
    """
    ledger = ledger.astype(dict.fromkeys(("patch_id", NETWORK, *_OF), "str"))
    of_network, of_image = ledger[ledger[NETWORK] != ""], ledger[ledger[NETWORK] == ""]
    beside = of_network[_KEY].drop_duplicates().merge(of_image.drop(columns=NETWORK), on=list(PATCH_KEY))
    long = pd.concat([of_network, beside]).melt([*_KEY, *_OF], _NUMBERS, "number", "value")
    wide = long.set_index([*_KEY, "number", *_OF])["value"].unstack(["number", *_OF]).sort_index(axis=1)  # noqa: PD010
    columns = wide.columns.to_frame(index=False)
    rows = wide.index.to_frame(index=False).merge(patches, on=list(PATCH_KEY), how="left", validate="many_to_one")
    trained = predictions[predictions["model"] == TRAINED]
    for table, names in ((trained, ["p_malignant", "predicted", "correct"]), (evaluated, [CHOSEN])):
        text = {name: "str" for name in ("patch_id", NETWORK, "predicted", CHOSEN) if name in [*_KEY, *names]}
        rows = rows.merge(table[[*_KEY, *names]].astype(text), on=_KEY, how="left", validate="one_to_one")
    index = rows["patch_id"] + " " + rows["magnification"].map("{:g}x".format) + " " + rows[NETWORK]
    named = columns.set_axis(columns.agg(" ".join, axis=1).tolist())
    return Observations(wide.to_numpy(np.float64), rows.set_axis(index.tolist()), named)
