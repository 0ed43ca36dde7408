"""How many slides, networks and patches a finding needs, from the variances that a run has seen.

Studies are simulated and judged by the test that decides a verdict, corrected for its family of hypotheses.
"""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.components import ESTIMATE, UPPER_LIMIT, Components
from saliency_stats.statistics.crossing import CROSSED
from saliency_stats.statistics.models.checks import MAX_ALPHA, check_alpha, check_seed, in_range, one_of
from saliency_stats.statistics.parameters import MIN_UNITS
from saliency_stats.statistics.registry import primary_tests
from saliency_stats.statistics.resampling import units_needed
from saliency_stats.statistics.studies import limits
from saliency_stats.typing import BoolArray, Float64Array

Purpose = Literal["superiority", "equivalence"]

#: The studies that are simulated.
SLIDES: Final = (4, 5, 6, 8, 10, 15, 20, 30, 40, 60, 80, 120)
PATCHES: Final = (5, 10, 20, 50, 100, 200, 400)
NETWORKS: Final = (1, 3, 5, 8, 12)
#: A study of more slides, or networks, is not planned but called unrealistic.
MOST_SLIDES: Final = 1_000
MOST_NETWORKS: Final = 50
#: Columns of ``power.csv`` that a plan fills; label and magnification stand before them.
COLUMNS: Final = (
    *("purpose", "source", "effect_log2", "margin_log2", "slides", "patches_per_slide"),
    *("power", "power_low", "power_high", "between_variance", "within_variance", "icc", "variance"),
    *("networks", "hypotheses", "test", "network_variance", "interaction_variance", "noise_variance"),
)
#: Draws for which the numbers of one grid still fit into memory many times over.
MAX_SIMULATIONS: Final = 100_000
_MIN_SIMULATIONS: Final = 100


@dataclass(frozen=True)
class Aim:
    """What a study is to show.

    Parameters
    ----------
    purpose
        "superiority": that the mean is not 0, where it is ``size``; "equivalence": that it lies within ``±size``,
        where it is 0 (two one-sided tests).
    size
        In log2.
    alpha
        Level of the family.
    source
        Where the size comes from: "estimate" (the run's own), "margin" or "given".
    hypotheses
        How many are corrected together. A plan is for one of them and takes the others for null: then Holm's
        correction asks for a p-value below ``alpha / hypotheses``, and for less wherever another is found first.

    Raises
    ------
    StatisticsError
        If a value is out of range.
    """

    purpose: Purpose
    size: float
    alpha: float = 0.05
    source: str = "given"
    hypotheses: int = 1

    def __post_init__(self) -> None:
        one_of("purpose", self.purpose, ("superiority", "equivalence"))
        check_alpha(self.alpha)
        in_range("the effect", self.size, np.isfinite(self.size) and self.size != 0, "a log2 ratio other than 0")
        in_range("hypotheses", self.hypotheses, self.hypotheses >= 1, "at least 1")

    @property
    def effect(self) -> float:
        """The true mean (log2)."""
        return self.size if self.purpose == "superiority" else 0.0

    @property
    def level(self) -> float:
        """Two-sided level of the limits that decide."""
        return self.alpha / self.hypotheses * (1 if self.purpose == "superiority" else 2)

    def reached(self, low: Float64Array, high: Float64Array) -> BoolArray:
        """Tell which studies show it, from their limits at :attr:`level` where the true mean is 0."""
        if self.purpose == "superiority":
            return np.asarray((low > -self.effect) | (high < -self.effect))
        return np.asarray((low > -abs(self.size)) & (high < abs(self.size)))


@dataclass(frozen=True)
class Simulator:
    """Studies like a run, of other sizes.

    Parameters
    ----------
    components
        What the run has seen.
    test
        The test that decides where one network is judged.
    min_slides
        Fewest slides that are tested.
    simulations, seed
        Studies per size, and the seed of their draws.

    Raises
    ------
    StatisticsError
        If a number is out of range.
    """

    components: Components
    test: str = "sign_flip"
    min_slides: int = MIN_UNITS
    simulations: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("test", self.test, primary_tests())
        in_range("min_slides", self.min_slides, MIN_UNITS <= self.min_slides < MOST_SLIDES, f"from {MIN_UNITS} to 999")
        allowed = f"from {_MIN_SIMULATIONS} to {MAX_SIMULATIONS}"
        in_range("simulations", self.simulations, _MIN_SIMULATIONS <= self.simulations <= MAX_SIMULATIONS, allowed)
        check_seed(self.seed)

    def least(self, aim: Aim, networks: int) -> int:
        """Return the fewest slides of which anything can be found: sign flips of fewer have no p-value below alpha."""
        needed = units_needed(aim.hypotheses, aim.alpha) if networks == 1 and self.test == "sign_flip" else MIN_UNITS
        return max(self.min_slides, needed)

    def found(self, aim: Aim, slides: int, networks: int, patches: int, variance: str = ESTIMATE) -> int:
        """Count the studies of this size that show it."""
        if slides < self.least(aim, networks):
            return 0
        spread = self.components.spread(patches, variance)
        if networks > 1 and np.isnan(spread.network):
            raise StatisticsError(
                "how much networks differ is unknown in a run of one network: state their standard deviation, or judge"
                " several (classifier.networks)"
            )
        how: dict[str, Any] = {"simulations": self.simulations, "seed": self.seed}
        return int(aim.reached(*limits(self.test, slides, networks, spread, aim.level, **how)).sum())

    def power(self, aim: Aim, slides: int, networks: int, patches: int, variance: str = ESTIMATE) -> float:
        """Return the share of studies of this size that show it."""
        return self.found(aim, slides, networks, patches, variance) / self.simulations

    def slides_needed(self, aim: Aim, networks: int, patches: int, variance: str = ESTIMATE, *, power: float) -> float:
        """Return the fewest slides that reach the power; infinite beyond :data:`MOST_SLIDES`."""
        least = self.least(aim, networks)
        if self.power(aim, MOST_SLIDES, networks, patches, variance) < power:
            return float("inf")
        sizes = range(least, MOST_SLIDES)
        return float(
            least + bisect_left(sizes, x=True, key=lambda n: self.power(aim, n, networks, patches, variance) >= power)
        )

    def networks_needed(self, aim: Aim, slides: int, patches: int, *, power: float) -> float:
        """Return the fewest networks, two at least, that reach the power; infinite beyond :data:`MOST_NETWORKS`."""
        sizes = range(2, MOST_NETWORKS + 1)
        place = bisect_left(sizes, x=True, key=lambda k: self.power(aim, slides, k, patches) >= power)
        return float(sizes[place]) if place < len(sizes) else float("inf")


