"""Bits per sample as the file itself says, format by format."""

import struct
from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image, features

from saliency_stats.cohort.depth import bits_of, bits_of_unread

PIXELS = np.random.default_rng(0).integers(60, 230, (40, 33, 3)).astype(np.uint8)


def bits(path):
    with Image.open(path) as image:
        return bits_of(image, path)


def saved(folder, name, mode="RGB", **options):
    Image.fromarray(PIXELS).convert(mode).save(folder / name, **options)
    return folder / name


def ppm(path, largest, kind=b"P6"):
    pixels = np.minimum(PIXELS.astype(int), largest)
    body = pixels.astype(np.uint8 if largest < 256 else ">u2").tobytes()
    if kind == b"P3":
        body = " ".join(str(value) for value in pixels.ravel()).encode()
    path.write_bytes(b"%s\n33 40\n%d\n%s" % (kind, largest, body))
    return path


def jpeg_of(path, n_bits, frame=0xC1):
    """A JPEG with the precision of its frame changed, which Pillow does not open."""
    saved(path.parent, path.name)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\xc0")
    content[at + 1], content[at + 4] = frame, n_bits
    path.write_bytes(content)
    return path


def box(name, content):
    return struct.pack(">I", 8 + len(content)) + name + content


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.png", {}),
        ("x.jpg", {}),
        ("x.tif", {}),
        ("x.tif", {"compression": "tiff_lzw"}),
        ("x.bmp", {}),
        ("x.webp", {}),
    ],
)
def test_8_bits_in_every_format(tmp_path, name, options):
    assert bits(saved(tmp_path, name, **options)) == 8


@pytest.mark.parametrize(
    ("name", "mode"), [("x.png", "P"), ("x.gif", "P"), ("x.png", "1"), ("x.tif", "1"), ("x.tif", "P")]
)
def test_fewer_bits_are_not_more_than_8(tmp_path, name, mode):
    assert bits(saved(tmp_path, name, mode)) <= 8


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(("kind", "n"), [(np.uint8, 8), (np.uint16, 16)])
def test_a_tiff_says_so_in_its_tag(tmp_path, planar, kind, n):
    image = PIXELS.astype(kind) if planar == "contig" else PIXELS.astype(kind).transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "x.tif", image, photometric="rgb", planarconfig=planar)
    assert bits(tmp_path / "x.tif") == n


def test_numbers_that_are_no_whole_ones_are_deeper_than_8_bits(tmp_path):
    tifffile.imwrite(tmp_path / "signed.tif", PIXELS[..., 0].astype(np.int8))
    tifffile.imwrite(tmp_path / "float.tif", PIXELS[..., 0].astype(np.float32))
    assert bits(tmp_path / "signed.tif") == 16
    assert bits(tmp_path / "float.tif") == 32


def test_16_bit_png_and_5_bit_bmp_are_told_apart(tmp_path):
    Image.fromarray(PIXELS[..., 0].astype(np.uint16)).save(tmp_path / "x.png")
    assert bits(tmp_path / "x.png") == 16
    rows = np.zeros((2, 2), "<u2").tobytes()
    header = struct.pack("<2sIHHI", b"BM", 54 + len(rows), 0, 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 16, 0, len(rows), 0, 0, 0, 0)
    (tmp_path / "x.bmp").write_bytes(header + info + rows)
    assert bits(tmp_path / "x.bmp") == 8


@pytest.mark.parametrize("kind", [b"P6", b"P3"])
@pytest.mark.parametrize(("largest", "n"), [(31, 5), (255, 8), (256, 9), (4095, 12), (65_535, 16)])
def test_the_largest_value_of_a_ppm(tmp_path, kind, largest, n):
    found = bits(ppm(tmp_path / "x.ppm", largest, kind))
    assert found == (8 if (kind, largest) == (b"P6", 255) else n)


def jpeg2000(folder, name="x.jp2"):
    if not features.check("jpg_2000"):
        pytest.skip("NOT TESTED: this Pillow reads no JPEG 2000")
    return saved(folder, name)


@pytest.mark.parametrize("name", ["x.jp2", "x.j2k"])
@pytest.mark.parametrize("n", [8, 10, 12, 16])
def test_the_deepest_component_of_a_jpeg_2000(tmp_path, name, n):
    path = jpeg2000(tmp_path, name)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\x4f\xff\x51")
    assert content[at + 42] == 7
    content[at + 42 + 3] = n - 1  # of the second component
    path.write_bytes(content)
    with Image.open(path) as image:
        assert bits_of(image, path) == n


def test_a_codestream_that_only_looks_so_is_passed_over(tmp_path):
    path = jpeg2000(tmp_path)
    content = path.read_bytes()
    at = content.index(b"jp2c") - 4
    fake = box(b"uuid", b"\xff\x4f\xff\x51" + bytes(60))
    path.write_bytes(content[:at] + fake + content[at:])
    assert bits(path) == 8


def test_a_jpeg_2000_without_a_codestream_is_broken(tmp_path):
    path = jpeg2000(tmp_path)
    with Image.open(path) as image:
        path.write_bytes(b"nothing")
        with pytest.raises(ValueError, match="no codestream"):
            bits_of(image, path)


@pytest.mark.parametrize(("flags", "n"), [(0x00, 8), (0x0C, 8), (0x40, 10), (0x4C, 10), (0x60, 12), (0x20, 8)])
def test_the_configuration_of_an_avif(tmp_path, flags, n):
    if not features.check("avif"):
        pytest.skip("NOT TESTED: this Pillow reads no AVIF")
    path = saved(tmp_path, "x.avif")
    assert bits(path) == 8
    content = bytearray(path.read_bytes())
    with Image.open(path) as image:
        at = content.index(b"av1C")
        assert content[at + 4] == 0x81
        content[at + 6] = flags
        path.write_bytes(content)
        assert bits_of(image, path) == n
        # alpha has a configuration of its own; the deepest counts
        path.write_bytes(content + box(b"av1C", b"\x81\0\x40\0"))
        assert bits_of(image, path) == max(n, 10)


@pytest.mark.parametrize(("n", "frame"), [(12, 0xC1), (12, 0xC2), (16, 0xC3), (8, 0xCF), (12, 0xC0)])
def test_a_jpeg_that_pillow_does_not_open(tmp_path, n, frame):
    assert bits_of_unread(jpeg_of(tmp_path / "x.jpg", n, frame)) == n


@pytest.mark.parametrize(
    "content", [b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\x10", b"\xff\xd8\xff\xc4\0\x03\x0c\0\0\0\0", b"no image", b""]
)
def test_what_says_nothing(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert bits_of_unread(tmp_path / "x") is None


def test_a_tiff_that_pillow_does_not_open(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", PIXELS.astype(np.uint32), photometric="rgb")
    assert bits_of_unread(tmp_path / "x.tif") == 32
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(BytesIO((tmp_path / "x.tif").read_bytes()))
