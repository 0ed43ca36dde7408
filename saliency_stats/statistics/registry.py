"""The tests of one contrast: each by its name, in the words of a report, and with what it can be asked."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final, Protocol

import numpy as np

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.crossing import CROSSED, crossed
from saliency_stats.statistics.inference import (
    MAX_WILCOXON_UNITS,
    NAN,
    Inference,
    t_slide_means,
    welch,
    wilcoxon_p,
    wilcoxon_slide_means,
)
from saliency_stats.statistics.modelled import estimated_model, mixed_model, robust_model
from saliency_stats.statistics.permutation import MAX_PERMUTED_UNITS, least_permutation_p, permutation
from saliency_stats.statistics.resampling import MAX_RESAMPLED_UNITS, cluster_bootstrap, least_flip_p, sign_flip
from saliency_stats.statistics.units import Units
from saliency_stats.typing import Float64Array


class Answer(Protocol):
    """What a test is: a function of units; one that draws nothing takes draws and seed and leaves them alone."""

    def __call__(self, units: Units, *, alpha: float, draws: int, seed: int) -> Inference:
        """Answer whether the contrast is 0, or raise :class:`StatisticsError` that says why the test cannot."""


def _any_p(_units: Units, _draws: int) -> float:
    return 0.0


@dataclass(frozen=True)
class Test:
    """One test of a contrast.

    Parameters
    ----------
    name
        In the column ``test``.
    words
        In a report.
    function
        What answers.
    may_be_primary
        Whether it may decide a verdict: its hypothesis is the mean over units, and its calibration is good enough.
    two_samples
        Whether it can compare units of one group with different units of another.
    one_sample
        Whether it can compare units with 0, or with themselves.
    estimand
        What it is about: tests of one estimand can agree or disagree.
    of_networks
        Whether it takes networks for a sample: it has a row where networks are told apart.
    most_units
        More units are not asked: the mean of so many is normal, and the t test says so.
    least_p
        The smallest p-value that it can give with these units and so many draws, whatever their values; 0 where there
        is none.
    """

    __test__: ClassVar[bool] = False  # the name is the field's; pytest is not to collect it

    name: str
    words: str
    function: Answer
    may_be_primary: bool = False
    two_samples: bool = False
    one_sample: bool = True
    most_units: float = math.inf
    least_p: Callable[[Units, int], float] = _any_p
    estimand: str = "mean of unit means"
    of_networks: bool = False

    def obstacle(self, units: Units) -> str:
        """Return why this test is not possible, "" where it is."""
        if units.others is not None and not self.two_samples:
            return f"this test compares {units.unit}s with themselves: {units.reason}"
        if units.others is None and not self.one_sample:
            return f"this test compares two samples of different {units.unit}s, and here there is one"
        if units.n > self.most_units:
            return f"{units.n} {units.unit}s are too many for this test and enough for the t test"
        return ""


#: Every test by its name, in the order of the rows; what is added has its row wherever contrasts are tested.
TESTS: Final[dict[str, Test]] = {}


def register(test: Test) -> None:
    """Add a test to :data:`TESTS`, after the others.

    Raises
    ------
    StatisticsError
        If its name is taken.

    Examples
    --------
    >>> from scipy import stats
    >>> def signs(units, **_):
    ...     found = stats.binomtest(int((units.means > 0).sum()), units.n)
    ...     return Inference(found.statistic, NAN, found.pvalue, NAN, NAN)
    >>> register(Test("signs", "sign test over slides", signs))
    """
    if test.name in TESTS:
        raise StatisticsError(f"tests: {test.name!r} is there already; give the test a name of its own")
    TESTS[test.name] = test


def primary_tests() -> tuple[str, ...]:
    """Return the names of the tests that may decide a verdict."""
    return tuple(name for name, test in TESTS.items() if test.may_be_primary)


def words_of(name: str) -> str:
    """Return a test in the words of a report; of a table's test that is not registered here, its name in words."""
    return TESTS[name].words if name in TESTS else name.replace("_", " ")


def tests_of(units: Units) -> list[str]:
    """Name the tests that have a row of these units: not those of networks, or samples, that are not told apart."""
    return [
        name
        for name, test in TESTS.items()
        if (units.n_networks or not test.of_networks) and (units.others is not None or test.one_sample)
    ]


