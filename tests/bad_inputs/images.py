"""Images that are none, or not what they seem: segmented by themselves, and as the only images of a list."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import tifffile
from base import MPP, read_csv, write_csv
from case import Area, Bad, given
from PIL import Image

#: Letters of which the file of a bad image is called.
_NAME: Final = "oddity"


@dataclass(frozen=True)
class _Odd:
    """An image with something wrong: its ending and what writes it, from sound pixels."""

    name: str
    ending: str
    write: Callable[[Path, np.ndarray, Random], object]
    #: Whether a reader that gives the right pixels is as right as one that refuses.
    readable: bool = False


def _pil(mode: str, form: str, **options: Any) -> Callable[[Path, np.ndarray, Random], object]:
    return lambda path, pixels, _: Image.fromarray(pixels).convert(mode).save(path, form, **options)


def _bytes(content: bytes | Callable[[Random], bytes]) -> Callable[[Path, np.ndarray, Random], object]:
    return lambda path, _pixels, rng: path.write_bytes(content(rng) if callable(content) else content)


def _cut(form: str) -> Callable[[Path, np.ndarray, Random], object]:
    def write(path: Path, pixels: np.ndarray, rng: Random) -> None:
        content = _encoded(pixels, form)
        path.write_bytes(content[: int(len(content) * rng.uniform(0.05, 0.8))])

    return write


def _flipped(form: str) -> Callable[[Path, np.ndarray, Random], object]:
    """Fill a stretch in the middle with other bytes."""

    def write(path: Path, pixels: np.ndarray, rng: Random) -> None:
        content = bytearray(_encoded(pixels, form))
        at = rng.randrange(len(content) // 3, len(content) // 2)
        content[at : at + 64] = rng.randbytes(64)
        path.write_bytes(content)

    return write


def _encoded(pixels: np.ndarray, form: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form)
    return out.getvalue()


def _png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def _deep_png(path: Path, pixels: np.ndarray, _: Random) -> None:
    rows = (pixels.astype(">u2") * 257).reshape(len(pixels), -1)
    path.write_bytes(_png(pixels.shape[1], len(pixels), 16, 2, b"".join(b"\0" + row.tobytes() for row in rows)))


def _tiff(change: Callable[[np.ndarray], np.ndarray], **options: Any) -> Callable[[Path, np.ndarray, Random], object]:
    return lambda path, pixels, _: tifffile.imwrite(path, change(pixels), **({"photometric": "rgb"} | options))


def _ppm16(path: Path, pixels: np.ndarray, _: Random) -> None:
    head = f"P6 {pixels.shape[1]} {len(pixels)} 65535\n".encode()
    path.write_bytes(head + (pixels.astype(">u2") * 257).tobytes())


def _ppm4(path: Path, pixels: np.ndarray, _: Random) -> None:
    path.write_bytes(f"P6 {pixels.shape[1]} {len(pixels)} 15\n".encode() + (pixels >> 4).tobytes())


def _jp2(path: Path, pixels: np.ndarray, _: Random) -> None:
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(path, "JPEG2000")


def _alpha(path: Path, pixels: np.ndarray, rng: Random) -> None:
    image = Image.fromarray(pixels).convert("RGBA")
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[rng.randrange(len(alpha))] = rng.randrange(255)
    image.putalpha(Image.fromarray(alpha))
    image.save(path)


def _frames(path: Path, pixels: np.ndarray, _: Random) -> None:
    first = Image.fromarray(pixels)
    first.save(path, save_all=True, append_images=[Image.fromarray(255 - pixels)])


def _see_through(path: Path, pixels: np.ndarray, _: Random) -> None:
    Image.fromarray(pixels).convert("P").save(path, transparency=3)


_WRONG: Final = (
    *(_Odd(f"{form}, cut", f".{form.lower()}", _cut(form)) for form in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")),
    *(_Odd(f"{form}, overwritten", f".{form.lower()}", _flipped(form)) for form in ("PNG", "WEBP")),
    _Odd("of no byte", ".png", _bytes(b"")),
    _Odd("of one byte", ".png", _bytes(b"\x89")),
    _Odd("text", ".png", _bytes(b"this is no image\n" * 50)),
    _Odd("a page of a browser", ".jpg", _bytes(b"<!DOCTYPE html><html><body>404: not found</body></html>")),
    _Odd("noise", ".tif", _bytes(lambda rng: rng.randbytes(5000))),
    _Odd("noise that begins as a TIFF", ".tif", _bytes(lambda rng: b"II*\0\x08\0\0\0" + rng.randbytes(5000))),
    _Odd("noise that begins as a PNG", ".png", _bytes(lambda rng: b"\x89PNG\r\n\x1a\n" + rng.randbytes(5000))),
    _Odd("noise that begins as a JPEG", ".jpg", _bytes(lambda rng: b"\xff\xd8\xff\xe0" + rng.randbytes(5000))),
    _Odd("zeros", ".png", _bytes(bytes(10_000))),
    _Odd("a drawing in SVG", ".svg", _bytes(b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>')),
    _Odd("a PDF", ".pdf", _bytes(b"%PDF-1.4\n%%EOF\n")),
    _Odd("a pointer of Git LFS", ".png", _bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")),
    _Odd("an array of NumPy", ".npy", lambda path, pixels, _: np.save(path, pixels)),
    _Odd("a pickle under the name of a PNG", ".png", _bytes(b"\x80\x04\x95cos\nsystem\n(S'touch hacked'\ntR.")),
    _Odd("a bomb: a PNG of 60,000 squared", ".png", _bytes(_png(60_000, 60_000, 8, 2, bytes(1000)))),
    _Odd(
        "a bomb: a PNG of 20,000 squared, grey",
        ".png",
        _bytes(lambda _: _png(20_000, 20_000, 1, 0, bytes(2501 * 20_000))),
    ),
    _Odd("a PNG of 0 by 0", ".png", _bytes(_png(0, 0, 8, 2, b""))),
    _Odd("a PNG of 2^31 by 1", ".png", _bytes(_png(2**31 - 1, 1, 8, 2, b""))),
    _Odd("a PNG of 1 by 1", ".png", _bytes(_png(1, 1, 8, 2, b"\0\x80\x20\x80"))),
    _Odd("a PNG without pixels", ".png", _bytes(_png(64, 64, 8, 2, b""))),
    _Odd("16-bit PNG", ".png", _deep_png),
    _Odd("16-bit TIFF", ".tif", _tiff(lambda pixels: pixels.astype(np.uint16) * 257)),
    _Odd(
        "16-bit TIFF, planar",
        ".tif",
        _tiff(lambda p: np.moveaxis(p, 2, 0).astype(np.uint16) * 257, planarconfig="separate"),
    ),
    _Odd("12 bits in a TIFF of 16", ".tif", _tiff(lambda pixels: pixels.astype(np.uint16) * 16)),
    _Odd("16-bit TIFF, signed", ".tif", _tiff(lambda pixels: pixels.astype(np.int16) * 100)),
    _Odd("32-bit TIFF", ".tif", _tiff(lambda pixels: pixels.astype(np.uint32) << 20)),
    _Odd("floating-point TIFF", ".tif", _tiff(lambda pixels: pixels.astype(np.float32) / 255)),
    _Odd("grey 16-bit TIFF", ".tif", _tiff(lambda p: p[..., 0].astype(np.uint16) * 257, photometric="minisblack")),
    _Odd("a stack in a TIFF", ".tif", _tiff(lambda p: np.stack([p, 255 - p]))),
    _Odd("five channels in a TIFF", ".tif", _tiff(lambda p: np.concatenate([p, p[..., :2]], 2), extrasamples=[0, 0])),
    _Odd("16-bit PPM", ".ppm", _ppm16),
    _Odd("4-bit PPM", ".ppm", _ppm4, readable=True),
    _Odd("grey 16-bit JPEG 2000", ".jp2", _jp2),
    *(_Odd(f"grey {form}", f".{form.lower()}", _pil("L", form)) for form in ("PNG", "JPEG", "TIFF", "BMP", "GIF")),
    _Odd("black and white", ".png", _pil("1", "PNG")),
    _Odd("grey with alpha", ".png", _pil("LA", "PNG")),
    *(_Odd(f"CMYK {form}", f".{form.lower()}", _pil("CMYK", form)) for form in ("JPEG", "TIFF")),
    _Odd("YCbCr in a TIFF", ".tif", _pil("YCbCr", "TIFF"), readable=True),
    _Odd("CIELAB in a TIFF", ".tif", _pil("LAB", "TIFF")),
    _Odd("whole numbers of 32 bits", ".tif", _pil("I", "TIFF")),
    _Odd("floating-point grey", ".tif", _pil("F", "TIFF")),
    _Odd("see-through in part", ".png", _alpha),
    _Odd("see-through in part, TIFF", ".tif", _alpha),
    _Odd("a palette with a see-through colour", ".png", _see_through),
    _Odd("two frames of a GIF", ".gif", _frames),
    _Odd("two frames of a PNG", ".png", _frames),
    _Odd("two pages of a TIFF", ".tif", _frames),
    _Odd("a folder", ".png", lambda path, _p, _r: path.mkdir()),
    _Odd("a pipe that nobody writes to", ".png", lambda path, _p, _r: os.mkfifo(path)),
    _Odd("a pipe under the name of a TIFF", ".tif", lambda path, _p, _r: os.mkfifo(path)),
    _Odd("a link to itself", ".png", lambda path, _p, _r: path.symlink_to(path.name)),
    _Odd("a link to nothing", ".tif", lambda path, _p, _r: path.symlink_to("nothing.tif")),
    _Odd("a link to a device without end", ".png", lambda path, _p, _r: path.symlink_to("/dev/zero")),
    _Odd("not there", ".png", lambda _path, _p, _r: None),
)


def _pixels() -> np.ndarray:
    """Make an image that sound readers take: pink with purple spots."""
    image = np.full((64, 64, 3), (230, 180, 210), np.uint8)
    for top, left in ((8, 8), (30, 40), (48, 12)):
        image[top : top + 9, left : left + 9] = (90, 50, 140)
    return image


def _segmented(odd: _Odd) -> Callable[[Random], Bad]:
    def make(folder: Path, rng: Random) -> list[str]:
        odd.write(folder / f"{_NAME}{odd.ending}", _pixels(), rng)
        mpp = [] if "TIFF" in odd.name and rng.random() < 0.3 else ["--mpp", str(MPP)]
        return ["segment", f"{_NAME}{odd.ending}", *mpp, "--out", "out"]

    return given(f"segment: {odd.name}", make, _NAME, untouched=odd.readable)


def _listed(odd: _Odd) -> Callable[[Random], Bad]:
    """All images of a list are like this, or those of one label."""

    def make(folder: Path, rng: Random) -> list[str]:
        rows = read_csv(folder / "patches.csv")
        malignant = rng.random() < 0.5
        for number, row in enumerate(rows[1:]):
            if not malignant or row[1] == "malignant":
                row[0] = f"{_NAME}-{number}{odd.ending}"
                odd.write(folder / row[0], np.roll(_pixels(), number, 0), rng)
        write_csv(folder / "patches.csv", rows)
        return ["check", "study.yaml"]

    return given(f"list: {odd.name}", make, _NAME, untouched=odd.readable)


def _slide(odd: _Odd) -> Callable[[Random], Bad]:
    def make(folder: Path, rng: Random) -> list[str]:
        rows = read_csv(folder / "slides.csv")
        for number, row in enumerate(rows[1:]):
            row[0] = f"{_NAME}-{number}{odd.ending}"
            odd.write(folder / row[0], np.roll(np.kron(_pixels(), np.ones((6, 6, 1), np.uint8)), number, 0), rng)
        write_csv(folder / "slides.csv", rows)
        return ["check", "slides.yaml"]

    return given(f"slides: {odd.name}", make, _NAME, "case-101", base="slides")


def _call(name: str, args: list[str], *names: str) -> Callable[[Random], Bad]:
    return given(f"segment: {name}", lambda _folder, _rng: args, *names)


_ONE: Final = "patches/ward-11-0.png"
_CALLS: Final = (
    _call("no pixel size", ["segment", _ONE, "--out", "out"], "mpp"),
    *(
        _call(f"--mpp {mpp}", ["segment", _ONE, f"--mpp={mpp}", "--out", "out"], "mpp")
        for mpp in ("0", "-1", "nan", "inf", "1e9", "0,5", "word", "9" * 5000)
    ),
    *(
        _call(
            f"{option} {value}",
            ["segment", _ONE, "--mpp", "0.5", "--out", "out", f"{option}={value}"],
            option,
            option[2:],
        )
        for option, value in (
            ("--cytoplasm-um", "-1"),
            ("--cytoplasm-um", "nan"),
            ("--cytoplasm-um", "1e9"),
            ("--segmentation-mpp", "0"),
            ("--segmentation-mpp", "inf"),
            ("--segmentation-mpp", "1e-9"),
            ("--nuclei", "nosuch"),
            ("--nuclei", "patches"),
            ("--device", "tpu"),
        )
    ),
    _call(
        "one image twice under one name", ["segment", _ONE, "./" + _ONE, "--mpp", "0.5", "--out", "out"], "ward-11-0"
    ),
    _call("out is a file", ["segment", _ONE, "--mpp", "0.5", "--out", "patches.csv"], "patches.csv"),
    _call("out lies below a file", ["segment", _ONE, "--mpp", "0.5", "--out", "patches.csv/out"], "patches.csv"),
    _call("the list instead of an image", ["segment", "patches.csv", "--mpp", "0.5", "--out", "out"], "patches.csv"),
    _call("a name of 300 letters", ["segment", "n" * 300 + ".png", "--mpp", "0.5", "--out", "out"], "nnnn"),
    given(
        "segment: a slide",
        lambda _f, _r: ["segment", "case-101.tif", "--out", "case-101.tif"],
        "case-101.tif",
        base="slides",
    ),
)

AREA: Final = Area(
    "images",
    (
        [_segmented(odd) for odd in _WRONG],
        [_listed(odd) for odd in _WRONG],
        [*_CALLS, *[_slide(odd) for odd in _WRONG[::2]]],
    ),
)
