import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import COLUMNS, TESTS, Test, contrast_table
from saliency_stats.statistics.contrasts import Sampled, inferred, sampled
from saliency_stats.statistics.inference import Inference
from saliency_stats.statistics.units import independent_units

CONTRACT = [
    *("contrast", "label", "magnification", "model", "method", "reduction"),
    *("estimate", "ci_low", "ci_high", "ratio", "test", "statistic", "df", "p_value", "p_adjusted", "family"),
    *("effect_size", "icc", "n_slides", "n_patches"),
]
#: Tests of one sample in a table that does not tell networks apart.
UNCROSSED = [name for name, test in TESTS.items() if test.one_sample and not test.of_networks]
OVER_MEANS = ["t_slide_means", "sign_flip", "cluster_bootstrap", "wilcoxon"]


def patches(seed=0, sizes=(3, 9, 5, 7, 4, 6), shift=0.3):
    rng = np.random.default_rng(seed)
    slide = np.repeat([f"slide-{i}" for i in range(len(sizes))], sizes)
    value = shift + np.repeat(rng.normal(0, 0.3, len(sizes)), sizes) + rng.normal(0, 0.5, sum(sizes))
    return pd.DataFrame({"slide_id": slide, "value": value})


def test_the_columns_are_the_contracts_and_new_ones_come_last():
    found = contrast_table(patches(), "value")
    assert list(found.columns) == list(COLUMNS)
    assert list(COLUMNS[: len(CONTRACT)]) == CONTRACT
    assert found["test"].tolist() == UNCROSSED
    assert (found[["contrast", "label", "magnification", "model", "family"]] == "").all(axis=None)
    assert found["p_adjusted"].isna().all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 12), min_size=3, max_size=12), st.floats(-1, 1))
def test_t_over_slide_means_is_scipys(seed, sizes, shift):
    table = patches(seed, sizes, shift)
    means = [table.loc[table["slide_id"] == slide, "value"].mean() for slide in table["slide_id"].unique()]
    reference = stats.ttest_1samp(means, 0)
    row = contrast_table(table, "value", tests="t_slide_means").iloc[0]
    assert row["estimate"] == pytest.approx(np.mean(means), abs=1e-12)
    assert row["ratio"] == pytest.approx(2 ** np.mean(means))
    assert row["statistic"] == pytest.approx(reference.statistic, rel=1e-10)
    assert row["p_value"] == pytest.approx(reference.pvalue, abs=1e-12)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert row["effect_size"] == pytest.approx(np.mean(means) / np.std(means, ddof=1))
    assert row["se"] * len(sizes) ** 0.5 * row["effect_size"] == pytest.approx(row["estimate"])
    assert (row["df"], row["n_slides"], row["n_units"]) == (len(sizes) - 1, len(sizes), len(sizes))
    assert row["n_patches"] == sum(sizes)


@settings(deadline=None, max_examples=25)
@given(st.randoms(use_true_random=False), st.sampled_from([6, 17]))
def test_neither_row_order_nor_slide_names_change_a_bit(random, n_slides):
    table = patches(1, tuple(range(2, 2 + n_slides))).assign(patient_id=lambda t: t["slide_id"].str[-1])
    order = list(range(len(table)))
    random.shuffle(order)
    names = table["slide_id"].unique().tolist()
    renamed = names.copy()
    random.shuffle(renamed)
    other = table.iloc[order].assign(slide_id=lambda t: t["slide_id"].map(dict(zip(names, renamed, strict=True))))
    other["patient_id"] = "patient " + other["patient_id"]
    for patient in (None, "patient_id"):
        expected = contrast_table(table, "value", patient=patient, bootstrap_draws=2_000)
        found = contrast_table(other, "value", patient=patient, bootstrap_draws=2_000)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_slide_counts_once_however_many_patches_it_has():
    table = patches()
    crowded = pd.concat([table, *[table[table["slide_id"] == "slide-0"]] * 20], ignore_index=True)
    columns = ["estimate", "ci_low", "ci_high", "p_value"]
    once, often = (contrast_table(t, "value", tests=OVER_MEANS)[columns].to_numpy() for t in (table, crowded))
    np.testing.assert_allclose(often, once, rtol=1e-9)


def test_the_patients_mean_is_the_mean_of_its_slides_means():
    table = pd.DataFrame(
        {
            "slide_id": ["a", "a", "a", "b", "c", "d", "e"],
            "patient_id": ["p", "p", "p", "p", "q", "r", "r"],
            "value": [1.0, 2.0, 3.0, 6.0, 1.0, 0.5, 1.5],
        }
    )
    row = contrast_table(table, "value", patient="patient_id").iloc[0]
    assert row["estimate"] == pytest.approx(np.mean([4.0, 1.0, 1.0]))
    assert (row["unit"], row["n_units"], row["n_slides"], row["df"]) == ("patient", 3, 5, 2)


