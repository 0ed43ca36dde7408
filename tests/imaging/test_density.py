"""Optical densities, and the colour of the glass."""

import numpy as np
import pytest

from saliency_stats.imaging.density import DARKEST, GLASS_LEVEL, GLASS_SPREAD, WHITE, glass_colour, optical_density


def test_optical_density_is_that_of_beer_and_lambert():
    image = np.array([[[255, 128, 0]]], dtype=np.uint8)
    expected = [0.0, np.log10(255 / 128), np.log10(255 / DARKEST)]
    np.testing.assert_allclose(optical_density(image)[0, 0], expected, atol=1e-6)
    # relative to the glass, and what is brighter than the glass absorbs nothing
    assert optical_density(image, (200.0, 200.0, 200.0))[0, 0, 0] == 0
    by_channel = optical_density(np.full((1, 3), 100, np.uint8), (100.0, 200.0, 250.0))[0]
    np.testing.assert_allclose(by_channel, np.log10([1.0, 2.0, 2.5]), atol=1e-6)
    assert by_channel.dtype == np.float32


def test_levels_up_to_the_darkest_count_alike():
    levels = optical_density(np.array([[0, DARKEST, DARKEST + 1]], np.uint8))[0]
    assert levels[0] == levels[1] > levels[2]


def pixels(n_glass, n=1000, glass=(230, 228, 233), tissue=(180, 90, 150)):
    return np.array([glass] * n_glass + [tissue] * (n - n_glass), np.uint8)


def test_the_glass_is_the_median_of_bright_grey_pixels():
    assert glass_colour(pixels(500)) == (230.0, 228.0, 233.0)
    brighter = np.concatenate([pixels(300), pixels(301, 301, glass=(240, 240, 240))])
    assert glass_colour(brighter) == (240.0, 240.0, 240.0)


@pytest.mark.parametrize(("n", "least"), [(1000, 20), (10_000, 50)])
def test_less_glass_than_one_pixel_in_200_or_than_20_is_none(n, least):
    assert glass_colour(pixels(least, n)) == (230.0, 228.0, 233.0)
    assert glass_colour(pixels(least - 1, n)) == WHITE


def test_glass_is_bright_and_grey_to_the_last_level():
    at = (GLASS_LEVEL, GLASS_LEVEL, GLASS_LEVEL + GLASS_SPREAD)
    assert glass_colour(pixels(100, glass=at)) == at
    assert glass_colour(pixels(100, glass=(GLASS_LEVEL - 1, GLASS_LEVEL, GLASS_LEVEL))) == WHITE
    assert glass_colour(pixels(100, glass=(GLASS_LEVEL, GLASS_LEVEL, GLASS_LEVEL + GLASS_SPREAD + 1))) == WHITE


def test_only_the_brighter_half_of_the_glass_counts():
    dark, bright = pixels(100, 100, glass=(205, 205, 205)), pixels(120, 120, glass=(245, 244, 246))
    assert glass_colour(np.concatenate([dark, bright])) == (245.0, 244.0, 246.0)
