"""The model of a magnification study: the same locations of each slide at every magnification."""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.design import (
    check_choices,
    coefficient_table,
    known_ids,
    read_design,
    term_weights,
)
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.likelihood import ComponentFit, fit_components
from saliency_stats.statistics.models.linear import LinearTest
from saliency_stats.statistics.models.mixed import Freedom, Method
from saliency_stats.statistics.models.robust import ClusterRobust, cluster_robust, refuse_dependent
from saliency_stats.typing import Float64Array, IndexArray

#: The variance components, in their order; that of networks is there where a magnification has several.
_NAMES: Final = ("slide", "location", "slide and magnification", "network", "rows")
_NETWORK: Final = _NAMES.index("network")
#: Squared residuals of least squares below this share of the squared outcomes are rounding.
_NO_SPREAD: Final = 1e-24


@dataclass(frozen=True, eq=False)
class CrossedFit:
    """A fitted model ``y ~ X + (1 | slide) + (1 | slide:location) + (1 | slide:magnification)``, or what stands for it.

    Parameters
    ----------
    route
        "mixed"; or "cluster_robust" where the variance components cannot be had: then coefficients are those of least
        squares and tests those of CR2 with Bell and McCaffrey's degrees of freedom over slides.
    reason
        Why the route is "cluster_robust", else empty.
    fit
        What the tests come from, in ``basis``.
    basis
        (p, p) upper triangular: the columns of X are orthonormal ones times this.
    variances
        Between slides, locations of a slide, magnifications of a slide, networks of a magnification where there are
        several, and of the rows about these; 0 at the boundary. Empty where the route is "cluster_robust".
    deviance
        -2 log (restricted) likelihood, as lme4 gives it; None where the route is "cluster_robust".
    df, alpha
        Degrees of freedom of the mixed route's tests; intervals cover ``1 - alpha``.
    n_slides, n_locations, n_patches, n_missing
        Slides, locations and rows that were used; rows left out because a value is missing.
    """

    formula: str
    terms: tuple[str, ...]
    route: Literal["mixed", "cluster_robust"]
    reason: str
    fit: ComponentFit | ClusterRobust
    basis: Float64Array
    variances: dict[str, float]
    deviance: float | None
    df: Freedom
    alpha: float
    n_slides: int
    n_locations: int
    n_patches: int
    n_missing: int

    @property
    def boundary(self) -> tuple[str, ...]:
        """Components whose variance is estimated as 0."""
        return tuple(name for name, value in self.variances.items() if value == 0)

    def test(self, contrast: Float64Array | str, *, null: float = 0.0) -> LinearTest:
        """Test a combination of coefficients, given as (p,) weights or as the name of one, two-sided.

        Raises
        ------
        StatisticsError
            If there is no such term, the weights have another length, or the contrast has no variance.
        """
        weights = linalg.solve_triangular(self.basis, term_weights(contrast, self.terms), trans="T")
        if isinstance(self.fit, ClusterRobust):
            return self.fit.test(weights, null=null, alpha=self.alpha)
        return self.fit.test(weights, null=null, alpha=self.alpha, df=self.df)

    def table(self) -> pd.DataFrame:
        """Return one row per coefficient: term, estimate, se, df, statistic, p_value, ci_low, ci_high."""
        return coefficient_table(self.terms, self.test)


