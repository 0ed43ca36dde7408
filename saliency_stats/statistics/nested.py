"""Random intercepts at two levels, patients and their slides, by (restricted) maximum likelihood."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.grouped import GroupedSums
from saliency_stats.statistics.linear import LinearTest, contrast_weights, kenward_roger, satterthwaite, t_test
from saliency_stats.statistics.mixed import Freedom, Method, fit_random_intercept

Array = NDArray[np.float64]

#: Step of the complex-step derivative, exact to rounding (Squire and Trapp 1998, SIAM Review 40, 110-112).
_IMAGINARY: Final = 1e-20
#: Step of the central difference of those derivatives, as a share of the largest argument.
_STEP: Final = 1e-4
#: A standard deviation below this share of the residual one is on the boundary.
_BOUNDARY: Final = 1e-5
_NEWTON_STEPS: Final = 30


@dataclass(frozen=True, eq=False)
class NestedIntercepts:
    """A fitted model ``y ~ X + (1 | patient / slide)``.

    Parameters
    ----------
    data
        What it was fitted to.
    coefficients
        (p,) estimates.
    covariance
        (p, p) of the estimates, taking the variances for known.
    variances
        (3,): between patients, between slides of a patient, within slides; 0 at the boundary.
    deviance
        -2 log (restricted) likelihood, as lme4 gives it.
    method
        "reml" or "ml".
    """

    data: "NestedSums"
    coefficients: Array
    covariance: Array
    variances: Array
    deviance: float
    method: Method

    def test(
        self, contrast: Array, *, null: float = 0.0, alpha: float = 0.05, df: Freedom = "satterthwaite"
    ) -> LinearTest:
        """Test ``contrast @ coefficients`` against ``null``, two-sided; see :meth:`RandomIntercept.test`.

        Raises
        ------
        StatisticsError
            If the contrast has another length than the coefficients.
        """
        weights = contrast_weights(contrast, self.coefficients)
        freedom, covariance = (_satterthwaite if df == "satterthwaite" else _kenward_roger)(self, weights)
        return t_test(weights, self.coefficients, covariance, freedom, null=null, alpha=alpha)


@dataclass(frozen=True, eq=False)
class NestedSums:
    """Sums per slide, and the patient of each slide as codes 0 to k - 1."""

    sums: GroupedSums
    patients: NDArray[np.intp]

    def products(self, variances: NDArray[Any]) -> NDArray[Any]:
        """(p + 1, p + 1) cross products of X and y weighted by the inverse covariance of the rows."""
        patients, slides, rows = variances
        means = self.sums.means
        weight = self.sums.sizes / (rows + self.sums.sizes * slides)
        weighted = means * weight[:, None]
        totals = self._by_patient(weighted)
        shrink = patients / (1 + patients * self._by_patient(weight[:, None])[:, 0])
        inner = self.sums.within.sum(axis=0) / rows
        return np.asarray(inner + weighted.T @ means - (totals * shrink[:, None]).T @ totals)

    def log_determinant(self, variances: NDArray[Any]) -> Any:
        """Logarithm of the determinant of the covariance of the rows."""
        patients, slides, rows = variances
        sizes = self.sums.sizes
        weight = sizes / (rows + sizes * slides)
        above = np.log(1 + patients * self._by_patient(weight[:, None])[:, 0]).sum()
        return (sizes - 1).sum() * np.log(rows) + np.log(rows + sizes * slides).sum() + above

    def _by_patient(self, values: NDArray[Any]) -> NDArray[Any]:
        total = np.zeros((int(self.patients.max()) + 1, values.shape[1]), dtype=values.dtype)
        np.add.at(total, self.patients, values)
        return total


def nested_intercepts(sums: GroupedSums, patients: NDArray[np.generic], *, method: Method = "reml") -> NestedIntercepts:
    """Fit ``y ~ X + (1 | patient / slide)``.

    Parameters
    ----------
    sums
        The data, summed up per slide.
    patients
        (G,) the patient of each of ``sums.groups``.
    method
        "reml" or "ml".

    Returns
    -------
    NestedIntercepts
        At the maximum of the likelihood over variances from 0 on.

    Raises
    ------
    StatisticsError
        If the model cannot be told from the data: see :func:`fit_random_intercept`; one patient, or one slide
        from each.
    """
    names, codes = np.unique(np.asarray(patients).astype(np.str_), return_inverse=True)
    if len(codes) != len(sums.sizes):
        raise StatisticsError(f"{len(codes)} patients were given for {len(sums.sizes)} slides.")
    if len(names) < 2:  # noqa: PLR2004 - nothing lies between the patients when there is one
        raise StatisticsError("All slides are of one patient: the spread between patients cannot be seen.")
    if len(names) == len(codes):
        raise StatisticsError("Each patient has one slide: slide and patient are the same, use fit_random_intercept.")
    simple = fit_random_intercept(sums, method=method)
    data = NestedSums(sums, codes)
    deviance = _profile(data, method)
    theta = _best(deviance, float(np.sqrt(simple.between / simple.within)))
    ratios = np.append(theta**2, 1.0)
    products = data.products(ratios)
    matrix, vector = products[:-1, :-1], products[:-1, -1]
    _, rest, freedom = _parts(data, ratios, method)
    within = float(rest) / freedom
    coefficients = linalg.solve(matrix, vector, assume_a="pos")
    return NestedIntercepts(
        data, coefficients, linalg.inv(matrix) * within, ratios * within, float(deviance(theta)), method
    )


def _parts(data: NestedSums, variances: NDArray[Any], method: Method) -> tuple[Any, Any, int]:
    """Log determinants, squared residuals weighted by the inverse covariance, and how many rows they count for."""
    products = data.products(variances)
    matrix, vector = products[:-1, :-1], products[:-1, -1]
    rest = products[-1, -1] - vector @ np.linalg.solve(matrix, vector)
    if method == "ml":
        return data.log_determinant(variances), rest, data.sums.n
    return data.log_determinant(variances) + np.log(np.linalg.det(matrix)), rest, data.sums.n - len(matrix)


def _deviance(data: NestedSums, variances: NDArray[Any], method: Method) -> Any:
    """-2 log likelihood of the three variances; complex where they are."""
    determinants, rest, freedom = _parts(data, variances, method)
    return determinants + rest + freedom * np.log(2 * np.pi)


def _profile(data: NestedSums, method: Method) -> Callable[[NDArray[Any]], Any]:
    """-2 log likelihood of the standard deviations of patients and slides, relative to that within slides."""

    def deviance(theta: NDArray[Any]) -> Any:
        determinants, rest, freedom = _parts(data, np.append(theta**2, 1.0), method)
        return determinants + freedom * (1 + np.log(2 * np.pi * rest / freedom))

    return deviance


def _gradient(function: Callable[[NDArray[Any]], Any], at: Array) -> Array:
    steps = np.eye(at.size) * 1j * _IMAGINARY
    return np.array([np.imag(function(at + step)) / _IMAGINARY for step in steps])


def _second(function: Callable[[NDArray[Any]], Any], at: Array, i: int, j: int) -> Any:
    """Second derivative of a function with values of any shape."""
    step = np.zeros(at.size)
    step[j] = _STEP * np.abs(at).max()
    tilt = np.zeros(at.size, dtype=complex)
    tilt[i] = 1j * _IMAGINARY
    # Richardson: two central differences cancel each other's leading error
    near, far = (
        (np.imag(function(at + h * step + tilt)) - np.imag(function(at - h * step + tilt)))
        / (2 * h * step[j] * _IMAGINARY)
        for h in (1, 2)
    )
    return (4 * near - far) / 3


def _best(deviance: Callable[[NDArray[Any]], Any], spread: float) -> Array:
    """Minimise from several starts, then by Newton's steps; what comes near the boundary is put on it."""
    start = max(spread, 0.1)
    starts = [np.array(pair) * start for pair in ((0.7, 0.7), (1.0, 0.1), (0.1, 1.0))]

    def slope_at(theta: Array) -> Array:
        return _gradient(deviance, theta)

    found = [optimize.minimize(deviance, one, jac=slope_at, bounds=[(0, None)] * 2) for one in starts]
    theta: Array = np.array(min(found, key=lambda result: float(result.fun)).x, dtype=np.float64)
    free = np.flatnonzero(theta > _BOUNDARY).tolist()
    theta[theta <= _BOUNDARY] = 0.0
    for _ in range(_NEWTON_STEPS if free else 0):
        slope = _gradient(deviance, theta)[free]
        bend = np.array([[_second(deviance, theta, i, j) for j in free] for i in free])
        step = np.linalg.solve((bend + bend.T) / 2, slope)
        theta[free] -= step
        if np.abs(step).max() < 1e-12 * max(1.0, float(np.abs(theta).max())):
            break
    return np.asarray(np.abs(theta))


