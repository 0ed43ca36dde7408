"""What a slide's TIFF says of its samples: OpenSlide makes 8-bit colour of everything, and does not tell."""

import struct
from pathlib import Path
from typing import Final

import tifffile

from saliency_stats.errors import SlideError

_BITS: Final = 8
_UPRIGHT: Final = 1
_ORIENTATION: Final = 274
_COLOURS: Final = 3


def check_samples(path: Path, slide_id: str) -> None:
    """Refuse a slide that OpenSlide would read as something else.

    Of 16 bits OpenSlide takes the upper eight, so 12-bit data come out almost black; a grey slide as three equal
    channels, which no stain separation can use; and tiles that are to be turned are turned one by one.

    Raises
    ------
    SlideError
        With what the file says, what was expected and the remedy. A file that is no TIFF is left to OpenSlide.
    """
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            tags = getattr(page, "tags", {})
            bits, samples, orientation = page.bitspersample, page.samplesperpixel, tags.get(_ORIENTATION)
            palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError, TypeError, struct.error):
        return
    turned = _UPRIGHT if orientation is None else orientation.value
    found = []
    if bits != _BITS:
        found.append(
            f"{bits} bits per sample; expected {_BITS}. Convert it with the white point of the scanner to 8-bit RGB"
        )
    if samples < _COLOURS and not palette:
        found.append(f"{samples} sample(s) per pixel, a grey image; expected RGB, since stains are separated by colour")
    if turned != _UPRIGHT:
        found.append(f"orientation {turned}; expected {_UPRIGHT} (upright). Turn its pixels, or correct the tag")
    if found:
        raise SlideError(f"slide {slide_id!r} ({path.name}) has {'; '.join(found)}")
