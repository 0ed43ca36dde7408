"""What networks make of each compartment of a phantom, over slides and networks (pure pandas)."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from saliency_stats.statistics.contrasts import inferred, sampled
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.units import independent_units
from saliency_stats.vocabulary import COMPARTMENTS, LABELS, NETWORK

_STRATUM: Final = ("magnification", "label", "compartment")
_KEPT: Final = ("estimate", "ci_low", "ci_high", "test", "status", "reason", "n_networks", "n_units", "n_patches")


def importance_table(importance: pd.DataFrame, settings: StatisticsParameters, tests: Sequence[str]) -> pd.DataFrame:
    """Average the importance of each compartment over patches, with an interval over slides and networks.

    Parameters
    ----------
    importance : DataFrame
        As ``importance.csv`` holds it.
    settings : StatisticsParameters
        The unit of inference, the level and the resampling.
    tests : sequence of str
        Names out of :data:`TESTS`; the interval is that of the first that can be had.

    Returns
    -------
    DataFrame
        One row per magnification, label and compartment: estimate (of ``delta_logit``: the mean over units), ci_low,
        ci_high, test, status, reason, n_networks, n_units and n_patches as in ``contrasts.csv``, size, the mean of
        the amounts whatever their sign, and largest_in, the number of networks of which no other compartment has a
        larger size. Chance decides as which class a compartment without a signal is drawn: what a network makes of it
        has either sign in equal parts, so it shows in the size and cancels in the estimate.
    """
    require_columns("importance", importance.columns, (*_STRATUM, NETWORK, "delta_logit"))
    largest = _largest(importance)
    found = [
        dict(zip(_STRATUM, stratum, strict=True)) | _averaged(part, settings, tests) | {"largest_in": largest[stratum]}
        for stratum, part in importance.groupby(list(_STRATUM))
    ]
    place = {name: at for at, name in enumerate((*reversed(LABELS), *COMPARTMENTS))}
    return pd.DataFrame(found, columns=[*_STRATUM, *_KEPT, "size", "largest_in"]).sort_values(
        list(_STRATUM), key=lambda values: values.map(lambda value: place.get(value, value)), ignore_index=True
    )


def _largest(importance: pd.DataFrame) -> "Counter[Any]":
    """Count for each stratum the networks in which its compartment has the largest mean amount."""
    rows = importance.assign(size=importance["delta_logit"].abs())
    sizes = rows.groupby([*_STRATUM, NETWORK], observed=True)["size"].mean()
    among = sizes.groupby(["magnification", "label", NETWORK], observed=True)
    return Counter(key[: len(_STRATUM)] for key in sizes.index[sizes == among.transform("max")])


def _averaged(rows: pd.DataFrame, settings: StatisticsParameters, tests: Sequence[str]) -> dict[str, Any]:
    how: dict[str, Any] = {
        "patient": "patient_id" if settings.unit == "patient" else None,
        "assume_independent": settings.assume_independent,
        "network": NETWORK,
    }
    sample = sampled(rows, "delta_logit", min_units=settings.min_slides, **how)
    answers = inferred(sample, tests, alpha=settings.alpha, seed=settings.seed, draws=settings.bootstrap_draws)
    answers = answers.sort_values("status", key=lambda status: status != "tested", kind="stable")
    size = independent_units(rows.assign(size=rows["delta_logit"].abs()), "size", **how).estimate
    return {**answers.iloc[0][list(_KEPT)], "size": size}
