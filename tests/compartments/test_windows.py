"""Averages over windows: the variance of a Gaussian, weights that count, roughness."""

import numpy as np
import pytest

from saliency_stats.compartments.windows import averaged, blurred, roughness


def impulse(side=201):
    image = np.zeros((side, side))
    image[side // 2, side // 2] = 1
    return image


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.9, 9.0])
def test_two_boxes_have_the_variance_of_the_gaussian(sigma):
    profile = blurred(impulse(), sigma).sum(axis=0)
    x = np.arange(201) - 100
    assert profile.sum() == pytest.approx(1)
    assert profile @ x == pytest.approx(0, abs=1e-9)
    # two boxes of 2h + 1 pixels have the variance 2 h (h + 1) / 3; h is whole
    half = round((np.sqrt(6 * sigma**2 + 1) - 1) / 2)
    assert profile @ x**2 == pytest.approx(2 * half * (half + 1) / 3)
    assert profile @ x**2 == pytest.approx(sigma**2, rel=0.35)


def test_a_narrow_window_changes_nothing():
    image = np.random.default_rng(0).uniform(size=(20, 20))
    np.testing.assert_array_equal(blurred(image, 0.3), image)


def test_wide_windows_of_even_images_are_computed_on_blocks_of_four():
    image = np.random.default_rng(1).uniform(size=(40, 60))
    halved = image.reshape(20, 2, 30, 2).mean(axis=(1, 3))
    expected = np.repeat(np.repeat(blurred(halved, 2.5), 2, axis=0), 2, axis=1)
    np.testing.assert_allclose(blurred(image, 5.0), expected)
    # just below, and for odd images, every pixel is its own
    for other, sigma in ((image, 4.99), (image[:39], 5.0), (image[:, :59], 5.0)):
        wide = blurred(other, sigma)
        assert (wide[0, ::2][:29] != wide[0, 1::2][:29]).all()


def test_only_pixels_of_weight_are_averaged():
    image = np.where(np.arange(60) < 30, 1.0, 5.0) * np.ones((60, 1))
    weight = np.broadcast_to((np.arange(60) < 30).astype(float), (60, 60))
    share = blurred(weight, 3.0)
    mean = averaged(image, weight, share, 3.0)
    np.testing.assert_allclose(mean[:, :32], 1.0)
    # beyond any weight it falls to 0 instead of dividing by nothing
    assert np.abs(mean[:, 45:]).max() < 1e-9
    almost_none = averaged(np.ones((9, 9)), np.full((9, 9), 1e-4), np.full((9, 9), 1e-4), 1.0)
    np.testing.assert_allclose(almost_none, 0.1)


def test_roughness_is_the_deviation_about_the_local_mean():
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 0.3, (101, 101))
    slope = np.linspace(0, 5, 101)[None] * np.ones((101, 1))
    found = roughness(noise + slope, np.ones((101, 101)), 4.0)[20:-20, 20:-20]
    # the local mean of about 49 pixels takes their share of the variance
    assert found.mean() == pytest.approx(0.3, rel=0.06)
    assert roughness(slope, np.ones((101, 101)), 4.0)[20:-20, 20:-20].max() < 1e-6
    half = np.where(np.arange(101) < 50, 1.0, 0.0) * np.ones((101, 1))
    assert roughness(noise, half, 4.0)[:, 70:].max() < 1e-5
