"""Saliency maps and probabilities that were made elsewhere, as a table gives them: for each patch the file of one map.

A map holds a number for every pixel of its patch, or for every cell of another grid over the whole patch: the tokens of
a transformer, a coarser or a finer map. Such a map is attributed by area: every pixel gets the mean of the cells that
cover it, weighted by how much of it they cover, so that every region keeps its share of the saliency.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile
from skimage.transform import resize_local_mean

from saliency_stats.errors import CohortError, shortened, shown
from saliency_stats.typing import Float32Array, Float64Array

_NUMPY: Final = (".npy", ".npz")
_TIFF: Final = (".tif", ".tiff")
#: Ways of TIFF to store something else than the numbers of a map.
_NO_NUMBERS: Final[dict[int, str]] = {
    tifffile.PHOTOMETRIC.PALETTE: "numbers of colours in a palette",
    tifffile.PHOTOMETRIC.MINISWHITE: "0 as white",
}
#: Kinds of NumPy's types that count something: whole numbers, with or without a sign, and floating point.
_NUMBERS: Final = "iuf"
_EXPECTED: Final = "expected (H, W), one number per pixel or per cell of a grid over the patch"


@dataclass(frozen=True, eq=False)
class GivenMaps:
    """The maps and probabilities of a table of patches, by the rows of its cohort.

    Parameters
    ----------
    table
        The file that lists them, for messages.
    lines
        Of every row.
    names
        Of the files of the maps, as the table has them.
    root
        The folder that they are relative to.
    p_malignant
        Probability of the malignant class.
    signed
        Whether maps may hold negative values: their absolute values are taken. Else these are refused.
    """

    table: Path
    lines: tuple[int, ...]
    names: tuple[str, ...]
    root: Path
    p_malignant: Float64Array
    signed: bool = False

    @property
    def files(self) -> dict[str, Path]:
        """The files of the maps by their names."""
        return {name: self.root / name for name in self.names}

    def read(self, row: int, shape: tuple[int, int]) -> Float32Array:
        """Read the map of one patch of ``shape`` (H, W).

        Returns
        -------
        ndarray
            (H, W), not negative.

        Raises
        ------
        CohortError
            If the file holds no map of this patch: names the line and the file, what was found and expected.
        """
        try:
            return on_grid(read_map(self.root / self.names[row], signed=self.signed), shape)
        except CohortError as error:
            where = f"{self.table}, line {self.lines[row]}: map {shown(self.names[row])}"
            raise CohortError(f"{where} {error}") from error

    def faults(self, used: pd.DataFrame) -> list[str]:
        """Say what is wrong with the maps of these rows of the inspected table."""
        found = []
        for row, height, width in zip(used.index, used["height_px"], used["width_px"], strict=True):
            try:
                self.read(int(row), (int(height), int(width)))
            except CohortError as error:
                found.append(str(error))
        return found


def read_map(path: Path, *, signed: bool) -> Float32Array:
    """Read a map in its own grid (h, w), not negative: the absolute values of a signed one.

    Raises
    ------
    CohortError
        If the file is missing, cannot be read, or holds no map.
    """
    given = _array(path)
    if given.dtype.kind not in _NUMBERS:
        raise CohortError(
            f"holds values of the type {given.dtype}; expected real numbers (whole or floating point). "
            "Write the map as float32"
        )
    if given.ndim != 2 or not given.size:  # noqa: PLR2004 - (H, W)
        raise CohortError(f"has the shape {given.shape}; {_EXPECTED}. Reduce channels where the map is made")
    with np.errstate(over="ignore"):  # what float32 does not hold counts as infinite
        values = np.asarray(given, dtype=np.float32)
    infinite, negative = int(np.count_nonzero(~np.isfinite(values))), int(np.count_nonzero(values < 0))
    faults = []
    if infinite:
        faults.append(f"holds {infinite} NaN or infinite values of {values.size}; expected finite numbers")
    if negative and not signed:
        faults.append(
            f"holds {negative} negative values of {values.size}; expected none. Where the maps have a sign, say so with"
            " saliency.signed: true, and their absolute values are taken"
        )
    if not values.any():
        faults.append("is 0 everywhere; expected saliency somewhere. Make the map again, or leave the patch out")
    if faults:
        raise CohortError(", and ".join(faults))
    return np.abs(values)


def on_grid(values: Float32Array, shape: tuple[int, int]) -> Float32Array:
    """Bring a map (h, w) to the grid of its patch (H, W), every region keeping its share of the whole.

    Raises
    ------
    CohortError
        If map and patch differ in their proportions by more than a pixel of the patch.
    """
    if values.shape == shape:
        return values
    (rows, columns), (height, width) = values.shape, shape
    if max(abs(columns * height / rows - width), abs(rows * width / columns - height)) > 1:
        raise CohortError(
            f"has the shape ({rows}, {columns}), its patch {shape}; {_EXPECTED}, so that both have the same "
            "proportions to within a pixel. Is it the map of another patch, or turned?"
        )
    exact = resize_local_mean(values.astype(np.float64), shape, preserve_range=True)  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(exact, dtype=np.float32)


def _array(path: Path) -> npt.NDArray[Any]:
    ending = path.suffix.lower()
    if ending not in (*_NUMPY, *_TIFF):
        raise CohortError(f"ends in {shown(ending)}; expected a file .npy, .npz (with one array) or .tif")
    try:
        return _of_tiff(path) if ending in _TIFF else _of_numpy(path)
    except CohortError:
        raise
    except FileNotFoundError as error:
        raise CohortError("is missing; expected a file .npy, .npz or .tif at this path") from error
    except Exception as error:  # a decoder raises anything of a broken file
        # NumPy advises to trust a pickle, which is a program
        objects = isinstance(error, ValueError) and "pickle" in str(error)
        reason = getattr(error, "strerror", None) or shortened(f"{type(error).__name__}: {error}".split("\n")[0], 150)
        found = "it holds Python objects, or is no such file" if objects else reason
        raise CohortError(f"cannot be read ({found}); expected an array of numbers. Write the map again") from error


def _of_numpy(path: Path) -> npt.NDArray[Any]:
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        names = loaded.files
        if len(names) != 1:
            listed = f" ({shortened(', '.join(names), 100)})" if names else ""
            raise CohortError(f"holds {len(names)} arrays{listed}; expected one, the map")
        return np.asarray(loaded[names[0]])


def _of_tiff(path: Path) -> npt.NDArray[Any]:
    with tifffile.TiffFile(path) as file:
        if len(file.series) != 1:
            raise CohortError(f"holds {len(file.series)} images; expected one, the map")
        stored = _NO_NUMBERS.get(int(file.series[0].keyframe.photometric))
        if stored:
            raise CohortError(f"stores {stored}; expected the numbers of the map (photometric: minisblack)")
        return np.asarray(file.asarray())
