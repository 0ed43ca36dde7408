"""The test of a whole specification curve: one p-value for all, one for each, and how many at least are true.

Pure NumPy: no tables of patches, no files.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy import special

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.models.checks import check_alpha
from saliency_stats.statistics.models.two_way import two_way
from saliency_stats.statistics.multiplicity import adjust
from saliency_stats.statistics.resampling import BLOCK, MAX_RESAMPLED_UNITS, flips_of
from saliency_stats.typing import Float64Array

#: Scores that differ by less are tied: equal sums round differently.
_TIE: Final = 1e-9
#: A crossed design needs so many networks, and so many units that all of them have seen.
_FEWEST: Final = 2


@dataclass(frozen=True, eq=False)
class CurveTest:
    """What a specification curve says as a whole.

    ``p_global`` is of the hypothesis that no specification has an effect, ``direction`` the sign of the median over
    specifications (0 where it has none). ``p_max_t`` (S,) are adjusted for all specifications together.
    ``n_true_low`` is the lower ``1 - alpha`` bound on how many have an effect in that direction. ``p_attainable`` is
    the smallest p-value that the flips could have given (NaN where none are made). ``reason`` says why there is no
    answer, or how it is to be read. All but ``reason`` are NaN where nothing could be tested.
    """

    p_global: float
    direction: float
    p_max_t: Float64Array
    n_true_low: float
    p_attainable: float
    reason: str


def curve_test(values: Float64Array, *, alpha: float, draws: int, seed: int, unit: str = "slide") -> CurveTest:
    """Test all specifications of one curve together, two-sided.

    Parameters
    ----------
    values : (S, G) or (S, K, G) array
        Means of S specifications in G independent units, by K networks where these are several. NaN where a unit is
        missing from a specification; each has at least one.
    draws : int
        Random flips, where there are too many units to visit all.
    unit : str
        What a unit is, in words.

    Returns
    -------
    CurveTest

    Raises
    ------
    StatisticsError
        If the array has another shape, holds infinite values, or has a specification without a unit.

    Notes
    -----
    *One network.* Under the hypothesis each unit's values are symmetric about 0, jointly over specifications, so the
    sign of a whole unit is flipped in all specifications at once. That keeps every dependence between them, and the
    tests are exact. The score ``sum(y) / sqrt(sum(y^2))`` of a specification over its own units has variance 1 over the
    flips, however many units are missing, and is a monotone function of its t statistic. The global statistic is the
    median score. Adjusted p-values are those of the step-down maximum (Westfall & Young 1993, *Resampling-based
    multiple testing*, algorithm 4.1), which keeps the family-wise error. So the rejected ones are all true with
    probability ``1 - alpha``, and their number is a lower bound (Goeman & Solari 2011, *Statistical Science* 26,
    584-597). Flipped scores over a multiverse: Girardi et al. (2024), *Psychometrika* 89, 542-568; the median as the
    curve's statistic: Simonsohn, Simmons & Nelson (2020), *Nature Human Behaviour* 4, 1208-1214.

    *Several networks* are a second sample, which flips of slides do not vary (they err in up to 87 %), and too few to
    flip. The global test is the crossed one, network by unit, of the cells' medians over the specifications, each
    divided by its root mean square. The adjusted p-values are Holm's over crossed t statistics with the degrees of
    freedom of the smaller sample: Satterthwaite's hold in the middle, not so far out in the tail. They bear the name of
    the flips' p-values, but need more evidence. Units that not every network has seen do not take part. Where fewer
    than two units are left, as in folds, the networks are averaged, and the answer is one about these networks.
    """
    check_alpha(alpha)
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    if values.ndim not in {2, 3} or np.isinf(values).any() or not known.any(axis=tuple(range(1, values.ndim))).all():
        raise StatisticsError(
            f"specifications: found an array of shape {values.shape}, expected finite means of (specification, unit) "
            "or (specification, network, unit), NaN where missing, and at least one for every specification"
        )
    cells, given = values.reshape(len(values), -1, values.shape[-1]), ""
    if cells.shape[1] >= _FEWEST:
        middle = _crossed(_median_cells(cells))
        if middle is not None:
            return _over_networks(cells, middle, alpha)
        given = f"given these networks: too few {unit}s have values of all of them"
    counts = np.count_nonzero(~np.isnan(cells), axis=1)
    means = np.where(counts > 0, np.nansum(cells, axis=1) / np.maximum(counts, 1), NAN)
    return _flipped(means, alpha, draws, seed, unit, given)


def _flipped(values: Float64Array, alpha: float, draws: int, seed: int, unit: str, given: str) -> CurveTest:
    """Flip the signs of whole units in all specifications at once."""
    filled = np.nan_to_num(values[:, ~np.isnan(values).all(axis=0)])
    n_specifications, n = filled.shape
    if n > MAX_RESAMPLED_UNITS:
        reason = f"{n} {unit}s are too many to flip (at most {MAX_RESAMPLED_UNITS})"
        return CurveTest(NAN, NAN, np.full(n_specifications, NAN), NAN, NAN, reason)
    size = np.sqrt((filled**2).sum(axis=1, keepdims=True))
    scores = filled / np.where(size > 0, size, 1.0)
    observed = scores.sum(axis=1)
    middle = float(np.median(observed))
    order = np.argsort(np.abs(observed), kind="stable")
    ranked = np.abs(observed)[order] - _TIE
    n_draws, beyond, above = 0, 0, np.zeros(n_specifications)
    step = max(1, BLOCK // n_specifications)
    for flips in flips_of(n, draws, seed):
        n_draws += len(flips)
        for start in range(0, len(flips), step):
            drawn = (1.0 - 2.0 * flips[start : start + step]) @ scores[order].T
            beyond += int(np.count_nonzero(np.abs(np.median(drawn, axis=1)) >= abs(middle) - _TIE))
            # each is compared with the largest of those that are no larger than itself
            above += np.count_nonzero(np.maximum.accumulate(np.abs(drawn), axis=1) >= ranked, axis=0)
    p_max_t = np.empty(n_specifications)
    p_max_t[order] = np.maximum.accumulate(((1 + above) / (1 + n_draws))[::-1])[::-1]
    direction = float(np.sign(middle)) if abs(middle) > _TIE else 0.0
    attainable = 1 / (1 + n_draws)
    found = float(np.count_nonzero((p_max_t <= alpha) & (np.sign(observed) == direction)))
    if attainable > alpha:
        found = NAN
        given = "; ".join(
            filter(None, (f"could not have been found: {n} {unit}s give no p-value below {attainable:.2g}", given))
        )
    return CurveTest((1 + beyond) / (1 + n_draws), direction, p_max_t, found, attainable, given)


def _over_networks(values: Float64Array, middle: tuple[float, float, int], alpha: float) -> CurveTest:
    """Test networks and units as two crossed samples; ``middle`` is the test of the median specification."""
    each = [_crossed(cells) for cells in values]
    p_value = np.array([NAN if found is None else _two_sided(found[0], found[2]) for found in each])
    signs = np.array([0.0 if found is None else np.sign(found[0]) for found in each])
    p_max_t = adjust(pd.DataFrame({"p_value": p_value, "curve": ""}), family=("curve",)).to_numpy()
    direction = float(np.sign(middle[0]))
    found = float(np.count_nonzero((p_max_t <= alpha) & (signs == direction)))
    return CurveTest(middle[1], direction, p_max_t, found, NAN, "")


def _median_cells(values: Float64Array) -> Float64Array:
    """Return the median over specifications of each cell (K, G), every specification divided by its size."""
    size = np.sqrt(np.nanmean(values**2, axis=(1, 2), keepdims=True))
    scaled = values / np.where(size > 0, size, 1.0)
    middle, known = np.full(values.shape[1:], NAN), ~np.isnan(values).all(axis=0)
    middle[known] = np.nanmedian(scaled[:, known], axis=0)
    return middle


def _crossed(cells: Float64Array) -> tuple[float, float, int] | None:
    """Return t of the mean over two crossed samples, its p-value, and the degrees of freedom of the smaller sample.

    The p-value is the largest of the crossed test and of those over either sample alone. None where the columns of
    ``cells`` (K, G) without a gap are fewer than two, or all equal.
    """
    full = cells[:, ~np.isnan(cells).any(axis=0)]
    if full.shape[1] < _FEWEST:
        return None
    table = two_way(full)
    se = float(np.sqrt(table.variance))
    if se <= _TIE * float(np.abs(full).max()):
        return None
    t_values = float(table.estimate) / np.sqrt(table.spreads[0])
    p_value = max(map(_two_sided, t_values, table.spreads[1]))
    return float(t_values[0]), p_value, min(full.shape) - 1


def _two_sided(t: float, df: float) -> float:
    return float(2 * special.stdtr(df, -abs(t)))
