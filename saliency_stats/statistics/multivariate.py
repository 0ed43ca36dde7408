"""Hotelling's T²: the mean of several coordinates against 0 over independent units, its region, and its sign flips."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.contrasts import ROUNDING
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.resampling import flips_of
from saliency_stats.statistics.sentences import counted
from saliency_stats.typing import Float64Array


@dataclass(frozen=True, eq=False)
class Hotelling:
    """Hotelling's test of k means against 0: ``statistic`` is T², ``f`` its F with ``df1`` and ``df2``.

    ``reason`` says why there is no test, and is empty where there is one; ``mean`` (k,) and ``covariance`` (k, k) of
    the ``n`` units are given where they exist.
    """

    n: int
    statistic: float
    f: float
    df1: float
    df2: float
    p_value: float
    mean: Float64Array
    covariance: Float64Array
    reason: str = ""


def hotelling(means: ArrayLike, *, min_units: int = 0, unit: str = "unit") -> Hotelling:
    """Hotelling's T² test that the mean of independent units' means is 0 in all k coordinates.

    Parameters
    ----------
    means : array (n, k)
        One row per independent unit.
    min_units : int
        Fewest units for a test; at least ``k + 1`` are needed in any case.
    unit : str
        What a unit is called in ``reason``.

    Returns
    -------
    Hotelling
        ``T² = n mean' S^-1 mean`` and ``F = T² (n - k) / (k (n - 1))`` with k and n - k degrees of freedom, exact where
        the units' means are normal. It does not change under any invertible linear map of the coordinates, so neither
        the choice nor the order of the parts matters. Without a test, the numbers are NaN and ``reason`` says why.

    Raises
    ------
    StatisticsError
        If ``means`` is not a matrix of finite numbers.

    Notes
    -----
    Hotelling (1931), *Ann. Math. Stat.* 2, 360-378; Johnson & Wichern (2007), *Applied Multivariate Statistical
    Analysis*, 6th ed., section 5.2. statsmodels' ``test_mvmean`` gives the same numbers, fails for one coordinate, and
    says nothing of units without spread in some direction.
    """
    x = np.asarray(means, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] < 1 or not np.isfinite(x).all():  # noqa: PLR2004 - rows and columns
        raise StatisticsError(f"means: shape {x.shape}, expected finite numbers of shape (units, coordinates)")
    n, k = x.shape
    needed = max(k + 1, min_units)
    mean = x.mean(axis=0) if n else np.full(k, NAN)
    centred = x - mean
    covariance = centred.T @ centred / (n - 1) if n > 1 else np.full((k, k), NAN)
    nothing = Hotelling(n, NAN, NAN, NAN, NAN, NAN, mean, covariance)
    if n < needed:
        found = f"there {'is' if n == 1 else 'are'} only {counted(n, unit)}" if n else f"there is no {unit}"
        return replace(nothing, reason=f"{found}, and a test of {counted(k, 'coordinate')} needs at least {needed}")
    # The singular values lose fewer digits than the inverse of S, and show whether it has one.
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    if spread[-1] <= ROUNDING * max(1.0, float(np.abs(x).max())):
        return replace(
            nothing, reason=f"the means of the {n} {unit}s have no spread in some direction, so T² has no value"
        )
    t2 = n * (n - 1) * float(np.sum((axes @ mean / spread) ** 2))
    f = t2 * (n - k) / (k * (n - 1))
    return Hotelling(n, t2, f, float(k), float(n - k), float(stats.f.sf(f, k, n - k)), mean, covariance)


def confidence_region(result: Hotelling, *, alpha: float = 0.05, n_points: int = 181) -> Float64Array:
    """Return the closed border (n_points, 2) of the ellipse of means that Hotelling's test does not reject.

    Johnson & Wichern (2007), equation 5-18; for two coordinates.

    Raises
    ------
    StatisticsError
        If the result holds no test or not two coordinates.
    """
    n, k = result.n, result.mean.size
    if result.reason or k != 2:  # noqa: PLR2004 - a plane
        raise StatisticsError(f"no confidence region of {k} coordinates: {result.reason or 'expected two'}")
    radius = np.sqrt(k * (n - 1) / (n * (n - k)) * stats.f.isf(alpha, k, n - k))
    angle = np.linspace(0, 2 * np.pi, n_points)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.asarray(result.mean + radius * circle @ np.linalg.cholesky(result.covariance).T)


def sign_flip_rows(means: Float64Array, *, draws: int, seed: int) -> float:
    """Return the p-value of T² under sign flips of whole units: no normal distribution is needed.

    Under the hypothesis that the units' means are symmetric about 0, jointly in all coordinates, every assignment of
    signs to the rows is equally likely. All are visited up to 16 units; beyond, ``draws`` random ones, the observed one
    counted too (Phipson & Smyth 2010). ``X'X`` is the same under every assignment s, and T² grows with
    ``s'X (X'X)^-1 X's``, so one orthonormal basis of X serves all.

    Parameters
    ----------
    means : array (n, k)
        One row per unit, such that :func:`hotelling` has a test.
    """
    n = len(means)
    basis = np.linalg.qr(means)[0]
    least = float(np.sum(basis.sum(axis=0) ** 2)) - 1e-12 * n  # ties must count although their sums round differently
    hits = n_draws = 0
    for flips in flips_of(n, draws, seed):
        signs = 1.0 - 2.0 * flips
        hits += int(np.count_nonzero(np.sum((signs @ basis) ** 2, axis=1) >= least))
        n_draws += len(signs)
    return (1 + hits) / (1 + n_draws)
