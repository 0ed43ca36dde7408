"""Plans: simulated power by the test that decides, and the slides and networks that follow."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.components import ESTIMATE, UPPER_LIMIT, Components
from saliency_stats.statistics.models.two_way import two_way
from saliency_stats.statistics.power import (
    COLUMNS,
    MOST_NETWORKS,
    MOST_SLIDES,
    NETWORKS,
    PATCHES,
    SLIDES,
    Aim,
    Simulator,
    plan_study,
    simulate_power,
)
from saliency_stats.statistics.resampling import sign_flip, units_needed
from saliency_stats.statistics.studies import Spread, crossed_half_widths

RUN = Components("slide", 10, 11, 0.39, between=0.006, between_high=0.012, within=0.03)
SEVERAL = replace(RUN, networks=5, network=0.0064, network_high=0.012, interaction=0.002, noise=0.01, within=0.02)
AIMS = (Aim("superiority", 0.39, source="estimate"), Aim("superiority", -0.1), Aim("equivalence", 0.1))
T = Simulator(RUN, "t_slide_means")
FLIPS = Simulator(RUN, simulations=1_000)


def by_count(rows):
    """Read a table of power by slides and patches."""
    return rows.pivot_table(index="slides", columns="patches_per_slide", values="power").to_numpy()


# --- power ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hypotheses", [1, 2, 8])
@pytest.mark.parametrize("n", [3, 5, 20, 120, 1000])
@pytest.mark.parametrize("d", [0.1, 0.3, 1])
def test_the_t_tests_power_is_that_of_the_noncentral_t(d, n, hypotheses):
    of_means = RUN.between + RUN.within / 11
    expected = TTestPower().power(d, n, 0.05 / hypotheses, alternative="two-sided")
    found = replace(T, simulations=20_000).power(Aim("superiority", d * of_means**0.5, hypotheses=hypotheses), n, 1, 11)
    # SciPy gives up where the power is next to 1
    assert found == pytest.approx(1.0 if np.isnan(expected) else expected, abs=0.013)


@pytest.mark.parametrize("n", [5, 8, 50])
@pytest.mark.parametrize("hypotheses", [1, 4])
def test_equivalence_is_two_one_sided_tests(hypotheses, n):
    """Student's interval of level 2 alpha lies within the margin in as many drawn studies."""
    spread = (RUN.between + RUN.within / 11) ** 0.5
    means = spread * np.random.default_rng(1).standard_normal((5_000, n))
    within = 0
    for row in means[:1500]:
        low, high = stats.t.interval(1 - 0.1 / hypotheses, n - 1, row.mean(), stats.sem(row))
        within += low > -0.1 and high < 0.1
    found = replace(T, simulations=20_000).power(Aim("equivalence", -0.1, hypotheses=hypotheses), n, 1, 11)
    assert found == pytest.approx(within / 1500, abs=0.045)


@pytest.mark.parametrize("hypotheses", [1, 2, 8])
def test_the_power_of_sign_flips_is_that_of_the_test_itself(hypotheses):
    n, spread = 10, (RUN.between + RUN.within / 11) ** 0.5
    means = 0.12 + spread * np.random.default_rng(7).standard_normal((800, n))
    p_values = np.array([sign_flip(row, alpha=0.05, draws=1, seed=0).p_value for row in means])
    found = replace(FLIPS, simulations=4_000).power(Aim("superiority", 0.12, hypotheses=hypotheses), n, 1, 11)
    assert found == pytest.approx((p_values * hypotheses < 0.05).mean(), abs=0.06)


def test_the_power_of_the_crossed_test_is_that_of_drawn_studies():
    rng = np.random.default_rng(3)
    spread = SEVERAL.spread(11)
    tables = (
        spread.network**0.5 * rng.standard_normal((4_000, 3, 1))
        + spread.slide**0.5 * rng.standard_normal((4_000, 1, 12))
        + spread.cell**0.5 * rng.standard_normal((4_000, 3, 12))
    )
    half = crossed_half_widths(two_way(tables), 0.05 / 2)
    expected = (np.abs(tables.mean(axis=(1, 2)) + 0.3) > half).mean()
    found = replace(FLIPS, components=SEVERAL, simulations=4_000).power(
        Aim("superiority", 0.3, hypotheses=2), 12, 3, 11
    )
    assert 0.3 < expected < 0.9
    assert found == pytest.approx(expected, abs=0.045)


def test_the_run_s_variances_are_those_of_its_study():
    assert SEVERAL.spread(4) == Spread(0.0064, 0.006 + 0.02 / 4, 0.002 + 0.01 / 4)
    assert SEVERAL.spread(4, UPPER_LIMIT) == Spread(0.012, 0.012 + 0.02 / 4, 0.002 + 0.01 / 4)


