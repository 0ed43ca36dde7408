from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multivariate import test_mvmean as mean_test

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import resampling as module
from saliency_stats.statistics.multivariate import confidence_region, hotelling, sign_flip_rows
from saliency_stats.statistics.resampling import sign_flip

DRAWS = 1_999


def draw(seed, n, k, shift=0.3):
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, (n, k)) @ (np.eye(k) + 0.5)


samples = st.builds(
    lambda k, more, seed, shift: draw(seed, k + more, k, shift),
    st.integers(2, 4),  # statsmodels wants two coordinates
    st.integers(1, 20),
    st.integers(0, 2**31),
    st.floats(-1, 1),
)
planes = st.builds(draw, st.integers(0, 2**31), st.integers(4, 9), st.just(2))


@given(samples)
def test_it_is_the_test_of_statsmodels(means):
    found, expected = hotelling(means), mean_test(means)
    n, k = means.shape
    assert found.statistic == pytest.approx(expected.t2, rel=1e-6)
    assert found.f == pytest.approx(expected.statistic, rel=1e-6)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert (found.df1, found.df2, found.n, found.reason) == (k, n - k, n, "")
    np.testing.assert_allclose(found.mean, means.mean(axis=0))
    np.testing.assert_allclose(found.covariance, np.cov(means.T).reshape(k, k))


@given(st.integers(2, 30), st.integers(0, 2**31))
def test_with_one_coordinate_it_is_the_square_of_t(n, seed):
    means = draw(seed, n, 1)
    found, expected = hotelling(means), stats.ttest_1samp(means[:, 0], 0.0)
    assert found.statistic == pytest.approx(expected.statistic**2)
    assert found.p_value == pytest.approx(expected.pvalue)


@given(planes, st.integers(0, 2**31))
def test_no_linear_map_and_no_order_changes_it(means, seed):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(2, 2)))[0]
    changed = rng.permutation(means) @ (rotation * np.array([0.5, 3.0])) @ rotation
    assert hotelling(changed).statistic == pytest.approx(hotelling(means).statistic, rel=1e-6)
    flips = [sign_flip_rows(x, draws=DRAWS, seed=0) for x in (means, changed)]
    assert flips[0] == flips[1]


def test_its_type_i_error_and_that_of_the_sign_flips_are_nominal():
    rng = np.random.default_rng(11)
    simulated = [rng.normal(size=(8, 2)) @ np.array([[1.0, 0.7], [0.0, 0.4]]) for _ in range(1_500)]
    for p_values in (
        [hotelling(means).p_value for means in simulated],
        [sign_flip_rows(means, draws=DRAWS, seed=0) for means in simulated],
    ):
        assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.017)  # three standard errors


@given(planes, st.sampled_from([0.01, 0.05, 0.3]))
def test_the_border_of_the_region_is_where_the_test_starts_to_reject(means, alpha):
    border = confidence_region(hotelling(means), alpha=alpha, n_points=9)
    assert border.shape == (9, 2)
    np.testing.assert_allclose(border[0], border[-1])
    for place in border:
        assert hotelling(means - place).p_value == pytest.approx(alpha, rel=1e-5)


# Units that are each other's opposite tie with the observed assignment; their sums differ by rounding.
tied = planes.filter(lambda means: len(means) <= 4).map(lambda means: np.concatenate([means, -means[:2]]))


@given(planes.filter(lambda means: len(means) <= 7) | tied)
def test_the_exact_sign_flip_visits_every_assignment(means):
    observed = hotelling(means).statistic
    every = [hotelling(np.array(signs)[:, None] * means) for signs in product([1, -1], repeat=len(means))]
    statistics = [found.statistic if not found.reason else np.inf for found in every]
    expected = np.mean(np.array(statistics) >= observed * (1 - 1e-9))
    assert sign_flip_rows(means, draws=DRAWS, seed=0) == pytest.approx(expected, abs=1e-12)


