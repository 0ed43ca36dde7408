"""Did a classifier beat chance? Its balanced accuracy against that after exchanging the classes of whole units.

Pure NumPy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb
from typing import Any, Final, Self

import numpy as np

from saliency_stats.statistics.resampling import BLOCK
from saliency_stats.typing import BoolArray, Float64Array, IndexArray

#: Balanced accuracy of guessing.
CHANCE: Final = 0.5
#: Up to this many ways to exchange the classes every one is visited.
EXACT_WAYS: Final = 10_000
#: Differences of accuracies below this are rounding.
_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class Exchange:
    """What exchanging the classes of whole units says about a balanced accuracy.

    ``p_value`` is one-sided; ``attainable`` the smallest that so many units can give. ``n_both`` of the ``n_units``
    have patches of both classes.
    """

    p_value: float
    attainable: float
    n_units: int
    n_both: int


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Patches of a unit by class, (U, 2): benign, malignant; ``called`` are those that were called malignant."""

    sizes: Float64Array
    called: Float64Array

    @classmethod
    def of(cls, units: IndexArray, malignant: BoolArray, called: Float64Array) -> Self:
        n = int(units.max()) + 1
        cells = 2 * units + malignant
        sizes = np.bincount(cells, minlength=2 * n)
        marked = np.bincount(cells, weights=called, minlength=2 * n)
        return cls(*(np.asarray(counts, dtype=np.float64).reshape(n, 2) for counts in (sizes, marked)))

    @property
    def has(self) -> BoolArray:
        return np.asarray(self.sizes > 0)

    def ways(self) -> int:
        """Count the ways to exchange classes: whose single class is malignant, and which units' two are swapped."""
        single = self.has[self.has.sum(axis=1) == 1]
        return comb(len(single), int(single[:, 1].sum())) << (len(self.sizes) - len(single))

    def statistic(self, swapped: BoolArray) -> Float64Array:
        """Return sensitivity + specificity - 1 over its standard error, for each row of ``swapped`` (A, U)."""
        difference = np.zeros(len(swapped))
        deviations = np.zeros(swapped.shape)
        for sign, column in ((1, 1), (-1, 0)):
            sizes = np.where(swapped, self.sizes[:, 1 - column], self.sizes[:, column])
            called = np.where(swapped, self.called[:, 1 - column], self.called[:, column])
            total = sizes.sum(axis=1, keepdims=True)
            rate = called.sum(axis=1, keepdims=True) / total
            difference += sign * rate[:, 0]
            deviations += sign * (called - rate * sizes) / total
        se = np.sqrt(np.sum(deviations**2, axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            found = difference / np.where(se > _ROUNDING, se, 0.0)
        return np.where(np.abs(difference) > _ROUNDING, found, 0.0)


def exchange_test(
    units: IndexArray, malignant: BoolArray, correct: Float64Array | BoolArray, *, draws: int, seed: int
) -> Exchange:
    """Test that balanced accuracy is above chance by exchanging the classes of whole units.

    A classifier that knows nothing of the class calls patches malignant by what else there is to see: stain, section,
    place. So labels never move between patches of one unit. Where a unit has one class, its label moves to another such
    unit; where it has both, the two labels change places. Either leaves what was called in a unit as it was, with all
    that makes its patches alike, and balanced accuracy is reckoned anew from all patches.

    Parameters
    ----------
    units
        (n,) the unit of each patch: 0 to k - 1.
    malignant
        (n,) whether a patch is malignant; both classes occur.
    correct
        (n,) whether it was called what it is; a patch that several networks judged has a row for each, or their mean.
    draws
        Random exchanges where there are more than :data:`EXACT_WAYS`.
    seed
        Seed of these.

    Returns
    -------
    Exchange
        Exact, or ``(1 + hits) / (1 + draws)`` (Phipson & Smyth 2010, *Stat. Appl. Genet. Mol. Biol.* 9, 39).

    Notes
    -----
    The statistic is ``(sensitivity + specificity - 1) / se`` with the linearised standard error over units (Cochran
    1977, *Sampling Techniques*, section 6.3): by the bare difference, slides with few patches in one class and many in
    the other err in up to 24 % at a level of 5 %; a studentised permutation test allows for it (Janssen 1997,
    *Statistics & Probability Letters* 36, 9-21), and is exact where units are exchangeable. Sensitivity + specificity -
    1 is the share called malignant among the malignant less that among the benign.
    """
    correct = np.asarray(correct, dtype=np.float64)
    blocks = _Blocks.of(units, malignant, np.where(malignant, correct, 1.0 - correct))
    n = len(blocks.sizes)
    observed = float(blocks.statistic(np.zeros((1, n), dtype=bool))[0])
    least = observed - 1e-9 * (1 + abs(observed)) if np.isfinite(observed) else observed
    ways = blocks.ways()
    exact = ways <= EXACT_WAYS
    exchanges = _all_exchanges(blocks.has) if exact else _random_exchanges(blocks.has, draws, seed)
    hits = sum(int(np.count_nonzero(blocks.statistic(swapped) >= least)) for swapped in exchanges)
    n_both = int(blocks.has.all(axis=1).sum())
    if exact:
        return Exchange(hits / ways, 1 / ways, n, n_both)
    return Exchange((1 + hits) / (1 + draws), 1 / (1 + draws), n, n_both)


def _all_exchanges(has: BoolArray) -> Iterator[BoolArray]:
    """Yield which units' classes are swapped, every way once: (A, U), the observed one among them."""
    both = has.all(axis=1)
    single = np.flatnonzero(~both)
    malignant = has[:, 1] & ~both
    flips = np.arange(2 ** int(both.sum()))[:, None] >> np.arange(int(both.sum())) & 1
    choices = combinations(single, int(malignant.sum()))
    while batch := list(islice(choices, max(1, BLOCK // (len(has) * len(flips))))):
        labels = np.zeros((len(batch), 1, len(has)), dtype=bool)
        np.put_along_axis(labels, np.array(batch, dtype=np.intp)[:, None], values=True, axis=2)
        swapped = np.repeat(labels ^ malignant, len(flips), axis=1)
        swapped[:, :, both] = flips
        yield swapped.reshape(-1, len(has))


def _random_exchanges(has: BoolArray, draws: int, seed: int) -> Iterator[BoolArray]:
    rng = np.random.default_rng((seed, 4))
    both = has.all(axis=1)
    labels = has[~both, 1]
    step = max(1, BLOCK // len(has))
    for start in range(0, draws, step):
        swapped = rng.integers(0, 2, size=(min(step, draws - start), len(has)), dtype=np.int8) == 1
        swapped[:, ~both] = rng.permuted(np.tile(labels, (len(swapped), 1)), axis=1) ^ labels
        yield swapped


def beats_chance(metric: Mapping[str, Any], alpha: float) -> bool:
    """Say whether a row of ``metrics.csv`` shows more than chance: by its test, by its interval where there is none."""
    p_value = metric.get("p_learned", float("nan"))
    return bool(metric["balanced_accuracy_low"] > CHANCE if np.isnan(p_value) else p_value <= alpha)


def learned_words(
    accuracy: float, low: float, exchange: Exchange | None, *, minimum: float, alpha: float, unit: str
) -> tuple[bool, str]:
    """Judge whether a classifier learned its task, and say why, with all that speaks against it.

    Learned is a balanced ``accuracy`` of at least ``minimum`` with a p-value of at most ``alpha``. Without a test
    (``exchange`` is None: a ``unit`` is unknown), ``low``, the lower limit of the interval, must lie above chance.
    """
    if not np.isfinite(accuracy):
        return False, "one of the classes has no patch in this split, so accuracy cannot be judged"
    found = f"balanced accuracy {accuracy:.3f}"
    against = []
    if accuracy < minimum:
        against.append(f"{found} is below classifier.min_balanced_accuracy {minimum:g} (chance is 0.5)")
    if exchange is None:
        untested = f"no test, because {unit}s are unknown"
        evidence = f"interval from {low:.3f}; {untested}"
        if low <= CHANCE:
            against.append(f"the interval of {found} begins at {low:.3f} and includes chance (0.5); {untested}")
    else:
        units = f"{exchange.n_units} {unit}{'' if exchange.n_units == 1 else 's'}"
        evidence = f"p = {exchange.p_value:.3g} by exchanging the classes of {units}"
        if exchange.attainable > alpha:
            against.append(
                f"{found} could not have been told from chance (0.5): with {units} no p-value lies below "
                f"{exchange.attainable:.3g}, and alpha is {alpha:g}; judge more {unit}s of each class"
            )
        elif exchange.p_value > alpha:
            against.append(f"{found} is not shown to beat chance (0.5): {evidence}, and alpha is {alpha:g}")
    return not against, "; ".join(against) or f"{found} is above chance (0.5): {evidence}"