@pytest.mark.parametrize(
    ("alpha", "hypotheses", "least"), [(0.05, 1, 6), (0.05, 2, 7), (0.05, 8, 9), (0.0625, 1, 6), (0.0626, 1, 5)]
)
def test_of_fewer_slides_than_sign_flips_need_nothing_is_found_and_none_is_advised(alpha, hypotheses, least):
    assert units_needed(hypotheses, alpha) == least
    for huge in (Aim("superiority", 9.0, alpha, hypotheses=hypotheses), Aim("equivalence", 9.0, alpha, "", hypotheses)):
        assert FLIPS.least(huge, 1) == least
        assert FLIPS.power(huge, least - 1, 1, 11) == 0.0
        assert FLIPS.power(huge, least, 1, 11) > 0.9
        assert FLIPS.slides_needed(huge, 1, 11, power=0.9) == least
        assert T.least(huge, 1) == 2
        assert FLIPS.least(huge, 3) == 2
    assert replace(FLIPS, min_slides=12).least(AIMS[0], 1) == 12
    assert replace(FLIPS, min_slides=12).power(AIMS[0], 11, 1, 11) == 0.0


def test_more_hypotheses_ask_for_more():
    needed = [FLIPS.slides_needed(Aim("superiority", 0.1, hypotheses=m), 1, 11, power=0.9) for m in (1, 2, 8)]
    assert needed == sorted(set(needed))
    assert Aim("superiority", 0.1, 0.04, hypotheses=8).level == 0.005
    assert Aim("equivalence", 0.1, 0.04, hypotheses=8).level == 0.01
    assert Aim("superiority", 0.1).level == 0.05


@pytest.mark.parametrize(
    "values",
    [
        ("sup", 0.1, 0.05),
        ("superiority", 0.0, 0.05),
        ("superiority", np.inf, 0.05),
        ("equivalence", 0.1, 0.6),
        ("superiority", 0.1, 0.05, "", 0),
    ],
)
def test_aims_out_of_range_are_refused(values):
    with pytest.raises(StatisticsError, match="expected"):
        Aim(*values)


# --- slides and networks needed ---------------------------------------------------------------------


@pytest.mark.parametrize("aim", AIMS, ids=lambda aim: f"{aim.purpose} {aim.size}")
@pytest.mark.parametrize("simulator", [FLIPS, T], ids=["flips", "t"])
def test_the_needed_slides_reach_the_power_and_one_less_does_not(aim, simulator):
    for patches in (5, 50):
        n = int(simulator.slides_needed(aim, 1, patches, power=0.9))
        assert simulator.power(aim, n, 1, patches) >= 0.9
        assert n == simulator.least(aim, 1) or simulator.power(aim, n - 1, 1, patches) < 0.9


def test_the_needed_slides_of_the_t_test_are_those_of_statsmodels():
    of_means = RUN.between + RUN.within / 11
    expected = TTestPower().solve_power(effect_size=0.5, power=0.8, alpha=0.05)
    found = replace(T, simulations=50_000).slides_needed(Aim("superiority", 0.5 * of_means**0.5), 1, 11, power=0.8)
    assert found == pytest.approx(expected, abs=1.1)


def test_what_is_unrealistic_has_no_number():
    noisy = Simulator(replace(RUN, between=1.0, between_high=2.0), simulations=400)
    assert noisy.slides_needed(AIMS[1], 1, 11, power=0.9) == np.inf
    assert noisy.power(AIMS[1], MOST_SLIDES, 1, 11) < 0.9
    split = Simulator(replace(SEVERAL, network=0.5), simulations=400)
    assert split.networks_needed(AIMS[1], 10, 11, power=0.9) == np.inf
    assert split.power(AIMS[1], 10, MOST_NETWORKS, 11) < 0.9


def test_the_needed_networks_reach_the_power_and_one_less_does_not():
    several = Simulator(SEVERAL)
    aim = Aim("superiority", 0.15)
    k = int(several.networks_needed(aim, 10, 11, power=0.9))
    assert 2 < k < MOST_NETWORKS
    assert several.power(aim, 10, k, 11) >= 0.9 > several.power(aim, 10, k - 1, 11)
    assert several.networks_needed(Aim("superiority", 5.0), 10, 11, power=0.9) == 2


def test_a_need_is_what_the_simulator_says():
    several = Simulator(SEVERAL, simulations=200)
    aims = (Aim("superiority", 0.2, hypotheses=2), AIMS[2])
    plan = plan_study(several, aims, networks=8, power=0.8)
    assert (plan.networks, plan.power, plan.components) == (8, 0.8, SEVERAL)
    for aim, need in zip(aims, plan.needs, strict=True):

        def slides(patches, networks=8, variance=ESTIMATE, aim=aim):
            return several.slides_needed(aim, networks, patches, variance, power=0.8)

        assert need.aim == aim
        assert (need.slides, need.slides_double, need.slides_most) == (slides(11), slides(22), slides(400))
        assert need.slides_high == slides(11, variance=UPPER_LIMIT)
        assert need.power == several.power(aim, 10, 8, 11)
        assert need.by_networks == tuple((k, slides(11, k)) for k in (3, 5, 12))
        assert need.networks == several.networks_needed(aim, 10, 11, power=0.8)


