"""How a study's contrasts are tested: every choice in one place, fixed before the numbers are seen."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from saliency_stats.errors import StatisticsError
from saliency_stats.vocabulary import SPLITS

#: The tests of one contrast, in the order of their rows.
TESTS: Final = ("t_slide_means", "sign_flip", "cluster_bootstrap")
#: Fewer bootstrap draws than this leave the tails of a percentile-t interval to chance.
MIN_DRAWS: Final = 2_000
#: An interval covers more than it leaves out.
MAX_ALPHA: Final = 0.5
#: One unit has no spread to test against.
MIN_UNITS: Final = 2


@dataclass(frozen=True)
class StatisticsSettings:
    """Settings of :func:`~saliency_stats.statistics.study_contrasts` and of the verdicts drawn from it.

    Parameters
    ----------
    unit : {"slide", "patient"}
        The unit of inference: what is independent of its like.
    alpha : float
        Level of every test; intervals cover ``1 - alpha``.
    correction : {"holm", "bh"}
        Correction for multiplicity inside a family.
    primary_test : str
        The test (of :data:`TESTS`) that decides the verdicts.
    bootstrap_draws : int
        Draws of the cluster bootstrap, and of the sign-flip test where it is not exact.
    min_confidence : float
        Least probability of the true class for a patch to count as confidently classified.
    evaluation_split : str
        The split whose patches are judged.
    equivalence_margin : float
        Half-width (log2) of the range called "no preference".
    min_slides : int
        Fewest units (slides, or patients) for a test.
    seed : int
        Seed of the resampling tests.
    assume_independent : bool
        Where slides are unknown, treat patches as independent.

    Raises
    ------
    StatisticsError
        If a value is out of range.
    """

    unit: Literal["slide", "patient"] = "slide"
    alpha: float = 0.05
    correction: Literal["holm", "bh"] = "holm"
    primary_test: str = "t_slide_means"
    bootstrap_draws: int = 9_999
    min_confidence: float = 0.9
    evaluation_split: str = "test"
    equivalence_margin: float = 0.1
    min_slides: int = 3
    seed: int = 0
    assume_independent: bool = False

    def __post_init__(self) -> None:
        one_of("unit", self.unit, ("slide", "patient"))
        one_of("correction", self.correction, ("holm", "bh"))
        one_of("primary_test", self.primary_test, TESTS)
        one_of("evaluation_split", self.evaluation_split, SPLITS)
        in_range("alpha", self.alpha, 0 < self.alpha < MAX_ALPHA, f"above 0 and below {MAX_ALPHA}")
        in_range(
            "min_confidence",
            self.min_confidence,
            0 <= self.min_confidence < 1,
            "from 0 up to, not including, 1",
        )
        in_range("equivalence_margin", self.equivalence_margin, self.equivalence_margin > 0, "positive (log2)")
        in_range("min_slides", self.min_slides, self.min_slides >= MIN_UNITS, f"at least {MIN_UNITS}")
        in_range(
            "bootstrap_draws",
            self.bootstrap_draws,
            self.bootstrap_draws >= MIN_DRAWS,
            f"at least {MIN_DRAWS}",
        )
        in_range("seed", self.seed, self.seed >= 0, "zero or a positive integer")


def one_of(name: str, found: object, allowed: tuple[str, ...]) -> None:
    """Raise :class:`StatisticsError` unless ``found`` is one of the allowed words."""
    if found not in allowed:
        raise StatisticsError(f"statistics: {name} is {found!r}, expected one of {', '.join(allowed)}")


def in_range(name: str, found: float, ok: bool, expected: str) -> None:  # noqa: FBT001 - a check, not a mode
    """Raise :class:`StatisticsError` unless ``ok``, the outcome of the caller's range check."""
    if not ok:
        raise StatisticsError(f"statistics: {name} is {found}, expected {expected}")


def require_columns(name: str, found: Iterable[object], needed: tuple[str, ...]) -> None:
    """Raise :class:`StatisticsError` that names the columns a table lacks."""
    have = [str(column) for column in found]
    missing = [column for column in needed if column not in have]
    if missing:
        raise StatisticsError(
            f"{name}: no column {', '.join(missing)} (found: {', '.join(have) or 'none'}); add the missing columns"
        )
