"""Segment once, carry down: a location's compartments at its finest resolution, averaged for every magnification."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.cohort.slides.cohort import SlideCohort
from saliency_stats.compartments import (
    CompartmentParameters,
    NucleusFinder,
    Segmentation,
    Stains,
    TissueFinder,
    downsample,
    segment_batch,
    view_of,
)
from saliency_stats.compartments.membership import block_means
from saliency_stats.errors import StorageError
from saliency_stats.execution.files import atomic, read_arrays
from saliency_stats.execution.names import file_name
from saliency_stats.typing import Float64Array, FloatArray, Int32Array, UInt8Array

_KEPT: Final = ("shares", "instances", "probabilities", "doubt")


@dataclass(frozen=True, eq=False)
class MultiscaleCompartments:
    """Compartments of the patches of a cohort of slides, segmented once per location.

    The field of the coarsest patch is read and segmented at the resolution of the finest; each magnification gets its
    middle part, area-averaged, so that masks do not get worse as the picture gets coarser.

    Parameters
    ----------
    cohort
        The slides.
    folder
        Where compartments are kept until the run is finished, one file per location.
    finder, parameters
        Finds nuclei, and how images are divided.
    stains
        Per stain group.
    tissue
        Says how probable each tissue is, where the cells of the parameters need it.
    """

    cohort: SlideCohort
    folder: Path
    finder: NucleusFinder
    parameters: CompartmentParameters
    stains: Mapping[str, Stains]
    tissue: TissueFinder | None = None
    _locks: dict[str, Lock] = field(default_factory=dict, init=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # another process has locks of its own: two that segment one place write the same bytes
        return type(self), (self.cohort, self.folder, self.finder, self.parameters, self.stains, self.tissue)

    def segmentations(self, rows: pd.DataFrame) -> list[Segmentation]:
        """Return the compartments of patches, those of locations not seen before after segmenting them."""
        found = []
        for index, row in rows.iterrows():
            path = self.folder / file_name(str(row["patch_id"]), ".npz")
            # another worker may want the same place, at another magnification
            with self._locks.setdefault(path.name, Lock()):
                try:
                    kept = read_arrays(path, _KEPT)
                except StorageError:
                    # not there yet, or damaged
                    self._segment(int(str(index)), row, path)
                    kept = read_arrays(path, _KEPT)
            finest = min(self.cohort.tiling.mpps)
            factor = round(float(row["mpp"]) / finest)
            found.append(downscaled(**kept, factor=factor, size_px=self.cohort.tiling.size_px))
        return found

    def _segment(self, index: int, row: pd.Series, path: Path) -> None:
        tiling = self.cohort.tiling
        finest = min(tiling.mpps)
        side = round(tiling.widest_um / finest)
        image = self.cohort.field(index, side, finest)
        view = view_of(image, finest, self.parameters, self.stains[str(row["stain_group"])])
        segmentation = segment_batch([view], self.finder, self.tissue)[0]
        # none where memberships are no probabilities
        doubt = np.zeros((0, *segmentation.instances.shape)) if segmentation.doubt is None else segmentation.doubt
        with atomic(path) as partial, partial.open("wb") as file:
            np.savez_compressed(
                file,
                shares=_in_255ths(segmentation.memberships),
                instances=segmentation.instances,
                probabilities=segmentation.probabilities,
                doubt=_in_255ths(doubt),
            )


def _in_255ths(shares: FloatArray) -> UInt8Array:
    return np.round(shares * 255).astype(np.uint8)


def downscaled(
    shares: UInt8Array,
    instances: Int32Array,
    probabilities: Float64Array,
    factor: int,
    size_px: int,
    doubt: UInt8Array | None = None,
) -> Segmentation:
    """Take the middle of a field and average it to the pixels of a coarser patch.

    Parameters
    ----------
    shares
        (K, H, W) of each compartment in 255ths, at the finest resolution.
    factor
        Pixels of the field along one of the patch.
    size_px
        Side of the patch; ``size_px * factor`` is at most H and W.
    doubt
        (2, H, W) of ``Segmentation.doubt`` in 255ths; none, or (0, H, W), where memberships are no probabilities.

    Returns
    -------
    Segmentation
        Memberships that sum to 1 and keep every compartment's area; nuclei as they are at the pixels' centres.
    """
    height, width = instances.shape
    side = size_px * factor
    top, left = (height - side) // 2, (width - side) // 2
    window = np.s_[top : top + side, left : left + side]
    part = shares[(slice(None), *window)].astype(np.float64)
    averaged = downsample(part / part.sum(axis=0, keepdims=True), factor).astype(np.float32)
    centre = slice(factor // 2, None, factor)
    coarse = None
    if doubt is not None and len(doubt):
        coarse = (block_means(doubt[(slice(None), *window)], factor) / 255).astype(np.float32)
    return Segmentation(instances[window][centre, centre].copy(), averaged, probabilities, coarse)
