"""The ledger: which share of a patch's saliency lies in which compartment (pure NumPy and pandas)."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliency_stats.errors import AttributionError
from saliency_stats.vocabulary import COMPARTMENTS

Float64Array = npt.NDArray[np.float64]

#: Memberships of a pixel must sum to 1 within this; float32 averages do.
MEMBERSHIP_TOLERANCE: Final = 1e-6


class Shares(NamedTuple):
    """Shares of every compartment, each (N, K) float64.

    ``area`` and ``mass`` sum to 1 over K; ``mass`` is NaN where a map is zero everywhere. ``density`` is
    mass / area, NaN where the compartment is absent.
    """

    area: Float64Array
    mass: Float64Array
    density: Float64Array


def patch_names(patch_ids: Sequence[object] | None, n: int) -> list[object]:
    """Give the names of n patches, their indices if there are none.

    Raises
    ------
    AttributionError
        If there is another number of names.
    """
    if patch_ids is None:
        return list(range(n))
    if len(patch_ids) != n:
        raise AttributionError(f"{len(patch_ids)} patch ids for {n} saliency maps: give one id per map.")
    return list(patch_ids)


def check_compartments(compartments: Sequence[str], k: int) -> None:
    """Refuse another number of names than of memberships (AttributionError)."""
    if k != len(compartments):
        raise AttributionError(f"{len(compartments)} names of compartments {tuple(compartments)} for {k} memberships.")


def checked_saliency(saliency: npt.ArrayLike, patch_ids: Sequence[object] | None = None) -> Float64Array:
    """Saliency maps in float64, if they can be compared with areas at all.

    Parameters
    ----------
    saliency
        (N, H, W), finite and not negative.
    patch_ids
        Names for the message; the index if left out.

    Returns
    -------
    ndarray
        (N, H, W) float64.

    Raises
    ------
    AttributionError
        If the shape is another, or a map holds NaN, infinite or negative values.
    """
    maps = np.asarray(saliency, dtype=np.float64)
    if maps.ndim != 3 or not maps[0:1].size:  # noqa: PLR2004 - (N, H, W)
        raise AttributionError(f"Saliency has the shape (N, H, W) with N >= 1, found {maps.shape}.")
    names = patch_names(patch_ids, len(maps))
    for problem, bad in (("NaN or infinite", ~np.isfinite(maps)), ("negative", maps < 0)):
        counts = np.count_nonzero(bad, axis=(1, 2))
        if counts.any():
            first = int(np.argmax(counts > 0))
            raise AttributionError(
                f"The saliency of patch {names[first]!r} has {counts[first]} {problem} values "
                f"({np.count_nonzero(counts)} of {len(maps)} patches have such); expected finite ones >= 0. "
                "Reduce signed gradients over channels first (l2, l1 or max); check the model for overflow."
            )
    return maps


def checked_memberships(memberships: npt.ArrayLike, like: Float64Array, names: list[object]) -> Float64Array:
    """Memberships in float64 that sum to 1 to the last digits, if they fit the maps.

    Parameters
    ----------
    memberships
        (N, K, H, W), not negative, summing to 1 over K within ``MEMBERSHIP_TOLERANCE``.
    like
        Checked saliency maps (N, H, W).
    names
        N names for the message.

    Raises
    ------
    AttributionError
        If shapes disagree, or memberships are NaN, negative or do not sum to 1.
    """
    weights = np.asarray(memberships, dtype=np.float64)
    n, height, width = like.shape
    if weights.ndim != 4 or weights[:, 0].shape != like.shape or not weights.shape[1]:  # noqa: PLR2004
        raise AttributionError(
            f"Memberships have the shape {weights.shape}, saliency {like.shape}: expected "
            f"({n}, K, {height}, {width}). Compute both at the same magnification."
        )
    total = weights.sum(axis=1)
    # written so that NaN fails too
    wrong = ~((np.abs(total - 1.0) <= MEMBERSHIP_TOLERANCE) & (weights.min(axis=1) >= 0))
    if wrong.any():
        patch, y, x = (int(i) for i in np.argwhere(wrong)[0])
        raise AttributionError(
            f"The memberships of patch {names[patch]!r} are {weights[patch, :, y, x].tolist()} at pixel "
            f"({y}, {x}), expected values >= 0 that sum to 1 ({np.count_nonzero(wrong)} pixels are wrong)."
        )
    # float32 memberships sum to 1 within 1e-7 only; the shares must do so within 1e-9
    return np.asarray(weights / total[:, None])


def shares(saliency: npt.ArrayLike, memberships: npt.ArrayLike, patch_ids: Sequence[object] | None = None) -> Shares:
    """Area share, mass share and density ratio of every compartment.

    With n pixels, memberships w_k and saliency S: ``area_k = sum(w_k) / n``,
    ``mass_k = sum(w_k S) / sum(S)``, ``density_k = mass_k / area_k``, summed in float64. For hard masks
    the mass share is the relevance mass accuracy of Arras et al. (2022), "CLEVR-XAI", eq. 4.

    Parameters
    ----------
    saliency
        (N, H, W), finite and not negative. Any positive factor cancels.
    memberships
        (N, K, H, W), not negative, summing to 1 over K in every pixel.
    patch_ids
        Names of the patches for messages.

    Returns
    -------
    Shares
        Three arrays (N, K).

    Raises
    ------
    AttributionError
        If shapes disagree, saliency is NaN, infinite or negative, or memberships do not sum to 1.
    """
    maps = checked_saliency(saliency, patch_ids)
    weights = checked_memberships(memberships, maps, patch_names(patch_ids, len(maps)))
    # scaled by the largest value first: a map of tiny gradients must not underflow
    peak = maps.max(axis=(1, 2), keepdims=True)
    maps = maps / np.where(peak > 0, peak, 1.0)
    area = weights.mean(axis=(2, 3))
    mass = np.einsum("nkhw,nhw->nk", weights, maps)
    total = maps.sum(axis=(1, 2))[:, None]
    mass = np.divide(mass, total, out=np.full_like(mass, np.nan), where=total > 0)
    density = np.divide(mass, area, out=np.full_like(mass, np.nan), where=area > 0)
    return Shares(area, mass, density)


def ledger(
    saliency: npt.ArrayLike,
    memberships: npt.ArrayLike,
    *,
    patch_ids: Sequence[object] | None = None,
    min_area: float = 0.02,
    compartments: Sequence[str] = COMPARTMENTS,
) -> pd.DataFrame:
    """One row per patch and compartment.

    Parameters
    ----------
    saliency
        (N, H, W), finite and not negative.
    memberships
        (N, K, H, W), in the order of ``compartments``, summing to 1 over K.
    patch_ids
        N names; 0 to N - 1 if left out.
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
    found = shares(saliency, memberships, patch_ids)
    n, k = found.area.shape
    check_compartments(compartments, k)
    area, mass, density = (array.ravel() for array in found)
    silent = np.isnan(mass)
    missing = ~silent & ((area < min_area) | (area == 0))
    status = np.full(n * k, "measured", dtype=object)
    status[missing] = [f"missing: area share {share:.4g} below {min_area:g}" for share in area[missing]]
    status[silent] = "no saliency: the map is zero everywhere"
    return pd.DataFrame(
        {
            "patch": np.repeat(np.asarray(patch_names(patch_ids, n)), k),
            "compartment": np.tile(np.asarray(compartments, dtype=object), n),
            "area_share": area,
            "mass_share": mass,
            "density_ratio": np.where(missing, np.nan, density),
            "status": status,
        }
    )
