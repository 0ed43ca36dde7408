"""One definition of tissue: for patches, slides and the background compartment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saliency_stats.imaging.density import WHITE
from saliency_stats.imaging.tissue import BACKGROUND_OD, tissue_mask, tissue_share

IMAGES = arrays(np.uint8, (12, 14, 3))


def flat(*colour, size=40):
    return np.full((size, size, 3), colour, np.uint8)


def test_the_threshold_is_an_optical_density_of_the_most_absorbing_channel():
    level = int(255 * 10**-BACKGROUND_OD)
    for channel in range(3):
        above, below = flat(255, 255, 255), flat(255, 255, 255)
        above[..., channel], below[..., channel] = level, level + 1
        assert tissue_mask(above, 0.5, WHITE).all()
        assert not tissue_mask(below, 0.5, WHITE).any()
    assert not tissue_mask(flat(200, 200, 200), 0.5, (220.0, 220.0, 220.0)).any()
    assert tissue_mask(flat(195, 200, 200), 0.5, (220.0, 220.0, 220.0)).all()


def test_pale_collagen_is_tissue_though_its_mean_density_is_that_of_glass():
    collagen = flat(252, 218, 246)
    assert -np.log10(collagen / 255).mean() < BACKGROUND_OD
    assert tissue_share(collagen, 0.5) == 1.0


@pytest.mark.parametrize("glass", [(255, 255, 255), (250, 248, 252), (215, 210, 218), (222, 222, 222), (200, 200, 200)])
def test_bare_glass_is_none_however_grey(glass):
    noise = np.random.default_rng(0).normal(0, 2, (60, 60, 3))
    image = np.clip(np.rint(np.array(glass) + noise), 0, 255).astype(np.uint8)
    assert tissue_share(image, 0.5) < 0.01


def test_the_share_is_relative_to_the_glass_in_view():
    image = flat(222, 222, 222)
    image[:10] = (205, 180, 200)
    assert tissue_share(image, 1.0) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_smoothing_is_a_length(mpp):
    line = flat(255, 255, 255)
    line[:, 20] = (255, 200, 255)
    # a Gaussian of 0.5 µm holds this much of a line one pixel wide
    peak = np.log10(255 / 200) * mpp / (0.5 * np.sqrt(2 * np.pi))
    assert tissue_mask(line, mpp, WHITE, background_od=0.9 * peak)[:, 20].all()
    assert not tissue_mask(line, mpp, WHITE, background_od=1.1 * peak).any()
    assert tissue_mask(line, mpp, WHITE, background_od=0.1, smoothing_um=0.0)[:, 20].all()
    assert tissue_share(line, mpp, 0.1, 0.0) == 1 / 40


@settings(deadline=None)
@given(IMAGES)
def test_the_share_does_not_depend_on_where_pixels_are_turned(image):
    share = tissue_share(image, 0.5)
    assert 0 <= share <= 1
    assert share == pytest.approx(tissue_share(image[::-1, ::-1], 0.5))
    assert share == pytest.approx(tissue_share(image.transpose(1, 0, 2), 0.5), abs=1 / 80)


@settings(deadline=None)
@given(IMAGES, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_finds_less_tissue(image, first, second):
    low, high = sorted((first, second))
    assert tissue_share(image, 0.5, low) >= tissue_share(image, 0.5, high)