def _satterthwaite(fit: NestedIntercepts, weights: Array) -> tuple[float, Array]:
    """Degrees of freedom from the observed information over the variances that are not 0; the plain covariance."""
    at, free = fit.variances, np.flatnonzero(fit.variances > 0).tolist()

    def variance(variances: NDArray[Any]) -> Any:
        return weights @ np.linalg.solve(fit.data.products(variances)[:-1, :-1], weights)

    hessian = np.array([[_second(lambda v: _deviance(fit.data, v, fit.method), at, i, j) for j in free] for i in free])
    slope = _gradient(variance, at)[free]
    return satterthwaite(float(weights @ fit.covariance @ weights), slope, hessian), fit.covariance


def _kenward_roger(fit: NestedIntercepts, weights: Array) -> tuple[float, Array]:
    """Degrees of freedom and covariance of Kenward and Roger."""
    at, pairs = fit.variances, range(3)

    def matrix(variances: NDArray[Any]) -> NDArray[Any]:
        return fit.data.products(variances)[:-1, :-1]

    p_i = [np.imag(matrix(at + 1j * _IMAGINARY * row)) / _IMAGINARY for row in np.eye(3)]
    # the covariance is linear in its variances: second derivatives of its inverse are twice the products Q, those of
    # its log determinant the traces
    q_ij = [[_second(matrix, at, i, j) / 2 for j in pairs] for i in pairs]
    traces = np.array([[-_second(fit.data.log_determinant, at, i, j) for j in pairs] for i in pairs])
    return kenward_roger(weights, fit.covariance, p_i, q_ij, traces)
