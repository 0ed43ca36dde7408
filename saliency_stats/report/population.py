"""Which patches the figures show, and their densities as one value per slide, or per patch without slides."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from saliency_stats.report.run import Run
from saliency_stats.statistics.selection import UNLEARNED
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import SPLITS


@dataclass(frozen=True)
class Points:
    """The values of one stratum and compartment, and their mean.

    Parameters
    ----------
    each
        One value per unit (slide or patient), ordered by the unit's name; one per patch where a patch's unit
        is unknown.
    by_unit
        Whether a value stands for a unit.
    low, high
        Limits of the t interval of the mean over units; NaN where none may be given.
    n_patches
        Patches behind the values.
    """

    each: Float64Array
    by_unit: bool
    low: float
    high: float
    n_patches: int

    @property
    def mean(self) -> float:
        """The mean over units (over patches where units are unknown); NaN of nothing."""
        return float(self.each.mean()) if self.each.size else float("nan")


def unit_means(run: Run, values: pd.DataFrame) -> pd.DataFrame:
    """Return the mean value per unit (slide or patient), one column per magnification from coarse to fine.

    A patient's mean is that of the patient's slides, as in the contrasts. There is no row where a unit is unknown.
    """
    known = values[values["value"].notna()].sort_values("patch_id")
    if (known[run.unit_column] == "").any():
        known = known.iloc[:0]
    keys = ["magnification", run.unit_column]
    slides = known.groupby([*dict.fromkeys([*keys, "slide_id"])])["value"].mean()
    means = slides.groupby(level=keys).mean().unstack("magnification")  # noqa: PD010 - one value per cell
    return means.reindex(columns=list(run.magnifications))


def points(run: Run, rows: pd.DataFrame, column: str, *, log2: bool = False) -> Points:
    """Reduce the rows of one stratum, model and compartment to one value per unit.

    Parameters
    ----------
    run
        Tells the unit of inference and the level of the interval.
    rows
        Ledger rows, one per patch.
    column
        The ledger's column to reduce.
    log2
        Whether to take the binary logarithm first: means are then geometric. Patches whose value is zero
        or missing carry no logarithm and are left out, as in the contrasts.

    Returns
    -------
    Points
        Values, mean, and the interval by Student's t over units where there are enough.
    """
    values = rows[column].where(rows[column] > 0) if log2 else rows[column]
    kept = rows.assign(value=np.log2(values) if log2 else values).dropna(subset=["value"])
    known = bool((kept[run.unit_column] != "").all())
    if not known:
        ordered = kept.sort_values("patch_id")["value"].to_numpy(np.float64)
        return Points(ordered, by_unit=False, low=np.nan, high=np.nan, n_patches=len(kept))
    # sorted first, so that the sum of a unit does not depend on the order of the rows; a patient's value is the mean of
    # the patient's slides, as in the contrasts
    keys = list(dict.fromkeys([run.unit_column, "slide_id"]))
    slides = kept.sort_values("patch_id").groupby(keys)["value"].mean()
    means = slides.groupby(level=run.unit_column).mean().to_numpy(np.float64)
    low, high = np.nan, np.nan
    if means.size >= run.settings.statistics.min_slides and float(np.ptp(means)) > 0:
        bounds = stats.ttest_1samp(means, 0.0).confidence_interval(1 - run.alpha)
        low, high = float(bounds.low), float(bounds.high)
    return Points(means, by_unit=True, low=low, high=high, n_patches=len(kept))


def stratum_words(run: Run, magnification: float, label: str) -> str:
    """Name a class at a magnification, and say where its classifier learned nothing."""
    words = run.place(magnification, label)
    return words if run.learned[magnification] else f"{words} ({UNLEARNED})"


def judged_counts(run: Run, magnification: float, label: str) -> tuple[int, int]:
    """Return the numbers of judged patches and of their known slides (or patients) in one stratum."""
    rows = run.judged[(run.judged["magnification"] == magnification) & (run.judged["label"] == label)]
    return len(rows), rows.loc[rows[run.unit_column] != "", run.unit_column].nunique()


def left_out_words(run: Run, magnification: float, label: str, step: str) -> list[str]:
    """Say why a step of ``selection.csv`` leaves patches out, with their numbers where there are several reasons."""
    if step == "used":
        found = run.exclusions
        rows = found[(found["magnification"] == magnification) & (found["label"] == label)]
        return [f"{n}: {reason}" for n, reason in zip(rows["n_patches"], rows["reason"], strict=True)]
    if step == "evaluation split":
        rows = run.patches[(run.patches["magnification"] == magnification) & (run.patches["label"] == label)]
        counts = rows.loc[rows["status"] == "used", "split"].value_counts()
        return [f"{counts[name]}: {name} split" for name in SPLITS if name != run.evaluation_split and name in counts]
    return {
        "correct": ["classified wrongly"],
        "correct and confident": [f"probability of the true class below {run.settings.saliency.min_confidence:g}"],
        "both compartments present": ["too little nucleus or cytoplasm to measure"],
    }.get(step, [])
