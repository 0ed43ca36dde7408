"""How a study's contrasts are tested: every choice in one place, fixed before the numbers are seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.crossing import CROSSED
from saliency_stats.statistics.models.checks import check_alpha, check_seed, in_range, one_of
from saliency_stats.statistics.registry import primary_tests
from saliency_stats.vocabulary import SPLITS

#: The trained model's contrast that the verdicts are about.
PRIMARY: Final = "cytoplasm_vs_nucleus"
#: Differences of the primary contrast: between the classes, between confidently and otherwise correctly classified
#: patches, between a magnification and the reference.
DIFFERENCES: Final = ("malignant_vs_benign", "confident_vs_unsure", "magnification_vs_reference")
#: Families of hypotheses, unless a study declares others: what is corrected together. The pairs with stroma order the
#: compartments, which the contrasts with the rest do not: the rest of a large compartment is not that of a small one.
#: "trained_vs_control" is the primary contrast of the trained model minus a control's, "control_contrasts" are all
#: contrasts of the controls themselves.
FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "primary": (PRIMARY,),
    "place": (f"{PRIMARY}_centred",),
    "picture": ("matched",),
    "selection": ("all_test_patches",),
    "compartments": ("nucleus_vs_rest", "cytoplasm_vs_rest", "stroma_vs_rest"),
    "compartment_pairs": ("stroma_vs_nucleus", "stroma_vs_cytoplasm"),
    "classes": ("malignant_vs_benign",),
    "confidence": ("confident_vs_unsure",),
    "magnifications": ("magnification_vs_reference",),
    "control": ("trained_vs_control",),
    "control_reference": ("control_contrasts",),
}
#: Every hypothesis that a family may hold.
HYPOTHESES: Final = tuple(name for names in FAMILIES.values() for name in names)
#: The family of what a study's own families leave out.
EXPLORATORY: Final = "exploratory"
#: Fewer bootstrap draws than this leave the tails of a percentile-t interval to chance.
MIN_DRAWS: Final = 2_000
#: One unit has no spread to test against.
MIN_UNITS: Final = 2


@dataclass(frozen=True)
class StatisticsParameters:
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
        The test (of :func:`primary_tests`) that decides the verdicts.
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
    families : mapping of str to sequence of str
        Names of families and the :data:`HYPOTHESES` in each; hypotheses that none holds form the family
        "exploratory".
    reference_magnification : float
        What the other magnifications are compared with.
    classes : Classes
        What sentences call the two classes.

    Raises
    ------
    StatisticsError
        If a value is out of range.
    """

    unit: Literal["slide", "patient"] = "slide"
    alpha: float = 0.05
    correction: Literal["holm", "bh"] = "holm"
    primary_test: str = "sign_flip"
    bootstrap_draws: int = 9_999
    min_confidence: float = 0.8
    evaluation_split: str = "test"
    equivalence_margin: float = 0.1
    min_slides: int = 3
    seed: int = 0
    assume_independent: bool = False
    families: Mapping[str, Sequence[str]] = field(default_factory=lambda: FAMILIES)
    reference_magnification: float = 20.0
    classes: Classes = USUAL_CLASSES

    def __post_init__(self) -> None:
        one_of("unit", self.unit, ("slide", "patient"))
        one_of("correction", self.correction, ("holm", "bh"))
        one_of("primary_test", self.primary_test, primary_tests())
        one_of("evaluation_split", self.evaluation_split, SPLITS)
        check_alpha(self.alpha)
        in_range("min_confidence", self.min_confidence, 0 <= self.min_confidence < 1, "from 0 up to, not including, 1")
        in_range("equivalence_margin", self.equivalence_margin, self.equivalence_margin > 0, "positive (log2)")
        in_range("min_slides", self.min_slides, self.min_slides >= MIN_UNITS, f"at least {MIN_UNITS}")
        in_range("bootstrap_draws", self.bootstrap_draws, self.bootstrap_draws >= MIN_DRAWS, f"at least {MIN_DRAWS}")
        check_seed(self.seed)
        in_range("reference_magnification", self.reference_magnification, self.reference_magnification > 0, "positive")
        check_families(self.families)

    def deciding_test(self, n_networks: int) -> str:
        """Name the test that decides: with several networks the one that takes them for a sample."""
        return CROSSED if n_networks > 1 else self.primary_test

    def family_of(self, hypothesis: str) -> str:
        """Return the family that holds a hypothesis."""
        return next((name for name, members in self.families.items() if hypothesis in members), EXPLORATORY)

    @property
    def family_order(self) -> tuple[str, ...]:
        """Names of the families, the one of what is left out last."""
        return (*self.families, *(() if EXPLORATORY in self.families else (EXPLORATORY,)))


def check_families(families: Mapping[str, Sequence[str]]) -> None:
    """Raise :class:`StatisticsError` unless every family is a list of known hypotheses, each in one family only."""
    if not families:
        raise StatisticsError("statistics: families is empty, expected at least one family of hypotheses")
    seen: dict[str, str] = {}
    for family, members in families.items():
        if isinstance(members, str):
            raise StatisticsError(f"statistics: family {family} is the text {members!r}, expected a list of hypotheses")
        for name in members:
            one_of(f"families: a hypothesis of {family}", name, HYPOTHESES)
            if name in seen:
                raise StatisticsError(
                    f"statistics: families: {name} stands in {seen[name]} and in {family}; a hypothesis has one family"
                )
            seen[name] = family