def test_a_known_patient_is_a_unit_even_where_its_slides_are_unknown():
    table = patches().rename(columns={"slide_id": "patient_id"}).assign(slide_id="")
    row = contrast_table(table, "value", patient="patient_id").iloc[0]
    assert (row["status"], row["unit"], row["n_slides"]) == ("tested", "patient", 0)
    by_slide = contrast_table(patches(), "value").iloc[0]
    assert row["p_value"] == by_slide["p_value"]


@pytest.mark.parametrize("empty", ["", "  ", None, np.nan])
def test_one_unknown_slide_is_enough_for_no_inference(empty):
    table = patches()
    table.loc[4, "slide_id"] = empty
    found = contrast_table(table, "value")
    assert (found["status"] == "no_inference").all()
    assert found["estimate"].to_numpy() == pytest.approx(table["value"].mean())
    assert found[["p_value", "ci_low", "ci_high", "statistic", "se", "effect_size", "icc"]].isna().all(axis=None)
    assert found["reason"].str.contains("the slide of 1 of 34 patches is unknown").all()


def test_an_unknown_slide_without_a_value_does_no_harm():
    table = pd.concat([patches(), pd.DataFrame({"slide_id": [""], "value": [np.nan]})], ignore_index=True)
    row = contrast_table(table, "value").iloc[0]
    assert (row["status"], row["n_missing"], row["n_patches"]) == ("tested", 1, 34)


def test_assumed_independence_makes_every_patch_a_unit_and_says_so():
    table = patches().assign(slide_id="")
    found = contrast_table(table, "value", assume_independent=True)
    reference = stats.ttest_1samp(table["value"], 0)
    assert found.loc[0, "p_value"] == pytest.approx(reference.pvalue, abs=1e-12)
    of_means = found["test"].isin(OVER_MEANS)
    assert found.loc[of_means, "reason"].str.contains("patches are assumed to be independent").all()
    assert found.loc[found["test"].str.startswith("mixed"), "reason"].str.contains("has one row").all()
    assert (found["unit"] == "patch").all()
    assert (found["design_effect"] == 1).all()


def test_assumed_independence_does_not_override_known_slides():
    found = contrast_table(patches(), "value", assume_independent=True)
    pd.testing.assert_frame_equal(found, contrast_table(patches(), "value"))


