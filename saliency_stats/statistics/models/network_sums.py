"""What REML needs of networks crossed with units: cross products that do not grow with the patches. Pure NumPy."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.crossed import gram
from saliency_stats.typing import Float64Array, IndexArray

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
        """(..., 2, 2) cross products of the intercept and y weighted by the inverse covariance of the rows."""
        both, network, _ = self._given_networks(variances)
        # Woodbury: the networks of the whole table are few columns on top of what a unit's rows share
        sums = np.stack([both[..., 1:, :].sum(axis=-2), both[..., 0, :]], axis=-2)
        of_networks = sums[..., 1:]
        top = np.stack([of_networks.sum(axis=-1), sums[..., 0]], axis=-1)
        small = np.linalg.solve(_above(both, network), network[..., None, None] * of_networks.swapaxes(-1, -2))
        return np.asarray(top - of_networks @ small)

    def log_determinant(self, variances: NDArray[Any]) -> Any:
        """(...) logarithms of the determinant of the covariance of the rows."""
        both, network, value = self._given_networks(variances)
        return value + np.log(np.linalg.det(_above(both, network)))

    def _given_networks(self, variances: NDArray[Any]) -> tuple[NDArray[Any], Any, Any]:
        """(..., 1 + K, 1 + K) cross products of y and networks, given these; their variance; log determinant."""
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
        of = dict(zip(self.names, np.moveaxis(variances, -1, 0), strict=True))
        absent = np.zeros_like(variances[..., 0])
        network, unit, patch, cell, rows = (of.get(name, absent) for name in COMPONENTS)
        of_patches = rows[..., None] + self.repeats * patch[..., None]
        share = patch[..., None] / of_patches
        inner = (self.totals - np.tensordot(share, self.squares, axes=1)) / rows[..., None, None, None]
        diagonal = np.eye(self.local.shape[1])
        shared = unit[..., None, None, None] + cell[..., None, None, None] * diagonal
        system = diagonal + shared @ inner[..., 1:, 1:]
        inner = inner - inner[..., 1:] @ np.linalg.solve(system, shared @ inner[..., 1:, :])
        value = ((self.repeats - 1) * np.log(rows[..., None]) + np.log(of_patches)) @ self.counts
        return self._gathered(inner), network, value + np.log(np.linalg.det(system)).sum(axis=-1)

    def _gathered(self, inner: NDArray[Any]) -> NDArray[Any]:
        """Add up the units' cross products (..., G, 1 + L, 1 + L) where they belong, of y and all networks."""
        size, flat = self._places
        many = inner.reshape(-1, flat.size)
        where = (np.arange(len(many))[:, None] * size**2 + flat).ravel()
        real, imaginary = (np.bincount(where, part.ravel(), len(many) * size**2) for part in (many.real, many.imag))
        both = real + 1j * imaginary if np.iscomplexobj(inner) else real
        return both.reshape(*inner.shape[:-3], size, size)


def _above(both: NDArray[Any], network: NDArray[Any]) -> NDArray[Any]:
    """Return 1 plus the networks' variance times their cross products (..., K, K)."""
    return np.asarray(np.eye(both.shape[-1] - 1) + network[..., None, None] * both[..., 1:, 1:])


def owners_of(what: str, members: IndexArray, units: IndexArray) -> IndexArray:
    """Return the unit of each member, or refuse one that has two."""
    owners = np.zeros(int(members.max()) + 1, dtype=np.intp)
    owners[members] = units
    shared = int(np.unique(members[owners[members] != units]).size)
    if shared:
        raise StatisticsError(f"networks: {shared} {what} codes stand in more than one unit; a {what} lies in one")
    return owners


def by_cell(networks: IndexArray, units: IndexArray, values: Float64Array | None = None) -> Float64Array:
    """(K, G) sums of the values of each network on each unit, or how many there are."""
    n_networks, n_units = int(networks.max()) + 1, int(units.max()) + 1
    found = np.bincount(networks * n_units + units, values, n_networks * n_units).astype(np.float64)
    return found.reshape(n_networks, n_units)


def summed(values: Float64Array, networks: IndexArray, units: IndexArray, patches: IndexArray) -> NetworkSums:
    """Sum up rows in ascending order of their values."""
    centre = float(np.mean(values))
    values = values - centre
    sizes = by_cell(networks, units)
    judged = sizes > 0
    slots = np.cumsum(judged, axis=0) - 1
    n_slots, n_units = int(slots.max()) + 1, judged.shape[1]
    local = np.zeros((n_units, n_slots), dtype=np.intp)
    of_network, of_unit = np.nonzero(judged)
    local[of_unit, slots[judged]] = of_network
    totals = np.zeros((n_units, 1 + n_slots, 1 + n_slots))
    at = 1 + slots[judged]
    totals[:, 0, 0] = np.bincount(units, values**2)
    totals[of_unit, 0, at] = totals[of_unit, at, 0] = by_cell(networks, units, values)[judged]
    totals[of_unit, at, at] = sizes[judged]
    sums = np.bincount(patches, values)
    order = np.argsort(sums, kind="stable")
    present = np.bincount(patches * n_slots + slots[networks, units], minlength=sums.size * n_slots)
    owners = owners_of("patch", patches, units)
    columns = np.column_stack([sums, present.reshape(-1, n_slots)])[order]
    repeats, kinds = np.unique(np.bincount(patches)[order], return_inverse=True)
    squares = [gram(columns[kinds == kind], owners[order][kinds == kind], n_units) for kind in range(repeats.size)]
    return NetworkSums(
        local, totals, repeats.astype(np.float64), np.bincount(kinds).astype(np.float64), np.stack(squares), centre
    )
