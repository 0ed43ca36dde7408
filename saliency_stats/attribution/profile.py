"""The profile: saliency against the distance to the nearest nuclear border (pure NumPy, SciPy and pandas)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import distance_transform_edt

from saliency_stats.attribution.checked import Maps
from saliency_stats.errors import AttributionError
from saliency_stats.typing import Float64Array

#: The columns by which ``combine`` averages, besides the bin.
PROFILE_KEY: Final = ("slide_id", "label", "magnification", "model", "method", "reduction")


@dataclass(frozen=True)
class DistanceBins:
    """Bins of equal width of the signed distance to the nearest nuclear border.

    A bin holds ``lower <= distance < upper``. Pixels beyond the outer edges are left out: an open bin would
    mix the middle of large nuclei with pixels far from any nucleus.

    Parameters
    ----------
    low_um, high_um
        Outer edges; negative is inside a nucleus.
    width_um
        Width of a bin, a divisor of the range. Pixels coarser than this leave some bins empty.
    """

    low_um: float = -6.0
    high_um: float = 20.0
    width_um: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low_um, self.high_um, self.width_um]).all() and self.low_um < self.high_um):
            raise AttributionError(
                f"Distance bins need finite low_um < high_um, found {self.low_um} and {self.high_um}."
            )
        n = (self.high_um - self.low_um) / self.width_um if self.width_um > 0 else 0.0
        if n < 1 or abs(n - round(n)) > 1e-6:  # noqa: PLR2004 - rounding
            raise AttributionError(
                f"width_um must be positive and divide the range {self.low_um} to {self.high_um}, "
                f"found {self.width_um}."
            )

    @property
    def edges_um(self) -> Float64Array:
        """(B + 1,) edges."""
        n = round((self.high_um - self.low_um) / self.width_um)
        return np.linspace(self.low_um, self.high_um, n + 1)

    @property
    def centres_um(self) -> Float64Array:
        """(B,) centres: the column ``distance_um``."""
        edges = self.edges_um
        return np.asarray((edges[1:] + edges[:-1]) / 2)


def signed_distance_um(nucleus: npt.ArrayLike, mpp: float) -> Float64Array:
    """Distance of every pixel centre to the nearest nuclear border, negative inside nuclei.

    The border lies between pixels, half a pixel from the centre of the outermost: the two pixels that face
    each other across it are at -mpp / 2 and +mpp / 2. The edge of the patch is no border.

    Parameters
    ----------
    nucleus
        (H, W) bool. For memberships: the nuclear one at 0.5 and above.
    mpp
        µm per pixel.

    Returns
    -------
    ndarray
        (H, W) float64 in µm; +inf everywhere without nuclei, -inf where all is nucleus.

    Raises
    ------
    AttributionError
        If the mask is not two-dimensional and boolean, or ``mpp`` is not a positive number.
    """
    mask = np.asarray(nucleus)
    if mask.ndim != 2 or mask.dtype != np.bool_:  # noqa: PLR2004 - (H, W)
        raise AttributionError(
            f"The nucleus mask has the shape {mask.shape} and type {mask.dtype}, expected (H, W) bool; "
            "compare memberships with 0.5, or instances with 0."
        )
    if not (np.isfinite(mpp) and mpp > 0):
        raise AttributionError(f"mpp must be a positive number of µm per pixel, found {mpp}.")
    if not mask.any():
        return np.full(mask.shape, np.inf)
    if mask.all():
        return np.full(mask.shape, -np.inf)
    outside, inside = distance_transform_edt(~mask), distance_transform_edt(mask)
    return np.asarray(np.where(mask, 0.5 - inside, outside - 0.5) * mpp, dtype=np.float64)


def profiles(
    maps: Sequence[Maps], distances_um: Iterable[Float64Array], bins: DistanceBins | None = None
) -> pd.DataFrame:
    """Saliency of patches by distance to the nearest nuclear border, under several maps of each.

    Saliency is divided by its mean over the patch, so that a constant map gives a ratio of 1 in every bin. A
    patch without nuclei, or whose saliency is zero everywhere, contributes no pixel.

    Parameters
    ----------
    maps
        M times (N, H, W).
    distances_um
        Of each of the N patches, (H, W) as from ``signed_distance_um``; asked for one after the other.

    Returns
    -------
    DataFrame
        One row per patch, map and bin: ``patch`` and ``map``, their places in what was given; distance_um (the bin's
        centre), ratio_sum (sum of S / mean(S) over its pixels), n_pixels. With the columns of ``PROFILE_KEY`` added
        these are rows for ``combine``.

    Raises
    ------
    AttributionError
        If a distance has another shape than the maps.
    """
    bins = bins or DistanceBins()
    edges = bins.edges_um
    n_bins = len(edges) - 1
    sums, counts = [], []
    for patch, distance in enumerate(distances_um):
        if any(one.raw[patch].shape != distance.shape for one in maps):
            raise AttributionError(
                f"Patch {patch} has distances of the shape {distance.shape} for saliency of "
                f"{[one.raw.shape[1:] for one in maps]}: compute both at the same magnification."
            )
        which = np.searchsorted(edges, distance.ravel(), side="right") - 1
        inside = (which >= 0) & (which < n_bins)
        which = which[inside]
        pixels = np.bincount(which, minlength=n_bins).astype(np.int64)
        for one in maps:
            values = one.raw[patch].astype(np.float64)
            # scaled by the largest value first: a map of tiny gradients must not underflow
            peak = float(values.max())
            values = values / (peak or 1.0)
            ratio = values.ravel()[inside] / (values.mean() or 1.0)
            sums.append(np.bincount(which, weights=ratio, minlength=n_bins))
            counts.append(pixels if peak > 0 else np.zeros_like(pixels))
    each = np.arange(len(sums))
    return pd.DataFrame(
        {
            "patch": np.repeat(each // len(maps), n_bins),
            "map": np.repeat(each % len(maps), n_bins),
            "distance_um": np.tile(bins.centres_um, len(sums)),
            "ratio_sum": np.concatenate(sums),
            "n_pixels": np.concatenate(counts),
        }
    )


def over_networks(rows: pd.DataFrame) -> pd.DataFrame:
    """Average what several networks gave, patch by patch and bin by bin, before :func:`combine`.

    Rows have a ``patch_id`` beside the columns that ``combine`` takes. Networks whose map of a patch is zero everywhere
    have no say there.
    """
    keys = [*PROFILE_KEY, "patch_id", "distance_um"]
    found = rows.groupby(keys, sort=False, dropna=False, as_index=False).agg(
        ratio_sum=("ratio_sum", "sum"), of_all=("n_pixels", "sum"), n_pixels=("n_pixels", "max")
    )
    n_networks = found.pop("of_all") / found["n_pixels"].clip(lower=1)
    return found.assign(ratio_sum=found["ratio_sum"] / n_networks.clip(lower=1))


def combine(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the profiles of patches within each group of :data:`PROFILE_KEY`.

    ``mean_saliency_ratio`` is the sum of S / mean(S) over all pixels of the bin in all patches of the group,
    divided by their number: every pixel counts once, so a patch counts by its pixels in that bin. Rows are
    sorted by their values before they are summed: their order does not change a bit of the result.

    Parameters
    ----------
    rows
        One row per patch and bin with the columns :data:`PROFILE_KEY`, distance_um, ratio_sum, n_pixels.

    Returns
    -------
    DataFrame
        The columns :data:`PROFILE_KEY`, distance_um, mean_saliency_ratio (NaN in a bin without pixels), n_pixels,
        n_patches (patches with a pixel in the bin); sorted by group and distance.

    Raises
    ------
    AttributionError
        If a column is missing.
    """
    keys = [*PROFILE_KEY, "distance_um"]
    needed = [*keys, "ratio_sum", "n_pixels"]
    absent = [name for name in needed if name not in rows.columns]
    if absent:
        raise AttributionError(f"Profile rows lack the columns {absent}, found {list(rows.columns)}.")
    ordered = rows[needed].sort_values(needed, kind="stable", ignore_index=True)
    ordered["n_patches"] = (ordered["n_pixels"] > 0).astype(np.int64)
    # dropna=False: patches without a slide form a group of their own
    total = ordered.groupby(keys, sort=True, dropna=False, observed=True, as_index=False).sum()
    n = total["n_pixels"].to_numpy(dtype=float)
    ratio = np.divide(total["ratio_sum"].to_numpy(dtype=float), n, out=np.full(len(n), np.nan), where=n > 0)
    total.insert(len(keys), "mean_saliency_ratio", ratio)
    return total.drop(columns="ratio_sum")
