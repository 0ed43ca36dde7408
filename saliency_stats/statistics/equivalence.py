"""Equivalence: that means lie within a margin around 0, for a family of hypotheses at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.multiplicity import holm
from saliency_stats.statistics.resampling import sign_flip, sign_flip_p
from saliency_stats.typing import Float64Array

#: Fewer units than this have no skewness.
_FEWEST: Final = 3


@dataclass(frozen=True)
class Estimate:
    """An estimate (log2) with its standard error and degrees of freedom, as a t test has them.

    ``skewness`` is that of the ``n_units`` unit means; where it is not known the estimate is taken for normal.
    """

    estimate: float
    se: float
    df: float
    skewness: float = NAN
    n_units: int = 0

    def skew(self, side: int) -> float:
        """Return how skewed the estimate may be towards a side (1 or -1): its skewness and one standard error more."""
        n = self.n_units
        if n < _FEWEST or not np.isfinite(self.skewness):
            return 0.0
        spread = float(np.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3))))
        return max(0.0, side * self.skewness + spread) / float(np.sqrt(n))


@dataclass(frozen=True)
class Equivalence:
    """What one hypothesis of a family says of equivalence.

    Parameters
    ----------
    p_value
        Of the one-sided tests against the two ends of the margin, the largest; NaN where there is nothing to test.
    p_adjusted
        The same after Holm's correction over the family.
    equivalent
        Whether the mean is stated to lie within the margin.
    least_margin
        The smallest margin (log2) that these data exclude, by themselves, at this level: the larger absolute limit of
        the ``1 - 2 alpha`` interval. ``2 ** least_margin`` is the ratio. NaN where a limit is not finite.
    """

    p_value: float
    p_adjusted: float
    equivalent: bool
    least_margin: float


def equivalences(
    questions: Sequence[Float64Array | Estimate],
    attainable: Sequence[float],
    *,
    margin: float,
    alpha: float,
    draws: int,
    seed: int,
) -> list[Equivalence]:
    """Test every hypothesis of a family for equivalence.

    Two one-sided tests of each (Schuirmann 1987, *Journal of Pharmacokinetics and Biopharmaceutics* 15, 657-680), and
    Holm's correction over the family, so that the probability of any false statement is at most ``alpha``.

    Sign flips and t alike reject too often at one end of the margin if units are skewed towards it (in 28 % of families
    of eight with ten exponential units). Means of units must therefore pass both sign flips and
    :func:`hall_equivalence_p`.

    Parameters
    ----------
    questions
        For each hypothesis its (n,) unit means, or an :class:`Estimate`. What cannot be tested has fewer than three
        means, or no standard error; it costs the others nothing.
    attainable
        For each the smallest p-value, after correction, that its test of superiority could have given. Above ``alpha``
        a difference could not have been found, however large, and no equivalence is stated.
    margin
        Half-width (log2) of the range that counts as no difference.
    draws, seed
        Of :func:`~saliency_stats.statistics.resampling.sign_flip`.
    """
    alone = [_alone(question, margin, alpha, draws, seed) for question in questions]
    p_values = np.array([p for p, _ in alone])
    tested = np.isfinite(p_values)
    adjusted = np.full(len(alone), NAN)
    adjusted[tested] = holm(p_values[tested])
    return [
        Equivalence(p, float(p_adjusted), bool(p_adjusted <= alpha and reachable <= alpha), least)
        for (p, least), p_adjusted, reachable in zip(alone, adjusted, attainable, strict=True)
    ]


def _alone(
    question: Float64Array | Estimate, margin: float, alpha: float, draws: int, seed: int
) -> tuple[float, float]:
    """Return the p-value of one hypothesis and the least margin that it excludes."""
    found = question if isinstance(question, Estimate) else _estimate_of(question)
    if not found.se > 0:
        return NAN, NAN
    p_value, least = hall_equivalence_p(found, margin), _hall_margin(found, alpha)
    if isinstance(question, Estimate):
        return p_value, least
    by_flips = sign_flip(question, alpha=2 * alpha, draws=draws, seed=seed)
    flip_p = float(flip_equivalence_p(question[None], margin, draws=draws, seed=seed)[0])
    return max(p_value, flip_p), float(np.max([least, -by_flips.ci_low, by_flips.ci_high]))


def _estimate_of(means: Float64Array) -> Estimate:
    n = means.size
    if n < _FEWEST or not np.ptp(means) > 0:
        return Estimate(NAN, NAN, NAN)
    se = float(np.std(means, ddof=1) / np.sqrt(n))
    return Estimate(float(means.mean()), se, n - 1, float(stats.skew(means, bias=False)), n)


def flip_equivalence_p(samples: Float64Array, margin: float, *, draws: int, seed: int) -> Float64Array:
    """Return the p-values of two one-sided sign-flip tests that means lie within ``±margin``.

    If units are symmetric about their mean, flipping them about an end of the margin gives the distribution that they
    would have with their mean there. Each row of ``samples`` (S, n) holds the unit means of one hypothesis.

    Returns
    -------
    (S,) array
        At least 1/2 where the mean lies outside the margin.
    """
    means = samples.mean(axis=1)
    # a flip and its opposite are one draw and lie on either side: half of the two-sided p-value is that of the mean's
    # own side, and the rest that of the other
    above, below = (
        np.where(inside, p, 1 - p)
        for inside, p in (
            (side * means < margin, sign_flip_p(samples - side * margin, draws=draws, seed=seed) / 2)
            for side in (1, -1)
        )
    )
    return np.asarray(np.maximum(above, below))


def hall_equivalence_p(found: Estimate, margin: float) -> float:
    """Return the p-value of two one-sided t tests that an estimate lies within ``±margin``, allowing for its skewness.

    The t statistic is transformed by Hall's monotone cubic (1992, *Journal of the Royal Statistical Society B* 54,
    221-228), which takes the skewness out of its distribution. As a few units hardly know their skewness, it is taken
    one standard error nearer to the side that would err. An estimate of unknown skewness has the plain t tests.
    """
    p_values = []
    for side in (1, -1):
        z, a = (margin - side * found.estimate) / found.se, found.skew(side)
        moved = z - a * z**2 / 3 + a**2 * z**3 / 27 - a / 6
        p_values.append(float(stats.t.sf(moved, found.df)))
    return max(p_values)


def _hall_margin(found: Estimate, alpha: float) -> float:
    """Return the margin at which :func:`hall_equivalence_p` is ``alpha``."""
    t = float(stats.t.ppf(1 - alpha, found.df))
    limits = []
    for side in (1, -1):
        a = found.skew(side)
        z = 3 / a * (1 - np.cbrt(1 - a * (t + a / 6))) if a else t
        limits.append(side * found.estimate + float(z) * found.se)
    return max(limits)
