"""The rungs of the ladder that tables beside the study's own contrasts answer (pure pandas)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.ladder import Part
from saliency_stats.statistics.multiverse import ALL
from saliency_stats.statistics.parameters import PRIMARY, StatisticsParameters
from saliency_stats.statistics.selection import JUDGED, plain
from saliency_stats.vocabulary import NO_REDUCTION, TRAINED

#: Parts of rungs by class and magnification.
Rungs = dict[tuple[str, Any], dict[str, list[Part]]]
#: The causal contrast that asks what the primary one asks of saliency.
DROP: Final = f"drop:{PRIMARY}"


def further_rungs(
    contrasts: pd.DataFrame,
    settings: StatisticsParameters,
    *,
    method: str,
    reduction: str,
    causal: pd.DataFrame | None = None,
    curve: pd.DataFrame | None = None,
) -> Rungs:
    """Collect what other methods, replaced compartments and other choices of analysis say.

    Parameters
    ----------
    contrasts : DataFrame
        ``contrasts.csv`` of every method.
    method, reduction : str
        The study's own.
    causal : DataFrame, optional
        ``causal.csv``.
    curve : DataFrame, optional
        ``multiverse_summary.csv``.
    """
    found: Rungs = {}

    def add(rung: str, rows: pd.DataFrame, name: Callable[[Mapping[Any, Any]], str]) -> None:
        for row in rows.to_dict("records"):
            parts = found.setdefault((str(row["label"]), plain(row["magnification"])), {})
            parts.setdefault(rung, []).append(Part(name(row), row))

    own = (contrasts["contrast"] == PRIMARY) & (contrasts["model"] == TRAINED) & (contrasts["population"] == JUDGED)
    asked = contrasts[own & (contrasts["test"] == settings.deciding_test(int(contrasts["n_networks"].max())))]
    others = asked[(asked["method"] != method) & asked["reduction"].isin([reduction, NO_REDUCTION])]
    add("method", others, lambda row: str(row["method"]))
    if causal is not None:
        rows = causal[(causal["contrast"] == DROP) & (causal["model"] == TRAINED)]
        add("decision", rows[rows["test"] == settings.primary_test], lambda row: str(row["replacement"]))
    if curve is not None:
        add("analyses", _curve_rows(curve, method), _curve_name)
    return found


def _curve_name(row: Mapping[Any, Any]) -> str:
    counted = f"{int(row['n_distinct'])} specifications"
    return counted if np.isnan(row["n_true_low"]) else f"{counted}, at least {int(row['n_true_low'])} of them true"


def _curve_rows(curve: pd.DataFrame, method: str) -> pd.DataFrame:
    """Put the test of the study's own curve into the form of a contrast: the median, and the global p-value."""
    rows = curve[(curve["dimension"] == ALL) & (curve["method"] == method)]
    tested = rows["p_global"].notna()
    return rows.assign(
        estimate=rows["median"],
        ci_low=NAN,
        ci_high=NAN,
        p_value=rows["p_global"],
        status=tested.map({True: "tested", False: "no_inference"}),
        reason=rows["curve_reason"],
        test="curve",
    )
