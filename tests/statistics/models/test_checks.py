"""Checks say what was found and what was expected, and let the ends of a range through where these are closed."""

import numpy as np
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.checks import (
    MAX_ALPHA,
    check_alpha,
    check_seed,
    in_range,
    one_of,
    require_columns,
)


def test_a_word_is_one_of_those_allowed():
    one_of("unit", "slide", ("slide", "patient"))
    one_of("unit", "patient", iter(("slide", "patient")))
    with pytest.raises(StatisticsError, match="statistics: unit is 'patch', expected one of slide, patient"):
        one_of("unit", "patch", ("slide", "patient"))


def test_a_range_is_the_callers():
    in_range("n", 3, ok=True, expected="above 2")
    with pytest.raises(StatisticsError, match="statistics: n is 1, expected above 2"):
        in_range("n", 1, ok=False, expected="above 2")


@pytest.mark.parametrize("alpha", [1e-12, 0.05, np.nextafter(0.5, 0)])
def test_a_level_lies_between_0_and_a_half(alpha):
    check_alpha(alpha)


@pytest.mark.parametrize("alpha", [0.0, -0.05, 0.5, 1.0, float("nan")])
def test_no_other_number_is_a_level(alpha):
    assert MAX_ALPHA == 0.5
    with pytest.raises(StatisticsError, match=r"alpha is .*, expected above 0 and below 0\.5"):
        check_alpha(alpha)


def test_a_seed_is_no_negative_number():
    check_seed(0)
    check_seed(2**40)
    with pytest.raises(StatisticsError, match="seed is -1, expected zero or a positive integer"):
        check_seed(-1)


def test_columns_that_are_missing_are_named_with_those_found():
    require_columns("ledger", ["a", "b", 3], ("b", "3"))
    with pytest.raises(StatisticsError, match=r"ledger: no column c, d \(found: a, b\); add the missing columns"):
        require_columns("ledger", ["a", "b"], ("c", "a", "d"))
    with pytest.raises(StatisticsError, match=r"no column c \(found: none\)"):
        require_columns("ledger", [], ("c",))
