"""Other scores of where a map lies: ranks, top pixels, the maximum, the ROC curve (pure NumPy, SciPy and pandas).

They look at the order of the pixels only, so that a few very bright ones do not decide. Every score is written
for soft memberships w in [0, 1] and is the usual one where w is a mask. Equal pixels have no order: every score is its
expected value over the random orders of tied pixels, so that it does not depend on where they lie.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.integrate import trapezoid

from saliency_stats.attribution.checked import Maps, Memberships, checked_saliency, compartment_key, fitting
from saliency_stats.errors import AttributionError
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import COMPARTMENTS

_SCORES: Final = ("relevance_rank", "top_k", "pointing", "auc")
#: Pixels. Less than this rounds to none.
_HALF: Final = 0.5


def relevance(
    saliency: npt.ArrayLike | Maps,
    memberships: npt.ArrayLike | Memberships,
    patch_ids: Sequence[object] | None = None,
    top_share: float = 0.05,
    compartments: Sequence[str] = COMPARTMENTS,
) -> pd.DataFrame:
    """Score every compartment by the order of a map's pixels, one row per patch and compartment.

    With n pixels in the order of falling saliency, and C(k) the sum of the memberships of the first k of them (its
    expected value where ties are cut through):

    - ``relevance_rank``: ``C(k) / k`` with k = sum(w), rounded (half up): relevance rank accuracy (Arras et al. 2022,
      "CLEVR-XAI", Inf. Fusion 81:14).
    - ``top_k``: ``C(k) / k`` with k = ``top_share`` n, rounded, at least 1: top-k intersection (Theiner et al. 2022,
      "Interpretable semantic photo geolocation", WACV).
    - ``pointing``: ``C(1)``, whether the brightest pixel lies inside: pointing game (Zhang et al. 2018, "Top-down
      neural attention by excitation backprop", IJCV 126:1084).
    - ``auc``: the probability that a pixel drawn by w is brighter than one drawn by 1 - w, plus half the
      probability that they tie: the area under the ROC curve (Fawcett 2006, Pattern Recogn. Lett. 27:861).

    A map of noise scores the area share of the compartment, in ``auc`` 1/2, and a constant map exactly so.

    Parameters
    ----------
    saliency
        (N, H, W), finite and not negative, or as ``checked_saliency`` gives them.
    memberships
        (N, K, H, W), in the order of ``compartments``, summing to 1 over K, or as ``checked_memberships`` gives them.
    top_share
        Share of the pixels that ``top_k`` looks at, in (0, 1].

    Returns
    -------
    DataFrame
        patch, compartment, relevance_rank, top_k, pointing, auc, relevance_status; rows in the order of ``ledger``.
        ``relevance_status`` is ``"measured"``, or starts with ``"missing: "`` (the compartment fills less than half a
        pixel), ``"full: "`` (it leaves out less than half a pixel, so that any map would score 1) or ``"no saliency:
        "`` (the map is zero everywhere, which is no order at all); all scores are NaN then.

    Raises
    ------
    AttributionError
        If shapes disagree, saliency or memberships are impossible, ``top_share`` is outside (0, 1], or
        ``compartments`` has another length than K.
    """
    if not 0 < top_share <= 1:
        raise AttributionError(f"top_share is a share of the patch and must lie in (0, 1], found {top_share}.")
    checked = checked_saliency(saliency, patch_ids)
    members = fitting(memberships, checked)
    maps, weights, areas = checked.exact, members.weights, members.pixels
    n, k = areas.shape
    key = compartment_key(checked, compartments, k)
    pixels = maps[0].size
    top = max(1, int(_rounded(top_share * pixels)))
    status = np.full((n, k), "measured", dtype=object)
    status[areas < _HALF] = "missing: less than half a pixel of the compartment"
    status[pixels - areas < _HALF] = "full: less than half a pixel outside the compartment"
    status[~maps.any(axis=(1, 2))] = "no saliency: the map is zero everywhere"
    scores = np.full((n, k, len(_SCORES)), np.nan)
    for patch in range(n):
        defined = status[patch] == "measured"
        if defined.any():
            flat = weights[patch, defined].reshape(-1, pixels)
            scores[patch, defined] = _scores(maps[patch].ravel(), flat, _rounded(areas[patch, defined]), top)
    return pd.DataFrame(
        {
            **key,
            **{name: scores[..., column].ravel() for column, name in enumerate(_SCORES)},
            "relevance_status": status.ravel(),
        }
    )


def _scores(saliency: Float64Array, weights: Float64Array, sizes: Float64Array, top: int) -> Float64Array:
    """Scores (K, 4) of one map (n,) for memberships (K, n), each neither empty nor full."""
    order = np.argsort(-saliency)
    ranked = saliency[order]
    # C is known where a group of equal pixels ends; in between its expected value rises evenly
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) + 1
    counts = np.append(0, ends).astype(np.float64)
    inside = np.zeros((len(weights), len(counts)))
    inside[:, 1:] = np.cumsum(weights[:, order], axis=1)[:, ends - 1]
    outside = counts - inside
    area = trapezoid(inside, outside, axis=1) / (inside[:, -1] * outside[:, -1])
    first = [
        [np.interp(size, counts, c) / size, np.interp(top, counts, c) / top, np.interp(1, counts, c)]
        for size, c in zip(sizes, inside, strict=True)
    ]
    return np.column_stack([np.asarray(first, dtype=np.float64), area])


def _rounded(values: npt.ArrayLike) -> Float64Array:
    """Round half up: the sums of averaged masks often end in exactly one half, and "to even" would be arbitrary."""
    return np.floor(np.asarray(values, dtype=np.float64) + _HALF)
