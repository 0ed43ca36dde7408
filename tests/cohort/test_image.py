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
from PIL import Image, ImageCms, ImageFile, features

from saliency_stats.cohort.image import FORMATS as READ
from saliency_stats.cohort.image import MAX_PIXELS, contradicts, read_image, read_rgb
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
    refused(tmp_path / "x.png", "mode P", "transparent pixels", "expected opaque RGB")


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


# --- what a file says of itself ----------------------------------------------------------------------

#: What viewers show of the stored rows and columns, by EXIF orientation.
SHOWN = {
    1: PIXELS,
    2: PIXELS[:, ::-1],
    3: PIXELS[::-1, ::-1],
    4: PIXELS[::-1],
    5: PIXELS.transpose(1, 0, 2),
    6: PIXELS.transpose(1, 0, 2)[:, ::-1],
    7: PIXELS.transpose(1, 0, 2)[::-1, ::-1],
    8: PIXELS.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize(
    ("name", "options"),
    [("x.png", {}), ("x.tif", {}), ("x.tif", {"compression": "tiff_lzw"}), ("x.webp", {"lossless": True})],
)
def test_the_orientation_is_applied_in_every_format(tmp_path, orientation, name, options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(read_rgb(saved(tmp_path, name=name, exif=exif, **options)), SHOWN[orientation])


@pytest.mark.parametrize("name", ["x.jpg", "x.avif"])
def test_the_orientation_is_applied_where_colours_change_a_little(tmp_path, name):
    if name == "x.avif" and not features.check("avif"):
        pytest.skip("NOT TESTED: this Pillow reads no AVIF")
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.full((40, 24, 3), 220, np.uint8)
    pixels[:16, :8] = (200, 40, 90)
    Image.fromarray(pixels).save(tmp_path / name, exif=exif, quality=95)
    read = read_rgb(tmp_path / name).astype(int)
    assert np.abs(read - pixels.transpose(1, 0, 2)[:, ::-1]).mean() < 3


def test_an_orientation_that_there_is_not_changes_nothing(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 9
    np.testing.assert_array_equal(read_rgb(saved(tmp_path, exif=exif)), PIXELS)


@pytest.mark.parametrize("name", ["x.tif", "x.png", "x.jp2"])
def test_more_than_8_bits_are_refused_whatever_the_format(tmp_path, name):
    deep = PIXELS.astype(np.uint16) * 257
    if name == "x.tif":  # one plane after the other, which Pillow reads as noise
        tifffile.imwrite(tmp_path / name, deep.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    elif name == "x.png":
        png16(tmp_path / name, deep)
    else:
        path = saved(tmp_path, name=name)
        content = bytearray(path.read_bytes())
        content[content.index(b"\xff\x4f\xff\x51") + 42] = 15
        path.write_bytes(content)
    refused(tmp_path / name, "a 16-bit image; expected 8-bit RGB. Convert it with the white point of the scanner")


def test_ppm_and_jpeg_of_more_than_8_bits(tmp_path):
    (tmp_path / "x.ppm").write_bytes(b"P6 33 40 1023\n" + PIXELS.astype(">u2").tobytes())
    refused(tmp_path / "x.ppm", "a 10-bit image")
    path = saved(tmp_path, name="x.jpg")
    content = bytearray(path.read_bytes())
    content[content.index(b"\xff\xc0") + 4] = 12
    path.write_bytes(content)
    refused(path, "a 12-bit image; expected 8-bit RGB")


def test_a_ppm_of_8_bits_or_fewer_is_read(tmp_path):
    (tmp_path / "x.ppm").write_bytes(b"P6 33 40 255\n" + PIXELS.tobytes())
    np.testing.assert_array_equal(read_rgb(tmp_path / "x.ppm"), PIXELS)


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.webp"])
def test_alpha_is_one_rule(tmp_path, name):
    image = Image.fromarray(PIXELS).convert("RGBA")
    image.save(tmp_path / name, **({"lossless": True, "exact": True} if name == "x.webp" else {}))
    np.testing.assert_array_equal(read_rgb(tmp_path / name), PIXELS)
    image.putpixel((5, 5), (1, 2, 3, 254))
    image.save(tmp_path / name, **({"lossless": True, "exact": True} if name == "x.webp" else {}))
    refused(tmp_path / name, "an image of mode RGBA with transparent pixels; expected opaque RGB")


def test_a_colour_that_is_transparent_counts_where_it_occurs(tmp_path):
    pixels = PIXELS.copy()
    pixels[0, 0] = (1, 2, 3)
    Image.fromarray(pixels).save(tmp_path / "x.png", transparency=(1, 2, 3))
    refused(tmp_path / "x.png", "mode RGB with transparent pixels")
    np.testing.assert_array_equal(read_rgb(saved(tmp_path, transparency=(0, 0, 0))), PIXELS)


def test_a_palette_with_alpha_that_is_opaque_is_looked_up(tmp_path):
    few = Image.fromarray(PIXELS).quantize(16)
    few.save(tmp_path / "x.png", transparency=bytes([255] * 16))
    np.testing.assert_array_equal(read_rgb(tmp_path / "x.png"), np.asarray(few.convert("RGB")))


@pytest.mark.parametrize("n", [4, 5, 6])
def test_further_channels_are_not_dropped_without_a_word(tmp_path, n):
    more = np.concatenate([PIXELS, *[PIXELS[..., :1]] * (n - 3)], axis=-1)
    tifffile.imwrite(tmp_path / "x.tif", more, photometric="rgb", extrasamples=["unspecified"] * (n - 3))
    refused(tmp_path / "x.tif", f"an image of {n} channels; expected the three of 8-bit RGB")


@pytest.mark.parametrize("mode", ["LAB", "YCbCr"])
def test_other_colour_spaces(tmp_path, mode):
    image = Image.fromarray(PIXELS)
    image = (
        image.convert("YCbCr")
        if mode == "YCbCr"
        else ImageCms.applyTransform(
            image,
            ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"),
        )
    )
    image.save(tmp_path / "x.tif")
    refused(tmp_path / "x.tif", f"an image of mode {mode}; expected 8-bit RGB")


def test_a_colour_profile_changes_no_value(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name in ("x.png", "x.tif"):
        np.testing.assert_array_equal(read_rgb(saved(tmp_path, name=name, icc_profile=profile)), PIXELS)


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.webp", "x.tif"])
def test_several_images_in_every_format_that_has_them(tmp_path, name):
    frames = [Image.fromarray(np.roll(PIXELS, shift, axis=0)) for shift in (0, 5)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    refused(tmp_path / name, "the file holds 2 images; expected one")


def test_formats_that_the_rule_does_not_name_are_not_read(tmp_path):
    assert READ == ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "AVIF", "PPM")
    for name in ("x.tga", "x.sgi", "x.eps", "x.ico"):
        refused(saved(tmp_path, name=name), "not a readable image; expected PNG, JPEG or TIFF")


# --- µm per pixel -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "mpp"),
    [
        ("x.tif", {"resolution": 50_800, "resolution_unit": "inch"}, 0.5),
        ("x.tif", {"resolution": 40_000, "resolution_unit": "cm"}, 0.25),
        ("x.png", {"dpi": (25_400, 25_400)}, 1.0),
        ("x.jpg", {"dpi": (12_700, 12_700)}, 2.0),
        ("x.bmp", {"dpi": (25_400, 25_400)}, 1.0),
    ],
)
def test_a_file_states_its_pixel_size(tmp_path, name, options, mpp):
    image, stated = read_image(saved(tmp_path, name=name, **options))
    assert stated == pytest.approx(mpp, rel=1e-3)
    assert image.shape == PIXELS.shape


@pytest.mark.parametrize("unit", [b"um", "µm".encode(), "µm".encode("latin-1"), b"micron", b"\\u00B5m"])
def test_imagej_states_it_in_a_text(tmp_path, unit):
    for name, text in (
        ("x.tif", b"ImageJ=1.53\nunit=%s\nmin=0\n"),
        ("y.tif", b"ImageJ=1.53\nunit=%sx\n"),
        ("z.tif", b"unit=%s\n"),
    ):
        tifffile.imwrite(
            tmp_path / name,
            PIXELS,
            photometric="rgb",
            description=text % unit,
            metadata=None,
            resolution=(4.0, 4.0),
            resolutionunit="NONE",
        )
    assert read_image(tmp_path / "x.tif")[1] == pytest.approx(0.25)
    assert read_image(tmp_path / "y.tif")[1] is None
    assert read_image(tmp_path / "z.tif")[1] is None


def test_a_text_of_imagej_without_a_resolution_states_nothing(tmp_path):
    assert read_image(saved(tmp_path, name="x.tif", tiffinfo={270: "ImageJ=1.53\nunit=um\n"}))[1] is None


def test_another_mode_is_named_in_full(tmp_path):
    with pytest.raises(PatchError, match=r"^an image of mode CMYK; expected 8-bit RGB$"):
        read_rgb(saved(tmp_path, "CMYK", "x.jpg"))


@pytest.mark.parametrize("dpi", [72, 96, 300, 600, 1200])
def test_what_is_said_of_a_screen_or_a_printer_says_nothing(tmp_path, dpi):
    assert read_image(saved(tmp_path, name="x.tif", dpi=(dpi, dpi)))[1] is None
    assert read_image(saved(tmp_path, name="y.tif"))[1] is None


@pytest.mark.parametrize(("mpp", "kept"), [(0.0499, False), (0.0501, True), (19.99, True), (20.1, False)])
def test_what_a_microscope_can_give(tmp_path, mpp, kept):
    stated = read_image(saved(tmp_path, name="x.tif", dpi=(25_400 / mpp,) * 2))[1]
    assert (stated == pytest.approx(mpp, rel=1e-3)) if kept else stated is None


@pytest.mark.parametrize(
    ("stated", "mpp", "is_one"),
    [
        *((None, 0.5, False), (0.5, 0.5, False), (0.74, 0.5, False), (0.75, 0.5, False), (0.76, 0.5, True)),
        *((0.5, 0.74, False), (0.5, 0.76, True), (0.25, 0.5, True), (0.2527, 0.25, False)),
    ],
)
def test_a_contradiction_is_more_than_a_factor_of_one_and_a_half(stated, mpp, is_one):
    assert contradicts(stated, mpp) is is_one


# --- too large --------------------------------------------------------------------------------------


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    words = ("an image of more than 179 million pixels", "list it as a slide")
    for width, height in ((60_000, 60_000), (20_000, 8_948), (MAX_PIXELS + 1, 1)):
        png_header(tmp_path / "x.png", width, height)
        refused(tmp_path / "x.png", *words)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # as other programs set it
    refused(tmp_path / "x.png", *words)


def test_an_image_of_the_largest_size_is_decoded(tmp_path):
    png_header(tmp_path / "x.png", MAX_PIXELS, 1)
    refused(tmp_path / "x.png", "cannot be decoded")


def png_header(path, width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IDAT"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + struct.pack(">I", zlib.crc32(b"IDAT")))


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
    # nothing but a PatchError may come out
    with suppress(PatchError):
        assert read_rgb(path).ndim == 3
