"""Networks crossed with the units that they are judged on: means of cells, and REML over patches.

Pure NumPy: codes and values in, no tables.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.crossed import gram
from saliency_stats.statistics.models.likelihood import ComponentFit, fit_components
from saliency_stats.statistics.models.linear import LinearTest
from saliency_stats.typing import BoolArray, Float64Array, IndexArray

#: The variance components, in their order. "patch" is the patch of a unit, which all networks share, or the slide of a
#: patient where patients have several.
COMPONENTS: Final = ("network", "unit", "patch", "network and unit", "residual")


@dataclass(frozen=True, eq=False)
class NetworkSums:
    """Sufficient statistics of ``y ~ 1`` with networks, units, patches of a unit, and networks of a unit as random.

    They grow with units times the networks that judge one, not with patches.

    Parameters
    ----------
    local
        (G, L) the networks that judge a unit; what is left over names the first.
    totals
        (G, 1 + L, 1 + L) cross products per unit of the values about ``centre`` and an indicator per network.
    repeats
        (R,) by how many networks a patch is judged.
    counts
        (R,) how many patches are judged by so many.
    squares
        (R, G, 1 + L, 1 + L) cross products per unit of the sums over these patches.
    centre
        What was taken off the values.
    names
        The components of the model; the others are 0.
    """

    local: IndexArray
    totals: Float64Array
    repeats: Float64Array
    counts: Float64Array
    squares: Float64Array
    centre: float
    names: tuple[str, ...] = COMPONENTS

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.repeats @ self.counts)

    @property
    def sizes(self) -> Float64Array:
        """(G, L) rows of a unit by network."""
        return np.asarray(np.diagonal(self.totals, axis1=1, axis2=2)[:, 1:])

    def products(self, variances: NDArray[Any]) -> NDArray[Any]:
        """(2, 2) cross products of the intercept and y weighted by the inverse covariance of the rows."""
        both, network, _ = self._given_networks(variances)
        # Woodbury: the networks of the whole table are few columns on top of what a unit's rows share
        sums = np.vstack([both[1:].sum(axis=0), both[:1]])
        top = np.column_stack([sums[:, 1:].sum(axis=1), sums[:, 0]])
        small = np.linalg.solve(np.eye(len(both) - 1) + network * both[1:, 1:], network * sums[:, 1:].T)
        return np.asarray(top - sums[:, 1:] @ small)

    def log_determinant(self, variances: NDArray[Any]) -> Any:
        """Logarithm of the determinant of the covariance of the rows."""
        both, network, value = self._given_networks(variances)
        return value + np.log(np.linalg.det(np.eye(len(both) - 1) + network * both[1:, 1:]))

    def _given_networks(self, variances: NDArray[Any]) -> tuple[NDArray[Any], Any, Any]:
        """(1 + K, 1 + K) cross products of y and networks, weighted given these; their variance; log determinant."""
        key = variances.dtype.char.encode() + variances.tobytes()
        found = self._found.get(key)
        if found is None:  # products and determinants are asked for of the same variances, one after the other
            found = self._weighted(variances)
            self._found.clear()
            self._found[key] = found
        return found

    @cached_property
    def _found(self) -> dict[bytes, tuple[NDArray[Any], Any, Any]]:
        return {}

    @cached_property
    def _places(self) -> tuple[int, IndexArray]:
        """Columns of y and the networks in all, and where the cross products of each unit belong among them."""
        size = 2 + int(self.local.max())
        at = np.column_stack([np.zeros(len(self.local), dtype=np.intp), 1 + self.local])
        return size, (at[:, :, None] * size + at[:, None, :]).ravel()

    def _weighted(self, variances: NDArray[Any]) -> tuple[NDArray[Any], Any, Any]:
        of = dict(zip(self.names, variances, strict=True))
        network, unit, patch, cell, rows = (of.get(name, 0.0) for name in COMPONENTS)
        share = patch / (rows + self.repeats * patch)
        inner = (self.totals - np.tensordot(share, self.squares, axes=1)) / rows
        diagonal = np.eye(self.local.shape[1])
        shared = unit + cell * diagonal
        system = diagonal + shared @ inner[:, 1:, 1:]
        inner = inner - inner[:, :, 1:] @ np.linalg.solve(system, shared @ inner[:, 1:, :])
        size, flat = self._places
        real, imaginary = (np.bincount(flat, part.ravel(), size * size) for part in (inner.real, inner.imag))
        both = (real + 1j * imaginary if np.iscomplexobj(inner) else real).reshape(size, size)
        value = self.counts @ ((self.repeats - 1) * np.log(rows) + np.log(rows + self.repeats * patch))
        return both, network, value + np.log(np.linalg.det(system)).sum()


@dataclass(frozen=True, eq=False)
class NetworkCells:
    """What K networks found on G units (slides or patients), in an order that no name decides.

    Parameters
    ----------
    means
        (K, G) of the patches of a unit; a patient's is the mean of its slides' means. NaN where a network did not judge
        a unit.
    counts
        (K, G) patches with a value.
    n_patches
        Patches with a value of any network.
    sums
        What REML needs of the patches.
    """

    means: Float64Array
    counts: IndexArray
    n_patches: int
    sums: NetworkSums

    @property
    def n_networks(self) -> int:
        """Networks with a value."""
        return len(self.means)

    @property
    def n_units(self) -> int:
        """Units with a value."""
        return len(self.means.T)

    @property
    def complete(self) -> bool:
        """Whether every network judged every unit."""
        return bool(self.counts.all())

    @property
    def fit(self) -> ComponentFit:
        """The model of :func:`network_intercepts`, fitted when first asked for; errors as there."""
        if isinstance(self._fit, str):
            raise StatisticsError(self._fit)
        return self._fit

    @cached_property
    def _fit(self) -> ComponentFit | str:
        """The model, or why there is none: a failure is not repeated for every test and level either."""
        try:
            return network_intercepts(self)
        except StatisticsError as error:
            return str(error)

    @cached_property
    def tested(self) -> LinearTest:
        """The test of the mean by :attr:`fit`; errors as there."""
        return self.fit.test(np.ones(1))

    @classmethod
    def from_rows(
        cls,
        values: Float64Array,
        networks: IndexArray,
        units: IndexArray,
        patches: IndexArray,
        slides: IndexArray | None = None,
    ) -> "NetworkCells":
        """Sum up one finite value per network and patch; neither the order of the rows nor a name changes any bit.

        Parameters
        ----------
        values : array of float, shape (n,)
            One per network and patch, finite.
        networks, units, patches : array of int, shape (n,)
            Codes from 0 on. A patch lies in one unit and has at most one value per network.
        slides : array of int, shape (n,), optional
            Where patients are the units, their slides. If a patient has several, its slides' means are what the model
            sees of it, so that a slide does not count more for having more patches.

        Raises
        ------
        StatisticsError
            If lengths differ, there is no row, a value is not finite, a code is negative, a network has two values of a
            patch, or a patch (a slide) lies in two units.
        """
        _check_rows(values, networks, units, patches, slides)
        if np.any(values[1:] < values[:-1]):  # sums run in the order of the values
            order = np.argsort(values, kind="stable")
            values = values[order]
            networks, units, patches = (codes[order] for codes in (networks, units, patches))
            slides = None if slides is None else slides[order]
        networks, units, patches = (_compressed(codes) for codes in (networks, units, patches))
        n_patches = int(patches.max()) + 1
        _owners("patch", patches, units)
        n_networks = int(networks.max()) + 1
        if np.bincount(patches * n_networks + networks).max() > 1:
            raise StatisticsError(
                "networks: a network has two values of one patch; keep one magnification, model, method and reduction"
            )
        counts = _by_cell(networks, units).astype(np.intp)
        if slides is not None:
            slides = _compressed(slides)
            owners = _owners("slide", slides, units)
            if owners.size > counts.shape[1]:
                values, networks, patches = _slide_means(values, networks, slides)
                units = owners[patches]
        with np.errstate(invalid="ignore"):
            means = _by_cell(networks, units, values) / _by_cell(networks, units)
        by_network, by_unit = (np.lexsort(np.sort(table, axis=1).T) for table in (means, means.T))
        networks, units = np.argsort(by_network)[networks], np.argsort(by_unit)[units]
        return cls(
            means[by_network][:, by_unit],
            counts[by_network][:, by_unit],
            n_patches,
            _sums(values, networks, units, patches),
        )


def network_intercepts(cells: NetworkCells) -> ComponentFit:
    """Fit ``y ~ 1 + (1 | network) + (1 | unit) + (1 | unit:patch) + (1 | network:unit)`` by REML.

    Components that the design hides are left out, and what they hold is in the others: that of the unit where each has
    one row; that of the patch where no networks share one or each unit has one; that of network and unit where each
    unit has one network (folds), or each network one patch of a unit.

    Returns
    -------
    ComponentFit
        With ``variances`` of ``data.names``, a part of :data:`COMPONENTS`; one coefficient.

    Raises
    ------
    StatisticsError
        If the design does not tell the other components apart, or the likelihood has no maximum.
    """
    sums = cells.sums
    sizes, patches = sums.sizes, np.tensordot(sums.repeats**-2.0, sums.squares[:, :, 1:, 1:], axes=1).sum(axis=(1, 2))
    told = {
        "unit": sizes.sum(axis=1).max() > 1,
        "patch": sums.repeats.max() > 1 and patches.max() > 1,
        "network and unit": sizes.max() > 1 and np.count_nonzero(sizes, axis=1).max() > 1,
    }
    fit = fit_components(replace(sums, names=tuple(name for name in COMPONENTS if told.get(name, True))))
    return replace(fit, coefficients=fit.coefficients + sums.centre)


def _check_rows(values: Float64Array, *codes: IndexArray | None) -> None:
    shapes = {np.shape(each) for each in (values, *codes) if each is not None}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise StatisticsError(f"networks: values and codes have the shapes {sorted(shapes)}, expected one length")
    if not len(values):
        raise StatisticsError("networks: there is no value")
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise StatisticsError(f"networks: {bad} of {len(values)} values are not finite: leave them out and count them")
    if any(each is not None and each.min() < 0 for each in codes):
        raise StatisticsError("networks: a code is negative; codes count from 0")


def _compressed(codes: IndexArray) -> IndexArray:
    """Renumber the codes that occur from 0 on."""
    occurs: BoolArray = np.bincount(codes) > 0
    return codes if occurs.all() else (np.cumsum(occurs) - 1)[codes]


def _owners(what: str, members: IndexArray, units: IndexArray) -> IndexArray:
    """Return the unit of each member, or refuse one that has two."""
    owners = np.zeros(int(members.max()) + 1, dtype=np.intp)
    owners[members] = units
    shared = int(np.unique(members[owners[members] != units]).size)
    if shared:
        raise StatisticsError(f"networks: {shared} {what} codes stand in more than one unit; a {what} lies in one")
    return owners


def _by_cell(networks: IndexArray, units: IndexArray, values: Float64Array | None = None) -> Float64Array:
    """(K, G) sums of the values of each network on each unit, or how many there are."""
    n_networks, n_units = int(networks.max()) + 1, int(units.max()) + 1
    found = np.bincount(networks * n_units + units, values, n_networks * n_units).astype(np.float64)
    return found.reshape(n_networks, n_units)


def _slide_means(
    values: Float64Array, networks: IndexArray, slides: IndexArray
) -> tuple[Float64Array, IndexArray, IndexArray]:
    """Return the mean of each network on each slide in ascending order, with its network and slide."""
    judged = _by_cell(networks, slides)
    of_network, of_slide = np.nonzero(judged)
    means = _by_cell(networks, slides, values)[of_network, of_slide] / judged[of_network, of_slide]
    order = np.argsort(means, kind="stable")
    return means[order], of_network[order], of_slide[order]


def _sums(values: Float64Array, networks: IndexArray, units: IndexArray, patches: IndexArray) -> NetworkSums:
    """Sum up rows in ascending order of their values."""
    centre = float(np.mean(values))
    values = values - centre
    sizes = _by_cell(networks, units)
    judged = sizes > 0
    slots = np.cumsum(judged, axis=0) - 1
    n_slots, n_units = int(slots.max()) + 1, judged.shape[1]
    local = np.zeros((n_units, n_slots), dtype=np.intp)
    of_network, of_unit = np.nonzero(judged)
    local[of_unit, slots[judged]] = of_network
    totals = np.zeros((n_units, 1 + n_slots, 1 + n_slots))
    at = 1 + slots[judged]
    totals[:, 0, 0] = np.bincount(units, values**2)
    totals[of_unit, 0, at] = totals[of_unit, at, 0] = _by_cell(networks, units, values)[judged]
    totals[of_unit, at, at] = sizes[judged]
    sums = np.bincount(patches, values)
    order = np.argsort(sums, kind="stable")
    present = np.bincount(patches * n_slots + slots[networks, units], minlength=sums.size * n_slots)
    owners = _owners("patch", patches, units)
    columns = np.column_stack([sums, present.reshape(-1, n_slots)])[order]
    repeats, kinds = np.unique(np.bincount(patches)[order], return_inverse=True)
    squares = [gram(columns[kinds == kind], owners[order][kinds == kind], n_units) for kind in range(repeats.size)]
    return NetworkSums(
        local, totals, repeats.astype(np.float64), np.bincount(kinds).astype(np.float64), np.stack(squares), centre
    )
