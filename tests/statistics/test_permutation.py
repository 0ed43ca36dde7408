"""Permutations of units between two samples: exact, studentised, and with an interval that inverts them."""

import numpy as np
import pytest
from scipy import stats

from saliency_stats.statistics import permutation as module
from saliency_stats.statistics.permutation import least_permutation_p, permutation


def drawn(seed, n, m, *, shift=0.0, spread=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, n), rng.normal(0, spread, m)


@pytest.mark.parametrize(("n", "m"), [(3, 3), (4, 6), (7, 5)])
def test_the_exact_p_value_is_scipys(n, m):
    one, two = drawn(n, n, m, shift=0.8, spread=2)

    def welch(a, b, axis):
        return np.abs(stats.ttest_ind(a, b, axis=axis, equal_var=False).statistic)

    reference = stats.permutation_test((one, two), welch, n_resamples=np.inf, alternative="greater")
    found = permutation(one, two, alpha=0.05, draws=2_000, seed=0)
    assert found.p_value == pytest.approx(reference.pvalue)
    assert found.statistic == pytest.approx(stats.ttest_ind(one, two, equal_var=False).statistic)
    assert np.isnan([found.df, found.estimate]).all()


@pytest.mark.parametrize("sizes", [(6, 7), (14, 11)])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_a_difference_is_in_the_interval_if_it_is_not_rejected(sizes, alpha):
    one, two = drawn(2, *sizes, shift=0.5, spread=0.6)
    found = permutation(one, two, alpha=alpha, draws=2_000, seed=1)
    assert found.ci_low < one.mean() - two.mean() < found.ci_high
    for limit, outwards in ((found.ci_low, -1), (found.ci_high, 1)):
        for step, rejected in ((1e-6, True), (-1e-6, False)):
            moved = permutation(one - limit - outwards * step, two, alpha=alpha, draws=2_000, seed=1)
            assert (moved.p_value <= alpha) == rejected


def test_neither_units_nor_sides_matter_beyond_the_sign():
    one, two = drawn(5, 5, 7, shift=1)
    found = permutation(one, two, alpha=0.05, draws=2_000, seed=0)
    scaled = permutation(1e-6 * one + 3, 1e-6 * two + 3, alpha=0.05, draws=2_000, seed=0)
    turned = permutation(two, one, alpha=0.05, draws=2_000, seed=0)
    assert scaled.p_value == turned.p_value == found.p_value
    assert (scaled.ci_low, scaled.ci_high) == pytest.approx((1e-6 * found.ci_low, 1e-6 * found.ci_high), rel=1e-6)
    assert (turned.ci_low, turned.ci_high) == pytest.approx((-found.ci_high, -found.ci_low))


def test_many_splits_are_drawn_and_the_observed_one_counts():
    assert module.EXACT_SPLITS == 2**15
    one, two = drawn(0, 20, 20, shift=9)
    found, again, other = (permutation(one, two, alpha=0.05, draws=2_000, seed=seed) for seed in (1, 1, 2))
    assert found == again
    assert found.p_value == 1 / 2_001
    assert found.ci_low != other.ci_low
    assert found.ci_low < 9 < found.ci_high


def test_the_limit_between_all_splits_and_drawn_ones(monkeypatch):
    one, two = drawn(4, 4, 4)
    monkeypatch.setattr(module, "EXACT_SPLITS", 70)
    exact = permutation(one, two, alpha=0.3, draws=2_000, seed=0)
    assert exact.p_value * 70 == pytest.approx(round(exact.p_value * 70))
    assert least_permutation_p(4, 4, 2_000) == 2 / 70
    monkeypatch.setattr(module, "EXACT_SPLITS", 69)
    assert permutation(one, two, alpha=0.3, draws=2_000, seed=0).p_value != exact.p_value
    assert least_permutation_p(4, 4, 2_000) == 1 / 2_001


def test_the_least_p_value_is_reached_by_samples_far_apart():
    for n, m in ((3, 3), (3, 4), (5, 2)):
        found = permutation(100.0 + np.arange(n), np.arange(m) / 2, alpha=0.05, draws=2_000, seed=0)
        assert found.p_value == pytest.approx(least_permutation_p(n, m, 2_000))


def test_too_few_units_have_no_limits_and_say_so():
    found = permutation(np.array([1.0, 2.0, 4.0]), np.array([0.0, 3.0, 9.0]), alpha=0.05, draws=2_000, seed=0)
    assert np.isnan([found.ci_low, found.ci_high]).all()
    assert found.note == "permutations of 6 units set no finite interval at this level"
    assert permutation(*drawn(0, 6, 6), alpha=0.05, draws=2_000, seed=0).note == ""


def test_unequal_variances_of_samples_of_unequal_size_do_not_mislead_it():
    rng = np.random.default_rng(0)
    plain = studentised = 0
    for _ in range(300):
        one, two = rng.normal(0, 3, 6), rng.normal(0, 1, 18)
        studentised += permutation(one, two, alpha=0.05, draws=400, seed=0).p_value <= 0.05
        plain += stats.ttest_ind(one, two).pvalue <= 0.05
    assert studentised <= 30  # 15 expected
    assert plain >= 45