def test_unknown_patients_give_no_inference_or_slides_by_assumption():
    table = patches().assign(patient_id="")
    assert (contrast_table(table, "value", patient="patient_id")["status"] == "no_inference").all()
    found = contrast_table(table, "value", patient="patient_id", assume_independent=True)
    assert (found["unit"] == "slide").all()
    tested = found[found["test"] != "permutation"]
    assert tested["reason"].str.contains("slides are assumed to be independent").all()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (patches(sizes=(9,)), "there is only 1 slide"),
        (patches(sizes=(9, 9)), "there are only 2 slides"),
        (patches().assign(value=0.25), "equal"),
        (patches().assign(value=lambda t: 1e-16 * np.arange(len(t))), "equal"),
        (patches().assign(value=np.nan), "no patch"),
        (patches().iloc[:0], "no patch"),
        (patches(sizes=(9,)).assign(value=[*[np.nan] * 8, 1.0]), "only 1 slide"),
        (patches().assign(patch_id=[*range(33), 7]), r"1 rows repeat a patch \(7 is one\)"),
    ],
)
def test_what_cannot_be_tested_has_a_reason_and_no_p_value(table, reason):
    found = contrast_table(table, "value")
    assert found["test"].tolist() == UNCROSSED
    assert (found["status"] == "no_inference").all()
    assert found["reason"].str.contains(reason).all()
    assert found[["p_value", "ci_low", "ci_high", "effect_size"]].isna().all(axis=None)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a", "b", "c", "d"]), st.sampled_from([np.nan, -1.0, 0.0, 0.5, 1e-13])),
        max_size=12,
    ),
    st.booleans(),
)
def test_no_table_crashes_and_a_tested_row_has_its_p_value(rows, assume):
    table = pd.DataFrame(rows, columns=["slide_id", "value"])
    found = contrast_table(table, "value", assume_independent=assume, bootstrap_draws=2_000)
    tested = found["status"] == "tested"
    assert found["p_value"].notna().equals(tested)
    assert (found.loc[~tested, "reason"] != "").all()
    assert found["status"].isin(["tested", "no_inference"]).all()


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    table = patches(sizes=(3,) * 20)
    first, again, other = (contrast_table(table, "value", seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    drawn = first.loc[first["ci_low"].sub(other["ci_low"]).abs() > 0, "test"].tolist()
    assert drawn == ["sign_flip", "cluster_bootstrap"]


@pytest.mark.parametrize(
    ("change", "kwargs", "message"),
    [
        ({}, {"value": "delta"}, "no column delta"),
        ({}, {"slide": "specimen"}, "no column specimen"),
        ({"value": "dense"}, {}, "expected numbers"),
        ({"value": np.inf}, {}, "infinite"),
        ({}, {"tests": "anova"}, "expected 'all'"),
        ({}, {"tests": []}, "expected 'all'"),
        ({}, {"alpha": 0.7}, "alpha is 0.7"),
        ({}, {"bootstrap_draws": 10}, "bootstrap_draws is 10"),
        ({}, {"min_units": 1}, "min_units is 1"),
        ({}, {"seed": -1}, "seed is -1"),
        ({"patient_id": range(34)}, {"patient": "patient_id"}, "slide slide-.* more than one patient"),
    ],
)
def test_wrong_input_is_named(change, kwargs, message):
    arguments = {"value": "value", **kwargs}
    with pytest.raises(StatisticsError, match=message):
        contrast_table(patches().assign(**change), **arguments)


def test_equivalence_takes_a_margin_and_is_statsmodels():
    table = patches(shift=0.0)
    means = table.groupby("slide_id")["value"].mean()
    expected = DescrStatsW(means).ttost_mean(-0.4, 0.4)[0]
    found = contrast_table(table, "value", margin=0.4)
    assert found["p_equivalence"].to_numpy() == pytest.approx(expected)
    assert found["skewness"].to_numpy() == pytest.approx(stats.skew(means, bias=False))
    assert contrast_table(table, "value")["p_equivalence"].isna().all()
    silent = contrast_table(table, "value", margin=0.4, min_units=7)
    assert silent[["p_equivalence", "skewness", "effect_size"]].isna().all(axis=None)
    groups = table.assign(group=table["slide_id"].isin(["slide-0", "slide-1", "slide-2"]))
    two = contrast_table(groups, "value", margin=0.4, group="group", pair=(True, False))
    assert two[["p_equivalence", "skewness", "effect_size"]].isna().all(axis=None)
    variances = groups.groupby(["group", "slide_id"])["value"].mean().groupby("group").agg(["var", "size"])
    se = np.sqrt((variances["var"] / variances["size"]).sum())
    assert two.set_index("test").loc["t_slide_means", "se"] == pytest.approx(se)
    for margin in (0.0, -0.1):
        with pytest.raises(StatisticsError, match="margin is"):
            contrast_table(table, "value", margin=margin)


def test_closed_ends_of_parameters_are_allowed():
    found = contrast_table(patches(), "value", bootstrap_draws=2_000, min_units=2, seed=0, tests="sign_flip")
    assert found["status"].tolist() == ["tested"]
    for wrong in ({"bootstrap_draws": 1_999}, {"alpha": 0.0}, {"alpha": 0.5}):
        with pytest.raises(StatisticsError, match=next(iter(wrong))):
            contrast_table(patches(), "value", **wrong)
    with pytest.raises(StatisticsError, match="expected both or neither"):
        contrast_table(patches(), "value", pair=("a", "b"))


def test_as_many_units_as_a_test_needs_are_enough_and_of_each_sample():
    enough = contrast_table(patches(), "value", min_units=6)
    assert set(enough["status"]) == {"tested"}
    assert (
        contrast_table(patches(), "value", min_units=7)["reason"]
        .eq("there are only 6 slides, and a test needs at least 7")
        .all()
    )
    groups = patches().assign(group=lambda t: t["slide_id"].isin(["slide-0", "slide-1"]))
    found = contrast_table(groups, "value", group="group", pair=(True, False))
    assert found["reason"].str.startswith("there are only 2 slides in one of the two samples (2 slides of True").all()


def test_spread_by_rounding_alone_is_none():
    for size, spread, status in (
        (1.0, 0.9e-12, "no_inference"),
        (1.0, 1.1e-11, "tested"),
        (1e3, 0.9e-9, "no_inference"),
    ):
        table = pd.DataFrame({"slide_id": list("abcd"), "value": size + spread * np.array([0, 0.2, 0.7, 1.0])})
        assert contrast_table(table, "value", tests="t_slide_means")["status"].tolist() == [status]


def test_a_patch_that_repeats_is_named_and_one_without_a_name_is_not():
    table = patches().assign(patch_id=[None, None, *(f"p{k}" for k in range(32))])
    assert contrast_table(table, "value", tests="sign_flip")["status"].tolist() == ["tested"]
    table.loc[[4, 5, 6], "patch_id"] = "p0"
    assert contrast_table(table, "value", tests="sign_flip")["reason"].tolist() == [
        "3 rows repeat a patch (p0 is one): keep one model, network, magnification and method"
    ]


def test_a_test_decides_like_another_in_the_same_direction_only():
    units = independent_units(patches(), "value")
    answers = {
        "up": (0.04, 1.0),
        "down": (0.05, -1.0),
        "also": (0.01, 2.0),
        "silent": (0.06, -3.0),
        "none": (np.nan, 1.0),
    }

    def registered(p_value, estimate):
        return lambda _units, **_: Inference(0.0, 1.0, p_value, -1.0, 1.0, estimate=estimate)

    with pytest.MonkeyPatch.context() as patch:
        for name, answer in answers.items():
            patch.setitem(TESTS, name, Test(name, name, registered(*answer)))
        found = inferred(Sampled(units, ""), list(answers), alpha=0.05, seed=0, draws=2_000).set_index("test")
    assert (found["n_tests"] == 4).all()
    assert found["n_agree"].to_dict() == {"up": 2, "down": 1, "also": 2, "silent": 1, "none": 0}
    assert found.loc["up", "ratio"] == 2


def test_patches_of_unknown_slides_are_not_taken_as_independent_unless_asked():
    table = pd.DataFrame({"value": [1.0, 2.0, 3.0, 4.0], "slide_id": ""})
    assert sampled(table, "value").units.unit == ""
    assert sampled(table, "value", assume_independent=True).units.unit == "patch"


# --- several networks ------------------------------------------------------------------------------


def several(n_networks=4, sizes=(3, 4, 5, 2, 6), seed=0):
    table = patches(seed, sizes).assign(patch_id=[f"p{k}" for k in range(sum(sizes))])
    rng = np.random.default_rng(seed)
    return pd.concat(
        [
            table.assign(network=str(k), value=table["value"] + rng.normal(0, 0.2) + rng.normal(0, 0.1, len(table)))
            for k in range(n_networks)
        ]
    )


def test_networks_are_a_row_of_their_own_and_the_others_are_of_their_mean():
    table = several()
    found = contrast_table(table, "value", network="network", bootstrap_draws=2_000).set_index("test")
    averaged = table.groupby(["patch_id", "slide_id"], as_index=False)["value"].mean()
    alone = contrast_table(averaged, "value", bootstrap_draws=2_000).set_index("test")
    assert list(found.index) == ["crossed", *alone.index]
    columns = ["estimate", "ci_low", "ci_high", "p_value", "icc", "effect_size"]
    np.testing.assert_allclose(
        found.loc[alone.index, columns].astype(float), alone[columns].astype(float), rtol=1e-9, atol=1e-12
    )
    assert (found["n_networks"] == 4).all()
    assert (alone["n_networks"] == 1).all()
    parts = found[["var_network", "var_unit", "var_interaction", "network_share"]]
    assert (parts == parts.iloc[0]).all(axis=None)
    assert (parts > 0).all(axis=None)
    assert alone[parts.columns].isna().all(axis=None)
    crossed = found.loc["crossed"]
    assert crossed["ci_low"] < crossed["estimate"] < crossed["ci_high"]
    assert crossed["p_value"] > found.loc["t_slide_means", "p_value"]
    assert (crossed["n_tests"], crossed["n_agree"]) == (1, 1)  # no other test is about networks


def test_one_network_says_that_the_others_are_unknown():
    found = contrast_table(several(1), "value", network="network", tests=["crossed", "t_slide_means"])
    assert found["status"].tolist() == ["no_inference", "tested"]
    assert found.loc[0, "reason"].startswith("one network: how much networks differ is unknown")
    assert np.isnan(found.loc[0, "p_attainable"])
    assert found.loc[1, "p_attainable"] == 0.0


def test_what_flips_and_draws_could_have_given_is_said():
    found = contrast_table(patches(), "value", bootstrap_draws=2_000).set_index("test")["p_attainable"]
    assert found[["t_slide_means", "sign_flip", "wilcoxon", "cluster_robust"]].tolist() == [0, 2**-5, 2**-5, 0]
    assert found["cluster_bootstrap"] == 2 / 2_001
    sample = sampled(patches(), "value")
    together = inferred(sample, ["sign_flip"], alpha=0.05, seed=0, draws=2_000, n_together=3)
    assert together["p_attainable"].tolist() == [3 * 2**-5]
    many = inferred(sample, ["sign_flip"], alpha=0.05, seed=0, draws=2_000, n_together=99)
    assert many["p_attainable"].tolist() == [1.0]


def test_a_missing_column_of_networks_is_named():
    with pytest.raises(StatisticsError, match="table: no column network"):
        contrast_table(patches(), "value", network="network")
