import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saliency_stats.statistics.effects import effect_sizes

samples = st.builds(
    lambda n, shift, seed: np.random.default_rng(seed).normal(shift, 1, n),
    st.integers(3, 40),
    st.floats(-3, 3),
    st.integers(0, 2**31),
)


@given(samples, st.sampled_from([0.05, 0.2]))
def test_the_limits_of_d_z_are_where_the_observed_t_is_in_the_tail(means, alpha):
    found = effect_sizes(means, alpha=alpha)
    root_n, df = means.size**0.5, means.size - 1
    t = found.d_z * root_n
    assert t == pytest.approx(stats.ttest_1samp(means, 0).statistic)
    assert stats.nct.sf(t, df, found.d_z_low * root_n) == pytest.approx(alpha / 2, abs=1e-4)
    assert stats.nct.cdf(t, df, found.d_z_high * root_n) == pytest.approx(alpha / 2, abs=1e-4)
    assert (found.d_z_low > 0 or found.d_z_high < 0) == (stats.ttest_1samp(means, 0).pvalue < alpha)


@given(samples)
def test_the_other_sign_and_another_scale(means):
    found, mirrored, scaled = (effect_sizes(x, alpha=0.05) for x in (means, -means, 3 * means))
    assert mirrored.d_z == -found.d_z
    assert mirrored.d_z_low == pytest.approx(-found.d_z_high, abs=1e-5)
    assert mirrored.superiority == pytest.approx(1 - found.superiority)
    assert mirrored.superiority_low == pytest.approx(1 - found.superiority_high)
    assert scaled.d_z == pytest.approx(found.d_z)
    assert scaled.superiority == found.superiority


def test_superiority_is_the_share_of_units_with_scipys_exact_interval():
    found = effect_sizes(np.array([0.3, 0.1, -0.2, 0.5, 0.4, 0.2, 0.9]), alpha=0.05)
    expected = stats.binomtest(6, 7).proportion_ci(0.95, method="exact")
    assert found.superiority == 6 / 7
    assert (found.superiority_low, found.superiority_high) == pytest.approx((expected.low, expected.high))
    assert effect_sizes(np.array([0.0, 0.1, -0.2, 0.5]), alpha=0.05).superiority == 2.5 / 4
    assert effect_sizes(np.array([0.1, 0.2, 0.3]), alpha=0.05).superiority_high == 1.0


def test_the_interval_of_d_z_by_hand():
    found = effect_sizes(np.array([1.0, 2.0, 3.0, 6.0]), alpha=0.1)
    assert found.d_z == pytest.approx(3 / (14 / 3) ** 0.5)
    t = found.d_z * 2
    assert stats.nct.sf(t, 3, found.d_z_low * 2) == pytest.approx(0.05, abs=1e-6)
    assert stats.nct.cdf(t, 3, found.d_z_high * 2) == pytest.approx(0.05, abs=1e-6)
