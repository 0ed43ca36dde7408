"""Every test by its name, on samples whose answer is known from elsewhere."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from saliency_stats.statistics import GroupedSums, contrast_table
from saliency_stats.statistics.inference import wilcoxon_slide_means
from saliency_stats.statistics.models.mixed import fit_random_intercept
from saliency_stats.statistics.models.nested import nested_intercepts
from saliency_stats.statistics.models.robust import cluster_robust
from saliency_stats.statistics.resampling import bca_bootstrap

samples = st.builds(
    lambda n, shift, seed: np.sort(np.random.default_rng(seed).normal(shift, 1, n)),
    st.integers(4, 20),
    st.floats(-2, 2),
    st.integers(0, 2**31),
)


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
    found = contrast_table(table, "value").set_index("test")
    refused = found.index[found["status"] == "no_inference"].tolist()
    assert refused == ["mixed_satterthwaite", "mixed_kenward_roger"]
    assert found.loc[refused, "reason"].str.contains("has one row").all()
    reference = stats.ttest_1samp(table["value"], 0).pvalue
    assert found.loc[["t_slide_means", "cluster_robust"], "p_value"].to_numpy() == pytest.approx(reference)


def test_agreement_counts_the_tests_that_decide_alike():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"slide_id": np.repeat(list("abcdefghij"), 20), "value": 5 + rng.normal(size=200)})
    found = contrast_table(table, "value")
    assert (found["n_tests"] == 8).all()
    assert (found["n_agree"] == 8).all()
    few = contrast_table(table[table["slide_id"] < "f"], "value").set_index("test")
    assert few.loc["sign_flip", "p_value"] == 2 / 2**5
    decisions = few["p_value"] <= 0.05
    for test, own in decisions.items():
        assert few.loc[test, "n_agree"] == (decisions == own).sum()


@given(samples, st.sampled_from([0.05, 0.1, 0.3]))
def test_wilcoxon_is_scipys_and_its_interval_its_dual(means, alpha):
    found = wilcoxon_slide_means(means, alpha=alpha)
    assert found.p_value == pytest.approx(stats.wilcoxon(means, method="exact").pvalue)
    if np.isfinite(found.ci_low):
        assert (found.ci_low > 0 or found.ci_high < 0) == (found.p_value <= alpha)
        assert found.ci_low <= found.estimate <= found.ci_high
        for limit, outwards in ((found.ci_low, -1e-9), (found.ci_high, 1e-9)):
            assert stats.wilcoxon(means - limit - outwards, method="exact").pvalue <= alpha
    else:
        assert found.p_value > alpha or 2 / 2**means.size > alpha
        assert "units" in found.note


def test_wilcoxon_with_ties_or_many_units_uses_the_normal_ranks():
    tied = np.sort(np.concatenate([np.full(6, 0.5), np.linspace(-0.5, 2, 20)]))
    assert wilcoxon_slide_means(tied, alpha=0.05).p_value == pytest.approx(stats.wilcoxon(tied, method="approx").pvalue)
    many = np.sort(np.random.default_rng(0).normal(0.1, 1, 300))
    found = wilcoxon_slide_means(many, alpha=0.05)
    assert (found.ci_low > 0 or found.ci_high < 0) == (found.p_value <= 0.05)
    assert found.ci_high - found.ci_low == pytest.approx(2 * 1.96 * (np.pi / 3) ** 0.5 / 300**0.5, rel=0.1)


@pytest.mark.parametrize("n", [6, 15, 40])
def test_bca_is_scipys(n):
    means = np.sort(np.random.default_rng(3).exponential(size=n) - 0.6)
    reference = stats.bootstrap((means,), np.mean, n_resamples=100_000, method="BCa", rng=1, batch=5_000)
    found = bca_bootstrap(means, alpha=0.05, draws=99_999, seed=1)
    width = found.ci_high - found.ci_low
    assert found.ci_low == pytest.approx(reference.confidence_interval.low, abs=0.02 * width)
    assert found.ci_high == pytest.approx(reference.confidence_interval.high, abs=0.02 * width)


@settings(deadline=None)
@given(samples, st.sampled_from([0.05, 0.1, 0.3]), st.integers(0, 100))
def test_the_bca_interval_and_its_p_value_are_duals(means, alpha, seed):
    found = bca_bootstrap(means, alpha=alpha, draws=1_999, seed=seed)
    outside = found.ci_low > 0 or found.ci_high < 0
    assert outside == (found.p_value <= alpha * (1 + 1e-9))
    assert 0 < found.p_value <= 1
