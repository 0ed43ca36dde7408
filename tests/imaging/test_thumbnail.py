"""Small pictures: never enlarged, areas averaged, codes kept apart, the brightest cut as figures cut it."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from saliency_stats.imaging.thumbnail import CODE_STEP, code_thumbnail, display_top, image_thumbnail, map_thumbnail


def opened(content):
    return Image.open(BytesIO(content))


@pytest.mark.parametrize(
    ("shape", "side", "size"),
    [((40, 80), 80, (80, 40)), ((40, 80), 100, (80, 40)), ((40, 80), 20, (20, 10)), ((200, 1), 20, (1, 20))],
)
def test_pictures_are_reduced_to_a_side_and_never_enlarged(shape, side, size):
    zeros = np.zeros(shape, np.uint8)
    assert opened(image_thumbnail(np.zeros((*shape, 3), np.uint8), side)).size == size
    assert opened(map_thumbnail(zeros.astype(np.float32), side)).size == size
    assert opened(code_thumbnail(zeros, side)).size == size


def test_an_image_keeps_its_colours_and_a_map_is_grey():
    image = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    shown = opened(image_thumbnail(image, 16))
    assert (shown.format, shown.mode) == ("JPEG", "RGB")
    np.testing.assert_allclose(np.asarray(shown).mean(axis=(0, 1)), (200, 40, 90), atol=3)
    assert opened(map_thumbnail(np.ones((16, 16)), 16)).mode == "L"


def test_a_map_is_averaged_and_its_brightest_half_percent_is_white():
    saliency = np.full((400, 100), 2.0)
    saliency[:, ::2] = 0.0
    saliency[0, 1] = 1e6  # one pixel does not darken the others
    assert display_top(saliency) == 2.0
    reduced = np.asarray(opened(map_thumbnail(saliency, 200)))
    np.testing.assert_allclose(reduced[20:], 127.5, atol=3)
    whole = np.asarray(opened(map_thumbnail(np.repeat([[0.0, 2.0]], 16, axis=0).repeat(16, axis=1), 32)))
    assert whole[:, :8].max() < 5
    assert whole[:, -8:].min() > 250


def test_a_map_without_saliency_is_black():
    assert display_top(np.full((4, 4), np.nan)) == 0.0
    assert not np.asarray(opened(map_thumbnail(np.zeros((8, 8)), 8))).any()


def test_codes_come_back_as_they_were():
    codes = np.random.default_rng(0).integers(0, 4, (32, 32)).astype(np.uint8)
    shown = opened(code_thumbnail(codes, 32))
    assert (shown.format, shown.mode) == ("PNG", "L")
    np.testing.assert_array_equal(np.asarray(shown) / CODE_STEP, codes)
    assert set(np.unique(opened(code_thumbnail(codes, 16)))) <= {0, 85, 170, 255}  # none is made up between two
