"""Whether CUDA may compute in TF32: only where the ratios of the study's own maps stay."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from saliency_stats.measurement.batch import Batch
from saliency_stats.measurement.measure import Measurement

#: Most by which a density ratio may change: of itself, below 1 of 1.
MOST_CHANGE: Final = 1e-3
#: Patches of each magnification and fold that are measured in both ways.
_PATCHES: Final = 4


def with_precision(measurement: Measurement, batches: Sequence[Batch]) -> tuple[Measurement, dict[str, Any]]:
    """Let a measurement compute in TF32 if it makes the same ratios as float32; measures a few patches in both.

    TF32 rounds what is multiplied to 10 bits and is several times as fast. How much of that reaches a map depends on
    the architecture, so its own networks are asked, of every magnification and fold.

    Parameters
    ----------
    measurement
        Of the study.
    batches
        Of the study; the first ones that are measured are tried.

    Returns
    -------
    measurement
        As it shall measure.
    dict
        For the manifest: ``tf32``, whether it is used, and ``tf32_change``, the most by which a density ratio changed
        (None where one was lost). Empty where there is nothing to decide: without CUDA, or where maps are given.
    """
    if measurement.device.type != "cuda" or measurement.given is not None:
        return measurement, {}
    firsts: dict[tuple[float, int], Batch] = {}
    for batch in batches:
        if batch.measured:
            firsts.setdefault(batch.place, replace(batch, rows=batch.rows[:_PATCHES]))
    plain = replace(measurement, keep=False, ablations=None, rerendering=None, multiverse=None, thumbnails=None)
    change = max((_change(plain, batch) for batch in firsts.values()), default=np.inf)
    fits = change <= MOST_CHANGE
    return replace(measurement, tf32=fits), {"tf32": fits, "tf32_change": change if np.isfinite(change) else None}


def _change(measurement: Measurement, batch: Batch) -> float:
    exact, fast = (
        replace(measurement, tf32=tf32)(batch)["ledger"]["density_ratio"].to_numpy() for tf32 in (False, True)
    )
    if (np.isnan(exact) != np.isnan(fast)).any():
        return float("inf")
    return float(np.nanmax(np.abs(fast - exact) / np.maximum(exact, 1), initial=0.0))
