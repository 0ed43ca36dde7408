"""How far patches without a value could move a contrast: bounds by the extremes of those that have one. No files."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.units import Units, sample_of
from saliency_stats.typing import BoolArray

_EMPTY_OF = "no saliency in "


@dataclass(frozen=True)
class Bounds:
    """Limits (log2) of a mean over units, were the patches without a value like the lowest or highest that have one.

    ``n_raise`` and ``n_lower`` of the ``n_missing`` patches could only raise or lower the mean. ``n_units_added`` units
    are in no estimate, as none of their patches has a value. ``reasons`` counts why patches have none.
    """

    low: float
    high: float
    estimate: float
    n_patches: int
    n_missing: int
    n_raise: int = 0
    n_lower: int = 0
    n_units_added: int = 0
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def sign_holds(self) -> bool:
        """Whether the mean lies on the estimate's side of 0 throughout."""
        return min(self.low, self.estimate) > 0 or max(self.high, self.estimate) < 0


def mean_bounds(
    table: pd.DataFrame,
    value: str,
    units: Units,
    *,
    contrast: str,
    slide: str = "slide_id",
    patient: str | None = None,
) -> Bounds:
    """Bound the mean over units that all patches would have had.

    Parameters
    ----------
    table : DataFrame
        One row per patch, with a column ``missing``: why a patch has no value, as of
        :func:`~saliency_stats.statistics.patch_values`.
    value : str
        Column with the value (log2), NaN where a patch has none.
    units : Units
        What :func:`~saliency_stats.statistics.units.independent_units` makes of the table.
    contrast : str
        "A_vs_B". A patch without any saliency in B would have an infinite ratio: it can only raise the mean, and one
        without saliency in A only lower it.
    slide, patient : str
        As there. A patch without a value whose unit is unknown, where those of all others are known, counts as a unit
        of its own: that moves the mean the most.

    Returns
    -------
    Bounds
        The lower limit gives each missing patch the lowest value that any patch of the sample has, the upper limit the
        highest; where the direction is known, both give the extreme on that side, and the estimate may lie outside.
        The limits are NaN where no patch has a value, and for differences of two groups.

    Raises
    ------
    StatisticsError
        If a column is missing.

    Notes
    -----
    Worst-case bounds of Manski (1990, *American Economic Review* 80, 319-323), with the observed range in the place of
    a range known beforehand, as a log ratio has no limits: a choice, not a guarantee. Nothing is assumed of why a
    compartment is missing. They are no confidence interval: chance comes on top.
    """
    require_columns("table", table.columns, (value, "missing", slide, *([patient] if patient else [])))
    numbers = table[value].to_numpy(dtype=np.float64, na_value=np.nan)
    absent = np.isnan(numbers)
    why = table["missing"].fillna("").astype(str).where(absent, "")
    top, _, bottom = contrast.partition("_vs_")
    raised = (why == _EMPTY_OF + ("rest of the tissue" if bottom == "rest" else bottom)).to_numpy(dtype=bool)
    lowered = (why == _EMPTY_OF + top).to_numpy(dtype=bool)
    found = Bounds(
        *(units.estimate, units.estimate, units.estimate, units.n_patches, units.n_missing),
        n_raise=int(raised.sum()),
        n_lower=int(lowered.sum()),
        reasons=tuple((str(name), int(n)) for name, n in why[why != ""].value_counts().sort_index().items()),
    )
    if not absent.any():
        return found
    if absent.all() or units.others is not None or units.weights != (1.0,):
        return replace(found, low=NAN, high=NAN)
    least, most = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    low = np.where(absent, np.where(raised, most, least), numbers)
    high = np.where(absent, np.where(lowered, least, most), numbers)
    if not units.unit:
        return replace(found, low=float(low.mean()), high=float(high.mean()))
    named = _named(table, absent, slide, patient if units.unit == "patient" else None)
    filled = sample_of(named.assign(**{value: low}), value, slide=slide, patient=patient, assume_independent=True)
    limits = [np.sort(list(replace(filled, numbers=of[filled.order]).unit_means().values())) for of in (low, high)]
    return replace(
        found,
        low=float(limits[0].mean()),
        high=float(limits[1].mean()),
        n_units_added=limits[0].size - units.n,
    )


def _named(table: pd.DataFrame, absent: BoolArray, slide: str, patient: str | None) -> pd.DataFrame:
    """Give each patch without a value whose unit is unknown a unit of its own."""
    ids = table[patient or slide].astype("string").str.strip().fillna("")
    alone = absent & (ids == "").to_numpy(dtype=bool)
    if not alone.any():
        return table
    own = pd.Series([f"\0{number}" for number in range(len(table))], index=table.index)
    return table.assign(
        **{name: table[name].astype(object).mask(alone, own) for name in filter(None, (slide, patient))}
    )
