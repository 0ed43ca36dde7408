"""One image file as 8-bit RGB, or the reason why it is not.

One rule holds for every format that is read (PNG, JPEG, TIFF, BMP, GIF, WebP, JPEG 2000, AVIF, PPM). An image has three
colours of at most 8 bits; deeper ones are refused, never cut, since only the scanner knows what is white. A palette is
looked up. An alpha channel that is opaque everywhere is dropped; one that is not is refused, and so are grey images,
CMYK and every other colour space, further channels, and files of several images (pages, frames, levels). The
orientation that a camera noted (EXIF) is applied: the image is as a viewer shows it. An embedded colour profile is not
applied: the values are those that are stored, from which stains are estimated. What the file says of its µm per pixel
is compared with what the table (or ``--mpp``) says; the table's counts, and a difference of more than a factor of 1.5
is told. Images of more than 179 million pixels are refused before they are decoded.
"""

import re
import warnings
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile, ImageOps, UnidentifiedImageError

from saliency_stats.cohort.depth import bits_of, bits_of_unread
from saliency_stats.cohort.patch import PLAUSIBLE_MPP
from saliency_stats.errors import PatchError
from saliency_stats.typing import Image

FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "AVIF", "PPM")
#: Twice what Pillow warns of.
MAX_PIXELS: Final = 178_956_970
#: µm per pixel of a file and of a table may differ by this factor: one of them is then nominal, the other measured.
MPP_FACTOR: Final = 1.5

_BITS: Final = 8
_COLOURS: Final = 3
_INCH_UM: Final = 25_400.0
_SAMPLES, _DESCRIPTION, _X_RESOLUTION = 277, 270, 282
#: How ImageJ and Fiji write that a TIFF's resolution is in pixels per µm (in UTF-8, Pillow reads an Â before the µ).
_IMAGEJ_UM: Final = re.compile(r"^ImageJ=.*^unit=(um|Â?µm|micron|microns|\\u00B5m)$", re.DOTALL | re.MULTILINE)
#: What is done with warnings is the whole process's, not a thread's.
_WARNINGS: Final = Lock()


def read_rgb(path: Path) -> Image:
    """Read an image file; see :func:`read_image`."""
    return read_image(path)[0]


def read_image(path: Path) -> tuple[Image, float | None]:
    """Read an image file.

    Returns
    -------
    image : ndarray
        RGB pixels (H, W, 3), uint8.
    stated_mpp : float or None
        µm per pixel that the file says it has, if it says what a microscope can give.

    Raises
    ------
    PatchError
        If the file is missing, broken, or not 8-bit RGB.
    """
    try:
        if not path.is_file():
            raise PatchError("the image file is missing")
        with _WARNINGS, warnings.catch_warnings():
            # Pillow warns of odd tags, which scanners write; whether the pixels can be decoded is what counts
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)
            return _decode(path)
    except PatchError:
        raise
    except UnidentifiedImageError as error:
        bits = bits_of_unread(path)
        if bits is not None and bits > _BITS:
            raise _too_deep(bits) from error
        raise PatchError("not a readable image; expected PNG, JPEG or TIFF") from error
    except PillowImage.DecompressionBombError as error:
        raise _too_large() from error
    except Exception as error:  # a decoder raises anything of a broken file
        # one wording for one cause: no folder of this machine, no numbers of this file
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0].split(" (")[0] or type(error).__name__
        raise PatchError(f"the image cannot be decoded ({reason})") from error


def contradicts(stated_mpp: float | None, mpp: float) -> bool:
    """Tell whether a file says another µm per pixel than it is taken for."""
    return stated_mpp is not None and not 1 / MPP_FACTOR <= stated_mpp / mpp <= MPP_FACTOR


def _decode(path: Path) -> tuple[Image, float | None]:
    with PillowImage.open(path, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_large()
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise PatchError(f"the file holds {frames} images; expected one")
        bits = bits_of(image, path)
        if bits > _BITS:
            raise _too_deep(bits)
        stated_mpp = _stated_mpp(image)
        channels = image.tag_v2.get(_SAMPLES, 1) if image.format == "TIFF" else 1  # type: ignore[attr-defined]
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        _check_mode(image)
        if channels > _COLOURS and image.mode == "RGB":
            raise PatchError(f"an image of {channels} channels; expected the three of 8-bit RGB")
        return np.asarray(image.convert("RGB"), dtype=np.uint8), stated_mpp


def _check_mode(image: PillowImage.Image) -> None:
    mode = image.mode
    if mode in {"1", "L", "LA", "La", "I", "F"}:
        raise PatchError(f"a grey image (mode {mode}); expected 8-bit RGB, since stains are separated by colour")
    if mode not in {"RGB", "RGBA", "RGBa", "P", "PA"}:
        raise PatchError(f"an image of mode {mode}; expected 8-bit RGB")
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise PatchError(f"an image of mode {mode} with transparent pixels; expected opaque RGB")


def _stated_mpp(image: ImageFile.ImageFile) -> float | None:
    """Read µm per pixel along x, as TIFF, PNG, JPEG and others note it in pixels per inch, and ImageJ in a text."""
    per_um = 0.0
    tags = getattr(image, "tag_v2", {})
    if _IMAGEJ_UM.search(str(tags.get(_DESCRIPTION, ""))):
        per_um = float(tags.get(_X_RESOLUTION, 0.0))
    elif "dpi" in image.info:
        per_um = float(image.info["dpi"][0]) / _INCH_UM
    low, high = PLAUSIBLE_MPP
    return 1.0 / per_um if per_um > 0 and low <= 1.0 / per_um <= high else None


def _too_deep(bits: int) -> PatchError:
    return PatchError(f"a {bits}-bit image; expected 8-bit RGB. Convert it with the white point of the scanner")


def _too_large() -> PatchError:
    return PatchError(f"an image of more than {MAX_PIXELS / 1e6:.0f} million pixels; cut it, or list it as a slide")
