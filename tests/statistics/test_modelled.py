"""Tests that see the patches: they are the models' own, over slides or patients."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.statistics import TESTS, GroupedSums, contrast_table, modelled
from saliency_stats.statistics.differences import group_difference
from saliency_stats.statistics.models.gee import estimating_equations
from saliency_stats.statistics.models.mixed import fit_random_intercept
from saliency_stats.statistics.models.nested import nested_intercepts
from saliency_stats.statistics.models.robust import cluster_robust
from saliency_stats.statistics.models.slopes import slopes_by_slide
from saliency_stats.statistics.registry import infer
from saliency_stats.statistics.units import independent_units


def patches(seed=0, sizes=(3, 9, 5, 7, 4, 6)):
    rng = np.random.default_rng(seed)
    slide = np.repeat(np.arange(len(sizes)), sizes)
    value = 0.3 + rng.normal(0, 0.5, len(sizes))[slide] + rng.normal(0, 0.5, sum(sizes))
    names = pd.Series(slide).map("s{}".format)
    return pd.DataFrame({"slide_id": names, "patient_id": pd.Series(slide // 2).map("p{}".format), "value": value})


@pytest.mark.parametrize("test", ["mixed_satterthwaite", "mixed_kenward_roger"])
def test_the_mixed_rows_are_the_models(test):
    table = patches()
    sums = GroupedSums.from_rows(table["value"].to_numpy(), np.ones((len(table), 1)), table["slide_id"].to_numpy())
    expected = fit_random_intercept(sums).test(np.ones(1), df=test.removeprefix("mixed_"))
    row = contrast_table(table, "value", tests=test).iloc[0]
    for name in ("estimate", "se", "df", "statistic", "p_value", "ci_low", "ci_high"):
        assert row[name] == pytest.approx(getattr(expected, name), rel=1e-8)


def test_a_model_is_fitted_once_for_all_its_tests_and_levels(monkeypatch):
    fits = []
    monkeypatch.setattr(modelled, "fit_random_intercept", lambda sums: fits.append(sums) or fit_random_intercept(sums))
    one, other = (independent_units(patches(seed), "value") for seed in (0, 1))
    how = {"draws": 1000, "seed": 0}
    wide, narrow = (infer("mixed_satterthwaite", one, alpha=alpha, **how) for alpha in (0.01, 0.2))
    infer("mixed_kenward_roger", one, alpha=0.05, **how)
    assert len(fits) == 1
    assert wide.ci_low < narrow.ci_low < narrow.ci_high < wide.ci_high
    assert infer("mixed_satterthwaite", other, alpha=0.2, **how) != narrow
    assert len(fits) == 2
    # a sample is kept no longer than it is used
    kept = len(modelled._FITS)
    del one, other
    assert len(modelled._FITS) == kept - 2


def test_patients_with_several_slides_are_a_nested_model():
    table = patches()
    sums = GroupedSums.from_rows(table["value"].to_numpy(), np.ones((len(table), 1)), table["slide_id"].to_numpy())
    patients = [f"p{int(name[1:]) // 2}" for name in sums.groups]
    expected = nested_intercepts(sums, np.array(patients)).test(np.ones(1))
    row = contrast_table(table, "value", patient="patient_id", tests="mixed_satterthwaite").iloc[0]
    assert (row["estimate"], row["se"], row["df"]) == pytest.approx((expected.estimate, expected.se, expected.df), 1e-6)
    by_patient = sums.regrouped(np.array(patients))
    expected = cluster_robust(by_patient).test(np.ones(1))
    row = contrast_table(table, "value", patient="patient_id", tests="cluster_robust").iloc[0]
    assert (row["p_value"], row["df"]) == pytest.approx((expected.p_value, expected.df))


def test_a_variance_at_zero_is_said():
    table = patches()
    means = table.groupby("slide_id")["value"].transform("mean")
    table["value"] = table["value"] - means + 0.01 * means
    row = contrast_table(table, "value", tests="mixed_satterthwaite").iloc[0]
    assert row["status"] == "tested"
    assert "no variance between slides" in row["reason"]


def test_one_patch_in_each_slide_leaves_the_tests_on_means():
    table = patches(sizes=(1,) * 8)
    found = contrast_table(table, "value").drop(index=list(TESTS).index("permutation")).set_index("test")
    refused = found.index[found["status"] == "no_inference"].tolist()
    assert refused == ["mixed_satterthwaite", "mixed_kenward_roger"]
    assert found.loc[refused, "reason"].str.contains("has one row").all()
    reference = stats.ttest_1samp(table["value"], 0).pvalue
    assert found.loc[["t_slide_means", "cluster_robust", "cluster_jackknife"], "p_value"].to_numpy() == pytest.approx(
        reference
    )


def test_estimating_equations_are_over_the_units():
    table = patches()
    sums = GroupedSums.from_rows(table["value"].to_numpy(), np.ones((len(table), 1)), table["slide_id"].to_numpy())
    for patient, groups in ((None, sums), ("patient_id", sums.regrouped([f"p{int(n[1:]) // 2}" for n in sums.groups]))):
        expected = estimating_equations(groups).test(np.ones(1), alpha=0.1)
        row = contrast_table(table, "value", patient=patient, tests="gee_bias_reduced", alpha=0.1).iloc[0]
        for name in ("estimate", "se", "df", "statistic", "p_value", "ci_low", "ci_high"):
            assert row[name] == pytest.approx(getattr(expected, name), rel=1e-8)
        assert row["df"] == row["n_units"] - 1


@pytest.mark.parametrize("test", ["mixed_satterthwaite", "cluster_robust", "cluster_jackknife", "gee_bias_reduced"])
def test_units_without_their_patches_are_no_model(test):
    units = dataclasses.replace(independent_units(patches(), "value"), sums=None)
    found = infer(test, units, alpha=0.05, draws=2_000, seed=0)
    assert found.note == "the patches of the units are not known"


def test_a_difference_is_the_second_coefficient():
    table = patches().assign(group=lambda t: np.where(np.arange(len(t)) % 2, "a", "b"))
    units = group_difference(table, "value", "group", ("a", "b"))
    x = np.column_stack([np.ones(len(table)), table["group"] == "a"])
    sums = GroupedSums.from_rows(table["value"].to_numpy(), x, table["slide_id"].to_numpy())
    weights = np.array([0.0, 1.0])
    for test, expected in (
        ("mixed_satterthwaite", slopes_by_slide(sums).test(weights)),
        ("mixed_kenward_roger", slopes_by_slide(sums).test(weights, df="kenward_roger")),
        ("cluster_robust", cluster_robust(sums).test(weights)),
        ("cluster_jackknife", cluster_robust(sums, jackknife=True).test(weights)),
        ("gee_bias_reduced", estimating_equations(sums).test(weights)),
    ):
        found = infer(test, units, alpha=0.05, draws=2_000, seed=0)
        assert (found.estimate, found.se, found.df) == pytest.approx((expected.estimate, expected.se, expected.df))


def two_groups(seed, *, slides=10, both=10, slope=0.7):
    """Return patches of two groups whose difference varies by slide; after ``both`` slides there is one group each."""
    rng = np.random.default_rng(seed)
    rows = []
    for slide in range(slides):
        by = rng.normal(0, 0.5), rng.normal(0, slope)
        for k in (0, 1) if slide < both else (slide % 2,):
            value = by[0] + k * by[1] + rng.normal(size=8)
            rows.append(pd.DataFrame({"slide_id": f"s{slide:02d}", "group": "ab"[k], "value": value}))
    return pd.concat(rows, ignore_index=True)


def test_slides_that_differ_in_the_difference_are_not_counted_as_patches():
    found = {"mixed_satterthwaite": 0, "mixed_kenward_roger": 0, "intercept alone": 0}
    for seed in range(60):
        units = group_difference(two_groups(seed, slope=1.5), "value", "group", ("b", "a"))
        for test in ("mixed_satterthwaite", "mixed_kenward_roger"):
            found[test] += infer(test, units, alpha=0.05, draws=2_000, seed=0).p_value <= 0.05
        found["intercept alone"] += fit_random_intercept(units.sums).test(np.array([0.0, 1.0])).p_value <= 0.05
    assert max(found["mixed_satterthwaite"], found["mixed_kenward_roger"]) <= 7  # 3 expected
    assert found["intercept alone"] >= 12


def test_where_one_slide_at_most_has_both_groups_there_is_an_intercept_alone():
    for both, slopes in ((0, False), (1, False), (2, True)):
        units = group_difference(two_groups(1, both=both), "value", "group", ("b", "a"))
        fit = slopes_by_slide(units.sums) if slopes else fit_random_intercept(units.sums)
        expected = fit.test(np.array([0.0, 1.0]))
        found = infer("mixed_satterthwaite", units, alpha=0.05, draws=2_000, seed=0)
        assert (found.p_value, found.df) == pytest.approx((expected.p_value, expected.df))


def test_slopes_are_those_of_patients_where_these_are_the_units():
    table = two_groups(2).assign(patient_id=lambda t: "p" + (t["slide_id"].str[1:].astype(int) // 2).astype(str))
    units = group_difference(table, "value", "group", ("b", "a"), patient="patient_id")
    expected = slopes_by_slide(units.sums.regrouped(units.owners)).test(np.array([0.0, 1.0]))
    found = infer("mixed_satterthwaite", units, alpha=0.05, draws=2_000, seed=0)
    assert (found.p_value, found.se) == pytest.approx((expected.p_value, expected.se))
    flat = table.assign(value=lambda t: t["value"] - t.groupby(["patient_id", "group"])["value"].transform("mean"))
    units = group_difference(flat, "value", "group", ("b", "a"), patient="patient_id")
    found = infer("mixed_satterthwaite", units, alpha=0.05, draws=2_000, seed=0)
    assert found.note == "the model finds no variance between patients"
