"""Networks crossed with the units that they are judged on: means of cells, and REML over patches.

Pure NumPy: codes and values in, no tables.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.likelihood import ComponentFit, fit_components
from saliency_stats.statistics.models.linear import LinearTest
from saliency_stats.statistics.models.network_sums import COMPONENTS, NetworkSums, by_cell, owners_of, summed
from saliency_stats.typing import BoolArray, Float64Array, IndexArray


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
    alike
        Whether all networks found the same on every patch that several judged, as where the map is the picture's own:
        they are then one, and differ in nothing but the patches that they judged.
    """

    means: Float64Array
    counts: IndexArray
    n_patches: int
    sums: NetworkSums
    alike: bool

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
        owners_of("patch", patches, units)
        n_networks = int(networks.max()) + 1
        if np.bincount(patches * n_networks + networks).max() > 1:
            raise StatisticsError(
                "networks: a network has two values of one patch; keep one magnification, model, method and reduction"
            )
        counts = by_cell(networks, units).astype(np.intp)
        if slides is not None:
            slides = _compressed(slides)
            owners = owners_of("slide", slides, units)
            if owners.size > counts.shape[1]:
                values, networks, patches = _slide_means(values, networks, slides)
                units = owners[patches]
        with np.errstate(invalid="ignore"):
            means = by_cell(networks, units, values) / by_cell(networks, units)
        by_network, by_unit = (np.lexsort(np.sort(table, axis=1).T) for table in (means, means.T))
        networks, units = np.argsort(by_network)[networks], np.argsort(by_unit)[units]
        return cls(
            means[by_network][:, by_unit],
            counts[by_network][:, by_unit],
            n_patches,
            summed(values, networks, units, patches),
            _alike(values, patches),
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


def _alike(values: Float64Array, patches: IndexArray) -> bool:
    """Tell whether the rows of a patch are all the same, and some patch has several."""
    of_patch = np.empty(int(patches.max()) + 1)
    of_patch[patches] = values
    return bool(of_patch.size < values.size and np.all(values == of_patch[patches]))


def _slide_means(
    values: Float64Array, networks: IndexArray, slides: IndexArray
) -> tuple[Float64Array, IndexArray, IndexArray]:
    """Return the mean of each network on each slide in ascending order, with its network and slide."""
    judged = by_cell(networks, slides)
    of_network, of_slide = np.nonzero(judged)
    means = by_cell(networks, slides, values)[of_network, of_slide] / judged[of_network, of_slide]
    order = np.argsort(means, kind="stable")
    return means[order], of_network[order], of_slide[order]
