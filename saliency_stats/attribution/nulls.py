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

from saliency_stats.attribution.checked import Maps, Memberships
from saliency_stats.attribution.pair import missing, pairs, scaled, silent
from saliency_stats.typing import Float64Array, FloatArray

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
    centred: float
    z: float
    p_greater: float
    p_less: float
    p_two_sided: float
    n_shifts: int
    status: str


def shift_table(maps: Sequence[Maps], memberships: npt.ArrayLike | Memberships, min_area: float = 0.0) -> pd.DataFrame:
    """Compare the contrast of cytoplasm and nucleus with that under every torus shift of the map.

    ``maps`` are M times (N, H, W) as from ``checked_saliency``, memberships (N, K, H, W) as ``checked_memberships``
    takes them. A compartment whose area share is below ``min_area`` is missing, as in the ledger.

    Returns
    -------
    DataFrame
        One row per patch and map, with the columns

        - ``patch``, ``map``: their places in what was given.
        - ``delta``: ``log2((m_c / a_c) / (m_n / a_n))``, with m and a the shares of mass and area of cytoplasm and
          nucleus; NaN where undefined.
        - ``null_mean``, ``null_sd``: mean and standard deviation of delta over the shifts that leave both with mass.
        - ``centred``: delta minus that mean. The logarithm of a mean over few pixels is low on average, so delta is
          not 0 for a map that knows nothing of a small or noisy nucleus. Where every shift is equally likely, centred
          is 0 on average: over all patches, and over those in which delta is defined (the mean is over the same).
        - ``z``: centred in standard deviations; NaN where all shifts are ties.
        - ``p_greater``, ``p_less``, ``p_two_sided``: share of the shifts, the identity among them, whose delta is at
          least as large, at least as small, or at least as far from 0 as the observed one. A shift that leaves only
          one of the two without mass counts as infinite; one that leaves both without counts as extreme on either side
          (the test errs towards no finding). Mass below the resolution of the transform (about 4e-15 of what the norms
          of map and membership allow) counts as none.
        - ``n_shifts``: H x W.
        - ``status``: starts with ``"measured"`` and counts the shifts that are not in the mean, or with
          ``"missing: "`` or ``"no saliency: "`` and says why delta is NaN.

    Raises
    ------
    AttributionError
        If shapes disagree, or memberships are impossible; the message names the patch.
    """
    rows = []
    for patch, (weights, areas) in enumerate(pairs(maps, memberships)):
        reason = missing(areas, min_area)
        spectra = np.asarray(fft.rfft2(weights))
        for at, one in enumerate(maps):
            null = _undefined(weights[0].size, reason) if reason else _null(one.raw[patch], weights, spectra)
            rows.append({"patch": patch, "map": at, **null._asdict()})
    return pd.DataFrame(rows)


def _masses(saliency: Float64Array, weights: Float64Array, spectra: npt.NDArray[np.complex128]) -> Float64Array:
    """``sum_p w_k(p) S(p - s)`` for every shift s: (K, H, W), the identity at (0, 0); spectra are those of w_k."""
    masses = fft.irfft2(spectra * fft.rfft2(saliency).conj(), s=saliency.shape)
    masses[:, 0, 0] = np.einsum("khw,hw->k", weights, saliency)
    # along axes: of all at once NumPy asks BLAS, whose threads wait for each other longer than this takes
    largest = np.linalg.norm(saliency, axis=(0, 1)) * np.linalg.norm(weights, axis=(1, 2))
    return np.asarray(np.where(masses > _RESOLUTION * largest[:, None, None], masses, 0.0), dtype=np.float64)


def _null(saliency: FloatArray, weights: Float64Array, spectra: npt.NDArray[np.complex128]) -> _Null:
    """Null of one map (H, W) and the two compared memberships (2, H, W)."""
    n = saliency.size
    area = weights.mean(axis=(1, 2))
    values, peak = scaled(saliency)
    masses = _masses(values, weights, spectra)
    if reason := silent(masses[:, 0, 0], peak, "map"):
        return _undefined(n, reason)
    with np.errstate(divide="ignore", invalid="ignore"):
        deltas = np.log2(masses[0] / area[0]) - np.log2(masses[1] / area[1])
    observed = float(deltas[0, 0])
    tie = TIE * max(1.0, abs(observed))
    undefined = np.isnan(deltas)
    finite = deltas[np.isfinite(deltas)]
    left_out = n - finite.size
    mean, spread = float(finite.mean()), float(finite.std())
    return _Null(
        delta=observed,
        null_mean=mean,
        null_sd=spread,
        centred=observed - mean,
        z=(observed - mean) / spread if spread > TIE else _NAN,
        p_greater=float((undefined | (deltas >= observed - tie)).mean()),
        p_less=float((undefined | (deltas <= observed + tie)).mean()),
        p_two_sided=float((undefined | (np.abs(deltas) >= abs(observed) - tie)).mean()),
        n_shifts=n,
        status=f"measured: {left_out} of {n} shifts leave a compartment without saliency, and are not in the mean"
        if left_out
        else "measured",
    )


def _undefined(n: int, reason: str) -> _Null:
    return _Null(_NAN, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, n, reason)
