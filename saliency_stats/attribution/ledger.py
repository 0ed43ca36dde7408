"""The ledger: which share of a patch's saliency lies in which compartment (pure NumPy and pandas)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliency_stats.attribution.checked import Maps, Memberships, checked_saliency, compartment_key, fitting
from saliency_stats.errors import AttributionError
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import COMPARTMENTS


class Shares(NamedTuple):
    """Shares of every compartment, each (N, K) float64.

    ``area`` and ``mass`` sum to 1 over K; ``mass`` is NaN where a map is zero everywhere. ``density`` is
    mass / area, NaN where the compartment is absent.
    """

    area: Float64Array
    mass: Float64Array
    density: Float64Array


class CrossedShares(NamedTuple):
    """Shares of several divisions of N patches: ``area`` (N, V, K), and of their maps ``mass`` (N, V, M, K)."""

    area: Float64Array
    mass: Float64Array


def shares(saliency: npt.ArrayLike | Maps, memberships: npt.ArrayLike | Memberships) -> Shares:
    """Area share, mass share and density ratio of every compartment, (N, K) each.

    With n pixels, memberships w_k and saliency S: ``area_k = sum(w_k) / n``,
    ``mass_k = sum(w_k S) / sum(S)``, ``density_k = mass_k / area_k``, summed in float64. For hard masks
    the mass share is the relevance mass accuracy of Arras et al. (2022), "CLEVR-XAI", eq. 4.

    Parameters
    ----------
    saliency
        (N, H, W), finite and not negative, or as ``checked_saliency`` gives them. Any positive factor cancels.
    memberships
        (N, K, H, W), not negative, summing to 1 over K in every pixel, or as ``checked_memberships`` gives them.

    Raises
    ------
    AttributionError
        If shapes disagree, saliency is NaN, infinite or negative, or memberships do not sum to 1.
    """
    maps = checked_saliency(saliency)
    members = fitting(memberships, maps)
    scaled, total = _scaled(maps.exact)
    mass = _over(np.einsum("nkhw,nhw->nk", members.weights, scaled), total[:, None])
    return Shares(members.area, mass, _over(mass, members.area))


def crossed_shares(
    maps: Sequence[Maps], divisions: Iterable[Memberships], compartments: Sequence[str]
) -> CrossedShares:
    """Area and mass shares of every division of a patch under every map of it.

    There are M ``maps`` (N, H, W), and of each of the N patches a division (V, K, H, W) in the order of
    ``COMPARTMENTS``, asked for one after the other. The result is as from ``shares``, of the named ``compartments``.
    """
    wanted = [COMPARTMENTS.index(name) for name in compartments]
    areas, masses = [], []
    for patch, members in enumerate(divisions):
        scaled, total = _scaled(np.stack([one.raw[patch] for one in maps]).astype(np.float64))
        weights = members.weights.take(wanted, axis=1)
        # map by map: all at once is no faster, and adds up in another order than ``shares``
        mass = np.stack([np.einsum("vkhw,hw->vk", weights, one) for one in scaled], axis=1)
        areas.append(members.area[:, wanted])
        masses.append(_over(mass, total[:, None]))
    return CrossedShares(np.stack(areas), np.stack(masses))


def _scaled(maps: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Divide maps by their largest value, so that tiny gradients do not underflow; also the sums of what results."""
    peak = maps.max(axis=(1, 2), keepdims=True)
    scaled = maps / np.where(peak > 0, peak, 1.0)
    return scaled, scaled.sum(axis=(1, 2))


def _over(part: Float64Array, whole: Float64Array) -> Float64Array:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def ledger(
    saliency: npt.ArrayLike | Maps,
    memberships: npt.ArrayLike | Memberships,
    *,
    patch_ids: Sequence[object] | None = None,
    min_area: float = 0.02,
    compartments: Sequence[str] = COMPARTMENTS,
) -> pd.DataFrame:
    """One row per patch and compartment.

    Parameters
    ----------
    saliency, memberships
        As for ``shares``; memberships in the order of ``compartments``.
    patch_ids
        N names; those that checked maps have, or 0 to N - 1, if left out.
    min_area
        A compartment with a smaller area share is missing from the patch: its density ratio is NaN, not 0.
    compartments
        K names.

    Returns
    -------
    DataFrame
        patch, compartment, area_share, mass_share, density_ratio, status. ``status`` is ``"measured"``, or starts
        with ``"missing: "`` or ``"no saliency: "`` and says why the density ratio is NaN. Rows in the order
        given: all compartments of the first patch first.

    Raises
    ------
    AttributionError
        As ``shares``; also if ``min_area`` is outside [0, 1) or ``compartments`` has another length than K.
    """
    if not 0 <= min_area < 1:
        raise AttributionError(f"min_area is a share of the patch and must lie in [0, 1), found {min_area}.")
    maps = checked_saliency(saliency, patch_ids)
    found = shares(maps, memberships)
    key = compartment_key(maps, compartments, found.area.shape[1])
    area, mass, density = (array.ravel() for array in found)
    silent = np.isnan(mass)
    missing = ~silent & ((area < min_area) | (area == 0))
    status = np.full(area.size, "measured", dtype=object)
    status[missing] = [f"missing: area share {share:.4g} below {min_area:g}" for share in area[missing]]
    status[silent] = "no saliency: the map is zero everywhere"
    return pd.DataFrame(
        {
            **key,
            "area_share": area,
            "mass_share": mass,
            "density_ratio": np.where(missing, np.nan, density),
            "status": status,
        }
    )
