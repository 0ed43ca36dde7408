"""Simulated studies: their limits are those of the tests that they stand for."""

import numpy as np
import pytest
from scipy import stats

from saliency_stats.statistics.inference import t_slide_means
from saliency_stats.statistics.models.two_way import two_way
from saliency_stats.statistics.resampling import EXACT_UNITS, sign_flip, sign_flip_p
from saliency_stats.statistics.studies import Spread, crossed_half_widths, limits

ONE = Spread(float("nan"), 0.04, 0.05)


@pytest.mark.parametrize("slides", [6, 7, 9, 11])
def test_sign_flips_set_the_limits_of_the_test_itself(slides):
    low, high = limits("sign_flip", slides, 1, ONE, 0.05, simulations=40, seed=3)
    drawn = 0.3 * np.random.default_rng((3, slides)).standard_normal((40, slides))
    alone = [sign_flip(row, alpha=0.05, draws=1, seed=0) for row in drawn]
    np.testing.assert_allclose(low, [found.ci_low for found in alone], rtol=1e-12)
    np.testing.assert_allclose(high, [found.ci_high for found in alone], rtol=1e-12)


@pytest.mark.parametrize("level", [0.05, 0.05 / 3, 0.3])
def test_a_mean_is_rejected_where_its_p_value_is_below_the_level(level):
    low, high = limits("sign_flip", 8, 1, ONE, level, simulations=300, seed=1)
    drawn = 0.3 * np.random.default_rng((1, 8)).standard_normal((300, 8))
    for effect in (0.0, 0.2, -0.4):
        expected = sign_flip_p(drawn + effect, draws=1, seed=0) < level
        np.testing.assert_array_equal((low > -effect) | (high < -effect), expected)


@pytest.mark.parametrize(("level", "slides", "possible"), [(0.0625, 5, False), (0.0626, 5, True), (0.05, 6, True)])
def test_a_p_value_of_the_level_itself_does_not_reject(level, slides, possible):
    low, high = limits("sign_flip", slides, 1, ONE, level, simulations=100, seed=0)
    assert np.isfinite(low).all() == np.isfinite(high).all() == possible
    if not possible:
        assert (low == -np.inf).all()
        assert (high == np.inf).all()


def test_the_t_test_sets_its_own_limits_and_those_of_many_slides():
    low, high = limits("t_slide_means", 9, 1, ONE, 0.05, simulations=20_000, seed=0)
    centre, half = (low + high) / 2, (high - low) / 2
    means = 0.3 * np.random.default_rng(0).standard_normal((4_000, 9))
    own = [t_slide_means(row, alpha=0.05) for row in means]
    assert centre.std() == pytest.approx(0.1, rel=0.02)
    assert half.mean() == pytest.approx(np.mean([(found.ci_high - found.ci_low) / 2 for found in own]), rel=0.02)
    assert ((low > 0) | (high < 0)).mean() == pytest.approx(0.05, abs=0.006)
    many = EXACT_UNITS + 1
    for flips, t in zip(
        limits("sign_flip", many, 1, ONE, 0.05, simulations=50, seed=0),
        limits("t_slide_means", many, 1, ONE, 0.05, simulations=50, seed=0),
        strict=True,
    ):
        np.testing.assert_array_equal(flips, t)


def test_where_the_t_test_stands_for_sign_flips_their_powers_agree():
    """At 18 slides and a level of 0.05 / 8; the Monte-Carlo standard error is 0.011."""
    low, _ = limits("sign_flip", 18, 1, Spread(0, 1, 0), 0.05 / 8, simulations=20_000, seed=0)
    means = np.random.default_rng(5).standard_normal((2_000, 18)) + 0.9
    power = (sign_flip_p(means, draws=9_999, seed=0) < 0.05 / 8).mean()
    assert (low > -0.9).mean() == pytest.approx(power, abs=0.045)
    assert 0.5 < power < 0.9


def test_one_network_is_judged_for_itself():
    for test in ("sign_flip", "t_slide_means"):
        found = [limits(test, 8, 1, Spread(sd, 0.04, 0.05), 0.05, simulations=50, seed=0)[0] for sd in (0.0, 9.0)]
        np.testing.assert_array_equal(*found)
    shared = limits("t_slide_means", 8, 1, Spread(0, 0.09, 0), 0.05, simulations=50, seed=0)[0]
    np.testing.assert_allclose(shared, limits("t_slide_means", 8, 1, ONE, 0.05, simulations=50, seed=0)[0])


# --- networks crossed with slides -------------------------------------------------------------------


def drawn_tables(networks, slides, spread, n, seed=0):
    rng = np.random.default_rng(seed)
    return (
        np.sqrt(spread.network) * rng.standard_normal((n, networks, 1))
        + np.sqrt(spread.slide) * rng.standard_normal((n, 1, slides))
        + np.sqrt(spread.cell) * rng.standard_normal((n, networks, slides))
    )


def test_half_widths_are_students():
    found = two_way(drawn_tables(4, 7, Spread(0.2, 0.3, 0.1), 200))
    variances, dfs = found.spreads
    every = np.sqrt(variances) * stats.t.ppf(1 - 0.01 / 2, dfs)
    half = crossed_half_widths(found, 0.01)
    np.testing.assert_allclose(half, every.max(axis=0), rtol=1e-4)
    assert len(set(every.argmax(axis=0))) == 3  # each of the three is the widest somewhere


def test_without_variance_between_networks_or_slides_it_is_a_t_test_over_the_other():
    """Where the interaction exceeds a mean square, the interval is the wider of the two t tests'."""
    tables = drawn_tables(5, 9, Spread(0.0, 1.0, 0.1), 300)
    squares = two_way(tables)
    floored = squares.network < squares.interaction
    assert floored.mean() > 0.3
    half = crossed_half_widths(squares, 0.05)
    for table, width in zip(tables[floored][:20], half[floored][:20], strict=True):
        widths = [
            found.ci_high - found.ci_low
            for found in (t_slide_means(table.mean(axis=axis), alpha=0.05) for axis in (0, 1))
        ]
        assert width == pytest.approx(max(widths) / 2, rel=1e-4)


@pytest.mark.parametrize("spread", [Spread(0.02, 0.01, 0.004), Spread(0.0, 0.02, 0.0), Spread(0.01, 0.0, 0.03)])
def test_limits_drawn_by_mean_squares_are_those_of_drawn_tables(spread):
    low, high = limits("sign_flip", 10, 5, spread, 0.05, simulations=40_000, seed=2)
    tables = drawn_tables(5, 10, spread, 40_000)
    half = crossed_half_widths(two_way(tables), 0.05)
    mean = tables.mean(axis=(1, 2))
    assert ((low + high) / 2).std() == pytest.approx(mean.std(), rel=0.02)
    for quantile in (0.1, 0.5, 0.9):
        drawn, expected = np.quantile((high - low) / 2, quantile), np.quantile(half, quantile)
        assert drawn == pytest.approx(expected, rel=0.02)
    for effect in (0.0, 0.1, 0.2):
        assert (low > -effect).mean() == pytest.approx((mean - half > -effect).mean(), abs=0.01)


def test_a_seed_decides_and_sizes_share_their_draws():
    spread = Spread(0.02, 0.01, 0.004)
    first, again, other = (limits("", 10, 5, spread, 0.05, simulations=200, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    powers = [(limits("", n, 5, spread, 0.05, simulations=500, seed=1)[0] > -0.15).mean() for n in range(3, 60)]
    assert (np.diff(powers) >= -0.012).all()  # with draws of their own they would differ by 0.02 up and down
    assert powers[-1] > powers[0] + 0.2