def test_of_one_network_nothing_is_said_of_others_unless_their_variance_is_stated():
    (need,) = plan_study(FLIPS, AIMS[:1]).needs
    assert need.by_networks == ()
    assert np.isnan(need.networks)
    with pytest.raises(StatisticsError, match="how much networks differ is unknown in a run of one network"):
        plan_study(FLIPS, AIMS[:1], networks=3)
    stated = replace(FLIPS, components=RUN.with_networks_that_vary(0.08))
    (need,) = plan_study(stated, AIMS[:1]).needs
    assert [k for k, _ in need.by_networks] == [3, 5, 8, 12]
    assert need.networks >= 2
    own = plan_study(FLIPS, AIMS[:1]).needs[0]
    assert (need.slides, need.power) == (own.slides, own.power)  # about the network itself, as before


# --- simulation -------------------------------------------------------------------------------------


def test_the_table_has_every_size_and_counts_what_is_found():
    several = Simulator(SEVERAL, simulations=300)
    aims = (Aim("superiority", 0.2, hypotheses=2), AIMS[2])
    table = simulate_power(several, aims, 4)
    assert tuple(table.columns) == COLUMNS
    assert set(table["networks"]) == {*NETWORKS, 4}
    assert len(table) == 2 * len(aims) * len(SLIDES) * len(PATCHES) * (len(NETWORKS) + 1)
    for row in table.sample(30, random_state=0).itertuples():
        aim = aims[row.purpose == "equivalence"]
        expected = several.power(aim, row.slides, row.networks, row.patches_per_slide, row.variance)
        assert row.power == expected
        limits = proportion_confint(round(300 * expected), 300, method="wilson")
        assert (row.power_low, row.power_high) == pytest.approx(limits)
        assert row.test == ("sign_flip" if row.networks == 1 else "crossed")
        assert (row.hypotheses, row.effect_log2) == (aim.hypotheses, aim.effect)
        assert row.margin_log2 == pytest.approx(0.1 if aim.purpose == "equivalence" else np.nan, nan_ok=True)
    assert set(table["interaction_variance"]) == {0.002}
    assert set(table["noise_variance"]) == {0.01}
    upper = table[table["variance"] == UPPER_LIMIT]
    assert set(upper["between_variance"]) == {0.012}
    assert set(upper["network_variance"]) == {0.012}
    assert upper["icc"].to_numpy() == pytest.approx(0.012 / 0.032)
    rows = table[(table["variance"] == ESTIMATE) & (table["networks"] == 4)]
    assert (rows["between_variance"] == 0.006).all()
    assert (rows["within_variance"] == 0.02).all()


def test_of_one_network_the_table_has_one():
    table = simulate_power(FLIPS, AIMS)
    assert set(table["networks"]) == {1}
    assert set(table["test"]) == {"sign_flip"}
    assert table["network_variance"].isna().all()
    assert (table.loc[table["slides"] < 6, "power"] == 0).all()
    assert set(simulate_power(T, AIMS[:1])["test"]) == {"t_slide_means"}


def test_sizes_share_their_draws_so_that_more_patches_never_show_equivalence_less_often():
    table = simulate_power(FLIPS, AIMS)
    rows = table[(table["purpose"] == "equivalence") & (table["variance"] == ESTIMATE)]
    curves = by_count(rows)
    assert (np.diff(curves, axis=1) >= 0).all()
    assert np.ptp(curves) > 0.5


def test_a_seed_decides_the_numbers_and_other_aims_do_not():
    fewer = replace(FLIPS, simulations=200)
    table = simulate_power(replace(fewer, seed=4), AIMS)
    alone = simulate_power(replace(fewer, seed=4), AIMS[1:2])
    same = table[table["effect_log2"] == -0.1].reset_index(drop=True)
    assert same.equals(alone)
    assert not alone.equals(simulate_power(replace(fewer, seed=5), AIMS[1:2]))


def test_the_sign_of_an_effect_changes_nothing_but_the_draws():
    up, down = (replace(FLIPS, simulations=4_000).power(Aim("superiority", size), 9, 1, 11) for size in (0.1, -0.1))
    assert up == pytest.approx(down, abs=0.03)
    assert 0.5 < up < 0.95


@pytest.mark.parametrize(
    "wrong",
    [
        {"simulations": 99},
        {"simulations": 100_001},
        {"seed": -1},
        {"min_slides": 1},
        {"min_slides": 1_000},
        {"test": "wilcoxon"},
    ],
    ids=str,
)
def test_simulations_out_of_range_are_refused(wrong):
    with pytest.raises(StatisticsError, match=next(iter(wrong))):
        Simulator(RUN, **wrong)


@pytest.mark.parametrize("wrong", [{"power": 0.2}, {"power": 1.0}, {"networks": 0}, {"networks": 51}], ids=str)
def test_plans_out_of_range_are_refused(wrong):
    with pytest.raises(StatisticsError, match=next(iter(wrong))):
        plan_study(replace(FLIPS, components=SEVERAL), AIMS, **wrong)
