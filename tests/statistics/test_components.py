"""Variances between and within slides: the analysis of variance where it is exact, and the limit's coverage."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.components import (
    LIMIT_LEVEL,
    UPPER_LIMIT,
    components_of_networks,
    over_networks_counted,
    variance_components,
)
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.two_way import two_way
from saliency_stats.statistics.units import independent_units


def squares_of(tables):
    found = two_way(tables)
    return found.network, found.unit, found.interaction


def sample(sizes, *, between=0.2, within=0.8, seed=0):
    """Return patch values of slides of these sizes."""
    rng = np.random.default_rng(seed)
    slides = np.repeat(np.arange(len(sizes)), sizes)
    values = rng.normal(0, between**0.5, len(sizes))[slides] + rng.normal(0, within**0.5, slides.size)
    return pd.DataFrame({"value": values, "slide_id": [f"s{k}" for k in slides]})


def components(table, **options):
    return variance_components(independent_units(table, "value", **options))


def test_balanced_variances_are_those_of_the_analysis_of_variance():
    k, m = 8, 6
    table = sample([m] * k)
    groups = table.groupby("slide_id")["value"]
    of_means, inside = groups.mean().var(), groups.var().mean()
    found = components(table)
    assert found.within == pytest.approx(inside, rel=1e-9)
    assert found.between == pytest.approx(of_means - inside / m, rel=1e-9)
    limit = (k - 1) * of_means / stats.chi2.ppf(1 - LIMIT_LEVEL, k - 1) - inside / m
    assert found.between_high == pytest.approx(limit, rel=1e-9)
    assert (found.unit, found.n_units, found.patches_per_slide) == ("slide", k, m)
    assert found.estimate == pytest.approx(groups.mean().mean())
    assert found.spread(m).slide == pytest.approx(of_means)
    assert found.spread(m, UPPER_LIMIT).slide == pytest.approx(limit + inside / m)


def test_at_the_boundary_the_limit_stays_above_zero():
    table = sample([5] * 6)
    table["value"] -= table.groupby("slide_id")["value"].transform("mean")
    found = components(table)
    assert found.between == 0
    assert 0 < found.between_high < found.within


def test_patches_per_slide_are_averaged_as_variances_of_means_are():
    assert components(sample([2, 8, 8, 8])).patches_per_slide == round(4 / (1 / 2 + 3 / 8))


@pytest.mark.parametrize("sizes", [[10] * 5, [2, 4, 20, 60, 8, 8, 30, 5]], ids=["balanced", "unbalanced"])
def test_four_of_five_limits_cover_the_true_variance(sizes):
    """The Monte-Carlo standard error of 400 samples is 0.02."""
    rng = np.random.default_rng(1)
    between, within, k, n = 0.5, 0.5, len(sizes), np.array(sizes, dtype=float)
    design = np.zeros((400, k, 2, 2))
    design[:, :, 1, 1] = within * rng.chisquare(n - 1, (400, k))
    means = rng.normal(0, np.sqrt(between + within / n), (400, k))
    names = np.array([f"s{i}" for i in range(k)])
    template = independent_units(sample(sizes), "value")
    covered = 0
    for inside, mean in zip(design, means, strict=True):
        sums = GroupedSums(names, n, np.column_stack([np.ones(k), mean]), inside)
        covered += variance_components(dataclasses.replace(template, sums=sums)).between_high >= between
    assert 0.74 <= covered / 400 <= 0.9


def test_patients_are_planned_with_one_slide_each():
    rng = np.random.default_rng(2)
    rows = [
        {"slide_id": f"p{p}s{s}", "patient_id": f"p{p}", "value": a + b + rng.normal(0, 0.3)}
        for p, a in enumerate(rng.normal(0, 0.2, 12))
        for s, b in enumerate(rng.normal(0, 0.6, 3))
        for _ in range(8)
    ]
    found = components(pd.DataFrame(rows), patient="patient_id")
    assert (found.unit, found.n_units, found.patches_per_slide) == ("patient", 12, 8)
    assert 0.25 < found.between < 0.6  # 0.04 of the patients and 0.36 of their slides
    assert 0.07 < found.within < 0.11
    # with one slide each the patients are the slides
    one_each = pd.DataFrame([row for row in rows if row["slide_id"].endswith("s0")])
    by_patient, by_slide = components(one_each, patient="patient_id"), components(one_each)
    assert by_patient.between == pytest.approx(by_slide.between, rel=1e-12)
    assert (by_patient.unit, by_slide.unit) == ("patient", "slide")


@settings(deadline=None, max_examples=20)
@given(st.randoms(use_true_random=False), st.floats(0.1, 10))
def test_order_and_names_change_nothing_and_units_only_the_scale(random, factor):
    table = sample([3, 5, 9, 4])
    order = list(range(len(table)))
    random.shuffle(order)
    names = dict(zip(sorted(set(table["slide_id"])), random.sample(range(100), 4), strict=True))
    shuffled = table.iloc[order].assign(slide_id=table["slide_id"].map(names).astype(str))
    assert components(shuffled) == components(table)
    scaled = components(table.assign(value=factor * table["value"]))
    for name in ("between", "between_high", "within"):
        assert getattr(scaled, name) == pytest.approx(factor**2 * getattr(components(table), name), rel=1e-6)


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (sample([7]), {}, "all 7 patches with a value are of one slide"),
        (sample([1] * 5), {}, "each of the 5 slides has one patch with a value"),
        (sample([4] * 3).assign(value=np.nan), {}, "no patch has a value"),
        (sample([4] * 3).assign(slide_id=""), {}, "the slides of the patches are unknown.* fill in the ids"),
        (sample([4] * 3).assign(slide_id=""), {"assume_independent": True}, "a plan counts slides"),
        (sample([4] * 3).assign(value=[0.1] * 4 + [0.2] * 4 + [0.4] * 4), {}, "constant within every group"),
    ],
)
def test_what_cannot_be_planned_from_says_why(table, options, words):
    with pytest.raises(StatisticsError, match=words):
        components(table, **options)


# --- several networks -------------------------------------------------------------------------------

PARTS = {"network": 0.04, "slide": 0.09, "interaction": 0.03, "patch": 0.3, "noise": 0.1}


def judged(networks=4, slides=30, patches=6, *, folds=1, seed=0, **parts):
    """Return one value per patch and network, of networks of each fold that judge its slides."""
    spread = {name: np.sqrt(value) for name, value in {**PARTS, **parts}.items()}
    rng = np.random.default_rng(seed)
    shape = (folds, networks, slides, patches)
    values = (
        spread["network"] * rng.standard_normal((folds, networks, 1, 1))
        + spread["slide"] * rng.standard_normal((folds, 1, slides, 1))
        + spread["interaction"] * rng.standard_normal((folds, networks, slides, 1))
        + spread["patch"] * rng.standard_normal((folds, 1, slides, patches))
        + spread["noise"] * rng.standard_normal(shape)
    )
    fold, network, slide, patch = (axis.ravel() for axis in np.indices(shape))
    table = pd.DataFrame({"value": values.ravel(), "network": [f"{f}-{k}" for f, k in zip(fold, network, strict=True)]})
    table["slide_id"] = [f"f{f}s{s}" for f, s in zip(fold, slide, strict=True)]
    return table.assign(patient_id="", patch_id=table["slide_id"] + [f"p{p}" for p in patch])


def of_networks(table):
    averaged, _ = over_networks_counted(table)
    return components_of_networks(table, independent_units(averaged, "value"))


def test_balanced_tables_give_the_variances_of_the_two_way_analysis():
    table = judged()
    found = of_networks(table)
    cells = table.pivot_table("value", "network", "slide_id").to_numpy()
    squares = [float(square) for square in squares_of(cells)]
    means = table.groupby("patch_id").agg({"value": "mean", "slide_id": "first"})
    within_means = means.groupby("slide_id")["value"].var().mean()
    within_cells = table.groupby(["network", "slide_id"])["value"].var().mean()
    noise = (within_cells - within_means) * 4 / 3
    assert found.noise == pytest.approx(noise)
    assert found.within == pytest.approx(within_cells - noise)
    assert found.interaction == pytest.approx(squares[2] - noise / 6)
    assert found.network == pytest.approx((squares[0] - squares[2]) / 30)
    widen = 3 / stats.chi2.ppf(1 - LIMIT_LEVEL, 3)
    assert found.network_high == pytest.approx((widen * squares[0] - squares[2]) / 30)
    # the means over networks of slides and of cells vary as they were seen to
    spread = found.spread(6)
    assert spread.slide + spread.cell / 4 == pytest.approx(squares[1] / 4)
    assert spread.cell == pytest.approx(squares[2])
    assert (found.networks, found.n_units, found.patches_per_slide) == (4, 30, 6)
    one = components(means.reset_index())
    assert found.estimate == pytest.approx(one.estimate)
    assert found.between == pytest.approx(one.between - found.interaction / 4)
    assert found.between_high == pytest.approx(one.between_high - found.interaction / 4)


@pytest.mark.parametrize("folds", [1, 20])
def test_planted_variances_are_found(folds):
    found = [of_networks(judged(6, 80 // folds, 8, folds=folds, seed=seed)) for seed in range(4)]
    for name, planted, error in (("interaction", 0.03, 0.1), ("within", 0.3, 0.05), ("noise", 0.1, 0.05)):
        assert np.mean([getattr(one, name) for one in found]) == pytest.approx(planted, rel=error)
    assert np.mean([one.between for one in found]) == pytest.approx(0.09, rel=0.3)
    assert np.mean([one.network for one in found]) == pytest.approx(0.04, rel=0.5 if folds == 1 else 0.2)
    assert {one.networks for one in found} == {6}


def test_four_of_five_limits_of_the_variance_between_networks_cover_it():
    covered = [of_networks(judged(5, 8, 3, seed=seed)).network_high >= 0.04 for seed in range(120)]
    assert 0.7 <= np.mean(covered) <= 0.92


def test_networks_that_agree_have_no_variance_and_none_is_negative():
    table = judged(network=0.0, interaction=0.0, noise=0.0)
    found = of_networks(table)
    assert (found.network, found.interaction) == pytest.approx((0, 0), abs=1e-12)
    assert found.noise == pytest.approx(0, abs=1e-9)
    averaged, _ = over_networks_counted(table)
    same = components(averaged)
    assert found.between == pytest.approx(same.between)
    assert found.within == pytest.approx(same.within)
    for seed in range(10):
        noisy = of_networks(judged(2, 3, 2, network=0.0, slide=0.0, interaction=0.0, patch=0.0, seed=seed))
        assert min(noisy.network, noisy.interaction, noisy.noise, noisy.within, noisy.between) >= 0
        assert noisy.network_high >= noisy.network


def test_a_slide_that_one_network_lacks_is_no_part_of_the_table():
    table = judged(seed=5)
    gone = (table["network"] == "0-1") & (table["slide_id"] == "f0s3")
    without = table.assign(value=table["value"].mask(gone))
    complete = table[table["slide_id"] != "f0s3"]
    assert of_networks(without).network == pytest.approx(of_networks(complete).network)
    assert of_networks(without).n_units == 30


def test_networks_that_judged_different_slides_cannot_be_told_from_them():
    table = judged(3, 5)
    # every network has a slide of its own, and none of two was judged by the same two networks
    own = table["slide_id"].str[-1] == table["network"].str[-1]
    with pytest.raises(StatisticsError, match="no two networks judged the same two slides"):
        of_networks(table[own | (table["slide_id"] == "f0s4")])


def test_a_patch_is_averaged_over_its_networks():
    table = judged(3, 2, 2)
    averaged, networks = over_networks_counted(table)
    assert networks == 3
    expected = table.groupby("patch_id")["value"].mean()
    pd.testing.assert_series_equal(averaged.set_index("patch_id")["value"].sort_index(), expected)
    assert set(averaged["slide_id"]) == {"f0s0", "f0s1"}
    one = table[table["network"] == "0-1"]
    assert over_networks_counted(one)[0]["value"].tolist() == one["value"].tolist()
    assert over_networks_counted(one)[1] == 1
    assert over_networks_counted(table.iloc[:0])[1] == 1


def test_a_standard_deviation_between_networks_can_be_stated():
    stated = components(sample([5] * 6)).with_networks_that_vary(0.3)
    assert (stated.network, stated.network_high) == pytest.approx((0.09, 0.09))
    assert stated.networks == 1
    assert np.isnan(components(sample([5] * 6)).network)
