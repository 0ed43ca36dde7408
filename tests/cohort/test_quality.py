"""Light and focus: what they measure, and that real and drawn tissue passes where blurred tissue does not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from saliency_stats.cohort import Phantom
from saliency_stats.cohort.quality import MIN_FOCUS, MIN_LIGHT, focus, light


def phantom(mpp=0.5, seed=0, side_um=64.0, variation=1.0):
    made = Phantom(size_px=round(side_um / mpp), mpp=mpp, stain_variation=variation)
    return made.render(np.random.default_rng(seed), "benign").image


def blurred(image, sigma_um, mpp):
    soft = gaussian_filter(image.astype(float), (sigma_um / mpp, sigma_um / mpp, 0))
    return np.rint(soft).astype(np.uint8)


# --- light ------------------------------------------------------------------------------------------


def test_light_is_the_90th_percentile_of_the_luminance():
    ramp = np.repeat(np.arange(101, dtype=np.uint8), 3).reshape(1, 101, 3)
    assert light(ramp) == pytest.approx(90 / 255)
    # Rec. 709: red, green and blue do not weigh alike
    assert [light(np.full((4, 4, 3), c, np.uint8)) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255))] == pytest.approx(
        [0.2125, 0.7154, 0.0721], abs=1e-4
    )


def test_a_nearly_black_patch_is_dark_and_one_full_of_nuclei_is_not():
    assert light((phantom() * 0.15).astype(np.uint8)) < MIN_LIGHT
    assert light(phantom(variation=3.0, seed=5)) > 2 * MIN_LIGHT


# --- focus ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("variation", [0.0, 1.0, 3.0])
def test_drawn_tissue_is_sharp_and_blurred_tissue_is_not(mpp, variation):
    image = phantom(mpp, 1, variation=variation)
    assert focus(image, mpp) > MIN_FOCUS
    assert focus(blurred(image, 3.0, mpp), mpp) < MIN_FOCUS


def test_focus_does_not_depend_on_contrast():
    image = phantom()
    pale = np.rint(255 - (255 - image.astype(float)) / 3).astype(np.uint8)
    assert focus(pale, 0.5) == pytest.approx(focus(image, 0.5), rel=0.02)


def test_focus_is_a_property_of_lengths_not_of_pixels():
    fine = phantom(0.25)
    half = np.rint(fine.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3))).astype(np.uint8)
    assert focus(half, 0.5) == pytest.approx(focus(fine, 0.25), rel=0.1)


def wave(length_um, mpp, side=240):
    x = (np.arange(side) + 0.5) * mpp
    level = np.rint(128 + 100 * np.cos(2 * np.pi * x / length_um))
    return np.repeat(np.tile(level, (side, 1))[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("length_um", [6.0, 10.0, 20.0])
def test_of_a_wave_the_ratio_is_that_of_the_two_filters(length_um, mpp):
    def passed(sigma_um):
        return 1 - np.exp(-2 * (np.pi * sigma_um / length_um) ** 2)

    assert focus(wave(length_um, mpp), mpp) == pytest.approx(passed(1.5) / passed(4.5), rel=0.04)


def test_of_coarse_pixels_the_finer_filter_is_one_pixel():
    def passed(sigma_um):
        return 1 - np.exp(-2 * (np.pi * sigma_um / 20.0) ** 2)

    assert focus(wave(20.0, 2.5), 2.5) == pytest.approx(passed(2.5) / passed(7.5), rel=0.04)


def test_one_colour_has_no_structure_and_noise_is_all_detail():
    assert focus(np.full((64, 64, 3), (200, 120, 180), np.uint8), 0.5) == 0.0
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    assert focus(noise, 0.5) > 0.95


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (33, 35)])
def test_any_size_can_be_asked(shape):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    assert 0 <= focus(image, 0.06) <= 1.1
