from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from saliency_stats.statistics import resampling
from saliency_stats.statistics.inference import t_slide_means
from saliency_stats.statistics.resampling import cluster_bootstrap, sign_flip

DRAWS = 1_999
samples = st.builds(
    lambda n, shift, seed: np.sort(np.random.default_rng(seed).normal(shift, 1, n)),
    st.integers(3, 20),
    st.floats(-2, 2),
    st.integers(0, 2**31),
)


@given(samples.filter(lambda x: x.size <= 10))
def test_exact_sign_flip_is_scipys_permutation_test(means):
    reference = stats.permutation_test(
        (means,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True, axis=-1
    )
    found = sign_flip(means, alpha=0.05, draws=DRAWS, seed=0)
    assert found.p_value == pytest.approx(reference.pvalue, abs=1e-12)
    assert found.statistic == pytest.approx(means.mean())


@settings(deadline=None)
@given(samples, st.sampled_from([0.01, 0.05, 0.1, 0.3]), st.integers(0, 1000))
def test_intervals_and_p_values_are_duals(means, alpha, seed):
    for found in (
        t_slide_means(means, alpha=alpha),
        sign_flip(means, alpha=alpha, draws=DRAWS, seed=seed),
        cluster_bootstrap(means, alpha=alpha, draws=DRAWS, seed=seed),
    ):
        outside = found.ci_low > 0 or found.ci_high < 0
        assert outside == (found.p_value <= alpha)
        assert 0 < found.p_value <= 1


@given(samples.filter(lambda x: 6 <= x.size <= 9))
def test_sign_flip_limits_are_where_the_test_starts_to_reject(means):
    found = sign_flip(means, alpha=0.1, draws=DRAWS, seed=0)
    step = 1e-6
    for limit, outwards in ((found.ci_low, -step), (found.ci_high, step)):
        p_outside = sign_flip(means - limit - outwards, alpha=0.1, draws=DRAWS, seed=0).p_value
        p_inside = sign_flip(means - limit + outwards, alpha=0.1, draws=DRAWS, seed=0).p_value
        assert p_outside <= 0.1 < p_inside


@given(samples, st.floats(-5, 5), st.floats(0.1, 10))
def test_intervals_move_and_stretch_with_the_values(means, shift, scale):
    for test in (sign_flip, cluster_bootstrap):
        base = test(means, alpha=0.1, draws=DRAWS, seed=3)
        moved = test(scale * means + shift, alpha=0.1, draws=DRAWS, seed=3)
        for end in ("ci_low", "ci_high"):
            expected = scale * getattr(base, end) + shift
            assert getattr(moved, end) == pytest.approx(expected, abs=1e-6, nan_ok=True)


@given(samples.filter(lambda x: x.size <= resampling.EXACT_UNITS))
def test_the_other_sign_mirrors_the_exact_test(means):
    found, mirrored = (sign_flip(np.sort(x), alpha=0.05, draws=DRAWS, seed=0) for x in (means, -means))
    assert found.p_value == mirrored.p_value
    assert found.ci_low == pytest.approx(-mirrored.ci_high, nan_ok=True)


def test_monte_carlo_sign_flip_approaches_the_exact_one(monkeypatch):
    means = np.sort(np.random.default_rng(4).normal(0.4, 1, 12))
    exact = sign_flip(means, alpha=0.05, draws=DRAWS, seed=0)
    monkeypatch.setattr(resampling, "EXACT_UNITS", 0)
    drawn = sign_flip(means, alpha=0.05, draws=40_000, seed=0)
    error = (exact.p_value * (1 - exact.p_value) / 40_000) ** 0.5
    assert drawn.p_value == pytest.approx(exact.p_value, abs=4 * error)
    assert (drawn.ci_low, drawn.ci_high) == pytest.approx((exact.ci_low, exact.ci_high), abs=0.03)


def test_the_smallest_monte_carlo_p_value_counts_the_observed_assignment():
    means = np.linspace(5, 6, 30)
    assert sign_flip(means, alpha=0.05, draws=DRAWS, seed=0).p_value == 1 / (1 + DRAWS)
    assert cluster_bootstrap(means, alpha=0.05, draws=DRAWS, seed=0).p_value == 2 / (1 + DRAWS)


def test_five_units_cannot_reject_by_sign_flips_and_say_so():
    found = sign_flip(np.arange(1.0, 6.0), alpha=0.05, draws=DRAWS, seed=0)
    assert found.p_value == 2 / 2**5
    assert np.isnan([found.ci_low, found.ci_high]).all()
    assert "5 units" in found.note


def test_three_units_give_the_bootstrap_no_finite_interval():
    found = cluster_bootstrap(np.array([1.0, 1.1, 1.3]), alpha=0.05, draws=DRAWS, seed=0)
    assert np.isnan([found.ci_low, found.ci_high]).all()
    assert "3 units" in found.note
    assert found.p_value > 0.05


def test_drawing_in_blocks_is_the_same_test(monkeypatch):
    means = np.sort(np.random.default_rng(5).normal(0.3, 1, 25))
    whole = [test(means, alpha=0.05, draws=DRAWS, seed=1) for test in (sign_flip, cluster_bootstrap)]
    monkeypatch.setattr(resampling, "_KEPT", 0)
    assert [test(means, alpha=0.05, draws=DRAWS, seed=1) for test in (sign_flip, cluster_bootstrap)] == whole
    monkeypatch.setattr(resampling, "BLOCK", 1_000)
    in_parts = [test(means, alpha=0.05, draws=DRAWS, seed=1) for test in (sign_flip, cluster_bootstrap)]
    assert [found.p_value for found in in_parts] == pytest.approx([found.p_value for found in whole], abs=0.01)
    assert all(np.isfinite(found.ci_low) for found in in_parts)


def test_type_one_error_is_near_its_level():
    rng = np.random.default_rng(6)
    n, rejected = 400, np.zeros(3)
    for i in range(n):
        means = rng.normal(0, 0.2**0.5, (10, 1)) + rng.normal(0, 0.8**0.5, (10, 50))
        x = np.sort(means.mean(axis=1))
        p_values = (
            t_slide_means(x, alpha=0.05).p_value,
            sign_flip(x, alpha=0.05, draws=DRAWS, seed=i).p_value,
            cluster_bootstrap(x, alpha=0.05, draws=999, seed=i).p_value,
        )
        rejected += np.array(p_values) <= 0.05
    # 0.05 ± 3 standard errors of 400 trials
    assert np.all((rejected / n > 0.017) & (rejected / n < 0.083)), rejected / n


@given(samples)
def test_t_is_scipys(means):
    reference = stats.ttest_1samp(means, 0)
    found = t_slide_means(means, alpha=0.05)
    se = means.std(ddof=1) / means.size**0.5
    assert found.statistic == pytest.approx(means.mean() / se, rel=1e-9)
    assert found.p_value == pytest.approx(reference.pvalue, abs=1e-12)
    assert found.ci_high - found.ci_low == pytest.approx(2 * se * stats.t.ppf(0.975, means.size - 1))


GOLDEN = Path(__file__).parent / "golden"
DATA = pd.read_csv(GOLDEN / "one_sample_data.csv")
SAMPLES = list(pd.read_csv(GOLDEN / "one_sample.csv").itertuples())


def ids(row):
    return row.sample


def means_of(row):
    return np.sort(DATA.loc[DATA["sample"] == row.sample, "value"].to_numpy())


@pytest.mark.parametrize("row", [row for row in SAMPLES if row.n <= 16], ids=ids)
def test_sign_flips_agree_with_enumeration_in_r(row):
    found = sign_flip(means_of(row), alpha=0.05, draws=2_000, seed=0)
    assert found.p_value == pytest.approx(row.sign_flip_p, rel=1e-12)


def test_the_least_p_value_of_flips_is_that_of_means_of_one_sign():
    for n, draws in ((3, 2_000), (16, 2_000), (17, 3_000)):
        found = sign_flip(np.linspace(1, 2, n) * 1e3, alpha=0.05, draws=draws, seed=0)
        assert resampling.least_flip_p(n, draws) == pytest.approx(found.p_value, rel=1e-12)


def test_draws_grow_with_the_hypotheses():
    assert [resampling.draws_needed(m, 0.05) for m in (1, 2, 40)] == [400, 800, 16_000]
    assert resampling.draws_needed(1, 0.03) == 667


def test_ranks_and_order_statistics_count_from_one():
    values = np.random.default_rng(0).permutation(np.arange(1.0, 60.0))
    assert [resampling._order_statistic(values, rank) for rank in range(1, 60)] == sorted(values)
    assert resampling._order_statistic(values, 0) == -np.inf
    # 0.05 of 20 is 1 although the product lies just below
    assert [resampling._rank(tail, 19) for tail in (0.049, 0.05, 0.15, 0.999)] == [0, 1, 3, 19]
    assert list(resampling.blocks_of(10, 7)) == [7]


def test_draws_go_through_in_blocks(monkeypatch):
    monkeypatch.setattr(resampling, "BLOCK", 20)
    assert list(resampling.blocks_of(10, 5)) == [2, 2, 1]
    assert list(resampling.blocks_of(30, 2)) == [1, 1]
    flips = np.concatenate(list(resampling.flips_of(20, 5, seed=3)))
    assert flips.shape == (5, 20)
    every = np.concatenate(list(resampling.flips_of(4, 99, seed=0)))
    assert len({tuple(row) for row in every.tolist()}) == len(every) == 2**3 - 1
    assert not every[:, -1].any()
    assert every.any(axis=1).all()


@pytest.mark.parametrize("n", [16, 17])
def test_up_to_sixteen_units_every_assignment_is_visited(n):
    drawn = sum(len(block) for block in resampling.flips_of(n, 50, seed=0))
    assert drawn == (2**15 - 1 if n == 16 else 50)


def test_the_bootstrap_is_studentised_by_hand():
    means = np.array([1.0, 2.0, 4.0, 8.0, 9.0])
    found = cluster_bootstrap(means, alpha=0.2, draws=1_999, seed=5)
    rng = np.random.default_rng((5, 2))
    sample = (means - means.mean())[rng.integers(0, 5, size=(1_999, 5))]
    spread = sample.std(axis=1, ddof=1) / 5**0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.nan_to_num(sample.mean(axis=1) / np.where(spread > 1e-9, spread, 0.0), posinf=np.inf, neginf=-np.inf)
    se = means.std(ddof=1) / 5**0.5
    assert found.statistic == pytest.approx(means.mean() / se)
    assert found.p_value == pytest.approx(2 * (1 + (t >= means.mean() / se).sum()) / 2_000)
    assert found.ci_high == pytest.approx(means.mean() - np.sort(t)[199] * se)
    assert found.ci_low == pytest.approx(means.mean() - np.sort(t)[-200] * se)


@pytest.mark.parametrize("means", [[0.1] * 18 + [0.3, 0.7], [1e6 + 0.1] * 18 + [1e6 + 0.3, 1e6 + 0.7]])
def test_units_that_are_alike_do_not_spread(means):
    # of twenty draws from these a seventh are of the first kind alone, as far off the mean as can be
    found = cluster_bootstrap(np.array(means), alpha=0.2, draws=4_999, seed=0)
    assert found.ci_high == np.inf or np.isnan(found.ci_high)
    assert found.note == "the bootstrap over 20 units set no finite interval at this level"


def test_every_unit_is_drawn_as_often_as_it_is_counted():
    drawn = np.concatenate(list(resampling.resamples_of(7, 500, seed=2)))
    assert drawn.shape == (500, 7)
    assert (drawn.sum(axis=1) == 7).all()
    wanted = np.random.default_rng((2, 2)).integers(0, 7, size=(500, 7))
    assert drawn[3].tolist() == np.bincount(wanted[3], minlength=7).tolist()


def test_ties_count_at_every_scale():
    # 0.1 + 0.2 and 0.3 tie, though their sums round differently
    sample = np.array([[0.1, 0.2, -0.3, 0.3, 0.7, -0.6, 0.6]])
    at_one = resampling.sign_flip_p(sample, draws=2_000, seed=0)
    for scale in (1e-9, 1e6, 1e12):
        assert resampling.sign_flip_p(scale * sample, draws=2_000, seed=0) == at_one
