"""What an engine maps over the batches: measure one and keep its tables in the run's folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saliency_stats.execution.device import release_memory
from saliency_stats.execution.files import atomic
from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import Batch
from saliency_stats.measurement.measure import Measurement
from saliency_stats.saliency.naming import stem_of


@dataclass(frozen=True)
class StoredMeasurement:
    """A picklable function of a batch: it can run on a thread, in another process, and again, with the same result.

    Parameters
    ----------
    folder
        The run's folder, which every worker must reach.
    """

    folder: Path
    measurement: Measurement

    def __call__(self, batch: Batch) -> None:
        """Measure a batch unless its tables are there already; they appear at once, when all are complete."""
        Store(self.folder).compute_once(batch.name, lambda: self.measurement(batch))
        release_memory()


def write_maps(path: Path, maps: pd.DataFrame) -> None:
    """Write the maps of a batch, by network (N, H, W), with the names of its patches."""
    with atomic(path) as partial:
        arrays: dict[str, Any] = {
            stem_of(*map(str, key)): np.stack(
                [
                    np.frombuffer(values, "<f4").reshape(height, width)
                    for values, height, width in zip(rows["saliency"], rows["height_px"], rows["width_px"], strict=True)
                ]
            )
            for key, rows in maps.groupby(["model", "network"], sort=True)
        }
        ids = maps["patch_id"].drop_duplicates().to_numpy(dtype=str)
        with partial.open("wb") as file:
            np.savez_compressed(file, patch_id=ids, **arrays)
