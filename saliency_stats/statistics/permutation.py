"""The studentised permutation test of two samples of units, for classes that have slides of their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final

import numpy as np

from saliency_stats.statistics.inference import NAN, Inference
from saliency_stats.statistics.resampling import blocks_of
from saliency_stats.typing import BoolArray, Float64Array

#: Up to so many ways to split the units into the two samples, every one is visited.
EXACT_SPLITS: Final = 2**15
#: More units than this are not permuted: the mean of so many is normal, and Welch's test says so.
MAX_PERMUTED_UNITS: Final = 2_000
#: Doublings of the standard error among which a limit is looked for, and halvings that then find it.
_DOUBLINGS, _HALVINGS = 40, 60


def permutation(means: Float64Array, others: Float64Array, *, alpha: float, draws: int, seed: int) -> Inference:
    """Permutation test of a difference of means, first minus second, two-sided, with the interval that inverts it.

    Units change places between the samples. The statistic is Welch's t, so that the test holds for the means although
    the samples have other variances: exactly where they have the same distribution, and in the limit else.

    Parameters
    ----------
    means, others
        (n,) and (m,) unit means, neither all equal. Where they can be split in more than :data:`EXACT_SPLITS` ways,
        ``draws`` splits are random and ``p = (1 + hits) / (1 + draws)``.

    Returns
    -------
    Inference
        ``statistic`` is Welch's t. A limit is NaN, with a note, where too few units (or draws) exist for any
        difference to be rejected at this level.

    Notes
    -----
    Janssen (1997), *Statistics & Probability Letters* 36, 9-21; Chung & Romano (2013), *Annals of Statistics* 41,
    484-507. A limit is where the p-value of the difference crosses ``alpha``, going out from the estimate.
    """
    splits = _Splits.of(means, others, draws=draws, seed=seed)
    difference = float(means.mean() - others.mean())
    p_value = splits.p_value(difference)
    limits = [_limit(splits, difference, side, alpha) for side in (-1.0, 1.0)]
    note = (
        ""
        if np.isfinite(limits).all()
        else f"permutations of {splits.units} units set no finite interval at this level"
    )
    return Inference(difference / splits.se, NAN, p_value, limits[0], limits[1], note)


def least_permutation_p(n: int, m: int, draws: int) -> float:
    """Return the smallest p-value that permutations of n and m units can give: no other split is as far apart."""
    ways = comb(n + m, n)
    if ways > EXACT_SPLITS:
        return 1 / (1 + draws)
    return (2 if n == m else 1) / ways  # samples of one size can change places as a whole


@dataclass(frozen=True, eq=False)
class _Splits:
    """Sums over the first sample of each split, the observed one included where all are visited.

    Values are taken about the mean of their own sample: (B,) ``sums`` and ``squares`` of those values, ``moved`` how
    many come from the first sample, ``moved_sums`` their sum.
    """

    sizes: tuple[int, int]
    se: float
    total: float
    extra: int
    sums: Float64Array
    squares: Float64Array
    moved: Float64Array
    moved_sums: Float64Array

    @property
    def units(self) -> int:
        return sum(self.sizes)

    @classmethod
    def of(cls, means: Float64Array, others: Float64Array, *, draws: int, seed: int) -> "_Splits":
        n, m = means.size, others.size
        centred = np.concatenate([means - means.mean(), others - others.mean()])
        columns = np.column_stack(
            [centred, centred**2, np.arange(n + m) < n, np.where(np.arange(n + m) < n, centred, 0)]
        )
        exact = comb(n + m, n) <= EXACT_SPLITS
        chosen = _all_splits(n + m, n) if exact else _random_splits(n + m, n, draws, seed)
        sums = np.concatenate([split @ columns for split in chosen])
        se = float(np.sqrt(means.var(ddof=1) / n + others.var(ddof=1) / m))
        return cls((n, m), se, float((centred**2).sum()), 0 if exact else 1, *sums.T)

    def p_value(self, difference: float) -> float:
        """Return the p-value of no difference if the first sample were moved so that the means differ by this."""
        (n, m), e = self.sizes, difference
        sums = self.sums + self.moved * e
        squares = self.squares + 2 * e * self.moved_sums + self.moved * e**2
        rest, rest_squares = n * e - sums, self.total + n * e**2 - squares
        variance = (squares - sums**2 / n) / (n - 1) / n + (rest_squares - rest**2 / m) / (m - 1) / m
        gap = sums / n - rest / m
        # ties must count although their sums round differently; a split without spread is infinitely far apart
        slack = 1e-9 * (self.se**2 + e**2)
        hits = np.count_nonzero(gap**2 * self.se**2 >= e**2 * variance - slack * e**2)
        return float((self.extra + hits) / (self.extra + gap.size))


def _limit(splits: _Splits, difference: float, side: float, alpha: float) -> float:
    """Return how far the true difference may lie to one side: NaN where every one is accepted."""
    inner, outer = 0.0, splits.se
    for _ in range(_DOUBLINGS):
        # a true difference of d + side * outer leaves -side * outer of the one observed
        if splits.p_value(-side * outer) <= alpha:
            break
        inner, outer = outer, 2 * outer
    else:
        return NAN
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        inner, outer = (inner, middle) if splits.p_value(-side * middle) <= alpha else (middle, outer)
    return difference + side * inner


def _all_splits(units: int, n: int) -> Iterator[BoolArray]:
    chosen = np.array(list(combinations(range(units), n)))
    splits = np.zeros((len(chosen), units), dtype=bool)
    splits[np.arange(len(chosen))[:, None], chosen] = True
    yield splits


def _random_splits(units: int, n: int, draws: int, seed: int) -> Iterator[BoolArray]:
    rng = np.random.default_rng((seed, 3))
    first = np.arange(units) < n
    for block in blocks_of(units, draws):
        yield rng.permuted(np.broadcast_to(first, (block, units)), axis=1)
