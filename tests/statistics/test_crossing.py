"""The crossed test: the tests that it contains, its error by simulation, and what it says when it cannot."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.crossing import crossed, network_components
from saliency_stats.statistics.inference import t_slide_means
from saliency_stats.statistics.models.networks import NetworkCells
from saliency_stats.statistics.models.two_way import two_way


def units(seed=0, n_networks=4, n_units=6, n_patches=5, sds=(0.3, 0.4, 0.2), shift=0.0, drop=(), *, folds=False):
    """Units with cells: networks, units, and networks on units have these standard deviations, patches 0.3."""
    rng = np.random.default_rng(seed)
    network, unit, patch = (codes.ravel() for codes in np.indices((n_networks, n_units, n_patches)))
    value = shift + sds[0] * rng.normal(size=n_networks)[network] + sds[1] * rng.normal(size=n_units)[unit]
    value += sds[2] * rng.normal(size=(n_networks, n_units))[network, unit] + 0.3 * rng.normal(size=network.size)
    keep = unit % n_networks == network if folds else ~np.isin(network * n_units + unit, drop)
    rows = (each[keep] for each in (value, network, unit, unit * n_patches + patch))
    return SimpleNamespace(cells=NetworkCells.from_rows(*rows))


def of_means(means):
    network, unit = (codes.ravel() for codes in np.indices(means.shape))
    return SimpleNamespace(cells=NetworkCells.from_rows(means.ravel(), network, unit, unit))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.sampled_from([0.05, 0.1]))
def test_networks_that_are_all_the_same_give_the_t_test_over_units(seed, n_networks, alpha):
    of_slides = np.random.default_rng(seed).normal(0.3, 0.5, 9)
    found = crossed(of_means(np.tile(of_slides, (n_networks, 1))), alpha=alpha)
    expected = t_slide_means(of_slides, alpha=alpha)
    for name in ("statistic", "df", "p_value", "ci_low", "ci_high"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-12), name
    assert found.estimate == pytest.approx(of_slides.mean())
    assert found.note.startswith("balanced closed form")


def test_units_that_are_all_the_same_give_the_t_test_over_networks():
    of_networks = np.random.default_rng(1).normal(0.3, 0.5, 5)
    found = crossed(of_means(np.tile(of_networks[:, None], (1, 7))), alpha=0.05)
    expected = stats.ttest_1samp(of_networks, 0.0)
    assert (found.df, found.p_value) == pytest.approx((4, expected.pvalue))


def test_one_network_a_fold_gives_the_t_test_over_folds_of_one_size():
    sample = units(3, n_units=12, folds=True, sds=(0.6, 0.2, 0.0))
    found = crossed(sample, alpha=0.05)
    of_folds = np.nanmean(sample.cells.means, axis=1)
    expected = t_slide_means(of_folds, alpha=0.05)
    assert found.estimate == pytest.approx(of_folds.mean())
    assert found.df == pytest.approx(3, rel=1e-6)
    assert (found.ci_low, found.ci_high) == pytest.approx((expected.ci_low, expected.ci_high), rel=1e-6)
    assert found.note == "REML (random: network, unit)"


def test_where_no_variance_is_seen_the_note_says_so():
    means = np.array([[0.0, 1.0, 2.0], [1.0, 2.0, 0.0], [2.0, 0.0, 1.0], [1.0, 1.0, 1.5]])
    assert crossed(of_means(means), alpha=0.05).note == (
        "balanced closed form; the variance of network is 0; the variance of unit is 0"
    )


#: Two folds of six slides in which their means differ by less than slides do.
ALIKE = np.array([[0.1, 0.9, 0.5] + [np.nan] * 3, [np.nan] * 3 + [0.0, 0.8, 0.6]])


def of_cells(means):
    network, unit = np.nonzero(np.isfinite(means))
    return SimpleNamespace(cells=NetworkCells.from_rows(means[network, unit], network, unit, unit))


def test_folds_without_a_variance_between_them_give_the_t_test_over_units():
    found = crossed(of_cells(ALIKE), alpha=0.05)
    expected = t_slide_means(np.nanmean(ALIKE, axis=0), alpha=0.05)
    assert found.note == "REML (random: network); the variance of network is 0"
    for name in ("df", "p_value", "ci_low", "ci_high"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-6), name


@pytest.mark.parametrize("drop", [(), (1, 4, 6, 11)])
def test_it_finds_only_what_both_one_way_tests_find_too(drop):
    chosen = set()
    for seed in range(12):
        sample = units(seed, 3, 4, 2, (0.3, 0.3, 0.4), 0.4, drop)
        found = crossed(sample, alpha=0.05)
        one_way = [np.nanmean(sample.cells.means, axis=axis) for axis in (1, 0)]
        candidates = [(np.std(each, ddof=1) / each.size**0.5, each.size - 1) for each in one_way]
        if drop:
            fitted = sample.cells.fit.test(np.ones(1))
            candidates.append((fitted.se, fitted.df))
        else:
            table = two_way(sample.cells.means)
            candidates.append((float(table.variance) ** 0.5, float(table.df)))
        se, df = np.array(candidates).T
        p_values = 2 * stats.t.sf(abs(found.estimate) / se, df)
        at = int(np.argmax(p_values))
        chosen.add(at)
        assert found.p_value == pytest.approx(p_values[at])
        assert (found.se, found.df) == pytest.approx(candidates[at])
        half = (se * stats.t.ppf(0.975, df)).max()
        assert (found.ci_low, found.ci_high) == pytest.approx((found.estimate - half, found.estimate + half))
    assert chosen >= {0, 2}


def of_picture(drop, n_networks=3, n_patches=2):
    """A value of each patch, whichever networks judged it: those of (network, patch) in `drop` did not."""
    of_patch = np.array([0.4, 0.9, 0.1, 0.3, 1.0, 0.6, 0.2, 0.7])
    network, patch = (codes.ravel() for codes in np.indices((n_networks, of_patch.size)))
    keep = [one not in drop for one in zip(network.tolist(), patch.tolist(), strict=True)]
    rows = (codes[keep] for codes in (of_patch[patch], network, patch // n_patches, patch))
    return SimpleNamespace(cells=NetworkCells.from_rows(*rows))


@pytest.mark.parametrize(
    ("drop", "n_patches"), [([(0, 0), (0, 1)], 2), ([(0, 0), (0, 1), (1, 5)], 2), ([(1, 3), (2, 6)], 1)]
)
def test_a_map_that_all_networks_share_is_tested_where_cells_are_empty_too(drop, n_patches):
    sample = of_picture(drop, n_patches=n_patches)
    assert not sample.cells.complete
    found = crossed(sample, alpha=0.05)
    of_networks, of_units = (np.nanmean(sample.cells.means, axis=axis) for axis in (1, 0))
    assert found.estimate == pytest.approx(of_units.mean())
    assert found.note == "t over networks and over units, as all networks found the same on every patch"
    ses, dfs = np.array([(stats.sem(one), one.size - 1) for one in (of_networks, of_units)]).T
    p_values = 2 * stats.t.sf(found.estimate / ses, dfs)
    assert found.p_value == pytest.approx(p_values.max())
    assert (found.se, found.df) == pytest.approx((ses[p_values.argmax()], dfs[p_values.argmax()]))
    half = (ses * stats.t.ppf(0.975, dfs)).max()
    assert (found.ci_low, found.ci_high) == pytest.approx((found.estimate - half, found.estimate + half))
    parts = network_components(sample)
    assert (parts.var_network, parts.var_interaction, parts.network_share) == (0, 0, 0)
    assert parts.var_unit == pytest.approx(of_units.var(ddof=1))
    assert np.isnan([parts.var_network_low, parts.network_share_high]).all()


def test_networks_are_alike_where_no_patch_has_two_values_and_some_has_two_rows():
    assert of_picture([]).cells.alike
    assert not units().cells.alike
    # folds share no patch: what their networks would say of the same one is unknown
    assert not units(n_units=12, folds=True).cells.alike
    value, network, patch = np.array([1.0, 1.0, 2.0, 2.0, 3.0]), np.array([0, 1, 0, 1, 0]), np.array([0, 0, 1, 1, 2])
    assert NetworkCells.from_rows(value, network, patch, patch).alike
    value[3] += 1e-9
    assert not NetworkCells.from_rows(value, network, patch, patch).alike


def test_slides_of_patients_are_alike_where_their_patches_are():
    value, network = np.array([1.0, 2.0, 3.0, 4.0] * 2), np.repeat([0, 1], 4)
    patch = np.tile(np.arange(4), 2)
    cells = [
        NetworkCells.from_rows(value[keep], network[keep], patch[keep] // 4, patch[keep], patch[keep] // 2)
        for keep in (np.arange(8) < 8, np.arange(8) != 7)
    ]
    assert [one.alike for one in cells] == [True, False]


def test_an_empty_cell_of_many_changes_little():
    whole, lacking = (crossed(units(n_networks=5, n_units=8, drop=drop), alpha=0.05) for drop in ((), (11,)))
    assert whole.note.startswith("balanced closed form")
    assert lacking.note.startswith("REML (random: network, unit, patch, network and unit)")
    assert lacking.estimate == pytest.approx(whole.estimate, abs=0.02)
    assert lacking.se == pytest.approx(whole.se, rel=0.1)
    assert lacking.df == pytest.approx(whole.df, rel=0.15)


@pytest.mark.parametrize("drop", [(), (3, 7)])
def test_the_interval_is_the_dual_of_the_test(drop):
    for shift in (-0.5, 0.2, 0.9):
        found = crossed(units(shift=shift, drop=drop), alpha=0.05)
        assert (found.p_value <= 0.05) == (found.ci_low > 0 or found.ci_high < 0)
        assert found.statistic == pytest.approx(found.estimate / found.se)
        assert found.p_value == pytest.approx(2 * stats.t.sf(abs(found.statistic), found.df))
        at = crossed(units(shift=shift - found.ci_low, drop=drop), alpha=0.05)
        assert at.p_value == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (SimpleNamespace(cells=None), "one network: how much networks differ is unknown; train several"),
        (units(n_networks=1), "one network: how much networks differ is unknown"),
        (units(n_units=1), "one unit: how much units differ is unknown"),
        (of_means(np.full((3, 4), 0.25)), "without spread nothing can be tested"),
    ],
)
def test_what_cannot_be_tested_says_why(sample, message):
    with pytest.raises(StatisticsError, match=message):
        crossed(sample, alpha=0.05, draws=1, seed=1)


@pytest.mark.parametrize("ask", [crossed, network_components])
def test_two_networks_on_two_units_are_enough(ask):
    assert ask(units(n_networks=2, n_units=2), alpha=0.05)


@pytest.mark.parametrize(("sd", "folds", "most"), [(0.0, False, 0.065), (0.3, False, 0.065), (0.3, True, 0.08)])
def test_the_error_is_as_declared(sd, folds, most):
    n = 40 if folds else 1500  # of folds each is a fit
    found = [
        crossed(units(seed, 4, 8, 3, (sd, 0.3, 0.2 * (not folds)), folds=folds), alpha=0.05).p_value <= 0.05
        for seed in range(n)
    ]
    # no more than chance allows above the limit
    assert np.sum(found) <= stats.binom.ppf(0.995, n, most)
    if sd:
        assert np.sum(found) >= stats.binom.ppf(0.001, n, 0.03)


@pytest.mark.parametrize("drop", [(), (5, 50)])
def test_the_components_are_found(drop):
    found = network_components(units(2, 12, 30, 2, (0.3, 0.5, 0.2), drop=drop))
    assert (found.n_networks, found.n_units) == (12, 30)
    assert found.var_network == pytest.approx(0.09, rel=0.7)
    assert found.var_unit == pytest.approx(0.25, rel=0.5)
    assert found.var_interaction == pytest.approx(0.04 + 0.09 / 2, rel=0.15)
    between = found.var_network / 12
    total = between + found.var_unit / 30 + found.var_interaction / 360
    assert found.network_share == pytest.approx(between / total, rel=0.02)
    assert found.var_network_low < found.var_network < found.var_network_high
    assert found.network_share_low < found.network_share < found.network_share_high
    assert found.var_network_high / found.var_network_low == pytest.approx(
        np.divide(*stats.chi2.ppf([0.975, 0.025], 11)), rel=0.3
    )


def test_intervals_hold_the_components_in_most_studies():
    held = []
    for seed in range(300):
        found = network_components(units(seed, 5, 10, 2), alpha=0.1, draws=1000)
        share = (0.09 / 5) / (0.09 / 5 + 0.16 / 10 + (0.04 + 0.045) / 50)
        held.append(
            (
                found.var_network_low <= 0.09 <= found.var_network_high,
                found.network_share_low <= share <= found.network_share_high,
            )
        )
    assert (np.mean(held, axis=0) > 0.85).all()
    assert (np.mean(held, axis=0) < 0.97).all()


def test_intervals_come_from_the_seed_and_the_draws():
    sample = units()
    one, same, other, fewer = (
        network_components(sample, **how) for how in ({}, {"seed": 0}, {"seed": 1}, {"draws": 2000})
    )
    assert one == same
    assert one.var_network_high not in {other.var_network_high, fewer.var_network_high}
    assert one.var_network_high == pytest.approx(other.var_network_high, rel=0.2)
    assert one.var_network == other.var_network


def test_where_no_variance_between_networks_is_seen_there_is_no_share():
    closed = network_components(of_means(np.tile(np.arange(6.0), (3, 1))))
    assert (closed.var_network, closed.network_share, closed.network_share_high) == (0, 0, 0)
    found = network_components(of_cells(ALIKE))
    assert (found.var_network, found.network_share) == (0, 0)
    assert np.isnan([found.var_network_low, found.var_network_high, found.network_share_low]).all()
