"""Equivalence of a family: two one-sided tests by flips and by t, corrected by Holm, and never out of reach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from saliency_stats.statistics.equivalence import (
    Equivalence,
    Estimate,
    equivalences,
    flip_equivalence_p,
    hall_equivalence_p,
)

HOW = {"margin": 0.1, "alpha": 0.05, "draws": 2_000, "seed": 0}


def means(seed=0, n=10, centre=0.02, spread=0.05):
    return np.sort(np.random.default_rng(seed).normal(centre, spread, n))


def alone(question, **changes) -> Equivalence:
    return equivalences([question], [0.01], **{**HOW, **changes})[0]


@pytest.mark.parametrize("centre", [-0.15, -0.09, 0.0, 0.03, 0.12])
def test_flips_are_one_sided_against_either_end(centre):
    x = means(centre=centre, n=7)
    signs = np.array([[1 - 2 * (code >> k & 1) for k in range(7)] for code in range(2**7)])
    above = np.mean(signs @ (x - 0.1) <= (x - 0.1).sum() + 1e-12)
    below = np.mean(signs @ (x + 0.1) >= (x + 0.1).sum() - 1e-12)
    found = flip_equivalence_p(x[None], 0.1, draws=2_000, seed=0)[0]
    assert found == pytest.approx(max(above, below), abs=1 / 2**7)
    assert (found >= 0.5) == (abs(x.mean()) >= 0.1)
    if abs(x.mean()) < 0.1:
        assert found == pytest.approx(max(above, below), abs=1e-12)


def test_an_estimate_of_unknown_skewness_has_the_two_t_tests():
    x = means()
    plain = Estimate(float(x.mean()), float(x.std(ddof=1) / 10**0.5), 9)
    assert hall_equivalence_p(plain, 0.1) == pytest.approx(DescrStatsW(x).ttost_mean(-0.1, 0.1)[0])
    found = alone(plain)
    low, high = stats.t.interval(0.9, 9, plain.estimate, plain.se)
    assert found.least_margin == pytest.approx(max(-low, high))
    assert (plain.skew(1), plain.skew(-1)) == (0.0, 0.0)


def test_the_skewness_counts_on_the_side_that_it_points_to_and_one_error_more():
    error = (6 * 10 * 9 / (8 * 11 * 13)) ** 0.5
    skewed = Estimate(0.0, 0.02, 9, 1.2, 10)
    assert skewed.skew(1) == pytest.approx((1.2 + error) / 10**0.5)
    assert skewed.skew(-1) == 0
    assert Estimate(0.0, 0.02, 9, -1.2, 10).skew(-1) == skewed.skew(1)
    assert Estimate(0.0, 0.02, 9, 0.0, 10).skew(-1) == pytest.approx(error / 10**0.5)
    assert Estimate(0.0, 0.02, 9, 1.2, 2).skew(1) == 0
    assert Estimate(0.0, 0.02, 9, 1.2, 3).skew(1) > 0


@pytest.mark.parametrize("sign", [1, -1])
def test_halls_cubic_by_its_definition(sign):
    found = Estimate(sign * 0.03, 0.02, 9, sign * 0.8, 10)
    g = 0.8 + (6 * 10 * 9 / (8 * 11 * 13)) ** 0.5
    w = (0.03 - 0.1) / 0.02 / 10**0.5
    moved = 10**0.5 * (w + g * w**2 / 3 + g**2 * w**3 / 27 + g / 60)
    assert hall_equivalence_p(found, 0.1) == pytest.approx(stats.t.cdf(moved, 9))


@settings(deadline=None, max_examples=60)
@given(st.floats(-0.3, 0.3), st.floats(0.001, 0.2), st.floats(-3, 3), st.integers(3, 40))
def test_the_least_margin_is_where_equivalence_begins(estimate, se, skewness, n):
    found = Estimate(estimate, se, n - 1, skewness, n)
    least = alone(found).least_margin
    assert hall_equivalence_p(found, least) == pytest.approx(0.05, rel=1e-6)
    assert alone(found, margin=least * 1.001).equivalent
    assert not alone(found, margin=least * 0.999).equivalent


@pytest.mark.parametrize("seed", range(6))
def test_unit_means_must_pass_flips_and_hall(seed):
    x = means(seed)
    by_hall = Estimate(float(x.mean()), float(x.std(ddof=1) / 10**0.5), 9, float(stats.skew(x, bias=False)), 10)
    flips = float(flip_equivalence_p(x[None], 0.1, draws=2_000, seed=0)[0])
    found = alone(x)
    assert found.p_value == max(flips, hall_equivalence_p(by_hall, 0.1))
    assert alone(x, margin=found.least_margin + 1e-9).equivalent
    assert not alone(x, margin=found.least_margin - 1e-6).equivalent


def test_a_family_is_corrected_by_holm_and_what_is_not_tested_costs_nothing():
    untested = [np.array([0.1, 0.2]), np.ones(5), Estimate(np.nan, np.nan, np.nan)]
    questions = [means(1), means(2, centre=0.05), *untested, Estimate(0.0, 0.02, 7)]
    found = equivalences(questions, [0.01] * 6, **HOW)
    p = [one.p_value for one in found]
    assert np.isnan([p[2:5], [one.p_adjusted for one in found[2:5]], [one.least_margin for one in found[2:5]]]).all()
    assert not any(one.equivalent for one in found[2:5])
    tested = [p[0], p[1], p[5]]
    ranks = np.argsort(tested)
    holm = np.maximum.accumulate(np.sort(tested) * [3, 2, 1])
    assert [[found[0], found[1], found[5]][k].p_adjusted for k in ranks] == pytest.approx(holm.tolist())
    assert [one.equivalent for one in found] == [one.p_adjusted <= 0.05 for one in found]
    assert any(one.equivalent for one in found)


def test_where_no_difference_could_be_found_none_is_excluded():
    x = means(spread=0.01, centre=0)
    for attainable, stated in ((0.05, True), (0.0501, False), (np.nan, False)):
        found = equivalences([x], [attainable], **HOW)[0]
        assert found.equivalent == stated
        assert found.p_adjusted <= 0.05
    with pytest.raises(ValueError, match="zip"):
        equivalences([x, x], [0.01], **HOW)


def test_few_units_have_no_least_margin():
    assert np.isnan(alone(means(n=4)).least_margin)
    assert np.isfinite(alone(means(n=5)).least_margin)


@pytest.mark.parametrize(("effects", "most"), [("normal", 0.05), ("exponential", 0.10)])
def test_at_the_margin_few_families_hold_a_wrong_statement(effects, most):
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(120):
        family = rng.normal(size=(4, 10)) if effects == "normal" else rng.exponential(size=(4, 10)) - 1
        found = equivalences(list(2 + family), [0.01] * 4, margin=2.0, alpha=0.05, draws=2_000, seed=0)
        wrong += any(one.equivalent for one in found)
    assert wrong <= 120 * most + 2 * (120 * most) ** 0.5
