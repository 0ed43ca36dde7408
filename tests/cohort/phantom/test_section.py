"""Sections: outlines with the areas they are meant to have, and blocks that meet without cutting nuclei."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.cohort.phantom.section import BLOCK_PX, SectionPlan, _Canvas, draw_plan, paint_section
from saliency_stats.cohort.phantom.texture import pixel_centres
from saliency_stats.cohort.slides.outlines import rasterise
from saliency_stats.vocabulary import COMPARTMENT_CODES

NUCLEUS = COMPARTMENT_CODES["nucleus"]


def plan(seed, width=1000.0, height=1000.0, *, tumour=True):
    return draw_plan(np.random.default_rng(seed), width, height, tumour=tumour)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(128, 4000), st.floats(128, 4000))
def test_tumour_with_an_island_lies_in_tissue_on_glass(seed, width, height):
    drawn = plan(seed, width, height)
    assert 0.55 < drawn.tissue.area / (width * height) < 0.75
    assert 0.2 < drawn.tumour.area / drawn.tissue.area < 0.5
    assert drawn.tumour.is_valid
    assert drawn.tissue.contains(drawn.tumour)
    assert shapely.box(0, 0, width, height).contains(drawn.tissue)
    assert sum(len(part.interiors) for part in shapely.get_parts(drawn.tumour)) == 1
    assert len(shapely.get_parts(drawn.tumour)) <= 2


def test_there_are_tumours_of_one_and_of_two_parts():
    assert {len(shapely.get_parts(plan(seed).tumour)) for seed in range(20)} == {1, 2}


def test_a_normal_slide_has_the_same_tissue_and_no_tumour():
    assert plan(3, tumour=False).tissue.equals(plan(3).tissue)
    assert plan(3, tumour=False).tumour.is_empty


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(-300, 900), st.floats(-300, 900), st.sampled_from([0.5, 3.0, 7.3]))
def test_a_pixel_is_inside_if_its_centre_is(seed, top, left, px_um):
    tumour = plan(seed).tumour
    mask = rasterise(tumour, (40, 30), (px_um, px_um), (top, left))
    expected = [
        [tumour.contains(shapely.Point(left + (c + 0.5) * px_um, top + (r + 0.5) * px_um)) for c in range(30)]
        for r in range(40)
    ]
    np.testing.assert_array_equal(mask, expected)


@pytest.fixture(scope="module")
def section():
    """Tissue everywhere, four blocks."""
    phantom = Phantom("nucleus")
    everywhere = shapely.box(-100, -100, 700, 700)
    drawn = plan(0, 512.0, 512.0)
    look = phantom.slide(np.random.default_rng(0))
    return paint_section(5, SectionPlan(everywhere, drawn.tumour), phantom, look, (1024, 1024), 0.5)


def test_no_line_of_cut_nuclei_where_blocks_meet(section):
    nucleus = section.truth == NUCLEUS
    for mask in (nucleus, nucleus.T):
        crossed = (mask[:, 1:] != mask[:, :-1]).sum(axis=0)
        # borders of nuclei cut along a line would all cross it
        assert crossed[BLOCK_PX - 70 : BLOCK_PX + 70].max() < 2.2 * np.median(crossed)


def test_a_block_leaves_the_nuclei_of_others_whole_and_paints_its_own_whole():
    phantom = Phantom("nucleus")
    everywhere, none = shapely.box(-100, -100, 700, 700), shapely.Polygon()
    canvas = _Canvas(5, SectionPlan(everywhere, none), (1024, 1024), 0.5)
    look, centres = phantom.slide(np.random.default_rng(0)), pixel_centres(1024, 0.5)
    for row, column in np.ndindex(2, 2):
        before, filled, taken = canvas.section.truth == NUCLEUS, canvas._filled.copy(), canvas._taken.copy()
        canvas.block(row, column, phantom, look)
        after = canvas.section.truth == NUCLEUS
        assert not (before & ~after).any()
        new = after & ~before
        assert not (ndimage.binary_dilation(before) & new).any()
        if filled.any():
            side = BLOCK_PX * 0.5
            wander = [wave.on_grid(centres, centres) for wave in canvas._wander]
            depth = canvas._depth(centres[:, None], centres[None, :], wander, (row * side, column * side))
            protruding = canvas._taken & ~taken & filled & (depth < 0)
            assert protruding.sum() > 100
            assert new[protruding].mean() > 0.25


def test_cells_are_as_dense_where_blocks_meet_as_elsewhere(section):
    _, n = ndimage.label(section.truth == NUCLEUS)
    nuclei = (section.truth == NUCLEUS).astype(float)
    band = np.zeros(nuclei.shape, dtype=bool)
    band[BLOCK_PX - 24 : BLOCK_PX + 24] = band[:, BLOCK_PX - 24 : BLOCK_PX + 24] = True
    assert n > 500
    assert 0.7 < nuclei[band].mean() / nuclei[~band].mean() < 1.3


def test_no_block_repeats_another(section):
    first, second = section.truth[:400, :400], section.truth[:400, BLOCK_PX : BLOCK_PX + 400]
    assert (first == second).mean() < 0.6


def test_stain_lies_where_the_truth_says(section):
    stain = section.stain.astype(np.float32)
    for name, code in COMPARTMENT_CODES.items():
        inside = ndimage.binary_erosion(section.truth == code, iterations=2)
        total = stain.sum(axis=0)[inside]
        assert np.median(total) < 0.02 if name == "background" else np.median(total) > 0.1
    mean = {
        name: stain[0][ndimage.binary_erosion(section.truth == code)].mean() for name, code in COMPARTMENT_CODES.items()
    }
    assert mean["nucleus"] > 2 * max(mean["cytoplasm"], mean["stroma"])


#: Areas and lengths of tissue and tumour and the middle of the tumour, as the first version drew them.
PLANS = {
    0: [430728.586, 149625.403, 2464.489, 2135.722, 449.828, 359.394],
    1: [422844.762, 162728.709, 2450.181, 2624.965, 441.314, 368.868],
    2: [407081.564, 155273.897, 2434.065, 2529.835, 464.729, 361.143],
}


@pytest.mark.parametrize("seed", PLANS)
def test_plans_are_those_that_every_study_has_seen(seed):
    drawn = plan(seed, 900.0, 700.0)
    sizes = (drawn.tissue.area, drawn.tumour.area, drawn.tissue.length, drawn.tumour.length)
    assert [*sizes, *drawn.tumour.centroid.coords[0]] == pytest.approx(PLANS[seed], rel=1e-5)


def test_sections_are_those_that_every_study_has_seen():
    look = Phantom().slide(np.random.default_rng(2))
    painted = paint_section(5, plan(1, 330.0, 300.0), Phantom("nucleus"), look, (600, 660), 0.5)
    stain = painted.stain.astype(float)
    found = [*stain.mean(axis=(1, 2)), *stain.std(axis=(1, 2)), *np.abs(np.diff(stain, axis=1)).mean(axis=(1, 2))]
    assert found == pytest.approx([0.147, 0.1439, 0.2509, 0.1432, 0.037, 0.0262], abs=1e-4)
    assert np.bincount(painted.truth.ravel()) == pytest.approx([154551, 51174, 120965, 69310], abs=5)
    assert painted.malignant.sum() == pytest.approx(102220, abs=5)
    assert painted.px_um == 0.5


def test_tissue_keeps_a_fiftieth_of_the_slide_from_its_border():
    gaps = []
    for seed in range(40):
        x0, y0, x1, y1 = draw_plan(np.random.default_rng(seed), 3000.0, 2000.0, tumour=False).tissue.bounds
        gaps.append(min(x0, y0, 3000.0 - x1, 2000.0 - y1))
    # most outlines are cut there: they would reach beyond
    assert min(gaps) == pytest.approx(0.02 * 2000.0, abs=1e-6)


@pytest.mark.parametrize("architecture", ["lymph_node", "gland"])
def test_sections_of_other_architectures_hold_whole_nuclei_and_no_cytoplasm_without_them(architecture):
    phantom = Phantom("none", architecture=architecture)
    everywhere = shapely.box(-100, -100, 700, 700)
    look = phantom.slide(np.random.default_rng(0))
    painted = paint_section(5, SectionPlan(everywhere, shapely.Polygon()), phantom, look, (640, 640), 0.5)
    plain = paint_section(5, SectionPlan(everywhere, shapely.Polygon()), Phantom("none"), look, (640, 640), 0.5)
    assert (painted.truth != plain.truth).mean() > 0.3
    nucleus = painted.truth == NUCLEUS
    for mask in (nucleus, nucleus.T):
        crossed = (mask[:, 1:] != mask[:, :-1]).sum(axis=0)
        seam = np.zeros(len(crossed), dtype=bool)
        seam[BLOCK_PX - 44 : BLOCK_PX + 44] = True
        # a palisade crosses a line often, so what counts is that seams do no more than lines elsewhere
        assert crossed[seam].max() < 1.3 * crossed[~seam].max()
    if architecture == "lymph_node":
        # the widest cytoplasm of a cell that lies singly, 4.5 um, and the noise of its border
        away = ndimage.distance_transform_edt(~nucleus) * 0.5
        assert np.quantile(away[painted.truth == COMPARTMENT_CODES["cytoplasm"]], 0.999) < 6.5
