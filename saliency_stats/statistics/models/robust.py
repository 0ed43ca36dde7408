"""Least squares with a variance that is robust to groups, CR2 or CR3, with Bell and McCaffrey's degrees of freedom."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import linalg

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.linear import LinearTest, contrast_weights, t_test
from saliency_stats.typing import Float64Array

#: Eigenvalues of I - H of a group below this are 0: the group alone decides a coefficient.
_NOTHING: Final = 1e-10


#: A variance below this share of that of independent rows is rounding.
_ROUNDING: Final = 1e-20


@dataclass(frozen=True, eq=False)
class ClusterRobust:
    """Least squares ``y ~ X`` whose rows may depend on each other within groups in any way.

    ``coefficients`` (p,) have the ``covariance`` (p, p), CR2 or CR3; ``bread`` (p, p) is the inverse of X'X, and each
    of ``adjustments`` (G, p, p) times X_g' is X_g' (I - H_g)^(-1/2), or of the jackknife X_g' (I - H_g)^(-1) times the
    root of (G - 1) / G.
    """

    sums: GroupedSums
    coefficients: Float64Array
    covariance: Float64Array
    bread: Float64Array
    adjustments: Float64Array

    def test(self, contrast: Float64Array, *, null: float = 0.0, alpha: float = 0.05) -> LinearTest:
        """Test ``contrast @ coefficients`` against ``null``, two-sided.

        Returns
        -------
        LinearTest
            With Satterthwaite's degrees of freedom under independent rows of one variance: Bell and McCaffrey (2002),
            *Survey Methodology* 28, 169-181.

        Raises
        ------
        StatisticsError
            If the contrast has another length than the coefficients, or its variance is 0.
        """
        weights = contrast_weights(contrast, self.coefficients)
        # the square of the standard error that independent rows without any fit would have
        size = weights @ self.bread @ weights * self.sums.products[:, -1, -1].sum() / self.sums.n
        if not weights @ self.covariance @ weights > _ROUNDING * size:
            raise StatisticsError("The contrast does not vary between groups: it cannot be tested.")
        grams = self.sums.products[:, :-1, :-1]
        directions = np.einsum("gji,j->gi", self.adjustments, self.bread @ weights)
        reach = np.einsum("gij,gj->gi", grams, directions)
        kernel = -reach @ self.bread @ reach.T
        kernel[np.diag_indices_from(kernel)] += np.einsum("gi,gi->g", directions, reach)
        df = float(np.trace(kernel) ** 2 / (kernel**2).sum())
        return t_test(weights, self.coefficients, self.covariance, df, null=null, alpha=alpha)


def cluster_robust(sums: GroupedSums, *, jackknife: bool = False) -> ClusterRobust:
    """Fit by least squares and estimate the covariance by CR2, or by CR3, the jackknife over groups.

    The jackknife leaves out one group after the other: (G - 1) / G times the sum of the squared changes of the
    coefficients (MacKinnon, Nielsen and Webb 2023, *Journal of Econometrics* 232, 272-299, equation 14). It is the
    larger one, and errs less where few groups of unequal size decide.

    CR2: Pustejovsky and Tipton (2018), *Journal of Business & Economic Statistics* 36, 672-683, equation 7, with
    independent rows of one variance as the working model. Needs no more than p x p matrices per group, since
    ``X' f(X M X') = f(X'X M) X'`` for any function of a matrix. (statsmodels has CR1 alone, without these
    degrees of freedom.)

    Raises
    ------
    StatisticsError
        If there is one group, or columns of X depend on each other; of the jackknife also if one group alone decides a
        coefficient.
    """
    if len(sums.sizes) < 2:  # noqa: PLR2004 - nothing lies between the groups when there is one
        raise StatisticsError(f"All {sums.n} rows are of one group: the spread between groups cannot be seen.")
    products = sums.products
    total = products.sum(axis=0)
    refuse_dependent(total[:-1, :-1])
    bread = linalg.inv(total[:-1, :-1])
    coefficients = bread @ total[:-1, -1]
    root = np.asarray(linalg.sqrtm(bread)).real
    inverse = linalg.inv(root)
    values, vectors = np.linalg.eigh(np.eye(len(bread)) - root @ products[:, :-1, :-1] @ root)
    if jackknife:
        if values.min() < _NOTHING:
            raise StatisticsError("One group alone decides a coefficient: without it nothing can be estimated.")
        powers = np.sqrt(1 - 1 / len(values)) / values
    else:
        powers = np.where(values > _NOTHING, np.maximum(values, _NOTHING) ** -0.5, 0.0)
    adjustments = inverse @ (vectors * powers[:, None, :]) @ vectors.transpose(0, 2, 1) @ root
    scores = products[:, :-1, -1] - products[:, :-1, :-1] @ coefficients
    adjusted = np.einsum("gij,gj->gi", adjustments, scores) @ bread
    return ClusterRobust(sums, coefficients, adjusted.T @ adjusted, bread, adjustments)


def refuse_dependent(gram: Float64Array) -> None:
    """Raise :class:`StatisticsError` if X'X is singular."""
    scale = np.sqrt(np.diag(gram))
    if not (scale > 0).all() or np.linalg.matrix_rank(gram / np.outer(scale, scale), hermitian=True) < len(gram):
        raise StatisticsError("Columns of X depend on each other: leave one out.")