def infer(test: str, units: Units, obstacle: str = "", *, alpha: float, draws: int, seed: int) -> Inference:
    """Answer by one test.

    ``obstacle`` says why no test is possible; it is empty where one is.

    Returns
    -------
    Inference
        With NaN for a p-value and the reason as its note where this test is not possible.
    """
    obstacle = obstacle or TESTS[test].obstacle(units)
    if obstacle:
        return _no_answer(obstacle)
    try:
        return TESTS[test].function(units, alpha=alpha, draws=draws, seed=seed)
    except StatisticsError as error:
        return _no_answer(str(error))


def _no_answer(reason: str) -> Inference:
    return Inference(NAN, NAN, NAN, NAN, NAN, reason)


def _student(units: Units, *, alpha: float, **_: int) -> Inference:
    if units.others is None:
        return t_slide_means(units.means, alpha=alpha)
    return welch(units.means, units.others, alpha=alpha)


def _wilcoxon(units: Units, *, alpha: float, **_: int) -> Inference:
    return wilcoxon_slide_means(units.means, alpha=alpha)


def _permutation(units: Units, *, alpha: float, draws: int, seed: int) -> Inference:
    return permutation(units.means, _others(units), alpha=alpha, draws=draws, seed=seed)


def _others(units: Units) -> Float64Array:
    if units.others is None:
        raise StatisticsError("there is one sample, and this test compares two")
    return units.others


def _resampled(of_means: Callable[..., Inference]) -> Answer:
    """Let a test that resamples the means of units answer for these."""

    def answer(units: Units, *, alpha: float, draws: int, seed: int) -> Inference:
        return of_means(units.means, alpha=alpha, draws=draws, seed=seed)

    return answer


for _test in (
    Test(
        CROSSED,
        "networks crossed with slides (Satterthwaite)",
        crossed,
        estimand="mean over networks and units",
        of_networks=True,
    ),
    Test("t_slide_means", "t over slide means", _student, may_be_primary=True, two_samples=True),
    Test(
        "sign_flip",
        "sign-flip over slides",
        _resampled(sign_flip),
        may_be_primary=True,
        most_units=MAX_RESAMPLED_UNITS,
        least_p=lambda units, draws: least_flip_p(units.n, draws),
    ),
    Test(
        "permutation",
        "permutation of slides between classes (studentised)",
        _permutation,
        two_samples=True,
        one_sample=False,
        most_units=MAX_PERMUTED_UNITS,
        least_p=lambda units, draws: least_permutation_p(units.means.size, _others(units).size, draws),
    ),
    Test(
        "cluster_bootstrap",
        "cluster bootstrap (percentile-t)",
        _resampled(cluster_bootstrap),
        most_units=MAX_RESAMPLED_UNITS,
        least_p=lambda _, draws: 2 / (1 + draws),
    ),
    Test(
        "wilcoxon",
        "Wilcoxon over slides",
        _wilcoxon,
        most_units=MAX_WILCOXON_UNITS,
        least_p=lambda units, _: wilcoxon_p(np.abs(units.means)),
        estimand="pseudo-median of unit means",
    ),
    Test(
        "mixed_satterthwaite",
        "random intercept (Satterthwaite)",
        partial(mixed_model, df="satterthwaite"),
        two_samples=True,
        estimand="mean weighted by precision",
    ),
    Test(
        "mixed_kenward_roger",
        "random intercept (Kenward–Roger)",
        partial(mixed_model, df="kenward_roger"),
        two_samples=True,
        estimand="mean weighted by precision",
    ),
    Test(
        "cluster_robust",
        "cluster-robust (CR2, Bell–McCaffrey)",
        robust_model,
        two_samples=True,
        estimand="mean over patches",
    ),
    Test(
        "cluster_jackknife",
        "cluster-robust (CR3, jackknife)",
        partial(robust_model, jackknife=True),
        two_samples=True,
        estimand="mean over patches",
    ),
    Test(
        "gee_bias_reduced",
        "GEE (exchangeable, Mancl–DeRouen)",
        estimated_model,
        two_samples=True,
        estimand="mean weighted by correlation",
    ),
):
    register(_test)