@dataclass(frozen=True, eq=False)
class CrossedSums:
    """Sufficient statistics of the crossed model: they grow with slides and magnifications, not with locations.

    Parameters
    ----------
    p
        Columns of X and y together.
    totals
        (G, q, q) cross products per slide of those columns, an indicator per network, a one, and an indicator per
        magnification.
    repeats
        (K,) in how many rows a location occurs.
    counts
        (K,) how many locations occur so often.
    squares
        (K, G, q, q) cross products per slide of the sums over these locations.
    n_networks
        Networks, of all magnifications together; 0 where they are no factor.
    """

    p: int
    totals: Float64Array
    repeats: Float64Array
    counts: Float64Array
    squares: Float64Array
    n_networks: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variance components."""
        return _NAMES if self.n_networks else (*_NAMES[:_NETWORK], *_NAMES[_NETWORK + 1 :])

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.repeats @ self.counts)

    @classmethod
    def from_rows(
        cls,
        y: Float64Array,
        x: Float64Array,
        slides: IndexArray,
        locations: IndexArray,
        levels: IndexArray,
        networks: IndexArray | None = None,
    ) -> "CrossedSums":
        """Sum up rows; slides, locations (each of one slide), levels of magnification and networks are codes from 0."""
        n_networks = 0 if networks is None else int(networks.max()) + 1
        of_network = np.empty((len(y), 0)) if networks is None else networks[:, None] == np.arange(n_networks)
        indicators = levels[:, None] == np.arange(levels.max() + 1)
        both = np.column_stack([x, y, of_network, np.ones(len(y)), indicators])
        sums = np.stack([np.bincount(locations, column) for column in both.T], axis=1)
        sizes, owners = np.bincount(locations), np.zeros(len(sums), dtype=np.intp)
        owners[locations] = slides
        repeats, kinds = np.unique(sizes, return_inverse=True)
        n_slides = int(slides.max()) + 1
        squares = [gram(sums[kinds == kind], owners[kinds == kind], n_slides) for kind in range(len(repeats))]
        return cls(
            x.shape[1] + 1,
            gram(both, slides, n_slides),
            repeats.astype(np.float64),
            np.bincount(kinds).astype(np.float64),
            np.stack(squares),
            n_networks,
        )

    def products(self, variances: NDArray[Any]) -> NDArray[Any]:
        """(..., p + 1, p + 1) cross products of X and y weighted by the inverse covariance of the rows."""
        wide = self._given_networks(variances)
        if not self.n_networks:
            return wide
        across = variances[..., _NETWORK, None, None] * wide[..., self.p :, : self.p]
        small = np.linalg.solve(self._above(wide, variances), across)
        return np.asarray(wide[..., : self.p, : self.p] - wide[..., : self.p, self.p :] @ small)

    def log_determinant(self, variances: NDArray[Any]) -> Any:
        """(...) logarithms of the determinant of the covariance of the rows."""
        inner, effects = self._inner(variances)
        location, rows = variances[..., 1, None], variances[..., -1, None]
        value = ((self.repeats - 1) * np.log(rows) + np.log(rows + self.repeats * location)) @ self.counts
        first = self.p + self.n_networks
        small = np.eye(effects.shape[-1]) + effects[..., None, :, None] * inner[..., first:, first:]
        value = value + np.log(np.linalg.det(small)).sum(axis=-1)
        if not self.n_networks:
            return value
        return value + np.log(np.linalg.det(self._above(self._given_networks(variances), variances)))

    def _above(self, wide: NDArray[Any], variances: NDArray[Any]) -> NDArray[Any]:
        """Return 1 plus the networks' variance times their cross products."""
        spread = variances[..., _NETWORK, None, None]
        return np.asarray(np.eye(self.n_networks) + spread * wide[..., self.p :, self.p :])

    def _given_networks(self, variances: NDArray[Any]) -> NDArray[Any]:
        """Cross products of X, y and networks weighted by the inverse covariance given networks."""
        inner, effects = self._inner(variances)
        first = self.p + self.n_networks
        across = inner[..., :first, first:]
        # Woodbury: what a slide and its magnifications share is few columns on top of what its locations share
        each, spread = np.eye(effects.shape[-1]), effects[..., None, :, None]
        small = np.linalg.solve(each + spread * inner[..., first:, first:], spread * each)
        shared = np.einsum("...gij,...gjk,...glk->...il", across, small, across)
        return np.asarray(inner[..., :first, :first].sum(axis=-3) - shared)

    def _inner(self, variances: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Cross products weighted by the inverse covariance given slides and magnifications, and their variances."""
        slide, location, level, rows = (variances[..., at, None] for at in (0, 1, 2, -1))
        share = location / (rows + self.repeats * location)
        inner = (self.totals - np.tensordot(share, self.squares, axes=1)) / rows[..., None, None]
        n_levels = self.totals.shape[1] - self.p - self.n_networks - 1
        return inner, np.concatenate([slide, np.repeat(level, n_levels, axis=-1)], axis=-1)


def gram(columns: Float64Array, codes: IndexArray, n: int) -> Float64Array:
    """(n, k, k) cross products of columns (rows, k) within each of n groups, whose codes the rows carry."""
    products = np.empty((n, columns.shape[1], columns.shape[1]))
    for i, j in zip(*np.triu_indices(columns.shape[1]), strict=True):
        products[:, i, j] = products[:, j, i] = np.bincount(codes, columns[:, i] * columns[:, j], minlength=n)
    return products


def crossed_intercepts(
    table: pd.DataFrame,
    formula: str,
    slide: str = "slide_id",
    location: str = "patch_id",
    magnification: str = "magnification",
    network: str | None = None,
    *,
    df: Freedom = "kenward_roger",
    method: Method = "reml",
    alpha: float = 0.05,
) -> CrossedFit:
    """Fit ``formula + (1 | slide) + (1 | slide:location) + (1 | slide:magnification)``.

    Locations are nested in slides and crossed with magnifications: a location shifts all its magnifications alike, a
    slide shifts each magnification by itself. Where a magnification has several networks, which no other one has,
    ``(1 | magnification:network)`` is added: else how much networks differ passes for a difference of magnifications.

    Parameters
    ----------
    table : DataFrame
        One row per location and magnification (and network); a location may lack some.
    formula : str
        Outcome and fixed part, such as ``"value ~ C(magnification)"``; see :func:`random_intercept`.
    slide, location, magnification : str
        Columns with the groups. The same location of two slides counts as two.
    network : str, optional
        Column with the networks.
    df : {"kenward_roger", "satterthwaite"}
        Degrees of freedom of the mixed route's tests.
    method : {"reml", "ml"}
        Likelihood; Kenward and Roger's degrees of freedom are made for REML.

    Returns
    -------
    CrossedFit
        Where the design does not tell the variance components apart, or the optimiser finds no maximum, ``route`` is
        "cluster_robust" and ``reason`` says why: least squares with the variance CR2 over slides.

    Raises
    ------
    StatisticsError
        If the formula cannot be read, a column is missing, a slide, location, magnification or network is unknown, rows
        repeat their key, there is one slide, columns of X depend on each other, or the outcome has no spread about X;
        with several networks also where the variance components cannot be had, because CR2 over slides takes these
        networks for all there are.
    """
    check_choices(df, method, alpha)
    design = read_design(table, formula)
    names = (slide, location, magnification, *([network] if network else []))
    keys = [known_ids(table, name, design) for name in names]
    repeated = int(pd.DataFrame(dict(enumerate(keys))).duplicated().sum())
    if repeated:
        raise StatisticsError(
            f"table: {repeated} rows repeat {', '.join(names[:-1])} and {names[-1]} of another; keep one model, method "
            "and contrast"
        )
    # numbered by the outcomes' order, so that no name changes a sum
    slides, places, levels, *others = (pd.factorize(ids)[0] for ids in keys)
    places = pd.factorize(pd.MultiIndex.from_arrays([slides, places]))[0]
    networks = pd.factorize(pd.MultiIndex.from_arrays([levels, *others]))[0] if others else levels
    several = networks.max() > levels.max()
    refuse_dependent(design.x.T @ design.x)
    # in orthonormal columns, and about least squares, no digit is lost to units and offsets
    q, basis = np.linalg.qr(design.x)
    start = q.T @ design.y
    rest = design.y - q @ start
    if rest @ rest <= _NO_SPREAD * (design.y @ design.y):
        raise StatisticsError(f"formula {formula!r} explains every value: there is no spread to test against")
    sums = GroupedSums.from_rows(rest, q, slides)
    robust = cluster_robust(sums)
    fit: ComponentFit | ClusterRobust
    reason, variances, deviance = "", {}, None
    try:
        crossed = CrossedSums.from_rows(rest, q, slides, places, levels, networks if several else None)
        fit = fit_components(crossed, method=method)
        variances = dict(zip(crossed.names, fit.variances.tolist(), strict=True))
        deviance = fit.deviance + 2 * float(np.log(np.abs(np.diag(basis))).sum()) * (method == "reml")
    except StatisticsError as error:
        if several:
            raise StatisticsError(f"{error}; without it nothing tells how much networks differ") from error
        reason, fit = f"{error}; tests are cluster-robust", robust
    return CrossedFit(
        formula,
        design.terms,
        "cluster_robust" if reason else "mixed",
        reason,
        replace(fit, coefficients=fit.coefficients + start),
        basis,
        variances,
        deviance,
        df,
        alpha,
        len(sums.sizes),
        int(places.max()) + 1,
        sums.n,
        design.n_missing,
    )
