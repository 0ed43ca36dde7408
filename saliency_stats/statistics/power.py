"""How many slides and patches a finding needs, from the variances that a run has seen."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from scipy import optimize, special
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]  # ships no types

from saliency_stats.statistics.components import ESTIMATE, UPPER_LIMIT, Components
from saliency_stats.statistics.models.checks import MAX_ALPHA, check_alpha, check_seed, in_range, one_of
from saliency_stats.statistics.parameters import MIN_UNITS
from saliency_stats.typing import BoolArray, Float64Array

Purpose = Literal["superiority", "equivalence"]

#: The studies that are simulated.
SLIDES: Final = (4, 5, 6, 8, 10, 15, 20, 30, 40, 60, 80, 120)
PATCHES: Final = (5, 10, 20, 50, 100, 200, 400)
#: A study of more slides is not planned but called unrealistic.
MOST_SLIDES: Final = 1_000
#: Columns of ``power.csv`` that a plan fills; label and magnification stand before them.
COLUMNS: Final = (
    *("purpose", "source", "effect_log2", "margin_log2", "slides", "patches_per_slide"),
    *("power", "power_low", "power_high", "between_variance", "within_variance", "icc", "variance"),
)
#: Draws for which the numbers of one grid still fit into memory many times over.
MAX_SIMULATIONS: Final = 100_000
_MIN_SIMULATIONS: Final = 100
#: Nodes and tail of the integral over the estimated spread: its error stays below 1e-9.
_NODES: Final = np.polynomial.legendre.leggauss(256)
_TAIL: Final = 1e-13


@dataclass(frozen=True)
class Aim:
    """What a study is to show, by the t test over the means of its slides.

    Parameters
    ----------
    purpose
        "superiority": that the mean is not 0, where it is ``size``; "equivalence": that it lies within ``±size``,
        where it is 0 (two one-sided tests).
    size
        In log2.
    alpha
        Level of the test.
    source
        Where the size comes from: "estimate" (the run's own), "margin" or "given".

    Raises
    ------
    StatisticsError
        If a value is out of range.
    """

    purpose: Purpose
    size: float
    alpha: float = 0.05
    source: str = "given"

    def __post_init__(self) -> None:
        one_of("purpose", self.purpose, ("superiority", "equivalence"))
        check_alpha(self.alpha)
        in_range("the effect", self.size, np.isfinite(self.size) and self.size != 0, "a log2 ratio other than 0")

    @property
    def effect(self) -> float:
        """The true mean (log2)."""
        return self.size if self.purpose == "superiority" else 0.0

    def critical(self, n: float) -> float:
        """Return the quantile of Student's t that a test of n slides uses."""
        tail = self.alpha / 2 if self.purpose == "superiority" else self.alpha
        return float(-special.stdtrit(n - 1, tail))

    def reached(self, mean: Float64Array, se: Float64Array, n: int) -> BoolArray:
        """Tell for studies of n slides with these means and standard errors which of them show it; broadcasts."""
        half = self.critical(n) * se
        if self.purpose == "superiority":
            return np.asarray(np.abs(mean) >= half)
        return np.asarray(np.abs(mean) + half < abs(self.size))

    def power(self, variance: float, n: float) -> float:
        """Return the exact power of n slides whose means have this variance; n need not be whole.

        Notes
        -----
        Given u, the estimated spread of the slide means over the true one, the test decides by a normal mean; u follows
        ``chi(n - 1) / sqrt(n - 1)``, over which is integrated. For superiority this is the noncentral t distribution
        (SciPy's, and with it statsmodels' ``TTestPower``, returns NaN for 6 of 35 designs, all of power above 0.9999),
        for equivalence Phillips (1990), *Journal of Pharmacokinetics and Biopharmaceutics* 18, 137-144.
        """
        half = (n - 1) / 2
        low, high = (float(np.sqrt(special.gammaincinv(half, tail) / half)) for tail in (_TAIL, 1 - _TAIL))
        shift, critical = abs(self.size) * float(np.sqrt(n / variance)), self.critical(n)
        if self.purpose == "equivalence":
            high = min(high, shift / critical)  # a wider interval never fits into the margin
            if high <= low:
                return 0.0
        at, weights = (high - low) / 2 * (_NODES[0] + 1) + low, (high - low) / 2 * _NODES[1]
        density = 2 * np.exp(half * np.log(half) - special.gammaln(half) + (n - 2) * np.log(at) - half * at**2)
        inside, outside = special.ndtr(shift - critical * at), special.ndtr(critical * at - shift)
        other = special.ndtr(-shift - critical * at) if self.purpose == "superiority" else -outside
        return float(min(1.0, weights * density @ (inside + other)))

    def slides_needed(self, variance: float, *, power: float, least: int = MIN_UNITS) -> float:
        """Return the number of slides, not rounded, that reach the power; infinite beyond :data:`MOST_SLIDES`."""
        if self.power(variance, least) >= power:
            return float(least)
        if self.power(variance, MOST_SLIDES) < power:
            return float("inf")
        return float(optimize.brentq(lambda n: self.power(variance, n) - power, least, MOST_SLIDES, xtol=1e-6))


@dataclass(frozen=True)
class Need:
    """The slides that one aim needs.

    Parameters
    ----------
    aim
        What is to be shown.
    slides, slides_high
        Whole slides with as many patches as the run's have, by the estimate and the upper limit of the variance between
        slides; infinite beyond :data:`MOST_SLIDES`.
    power
        That of a study as large as the run, by the estimate.
    enough_patches
        Fewest patches per slide, up to the most simulated, of which the double saves less than one slide (by the
        estimate); None where there is no such number.
    slides_enough
        Whole slides with so many patches, or with the most simulated where there is no such number.
    """

    aim: Aim
    slides: float
    slides_high: float
    power: float
    enough_patches: int | None
    slides_enough: float


@dataclass(frozen=True, eq=False)
class Plan:
    """What a sample of patches says about the next study.

    ``power`` is the wanted one, ``needs`` has one per aim, ``table`` the simulated powers with the columns
    :data:`COLUMNS`.
    """

    components: Components
    power: float
    needs: tuple[Need, ...]
    table: pd.DataFrame


def plan_study(
    components: Components,
    aims: tuple[Aim, ...],
    *,
    power: float = 0.9,
    simulations: int = 2_000,
    seed: int = 0,
    least: int = MIN_UNITS,
) -> Plan:
    """Work out what each aim needs, and simulate studies of many sizes.

    ``power`` is the wanted one, ``simulations`` the studies per size, ``least`` the fewest slides that are tested.

    Raises
    ------
    StatisticsError
        If a number is out of range.
    """
    in_range("power", power, MAX_ALPHA <= power < 1, f"at least {MAX_ALPHA} and below 1")
    in_range("least", least, MIN_UNITS <= least < MOST_SLIDES, f"from {MIN_UNITS} to {MOST_SLIDES - 1}")
    needs = tuple(_need(components, aim, power, least) for aim in aims)
    table = simulate_power(components, aims, simulations=simulations, seed=seed, least=least)
    return Plan(components, power, needs, table)


def _need(components: Components, aim: Aim, power: float, least: int) -> Need:
    def slides(patches: int, variance: str = ESTIMATE) -> float:
        return aim.slides_needed(components.of_slide_means(patches, variance), power=power, least=least)

    def saves_little(patches: int) -> bool:
        few, double = slides(patches), slides(2 * patches)
        return bool(np.isfinite(few)) and few - double < 1

    own, n = components.patches_per_slide, components.n_units
    candidates = range(1, PATCHES[-1] + 1)
    place = bisect_left(candidates, x=True, key=saves_little)  # what doubling saves falls with the patches
    enough = candidates[place] if place < len(candidates) else None
    return Need(
        aim,
        float(np.ceil(slides(own))),
        float(np.ceil(slides(own, UPPER_LIMIT))),
        aim.power(components.of_slide_means(own), n) if n >= least else 0.0,
        enough,
        float(np.ceil(slides(enough or candidates[-1]))),
    )


def simulate_power(
    components: Components, aims: tuple[Aim, ...], *, simulations: int = 2_000, seed: int = 0, least: int = MIN_UNITS
) -> pd.DataFrame:
    """Simulate studies of :data:`SLIDES` times :data:`PATCHES` and count those that show what they are to show.

    Slide means are normal about the true effect. All sizes of a slide and all aims are read on the same draws, so that
    powers differ by what differs between the studies.

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS`; ``power_low`` and ``power_high`` are Wilson's 95 % limits of the simulation (Wilson
        1927, *JASA* 22, 209-212), ``margin_log2`` is empty where the purpose is superiority.

    Raises
    ------
    StatisticsError
        If the number of simulations is out of range.
    """
    allowed = f"from {_MIN_SIMULATIONS} to {MAX_SIMULATIONS}"
    in_range("simulations", simulations, _MIN_SIMULATIONS <= simulations <= MAX_SIMULATIONS, allowed)
    check_seed(seed)
    patches = np.array(PATCHES)
    means, errors = [], []
    for n in SLIDES:
        drawn = np.random.default_rng((seed, n)).standard_normal((simulations, n))
        means.append(drawn.mean(axis=1))
        errors.append(drawn.std(axis=1, ddof=1) / np.sqrt(n))
    tables = []
    for variance in (ESTIMATE, UPPER_LIMIT):
        between = components.between_by(variance)
        spread = np.sqrt(components.of_slide_means(patches, variance))[:, None]
        for aim in aims:
            hits = np.array(
                [
                    aim.reached(aim.effect + spread * mean, spread * se, n).sum(axis=1) * (n >= least)
                    for n, mean, se in zip(SLIDES, means, errors, strict=True)
                ]
            )
            low, high = proportion_confint(hits.ravel(), simulations, method="wilson")
            sizes = {"slides": np.repeat(SLIDES, patches.size), "patches_per_slide": np.tile(patches, len(SLIDES))}
            found = {"power": hits.ravel() / simulations, "power_low": low, "power_high": high}
            fixed: dict[str, Any] = {
                "purpose": aim.purpose,
                "source": aim.source,
                "effect_log2": aim.effect,
                "margin_log2": aim.size if aim.purpose == "equivalence" else np.nan,
                "between_variance": between,
                "within_variance": components.within,
                "icc": between / (between + components.within),
                "variance": variance,
            }
            tables.append(pd.DataFrame({**sizes, **found}).assign(**fixed))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]
