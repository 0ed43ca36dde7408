"""Pyramids: OpenSlide sees the levels and the pixel size, and every level shows the same ground."""

import subprocess
import sys
import tempfile
import tracemalloc
import weakref

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from openslide import OpenSlide

from saliency_stats.cohort.slides import pyramid
from saliency_stats.cohort.slides.pyramid import write_pyramid
from saliency_stats.errors import CohortError

TILE = 64


def noise(height, width):
    return np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)


def smooth(height, width):
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 255 / height, x * 255 / width, 200 + 0 * x], axis=-1).astype(np.uint8)


def cut(image, tile=TILE):
    return lambda row, column: image[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]


def halved(image):
    height, width = image.shape[:2]
    return image.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))


def levels(path):
    with OpenSlide(path) as slide:
        return [
            np.asarray(slide.read_region((0, 0), level, size))[..., :3].astype(float)
            for level, size in enumerate(slide.level_dimensions)
        ]


def test_no_file_is_mapped_when_the_levels_files_are_deleted(tmp_path, monkeypatch):
    """Windows deletes no file that is mapped."""
    mapped, usual = [], np.memmap

    def memmap(*args, **kwargs):
        array = usual(*args, **kwargs)
        mapped.append(weakref.ref(array))
        return array

    class Folder(tempfile.TemporaryDirectory):
        def __exit__(self, *how):
            assert mapped
            assert not [array for array in mapped if array() is not None]
            super().__exit__(*how)

    monkeypatch.setattr(np, "memmap", memmap)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", Folder)
    write_pyramid(tmp_path / "noise.tif", cut(noise(128, 128)), (128, 128), 0.5, tile_px=TILE, levels=3)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 4))
def test_every_level_is_the_area_average_of_the_first(tmp_path_factory, rows, columns, n):
    image = noise(rows * 2 ** (n - 1), columns * 2 ** (n - 1))
    path = tmp_path_factory.mktemp("pyramid") / "noise.tif"
    write_pyramid(path, cut(image), image.shape[:2], 0.5, tile_px=TILE, levels=n)
    found = levels(path)
    assert len(found) == n
    exact = image.astype(float)
    np.testing.assert_array_equal(found[0], exact)
    for level in found[1:]:
        exact = halved(exact)
        assert np.abs(level - exact).max() <= 0.5


@pytest.mark.parametrize("compression", ["deflate", "jpeg"])
@pytest.mark.parametrize("mpp", [0.25, 0.243, 0.499, 1.0])
def test_openslide_sees_levels_and_pixel_size(tmp_path, compression, mpp):
    path = tmp_path / "slide.tif"
    image = smooth(256, 384)
    write_pyramid(path, cut(image), (256, 384), mpp, tile_px=TILE, compression=compression)
    with OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert slide.level_downsamples == (1, 2, 4, 8, 16)
        assert slide.level_dimensions[-1] == (24, 16)
        for axis in "xy":
            assert float(slide.properties[f"openslide.mpp-{axis}"]) == pytest.approx(mpp, rel=1e-6)
    with tifffile.TiffFile(path) as tiff:
        assert {page.compression.name for page in tiff.pages} == {
            {"jpeg": "JPEG", "deflate": "ADOBE_DEFLATE"}[compression]
        }
        assert [page.subfiletype for page in tiff.pages] == [0, 1, 1, 1, 1]
        assert all(page.is_tiled for page in tiff.pages)
    assert list(tmp_path.iterdir()) == [path]


def test_jpeg_is_close_to_the_picture_at_every_level_also_at_its_borders(tmp_path):
    image = smooth(200, 328)
    write_pyramid(tmp_path / "slide.tif", cut(image), (200, 328), 0.5, tile_px=TILE, compression="jpeg", levels=3)
    exact = image.astype(float)
    for level in levels(tmp_path / "slide.tif"):
        assert np.abs(level - exact).max() < 8
        exact = halved(exact)


def test_lower_quality_makes_a_smaller_file(tmp_path):
    image = noise(128, 128)
    for quality in (50, 90):
        path = tmp_path / f"{quality}.tif"
        write_pyramid(path, cut(image), (128, 128), 0.5, tile_px=TILE, compression="jpeg", quality=quality)
    assert (tmp_path / "50.tif").stat().st_size < 0.7 * (tmp_path / "90.tif").stat().st_size