@given(st.integers(3, 20), st.integers(0, 2**31))
def test_with_one_coordinate_it_is_the_sign_flip_of_the_mean(n, seed):
    means = draw(seed, n, 1)
    found = sign_flip_rows(means, draws=DRAWS, seed=0)
    expected = sign_flip(means[:, 0], alpha=0.05, draws=DRAWS, seed=0).p_value
    assert found == pytest.approx(expected, abs=1e-12 if n <= module.EXACT_UNITS else 0.06)


def test_random_flips_approach_all_of_them_and_count_the_observed_one(monkeypatch):
    means = draw(5, 12, 2, shift=0.5)
    exact = sign_flip_rows(means, draws=DRAWS, seed=0)
    monkeypatch.setattr(module, "EXACT_UNITS", 0)
    error = (exact * (1 - exact) / 40_000) ** 0.5
    assert sign_flip_rows(means, draws=40_000, seed=0) == pytest.approx(exact, abs=4 * error)
    far = np.random.default_rng(0).normal(9, 1, (40, 2)) * np.array([1.0, -1.0])
    monkeypatch.setattr(module, "BLOCK", 40 * 10)  # the draws come in blocks
    assert sign_flip_rows(far, draws=99, seed=0) == 1 / 100
    assert sign_flip_rows(means, draws=DRAWS, seed=1) == sign_flip_rows(means, draws=DRAWS, seed=1)


@pytest.mark.parametrize(
    ("means", "min_units", "words"),
    [
        (np.empty((0, 2)), 0, "there is no slide, and a test of 2 coordinates needs at least 3"),
        (draw(0, 1, 2), 0, "there is only 1 slide, and"),
        (draw(0, 2, 2), 0, "there are only 2 slides, and a test of 2 coordinates needs at least 3"),
        (draw(0, 4, 2), 5, "there are only 4 slides, and a test of 2 coordinates needs at least 5"),
        (np.full((6, 2), 0.3), 0, "the means of the 6 slides have no spread in some direction"),
        (np.outer(np.arange(6.0), [1.0, 2.0]) + 0.1, 0, "no spread in some direction"),
    ],
)
def test_what_cannot_be_tested_has_a_reason_and_no_numbers(means, min_units, words):
    found = hotelling(means, min_units=min_units, unit="slide")
    assert words in found.reason
    assert np.isnan([found.statistic, found.f, found.df1, found.df2, found.p_value]).all()
    assert found.n == len(means)
    if len(means):
        np.testing.assert_allclose(found.mean, means.mean(axis=0))
    with pytest.raises(StatisticsError, match=r"no confidence region of 2 coordinates: t"):
        confidence_region(found)


def test_a_region_is_for_two_coordinates():
    with pytest.raises(StatisticsError, match="of 3 coordinates: expected two"):
        confidence_region(hotelling(draw(0, 9, 3)))


@pytest.mark.parametrize("means", [[1.0, 2.0, 3.0], [[1.0, np.nan]], np.empty((4, 0))])
def test_what_is_no_table_of_numbers_is_refused(means):
    with pytest.raises(StatisticsError, match=r"expected finite numbers of shape \(units, coordinates\)"):
        hotelling(means)


def test_moments_are_given_where_they_exist():
    none, one, two = (hotelling(np.arange(2.0 * n).reshape(n, 2) ** 2) for n in (0, 1, 2))
    assert np.isnan(none.mean).all()
    assert none.reason == "there is no unit, and a test of 2 coordinates needs at least 3"
    assert one.mean.tolist() == [0, 1]
    assert np.isnan(one.covariance).all()
    assert one.reason == "there is only 1 unit, and a test of 2 coordinates needs at least 3"
    np.testing.assert_allclose(two.covariance, np.cov([[0, 4], [1, 9]]))
    assert two.reason == "there are only 2 units, and a test of 2 coordinates needs at least 3"
    asked = hotelling(np.random.default_rng(0).normal(size=(5, 2)), min_units=6, unit="slide")
    assert asked.reason == "there are only 5 slides, and a test of 2 coordinates needs at least 6"
    assert not hotelling(np.random.default_rng(0).normal(size=(5, 2)), min_units=5).reason
