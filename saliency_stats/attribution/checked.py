"""Maps and memberships that were checked once: functions that take them do not check again (pure NumPy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from saliency_stats.errors import AttributionError
from saliency_stats.typing import Float64Array, FloatArray

#: Memberships of a pixel must sum to 1 within this; float32 averages do.
MEMBERSHIP_TOLERANCE: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Maps:
    """Saliency maps that can be compared with areas; made by ``checked_saliency``.

    ``raw`` (N, H, W) is as given, finite and not negative; ``names`` are those of the N patches.
    """

    raw: FloatArray
    names: tuple[object, ...]

    @property
    def exact(self) -> Float64Array:
        """(N, H, W) in float64, converted at each call: kept, a study's maps would take three times the memory."""
        return self.raw.astype(np.float64, order="C")


@dataclass(frozen=True, eq=False)
class Memberships:
    """Memberships (N, K, H, W), float64, that sum to 1 to the last digits; made by ``checked_memberships``."""

    weights: Float64Array

    @cached_property
    def pixels(self) -> Float64Array:
        """(N, K) pixels of every compartment."""
        return np.asarray(self.weights.sum(axis=(2, 3)))

    @cached_property
    def area(self) -> Float64Array:
        """(N, K) area shares."""
        height, width = self.weights.shape[2:]
        return np.asarray(self.pixels / (height * width))


def patch_names(patch_ids: Sequence[object] | None, n: int) -> tuple[object, ...]:
    """Give the names of n patches, their indices if there are none.

    Raises
    ------
    AttributionError
        If there is another number of names.
    """
    if patch_ids is None:
        return tuple(range(n))
    if len(patch_ids) != n:
        raise AttributionError(f"{len(patch_ids)} patch ids for {n} saliency maps: give one id per map.")
    return tuple(patch_ids)


def checked_saliency(saliency: npt.ArrayLike | Maps, patch_ids: Sequence[object] | None = None) -> Maps:
    """Check that saliency maps can be compared with areas.

    Parameters
    ----------
    saliency
        (N, H, W), finite and not negative. What was checked before is returned as it is.
    patch_ids
        N names; those that checked maps have, or 0 to N - 1, if left out.

    Returns
    -------
    Maps
        Float32 stays so, anything else becomes float64.

    Raises
    ------
    AttributionError
        If the shape is another, or a map holds NaN, infinite or negative values.
    """
    if isinstance(saliency, Maps):
        return saliency if patch_ids is None else Maps(saliency.raw, patch_names(patch_ids, len(saliency.raw)))
    given = np.asarray(saliency)
    maps = given if given.dtype == np.float32 else np.asarray(given, dtype=np.float64)
    if maps.ndim != 3 or not maps.size:  # noqa: PLR2004 - (N, H, W)
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
    return Maps(maps, names)


def checked_memberships(
    memberships: npt.ArrayLike | Memberships, patch_ids: Sequence[object] | None = None
) -> Memberships:
    """Check that memberships are shares of every pixel.

    Parameters
    ----------
    memberships
        (N, K, H, W), not negative, summing to 1 over K within ``MEMBERSHIP_TOLERANCE``. What was checked before is
        returned as it is.

    Raises
    ------
    AttributionError
        If the shape is another, or memberships are NaN, negative or do not sum to 1.
    """
    if isinstance(memberships, Memberships):
        return memberships
    weights = np.asarray(memberships, dtype=np.float64)
    if weights.ndim != 4 or not weights.size:  # noqa: PLR2004 - (N, K, H, W)
        raise AttributionError(f"Memberships have the shape (N, K, H, W) with N >= 1, found {weights.shape}.")
    names = patch_names(patch_ids, len(weights))
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
    return Memberships(np.ascontiguousarray(weights / total[:, None]))


def fitting(memberships: npt.ArrayLike | Memberships, maps: Maps) -> Memberships:
    """Check memberships, and that they have the shape of the maps.

    Raises
    ------
    AttributionError
        As ``checked_memberships``; also if the shapes disagree.
    """
    shape = memberships.weights.shape if isinstance(memberships, Memberships) else np.shape(memberships)
    n, height, width = maps.raw.shape
    if len(shape) != 4 or not shape[1] or (shape[0], *shape[2:]) != (n, height, width):  # noqa: PLR2004 - (N, K, H, W)
        raise AttributionError(
            f"Memberships have the shape {tuple(shape)}, saliency {maps.raw.shape}: expected "
            f"({n}, K, {height}, {width}). Compute both at the same magnification."
        )
    return checked_memberships(memberships, maps.names)


def check_compartments(compartments: Sequence[str], k: int) -> None:
    """Refuse another number of names than of memberships (AttributionError)."""
    if k != len(compartments):
        raise AttributionError(f"{len(compartments)} names of compartments {tuple(compartments)} for {k} memberships.")


def compartment_key(maps: Maps, compartments: Sequence[str], k: int) -> dict[str, npt.NDArray[Any]]:
    """Name the rows of a table of n patches and k compartments: all compartments of the first patch come first."""
    check_compartments(compartments, k)
    names = np.asarray(compartments, dtype=object)
    return {"patch": np.repeat(np.asarray(maps.names), k), "compartment": np.tile(names, len(maps.names))}
