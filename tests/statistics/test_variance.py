import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saliency_stats.statistics import clustering


@given(st.lists(st.integers(2, 9), min_size=2, max_size=6), st.integers(0, 2**31))
def test_icc_follows_from_the_f_ratio(sizes, seed):
    rng = np.random.default_rng(seed)
    groups = [rng.normal(rng.normal(), 1, size) for size in sizes]
    found = clustering(np.concatenate(groups), np.repeat(np.arange(len(sizes)), sizes))
    n, k = sum(sizes), len(sizes)
    n0 = (n - sum(size**2 for size in sizes) / n) / (k - 1)
    f = stats.f_oneway(*groups).statistic
    assert found.n0 == pytest.approx(n0)
    assert found.icc == pytest.approx(max(0, (f - 1) / (f + n0 - 1)), abs=1e-9)
    assert found.design_effect == pytest.approx(1 + (n0 - 1) * found.icc)
    assert found.n_effective * found.design_effect == pytest.approx(n)


def test_a_planted_icc_is_recovered():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 0.3**0.5, (400, 1)) + rng.normal(0, 0.7**0.5, (400, 20))
    assert clustering(values.ravel(), np.repeat(np.arange(400), 20)).icc == pytest.approx(0.3, abs=0.04)


def test_equal_units_have_no_clustering_and_identical_patches_have_nothing_else():
    alternating = clustering(np.array([0.0, 1.0] * 6), np.repeat(np.arange(3), 4))
    assert (alternating.icc, alternating.design_effect, alternating.n_effective) == (0, 1, 12)
    copies = clustering(np.repeat([1.0, 2.0, 3.0], 4), np.repeat(np.arange(3), 4))
    assert (copies.icc, copies.design_effect, copies.n_effective) == (1, 4, 3)


def test_one_patch_a_unit_has_design_effect_one():
    found = clustering(np.array([1.0, 2.0, 4.0]), np.arange(3))
    assert np.isnan(found.icc)
    assert (found.design_effect, found.n_effective) == (1, 3)


@pytest.mark.parametrize(("values", "units"), [([1.0, 2.0], [0, 0]), ([1.0] * 4, [0, 0, 1, 1])])
def test_what_cannot_be_estimated_is_nan(values, units):
    found = clustering(np.array(values), np.array(units))
    assert np.isnan([found.icc, found.design_effect, found.n_effective]).all()


def test_the_analysis_of_variance_by_hand():
    # units of 2 and 4 patches: means 1 and 4, grand mean 3, sums of squares 2 and 4 within, 12 between
    found = clustering(np.array([0.0, 2.0, 3.0, 3.0, 5.0, 5.0]), np.array([0, 0, 1, 1, 1, 1]))
    n0 = 6 - (4 + 16) / 6
    icc = (12 - 1.5) / (12 + (n0 - 1) * 1.5)
    assert (found.n0, found.icc) == (pytest.approx(n0), pytest.approx(icc))
    assert found.design_effect == pytest.approx(1 + (n0 - 1) * icc)
    assert found.n_effective == pytest.approx(6 / (1 + (n0 - 1) * icc))
    alone = clustering(np.array([1.0, 2.0]), np.array([0, 0]))
    assert np.isnan([alone.icc, alone.n0, alone.design_effect, alone.n_effective]).all()
