import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.cohort.patch import Patch, nominal_magnification

LADDER = {0.125: 80.0, 0.25: 40.0, 0.5: 20.0, 1.0: 10.0, 2.0: 5.0, 4.0: 2.5, 8.0: 1.25}
SIZES = st.floats(0.05, 20.0)


@pytest.mark.parametrize(("mpp", "name"), LADDER.items())
def test_the_ladder_of_objectives(mpp, name):
    assert nominal_magnification(mpp) == name


@pytest.mark.parametrize(("mpp", "name"), [(0.243, 40), (0.2528, 40), (0.499, 20), (0.972, 10)])
def test_scanners_differ_by_some_per_cent(mpp, name):
    assert nominal_magnification(mpp) == name


@settings(deadline=None)
@given(SIZES)
def test_the_name_is_the_nearest_step(mpp):
    step = nominal_magnification(mpp)
    assert np.log2(step / 40) == round(np.log2(step / 40))
    assert abs(np.log2(step * mpp / 10)) <= 0.5 + 1e-9


@settings(deadline=None)
@given(SIZES, SIZES)
def test_finer_pixels_never_have_the_smaller_name(first, second):
    fine, coarse = sorted((first, second))
    assert nominal_magnification(fine) >= nominal_magnification(coarse)


@settings(deadline=None)
@given(st.floats(0.1, 10.0))
def test_half_the_pixel_size_is_twice_the_magnification(mpp):
    assert nominal_magnification(mpp / 2) == 2 * nominal_magnification(mpp)


def test_a_patch_without_a_known_truth_has_none():
    patch = Patch(np.zeros((32, 32, 3), np.uint8))
    assert patch.truth is None
    assert patch.instances is None
