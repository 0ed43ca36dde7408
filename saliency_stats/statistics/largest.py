"""Which compartment carries the decision: the largest effect of a replacement, and how sure that is."""

from typing import Any

import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.values import PAIRS
from saliency_stats.vocabulary import TISSUE


def largest(
    causal: pd.DataFrame, *, test: str = StatisticsParameters.primary_test, alpha: float = 0.05
) -> pd.DataFrame:
    """Name the compartment whose replacement lowers the logit most per area, and say how sure that is.

    Parameters
    ----------
    causal : DataFrame
        As :func:`~saliency_stats.statistics.causal.causal_table` returns it.

    Returns
    -------
    DataFrame
        One row per label (both classes together as well: the separation), magnification, model and replacement, in the
        order of the table: compartment and second,
        with drop_per_area and drop_per_area_second (means over units); difference between the two within patches, with
        ci_low, ci_high and p_adjusted (of "causal_pairs"), and whether it is significant; excess (over the random
        region) with excess_p_adjusted (of "causal"), whether the compartment is above_random, and which compartment has
        the largest_excess; the two disagree where a small compartment does much per area because it is small. Then
        which has the largest_drop in logits, not divided by the area, and the largest_drop_excess of it over the random
        region of the same area: dividing by a small area amplifies noise, not dividing favours what is large. Then
        status and reason of the difference. Both names are empty where fewer than two compartments were replaced.

    Raises
    ------
    StatisticsError
        If columns are missing, or there are no rows of this test.
    """
    stratum = ["label", "magnification", "model", "replacement"]
    require_columns("causal", causal.columns, (*stratum, "contrast", "test", "drop_per_area", "drop", "p_adjusted"))
    rows = causal[causal["test"] == test]
    if rows.empty:
        raise StatisticsError(f"causal: no rows of test {test!r} (found: {', '.join(sorted(set(causal['test'])))})")
    found = [
        {**dict(zip(stratum, names, strict=True)), **_largest(part.set_index("contrast"), alpha)}
        for names, part in rows.groupby(stratum, sort=False)
    ]
    return pd.DataFrame(found)


def _largest(rows: pd.DataFrame, alpha: float) -> dict[str, Any]:
    effect = "separation" if f"separation:{TISSUE[0]}" in rows.index else "drop"
    own = rows.loc[[f"{effect}:{name}" for name in TISSUE]].set_axis(list(TISSUE)).dropna(subset="drop_per_area")
    if len(own) < 2:  # noqa: PLR2004 - nothing to compare
        numbers = ("drop_per_area", "drop_per_area_second", "difference", "ci_low", "ci_high", "p_adjusted")
        return {
            **dict.fromkeys(("compartment", "second"), ""),
            **dict.fromkeys((*numbers, "excess", "excess_p_adjusted"), NAN),
            **dict.fromkeys(("significant", "above_random"), False),
            **dict.fromkeys(("largest_excess", "largest_drop", "largest_drop_excess"), ""),
            "status": "no_inference",
            "reason": "fewer than two compartments were replaced",
        }
    first, second = own["drop_per_area"].sort_values(ascending=False, kind="stable").index[:2]
    turned = (first, second) not in PAIRS.values()
    pair = next(name for name, both in PAIRS.items() if set(both) == {first, second})
    row = rows.loc[f"{effect}:{pair}"]
    ends = [-row["ci_high"], -row["ci_low"]] if turned else [row["ci_low"], row["ci_high"]]
    difference = -row["estimate"] if turned else row["estimate"]
    excess, p_excess = own.loc[first, ["estimate", "p_adjusted"]]
    return {
        "compartment": first,
        "second": second,
        "drop_per_area": own.loc[first, "drop_per_area"],
        "drop_per_area_second": own.loc[second, "drop_per_area"],
        "difference": difference,
        "ci_low": ends[0],
        "ci_high": ends[1],
        "p_adjusted": row["p_adjusted"],
        "significant": bool(difference > 0 and row["p_adjusted"] <= alpha),
        "excess": excess,
        "excess_p_adjusted": p_excess,
        "above_random": bool(excess > 0 and p_excess <= alpha),
        "largest_excess": own["estimate"].idxmax(),
        "largest_drop": own["drop"].idxmax(),
        "largest_drop_excess": (own["drop"] - own["random_drop"]).idxmax(),
        "status": row["status"],
        "reason": row["reason"],
    }
