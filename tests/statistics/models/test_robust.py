"""Cluster-robust least squares against clubSandwich."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.robust import cluster_robust, refuse_dependent

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = pd.read_csv(GOLDEN / "mixed_data.csv")
EXPECTED = pd.read_csv(GOLDEN / "robust.csv")
TERMS = {"1": ["(Intercept)"], "x + malignant": ["(Intercept)", "x", "malignant"]}


@pytest.mark.parametrize("row", list(EXPECTED.itertuples()), ids=lambda r: f"{r.case}-{r.formula}-{r.term}")
def test_it_agrees_with_r(row):
    rows = DATA[DATA["case"] == row.case]
    x = np.column_stack([np.ones(len(rows)), *(rows[name] for name in TERMS[row.formula][1:])])
    fit = cluster_robust(GroupedSums.from_rows(rows["y"].to_numpy(), x, rows["slide"].to_numpy()))
    weights = np.array([float(term == row.term) for term in TERMS[row.formula]])
    found = fit.test(weights)
    assert weights @ fit.coefficients == pytest.approx(row.estimate, rel=1e-6)
    assert found.statistic == pytest.approx(row.estimate / row.se, rel=1e-6)
    assert found.df == pytest.approx(row.df, rel=1e-4)
    assert found.p_value == pytest.approx(row.p, abs=1e-4)


def test_balanced_slides_give_the_t_test_of_their_means():
    rng = np.random.default_rng(0)
    slide = np.repeat(np.arange(9), 6)
    y = rng.normal(size=54) + rng.normal(size=9)[slide]
    found = cluster_robust(GroupedSums.from_rows(y, np.ones((54, 1)), slide)).test(np.ones(1))
    expected = stats.ttest_1samp(y.reshape(9, 6).mean(axis=1), 0)
    assert found.df == pytest.approx(8)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_what_cannot_be_tested_is_refused():
    y, slide = np.arange(6.0), np.array([0, 0, 1, 1, 2, 2])
    with pytest.raises(StatisticsError, match="one group"):
        cluster_robust(GroupedSums.from_rows(y, np.ones((6, 1)), np.zeros(6)))
    with pytest.raises(StatisticsError, match="depend"):
        cluster_robust(GroupedSums.from_rows(y, np.ones((6, 2)), slide))
    with pytest.raises(StatisticsError, match="does not vary"):
        cluster_robust(GroupedSums.from_rows(np.ones(6), np.ones((6, 1)), slide)).test(np.ones(1))


def covariate_rows(seed=0):
    rng = np.random.default_rng(seed)
    slide = np.repeat(np.arange(7), rng.integers(3, 12, 7))
    x = np.column_stack([np.ones(slide.size), rng.normal(size=slide.size)])
    return x @ [0.3, 0.5] + rng.normal(size=7)[slide] + rng.normal(size=slide.size), x, slide


@pytest.mark.parametrize("factor", [1e-3, -2.0, 1e3])
def test_the_scale_of_a_covariate_is_that_of_its_coefficient(factor):
    y, x, slide = covariate_rows()
    base, scaled = (cluster_robust(GroupedSums.from_rows(y, x * [1, by], slide)) for by in (1, factor))
    np.testing.assert_allclose(scaled.coefficients, base.coefficients / [1, factor])
    np.testing.assert_allclose(scaled.covariance, base.covariance / np.outer([1, factor], [1, factor]), rtol=1e-6)
    for weights in ([1.0, 0.0], [0.0, 1.0]):
        one, two = (fit.test(np.array(weights)) for fit in (base, scaled))
        assert two.df == pytest.approx(one.df)
        assert two.p_value == pytest.approx(one.p_value)


def test_the_scale_of_the_outcome_and_the_value_under_the_null():
    y, x, slide = covariate_rows()
    base, scaled = (cluster_robust(GroupedSums.from_rows(by * y, x, slide)) for by in (1, 1e-7))
    weights = np.array([0.0, 1.0])
    assert scaled.test(weights).p_value == pytest.approx(base.test(weights).p_value)
    found = base.test(weights, null=0.2, alpha=0.1)
    assert found.statistic == pytest.approx((found.estimate - 0.2) / found.se)
    half = stats.t.ppf(0.95, found.df) * found.se
    assert (found.ci_low, found.ci_high) == pytest.approx((found.estimate - half, found.estimate + half))
    with pytest.raises(StatisticsError, match="3 weights for 2"):
        base.test(np.ones(3))


def test_the_covariance_by_its_definition():
    y, x, slide = covariate_rows()
    fit = cluster_robust(GroupedSums.from_rows(y, x, slide))
    bread = np.linalg.inv(x.T @ x)
    residual = y - x @ bread @ x.T @ y
    meat = np.zeros((2, 2))
    for group in range(7):
        own = x[slide == group]
        values, vectors = np.linalg.eigh(np.eye(len(own)) - own @ bread @ own.T)
        score = own.T @ (vectors * values**-0.5) @ vectors.T @ residual[slide == group]
        meat += np.outer(score, score)
    np.testing.assert_allclose(fit.covariance, bread @ meat @ bread)


def test_two_groups_are_enough():
    found = cluster_robust(GroupedSums.from_rows(np.array([1.0, 2.0, 4.0]), np.ones((3, 1)), np.array([0, 0, 1])))
    assert found.coefficients[0] == pytest.approx(7 / 3)
    refuse_dependent(np.diag([1.0, 1e-12]))
    for gram in ([[1.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [2.0, 4.0]]):
        with pytest.raises(StatisticsError, match="depend"):
            refuse_dependent(np.array(gram))


def test_the_jackknife_leaves_out_one_group_after_the_other():
    y, x, slide = covariate_rows()
    fit = cluster_robust(GroupedSums.from_rows(y, x, slide), jackknife=True)
    whole = np.linalg.lstsq(x, y, rcond=None)[0]
    changes = np.array([np.linalg.lstsq(x[slide != k], y[slide != k], rcond=None)[0] - whole for k in range(7)])
    np.testing.assert_allclose(fit.covariance, 6 / 7 * changes.T @ changes)
    np.testing.assert_allclose(fit.coefficients, whole)
    # Bell and McCaffrey: moments of the quadratic form under independent rows
    weights, bread = np.array([0.0, 1.0]), np.linalg.inv(x.T @ x)
    rest = np.eye(len(y)) - x @ bread @ x.T
    columns = np.zeros((len(y), 7))
    for k in range(7):
        own = slide == k
        columns[own, k] = np.linalg.inv(rest[np.ix_(own, own)]) @ x[own] @ bread @ weights
    kernel = (rest @ columns).T @ (rest @ columns)
    assert fit.test(weights).df == pytest.approx(np.trace(kernel) ** 2 / (kernel**2).sum())


def test_the_jackknife_of_balanced_slides_is_the_t_test_of_their_means():
    rng = np.random.default_rng(0)
    slide = np.repeat(np.arange(9), 6)
    y = rng.normal(size=54) + rng.normal(size=9)[slide]
    found = cluster_robust(GroupedSums.from_rows(y, np.ones((54, 1)), slide), jackknife=True).test(np.ones(1))
    assert found.df == pytest.approx(8)
    assert found.p_value == pytest.approx(stats.ttest_1samp(y.reshape(9, 6).mean(axis=1), 0).pvalue)


def test_a_group_that_alone_decides_a_coefficient_cannot_be_left_out():
    y, slide = np.arange(6.0) ** 2, np.array([0, 0, 1, 1, 2, 2])
    x = np.column_stack([np.ones(6), slide == 0])
    sums = GroupedSums.from_rows(y, x, slide)
    assert cluster_robust(sums).covariance.shape == (2, 2)
    with pytest.raises(StatisticsError, match="One group alone decides a coefficient: without it"):
        cluster_robust(sums, jackknife=True)
