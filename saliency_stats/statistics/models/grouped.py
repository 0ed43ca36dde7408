"""What a model with groups needs to know of the data: counts, means and cross products of each group."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from saliency_stats.errors import StatisticsError
from saliency_stats.typing import Float64Array


@dataclass(frozen=True, eq=False)
class GroupedSums:
    """Sufficient statistics of ``y ~ X`` with groups, random (``1 | group``) or robustly treated.

    A million patches cost as much as their slides: likelihood and sandwich depend on them through these sums alone.

    Parameters
    ----------
    groups
        (G,) names of the groups, sorted, each once.
    sizes
        (G,) rows of each.
    means
        (G, p + 1) means of the columns of X, and last of y.
    within
        (G, p + 1, p + 1) cross products of the same columns about the means of their group.
    """

    groups: NDArray[np.str_]
    sizes: Float64Array
    means: Float64Array
    within: Float64Array

    @property
    def n(self) -> int:
        """Rows in all."""
        return int(self.sizes.sum())

    @property
    def products(self) -> Float64Array:
        """(G, p + 1, p + 1) cross products about 0."""
        return self.within + self.sizes[:, None, None] * self.means[:, :, None] * self.means[:, None, :]

    @classmethod
    def from_rows(cls, y: Float64Array, x: Float64Array, groups: NDArray[np.generic]) -> Self:
        """Sum up rows, whose order does not matter beyond rounding.

        ``y`` (n,) are outcomes, ``x`` (n, p) the design with its intercept, ``groups`` (n,) names; numbers are read as
        text.

        Raises
        ------
        StatisticsError
            If the lengths differ, there is no row, or a value is not finite.
        """
        y, x = np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
        if y.ndim != 1 or x.ndim != 2 or not len(y) == len(x) == len(groups):  # noqa: PLR2004 - (n, p)
            raise StatisticsError(
                f"y, X and groups have the shapes {y.shape}, {x.shape} and {np.shape(groups)}; "
                "expected (n,), (n, p), (n,)."
            )
        if not len(y):
            raise StatisticsError("There is no row to fit a model to.")
        both = np.column_stack([x, y])
        bad = int(np.count_nonzero(~np.isfinite(both).all(axis=1)))
        if bad:
            raise StatisticsError(
                f"{bad} of {len(y)} rows hold a value that is not finite: leave them out and count them."
            )
        codes, names = pd.factorize(np.asarray(groups), sort=True)
        sizes = np.bincount(codes).astype(np.float64)
        means = np.stack([np.bincount(codes, column) for column in both.T], axis=1) / sizes[:, None]
        rest = both - means[codes]
        within = np.empty((len(names), rest.shape[1], rest.shape[1]))
        for i, j in zip(*np.triu_indices(rest.shape[1]), strict=True):
            within[:, i, j] = within[:, j, i] = np.bincount(codes, rest[:, i] * rest[:, j])
        return cls(names.astype(np.str_), sizes, means, within)

    def regrouped(self, names: NDArray[np.generic]) -> Self:
        """Give each group a new name, and make one group of those with the same.

        ``names`` (G,) has one for each group. The result is sorted by name; sums run in the order of the groups as they
        were (Chan, Golub and LeVeque 1983, *The American Statistician* 37, 242-247, equation 1.5).
        """
        found, codes = np.unique(np.asarray(names).astype(np.str_), return_inverse=True)
        total = np.bincount(codes, self.sizes).astype(np.float64)
        weighted = (self.sizes[:, None] * self.means).T
        merged = np.stack([np.bincount(codes, column) for column in weighted], axis=1) / total[:, None]
        rest = self.means - merged[codes]
        parts = self.within + self.sizes[:, None, None] * rest[:, :, None] * rest[:, None, :]
        within = np.zeros((len(found), *parts.shape[1:]))
        np.add.at(within, codes, parts)
        return type(self)(found, total, merged, within)
