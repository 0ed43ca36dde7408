"""What a TIFF says of its pixel size, in resolution tags or as ImageJ and Fiji write it."""

import math
import struct
from pathlib import Path
from typing import Final

import tifffile

from saliency_stats.errors import PatchError

#: Outside of this no microscope made the image: 0.05 µm/px would be 200x, 10 is coarser than any nucleus.
MPP_RANGE: Final = (0.05, 10.0)
_TIFF_ENDINGS: Final = (".tif", ".tiff")
#: µm in the units of TIFF's tag ResolutionUnit: inch and centimetre.
_UNIT_UM: Final = {2: 25_400.0, 3: 10_000.0}
#: How ImageJ and Fiji spell µm in a file's description.
_IMAGEJ_UM: Final = ("um", "µm", "micron", "microns", "\\u00B5m")
#: Pixels whose sides differ by more than this share are not square.
_SQUARE: Final = 0.01


def pixel_size(path: Path) -> float:
    """Read µm per pixel from a TIFF's resolution tags, or as ImageJ and Fiji write it.

    Returns
    -------
    float
        µm per pixel; NaN for a broken TIFF, of which reading the image says what is wrong.

    Raises
    ------
    PatchError
        If the file does not say, or says what cannot be (screens' 72 dpi, for example, are 353 µm); the message says
        which.
    """
    if path.suffix.lower() not in _TIFF_ENDINGS:
        raise PatchError("only a TIFF tells its µm per pixel")
    try:
        with tifffile.TiffFile(path) as file:
            tags = file.pages.first.tags
            unit = int(tags.valueof(296, default=2))
            unit_um = _UNIT_UM.get(unit)
            if str((file.imagej_metadata or {}).get("unit", "")) in _IMAGEJ_UM:
                unit_um = 1.0
            found = [tags.valueof(code) for code in (282, 283)]
    except (OSError, ArithmeticError, LookupError, TypeError, ValueError, struct.error, tifffile.TiffFileError):
        return math.nan
    # each is a fraction, pixels over units, with which a broken file may do as it likes
    fractions = [value for value in found if isinstance(value, tuple) and len(value) == 2 and all(value)]  # noqa: PLR2004
    if unit_um is None or len(fractions) < len(found):
        raise PatchError("the TIFF has no resolution in inches, centimetres or µm")
    x_um, y_um = (unit_um * units / pixels for pixels, units in fractions)
    if not math.isclose(x_um, y_um, rel_tol=_SQUARE):
        raise PatchError(f"its pixels are not square ({x_um:.4g} x {y_um:.4g} µm)")
    low, high = MPP_RANGE
    if not low <= x_um <= high:
        raise PatchError(f"its resolution tags say {x_um:.4g} µm per pixel, which no microscope gives")
    # tags hold whole numbers: 0.346 is written as the nearest fraction
    return float(f"{x_um:.6g}")
