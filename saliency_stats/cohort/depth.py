"""How many bits per sample an image file has: Pillow cuts deeper ones to eight without a word."""

import re
import struct
from pathlib import Path
from typing import Final

import tifffile
from PIL import ImageFile

_SAMPLE_BITS, _SAMPLE_FORMAT = 258, 339
_UNSIGNED: Final = 1
_JPEG: Final = b"\xff\xd8\xff"
#: Markers that begin a frame of a JPEG; DHT, JPG and DAC stand among them.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Start of a JPEG 2000 codestream, and its marker of the sizes.
_CODESTREAM: Final = b"\xff\x4f\xff\x51"
#: A box of AV1's configuration: its size, its name, and its first byte, which is fixed.
_AV1: Final = re.compile(rb"\0\0.{2}av1C\x81.(.)", re.DOTALL)
_HIGH, _TWELVE = 0x40, 0x20


def bits_of(image: ImageFile.ImageFile, path: Path) -> int:
    """Give the bits per sample of a file that Pillow has opened; 16 also for numbers that are no whole ones."""
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        plain = set(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))) == {_UNSIGNED}
        return max(16 if not plain else 0, *(int(bits) for bits in tags.get(_SAMPLE_BITS, (1,))))
    if image.format == "JPEG2000":
        return _jpeg2000(path.read_bytes())
    if image.format == "AVIF":
        return _avif(path.read_bytes())
    arguments = [tile.args for tile in image.tile]
    if image.format == "PPM" and isinstance(arguments[0], tuple):
        return int(arguments[0][1]).bit_length()  # the largest value that a sample may have
    deep = image.mode.startswith("I") or any(";16" in str(each) for each in arguments if "BGR" not in str(each))
    return 16 if deep else 8


def bits_of_unread(path: Path) -> int | None:
    """Give the bits per sample of a file that Pillow cannot open, if they can be told."""
    data = path.read_bytes()[:65_536]
    if data.startswith(_JPEG):
        return _jpeg(data)
    try:
        with tifffile.TiffFile(path) as file:
            return int(file.pages.first.bitspersample)
    except Exception:  # noqa: BLE001  (a broken file may raise anything, and says nothing then)
        return None


def _jpeg(data: bytes) -> int | None:
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:  # noqa: PLR2004
        marker, length, bits = data[at + 1], *struct.unpack_from(">HB", data, at + 2)
        if marker in _FRAMES:
            return int(bits)
        at += 2 + length
    return None


def _jpeg2000(data: bytes) -> int:
    at = data.find(_CODESTREAM)
    while at >= 0:
        (length,), (n,) = struct.unpack_from(">H", data, at + 4), struct.unpack_from(">H", data, at + 40)
        if length == 38 + 3 * n:  # else the same bytes stand there by chance
            return max((data[at + 42 + 3 * component] & 0x7F) + 1 for component in range(n))
        at = data.find(_CODESTREAM, at + 1)
    raise ValueError("no codestream")


def _avif(data: bytes) -> int:
    found = [flags[0] for flags in _AV1.findall(data)]
    return max((8 if not flags & _HIGH else 12 if flags & _TWELVE else 10 for flags in found), default=8)
