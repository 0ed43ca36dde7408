"""Maps of the image: edges of what the network receives, and the two stains."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.compartments import Stains, concentrations
from saliency_stats.errors import AttributionError
from saliency_stats.saliency.controls import CONTROLS
from saliency_stats.saliency.image_maps import eosin, haematoxylin, sobel

SIZE = (12, 9)
NO_STAIN = np.zeros((2, *SIZE), dtype=np.float32)

MAPS = {name: control.map for name, control in CONTROLS.items() if control.map is not None}


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_map_is_finite_not_negative_and_of_the_size_of_the_image(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    for make in MAPS.values():
        found = make(image, rng.normal(size=(2, *SIZE)).astype(np.float32))
        assert found.shape == SIZE
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert (found >= 0).all()


def test_names_are_those_of_the_columns():
    assert list(MAPS) == ["sobel", "haematoxylin", "eosin"]


def test_a_ramp_has_the_slope_that_sobel_gives_it():
    image = np.broadcast_to(np.arange(SIZE[1], dtype=np.uint8)[:, None] * 20, (*SIZE, 3)).copy()
    found = sobel(image, NO_STAIN)
    # 20 of 255 a pixel, over two pixels, along x only: one of the two squared differences is zero
    np.testing.assert_allclose(found[:, 1:-1], 2 * 20 / 255 / np.sqrt(2), rtol=1e-5)
    np.testing.assert_allclose(sobel(image.swapaxes(0, 1), NO_STAIN.swapaxes(1, 2)), found.T, atol=1e-7)
    assert not sobel(np.full((*SIZE, 3), 200, np.uint8), NO_STAIN).any()


def test_edges_do_not_depend_on_how_dark_the_place_is():
    """The same step of light counts the same in dark and in pale tissue; in optical density it would not."""
    dark, pale = (np.full((*SIZE, 3), level, dtype=np.uint8) for level in (30, 200))
    dark[6:] += 25
    pale[6:] += 25
    np.testing.assert_allclose(sobel(dark, NO_STAIN), sobel(pale, NO_STAIN), atol=1e-7)


def test_the_stains_are_the_slides_own():
    rng = np.random.default_rng(0)
    image = rng.integers(60, 256, (*SIZE, 3), dtype=np.uint8)
    h, e = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])
    stains = Stains((tuple(h / np.linalg.norm(h)), tuple(e / np.linalg.norm(e))), "macenko")
    found = concentrations(image, stains)
    np.testing.assert_array_equal(haematoxylin(image, found), found[0])
    np.testing.assert_array_equal(eosin(image, found), found[1])
    assert haematoxylin(image, found - 0.2).min() == 0  # some is left, none is negative
    assert haematoxylin(image, found - 0.2).max() > 0


def test_maps_do_not_share_memory_with_their_input():
    stains = np.ones((2, *SIZE), dtype=np.float32)
    haematoxylin(np.zeros((*SIZE, 3), np.uint8), stains)[:] = 5
    assert (stains == 1).all()


@pytest.mark.parametrize("name", MAPS)
def test_what_does_not_fit_is_named(name):
    make = MAPS[name]
    with pytest.raises(AttributionError, match=r"type float64; expected \(H, W, 3\) uint8"):
        make(np.zeros((*SIZE, 3)), NO_STAIN)
    with pytest.raises(AttributionError, match=r"shape \(12, 9\) and"):
        make(np.zeros(SIZE, np.uint8), NO_STAIN)
    with pytest.raises(AttributionError, match=r"\(2, 9, 12\) for .*\(2, 12, 9\)"):
        make(np.zeros((*SIZE, 3), np.uint8), NO_STAIN.swapaxes(1, 2))


def test_the_module_itself_needs_no_torch():
    code = (
        "import importlib.util as u, sys; "
        f"spec = u.spec_from_file_location('maps', {sys.modules[sobel.__module__].__file__!r}); "
        "spec.loader.exec_module(u.module_from_spec(spec)); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
