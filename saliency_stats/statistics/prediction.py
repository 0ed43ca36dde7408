"""Does saliency predict what replacing a compartment does? Rank correlations, one per slide."""

from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.ranks import rank_correlations
from saliency_stats.vocabulary import TISSUE

_JOINED: Final = ("model", "patch_id", "magnification", "compartment")
_SLIDE: Final = [
    *("label", "magnification", "model", "method", "reduction", "replacement"),
    *("slide_id", "patient_id"),
]


def slide_correlations(effects: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """Correlate, slide by slide, how dense the saliency of a compartment is with what its removal does.

    Spearman's rank correlation (1904, *Am. J. Psychol.* 15, 72-101) of the density ratio (its logarithm has the same
    ranks) with the drop of the logit per area. Over all compartments of the tissue it asks whether saliency orders
    compartments and patches alike; within one compartment, whether it orders patches. One slide's points depend on
    each other, so a slide gives one value, and slides are what is tested.

    Parameters
    ----------
    ledger : DataFrame
        Columns patch_id, magnification, model, method, reduction, compartment, density_ratio and status.

    Returns
    -------
    DataFrame
        One row per contrast ("prediction" over the tissue, "prediction:nucleus" and so on within a compartment), label,
        magnification, model, method, reduction, replacement and slide, sorted, with the columns rho, value, n_points
        and n_patches. ``value`` is Fisher's z, ``atanh(rho)`` (1921, *Metron* 1, 3-32), whose mean over slides is less
        skewed than that of rho. A perfect order has an infinite z; it counts as ``1 - 6 / (n (n² - 1))``, half-way to
        the next smaller rho that n untied points can have. Both are NaN with fewer than ``MIN_POINTS`` points, or
        where all are tied. Patches without a slide are one group.

    Raises
    ------
    StatisticsError
        If columns are missing, a row of the ledger occurs twice, or it has no row of a model that was ablated.
    """
    key = [*_JOINED, "method", "reduction"]
    require_columns("ledger", ledger.columns, (*key, "density_ratio", "status"))
    absent = sorted(set(effects["model"]) - set(ledger["model"]))
    if absent:
        raise StatisticsError(
            f"ledger: no rows of model {absent[0]!r}, whose compartments were replaced (found: "
            f"{', '.join(sorted(set(ledger['model']))) or 'none'}); both tables must come from the same run"
        )
    if ledger.duplicated(key).any():
        row = ledger[ledger.duplicated(key)].iloc[0]
        raise StatisticsError(f"ledger: {', '.join(f'{name} {row[name]}' for name in key)} occurs twice, expected once")
    measured = ledger.loc[(ledger["status"] == "measured") & ledger["density_ratio"].notna(), [*key, "density_ratio"]]
    done = effects[effects["drop_per_area"].notna()]
    points = done.merge(measured, on=list(_JOINED), how="inner")
    parts = [("prediction", points)]
    parts += [(f"prediction:{name}", points[points["compartment"] == name]) for name in TISSUE]
    found = [_correlate(rows).assign(contrast=contrast) for contrast, rows in parts]
    return pd.concat(found, ignore_index=True)


def _correlate(points: pd.DataFrame) -> pd.DataFrame:
    """Return one row per slide; all slides' ranks are taken at once, as there may be thousands of slides."""
    groups = points.groupby(_SLIDE, sort=True, dropna=False)
    rows = groups.agg(n_points=("patch_id", "size"), n_patches=("patch_id", "nunique")).reset_index()
    codes = np.asarray(groups.ngroup(), dtype=np.intp)
    rho = rank_correlations(codes, points["density_ratio"], points["drop_per_area"])
    # of a single point nothing is known, and the limit is not needed
    n = rows["n_points"].to_numpy(dtype=np.float64)
    most = 1 - 6 / np.maximum(n * (n**2 - 1), 6.0)
    return rows.assign(rho=rho, value=np.arctanh(np.clip(rho, -most, most)))
