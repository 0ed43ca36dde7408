"""Student's t over the means of independent units, and the form in which every test answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

NAN = float("nan")


@dataclass(frozen=True)
class Inference:
    """What one test says about one mean.

    ``ci_low`` and ``ci_high`` are NaN where the test sets no finite limit; ``note`` then says why.
    """

    statistic: float
    df: float
    p_value: float
    ci_low: float
    ci_high: float
    note: str = ""


def t_slide_means(means: NDArray[np.float64], *, alpha: float) -> Inference:
    """Student's t test of the mean of unit means against 0, two-sided, with its ``1 - alpha`` interval.

    Parameters
    ----------
    means : array (n,)
        One mean per independent unit, not all equal.
    alpha : float
        Level.
    """
    result = stats.ttest_1samp(means, popmean=0.0)
    low, high = result.confidence_interval(confidence_level=1 - alpha)
    return Inference(float(result.statistic), float(result.df), float(result.pvalue), float(low), float(high))


def equivalence_interval(estimate: float, se: float, n_units: int, *, alpha: float) -> tuple[float, float]:
    """Return the ``1 - 2 alpha`` t interval; inside ``±margin`` it declares equivalence at level ``alpha``.

    Two one-sided tests: Schuirmann (1987), *Journal of Pharmacokinetics and Biopharmaceutics* 15, 657-680.
    """
    half = float(stats.t.ppf(1 - alpha, n_units - 1)) * se
    return estimate - half, estimate + half
