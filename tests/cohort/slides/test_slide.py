"""Slides: the same place at every magnification, exact averages, and a reason for every refusal."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.registration import phase_cross_correlation

from saliency_stats.cohort.slides import slide as module
from saliency_stats.cohort.slides.pyramid import write_pyramid
from saliency_stats.cohort.slides.slide import Slide
from saliency_stats.errors import SlideError

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "slides"
real = pytest.mark.skipif(not DATA.is_dir(), reason="NOT TESTED: the real slides of ../shared/data are not here")

MPP = 0.25
HEIGHT, WIDTH = 1003, 1501


def reduced(image, factor):
    height, width = (n // factor for n in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def write(path, image, factors=(1,), mpp=MPP, unit="CENTIMETER", **options):
    """Write a tiled pyramid; µm per pixel as one number, (y, x), or None."""
    y, x = mpp if isinstance(mpp, tuple) else (mpp, mpp)
    with tifffile.TiffWriter(path) as file:
        for factor in factors:
            file.write(
                reduced(image, factor),
                tile=(256, 256),
                photometric="rgb",
                subfiletype=int(factor > 1),
                resolution=None if mpp is None else (1e4 / (x * factor), 1e4 / (y * factor)),
                resolutionunit=None if mpp is None else unit,
                metadata=None,
                **options,
            )
    return path


def blobs(centres_px, sigma_px=24.0):
    """Dark spots on white, their middles (y, x) at these positions from the corner."""
    rows, columns = np.arange(HEIGHT)[:, None] + 0.5, np.arange(WIDTH) + 0.5
    dark = sum(np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma_px**2)) for y, x in centres_px)
    return np.repeat(np.rint(255 - 200 * dark).astype(np.uint8)[..., None], 3, axis=2)


LANDMARKS = [(200.3, 300.8), (500.0, 1200.0), (811.6, 700.25)]
NOISE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    return write(tmp_path_factory.mktemp("slides") / "noise.tif", NOISE, (1, 2, 4))


@pytest.fixture(scope="module")
def landmarks(tmp_path_factory):
    return write(tmp_path_factory.mktemp("slides") / "landmarks.tif", blobs(LANDMARKS), (1, 2, 4, 8))


# --- where and how large ----------------------------------------------------------------------------


@pytest.mark.parametrize("mpp", [0.2527 / 1.01, 0.25, 0.3, 0.5, 0.77, 1.0, 2.0, 3.1])
@pytest.mark.parametrize("landmark", LANDMARKS)
def test_a_landmark_is_in_the_middle_at_every_magnification(landmarks, landmark, mpp):
    size = round(60 / mpp) // 2 * 2 + 1
    with Slide(landmarks, "s") as slide:
        dark = 255.0 - slide.read((landmark[0] * MPP, landmark[1] * MPP), size, mpp).mean(axis=2)
    centre = [(dark.sum(axis=1 - axis) @ (np.arange(size) + 0.5)) / dark.sum() * mpp for axis in (0, 1)]
    # a third of a level-0 pixel, where the coarsest level's are 2 µm; interpolation leaves ±1 of 255
    assert centre == pytest.approx([size * mpp / 2] * 2, abs=0.08)


def test_aligned_reads_give_the_very_pixels(noise):
    with Slide(noise, "s") as slide:
        read = slide.read((200 * MPP, 300 * MPP), (64, 100), MPP)
        np.testing.assert_array_equal(read, NOISE[168:232, 250:350])
        assert slide.info.level_for(0.5) == 1
        half = slide.read((200 * MPP, 300 * MPP), (32, 50), 0.5)
        # only OpenSlide's interpolation where its factor is not quite 2
        assert np.abs(half.astype(int) - reduced(NOISE[168:232, 250:350], 2)).mean() < 20


def test_without_coarser_levels_area_averages_are_exact(tmp_path):
    path = write(tmp_path / "flat.tif", NOISE)
    with Slide(path, "s") as slide:
        read = slide.read((400 * MPP, 600 * MPP), 40, 8 * MPP)
        assert np.abs(read - NOISE[240:560, 440:760].reshape(40, 8, 40, 8, 3).mean(axis=(1, 3))).max() <= 0.5 + 1e-4
        # any offset, any factor: the mean over the field is the mean over the field
        one = slide.read((400.3 * MPP, 601.7 * MPP), 1, 111 * MPP / 2)
        many = slide.read((400.3 * MPP, 601.7 * MPP), 37, 1.5 * MPP)
        np.testing.assert_allclose(many.mean(axis=(0, 1)), one[0, 0], atol=0.6)


def test_blocks_leave_no_seams(landmarks, monkeypatch):
    with Slide(landmarks, "s") as slide:
        whole = slide.read((130.1, 170.3), (290, 220), 0.7).astype(int)
        assert whole.min() < 100
        monkeypatch.setattr(module, "_BLOCK_PX", 50)
        assert np.abs(slide.read((130.1, 170.3), (290, 220), 0.7) - whole).max() <= 2


def test_outside_the_slide_is_white(noise):
    with Slide(noise, "s") as slide:
        corner = slide.read((0.0, 0.0), 40, MPP)
        np.testing.assert_array_equal(corner[20:, 20:], NOISE[:20, :20])
        assert (corner[:20] == 255).all()
        assert (corner[:, :20] == 255).all()
        end = slide.read((HEIGHT * MPP, WIDTH * MPP), 40, MPP)
        np.testing.assert_array_equal(end[:20, :20], NOISE[-20:, -20:])
        assert (end[20:] == 255).all()
        assert (end[:, 20:] == 255).all()
        assert (slide.read((-500.0, 9000.0), 8, 1.0) == 255).all()
        # half a pixel of slide, half of glass
        edge = slide.read((50.125, 0.0), (1, 1), MPP)[0, 0]
        assert edge == pytest.approx((NOISE[200, 0] / 2 + 255 / 2), abs=1)


def test_pixels_that_are_not_quite_square_are_read_as_squares(tmp_path):
    path = write(tmp_path / "x.tif", blobs([(500.0, 1200.0)]), (1, 2, 4), mpp=(0.25, 0.253))
    with Slide(path, "s") as slide:
        assert (slide.info.mpp_y, slide.info.mpp_x) == pytest.approx((0.25, 0.253))
        dark = 255.0 - slide.read((500 * 0.25, 1200 * 0.253), 101, 0.6).mean(axis=2)
    for axis in (0, 1):
        centre = (dark.sum(axis=1 - axis) @ (np.arange(101) + 0.5)) / dark.sum()
        assert centre == pytest.approx(50.5, abs=0.1)


def test_snapping_keeps_patches_sharp(noise):
    with Slide(noise, "s") as slide:
        snapped = slide.snap((50.3, 75.9), 1.0)
        assert snapped == (50.0, 76.0)
        np.testing.assert_array_equal(slide.read(snapped, 32, MPP), NOISE[184:216, 288:320])
        beside = slide.read((50.3, 75.9), 32, MPP)
        assert beside.std() < 0.8 * slide.read(snapped, 32, MPP).std()


# --- overview ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_px", [100, 333, 5000])
def test_the_overview_is_the_whole_slide(landmarks, max_px):
    with Slide(landmarks, "s") as slide:
        image, mpp_y, mpp_x = slide.read_overview(max_px)
        assert max(image.shape) == min(max_px, WIDTH)
        sides_um = (image.shape[0] * mpp_y, image.shape[1] * mpp_x)
        assert sides_um == pytest.approx((slide.info.height_um, slide.info.width_um))
    for y, x in LANDMARKS:
        row, column = int(y * MPP / mpp_y), int(x * MPP / mpp_x)
        assert image[row, column, 0] < 80
    assert image[2, 2].min() > 250


@pytest.mark.parametrize(("max_px", "level"), [(150, 3), (200, 2), (700, 1), (1501, 0)])
def test_the_overview_comes_from_the_coarsest_level_that_will_do(landmarks, monkeypatch, max_px, level):
    read = []
    block = Slide._block
    monkeypatch.setattr(Slide, "_block", lambda self, *field: read.append(field[0]) or block(self, *field))
    Slide(landmarks, "s").read_overview(max_px)
    assert set(read) == {level}


def test_the_overview_reads_one_huge_level_in_blocks(tmp_path, monkeypatch):
    path = write(tmp_path / "flat.tif", NOISE)
    whole = Slide(path, "s").read_overview(150)[0]
    monkeypatch.setattr(module, "_BLOCK_PX", 128)
    sizes = []
    on_white = module._on_white
    monkeypatch.setattr(module, "_on_white", lambda region: sizes.append(region.size) or on_white(region))
    np.testing.assert_allclose(Slide(path, "s").read_overview(150)[0], whole, atol=1)
    assert max(max(size) for size in sizes) <= 130


# --- handles ----------------------------------------------------------------------------------------


def test_a_pickled_slide_reads_the_same(noise):
    with Slide(noise, "s", mpp=0.5) as slide:
        read = slide.read((100.0, 200.0), 32, 1.3)
        with pickle.loads(pickle.dumps(slide)) as copy:  # noqa: S301  (our own)
            assert copy._handle is None
            assert copy.slide_id == "s"
            np.testing.assert_array_equal(copy.read((100.0, 200.0), 32, 1.3), read)
            assert copy.info == slide.info


def test_every_process_opens_the_file_for_itself(noise, monkeypatch):
    slide = Slide(noise, "s")
    read = slide.read((100.0, 200.0), 32, 1.0)
    handle = slide._handle
    assert slide._open() is handle
    monkeypatch.setattr(os, "getpid", lambda: -1)
    np.testing.assert_array_equal(slide.read((100.0, 200.0), 32, 1.0), read)
    assert slide._handle is not handle


def test_a_closed_slide_opens_again(noise):
    slide = Slide(noise, "s")
    read = slide.read((100.0, 200.0), 32, 1.0)
    slide.close()
    slide.close()
    np.testing.assert_array_equal(slide.read((100.0, 200.0), 32, 1.0), read)


@pytest.fixture
def damaged(tmp_path):
    """A slide whose first tile is broken."""
    path = tmp_path / "x.tif"
    image = NOISE[:1000, :1500]
    tiles = lambda row, column: image[256 * row : 256 * (row + 1), 256 * column : 256 * (column + 1)]  # noqa: E731
    write_pyramid(path, tiles, image.shape[:2], MPP, tile_px=256, compression="jpeg", levels=1)
    with tifffile.TiffFile(path) as file:
        offset, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + length] = bytes(length)
    path.write_bytes(content)
    return path


def test_broken_tiles_are_refused_and_the_others_read(damaged):
    with Slide(damaged, "s7") as slide:
        for _ in range(2):
            with pytest.raises(
                SlideError, match=r"slide 's7' \(x.tif\) cannot be read at level 0.*Copy the file again"
            ):
                slide.read((20.0, 20.0), 32, MPP)
        assert slide.read((150.0, 200.0), 32, MPP).std() > 10


def test_several_threads_read_one_slide_while_some_of_its_tiles_are_broken(damaged):
    with Slide(damaged, "s7") as slide:
        expected = slide.read((150.0, 200.0), 64, MPP)

        def read(turn):
            try:
                return slide.read((20.0, 20.0) if turn % 3 == 0 else (150.0, 200.0), 64, MPP)
            except SlideError:
                return None

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(read, range(120)))
    for turn, image in enumerate(found):
        if turn % 3:
            np.testing.assert_array_equal(image, expected)
        else:
            assert image is None


# --- refusals ---------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SlideError, match=r"slide 's': there is no file .*none.svs"):
        Slide(tmp_path / "none.svs", "s").read((0.0, 0.0), 8, 1.0)
    with pytest.raises(SlideError, match=r"slide 's': .* is a folder; expected a whole-slide image"):
        Slide(tmp_path, "s").info  # noqa: B018
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(SlideError, match=r"slide 's': there is no file"):
            Slide(tmp_path / name, "s").info  # noqa: B018


def test_a_file_that_is_no_slide_is_refused(tmp_path):
    (tmp_path / "x.svs").write_text("no slide", encoding="utf-8")
    with pytest.raises(SlideError, match=r"slide 's' \(x.svs\) cannot be opened"):
        Slide(tmp_path / "x.svs", "s").info  # noqa: B018


@pytest.mark.parametrize(("mpp", "found"), [(None, "tiff.XResolution = 1"), (25400 / 72, "openslide.mpp-x = 352.7")])
def test_a_slide_without_um_per_pixel_is_refused_unless_told(tmp_path, mpp, found):
    path = write(tmp_path / "x.tif", NOISE, mpp=mpp)
    with pytest.raises(SlideError, match=rf"slide 's' \(x.tif\) has no µm per pixel.*{found}.*cohort\.mpp_override"):
        Slide(path, "s").read((10.0, 10.0), 8, 1.0)
    with Slide(path, "s", mpp=0.5) as slide:
        assert slide.info.mpp == 0.5
        np.testing.assert_array_equal(slide.read((50.0, 50.0), 32, 0.5), NOISE[84:116, 84:116])


def test_up_sampling_is_refused(noise):
    with pytest.raises(SlideError, match=r"80× needs 0\.125 µm/px, the slide's finest is 0.25"):
        Slide(noise, "s").read((10.0, 10.0), 8, 0.125)


@pytest.mark.parametrize(("centre", "size"), [((float("nan"), 0.0), 8), ((0.0, 0.0), 0), ((0.0, 0.0), (4, -1))])
def test_absurd_fields_are_refused(noise, centre, size):
    with pytest.raises(SlideError, match="expected at least 1 px, and a centre in µm"):
        Slide(noise, "s").read(centre, size, 1.0)


# --- a real slide -----------------------------------------------------------------------------------


@real
@pytest.mark.parametrize("centre_um", [(700.0, 500.0), (1201.37, 480.91), (420.2, 560.7)])
def test_centres_agree_to_1_um_on_real_tissue(centre_um):
    with Slide(DATA / "CMU-1-Small-Region.svs", "cmu") as slide:
        fine, coarse = (slide.read(centre_um, 256, mpp).mean(axis=2) for mpp in (0.5, 1.0))
    middle = fine.reshape(128, 2, 128, 2).mean(axis=(1, 3))
    shift, *_ = phase_cross_correlation(middle, coarse[64:192, 64:192], upsample_factor=100)
    assert np.abs(shift).max() <= 0.1
    # the measure itself sees a shift of two thirds of a pixel
    with Slide(DATA / "CMU-1-Small-Region.svs", "cmu") as slide:
        moved = slide.read((centre_um[0] + 0.667, centre_um[1]), 256, 1.0).mean(axis=2)
    shift, *_ = phase_cross_correlation(middle, moved[64:192, 64:192], upsample_factor=100)
    assert shift[0] == pytest.approx(0.667, abs=0.15)


@real
def test_the_real_slide_has_no_40x():
    with Slide(DATA / "CMU-1-Small-Region.svs", "cmu") as slide:
        assert (slide.info.vendor, slide.info.mpp, slide.info.downsamples) == ("aperio", 0.499, (1.0,))
        assert slide.info.level_for(0.5) == 0
        with pytest.raises(SlideError, match=r"40× needs 0\.25 µm/px, the slide's finest is 0.499"):
            slide.read((700.0, 500.0), 256, 0.25)


@real
def test_a_truncated_slide_is_refused_by_name():
    with pytest.raises(SlideError, match=r"slide 'b' \(broken.svs\) cannot be opened .*leave the slide out"):
        Slide(DATA / "broken.svs", "b").info  # noqa: B018


def test_the_overview_of_a_strip_has_a_pixel_across(tmp_path):
    strip = write(tmp_path / "strip.tif", np.full((2, 1024, 3), 200, np.uint8))
    image, mpp_y, mpp_x = Slide(strip, "s").read_overview(64)
    assert image.shape == (1, 64, 3)
    assert (mpp_y / mpp_x) == pytest.approx(2 / 16)
