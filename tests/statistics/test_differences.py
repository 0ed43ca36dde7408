import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import clustering, contrast_table
from saliency_stats.statistics.differences import group_difference

PAIR = ("malignant", "benign")


def patches(*, slides=8, paired=True, seed=0, effect=0.4):
    rng = np.random.default_rng(seed)
    rows = []
    for slide in range(slides):
        shared = rng.normal(0, 0.5)
        for label in PAIR if paired else (PAIR[slide % 2],):
            n = int(rng.integers(2, 9))
            value = shared + effect * (label == "malignant") + rng.normal(0, 0.3, n)
            rows.append(pd.DataFrame({"slide_id": f"s{slide}", "label": label, "value": value}))
    return pd.concat(rows, ignore_index=True)


def table_of(table, **kwargs):
    return contrast_table(table, "value", group="label", pair=PAIR, **kwargs).set_index("test")


def test_slides_with_both_groups_are_compared_with_themselves():
    table = patches()
    means = table.pivot_table(index="slide_id", columns="label", values="value")
    reference = stats.ttest_rel(means["malignant"], means["benign"])
    row = table_of(table).loc["t_slide_means"]
    assert row["p_value"] == pytest.approx(reference.pvalue)
    assert row["statistic"] == pytest.approx(reference.statistic)
    assert row["estimate"] == pytest.approx((means["malignant"] - means["benign"]).mean())
    assert "each slide compared with itself" in row["reason"]
    assert row["n_units"] == 8


def test_different_slides_are_two_samples_and_tests_that_need_pairs_say_no():
    table = patches(paired=False, slides=11)
    means = table.groupby(["label", "slide_id"])["value"].mean()
    reference = stats.ttest_ind(means["malignant"], means["benign"], equal_var=False)
    found = table_of(table)
    row = found.loc["t_slide_means"]
    assert (row["p_value"], row["df"]) == pytest.approx((reference.pvalue, reference.df))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert row["n_units"] == 11
    assert "6 slides of malignant compared with 5 others of benign" in row["reason"]
    for test in ("sign_flip", "cluster_bootstrap", "wilcoxon"):
        assert found.loc[test, "status"] == "no_inference"
        assert "with themselves" in found.loc[test, "reason"]
    assert (found.loc[["mixed_satterthwaite", "mixed_kenward_roger", "cluster_robust"], "status"] == "tested").all()


def test_the_models_see_the_difference_whether_paired_or_not():
    for paired in (True, False):
        found = table_of(patches(paired=paired, slides=40, effect=0.7, seed=3))
        for test in ("mixed_satterthwaite", "mixed_kenward_roger", "cluster_robust"):
            row = found.loc[test]
            assert row["ci_low"] < 0.7 < row["ci_high"]
            assert row["p_value"] < 0.01


def test_the_majority_decides_and_what_is_left_out_is_counted():
    mostly = patches(slides=8)
    single = patches(slides=9, seed=5).query("slide_id == 's8' and label == 'benign'")
    units = group_difference(pd.concat([mostly, single]), "value", "label", PAIR)
    assert (units.means.size, units.others) == (8, None)
    assert "1 with patches of one group only left out" in units.reason
    few = pd.concat([patches(slides=10, paired=False), patches(slides=1, seed=9).assign(slide_id="both")])
    units = group_difference(few, "value", "label", PAIR)
    assert (units.means.size, units.others.size) == (5, 5)
    assert "1 with both left out" in units.reason


def test_neither_order_nor_names_change_a_bit():
    table = patches()
    other = table.sample(frac=1, random_state=3).assign(slide_id=lambda t: "x" + t["slide_id"].str[::-1])
    found, again = (table_of(t, bootstrap_draws=2_000) for t in (table, other))
    pd.testing.assert_frame_equal(found, again, check_exact=True)


