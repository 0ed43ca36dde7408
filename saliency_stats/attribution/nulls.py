"""The spatial null: would the map prefer the compartment wherever it lay? (pure NumPy, SciPy and pandas).

The map is moved against the fixed compartments, over the edges of the patch and in again on the other side. Such a
torus shift keeps every value of the map and the way they cluster, and breaks the link with what is underneath. All
H x W shifts are looked at, so the null distribution is complete and nothing about it is random: the mass that a
compartment holds under every shift is the circular cross-correlation of its membership with the map, which the Fourier
transform gives at once. If all shifts of the map are equally likely, the p-values below are exact (the group argument
of Lehmann & Romano 2005, "Testing statistical hypotheses", theorem 15.2.1; torus shifts of maps: Lotwick & Silverman
1982, JRSS B 44:406). Tissue is not a torus: where the map changes along the patch, the seam is a structure
that the unshifted map has not.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft

from saliency_stats.attribution.checked import Maps, Memberships, checked_saliency, fitting
from saliency_stats.errors import AttributionError
from saliency_stats.typing import BoolArray, Float64Array
from saliency_stats.vocabulary import COMPARTMENTS

#: Contrasts (log2) closer than this, relative to the observed one where that exceeds 1, are ties.
TIE: Final = 1e-9
#: Rounding errors of the transform, as a multiple of the largest mass that the norms allow, are below this.
_RESOLUTION: Final = 16 * float(np.finfo(np.float64).eps)
_NAN: Final = float("nan")


@dataclass(frozen=True)
class ShiftNull:
    """The contrast of one patch against all torus shifts of its map.

    Parameters
    ----------
    delta
        ``log2((m_a / a_a) / (m_b / a_b))``, with m and a the shares of mass and area; NaN where undefined.
    null_mean, null_sd
        Mean and standard deviation of delta over all shifts; NaN where some shift leaves one of the compartments
        without mass.
    p_greater, p_less, p_two_sided
        Share of the shifts, the identity among them, whose delta is at least as large, at least as small, or at
        least as far from 0 as the observed one.
    n_shifts
        H x W.
    status
        Starts with ``"measured"``, or with ``"missing: "`` or ``"no saliency: "`` and says why delta is NaN.
    """

    delta: float
    null_mean: float
    null_sd: float
    p_greater: float
    p_less: float
    p_two_sided: float
    n_shifts: int
    status: str

    @property
    def z(self) -> float:
        """Distance from the mean of the null in its standard deviations; NaN where all shifts are ties."""
        return (self.delta - self.null_mean) / self.null_sd if self.null_sd > TIE else _NAN


def shift_null(saliency: npt.ArrayLike, memberships: npt.ArrayLike, pair: tuple[int, int] = (1, 0)) -> ShiftNull:
    """Compare the contrast of two compartments with that under every torus shift of the map.

    Parameters
    ----------
    saliency
        (H, W), finite and not negative.
    memberships
        (K, H, W), not negative, summing to 1 over K in every pixel.
    pair
        Indices (a, b) of the compartments; cytoplasm against nucleus if left out.

    Returns
    -------
    ShiftNull
        A shift that leaves only one of the two without mass counts as infinite, one that leaves both without
        counts as extreme on either side (the test errs towards no finding). Mass below the resolution of the
        transform (about 4e-15 of what the norms of map and membership allow) counts as none.

    Raises
    ------
    AttributionError
        If the shapes disagree, saliency or memberships are impossible, or ``pair`` is not two compartments.
    """
    maps = checked_saliency(np.asarray(saliency)[None])
    return _null(maps.exact[0], fitting(np.asarray(memberships)[None], maps).weights[0], pair)


def shift_table(
    maps: npt.ArrayLike | Maps,
    memberships: npt.ArrayLike | Memberships,
    patch_ids: Sequence[object] | None = None,
    pair: tuple[int, int] = (1, 0),
) -> pd.DataFrame:
    """Compute the spatial null of every patch.

    Parameters
    ----------
    maps
        (N, H, W), finite and not negative, or as ``checked_saliency`` gives them.
    memberships
        (N, K, H, W), not negative, summing to 1 over K in every pixel, or as ``checked_memberships`` gives them.
    patch_ids
        N names; those that checked maps have, or 0 to N - 1, if left out.
    pair
        As in ``shift_null``.

    Returns
    -------
    DataFrame
        One row per patch: patch_id, delta, null_mean, null_sd, z, p_greater, p_less, p_two_sided, n_shifts, status, as
        in ``ShiftNull``.

    Raises
    ------
    AttributionError
        As ``shift_null``; the message names the patch.
    """
    values = checked_saliency(maps, patch_ids)
    weights = fitting(memberships, values).weights
    found = [_null(value, weight, pair) for value, weight in zip(values.exact, weights, strict=True)]
    table = pd.DataFrame([asdict(null) for null in found])
    table.insert(0, "patch_id", list(values.names))
    table.insert(list(table).index("p_greater"), "z", [null.z for null in found])
    return table


def _masses(saliency: Float64Array, weights: Float64Array) -> Float64Array:
    """``sum_p w_k(p) S(p - s)`` for every shift s: (K, H, W), the identity at (0, 0)."""
    size = saliency.shape
    masses = fft.irfft2(fft.rfft2(weights) * fft.rfft2(saliency).conj(), s=size)
    masses[:, 0, 0] = np.einsum("khw,hw->k", weights, saliency)
    largest = np.linalg.norm(saliency) * np.linalg.norm(weights, axis=(1, 2))
    return np.asarray(np.where(masses > _RESOLUTION * largest[:, None, None], masses, 0.0), dtype=np.float64)


def _null(saliency: Float64Array, memberships: Float64Array, pair: tuple[int, int]) -> ShiftNull:
    k, n = len(memberships), saliency.size
    if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= one < k for one in pair):  # noqa: PLR2004 - a pair
        raise AttributionError(f"pair must be two different indices of {k} compartments, found {pair}.")
    weights = memberships[list(pair)]
    area = weights.mean(axis=(1, 2))
    peak = float(saliency.max())
    if not area.all():
        return _undefined(n, f"missing: no {_listed(pair, area == 0, k)} in the patch")
    if not peak:
        return _undefined(n, "no saliency: the map is zero everywhere")
    # scaled by the largest value first: a map of tiny gradients must not underflow
    masses = _masses(saliency / peak, weights)
    if not masses[:, 0, 0].all():
        return _undefined(n, f"no saliency: none in {_listed(pair, masses[:, 0, 0] == 0, k)}")
    with np.errstate(divide="ignore", invalid="ignore"):
        deltas = np.log2(masses[0] / area[0]) - np.log2(masses[1] / area[1])
    observed = float(deltas[0, 0])
    tie = TIE * max(1.0, abs(observed))
    undefined = np.isnan(deltas)
    infinite = n - int(np.count_nonzero(np.isfinite(deltas)))
    return ShiftNull(
        delta=observed,
        null_mean=_NAN if infinite else float(deltas.mean()),
        null_sd=_NAN if infinite else float(deltas.std()),
        p_greater=float((undefined | (deltas >= observed - tie)).mean()),
        p_less=float((undefined | (deltas <= observed + tie)).mean()),
        p_two_sided=float((undefined | (np.abs(deltas) >= abs(observed) - tie)).mean()),
        n_shifts=n,
        status=f"measured: no mean of the null, {infinite} of {n} shifts leave a compartment without saliency"
        if infinite
        else "measured",
    )


def _undefined(n: int, reason: str) -> ShiftNull:
    return ShiftNull(_NAN, _NAN, _NAN, _NAN, _NAN, _NAN, n, reason)


def _listed(pair: tuple[int, int], chosen: BoolArray, k: int) -> str:
    names = COMPARTMENTS if k == len(COMPARTMENTS) else tuple(f"compartment {index}" for index in range(k))
    return " and no ".join(names[index] for index, one in zip(pair, chosen, strict=True) if one)
