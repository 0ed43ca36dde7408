"""The spatial null: would the map prefer the compartment wherever it lay? (pure NumPy, SciPy and pandas).

The map is moved against the fixed compartments, over the edges of the patch and in again on the other side. Such a
torus shift keeps every value of the map and the way they cluster, and breaks the link with what is underneath. All
H x W shifts are evaluated, so the null distribution is complete and not random: the mass that a compartment holds
under every shift is the circular cross-correlation of its membership with the map, one Fourier transform for all.
If all shifts of the map are equally likely, the p-values below are exact (the group argument of Lehmann & Romano 2005,
"Testing statistical hypotheses", theorem 15.2.1; torus shifts of maps: Lotwick & Silverman 1982, JRSS B 44:406).
Tissue is not a torus: where the map changes along the patch, the seam is a structure that the unshifted map has not.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft

from saliency_stats.attribution.checked import Maps, Memberships, check_compartments, checked_saliency, fitting
from saliency_stats.typing import BoolArray, Float64Array
from saliency_stats.vocabulary import COMPARTMENTS

#: What is compared: the first against the second.
CONTRAST: Final = ("cytoplasm", "nucleus")
#: Contrasts (log2) closer than this, relative to the observed one where that exceeds 1, are ties.
TIE: Final = 1e-9
#: Rounding errors of the transform, as a multiple of the largest mass that the norms allow, are below this.
_RESOLUTION: Final = 16 * float(np.finfo(np.float64).eps)
_NAN: Final = float("nan")


class _Null(NamedTuple):
    """The contrast of one patch against all torus shifts of its map; columns as in :func:`shift_table`."""

    delta: float
    null_mean: float
    null_sd: float
    z: float
    p_greater: float
    p_less: float
    p_two_sided: float
    n_shifts: int
    status: str


def shift_table(
    maps: npt.ArrayLike | Maps, memberships: npt.ArrayLike | Memberships, patch_ids: Sequence[object] | None = None
) -> pd.DataFrame:
    """Compare the contrast of cytoplasm and nucleus with that under every torus shift of the map, for every patch.

    Maps (N, H, W) and memberships (N, K, H, W) are as ``checked_saliency`` and ``checked_memberships`` take them.

    Returns
    -------
    DataFrame
        One row per patch, with the columns

        - ``patch_id``.
        - ``delta``: ``log2((m_c / a_c) / (m_n / a_n))``, with m and a the shares of mass and area of cytoplasm and
          nucleus; NaN where undefined.
        - ``null_mean``, ``null_sd``: mean and standard deviation of delta over all shifts; NaN where some shift leaves
          one of the two without mass.
        - ``z``: distance of delta from that mean in standard deviations; NaN where all shifts are ties.
        - ``p_greater``, ``p_less``, ``p_two_sided``: share of the shifts, the identity among them, whose delta is at
          least as large, at least as small, or at least as far from 0 as the observed one. A shift that leaves only
          one of the two without mass counts as infinite; one that leaves both without counts as extreme on either side
          (the test errs towards no finding). Mass below the resolution of the transform (about 4e-15 of what the norms
          of map and membership allow) counts as none.
        - ``n_shifts``: H x W.
        - ``status``: starts with ``"measured"``, or with ``"missing: "`` or ``"no saliency: "`` and says why delta is
          NaN.

    Raises
    ------
    AttributionError
        If shapes disagree, or saliency or memberships are impossible; the message names the patch.
    """
    values = checked_saliency(maps, patch_ids)
    weights = fitting(memberships, values).weights
    check_compartments(COMPARTMENTS, weights.shape[1])
    compared = weights.take([COMPARTMENTS.index(name) for name in CONTRAST], axis=1)
    table = pd.DataFrame([_null(value, weight) for value, weight in zip(values.exact, compared, strict=True)])
    table.insert(0, "patch_id", list(values.names))
    return table


def _masses(saliency: Float64Array, weights: Float64Array) -> Float64Array:
    """``sum_p w_k(p) S(p - s)`` for every shift s: (K, H, W), the identity at (0, 0)."""
    size = saliency.shape
    masses = fft.irfft2(fft.rfft2(weights) * fft.rfft2(saliency).conj(), s=size)
    masses[:, 0, 0] = np.einsum("khw,hw->k", weights, saliency)
    largest = np.linalg.norm(saliency) * np.linalg.norm(weights, axis=(1, 2))
    return np.asarray(np.where(masses > _RESOLUTION * largest[:, None, None], masses, 0.0), dtype=np.float64)


def _null(saliency: Float64Array, weights: Float64Array) -> _Null:
    """Null of one map (H, W) and the two compared memberships (2, H, W)."""
    n = saliency.size
    area = weights.mean(axis=(1, 2))
    peak = float(saliency.max())
    if not area.all():
        return _undefined(n, f"missing: no {_listed(area == 0)} in the patch")
    if not peak:
        return _undefined(n, "no saliency: the map is zero everywhere")
    # scaled by the largest value first: a map of tiny gradients must not underflow
    masses = _masses(saliency / peak, weights)
    if not masses[:, 0, 0].all():
        return _undefined(n, f"no saliency: none in {_listed(masses[:, 0, 0] == 0)}")
    with np.errstate(divide="ignore", invalid="ignore"):
        deltas = np.log2(masses[0] / area[0]) - np.log2(masses[1] / area[1])
    observed = float(deltas[0, 0])
    tie = TIE * max(1.0, abs(observed))
    undefined = np.isnan(deltas)
    infinite = n - int(np.count_nonzero(np.isfinite(deltas)))
    mean, spread = (_NAN, _NAN) if infinite else (float(deltas.mean()), float(deltas.std()))
    return _Null(
        delta=observed,
        null_mean=mean,
        null_sd=spread,
        z=(observed - mean) / spread if spread > TIE else _NAN,
        p_greater=float((undefined | (deltas >= observed - tie)).mean()),
        p_less=float((undefined | (deltas <= observed + tie)).mean()),
        p_two_sided=float((undefined | (np.abs(deltas) >= abs(observed) - tie)).mean()),
        n_shifts=n,
        status=f"measured: no mean of the null, {infinite} of {n} shifts leave a compartment without saliency"
        if infinite
        else "measured",
    )


def _undefined(n: int, reason: str) -> _Null:
    return _Null(_NAN, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, n, reason)


def _listed(chosen: BoolArray) -> str:
    return " and no ".join(name for name, one in zip(CONTRAST, chosen, strict=True) if one)
