"""Tests of a linear combination: Student's t by hand, and degrees of freedom where they are known."""

import numpy as np
import pytest
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.linear import contrast_weights, kenward_roger, satterthwaite, t_test


def test_a_contrast_has_a_weight_for_every_coefficient():
    found = contrast_weights(np.array([0, 1]), np.array([2.0, 3.0]))
    assert (found.dtype, found.tolist()) == (np.float64, [0.0, 1.0])
    with pytest.raises(StatisticsError, match="A contrast of 3 weights for 2 coefficients"):
        contrast_weights(np.ones(3), np.ones(2))


def test_the_t_test_by_hand():
    covariance = np.array([[0.04, 0.01], [0.01, 0.09]])
    found = t_test(np.array([1.0, -2.0]), np.array([0.5, 1.5]), covariance, 7.0, null=-1.0, alpha=0.1)
    assert found.estimate == -2.5
    assert found.se == pytest.approx(0.6)  # 0.04 + 4 * 0.09 - 4 * 0.01 = 0.36
    assert found.statistic == pytest.approx(-2.5)
    assert found.df == 7
    assert found.p_value == pytest.approx(2 * stats.t.cdf(-2.5, 7))
    half = stats.t.ppf(0.95, 7) * 0.6
    assert (found.ci_low, found.ci_high) == pytest.approx((-2.5 - half, -2.5 + half))
    above = t_test(np.array([1.0]), np.array([1.0]), np.array([[0.25]]), 7.0, null=0.0, alpha=0.1)
    assert above.p_value == pytest.approx(2 * stats.t.sf(2, 7))


@pytest.mark.parametrize(("n", "variance"), [(5, 1.0), (12, 0.3)])
def test_the_mean_of_one_sample_has_n_minus_1_degrees_of_freedom(n, variance):
    # -2 log restricted likelihood of a variance v: (n - 1) (log v + s2 / v), its curvature at s2 (n - 1) / s2²
    found = satterthwaite(variance / n, np.array([1 / n]), np.array([[(n - 1) / variance**2]]))
    assert found == pytest.approx(n - 1)
    df, covariance = kenward_roger(
        np.ones(1),
        np.array([[variance / n]]),
        [np.array([[-n / variance**2]])],
        [[np.array([[n / variance**3]])]],
        np.array([[n / variance**2]]),
    )
    assert df == pytest.approx(n - 1)
    np.testing.assert_allclose(covariance, [[variance / n]])


def test_welchs_degrees_of_freedom_are_satterthwaites():
    n, v = np.array([6, 11]), np.array([0.5, 2.0])
    # a lopsided hessian counts as its symmetric part
    hessian = np.diag((n - 1) / v**2) + np.array([[0, 0.3], [-0.3, 0]])
    found = satterthwaite(float((v / n).sum()), 1 / n, hessian)
    assert found == pytest.approx((v / n).sum() ** 2 / ((v / n) ** 2 / (n - 1)).sum())


def test_what_kenward_and_roger_add_to_the_covariance():
    c, p, q, trace = 0.5, -1.0, 3.0, 8.0
    information = trace - 2 * c * q + (c * p) ** 2
    spread = 2 / information
    df, covariance = kenward_roger(
        np.ones(1), np.array([[c]]), [np.array([[p]])], [[np.array([[q]])]], np.array([[trace]])
    )
    assert covariance[0, 0] == pytest.approx(c + 2 * c * spread * (q - p * c * p) * c)
    assert df == pytest.approx(2 / ((c * p) ** 2 * spread))