@pytest.mark.parametrize("compression", ["deflate", "jpeg"])
def test_the_same_tiles_give_the_same_bytes(tmp_path, compression):
    for name in "ab":
        write_pyramid(tmp_path / name, cut(noise(192, 128)), (192, 128), 0.5, tile_px=TILE, compression=compression)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_tile_is_asked_for_once_row_by_row(tmp_path):
    asked = []

    def tile(row, column):
        asked.append((row, column))
        return np.zeros((TILE, TILE, 3), np.uint8)

    write_pyramid(tmp_path / "slide.tif", tile, (2 * TILE, 3 * TILE), 0.5, tile_px=TILE)
    assert asked == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_levels_end_where_a_side_is_odd(tmp_path):
    write_pyramid(tmp_path / "slide.tif", cut(noise(180, 200)), (180, 200), 0.5, tile_px=TILE)
    assert [level.shape[:2] for level in levels(tmp_path / "slide.tif")] == [(180, 200), (90, 100), (45, 50)]


def test_a_slide_never_enters_memory_whole(tmp_path):
    side, tile = 4096, np.full((256, 256, 3), 200, np.uint8)
    tracemalloc.start()
    write_pyramid(tmp_path / "slide.tif", lambda _row, _column: tile, (side, side), 0.25, tile_px=256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * 3 * side**2


@pytest.mark.parametrize("compression", ["deflate", "jpeg"])
def test_no_further_package_is_needed(tmp_path, compression):
    code = f"""
import sys
sys.modules["imagecodecs"] = None
from pathlib import Path
import numpy as np
from saliency_stats.cohort.slides import pyramid
from saliency_stats.cohort.slides.pyramid import write_pyramid
tile = np.full((64, 64, 3), 90, np.uint8)
write_pyramid(Path(sys.argv[1]), lambda row, column: tile, (128, 64), 0.5, tile_px=64, compression="{compression}")
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "slide.tif")], check=True)
    assert np.abs(levels(tmp_path / "slide.tif")[0] - 90).max() <= 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mpp": 0.0}, "mpp is 0"),
        ({"mpp": float("nan")}, "mpp is nan"),
        ({"tile_px": 100}, "multiple of 16"),
        ({"compression": "lzw"}, "expected jpeg or deflate"),
        ({"quality": 0}, "expected 1 to 95"),
        ({"shape": (0, 10)}, "at least one pixel"),
        ({"shape": (130, 128), "levels": 3}, "multiples of 4"),
        ({"levels": 0}, "levels is 0"),
        ({"shape": (128, 129)}, "tile 0, 2"),
    ],
)
def test_wrong_parameters_are_refused_and_leave_nothing(tmp_path, changed, message):
    given_ = {"shape": (128, 128), "mpp": 0.5, "tile_px": TILE} | changed
    path = tmp_path / "slide.tif"
    with pytest.raises(CohortError, match=message) as caught:
        write_pyramid(path, cut(noise(128, 128)), **given_)
    assert "slide.tif" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_failure_half_way_leaves_the_slide_that_was_there(tmp_path):
    path = tmp_path / "slide.tif"
    write_pyramid(path, cut(noise(128, 128)), (128, 128), 0.5, tile_px=TILE)
    before = path.read_bytes()
    image = noise(128, 128).astype(np.float32)
    image_tiles = cut(image)
    with pytest.raises(CohortError, match="float32"):
        write_pyramid(
            path,
            lambda row, column: image_tiles(row, column) if row else cut(noise(128, 128))(row, column),
            (128, 128),
            0.5,
            tile_px=TILE,
        )
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_small_slide_is_a_classic_tiff_and_one_of_more_than_4_gb_a_big_one(tmp_path, monkeypatch):
    assert 2**32 - 2**27 < pyramid._CLASSIC_BYTES < 2**32
    image = smooth(256, 256)
    raw = 3 * (256**2 + 128**2)
    for limit, version in ((pyramid._CLASSIC_BYTES, 42), (raw, 42), (raw - 1, 43)):
        monkeypatch.setattr(pyramid, "_CLASSIC_BYTES", limit)
        write_pyramid(tmp_path / "a.tif", cut(image), (256, 256), 0.5, tile_px=TILE, levels=2)
        assert (tmp_path / "a.tif").read_bytes()[:4] == b"II" + bytes([version, 0])
