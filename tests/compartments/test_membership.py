import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from saliency_stats.compartments import downsample, from_codes, to_codes
from saliency_stats.errors import CompartmentError
from saliency_stats.vocabulary import COMPARTMENT_CODES, COMPARTMENTS

maps = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3))


@given(maps)
def test_codes_survive_the_round_trip(codes):
    memberships = from_codes(codes)
    assert memberships.dtype == np.float32
    np.testing.assert_array_equal(memberships.sum(axis=0), 1)
    np.testing.assert_array_equal(to_codes(memberships), codes)


def test_order_is_that_of_the_vocabulary():
    for k, name in enumerate(COMPARTMENTS):
        memberships = from_codes(np.full((2, 2), COMPARTMENT_CODES[name]))
        assert memberships[k].all()
        assert memberships.sum() == 4


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_downsampling_conserves_area_and_unity(factor, rows, columns, seed):
    rng = np.random.default_rng(seed)
    memberships = rng.dirichlet(np.ones(4), (rows * factor, columns * factor)).transpose(2, 0, 1)
    small = downsample(memberships, factor)
    assert small.shape == (4, rows, columns)
    np.testing.assert_allclose(small.mean(axis=(1, 2)), memberships.mean(axis=(1, 2)), atol=1e-12, rtol=0)
    np.testing.assert_allclose(small.sum(axis=0), 1, atol=1e-12)


def test_downsampling_takes_the_mean_of_each_block():
    codes = np.zeros((4, 4), np.uint8)
    codes[0, 0] = codes[2:, 2:] = COMPARTMENT_CODES["nucleus"]
    np.testing.assert_array_equal(downsample(from_codes(codes), 2)[0], [[0.25, 0], [0, 1]])


def test_ties_go_to_the_first_named():
    half = np.zeros((4, 1, 1))
    half[1] = half[2] = 0.5
    assert to_codes(half)[0, 0] == COMPARTMENT_CODES["cytoplasm"]


def test_bad_maps_are_refused():
    with pytest.raises(CompartmentError, match="7"):
        from_codes(np.full((3, 3), 7))
    with pytest.raises(CompartmentError, match=r"\(3,\)"):
        from_codes(np.zeros(3))
    with pytest.raises(CompartmentError, match="K = 4"):
        to_codes(np.zeros((3, 5, 5)))
    with pytest.raises(CompartmentError, match="blocks of 2"):
        downsample(np.zeros((4, 5, 4)), 2)
    with pytest.raises(CompartmentError, match="blocks of 0"):
        downsample(np.zeros((4, 4, 4)), 0)
