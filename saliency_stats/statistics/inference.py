"""Student's t and Wilcoxon's test over the means of independent units, and the form in which every test answers."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from saliency_stats.typing import Float64Array

NAN: Final = float("nan")
#: More units than this make too many pairs for Wilcoxon's interval.
MAX_WILCOXON_UNITS: Final = 5_000
#: Up to this many units without ties Wilcoxon's distribution is exact, as in SciPy.
_EXACT_WILCOXON: Final = 50


@dataclass(frozen=True)
class Inference:
    """What one test says about one mean.

    ``ci_low`` and ``ci_high`` are NaN where the test sets no finite limit; ``note`` then says why. ``estimate`` and
    ``se`` are NaN where the test is about the mean of unit means itself.
    """

    statistic: float
    df: float
    p_value: float
    ci_low: float
    ci_high: float
    note: str = ""
    estimate: float = NAN
    se: float = NAN


def t_slide_means(means: Float64Array, *, alpha: float) -> Inference:
    """Student's t test of the mean of unit means against 0, two-sided, with its ``1 - alpha`` interval.

    ``means`` (n,) are one per independent unit, not all equal.
    """
    result = stats.ttest_1samp(means, popmean=0.0)
    low, high = result.confidence_interval(confidence_level=1 - alpha)
    return Inference(float(result.statistic), float(result.df), float(result.pvalue), float(low), float(high))


def welch(means: Float64Array, others: Float64Array, *, alpha: float) -> Inference:
    """Compare the means of two samples of units: Welch (1947), *Biometrika* 34, 28-35."""
    result = stats.ttest_ind(means, others, equal_var=False)
    low, high = result.confidence_interval(confidence_level=1 - alpha)
    return Inference(float(result.statistic), float(result.df), float(result.pvalue), float(low), float(high))


def wilcoxon_slide_means(means: Float64Array, *, alpha: float) -> Inference:
    """Wilcoxon's signed-rank test of symmetry about 0, two-sided, with the interval that inverts it.

    Returns
    -------
    Inference
        ``estimate`` is the median of the means of all pairs (Hodges & Lehmann 1963, *Ann. Math. Stat.* 34, 598-611),
        ``statistic`` the sum of the ranks of the positive means. The interval is made of two of the pairs' means
        (Tukey 1949; Hollander & Wolfe 1999, *Nonparametric Statistical Methods*, section 3.3), with exact ranks for up
        to 50 units without ties or zeros and normal ones otherwise; NaN with a note where no rank is small enough.
    """
    n, exact = means.size, _is_exact(means)
    pairs = np.sort(((means[:, None] + means) / 2)[np.triu_indices(n)])
    moved = means[means != 0]
    positive = float(np.sum(stats.rankdata(np.abs(moved))[moved > 0]))
    rank = _exact_rank(n, alpha) if exact else _normal_rank(n, alpha)
    low, high = (float(pairs[rank - 1]), float(pairs[-rank])) if rank >= 1 else (NAN, NAN)
    note = "" if rank >= 1 else f"Wilcoxon's test over {n} units sets no finite interval at this level"
    return Inference(positive, NAN, wilcoxon_p(means), low, high, note, float(np.median(pairs)))


def wilcoxon_p(means: Float64Array) -> float:
    """Return the two-sided p-value of :func:`wilcoxon_slide_means`."""
    return float(stats.wilcoxon(means, method="exact" if _is_exact(means) else "approx").pvalue)


def _is_exact(means: Float64Array) -> bool:
    distinct = np.unique(np.abs(means)).size == means.size
    return bool(means.size <= _EXACT_WILCOXON and distinct and not np.any(means == 0))


def _exact_rank(n: int, alpha: float) -> int:
    """Return the largest r with ``2 P(W <= r - 1) <= alpha`` for the signed-rank statistic W of n units."""
    ways = np.ones(1)
    for rank in range(1, n + 1):
        longer = np.append(ways, np.zeros(rank))
        longer[rank:] += ways
        ways = longer / 2
    return int(np.searchsorted(2 * np.cumsum(ways), alpha * (1 + 1e-12), side="right"))


def _normal_rank(n: int, alpha: float) -> int:
    spread = np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return int(np.floor(n * (n + 1) / 4 + stats.norm.ppf(alpha / 2) * spread)) + 1


def equivalence_p(means: Float64Array, *, margin: float) -> float:
    """Return the p-value of Schuirmann's two one-sided t tests that the mean lies within ``±margin``."""
    return float(DescrStatsW(means).ttost_mean(-margin, margin)[0])
