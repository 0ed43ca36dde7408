"""Variance components of any model whose rows have a covariance that is linear in them, by (restricted) likelihood."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, stats
from scipy.sparse import csgraph

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.derivatives import Function, gradient, hessian, second, value_and_gradient
from saliency_stats.statistics.models.linear import LinearTest, contrast_weights, kenward_roger, satterthwaite, t_test
from saliency_stats.statistics.models.mixed import Freedom, Method
from saliency_stats.typing import Float64Array, IndexArray

#: Step of the central difference of those derivatives, as a share of the scale of each argument.
_STEP: Final = 1e-3
#: A standard deviation below this share of the residual one is on the boundary.
_BOUNDARY: Final = 1e-5
_NEWTON_STEPS: Final = 30
#: By how much a Newton step may still lower the deviance at the optimum, and a step off the boundary.
_SETTLED: Final = 1e-8
_RISING: Final = 1e-5
#: Residual variance, as a share of another, below which steps of one are steps to the other side of 0.
_VANISHING: Final = 1e-6
#: Least eigenvalue of the information, scaled to a unit diagonal, of components that a design tells apart.
_CONFOUNDED: Final = 1e-6


class Rows(Protocol):
    """What the likelihood needs of the data: ``variances`` (..., k) are those of :attr:`names`, of the residuals last.

    Many are asked for at once: what is computed of one is little beside what it costs to ask.
    """

    @property
    def n(self) -> int:
        """Number of rows."""

    @property
    def names(self) -> tuple[str, ...]:
        """(k,) names of the variance components."""

    def products(self, variances: NDArray[Any]) -> NDArray[Any]:
        """(..., p + 1, p + 1) cross products of X and y weighted by the inverse covariance of the rows."""

    def log_determinant(self, variances: NDArray[Any]) -> Any:
        """(...) logarithms of the determinant of the covariance of the rows."""


@dataclass(frozen=True, eq=False)
class ComponentFit:
    """A linear model with variance components, fitted.

    ``coefficients`` (p,) have the ``covariance`` (p, p), taking the variances for known; ``variances`` (k,) are those
    of ``data.names``, 0 at the boundary; ``deviance`` is -2 log (restricted) likelihood, as lme4 gives it.
    """

    data: Rows
    coefficients: Float64Array
    covariance: Float64Array
    variances: Float64Array
    deviance: float
    method: Method

    def test(
        self, contrast: Float64Array, *, null: float = 0.0, alpha: float = 0.05, df: Freedom = "satterthwaite"
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

    def variance_limits(self, alpha: float) -> Float64Array:
        """(k, 2) intervals of the variances, by a chi-squared distribution of the same mean and variance.

        Its degrees of freedom are ``2 (variance / standard error)^2`` (Satterthwaite 1946, *Biometrics Bulletin* 2,
        110-114), the error from the observed information. NaN where the variance is 0; no upper limit (inf) where next
        to nothing is known of it.
        """
        limits = np.full((self.variances.size, 2), np.nan)
        free = np.flatnonzero(self.variances > 0)
        found = self.variances[free]
        freedom = found**2 / np.diag(linalg.inv(_information(self, free)))
        with np.errstate(divide="ignore"):
            limits[free] = np.transpose(found * freedom / stats.chi2.ppf([[1 - alpha / 2], [alpha / 2]], freedom))
        return limits


def fit_components(data: Rows, *, method: Method = "reml", spread: float = 1.0) -> ComponentFit:
    """Fit by the likelihood of the data, profiled over the coefficients and the residual variance.

    Parameters
    ----------
    spread
        A guess of the components' standard deviations relative to the residual one.

    Returns
    -------
    ComponentFit
        At the maximum of the likelihood over variances from 0 on. The optimum is looked for in the relative standard
        deviations (Bates et al. 2015, *Journal of Statistical Software* 67, section 3.4), from several starts.

    Raises
    ------
    StatisticsError
        If the design does not tell the components apart, or what the optimiser found is no optimum: its slope is not
        0, or leaving the boundary would raise the likelihood.
    """
    _refuse_confounded(data, method)

    def profile(ratios: NDArray[Any]) -> Any:
        determinants, rest, freedom = _parts(data, with_one(ratios), method)
        return determinants + freedom * (1 + np.log(2 * np.pi * rest / freedom))

    try:
        with np.errstate(all="ignore"):  # a wild step of the optimiser is seen in what it found
            theta = _best(data, profile, max(spread, 0.1))
            _refuse_unsettled(data, profile, theta)
    except np.linalg.LinAlgError as error:
        raise StatisticsError("the likelihood grows without limit, or cannot be computed on the way") from error
    ratios = np.append(theta**2, 1.0)
    products = data.products(ratios)
    matrix, vector = products[:-1, :-1], products[:-1, -1]
    _, rest, freedom = _parts(data, ratios, method)
    within = float(rest) / freedom
    inverse = linalg.inv(matrix)
    return ComponentFit(
        data,
        linalg.solve(matrix, vector, assume_a="pos"),
        (inverse + inverse.T) / 2 * within,
        ratios * within,
        float(profile(theta**2)),
        method,
    )


def _parts(data: Rows, variances: NDArray[Any], method: Method) -> tuple[Any, Any, int]:
    """Log determinants, squared residuals weighted by the inverse covariance, and how many rows they count for."""
    products = data.products(variances)
    matrix, vector = products[..., :-1, :-1], products[..., :-1, -1]
    rest = products[..., -1, -1] - inverse_form(vector, matrix)
    determinant = data.log_determinant(variances)
    if method == "ml":
        return determinant, rest, data.n
    return determinant + np.log(np.linalg.det(matrix)), rest, data.n - matrix.shape[-1]


def inverse_form(vector: NDArray[Any], matrix: NDArray[Any]) -> Any:
    """Return v' M^-1 v of vectors (..., p), or of one, and matrices (..., p, p)."""
    vector = np.broadcast_to(vector, matrix.shape[:-1])
    return (vector * np.linalg.solve(matrix, vector[..., None])[..., 0]).sum(axis=-1)


