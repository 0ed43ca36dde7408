"""Variance components by likelihood: the density written out, designs that hide a component."""

import numpy as np
import pytest
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.likelihood import fit_components
from saliency_stats.statistics.models.nested import NestedSums

PATIENTS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 3])


def rows(seed=0):
    rng = np.random.default_rng(seed)
    slides = np.repeat(np.arange(10), rng.integers(2, 7, 10))
    x = np.column_stack([np.ones(slides.size), rng.normal(size=slides.size)])
    y = x @ [1.0, 0.5] + rng.normal(0, 1, 4)[PATIENTS][slides] + rng.normal(0, 0.7, 10)[slides]
    return y + rng.normal(0, 0.5, slides.size), x, slides


def data(y, x, slides):
    return NestedSums(GroupedSums.from_rows(y, x, slides), PATIENTS)


@pytest.mark.parametrize("method", ["ml", "reml"])
def test_the_deviance_is_that_of_the_normal_density(method):
    y, x, slides = rows()
    fit = fit_components(data(y, x, slides), method=method)
    patients = PATIENTS[slides]
    same = [patients[:, None] == patients, slides[:, None] == slides, np.eye(slides.size)]
    v = sum(variance * one for variance, one in zip(fit.variances, same, strict=True))
    precision = np.linalg.inv(v)
    information = x.T @ precision @ x
    beta = np.linalg.solve(information, x.T @ precision @ y)
    expected = -2 * stats.multivariate_normal(x @ beta, v).logpdf(y)
    if method == "reml":
        expected += np.linalg.slogdet(information)[1] - 2 * np.log(2 * np.pi)
    assert fit.deviance == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(fit.coefficients, beta, rtol=1e-8)
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(information), rtol=1e-8)
    assert fit.method == method


def test_the_scale_of_the_outcome_is_that_of_the_components():
    y, x, slides = rows()
    base, scaled = fit_components(data(y, x, slides)), fit_components(data(100 * y, x, slides))
    np.testing.assert_allclose(scaled.variances, 1e4 * base.variances, rtol=1e-6)
    one, two = (fit.test(np.array([0.0, 1.0]), df="kenward_roger") for fit in (base, scaled))
    assert two.df == pytest.approx(one.df, rel=1e-5)
    assert two.se == pytest.approx(100 * one.se, rel=1e-6)


def test_a_design_that_hides_a_component_is_refused():
    y, x, slides = rows()
    sums = GroupedSums.from_rows(y, x, slides)
    with pytest.raises(StatisticsError, match="does not tell the variances of patients and slides apart"):
        fit_components(NestedSums(sums, np.arange(10)))
    one_row_each = GroupedSums.from_rows(y[:10], x[:10], np.arange(10))
    with pytest.raises(StatisticsError, match="does not tell the variances of slides and patches apart"):
        fit_components(NestedSums(one_row_each, PATIENTS))


def test_residuals_of_next_to_nothing_are_refused():
    y, x, slides = rows()
    of_slide = (np.bincount(slides, y) / np.bincount(slides))[slides]
    with pytest.raises(StatisticsError, match="next to nothing beside the others"):
        fit_components(data(of_slide + 1e-5 * (y - of_slide), x[:, :1], slides))
    # residuals that are small are not
    fit = fit_components(data(of_slide + 1e-2 * (y - of_slide), x[:, :1], slides))
    assert 0 < fit.variances[2] < 1e-3 * fit.variances[1]


def test_all_that_a_design_hides_is_told():
    y, x, _ = rows()
    sums = GroupedSums.from_rows(y[:10], x[:10], np.arange(10))
    with pytest.raises(StatisticsError, match="variances of patients and slides and patches apart"):
        fit_components(NestedSums(sums, np.arange(10)))


def test_a_contrast_has_a_weight_for_every_coefficient():
    with pytest.raises(StatisticsError, match="1 weights for 2"):
        fit_components(data(*rows())).test(np.ones(1))


def test_limits_of_variances_are_those_of_a_chi_squared_variable():
    # patients of one size: the sum of the variances of a patient's mean has an exact distribution
    rng = np.random.default_rng(3)
    slides = np.repeat(np.arange(10), 50)
    y = rng.normal(0, 1, slides.size)
    fit = fit_components(data(y + rng.normal(size=10)[slides], np.ones((slides.size, 1)), slides))
    low, high = fit.variance_limits(0.1)[2]
    exact = fit.variances[2] * 490 / stats.chi2.ppf([0.95, 0.05], 490)
    assert (low, high) == pytest.approx(exact, rel=1e-6)
    wider = fit.variance_limits(0.01)
    assert wider[2][0] < low < high < wider[2][1]


def test_a_variance_of_0_has_no_limits():
    y, x, slides = rows()
    level = y - (np.bincount(slides, y) / np.bincount(slides))[slides]  # slides are all alike
    fit = fit_components(data(level, x, slides))
    assert (fit.variances == 0).tolist() == [True, True, False]
    assert np.isnan(fit.variance_limits(0.05)).all(axis=1).tolist() == [True, True, False]
