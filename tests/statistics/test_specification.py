"""The test of a specification curve: against brute force, on planted effects, and at its level."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import specification as module
from saliency_stats.statistics.resampling import sign_flip_p
from saliency_stats.statistics.specification import curve_test

OPTIONS = {"alpha": 0.05, "draws": 999, "seed": 0}


def by_brute_force(values):
    """Global and step-down p-values from t statistics of the known units, one sign assignment after the other."""

    def scores(signs):
        found = []
        for row in values * signs:
            own = row[~np.isnan(row)]
            found.append(own.sum() / np.sqrt((own**2).sum()))
        return np.array(found)

    observed = scores(np.ones(values.shape[1]))
    drawn = [scores(np.array(signs)) for signs in product((1, -1), repeat=values.shape[1])]
    p_global = np.mean([abs(np.median(one)) >= abs(np.median(observed)) - 1e-9 for one in drawn])
    adjusted, least = np.empty(len(values)), 0.0
    left = sorted(range(len(values)), key=lambda s: -abs(observed[s]))
    for at, s in enumerate(left):
        rest = left[at:]
        p_value = np.mean([max(abs(one[r]) for r in rest) >= abs(observed[s]) - 1e-9 for one in drawn])
        least = adjusted[s] = max(least, p_value)
    return p_global, adjusted


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_it_is_what_brute_force_finds(seed, missing):
    rng = np.random.default_rng(seed)
    values = rng.normal(0.5, 1, (5, 6)) + rng.normal(0, 1, 6)
    values[rng.random(values.shape) < missing] = np.nan
    values[:, 0] = 1.0  # no specification is empty
    found = curve_test(values, **OPTIONS)
    p_global, p_max_t = by_brute_force(values)
    assert found.p_global == pytest.approx(p_global, abs=1e-12)
    np.testing.assert_allclose(found.p_max_t, p_max_t, atol=1e-12)
    assert found.p_attainable == 2.0**-5
    assert found.reason == ""


def test_one_specification_is_the_sign_flip_test_itself():
    values = np.random.default_rng(3).normal(0.4, 1, (1, 9))
    found = curve_test(values, **OPTIONS)
    assert found.p_global == found.p_max_t[0] == sign_flip_p(values, draws=999, seed=0)[0]
    assert found.direction == np.sign(values.mean())
    again = curve_test(-values, **OPTIONS)
    assert (again.p_global, again.direction) == (found.p_global, -found.direction)


def test_neither_scale_nor_copies_nor_an_absent_unit_change_the_tests():
    rng = np.random.default_rng(4)
    values = rng.normal(0.6, 1, (7, 8))
    found = curve_test(values, **OPTIONS)
    scaled = curve_test(values * rng.uniform(0.001, 1000, (7, 1)), **OPTIONS)
    absent = curve_test(np.column_stack([values, np.full(7, np.nan)]), **OPTIONS)
    for again in (scaled, absent):
        assert (again.p_global, again.p_attainable) == (found.p_global, found.p_attainable)
        np.testing.assert_array_equal(again.p_max_t, found.p_max_t)
    assert curve_test(values[:3].repeat(2, axis=0), **OPTIONS).p_max_t[::2].tolist() == pytest.approx(
        curve_test(values[:3], **OPTIONS).p_max_t.tolist(), abs=0
    )


def test_a_unit_counts_where_it_is_known_only():
    rng = np.random.default_rng(5)
    values = rng.normal(3, 0.1, (3, 8))
    values[0, 3:] = np.nan
    found = curve_test(values, **OPTIONS)
    # three units of one sign reach 2/8, and no correction makes that less
    assert found.p_max_t[0] >= 0.25
    assert found.p_max_t[1:].tolist() == [2.0**-7] * 2
    assert found.n_true_low == 2


def test_a_specification_of_zeros_is_never_found():
    values = np.vstack([np.zeros(8), np.random.default_rng(6).normal(2, 0.1, (2, 8))])
    found = curve_test(values, **OPTIONS)
    assert found.p_max_t.tolist() == [1.0, 2.0**-7, 2.0**-7]
    nothing = curve_test(np.zeros((2, 8)), **OPTIONS)
    assert (nothing.p_global, nothing.direction, nothing.n_true_low) == (1.0, 0.0, 0.0)


def test_the_bound_counts_the_direction_of_most():
    rng = np.random.default_rng(7)
    values = rng.normal(0, 0.1, (9, 10)) + np.array([2.0] * 5 + [-2.0] * 3 + [0.0])[:, None]
    found = curve_test(values, **OPTIONS)
    assert (found.p_max_t[:8] <= 0.05).all()
    assert found.p_max_t[8] > 0.05
    assert (found.direction, found.n_true_low) == (1.0, 5.0)
    assert curve_test(-values, **OPTIONS).n_true_low == 5.0


def test_a_level_that_flips_cannot_reach_is_said():
    values = np.random.default_rng(8).normal(5, 0.1, (4, 5))
    found = curve_test(values, **OPTIONS)
    assert (found.p_global, found.p_attainable) == (0.0625, 0.0625)
    assert np.isnan(found.n_true_low)
    assert found.reason == "could not have been found: 5 slides give no p-value below 0.062"
    assert "5 patients give" in curve_test(values, **OPTIONS, unit="patient").reason
    # the smallest p-value at the level itself can be found
    reached = curve_test(values, alpha=0.0625, draws=999, seed=0)
    assert (reached.n_true_low, reached.reason) == (4.0, "")


def test_many_units_are_flipped_at_random_in_blocks(monkeypatch):
    values = np.random.default_rng(9).normal(0.3, 1, (6, 20))
    found = curve_test(values, **OPTIONS)
    assert found.p_attainable == 1 / 1000
    assert found.p_max_t.min() > found.p_attainable
    monkeypatch.setattr(module, "BLOCK", 60)
    again = curve_test(values, **OPTIONS)
    assert again.p_global == found.p_global
    np.testing.assert_array_equal(again.p_max_t, found.p_max_t)
    monkeypatch.setattr(module, "MAX_RESAMPLED_UNITS", 19)
    refused = curve_test(values, **OPTIONS)
    assert refused.reason == "20 slides are too many to flip (at most 19)"
    assert np.isnan([refused.p_global, refused.direction, refused.n_true_low, *refused.p_max_t]).all()
    monkeypatch.setattr(module, "MAX_RESAMPLED_UNITS", 20)
    assert curve_test(values, **OPTIONS).p_global == found.p_global


def correlated(rng, n_specifications, n_slides, effect=0.0, share=0.8):
    """Unit means with a slide effect that specifications share."""
    own = rng.normal(size=(n_specifications, n_slides))
    return effect + np.sqrt(share) * rng.normal(size=n_slides) + np.sqrt(1 - share) * own


def test_it_holds_its_level_and_finds_what_is_planted():
    rng = np.random.default_rng(10)
    null = [curve_test(correlated(rng, 12, 8), **OPTIONS) for _ in range(600)]
    # 600 studies: 0.05 + 2.5 standard errors
    assert 0.03 < np.mean([found.p_global <= 0.05 for found in null]) < 0.073
    assert np.mean([found.p_max_t.min() <= 0.05 for found in null]) < 0.073
    assert np.mean([found.n_true_low > 0 for found in null]) < 0.073
    planted = [curve_test(correlated(rng, 12, 8, effect=1.5), **OPTIONS) for _ in range(100)]
    assert np.mean([found.p_global <= 0.05 for found in planted]) > 0.9
    assert np.mean([found.n_true_low for found in planted]) > 6


def test_the_bound_is_at_most_what_is_true_in_19_of_20_studies():
    rng = np.random.default_rng(11)
    effects = np.repeat([1.5, 0.0], 6)[:, None]
    found = [curve_test(correlated(rng, 12, 10, effect=effects, share=0.3), **OPTIONS) for _ in range(400)]
    false = [(one.p_max_t[6:] <= 0.05).any() for one in found]
    assert np.mean(false) < 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 400)
    assert np.mean([one.n_true_low > 6 for one in found]) <= np.mean(false)
    assert np.mean([one.n_true_low for one in found]) > 3


def of_networks(rng, n_networks=5, n_slides=8, sd=0.34, effect=0.0, n_specifications=6):
    parts = ((n_networks, 1), sd), ((1, n_slides), 0.08), ((n_networks, n_slides), 0.06)
    return effect + sum(
        scale * (np.sqrt(0.9) * rng.normal(size=shape) + np.sqrt(0.1) * rng.normal(size=(n_specifications, *shape)))
        for shape, scale in parts
    )


def crossed_by_hand(cells):
    """Student's t of the mean of networks by units from the textbook's sums, and the largest p-value of three."""
    k, g = cells.shape
    mean = cells.mean()
    networks = g * sum((row.mean() - mean) ** 2 for row in cells) / (k - 1)
    units = k * sum((column.mean() - mean) ** 2 for column in cells.T) / (g - 1)
    rest = sum((cells[i, j] - cells[i].mean() - cells[:, j].mean() + mean) ** 2 for i in range(k) for j in range(g)) / (
        (k - 1) * (g - 1)
    )
    total = networks + units - rest
    df = total**2 / (networks**2 / (k - 1) + units**2 / (g - 1) + rest**2 / ((k - 1) * (g - 1)))
    if total < networks or total < units:
        total, df = (networks, k - 1) if networks > units else (units, g - 1)
    tests = [(total, df), (networks, k - 1), (units, g - 1)]
    p_value = max(2 * stats.t.sf(abs(mean) / np.sqrt(square / (k * g)), df) for square, df in tests)
    return mean / np.sqrt(total / (k * g)), p_value


@pytest.mark.parametrize(("sd", "seed"), [(0.34, 0), (0.08, 1), (0.0, 2), (0.0, 3), (0.0, 4), (0.0, 5)])
def test_several_networks_are_a_crossed_sample(sd, seed):
    values = of_networks(np.random.default_rng(seed), sd=sd, effect=0.2)
    found = curve_test(values, **OPTIONS)
    scaled = np.array([one / np.sqrt(np.mean(one**2)) for one in values])
    t, p_value = crossed_by_hand(np.median(scaled, axis=0))
    assert found.p_global == pytest.approx(p_value, rel=1e-9)
    each = [2 * stats.t.sf(abs(crossed_by_hand(one)[0]), 4) for one in values]
    np.testing.assert_allclose(found.p_max_t, multipletests(each, method="holm")[1], rtol=1e-9)
    assert (found.direction, found.reason) == (np.sign(t), "")
    assert found.n_true_low == np.count_nonzero(found.p_max_t <= 0.05)
    assert np.isnan(found.p_attainable)
    # more networks than units: the units are the smaller sample
    swapped = curve_test(values.swapaxes(1, 2), **OPTIONS)
    np.testing.assert_allclose(swapped.p_max_t, found.p_max_t, rtol=1e-9)
    assert curve_test(-values, **OPTIONS).direction == -found.direction


def test_one_network_is_flipped_and_a_unit_that_a_network_lacks_takes_no_part():
    values = of_networks(np.random.default_rng(12), effect=0.4)
    one = curve_test(values[:, :1], **OPTIONS)
    assert one.p_global == curve_test(values[:, 0], **OPTIONS).p_global
    holed = values.copy()
    holed[:, 2, 3] = np.nan
    found, without = curve_test(holed, **OPTIONS), curve_test(np.delete(values, 3, axis=2), **OPTIONS)
    np.testing.assert_allclose(found.p_max_t, without.p_max_t, rtol=1e-9)
    # a specification that too few units have in all networks has no p-value, and costs the others nothing
    holed[0, 0, 1:] = np.nan
    found = curve_test(holed, **OPTIONS)
    assert np.isnan(found.p_max_t[0])
    np.testing.assert_allclose(found.p_max_t[1:], curve_test(holed[1:], **OPTIONS).p_max_t, rtol=1e-9)


def test_folds_are_averaged_and_the_answer_is_about_these_networks():
    values = of_networks(np.random.default_rng(13), n_networks=2, effect=0.4)
    values[:, 0, :4] = values[:, 1, 4:] = np.nan
    found = curve_test(values, **OPTIONS)
    assert found.reason == "given these networks: too few slides have values of all of them"
    assert found.p_global == curve_test(np.nanmean(values, axis=1), **OPTIONS).p_global
    few = curve_test(values[:, :, 2:6], **OPTIONS)
    assert few.reason.startswith("could not have been found: 4 slides give no p-value below 0.12; given these networks")
    # one that all have seen is no sample, two are
    values[:, 0, 3] = values[:, 1, 3]
    assert curve_test(values, **OPTIONS).reason != ""
    values[:, 0, 2] = values[:, 1, 2] + 0.1
    assert curve_test(values, **OPTIONS).reason == ""


def test_several_networks_hold_their_level_where_flips_of_slides_do_not():
    rng = np.random.default_rng(14)
    null = [of_networks(rng) for _ in range(500)]
    found = [curve_test(values, **OPTIONS) for values in null]
    assert np.mean([one.p_global <= 0.05 for one in found]) < 0.075
    assert np.mean([one.p_max_t.min() <= 0.05 for one in found]) < 0.065
    assert np.mean([curve_test(values.mean(axis=1), **OPTIONS).p_global <= 0.05 for values in null[:100]]) > 0.4
    sure = curve_test(of_networks(rng, sd=0.08, effect=0.7), **OPTIONS)
    assert (sure.direction, sure.n_true_low) == (1.0, 6.0)


@pytest.mark.parametrize("values", [np.ones(4), np.ones((1, 1, 1, 4)), np.full((2, 4), np.inf), [[1.0], [np.nan]]])
def test_what_is_no_curve_is_refused(values):
    with pytest.raises(StatisticsError, match=r"specifications: found an array of shape .*at least one for every"):
        curve_test(values, **OPTIONS)
    with pytest.raises(StatisticsError, match="alpha"):
        curve_test(np.ones((2, 8)), alpha=0.0, draws=999, seed=0)
