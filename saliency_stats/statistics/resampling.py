"""Tests of a mean over independent units without a normal distribution: sign flips and the cluster bootstrap.

All tests and their intervals are exact duals: 0 lies outside the ``1 - alpha`` interval if and only if the
two-sided p-value is at most ``alpha``.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, TypeVar

import numpy as np

from saliency_stats.statistics.inference import NAN, Inference
from saliency_stats.typing import BoolArray, Float64Array, Int16Array

#: Up to this many units every one of the ``2^units`` sign assignments is visited.
EXACT_UNITS: Final = 16
#: More independent units than this are not resampled: the mean of so many is normal, and the t test says so.
MAX_RESAMPLED_UNITS: Final = 20_000
#: Numbers held at once while resampling; larger problems go through in blocks of draws.
BLOCK: Final = 4_000_000
#: Random draws of up to this many numbers are kept: all tests of a study flip the same signs, and draw the same units.
_KEPT: Final = 32_000_000

_Drawn = TypeVar("_Drawn", BoolArray, Int16Array)


def sign_flip(means: Float64Array, *, alpha: float, draws: int, seed: int) -> Inference:
    """Sign-flip test of the mean of unit means against 0, two-sided, with the interval that inverts it.

    Under the hypothesis that the units' means are symmetric about 0 every assignment of signs is equally
    likely.

    ``means`` (n,) are one per independent unit. Where there are more than :data:`EXACT_UNITS` of them, ``draws``
    assignments are random and ``p = (1 + hits) / (1 + draws)``.

    Returns
    -------
    Inference
        ``statistic`` is the mean itself. The limits are NaN, with a note, where too few units (or draws)
        exist for any hypothesis to be rejected at this level.

    Notes
    -----
    Exact test: Fisher (1935), *The Design of Experiments*, section 21; Monte-Carlo p-value with
    the observed assignment counted: Phipson & Smyth (2010), *Stat. Appl. Genet. Mol. Biol.* 9, 39. Interval:
    flipping the units of a set F makes the mean of ``x - mu`` at least as large as observed exactly when
    ``mean(x_F) <= mu``, so the p-value at every ``mu`` follows from the subset means, and the limits are two
    of them (Hartigan 1969, *JASA* 64, 1303-1317).

    An assignment and its opposite are one draw, as a two-sided test cannot tell them apart; the exact test is
    the Monte-Carlo formula over all ``2^(n-1) - 1`` such pairs besides the observed one.
    """
    n = means.size
    total = float(np.sum(means))
    least, hits, n_draws = _least_counted(means), 0, 0
    subset_low, subset_high = [], []
    for flips in flips_of(n, draws, seed):
        flipped, size = flips @ means, flips.sum(axis=1)
        n_draws += size.size
        hits += int(np.count_nonzero(np.abs(total - 2 * flipped) >= least))
        for part, count in ((flipped, size), (total - flipped, n - size)):
            # An empty set stands for the observed assignment: it counts against every mu, on either side.
            mean = part / np.maximum(count, 1)
            subset_low.append(np.where(count == 0, -np.inf, mean))
            subset_high.append(np.where(count == 0, np.inf, mean))
    p_value = (1 + hits) / (1 + n_draws)
    rank = _rank(alpha, n_draws)
    low = _order_statistic(np.concatenate(subset_low), rank)
    high = -_order_statistic(-np.concatenate(subset_high), rank)
    return _inference(total / n, p_value, low, high, "sign flips", n)


def units_needed(n_hypotheses: int, alpha: float) -> int:
    """Count the units from which on sign flips can find anything, of so many hypotheses corrected together by Holm.

    The smallest two-sided p-value of n units is ``2^(1-n)``, and the first of m hypotheses is judged at ``alpha / m``.
    """
    return int(np.floor(np.log2(n_hypotheses / alpha))) + 2


def draws_needed(n_hypotheses: int, alpha: float) -> int:
    """Count the draws from which on chance in drawing matters little, of so many hypotheses corrected together by Holm.

    The first of m hypotheses is judged at ``alpha / m``; a p-value there is then a count of about 20 draws.
    """
    return int(np.ceil(20 * n_hypotheses / alpha * (1 - 1e-12)))


def least_flip_p(n: int, draws: int) -> float:
    """Return the smallest p-value that sign flips over n units can give: all means of one sign."""
    return 2.0 ** (1 - n) if n <= EXACT_UNITS else 1 / (1 + draws)


def sign_flip_p(samples: Float64Array, *, draws: int, seed: int) -> Float64Array:
    """Return the p-values of :func:`sign_flip` for many samples of one size at once.

    Each row of ``samples`` (S, n) holds the unit means of one; the same assignments serve all.
    """
    least = _least_counted(samples)
    hits, n_draws = np.zeros(len(samples)), 0
    for flips in flips_of(samples.shape[1], draws, seed):
        n_draws += len(flips)
        step = max(1, BLOCK // len(flips))
        for start in range(0, len(samples), step):
            rows = slice(start, start + step)
            drawn = np.abs(samples[rows] @ (1.0 - 2.0 * flips.T))
            hits[rows] += np.count_nonzero(drawn >= least[rows, None], axis=1)
    return np.asarray((1 + hits) / (1 + n_draws))


def _least_counted(means: Float64Array) -> Float64Array:
    """Return the size of a sum from which on a draw counts as being as large as the one observed."""
    # ties must count although their sums round differently
    return np.asarray(np.abs(means.sum(axis=-1)) - 1e-12 * np.abs(means).sum(axis=-1))


def cluster_bootstrap(means: Float64Array, *, alpha: float, draws: int, seed: int) -> Inference:
    """Percentile-t bootstrap over units of the mean of unit means: equal-tailed interval and its p-value.

    ``means`` (n,) are one per independent unit, not all equal; units are drawn with replacement.

    Returns
    -------
    Inference
        ``statistic`` is ``mean / se``. A resample without spread has an infinite t, which is kept: with very
        few units the interval is therefore unbounded, and NaN with a note stands for it.

    Notes
    -----
    Whole units are resampled (Cameron, Gelbach & Miller 2008, *Rev. Econ. Stat.* 90, 414-427) and
    each resample is studentised by its own standard error (Efron & Tibshirani 1993, *An Introduction to the
    Bootstrap*, section 12.5). ``p = 2 min(p_low, p_high)``, each tail counted with the observed value (``+1``
    rule).
    """
    n = means.size
    mean, root_n = float(np.mean(means)), float(np.sqrt(n))
    se = float(np.std(means, ddof=1)) / root_n
    centred = means - mean
    powers = np.stack([centred, centred**2], axis=1)
    parts = []
    for drawn in resamples_of(n, draws, seed):
        total, of_squares = (drawn @ powers).T
        centre, squares = total / n, of_squares - total**2 / n
        # a difference of sums keeps about 16 digits of them: below that nothing is known to spread
        spread = np.sqrt(np.where(squares > 1e-13 * of_squares, squares, 0.0) / (n - 1)) / root_n
        with np.errstate(divide="ignore", invalid="ignore"):
            parts.append(np.nan_to_num(centre / spread, nan=0.0, posinf=np.inf, neginf=-np.inf))
    t = np.concatenate(parts)
    observed = mean / se
    tail = min(int(np.count_nonzero(t >= observed)), int(np.count_nonzero(t <= observed)))
    p_value = min(1.0, 2 * (1 + tail) / (1 + draws))
    rank = _rank(alpha / 2, draws)
    low = mean + _order_statistic(-t, rank) * se
    high = mean - _order_statistic(t, rank) * se
    return _inference(observed, p_value, low, high, "the bootstrap", n)


def flips_of(n: int, draws: int, seed: int) -> Iterator[BoolArray]:
    """Yield blocks (draws, n) of the units whose signs are flipped: all sets but the observed one, or random ones."""
    if n <= EXACT_UNITS:
        return iter((_all_flips(n),))
    return iter(_kept_flips(n, draws, seed)) if n * draws <= _KEPT else _random_flips(n, draws, seed)


@lru_cache(maxsize=4)
def _all_flips(n: int) -> BoolArray:
    """Every set of flipped units but the empty one, up to its complement: the last unit is never flipped."""
    codes = np.arange(1, 2 ** (n - 1), dtype=np.int64)
    return _fixed((codes[:, None] >> np.arange(n)) % 2 == 1)


@lru_cache(maxsize=4)
def _kept_flips(n: int, draws: int, seed: int) -> tuple[BoolArray, ...]:
    return tuple(map(_fixed, _random_flips(n, draws, seed)))


def _fixed(drawn: _Drawn) -> _Drawn:
    """Let nobody change what is kept."""
    drawn.setflags(write=False)
    return drawn


def _random_flips(n: int, draws: int, seed: int) -> Iterator[BoolArray]:
    rng = np.random.default_rng((seed, 1))
    for block in blocks_of(n, draws):
        yield rng.integers(0, 2, size=(block, n), dtype=np.int8) == 1


def resamples_of(n: int, draws: int, seed: int) -> Iterator[Int16Array]:
    """Yield blocks (draws, n) of how often each unit was drawn, with replacement."""
    return iter(_kept_resamples(n, draws, seed)) if n * draws <= _KEPT else _random_resamples(n, draws, seed)


@lru_cache(maxsize=4)
def _kept_resamples(n: int, draws: int, seed: int) -> tuple[Int16Array, ...]:
    return tuple(map(_fixed, _random_resamples(n, draws, seed)))


def _random_resamples(n: int, draws: int, seed: int) -> Iterator[Int16Array]:
    rng = np.random.default_rng((seed, 2))
    for block in blocks_of(n, draws):
        cells = rng.integers(0, n, size=(block, n)) + n * np.arange(block)[:, None]
        # 16 bits hold how often: more than MAX_RESAMPLED_UNITS are not drawn from
        yield np.bincount(cells.ravel(), minlength=block * n).reshape(block, n).astype(np.int16)


def blocks_of(n: int, draws: int) -> Iterator[int]:
    """Yield sizes of blocks of draws over n units, none above :data:`BLOCK` numbers unless it is of one draw."""
    step = max(1, BLOCK // n)
    for start in range(0, draws, step):
        yield min(step, draws - start)


def _rank(tail: float, draws: int) -> int:
    """Return the greatest k with ``k / (1 + draws) <= tail``, safe from a product just below an integer."""
    return int(np.floor(tail * (1 + draws) + 1e-9))


def _order_statistic(values: Float64Array, rank: int) -> float:
    """Return the ``rank``-th smallest value, ``-inf`` where the rank is below 1."""
    return float(np.partition(values, rank - 1)[rank - 1]) if rank >= 1 else -np.inf


def _inference(statistic: float, p_value: float, low: float, high: float, what: str, n: int) -> Inference:
    if np.isfinite(low) and np.isfinite(high):
        return Inference(statistic, NAN, p_value, low, high)
    note = f"{what} over {n} units set no finite interval at this level"
    return Inference(
        statistic, NAN, p_value, low if np.isfinite(low) else NAN, high if np.isfinite(high) else NAN, note
    )
