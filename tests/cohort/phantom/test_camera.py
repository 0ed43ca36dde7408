"""From stain to pixels: Beer-Lambert, the point spread, binning, sharpening and shot noise, each by itself."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from saliency_stats.cohort.phantom.camera import photograph
from saliency_stats.cohort.phantom.look import draw_look

USUAL = draw_look(np.random.default_rng(0), 0.0)
#: No blur that reaches a pixel, no sharpening, no noise.
IDEAL = replace(USUAL, blur_um=0.01, sharpening=0.0, photons=1e12)


def picture(stain, look=IDEAL, px_um=0.5, binning=1, seed=0):
    return photograph(np.random.default_rng(seed), stain.astype(np.float32), look, px_um, binning)


def stained(shape=(24, 30), seed=1):
    return np.random.default_rng(seed).uniform(0, 1.2, (2, *shape))


def light_of(stain, look=IDEAL):
    density = np.einsum("sc,shw->hwc", look.stain_vectors * look.concentration[:, None], stain)
    return look.white * 10**-density


def test_light_follows_beer_and_lambert():
    look = replace(IDEAL, concentration=np.array([1.3, 0.8]))
    image = picture(stained(), look)
    assert image.dtype == np.uint8
    assert image.shape == (24, 30, 3)
    assert image.flags.c_contiguous
    np.testing.assert_allclose(image, light_of(stained(), look) * 255, atol=0.51)


def test_bare_glass_is_white():
    np.testing.assert_array_equal(picture(np.zeros((2, 8, 8)))[0, 0], np.rint(IDEAL.white * 255))


@pytest.mark.parametrize(("blur_um", "px_um"), [(0.6, 0.5), (0.3, 0.25)])
def test_the_point_spread_is_a_gaussian_in_um(blur_um, px_um):
    image = picture(stained(), replace(IDEAL, blur_um=blur_um), px_um)
    sigma = blur_um / px_um
    expected = gaussian_filter(light_of(stained()), (sigma, sigma, 0), mode="nearest", truncate=3.0)
    np.testing.assert_allclose(image, expected * 255, atol=0.52)


def test_binning_averages_light_not_stain():
    image = picture(stained((24, 30)), binning=2)
    expected = light_of(stained((24, 30))).reshape(12, 2, 15, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(image, expected * 255, atol=0.52)


@pytest.mark.parametrize("binning", [1, 2])
def test_sharpening_is_an_unsharp_mask_of_600_nm(binning):
    image = picture(stained(), replace(IDEAL, sharpening=0.5), 0.5, binning)
    light = light_of(stained())
    if binning == 2:
        light = light.reshape(12, 2, 15, 2, 3).mean(axis=(1, 3))
    sigma = 0.6 / (0.5 * binning)
    soft = gaussian_filter(light, (sigma, sigma, 0), mode="nearest", truncate=3.0)
    expected = np.clip(light + 0.5 * (light - soft), 0, 1) * 255
    np.testing.assert_allclose(image, expected, atol=0.55)


def test_shot_noise_has_the_variance_of_the_light():
    stain = np.zeros((2, 200, 200))
    stain[1, :, 100:] = 1.0
    image = picture(stain, replace(IDEAL, photons=2000.0)).astype(float) / 255
    for half in (slice(0, 100), slice(100, 200)):
        part = image[:, half].reshape(-1, 3)
        # rounding adds a twelfth of a level
        expected = part.mean(axis=0) / 2000 + (1 / 255) ** 2 / 12
        assert part.var(axis=0) == pytest.approx(expected, rel=0.05)
        assert abs(part.mean(axis=0) - light_of(stain)[0, half][0]).max() < 0.001


def test_light_beyond_the_scale_is_cut_off():
    image = picture(np.zeros((2, 64, 64)), replace(IDEAL, white=np.full(3, 0.99), photons=20.0))
    assert image.max() == 255
    assert (image == 255).mean() > 0.3
