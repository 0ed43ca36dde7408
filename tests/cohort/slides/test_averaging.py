"""Area-averaging: exact at any offset and any factor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import resize_local_mean

from saliency_stats.cohort.slides.averaging import area_average

PIXELS = np.random.default_rng(0).uniform(0, 255, (36, 30, 3)).astype(np.float32)


@pytest.mark.parametrize("factor", [2, 3, 6])
def test_whole_factors_give_block_means(factor):
    expected = PIXELS.reshape(36 // factor, factor, 30 // factor, factor, 3).mean(axis=(1, 3))
    found = area_average(PIXELS, (0.0, 0.0), (factor, factor), expected.shape[:2])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(7, 11), (25, 13), (36, 29)])
def test_fractional_factors_agree_with_scikit_image(shape):
    expected = resize_local_mean(PIXELS, shape, grid_mode=True, channel_axis=2)
    found = area_average(PIXELS, (0.0, 0.0), (36 / shape[0], 30 / shape[1]), shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@settings(deadline=None)
@given(st.floats(0, 3), st.floats(0.97, 5), st.integers(1, 6))
def test_the_mean_is_that_of_the_field(start, step, n):
    finely = area_average(PIXELS, (start, start), (step, step), (n, n))
    whole = area_average(PIXELS, (start, start), (n * step, n * step), (1, 1))
    np.testing.assert_allclose(finely.mean(axis=(0, 1)), whole[0, 0], rtol=1e-4)


@settings(deadline=None)
@given(st.floats(0, 9), st.floats(0.3, 3.3))
def test_a_ramp_is_read_where_the_rectangle_lies(start, step):
    # the mean of a function that is linear from pixel to pixel is exact for whole pixels only: ±1/4 px between them
    ramp = np.arange(40.0)[:, None, None]
    found = area_average(ramp, (start, 0.0), (step, 1.0), (8, 1))[:, 0, 0]
    expected = start + step * (np.arange(8) + 0.5) - 0.5
    assert np.abs(found - expected).max() <= 0.25 / min(step, 1.0) + 1e-4


def test_whole_pixels_stay_as_they_are():
    image = PIXELS.astype(np.uint8)
    found = area_average(image, (3.0, 2.0), (1.0, 1.0), (5, 6))
    np.testing.assert_array_equal(found, image[3:8, 2:8])


def test_half_a_pixel_aside_mixes_two():
    found = area_average(np.array([[0.0, 100.0, 40.0]]), (0.0, 0.5), (1.0, 1.0), (1, 2))
    np.testing.assert_allclose(found, [[50.0, 70.0]])