def with_one(ratios: NDArray[Any]) -> NDArray[Any]:
    """Append 1, the residual variance relative to itself, to ratios (..., k)."""
    return np.concatenate([ratios, np.ones((*ratios.shape[:-1], 1))], axis=-1)


def _refuse_confounded(data: Rows, method: Method) -> None:
    """Look at the expected information, tr(P V_i P V_j) (Harville 1977, JASA 72, 320-338), at equal variances."""
    at = np.ones(len(data.names))
    information = -hessian(lambda v: _parts(data, v, method)[0], at, _STEP * _scales(data, at))
    seen = np.diag(information) > _CONFOUNDED * np.diag(information).max()
    if not seen.all():
        unseen = [name for name, one in zip(data.names, seen, strict=True) if not one]
        raise StatisticsError(f"the design says nothing of the variance of {' and '.join(unseen)}")
    root = np.sqrt(np.diag(information))
    values, vectors = np.linalg.eigh(information / np.outer(root, root))
    if values[0] < _CONFOUNDED:
        # the directions about which nothing is known may be any mixture of one another; what they span is not
        null = vectors[:, values < _CONFOUNDED]
        together = csgraph.connected_components(np.abs(null @ null.T) > 0.1, directed=False)[1]  # noqa: PLR2004
        groups = [[data.names[at] for at in np.flatnonzero(together == group)] for group in np.unique(together)]
        first, *others = [" and ".join(names) for names in groups if len(names) > 1]
        more = "".join(f", nor those of {names}" for names in others)
        raise StatisticsError(f"the design does not tell the variances of {first} apart{more}")


def _refuse_unsettled(data: Rows, profile: Function, theta: Float64Array) -> None:
    if (theta**2).max(initial=0.0) > 1 / _VANISHING:
        raise StatisticsError("the variance of the residuals is next to nothing beside the others")
    free = np.flatnonzero(theta)
    slope = gradient(lambda relative: profile(relative**2), theta)[free]
    bend = hessian(lambda relative: profile(relative**2), theta, _STEP * theta, free)
    if not np.isfinite(slope).all() or not np.isfinite(bend).all():
        raise StatisticsError("the likelihood cannot be computed where the optimiser stopped")
    if free.size and (np.linalg.eigvalsh(bend)[0] <= 0 or abs(slope @ np.linalg.solve(bend, slope)) > _SETTLED):
        raise StatisticsError("the optimiser found no maximum of the likelihood")
    rise = gradient(profile, theta**2) * _scales(data, np.append(theta**2, 1.0))[:-1]
    for name, value, at in zip(data.names, rise, theta, strict=False):
        if at == 0 and value < -_RISING:
            raise StatisticsError(f"the optimiser stopped where more variance of {name} raises the likelihood")


