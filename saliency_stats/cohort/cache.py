"""Patches that fit into memory are read once."""

from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from saliency_stats.cohort.patch import Cohort, Patch


class CachedCohort:
    """A cohort that keeps the patches it has read, up to a number of bytes; the rest is read again each time.

    Training reads each patch once per epoch; drawing a phantom or decoding a JPEG costs more than keeping it. A pickled
    cohort carries no patches: every process keeps its own.

    Parameters
    ----------
    cohort
        The cohort behind.
    max_bytes
        Bytes of pixels that a process keeps at most.
    """

    def __init__(self, cohort: Cohort, max_bytes: int) -> None:
        self.kind, self.table, self.digests = cohort.kind, cohort.table, cohort.digests
        self.inner = cohort
        self._max_bytes = self._left = max_bytes
        self._kept: dict[int, Patch] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type["CachedCohort"], tuple[Cohort, int]]:
        return type(self), (self.inner, self._max_bytes)

    @property
    def files(self) -> Mapping[str, Path]:
        """The files that the cohort behind reads."""
        return self.inner.files

    def read(self, row: int) -> Patch:
        """Read a patch, from memory if it was kept."""
        if row in self._kept:
            return self._kept[row]
        patch = self.inner.read(row)
        size = sum(array.nbytes for array in (patch.image, patch.truth, patch.instances) if array is not None)
        with self._lock:
            if size <= self._left and row not in self._kept:
                self._left -= size
                self._kept[row] = patch
        return patch
