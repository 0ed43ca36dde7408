"""Effect sizes over independent units, with intervals: standardised mean and probability of superiority."""

from dataclasses import dataclass

import numpy as np
from scipy import special
from statsmodels.stats.proportion import proportion_confint

from saliency_stats.statistics.inference import NAN
from saliency_stats.typing import Float64Array


@dataclass(frozen=True)
class EffectSizes:
    """How large a contrast is against the spread of the units.

    ``d_z`` is the mean of unit means over their standard deviation, ``superiority`` the share of units whose mean is
    above 0 (an estimate of the probability that a new unit's is); each with the limits of its interval.
    """

    d_z: float
    d_z_low: float
    d_z_high: float
    superiority: float
    superiority_low: float
    superiority_high: float


#: Of a contrast without inference.
NO_EFFECT = EffectSizes(NAN, NAN, NAN, NAN, NAN, NAN)


def effect_sizes(means: Float64Array, *, alpha: float) -> EffectSizes:
    """Compute effect sizes of unit means against 0.

    ``means`` (n,) are one per independent unit, not all equal; intervals cover ``1 - alpha``.

    Notes
    -----
    d_z: Cohen (1988), *Statistical Power Analysis*, section 2.3.5; its interval inverts the noncentral t distribution
    (Cumming & Finch 2001, *Educ. Psychol. Meas.* 61, 532-574), exact for normal unit means. Probability of
    superiority for paired data: Grissom & Kim (2012), *Effect Sizes for Research*, section 5.8, ties counting half;
    its interval is Clopper and Pearson's.
    """
    n = means.size
    root_n = float(np.sqrt(n))
    d_z = float(np.mean(means) / np.std(means, ddof=1))
    low, high = (float(special.nctdtrinc(n - 1, tail, d_z * root_n)) / root_n for tail in (1 - alpha / 2, alpha / 2))
    above = np.count_nonzero(means > 0) + np.count_nonzero(means == 0) / 2
    limits = proportion_confint(above, n, alpha=alpha, method="beta")
    return EffectSizes(d_z, low, high, above / n, *(float(limit) for limit in limits))
