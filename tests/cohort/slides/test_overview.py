"""Tissue, glass and pen marks on overviews."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from saliency_stats.cohort.slides.overview import MIN_HOLE_UM2, TissueMap, ink_mask, tissue_mask
from saliency_stats.cohort.slides.slide import Slide

CMU = Path(__file__).parents[3].parent / "shared" / "data" / "slides" / "CMU-1-Small-Region.svs"

MPP = 10.0
GLASS = (243, 241, 244)
TISSUE = (205, 140, 190)
PENS = {
    "blue": (30, 60, 180),
    "light blue": (90, 150, 230),
    "deep blue": (25, 30, 160),
    "green": (20, 130, 70),
    "black": (35, 32, 38),
    "red": (205, 30, 45),
}


def painted(*areas, noise=2.0, glass=GLASS):
    """Glass with coloured areas (slices, colour), blurred edges and noise."""
    image = np.full((200, 300, 3), glass, float)
    for rows, columns, colour in areas:
        image[rows, columns] = colour
    image = gaussian_filter(image, (0.7, 0.7, 0))
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


SECTION = (slice(60, 140), slice(80, 220), TISSUE)
TRUTH = np.zeros((200, 300), bool)
TRUTH[60:140, 80:220] = True


def overlap(found, truth):
    return (found & truth).sum() / (found | truth).sum()


# --- tissue -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [TISSUE, (235, 210, 225), (110, 60, 140), (215, 190, 215), (225, 120, 150)])
def test_stained_tissue_is_found(colour):
    found = tissue_mask(painted((*SECTION[:2], colour)), MPP, MPP)
    assert overlap(found, TRUTH) > 0.95


@pytest.mark.parametrize(
    "glass", [GLASS, (255, 255, 255), (230, 228, 233), (245, 238, 242), (255, 255, 220), (215, 210, 218)]
)
@pytest.mark.parametrize("noise", [0.0, 1.0, 4.0])
def test_an_empty_slide_is_empty(glass, noise):
    assert not tissue_mask(painted(noise=noise, glass=glass), MPP, MPP).any()


def test_a_slide_full_of_tissue_is_not_divided():
    halves = painted((slice(0, 100), slice(None), (235, 205, 222)), (slice(100, 200), slice(None), (110, 60, 140)))
    assert tissue_mask(halves, MPP, MPP).mean() > 0.99


@pytest.mark.parametrize("grey", [0, 60, 150, 200])
def test_shadows_and_dust_are_no_tissue(grey):
    found = tissue_mask(painted(SECTION, (slice(0, 20), slice(None), (grey,) * 3)), MPP, MPP)
    assert not found[:25].any()
    assert overlap(found, TRUTH) > 0.95


def test_small_holes_are_filled_and_specks_dropped_by_their_area():
    hole, speck = (slice(90, 98), slice(100, 108), GLASS), (slice(10, 18), slice(10, 18), TISSUE)
    image = painted(SECTION, hole, speck)
    assert MIN_HOLE_UM2 / MPP**2 > 64
    found = tissue_mask(image, MPP, MPP)
    assert found[85:105, 95:115].all()
    assert not found[:30, :30].any()
    # the same picture of a four times larger thing
    found = tissue_mask(image, 4 * MPP, 4 * MPP)
    assert not found[92:96, 102:106].any()
    assert found[12:16, 12:16].all()


# --- ink --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pen", PENS)
def test_pen_marks_are_no_tissue(pen):
    line, across = (slice(20, 30), slice(10, 290), PENS[pen]), (slice(40, 160), slice(140, 150), PENS[pen])
    image = painted(SECTION, line, across)
    found = tissue_mask(image, MPP, MPP)
    assert not found[:40].any()
    assert not found[:, 141:149].any()
    truth = TRUTH.copy()
    truth[:, 134:156] = False
    assert overlap(found, truth) > 0.93
    assert ink_mask(image, MPP, MPP)[20:30, 10:290].all()


def test_a_slide_of_ink_alone_is_empty():
    assert not tissue_mask(np.full((100, 100, 3), PENS["blue"], np.uint8), MPP, MPP).any()


@pytest.mark.parametrize("haematoxylin", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("strength", [0.2, 0.7, 1.5])
def test_no_mixture_of_the_stains_is_ink(haematoxylin, strength):
    vector = haematoxylin * np.array([0.65, 0.70, 0.29]) + (1 - haematoxylin) * np.array([0.07, 0.99, 0.11])
    colour = 255 * 10 ** -(strength * vector)
    assert not ink_mask(painted((*SECTION[:2], colour)), MPP, MPP).any()


# --- shares -----------------------------------------------------------------------------------------


def test_area_and_shares_of_a_square():
    mask = np.zeros((20, 30), bool)
    mask[5:15, 10:20] = True
    tissue = TissueMap(mask, 2.0, 3.0)
    assert tissue.area_um2 == 600
    assert tissue.shares([(20.0, 45.0)], 10.0)[0] == 1.0
    assert tissue.shares([(20.0, 30.0)], 10.0)[0] == pytest.approx(0.5)
    assert tissue.shares([(9.9, 29.9)], 2.0)[0] == pytest.approx(0.45 * 0.45)
    assert tissue.shares([(2.0, 2.0)], 3.0)[0] == 0.0
    assert TissueMap(np.ones((20, 30), bool), 2.0, 3.0).shares([(0.0, 0.0)], 8.0)[0] == pytest.approx(0.25)


@settings(deadline=None)
@given(st.floats(-30, 90), st.floats(-30, 120), st.floats(0.1, 80), st.integers(0, 99))
def test_shares_count_pixels_by_the_part_inside(y, x, side, seed):
    mask = np.random.default_rng(seed).random((20, 30)) < 0.5
    tissue = TissueMap(mask, 2.5, 3.5)
    rows = [max(0.0, min(y + side / 2, 2.5 * (r + 1)) - max(y - side / 2, 2.5 * r)) for r in range(20)]
    columns = [max(0.0, min(x + side / 2, 3.5 * (c + 1)) - max(x - side / 2, 3.5 * c)) for c in range(30)]
    expected = np.array(rows) @ mask @ np.array(columns) / side**2
    assert tissue.shares([(y, x)], side)[0] == pytest.approx(expected, abs=1e-9 + 1e-9 / side**2)


def test_many_shares_at_once():
    tissue = TissueMap.from_overview(painted(SECTION), MPP, MPP)
    centres = np.random.default_rng(1).uniform(0, 2000, (50, 2))
    found = tissue.shares(centres, 300.0)
    assert found.tolist() == [tissue.shares([(y, x)], 300.0)[0] for y, x in centres]
    assert 0 < found.mean() < 1


# --- a real slide -----------------------------------------------------------------------------------


@pytest.mark.skipif(not CMU.is_file(), reason="NOT TESTED: the real slides of ../shared/data are not here")
def test_a_real_slide_at_two_resolutions():
    with Slide(CMU, "cmu") as slide:
        fine, coarse = (TissueMap.from_overview(*slide.read_overview(max_px)) for max_px in (1024, 256))
        whole_um2 = slide.info.height_um * slide.info.width_um
    assert 0.33 < fine.area_um2 / whole_um2 < 0.40
    assert coarse.area_um2 == pytest.approx(fine.area_um2, rel=0.03)
    # the middle of the section, and glass to its left
    assert fine.shares([(1200.0, 480.0)], 256.0)[0] > 0.98
    assert fine.shares([(1000.0, 150.0)], 256.0)[0] == 0.0
