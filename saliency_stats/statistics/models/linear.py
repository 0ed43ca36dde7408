"""Tests of one linear combination of coefficients, and degrees of freedom that come from estimated variances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, stats

from saliency_stats.errors import StatisticsError
from saliency_stats.typing import Float64Array


@dataclass(frozen=True, eq=False)
class LinearTest:
    """A t test of one linear combination of the coefficients.

    ``se`` is the standard error that the degrees of freedom belong to: Kenward and Roger's is the larger one.
    """

    estimate: float
    se: float
    df: float
    statistic: float
    p_value: float
    ci_low: float
    ci_high: float


def contrast_weights(contrast: Float64Array, coefficients: Float64Array) -> Float64Array:
    """Return the weights of a contrast as floats.

    Raises
    ------
    StatisticsError
        If the contrast has another length than the coefficients.
    """
    weights = np.asarray(contrast, dtype=np.float64)
    if weights.shape != coefficients.shape:
        raise StatisticsError(f"A contrast of {weights.size} weights for {coefficients.size} coefficients.")
    return weights


def t_test(
    weights: Float64Array, coefficients: Float64Array, covariance: Float64Array, df: float, *, null: float, alpha: float
) -> LinearTest:
    """Test a linear combination of coefficients against ``null``, two-sided."""
    estimate = float(weights @ coefficients)
    se = float(np.sqrt(weights @ covariance @ weights))
    statistic = (estimate - null) / se
    half = float(stats.t.ppf(1 - alpha / 2, df)) * se
    p_value = float(2 * stats.t.sf(abs(statistic), df))
    return LinearTest(estimate, se, df, statistic, p_value, estimate - half, estimate + half)


def satterthwaite(variance: float, gradient: Float64Array, hessian: Float64Array) -> float:
    """Degrees of freedom of a contrast: Fai and Cornelius (1996), *J. Stat. Comput. Simul.* 54, 363-378.

    The contrast's ``variance`` has the derivatives ``gradient`` (k,) by the k variances of the model, and the deviance,
    -2 log likelihood, the second derivatives ``hessian`` (k, k).
    """
    return 2 * variance**2 / float(gradient @ (2 * linalg.inv((hessian + hessian.T) / 2)) @ gradient)


def kenward_roger(
    weights: Float64Array,
    covariance: Float64Array,
    p_i: Sequence[Float64Array],
    q_ij: Sequence[Sequence[Float64Array]],
    traces: Float64Array,
) -> tuple[float, Float64Array]:
    """Degrees of freedom and covariance of Kenward and Roger (1997), *Biometrics* 53, 983-997.

    For one contrast the scale of their F is 1, and for a covariance that is linear in its variances their R is 0.

    Parameters
    ----------
    weights
        (p,) the contrast.
    covariance
        (p, p) of the coefficients, taking the variances for known.
    p_i, q_ij
        (p, p) each: -X' V^-1 V_i V^-1 X and X' V^-1 V_i V^-1 V_j V^-1 X, with V_i the derivative of the rows'
        covariance by variance i.
    traces
        (k, k): of V^-1 V_i V^-1 V_j.
    """
    c, pairs = covariance, range(len(p_i))
    information = np.array(
        [
            [traces[i, j] - 2 * np.trace(c @ q_ij[i][j]) + np.trace(c @ p_i[i] @ c @ p_i[j]) for j in pairs]
            for i in pairs
        ]
    )
    spread = linalg.inv((information + information.T) / 4)
    change = sum(spread[i, j] * (q_ij[i][j] - p_i[i] @ c @ p_i[j]) for i in pairs for j in pairs)
    adjusted = c + 2 * c @ change @ c
    u = np.array([weights @ c @ p @ c @ weights for p in p_i]) / float(weights @ c @ weights)
    return 2 / float(u @ spread @ u), (adjusted + adjusted.T) / 2
