"""Student's, Welch's and Wilcoxon's tests of unit means, and equivalence: against SciPy and statsmodels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saliency_stats.statistics.inference import (
    equivalence_p,
    t_slide_means,
    welch,
    wilcoxon_slide_means,
)

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


GOLDEN = Path(__file__).parent / "golden"
DATA = pd.read_csv(GOLDEN / "one_sample_data.csv")
SAMPLES = list(pd.read_csv(GOLDEN / "one_sample.csv").itertuples())


def ids(row):
    return row.sample


def means_of(row):
    return np.sort(DATA.loc[DATA["sample"] == row.sample, "value"].to_numpy())


@pytest.mark.parametrize("row", SAMPLES, ids=ids)
def test_t_agrees_with_r(row):
    found = t_slide_means(means_of(row), alpha=0.05)
    assert (found.statistic, found.df, found.p_value) == pytest.approx((row.t, row.t_df, row.t_p), rel=1e-10)
    assert (found.ci_low, found.ci_high) == pytest.approx((row.t_low, row.t_high), rel=1e-10)


@pytest.mark.parametrize("row", SAMPLES, ids=ids)
def test_wilcoxon_agrees_with_r(row):
    found = wilcoxon_slide_means(means_of(row), alpha=0.05)
    assert found.statistic == row.wilcoxon
    assert found.estimate == pytest.approx(row.walsh_median)
    assert found.p_value == pytest.approx(row.wilcoxon_p, rel=1e-10)
    if row.wilcoxon_exact and row.n > 5:  # with five R calls the extremes an interval of 95 %; none has that coverage
        assert (found.ci_low, found.ci_high) == pytest.approx((row.wilcoxon_low, row.wilcoxon_high))
    if row.n == 5:
        assert np.isnan([found.ci_low, found.ci_high]).all()


@pytest.mark.parametrize("row", SAMPLES, ids=ids)
def test_the_p_value_of_two_one_sided_tests_agrees_with_r(row):
    assert equivalence_p(means_of(row), margin=row.margin) == pytest.approx(row.tost_p, rel=1e-12)


def test_welch_is_scipys():
    one, two = np.array([1.0, 2.0, 4.0, 3.5]), np.array([0.0, 0.5, -1.0, 0.2, 0.9, 1.4])
    found = welch(one, two, alpha=0.1)
    expected = stats.ttest_ind(one, two, equal_var=False)
    assert (found.statistic, found.df, found.p_value) == (expected.statistic, expected.df, expected.pvalue)
    assert (found.ci_low, found.ci_high) == tuple(expected.confidence_interval(0.9))
    assert found.note == ""


@pytest.mark.parametrize("shift", [-0.3, -0.05, 0.0, 0.1, 0.5])
def test_equivalence_is_the_larger_of_two_one_sided_tests(shift):
    means = np.array([-0.2, -0.1, 0.05, 0.1, 0.15]) + shift
    low = stats.ttest_1samp(means, -0.2, alternative="greater").pvalue
    high = stats.ttest_1samp(means, 0.2, alternative="less").pvalue
    found = equivalence_p(means, margin=0.2)
    assert found == pytest.approx(max(low, high))
    ends = stats.t.interval(0.9, 4, means.mean(), stats.sem(means))
    assert (found <= 0.05) == (ends[0] >= -0.2 and ends[1] <= 0.2)


def test_wilcoxon_counts_the_ranks_of_what_is_above_zero():
    found = wilcoxon_slide_means(np.array([-3.0, 0.0, 1.0, 2.0, 4.0, 5.0, 6.5, 7.0]), alpha=0.3)
    assert found.statistic == 1 + 2 + 4 + 5 + 6 + 7  # |-3| has rank 3, the zero none
    assert np.isnan(found.df)
    assert found.note == ""
    short = wilcoxon_slide_means(np.array([1.0, 2.0, 3.5, 4.25, 6.0]), alpha=0.05)
    assert short.note == "Wilcoxon's test over 5 units sets no finite interval at this level"
    assert np.isnan([short.ci_low, short.ci_high]).all()
    # 2 / 2^5 is the level itself: the interval is that of the extremes
    exact = wilcoxon_slide_means(np.array([1.0, 2.0, 3.5, 4.25, 6.0]), alpha=2 / 2**5)
    assert (exact.ci_low, exact.ci_high) == (1.0, 6.0)


@pytest.mark.parametrize("n", [50, 51])
def test_wilcoxon_is_exact_up_to_fifty_units(n):
    means = np.random.default_rng(0).normal(0.2, 1, n)
    method = "exact" if n == 50 else "approx"
    other = {"exact": "approx", "approx": "exact"}[method]
    found = wilcoxon_slide_means(means, alpha=0.05)
    assert found.p_value == pytest.approx(stats.wilcoxon(means, method=method).pvalue, rel=1e-12)
    assert found.p_value != pytest.approx(stats.wilcoxon(means, method=other).pvalue, rel=1e-6)
