"""Student's, Welch's and Wilcoxon's tests of unit means, and equivalence: against SciPy and statsmodels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saliency_stats.statistics.inference import wilcoxon_slide_means

samples = st.builds(
    lambda n, shift, seed: np.sort(np.random.default_rng(seed).normal(shift, 1, n)),
    st.integers(4, 20),
    st.floats(-2, 2),
    st.integers(0, 2**31),
)


@given(samples, st.sampled_from([0.05, 0.1, 0.3]))
def test_wilcoxon_is_scipys_and_its_interval_its_dual(means, alpha):
    found = wilcoxon_slide_means(means, alpha=alpha)
    assert found.p_value == pytest.approx(stats.wilcoxon(means, method="exact").pvalue)
    if np.isfinite(found.ci_low):
        assert (found.ci_low > 0 or found.ci_high < 0) == (found.p_value <= alpha)
        assert found.ci_low <= found.estimate <= found.ci_high
        for limit, outwards in ((found.ci_low, -1e-9), (found.ci_high, 1e-9)):
            assert stats.wilcoxon(means - limit - outwards, method="exact").pvalue <= alpha
    else:
        assert found.p_value > alpha or 2 / 2**means.size > alpha
        assert "units" in found.note


def test_wilcoxon_with_ties_or_many_units_uses_the_normal_ranks():
    tied = np.sort(np.concatenate([np.full(6, 0.5), np.linspace(-0.5, 2, 20)]))
    assert wilcoxon_slide_means(tied, alpha=0.05).p_value == pytest.approx(stats.wilcoxon(tied, method="approx").pvalue)
    many = np.sort(np.random.default_rng(0).normal(0.1, 1, 300))
    found = wilcoxon_slide_means(many, alpha=0.05)
    assert (found.ci_low > 0 or found.ci_high < 0) == (found.p_value <= 0.05)
    assert found.ci_high - found.ci_low == pytest.approx(2 * 1.96 * (np.pi / 3) ** 0.5 / 300**0.5, rel=0.1)
