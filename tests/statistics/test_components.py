"""Variances between and within slides: the analysis of variance where it is exact, and the limit's coverage."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.components import LIMIT_LEVEL, variance_components
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.units import independent_units


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
    assert found.of_slide_means(m) == pytest.approx(of_means)


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
