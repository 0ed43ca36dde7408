"""Random intercepts at two levels, patients and their slides, by (restricted) maximum likelihood."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.likelihood import ComponentFit, fit_components
from saliency_stats.statistics.models.mixed import Method, fit_random_intercept
from saliency_stats.typing import IndexArray

#: A fitted model ``y ~ X + (1 | patient / slide)``; its variances are those between patients, between slides of a
#: patient, and within slides.
NestedIntercepts = ComponentFit


@dataclass(frozen=True, eq=False)
class NestedSums:
    """Sums per slide, and the patient of each slide as codes 0 to k - 1."""

    sums: GroupedSums
    patients: IndexArray

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.sums.n

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variance components."""
        return "patients", "slides", "patches"

    def products(self, variances: NDArray[Any]) -> NDArray[Any]:
        """(..., p + 1, p + 1) cross products of X and y weighted by the inverse covariance of the rows."""
        patients, slides, rows = (variances[..., at, None] for at in range(3))
        means = self.sums.means
        weight = self.sums.sizes / (rows + self.sums.sizes * slides)
        weighted = means * weight[..., None]
        totals = self._by_patient(weighted)
        shrink = patients / (1 + patients * self._by_patient(weight[..., None])[..., 0])
        inner = self.sums.within.sum(axis=0) / rows[..., None]
        shared = (totals * shrink[..., None]).swapaxes(-1, -2) @ totals
        return np.asarray(inner + weighted.swapaxes(-1, -2) @ means - shared)

    def log_determinant(self, variances: NDArray[Any]) -> Any:
        """(...) logarithms of the determinant of the covariance of the rows."""
        patients, slides, rows = (variances[..., at, None] for at in range(3))
        sizes = self.sums.sizes
        weight = sizes / (rows + sizes * slides)
        above = np.log(1 + patients * self._by_patient(weight[..., None])[..., 0]).sum(axis=-1)
        return (sizes - 1).sum() * np.log(rows[..., 0]) + np.log(rows + sizes * slides).sum(axis=-1) + above

    def _by_patient(self, values: NDArray[Any]) -> NDArray[Any]:
        total = np.zeros((*values.shape[:-2], int(self.patients.max()) + 1, values.shape[-1]), dtype=values.dtype)
        np.add.at(total.swapaxes(0, -2), self.patients, values.swapaxes(0, -2))
        return total


def nested_intercepts(sums: GroupedSums, patients: NDArray[np.generic], *, method: Method = "reml") -> NestedIntercepts:
    """Fit ``y ~ X + (1 | patient / slide)``.

    Parameters
    ----------
    patients
        (G,) the patient of each of ``sums.groups``.

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
    spread = float(np.sqrt(simple.between / simple.within))
    return fit_components(NestedSums(sums, codes), method=method, spread=spread)
