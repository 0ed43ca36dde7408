"""One image file as 8-bit RGB, or the reason why it is not."""

import warnings
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile, UnidentifiedImageError

from saliency_stats.errors import PatchError
from saliency_stats.typing import Image

#: What is done with warnings is the whole process's, not a thread's.
_WARNINGS: Final = Lock()


def read_rgb(path: Path) -> Image:
    """Read an image file.

    Returns
    -------
    ndarray
        RGB pixels (H, W, 3), uint8. An opaque alpha channel is dropped, a palette of opaque colours looked up: no
        pixel changes. Everything else that is not 8-bit RGB is refused.

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
            return _decode(path)
    except UnidentifiedImageError as error:
        raise PatchError("not a readable image; expected PNG, JPEG or TIFF") from error
    except (OSError, SyntaxError, TypeError, ValueError, PillowImage.DecompressionBombError) as error:
        # one wording for one cause: no folder of this machine, no numbers of this file
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0].split(" (")[0]
        raise PatchError(f"the image cannot be decoded ({reason})") from error


def _decode(path: Path) -> Image:
    with PillowImage.open(path) as image:
        _check_depth(image)
        image.load()
        _check_mode(image)
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _check_depth(image: ImageFile.ImageFile) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise PatchError(f"the file holds {frames} images; expected one")
    # Pillow reads 16-bit colour as its upper eight bits without a word; only the raw mode tells
    for tile in image.tile:
        if ";16" in str(tile.args):
            raise PatchError("a 16-bit image; expected 8-bit RGB. Convert it with the white point of the scanner")


def _check_mode(image: PillowImage.Image) -> None:
    mode = image.mode
    if mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255):
        raise PatchError("an RGBA image with transparent pixels; expected opaque RGB")
    if mode in {"1", "L", "LA", "I", "F"}:
        raise PatchError(f"a grey image (mode {mode}); expected 8-bit RGB, since stains are separated by colour")
    if mode not in {"RGB", "RGBA", "P"} or (mode == "P" and "transparency" in image.info):
        raise PatchError(f"an image of mode {mode}; expected 8-bit RGB")