def test_patients_are_compared_with_themselves_through_the_means_of_their_slides():
    table = patches(slides=9).assign(patient_id=lambda t: "p" + (t["slide_id"].str[1:].astype(int) // 2).astype(str))
    slide_means = table.groupby(["patient_id", "slide_id", "label"])["value"].mean()
    means = slide_means.groupby(["patient_id", "label"]).mean().reset_index()
    means = means.pivot_table(index="patient_id", columns="label", values="value")
    row = table_of(table, patient="patient_id").loc["t_slide_means"]
    assert row["p_value"] == pytest.approx(stats.ttest_rel(means["malignant"], means["benign"]).pvalue)
    assert row["unit"] == "patient"


@pytest.mark.parametrize("label", PAIR)
def test_one_group_alone_is_no_difference(label):
    found = table_of(patches().query("label == @label"))
    absent = PAIR[label == "malignant"]
    assert found["reason"].str.contains(f"no patch of {absent} has a value").all()
    assert found["estimate"].isna().all()


def test_unknown_slides_give_an_estimate_and_no_inference():
    table = patches().assign(slide_id="")
    found = table_of(table)
    means = table.groupby("label")["value"].mean()
    assert found["estimate"].to_numpy() == pytest.approx(means["malignant"] - means["benign"])
    assert (found["status"] == "no_inference").all()


def test_wrong_questions_are_refused():
    with pytest.raises(StatisticsError, match="compared with itself"):
        contrast_table(patches(), "value", group="label", pair=("benign", "benign"))
    with pytest.raises(StatisticsError, match="expected both or neither"):
        contrast_table(patches(), "value", group="label")
    with pytest.raises(StatisticsError, match="no column side"):
        contrast_table(patches(), "value", group="side", pair=PAIR)


def rows_of(both=0, first=0, second=0):
    """Return one patch of each group for some slides, and of one group for others, with values that tell them apart."""
    rows = [(f"b{k}", label, 10.0 * (label == "malignant") + k) for k in range(both) for label in PAIR]
    rows += [(f"m{k}", "malignant", 30.0 + k) for k in range(first)]
    rows += [(f"n{k}", "benign", 5.0 + k) for k in range(second)]
    return pd.DataFrame(rows, columns=["slide_id", "label", "value"])


@pytest.mark.parametrize(
    ("sizes", "means", "others", "reason"),
    [
        (
            (2, 1, 1),
            [10, 10],
            None,
            "each slide compared with itself; 2 with patches of one group only left out of the",
        ),
        ((1, 1, 1), [30], [5], "1 slides of malignant compared with 1 others of benign; 1 with both left out of the"),
        ((1, 0, 5), [10], None, "each slide compared with itself; 5 with patches of one group only left out"),
        ((1, 5, 0), [10], None, "each slide compared with itself; 5 with patches of one group only left out"),
        ((0, 2, 3), [30, 31], [5, 6, 7], "2 slides of malignant compared with 3 others of benign"),
        ((3, 0, 0), [10, 10, 10], None, "each slide compared with itself"),
    ],
)
def test_which_slides_are_compared(sizes, means, others, reason):
    found = group_difference(rows_of(*sizes), "value", "label", PAIR)
    assert found.means.tolist() == means
    assert (None if found.others is None else found.others.tolist()) == others
    assert found.reason.startswith(reason)
    assert ("left out" in found.reason) == ("left out" in reason)
    assert found.estimate == np.mean(means) - (np.mean(others) if others else 0)
    assert found.n == len(means) + len(others or [])
    assert found.weights == (0.0, 1.0)
    assert found.sums.n == found.n_patches == 2 * sizes[0] + sizes[1] + sizes[2]


def test_the_clustering_is_that_about_the_groups_means():
    table = rows_of(both=4)
    table["value"] += np.arange(len(table)) % 3
    found = group_difference(table, "value", "label", PAIR)
    centred = table["value"] - table.groupby("label")["value"].transform("mean")
    codes = pd.factorize(table["slide_id"])[0]
    assert found.clustering.icc == pytest.approx(clustering(centred.to_numpy(), codes).icc)
    assert found.clustering.n0 == 2


# --- several networks ------------------------------------------------------------------------------


def networks_of(table, shifts):
    """Repeat a table for every network, whose difference between the groups is moved."""
    table = table.assign(patch_id=[f"p{k}" for k in range(len(table))])
    moved = (table["label"] == PAIR[0]).astype(float)
    return pd.concat(
        [table.assign(network=str(k), value=table["value"] + shift * moved) for k, shift in enumerate(shifts)]
    )


def test_networks_differ_within_units_that_have_both_groups():
    table = patches(slides=4)
    found = group_difference(networks_of(table, (0.0, 0.5, 1.0)), "value", "label", PAIR, network="network")
    plain = group_difference(table, "value", "label", PAIR)
    assert (found.n_networks, plain.n_networks, plain.cells) == (3, 0, None)
    np.testing.assert_allclose(found.means, plain.means + 0.5)
    assert found.n_patches == plain.n_patches == len(table)
    expected = np.sort((plain.means + np.array([0.0, 0.5, 1.0])[:, None]).ravel())
    np.testing.assert_allclose(np.sort(found.cells.means.ravel()), expected)
    row = table_of(networks_of(table, (0.0, 0.5, 1.0)), network="network").loc["crossed"]
    assert row["estimate"] == pytest.approx(plain.means.mean() + 0.5)
    assert row["n_networks"] == 3
    assert row["var_network"] == pytest.approx(0.25)


def test_a_network_that_judged_one_group_only_has_no_difference_there():
    table = networks_of(patches(slides=4), (0.0, 0.5))
    gone = (table["network"] == "1") & (table["slide_id"] == "s0") & (table["label"] == "benign")
    cells = group_difference(table[~gone], "value", "label", PAIR, network="network").cells
    assert sorted(cells.counts.ravel().tolist()) == [0, *[1] * 7]


def test_two_samples_of_different_units_have_no_cells():
    table = networks_of(patches(paired=False, slides=8), (0.0, 0.5))
    found = group_difference(table, "value", "label", PAIR, network="network")
    assert found.others is not None
    assert (found.cells, found.n_networks) == (None, 2)
    row = table_of(table, network="network").loc["crossed"]
    assert (row["status"], row["n_networks"]) == ("no_inference", 2)
    unknown = group_difference(table.assign(slide_id=""), "value", "label", PAIR, network="network")
    assert (unknown.cells, unknown.unit) == (None, "")