def _scales(data: Rows, at: Float64Array) -> Float64Array:
    """Change of each variance that alters the rows' covariance by at most its own size in any direction.

    Its inverse is the Frobenius norm of V^-1 V_j, which no eigenvalue exceeds. A variance of 0 may so be given steps
    to both sides, however many rows share it.
    """
    small, each = 1e-8 * at.max(), np.arange(at.size)
    norms = -second(data.log_determinant, at, np.full(at.size, small), each, each)
    return np.asarray(1 / np.sqrt(np.maximum(norms, 1e-6 / at.max() ** 2)))


def _best(data: Rows, profile: Function, start: float) -> Float64Array:
    """Minimise from several starts, then by Newton's steps; what comes near the boundary is put on it."""

    def deviance(theta: NDArray[Any]) -> Any:
        return profile(theta**2)

    def both(theta: Float64Array) -> tuple[float, Float64Array]:
        return value_and_gradient(deviance, theta)

    def rescaled(units: Float64Array, scales: Float64Array) -> tuple[float, Float64Array]:
        value, slope = value_and_gradient(profile, units * scales)
        return value, slope * scales

    k = len(data.names) - 1
    bounds = [(0, None)] * k
    starts = start * np.vstack([np.full(k, 0.7), np.where(np.eye(k, dtype=bool), 1.0, 0.1)])
    found = [optimize.minimize(both, one, jac=True, bounds=bounds) for one in starts]
    ratios = min(found, key=lambda result: float(result.fun)).x ** 2
    # by its standard deviation the deviance is flat at a variance of 0, where a search may have stuck; by the variance
    # itself it is not
    scales = _scales(data, np.append(ratios, 1.0))[:-1]
    by_variance = optimize.minimize(rescaled, ratios / scales, args=(scales,), jac=True, bounds=bounds)
    theta: Float64Array = np.sqrt(np.asarray(by_variance.x * scales, dtype=np.float64))
    theta[theta <= _BOUNDARY] = 0.0
    free = np.flatnonzero(theta)
    for _ in range(_NEWTON_STEPS if free.size else 0):
        bend = hessian(deviance, theta, _STEP * np.abs(theta), free)
        if not np.isfinite(bend).all() or np.linalg.matrix_rank(bend) < free.size:
            break
        step = np.linalg.solve(bend, gradient(deviance, theta)[free])
        theta[free] -= step
        if np.abs(step).max() < 1e-12 * max(1.0, float(np.abs(theta).max())):
            break
    theta = np.abs(theta)
    theta[theta <= _BOUNDARY] = 0.0  # where Newton's steps led to it: it is as flat there as at an optimum
    return theta


def _satterthwaite(fit: ComponentFit, weights: Float64Array) -> tuple[float, Float64Array]:
    """Degrees of freedom from the observed information over the variances that are not 0; the plain covariance."""
    at, free = fit.variances, np.flatnonzero(fit.variances > 0)

    def variance(variances: NDArray[Any]) -> Any:
        return inverse_form(weights, fit.data.products(variances)[..., :-1, :-1])

    slope = gradient(variance, at)[free]
    return satterthwaite(float(weights @ fit.covariance @ weights), slope, _information(fit, free)), fit.covariance


def _information(fit: ComponentFit, free: IndexArray) -> Float64Array:
    """Second derivatives of the deviance by the variances, twice the observed information."""

    def deviance(variances: NDArray[Any]) -> Any:
        determinants, rest, _ = _parts(fit.data, variances, fit.method)
        return determinants + rest

    return hessian(deviance, fit.variances, _STEP * _scales(fit.data, fit.variances), free)


def _kenward_roger(fit: ComponentFit, weights: Float64Array) -> tuple[float, Float64Array]:
    """Degrees of freedom and covariance of Kenward and Roger."""
    at = fit.variances
    steps = _STEP * _scales(fit.data, at)

    def matrix(variances: NDArray[Any]) -> NDArray[Any]:
        return fit.data.products(variances)[..., :-1, :-1]

    p_i = list(gradient(matrix, at))
    # the covariance is linear in its variances: second derivatives of its inverse are twice the products Q, those of
    # its log determinant the traces
    q_ij = [list(row) for row in hessian(matrix, at, steps) / 2]
    return kenward_roger(weights, fit.covariance, p_i, q_ij, -hessian(fit.data.log_determinant, at, steps))
