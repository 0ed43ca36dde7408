"""What a patch is, the table that lists patches, and what every cohort offers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import pandas as pd

from saliency_stats.typing import Image, Int32Array, UInt8Array

#: Columns of ``patches.csv``, one row per patch and magnification.
PATCH_COLUMNS: Final = (
    "patch_id",
    "slide_id",
    "patient_id",
    "label",
    "split",
    "magnification",
    "mpp",
    "x_um",
    "y_um",
    "source",
    "status",
)
#: DenseNet halves an image five times, so nothing smaller can be classified.
MIN_SIZE_PX: Final = 32
USED: Final = "used"
#: µm per pixel outside this range are a slip of unit (nm, mm), or the 72 dots per inch of a screen.
PLAUSIBLE_MPP: Final = (0.05, 20.0)


@dataclass(frozen=True)
class Patch:
    """One patch as read.

    Parameters
    ----------
    image
        RGB pixels (H, W, 3), uint8.
    truth
        Compartment codes (H, W), uint8, where the cohort knows them (phantoms), else None.
    instances
        Nucleus labels (H, W), int32, 0 = none, where the cohort knows them, else None.
    stated_mpp
        µm per pixel that the image file says it has, where it says so, else None.
    """

    image: Image
    truth: UInt8Array | None = None
    instances: Int32Array | None = None
    stated_mpp: float | None = None


class Cohort(Protocol):
    """Where patches come from.

    Attributes
    ----------
    kind
        ``phantom``, ``patches`` or ``slides``.
    table
        One row per patch and magnification with the columns of :data:`PATCH_COLUMNS`, index 0 … n-1.
    digests
        sha256 of every input file that defines the cohort, by name.
    """

    kind: str
    table: pd.DataFrame
    digests: dict[str, str]

    @property
    def files(self) -> Mapping[str, Path]:
        """Every file that is read, by the name that the study's table gives it; the table itself too."""
        ...

    def read(self, row: int) -> Patch:
        """Read the patch in this row of the table; raises ``PatchError`` with the reason if it is unusable."""
        ...


def nominal_magnification(mpp: float) -> float:
    """Name the magnification of a pixel size: 10 / mpp, on the ladder … 5, 10, 20, 40, … of objectives.

    By convention 40× is 0.25 µm/px, 20× 0.5, 10× 1 and 5× 2; scanners differ by some per cent, so the
    nearest step (in log2) names the pixel size. The exact pixel size stays in the column ``mpp``.
    """
    return float(40.0 * 2.0 ** np.round(np.log2(0.25 / mpp)))
