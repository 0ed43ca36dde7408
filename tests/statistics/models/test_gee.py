"""Estimating equations from sums: statsmodels' numbers, which works on rows."""

import numpy as np
import pytest
from statsmodels.genmod.cov_struct import Exchangeable
from statsmodels.genmod.generalized_estimating_equations import GEE

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import GroupedSums
from saliency_stats.statistics.models.gee import estimating_equations


def rows(seed=0, sizes=(3, 9, 5, 7, 4, 6, 12), shift=0.3, columns=1, spread=0.7):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    x = np.column_stack([np.ones(len(groups)), rng.normal(size=(len(groups), columns - 1))])
    y = shift + rng.normal(0, spread, len(sizes))[groups] + rng.normal(0, 0.5, len(groups))
    return y, x, groups


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_the_fit_is_statsmodels(seed, columns):
    y, x, groups = rows(seed, columns=columns)
    found = estimating_equations(GroupedSums.from_rows(y, x, groups))
    model = GEE(y, x, groups=groups, cov_struct=Exchangeable())
    reference = model.fit(cov_type="bias_reduced", ctol=1e-13, maxiter=500)
    assert found.correlation == pytest.approx(model.cov_struct.dep_params, rel=1e-8)
    assert 0.05 < found.correlation < 1
    np.testing.assert_allclose(found.coefficients, reference.params, rtol=1e-8)
    np.testing.assert_allclose(found.covariance, reference.cov_params(), rtol=1e-8, atol=1e-14)


def test_balanced_groups_are_a_t_test_of_their_means_with_a_wider_spread():
    y, x, groups = rows(1, sizes=(5,) * 8)
    found = estimating_equations(GroupedSums.from_rows(y, x, groups)).test(np.ones(1), null=0.1, alpha=0.1)
    means = y.reshape(8, 5).mean(axis=1)
    assert found.estimate == pytest.approx(means.mean())
    assert found.se == pytest.approx(means.std(ddof=1) / np.sqrt(8) * np.sqrt(8 / 7))
    assert found.df == 7
    assert found.statistic == pytest.approx((means.mean() - 0.1) / found.se)
    assert found.ci_high - found.ci_low == pytest.approx(2 * 1.894578605 * found.se)  # t of 7 df at 95 %


def test_scale_and_shift_of_columns_change_coefficients_as_they_must():
    y, x, groups = rows(2, columns=2)
    base = estimating_equations(GroupedSums.from_rows(y, x, groups))
    moved = estimating_equations(GroupedSums.from_rows(3 * y + 5 * x[:, 0], x * [1, 10], groups))
    np.testing.assert_allclose(moved.coefficients, 3 * base.coefficients / [1, 10] + [5, 0])
    np.testing.assert_allclose(moved.covariance, 9 * base.covariance / np.outer([1, 10], [1, 10]), rtol=1e-8)
    assert moved.correlation == pytest.approx(base.correlation)


def test_a_negative_correlation_and_one_that_no_pair_tells_are_zero():
    y, x, groups = rows(0, sizes=(4,) * 6)
    means = y.reshape(6, 4).mean(axis=1)
    within = y - means[groups] + 0.01 * means[groups]
    assert estimating_equations(GroupedSums.from_rows(within, x, groups)).correlation == 0
    y, x, groups = rows(0, sizes=(1, 1, 1, 1, 1))
    found = estimating_equations(GroupedSums.from_rows(y, x, groups))
    assert (found.correlation, found.n_groups) == (0, 5)
    assert found.coefficients[0] == pytest.approx(y.mean())
    # one pair for one coefficient, and two pairs: only these tell
    one = GroupedSums.from_rows(np.array([1.0, 1.5, -1.0, 0.5]), np.ones((4, 1)), np.array([0, 0, 1, 2]))
    two = GroupedSums.from_rows(np.array([1.0, 1.5, 0.0, 0.9, -2.0]), np.ones((5, 1)), np.array([0, 0, 1, 1, 2]))
    assert estimating_equations(one).correlation == 0
    assert estimating_equations(two).correlation > 0


@pytest.mark.parametrize(
    ("y", "x", "groups", "message"),
    [
        ([1.0, 2.0, 3.0], np.ones((3, 1)), [0, 0, 0], "1 groups cannot tell 1 coefficients"),
        ([1.0, 2.0, 3.0, 4.0], np.ones((4, 2)), [0, 0, 1, 2], "depend on each other"),
        (
            [1.0, 1.0, 3.0, 3.0, 2.0, 2.0],
            np.ones((6, 1)),
            [0, 0, 1, 1, 2, 2],
            r"estimated as 1\.\d\d: it must be below 1",
        ),
        ([1.0, 2.0, 3.0, 4.0, 6.0], np.eye(5)[:, [0]] + [[0.0, 1.0]], [0, 0, 1, 2, 3], "One group alone"),
    ],
)
def test_what_cannot_be_fitted_is_named(y, x, groups, message):
    with pytest.raises(StatisticsError, match=message):
        estimating_equations(GroupedSums.from_rows(np.array(y), np.asarray(x, dtype=float), np.array(groups)))
