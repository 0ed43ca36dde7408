"""Studies of one size, drawn at random: the limits that their test sets where the true mean is 0.

A test that sets limits rejects a mean exactly where it lies outside them, and limits move with the mean. So one set of
drawn studies answers for every effect, every margin and every scale.
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from scipy import special

from saliency_stats.statistics.models.two_way import TwoWay
from saliency_stats.statistics.resampling import BLOCK, EXACT_UNITS
from saliency_stats.typing import Float64Array

#: Nodes of a table of Student's quantiles: over the inverse degrees of freedom it is smooth.
_NODES: Final = 2_000

Limits = tuple[Float64Array, Float64Array]


class Spread(NamedTuple):
    """Variances (log2): between networks, between slides in all networks, and of one network's mean of one slide."""

    network: float
    slide: float
    cell: float


def limits(
    test: str, slides: int, networks: int, spread: Spread, level: float, *, simulations: int, seed: int
) -> Limits:
    """Draw studies whose true mean is 0, and return the limits of each: it rejects what lies outside at ``level``.

    Parameters
    ----------
    test
        Of the means of slides, where one network is judged: "sign_flip" or "t_slide_means". Several networks are
        judged by the crossed test.
    level
        Two-sided. A p-value of this size itself does not reject, as in a verdict.

    Returns
    -------
    low, high : ndarray of float64, (simulations,)
        Infinite where no p-value of the test is small enough.

    Notes
    -----
    Effects are normal. One network is judged for itself: what networks differ by is no part of its error. Sign flips
    are drawn up to :data:`~saliency_stats.statistics.resampling.EXACT_UNITS` slides; of more, the t test stands for
    them: from there on their powers differ by less than 0.03. Sizes share their draws (by quantiles), so that powers
    differ by what differs between studies.
    """
    if networks > 1:
        return _crossed(slides, networks, spread, level, simulations, seed)
    scale = float(np.sqrt(spread.slide + spread.cell))
    exact = test == "sign_flip" and slides <= EXACT_UNITS
    low, high = (_flipped if exact else _student)(slides, level, simulations, seed)
    return scale * low, scale * high


def crossed_half_widths(tables: TwoWay, level: float) -> Float64Array:
    """Return half the widths of the crossed test's ``1 - level`` intervals, the widest of its three.

    Student's quantiles are read from a table over the inverse degrees of freedom, in which they are smooth.
    """
    variances, dfs = tables.spreads
    inverse = np.linspace(0.0, 1 / np.min(dfs), _NODES)
    with np.errstate(divide="ignore"):
        quantiles = np.where(inverse > 0, -special.stdtrit(1 / inverse, level / 2), -special.ndtri(level / 2))
    return np.asarray((np.interp(1 / dfs, inverse, quantiles) * np.sqrt(variances)).max(axis=0))


def _crossed(slides: int, networks: int, spread: Spread, level: float, simulations: int, seed: int) -> Limits:
    freedom = (networks - 1, slides - 1, (networks - 1) * (slides - 1))
    expected = (spread.cell + slides * spread.network, spread.cell + networks * spread.slide, spread.cell)
    first, second, third = (
        expected[which] * _mean_squares(freedom[which], which, simulations, seed) for which in range(3)
    )
    variance = (expected[0] + expected[1] - expected[2]) / (networks * slides)
    mean = np.sqrt(variance) * _normal(simulations, seed)
    half = crossed_half_widths(TwoWay(mean, first, second, third, networks, slides), level)
    return mean - half, mean + half


@lru_cache(maxsize=512)
def _student(slides: int, level: float, simulations: int, seed: int) -> Limits:
    error = np.sqrt(_mean_squares(slides - 1, 0, simulations, seed) / slides)
    mean = _normal(simulations, seed) / np.sqrt(slides)
    half = -special.stdtrit(slides - 1, level / 2) * error
    return mean - half, mean + half


@lru_cache(maxsize=128)
def _flipped(slides: int, level: float, simulations: int, seed: int) -> Limits:
    """Invert sign flips: the limits are the k-th of the means of all subsets of slides, from either end."""
    assignments = 2 ** (slides - 1)
    rank = int(np.ceil(level * assignments * (1 - 1e-9))) - 1  # the greatest with rank / assignments < level
    if rank < 1:
        endless = np.full(simulations, np.inf)
        return -endless, endless
    means = np.random.default_rng((seed, slides)).standard_normal((simulations, slides))
    subsets = (np.arange(1, 2**slides - 1)[:, None] >> np.arange(slides)) % 2
    weights = (subsets / subsets.sum(axis=1, keepdims=True)).T
    ends = [rank - 1, len(subsets) - rank]
    step = max(1, BLOCK // len(subsets))
    parts = [
        np.partition(means[start : start + step] @ weights, ends, axis=1)[:, ends]
        for start in range(0, simulations, step)
    ]
    low, high = np.concatenate(parts).T
    return low, high


@lru_cache(maxsize=16)
def _normal(simulations: int, seed: int) -> Float64Array:
    return np.random.default_rng((seed, 0)).standard_normal(simulations)


@lru_cache(maxsize=2_048)
def _mean_squares(freedom: int, which: int, simulations: int, seed: int) -> Float64Array:
    """Draw mean squares whose expectation is 1, in the same order of size whatever their degrees of freedom."""
    tail = np.random.default_rng((seed, 1, which)).random(simulations)
    return np.asarray(special.chdtri(freedom, tail) / freedom)
