"""One image file: every pixel as it is, or the reason why not."""

import errno
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from saliency_stats.cohort.image import read_rgb
from saliency_stats.errors import PatchError

PIXELS = np.random.default_rng(0).integers(60, 230, (40, 33, 3)).astype(np.uint8)


def saved(folder, mode="RGB", name="x.png", **options):
    path = folder / name
    Image.fromarray(PIXELS).convert(mode).save(path, **options)
    return path


def with_a_page_of_no_size(path):
    """Append a page to a TIFF that has one tag (NewSubfileType) and no width."""
    content = bytearray(path.read_bytes() + bytes(path.stat().st_size % 2))
    (first,) = struct.unpack("<I", content[4:8])
    (n_tags,) = struct.unpack("<H", content[first : first + 2])
    following = first + 2 + 12 * n_tags
    content[following : following + 4] = struct.pack("<I", len(content))
    path.write_bytes(content + struct.pack("<HHHIII", 1, 254, 4, 1, 0, 0))


def png16(path, pixels):
    """Write 16-bit RGB, which Pillow cannot: one filter byte (none) before every row of big-endian samples."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


# --- accepted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.png", {}),
        ("x.tif", {}),
        ("x.tif", {"compression": "tiff_lzw"}),
        ("x.bmp", {}),
        ("x.webp", {"lossless": True}),
    ],
)
def test_lossless_formats_give_the_very_pixels(tmp_path, name, options):
    read = read_rgb(saved(tmp_path, name=name, **options))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, PIXELS)


def test_jpeg_gives_nearly_the_pixels(tmp_path):
    flat = np.full((64, 48, 3), (200, 120, 180), np.uint8)
    Image.fromarray(flat).save(tmp_path / "x.jpg", quality=95)
    read = read_rgb(tmp_path / "x.jpg")
    assert read.shape == flat.shape
    assert np.abs(read.astype(int) - flat).max() <= 3


def test_an_opaque_alpha_channel_is_dropped(tmp_path):
    np.testing.assert_array_equal(read_rgb(saved(tmp_path, "RGBA")), PIXELS)


def test_a_palette_is_looked_up(tmp_path):
    few = Image.fromarray(PIXELS).quantize(16)
    few.save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "x.png"), np.asarray(few.convert("RGB")))


def test_the_name_does_not_matter(tmp_path):
    saved(tmp_path).rename(tmp_path / "patch 1 (ä).JPG")
    np.testing.assert_array_equal(read_rgb(tmp_path / "patch 1 (ä).JPG"), PIXELS)


# --- refused ----------------------------------------------------------------------------------------


def refused(path, *words):
    with pytest.raises(PatchError) as caught:
        read_rgb(path)
    message = str(caught.value)
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"
    assert "\n" not in message
    # reasons are written to patches.csv, which is the same on every machine
    assert str(path.parent) not in message


def test_a_missing_image(tmp_path):
    refused(tmp_path / "x.png", "missing")
    refused(tmp_path, "missing")


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_a_grey_image(tmp_path, mode):
    refused(saved(tmp_path, mode), f"a grey image (mode {mode})", "expected 8-bit RGB", "stains")


def test_a_transparent_image(tmp_path):
    image = Image.fromarray(PIXELS).convert("RGBA")
    image.putpixel((0, 0), (1, 2, 3, 254))
    image.save(tmp_path / "x.png")
    refused(tmp_path / "x.png", "RGBA", "transparent", "opaque RGB")


def test_a_transparent_palette(tmp_path):
    Image.fromarray(PIXELS).quantize(16).save(tmp_path / "x.png", transparency=0)
    refused(tmp_path / "x.png", "mode P", "expected 8-bit RGB")


def test_a_cmyk_image(tmp_path):
    refused(saved(tmp_path, "CMYK", "x.jpg"), "mode CMYK", "expected 8-bit RGB")
    refused(saved(tmp_path, "CMYK", "x.tif"), "mode CMYK")


def test_16_bit_grey(tmp_path):
    Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(tmp_path / "x.png")
    refused(tmp_path / "x.png", "16-bit", "8-bit RGB")


def test_16_bit_colour_is_not_cut_to_its_upper_bits(tmp_path):
    png16(tmp_path / "x.png", PIXELS.astype(np.uint16) * 257)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "x.png")), PIXELS)  # the file itself is sound
    refused(tmp_path / "x.png", "16-bit", "expected 8-bit RGB", "Convert")


def test_16_bit_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", PIXELS.astype(np.uint16) * 257, photometric="rgb")
    refused(tmp_path / "x.tif", "16-bit", "expected 8-bit RGB")


def test_several_pages(tmp_path):
    page = Image.fromarray(PIXELS)
    page.save(tmp_path / "x.tif", save_all=True, append_images=[page, page])
    refused(tmp_path / "x.tif", "holds 3 images", "expected one")


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"path,label\n", bytes(1000)])
def test_not_an_image(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    refused(tmp_path / "x.png", "image")


def test_a_page_without_a_size(tmp_path):
    """Pillow raises a TypeError, of all things."""
    path = saved(tmp_path, name="x.tif")
    with_a_page_of_no_size(path)
    refused(path, "cannot be decoded (Missing dimensions)")


@pytest.mark.parametrize("asked", ["is_file", "open"])
def test_an_unreadable_file(tmp_path, monkeypatch, asked):
    path = saved(tmp_path)

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # root may read everything, so the file's mode would prove nothing
    monkeypatch.setattr(*((Path, "is_file") if asked == "is_file" else (Image, "open")), denied)
    refused(path, "cannot be decoded (Permission denied)")


# --- broken files -----------------------------------------------------------------------------------

FORMATS = {
    "png": {},
    "jpg": {"quality": 90},
    "tif": {},
    "lzw.tif": {"compression": "tiff_lzw"},
    "deflate.tif": {"compression": "tiff_adobe_deflate"},
}


@pytest.mark.parametrize("ending", FORMATS)
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, ending):
    path = saved(tmp_path, name=f"x.{ending}", **FORMATS[ending])
    whole, pixels = path.read_bytes(), read_rgb(path)
    # the trailer of a PNG (12 bytes) says nothing about the pixels
    needed = len(whole) - (12 if ending == "png" else 0)
    for size in range(0, len(whole), 1 + len(whole) // 60):
        path.write_bytes(whole[:size])
        if size <= needed - 12:
            refused(path)
        else:
            with suppress(PatchError):
                np.testing.assert_array_equal(read_rgb(path), pixels)


@pytest.mark.parametrize("size", [40, 300])
def test_a_truncated_jpeg_is_one_cause_wherever_it_ends(tmp_path, size):
    path = saved(tmp_path, name="x.jpg")
    path.write_bytes(path.read_bytes()[:-size])
    with pytest.raises(PatchError, match=r"^the image cannot be decoded \(image file is truncated\)$"):
        read_rgb(path)


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ending=st.sampled_from(list(FORMATS)),
    changes=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_file_gives_pixels_or_a_reason(tmp_path, ending, changes):
    path = saved(tmp_path, name=f"x.{ending}", **FORMATS[ending])
    content = bytearray(path.read_bytes())
    for position, value in changes:
        content[position] = value
    path.write_bytes(content)
    # nothing but a PatchError may come out; a bomb warning is raised before anything large is made
    with suppress(PatchError, Image.DecompressionBombWarning):
        assert read_rgb(path).ndim == 3
