"""Two groups of rows whose means vary from slide to slide, each in its own way, by restricted maximum likelihood."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.derivatives import gradient, hessian, value_and_gradient
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.likelihood import (
    ComponentFit,
    _parts,
    inverse_form,
    with_one,
)
from saliency_stats.statistics.models.linear import LinearTest, contrast_weights, satterthwaite, t_test
from saliency_stats.statistics.models.mixed import Freedom, fit_random_intercept
from saliency_stats.typing import Float64Array

#: Slides with both groups from which on their covariance can be told.
MIN_PAIRED: Final = 2
#: Relative standard deviations below this are on the boundary.
_BOUNDARY: Final = 1e-5
_NEWTON_STEPS: Final = 30
#: By how much a Newton step may still lower the deviance at the optimum.
_SETTLED: Final = 1e-13
#: Step of second derivatives, as a share of the argument.
_STEP: Final = 1e-3


@dataclass(frozen=True, eq=False)
class SlopeSums:
    """What the likelihood needs of each slide: how many rows of both groups, and what they sum up to.

    ``counts`` (G, 2) are rows that are not, and that are, of the group that column 1 of X marks, ``cross``
    (G, 2, p + 1) the sums of X and y over these rows, ``total`` (p + 1, p + 1) cross products over all.
    """

    counts: Float64Array
    cross: Float64Array
    total: Float64Array

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.counts.sum())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variance components."""
        return "slides in the others", "slides in both", "slides in the group", "rows"

    @classmethod
    def of(cls, sums: GroupedSums) -> "SlopeSums":
        """Sum up for a design whose columns are 1 and a mark of one group."""
        products = sums.products
        cross = np.stack([products[:, 0] - products[:, 1], products[:, 1]], axis=1)
        return cls(cross[:, :, 0], cross, products.sum(axis=0))

    def products(self, variances: NDArray[Any]) -> NDArray[Any]:
        """(..., p + 1, p + 1) cross products of X and y weighted by the inverse covariance of the rows."""
        between, inner = self._inner(variances)
        weights = between[..., None, :, :] @ np.linalg.inv(inner)
        shared = np.einsum("gij,...gik,gkl->...jl", self.cross, weights, self.cross)
        return np.asarray((self.total - shared) / variances[..., 3, None, None])

    def log_determinant(self, variances: NDArray[Any]) -> Any:
        """(...) logarithms of the determinant of the covariance of the rows."""
        inner = self._inner(variances)[1]
        alone = (self.n - 2 * len(self.counts)) * np.log(variances[..., 3])
        return alone + np.log(np.linalg.det(inner)).sum(axis=-1)

    def within(self) -> tuple[float, int]:
        """Return the squares of y about the means of a slide's groups, and their degrees of freedom."""
        some = self.counts > 0
        squares = float(self.total[-1, -1] - (self.cross[:, :, -1][some] ** 2 / self.counts[some]).sum())
        return squares, self.n - int(some.sum())

    def _inner(self, variances: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        between = variances[..., [[0, 1], [1, 2]]]
        alone = variances[..., 3, None, None, None] * np.eye(2)
        return between, alone + self.counts[:, :, None] * between[..., None, :, :]


@dataclass(frozen=True, eq=False)
class SlopesBySlide:
    """A fitted model ``y ~ group + (0 + group | slide)``.

    ``fit`` has the variances between slides of rows outside the group, the covariance of both, the variance inside it,
    and the variance of rows. ``roots`` (4,) are the Cholesky factor of the first three, that of the larger variance
    first, and the variance of rows; those at the boundary are 0. ``flipped`` tells that the group's variance is the
    larger one.
    """

    fit: ComponentFit
    roots: Float64Array
    flipped: bool

    def test(self, contrast: Float64Array, *, alpha: float = 0.05, df: Freedom = "satterthwaite") -> LinearTest:
        """Test ``contrast @ coefficients`` against 0, two-sided; see :meth:`RandomIntercept.test`.

        Satterthwaite's degrees of freedom come from the observed information over the roots that are not 0.

        Raises
        ------
        StatisticsError
            If the contrast has another length than the coefficients.
        """
        if df == "kenward_roger":
            return self.fit.test(contrast, alpha=alpha, df=df)
        weights, fit = contrast_weights(contrast, self.fit.coefficients), self.fit
        free = np.flatnonzero(self.roots)

        def deviance(roots: NDArray[Any]) -> Any:
            return sum(_parts(fit.data, _variances(roots, self.flipped), "reml")[:2])

        def variance(roots: NDArray[Any]) -> Any:
            return inverse_form(weights, fit.data.products(_variances(roots, self.flipped))[..., :-1, :-1])

        bend = hessian(deviance, self.roots, _STEP * np.abs(self.roots), free)
        slope = gradient(variance, self.roots)[free]
        freedom = satterthwaite(float(weights @ fit.covariance @ weights), slope, bend)
        return t_test(weights, fit.coefficients, fit.covariance, freedom, null=0.0, alpha=alpha)


def slopes_by_slide(sums: GroupedSums) -> SlopesBySlide:
    """Fit ``y ~ group + (0 + group | slide)`` with any covariance of a slide's two groups.

    With an intercept by slide alone, ``(1 | slide)``, slides that differ in the difference count as patches that do,
    and the test finds differences that are not there (Barr et al. 2013, *Journal of Memory and Language* 68, 255-278).

    Parameters
    ----------
    sums
        Of a design whose columns are 1 and a mark (0 or 1) of the rows in the group.

    Returns
    -------
    SlopesBySlide
        At the maximum of the restricted likelihood, looked for over Cholesky factors (Bates et al. 2015, *Journal of
        Statistical Software* 67, section 3.2) from several starts.

    Raises
    ------
    StatisticsError
        If fewer than two slides have rows of both groups, no slide has two rows of one group, rows of a slide and group
        do not differ, or the optimiser finds no maximum.
    """
    if (n_paired := paired_slides(sums)) < MIN_PAIRED:
        raise StatisticsError(f"Slides with rows of both groups: {n_paired}; slopes need at least {MIN_PAIRED}.")
    centre = float(sums.sizes @ sums.means[:, -1] / sums.n)
    shift = np.append(np.zeros(sums.means.shape[1] - 1), centre)
    data = SlopeSums.of(replace(sums, means=sums.means - shift))
    squares, freedom = data.within()
    if freedom < 1:
        raise StatisticsError("Each slide has one row of each group: spread within cannot be told; use a t test.")
    if squares <= 1e-24 * data.total[-1, -1]:
        raise StatisticsError("The outcome is constant within every slide and group: the model has no residual.")
    simple = fit_random_intercept(sums)
    try:
        with np.errstate(all="ignore"):  # a wild step of the optimiser is seen in what it found
            theta, flipped = _best(data, max(float(np.sqrt(simple.between / simple.within)), 0.1))
    except np.linalg.LinAlgError as error:
        raise StatisticsError("the likelihood grows without limit, or cannot be computed on the way") from error
    ratios = _variances(np.append(theta, 1.0), flipped)
    products = data.products(ratios)
    _, rest, left = _parts(data, ratios, "reml")
    rows = float(rest) / left
    covariance = linalg.inv(products[:-1, :-1])
    coefficients = linalg.solve(products[:-1, :-1], products[:-1, -1], assume_a="pos")
    coefficients[0] += centre
    fit = ComponentFit(
        data,
        coefficients,
        (covariance + covariance.T) / 2 * rows,
        ratios * rows,
        float(_profile(data, flipped)(theta)),
        "reml",
    )
    return SlopesBySlide(fit, np.append(theta * np.sqrt(rows), rows), flipped)


def paired_slides(sums: GroupedSums) -> int:
    """Count the slides that have rows of both groups that column 1 of X tells apart."""
    return int(np.count_nonzero(sums.within[:, 1, 1]))


def _variances(roots: NDArray[Any], flipped: bool) -> NDArray[Any]:  # noqa: FBT001 - what the roots mean
    first, below, last, rows = np.moveaxis(roots, -1, 0)
    larger, both, other = first**2, first * below, below**2 + last**2
    return np.stack([other, both, larger, rows] if flipped else [larger, both, other, rows], axis=-1)


def _profile(data: SlopeSums, flipped: bool) -> Any:  # noqa: FBT001 - what the roots mean
    def profile(theta: NDArray[Any]) -> Any:
        determinants, rest, freedom = _parts(data, _variances(with_one(theta), flipped), "reml")
        return determinants + freedom * (1 + np.log(2 * np.pi * rest / freedom))

    return profile


def _best(data: SlopeSums, start: float) -> tuple[Float64Array, bool]:
    """Minimise from several starts, then by Newton's steps over what is not on the boundary.

    Below a variance near 0 the other roots hardly matter, so that of the larger variance must come first.
    """
    starts = start * np.array([[1.0, 0.7, 0.7], [0.5, -0.2, 1.0], [1.0, 0.2, 0.2]])
    plain = min((_search(data, one, flipped=False) for one in starts), key=lambda result: float(result.fun)).x
    flipped = bool(plain[0] ** 2 < plain[1] ** 2 + plain[2] ** 2)
    theta = np.asarray(plain, dtype=np.float64)
    if flipped:
        first = float(np.hypot(plain[1], plain[2]))
        theta = np.array([first, plain[0] * plain[1] / first, plain[0] * abs(plain[2]) / first])
        theta = np.asarray(_search(data, theta, flipped=True).x, dtype=np.float64)
    return _polished(_profile(data, flipped), theta), flipped


def _search(data: SlopeSums, start: Float64Array, *, flipped: bool) -> Any:
    profile = _profile(data, flipped)
    bounds = [(0, None), (None, None), (0, None)]
    return optimize.minimize(lambda at: value_and_gradient(profile, at), start, jac=True, bounds=bounds)


def _polished(profile: Any, theta: Float64Array) -> Float64Array:
    for _ in range(_NEWTON_STEPS):
        theta[np.abs(theta) <= _BOUNDARY] = 0.0
        free = np.flatnonzero(theta)
        if not free.size:
            return theta
        slope = gradient(profile, theta)[free]
        bend = hessian(profile, theta, _STEP * np.abs(theta), free)
        if not np.isfinite(bend).all() or np.linalg.eigvalsh(bend)[0] <= 0:
            break
        step = np.linalg.solve(bend, slope)
        if abs(slope @ step) <= _SETTLED:
            return theta
        theta[free] -= step
    raise StatisticsError("the optimiser found no maximum of the likelihood")