@dataclass(frozen=True)
class Need:
    """What one aim needs.

    Parameters
    ----------
    aim
        What is to be shown.
    slides, slides_high
        Slides with as many patches as the run's have, by the estimates and the upper limits of the variances; infinite
        beyond :data:`MOST_SLIDES`.
    power
        That of a study as large as the run, by the estimates.
    slides_double, slides_most
        Slides with twice as many patches, and with the most of :data:`PATCHES`.
    by_networks
        Slides that it takes with other numbers of networks; empty where what networks differ by is unknown.
    networks
        Networks that the run's own slides would need; NaN where that is unknown.
    """

    aim: Aim
    slides: float
    slides_high: float
    power: float
    slides_double: float
    slides_most: float
    by_networks: tuple[tuple[int, float], ...]
    networks: float


@dataclass(frozen=True, eq=False)
class Plan:
    """What a sample of patches says about the next study.

    ``networks`` are those of the planned study, ``power`` is the wanted one, ``needs`` has one per aim, ``table`` the
    simulated powers with the columns :data:`COLUMNS`.
    """

    simulator: Simulator
    networks: int
    power: float
    needs: tuple[Need, ...]
    table: pd.DataFrame

    @property
    def components(self) -> Components:
        """What the run has seen."""
        return self.simulator.components


def plan_study(simulator: Simulator, aims: tuple[Aim, ...], *, networks: int = 1, power: float = 0.9) -> Plan:
    """Work out what each aim needs in a study of so many networks, and simulate studies of many sizes.

    With one network a plan is for findings about that network.

    Raises
    ------
    StatisticsError
        If a number is out of range, or several networks are planned and what they differ by is unknown.
    """
    in_range("power", power, MAX_ALPHA <= power < 1, f"at least {MAX_ALPHA} and below 1")
    in_range("networks", networks, 1 <= networks <= MOST_NETWORKS, f"from 1 to {MOST_NETWORKS}")
    needs = tuple(_need(simulator, aim, networks, power) for aim in aims)
    return Plan(simulator, networks, power, needs, simulate_power(simulator, aims, networks))


def _need(simulator: Simulator, aim: Aim, networks: int, power: float) -> Need:
    def slides(patches: int, variance: str = ESTIMATE, networks: int = networks) -> float:
        return simulator.slides_needed(aim, networks, patches, variance, power=power)

    seen = simulator.components
    own, known = seen.patches_per_slide, np.isfinite(seen.network)
    others = [k for k in NETWORKS if k not in {1, networks}] if known else []
    return Need(
        aim,
        slides(own),
        slides(own, UPPER_LIMIT),
        simulator.power(aim, seen.n_units, networks, own),
        slides(2 * own),
        slides(PATCHES[-1]),
        tuple((k, slides(own, networks=k)) for k in others),
        simulator.networks_needed(aim, seen.n_units, own, power=power) if known else float("nan"),
    )


def simulate_power(simulator: Simulator, aims: tuple[Aim, ...], networks: int = 1) -> pd.DataFrame:
    """Simulate studies of :data:`SLIDES` times :data:`PATCHES`, and :data:`NETWORKS` where these can be planned.

    All sizes and aims are read on the same draws, so that powers differ by what differs between the studies.

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS`; ``power_low`` and ``power_high`` are Wilson's 95 % limits of the simulation (Wilson
        1927, *JASA* 22, 209-212), ``margin_log2`` is empty where the purpose is superiority.
    """
    seen, n = simulator.components, simulator.simulations
    several = sorted({*NETWORKS, networks}) if np.isfinite(seen.network) else [networks]
    rows = []
    for variance, aim, k, slides, patches in product((ESTIMATE, UPPER_LIMIT), aims, several, SLIDES, PATCHES):
        between = seen.between_by(variance)
        found = {
            "purpose": aim.purpose,
            "source": aim.source,
            "effect_log2": aim.effect,
            "margin_log2": aim.size if aim.purpose == "equivalence" else np.nan,
            "slides": slides,
            "patches_per_slide": patches,
            "power": simulator.found(aim, slides, k, patches, variance),
            "between_variance": between,
            "within_variance": seen.within,
            "icc": between / (between + seen.within),
            "variance": variance,
            "networks": k,
            "hypotheses": aim.hypotheses,
            "test": simulator.test if k == 1 else CROSSED,
            "network_variance": seen.network_by(variance),
            "interaction_variance": seen.interaction,
            "noise_variance": seen.noise,
        }
        rows.append(found)
    table = pd.DataFrame(rows)
    low, high = proportion_confint(table["power"].to_numpy(), n, method="wilson")
    return table.assign(power=table["power"] / n, power_low=low, power_high=high)[list(COLUMNS)]
