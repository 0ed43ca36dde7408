"""Specifications: one is the study's own contrast, and the summary counts what was planted."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import (
    StatisticsParameters,
    contrast_table,
    patch_values,
    primary_population,
    restrict,
)
from saliency_stats.statistics import multiverse as module
from saliency_stats.statistics.multiverse import (
    DIMENSIONS,
    MULTIVERSE_COLUMNS,
    SUMMARY_COLUMNS,
    Specification,
    choices_that_matter,
    multiverse_summary,
    multiverse_table,
)
from saliency_stats.statistics.specification import curve_test
from saliency_stats.vocabulary import LABELS

SETTINGS = StatisticsParameters(bootstrap_draws=2_000, min_confidence=0.9)
USUAL = Specification("gradient", "l2")
IDENTITY = ["patch_id", "slide_id", "patient_id", "label", "split", "magnification", "model"]
LEVELS = {
    "method": ("gradient", "occlusion"),
    "reduction": ("l2", "max"),
    "segmentation": ("usual", "band1um"),
}


def shares_of(ledger, effect=lambda **_: 0.0, levels=LEVELS):
    """Shares of the trained model's ledger, the cytoplasm's raised by an effect (log2) of the choices."""
    rows = ledger[ledger["model"] == "trained"]
    wide = rows.pivot_table(index=IDENTITY, columns="compartment", values=["area_share", "mass_share"]).reset_index()
    base = wide[IDENTITY].droplevel(1, axis=1)
    for short, name in (("area", "area_share"), ("mass", "mass_share")):
        for compartment in ("nucleus", "cytoplasm"):
            base[f"{short}_{compartment}"] = wide[name, compartment]
    rng = np.random.default_rng(0)
    noise = {key: rng.normal(0, 0.01, len(base)) for key in product(*levels.values())}
    parts = []
    for values in product(*levels.values()):
        choice = dict(zip(levels, values, strict=True))
        exponent = effect(**choice) + (0 if values == ("gradient", "l2", "usual") else noise[values])
        parts.append(base.assign(**choice, cytoplasm_um=5.0, mass_cytoplasm=base["mass_cytoplasm"] * 2.0**exponent))
    return pd.concat(parts, ignore_index=True)


def table_of(
    shares, predictions, *, settings=SETTINGS, min_confidences=(0.9, 0.93), min_area=0.02, usual=USUAL, **more
):
    return multiverse_table(
        shares, predictions, settings=settings, min_confidences=min_confidences, min_area=min_area, usual=usual, **more
    )


@pytest.mark.parametrize("primary_test", ["sign_flip", "t_slide_means"])
@pytest.mark.parametrize("unit", ["slide", "patient"])
def test_the_usual_specification_is_the_studys_own_contrast(make_study, primary_test, unit):
    ledger, predictions = make_study(planted="cytoplasm", effect=0.3, n_slides=12)
    settings = replace(SETTINGS, primary_test=primary_test, unit=unit)
    values = patch_values(restrict(ledger, primary_population(predictions, min_confidence=0.9).patches))
    values = values[(values["contrast"] == "cytoplasm_vs_nucleus") & (values["model"] == "trained")]
    patient = "patient_id" if unit == "patient" else None
    found = table_of(shares_of(ledger), predictions, settings=settings)
    found = found[found["usual"]]
    assert found["label"].tolist() == list(LABELS)
    for _, row in found.iterrows():
        sample = values[values["label"] == row["label"]]
        own = contrast_table(sample, "value", patient=patient, tests=primary_test, bootstrap_draws=2_000).iloc[0]
        for name in ("estimate", "ci_low", "ci_high", "p_value", "n_slides", "n_patches", "n_missing"):
            assert row[name] == pytest.approx(own[name], rel=0, abs=1e-12)
    assert found["test"].tolist() == [primary_test] * 2


def test_every_specification_is_tested_on_its_own_patches(make_study):
    ledger, predictions = make_study(n_slides=7)
    shares = shares_of(ledger, lambda method, **_: 0.4 * (method == "occlusion"))
    table = table_of(shares, predictions)
    assert list(table.columns) == list(MULTIVERSE_COLUMNS)
    assert len(table) == 2 * 2**3 * 2
    assert table["usual"].sum() == 2
    row = table[(table["method"] == "occlusion") & (table["min_confidence"] == 0.93)].iloc[-1]
    sure = predictions[
        (predictions["model"] == "trained")
        & (
            predictions["p_malignant"].where(predictions["predicted"] == "malignant", 1 - predictions["p_malignant"])
            >= 0.93
        )
    ]
    sample = shares[shares["patch_id"].isin(sure["patch_id"])]
    for name in ("label", "method", "reduction", "segmentation"):
        sample = sample[sample[name] == row[name]]
    sample = sample.assign(
        value=np.log2(
            sample["mass_cytoplasm"] / sample["area_cytoplasm"] / (sample["mass_nucleus"] / sample["area_nucleus"])
        )
    )
    expected = contrast_table(sample, "value", tests="sign_flip", bootstrap_draws=2_000).iloc[0]
    for name in ("estimate", "ci_low", "ci_high", "p_value", "n_patches"):
        assert row[name] == pytest.approx(expected[name], abs=1e-12)
    assert row["n_patches"] < 56


def test_a_constant_effect_is_agreed_on_by_all(make_study):
    ledger, predictions = make_study(planted="cytoplasm", effect=1.5, n_slides=8)
    summary = multiverse_summary(table_of(shares_of(ledger), predictions))
    assert list(summary.columns) == list(SUMMARY_COLUMNS)
    assert (summary["share_above"] == 1).all()
    assert (summary["share_above_significant"] == 1).all()
    assert (summary["share_below_significant"] == 0).all()
    whole = summary[(summary["dimension"] == "all") & (summary["method"] == "all")]
    assert whole["n_specifications"].tolist() == whole["n_tested"].tolist() == [16, 16]
    assert whole["n_distinct"].tolist() == [16, 16]  # no choice of all multiplies rows
    rows = summary.groupby(["dimension", "method"]).size().to_dict()
    of_levels = {(name, "all"): 4 for name in ("reduction", "segmentation", "min_confidence")}
    assert rows == {("all", "all"): 2, ("all", "gradient"): 2, ("all", "occlusion"): 2, **of_levels}
    assert np.allclose(whole["median"], 1.5, atol=0.3)


def test_a_sign_that_hangs_on_the_method_is_seen(make_study):
    ledger, predictions = make_study(slide_sd=0.05, n_slides=8)
    summary = multiverse_summary(
        table_of(shares_of(ledger, lambda method, **_: -1.0 if method == "occlusion" else 1.0), predictions)
    ).set_index(["label", "dimension", "level", "method"])
    for label in LABELS:
        whole = summary.loc[(label, "all", "", "all")]
        assert whole[["share_above", "share_above_significant", "share_below_significant"]].tolist() == [0.5] * 3
        assert whole["minimum"] < -0.8 < 0.8 < whole["maximum"]
        assert summary.loc[(label, "all", "", "gradient"), "share_above"] == 1
        assert summary.loc[(label, "all", "", "occlusion"), "share_above"] == 0
        assert summary.loc[(label, "all", "", "occlusion"), "median"] < -0.8
        assert summary.loc[(label, "reduction", "max", "all"), "share_above"] == 0.5
        assert summary.loc[(label, "min_confidence", "0.93", "all"), "n_specifications"] == 8
        # each method has a curve and a test of its own, and there is none over methods
        assert summary.loc[(label, "all", "", "gradient"), ["direction", "n_true_low"]].tolist() == ["above", 8]
        assert summary.loc[(label, "all", "", "occlusion"), ["direction", "n_true_low"]].tolist() == ["below", 8]
        assert whole[["direction", "curve_reason"]].tolist() == ["", ""]
        assert whole[["p_global", "p_attainable", "n_true_low"]].isna().all()


def test_the_order_of_the_rows_changes_no_bit(make_study):
    ledger, predictions = make_study(magnifications=(10.0, 20.0))
    shares = shares_of(ledger)
    first = table_of(shares, predictions)
    second = table_of(shares.sample(frac=1, random_state=1), predictions.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    pd.testing.assert_frame_equal(multiverse_summary(first), multiverse_summary(second.iloc[::-1]), check_exact=True)


def test_the_studys_own_confidence_is_always_among_them(make_study):
    ledger, predictions = make_study()
    table = table_of(shares_of(ledger), predictions, min_confidences=(0.93,))
    assert sorted(table["min_confidence"].unique()) == [0.9, 0.93]


def test_without_slides_there_are_estimates_only(make_study):
    ledger, predictions = make_study()
    table = table_of(shares_of(ledger).assign(slide_id="", patient_id=""), predictions)
    assert table["estimate"].notna().all()
    assert table[["ci_low", "ci_high", "p_value"]].isna().all(axis=None)
    assert set(table["status"]) == {"no_inference"}
    assert table["reason"].str.contains("slides of the patches are unknown").all()
    summary = multiverse_summary(table)
    assert (summary["n_tested"] == 0).all()
    assert summary["share_above"].notna().all()
    assert summary["share_above_significant"].isna().all()


def test_a_classifier_at_chance_has_no_finding(make_study):
    ledger, predictions = make_study()
    table = table_of(shares_of(ledger), predictions, learned={20.0: False})
    assert set(table["status"]) == {"not_interpretable"}
    assert table["p_value"].isna().all()
    assert not table["significant"].any()


def test_missing_compartments_are_counted_and_a_specification_may_have_no_patch(make_study):
    ledger, predictions = make_study()
    shares = shares_of(ledger)
    small = shares["patch_id"].isin(["benign-0", "benign-1"])
    shares.loc[small, "area_nucleus"] = 0.019
    silent = shares["patch_id"] == "benign-2"
    shares.loc[silent, ["mass_nucleus", "mass_cytoplasm"]] = np.nan
    shares.loc[shares["patch_id"] == "benign-3", "mass_nucleus"] = 0.0
    table = table_of(shares, predictions, min_confidences=(0.9, 0.9999))
    benign = table[(table["label"] == "benign") & (table["min_confidence"] == 0.9)]
    assert (benign["n_missing"] == 4).all()
    assert (benign["n_patches"] == 44).all()
    none = table[table["min_confidence"] == 0.9999]
    assert (none["n_patches"] == 0).all()
    assert none["estimate"].isna().all()
    assert none["reason"].str.contains("no patch").all()
    summary = multiverse_summary(table)
    assert (summary.loc[summary["level"] == "0.9999", "n_tested"] == 0).all()


def test_a_curve_is_the_test_of_its_distinct_specifications_together(make_study):
    ledger, predictions = make_study(planted="cytoplasm", effect=0.25, n_slides=8, n_per_slide=6)
    shares = shares_of(ledger, lambda method, **_: 0.3 * (method == "occlusion"))
    table = table_of(shares, predictions, min_confidences=(0.9, 0.905))  # no patch lies between the two
    for (label, method), rows in table.groupby(["label", "method"]):
        own = shares[(shares["label"] == label) & (shares["method"] == method)].copy()
        own["value"] = np.log2(
            own["mass_cytoplasm"] / own["area_cytoplasm"] / own["mass_nucleus"] * own["area_nucleus"]
        )
        means = own.groupby(["reduction", "segmentation", "slide_id"])["value"].mean().unstack("slide_id")  # noqa: PD010 - a level
        expected = curve_test(means.to_numpy(), alpha=0.05, draws=2_000, seed=0)
        assert len(rows) == 2 * len(means) == 8
        assert rows["p_global"].tolist() == [expected.p_global] * 8
        assert rows["n_true_low"].tolist() == [expected.n_true_low] * 8
        assert rows["p_attainable"].tolist() == [2.0**-7] * 8
        assert set(rows["direction"]) == {"above"}
        adjusted = rows[rows["min_confidence"] == 0.9].set_index(["reduction", "segmentation"])["p_max_t"]
        assert adjusted.to_dict() == dict(zip(means.index, expected.p_max_t, strict=True))
        assert (rows["p_max_t"] >= rows["p_value"]).all()
    summary = multiverse_summary(table)
    curves = summary[(summary["dimension"] == "all") & (summary["method"] != "all")]
    assert curves["n_specifications"].tolist() == [8] * 4
    assert curves["n_distinct"].tolist() == curves["n_tested"].tolist() == [4] * 4
    columns = ["label", "method", "p_global", "p_attainable", "direction", "n_true_low", "curve_reason"]
    once = table.drop_duplicates(["label", "method"])
    assert curves[columns].to_numpy().tolist() == once[columns].to_numpy().tolist()


def test_an_axis_that_changes_nothing_is_no_axis(make_study):
    ledger, predictions = make_study()
    shares = shares_of(ledger)
    table = table_of(shares, predictions, min_confidences=(0.9, 0.905))
    assert choices_that_matter(table) == ("reduction", "segmentation")
    assert set(multiverse_summary(table)["dimension"]) == {"all", "reduction", "segmentation"}
    # one specification that it changes makes it one
    every = ("reduction", "segmentation", "min_confidence")
    assert choices_that_matter(table_of(shares, predictions, min_confidences=(0.9, 0.93))) == every
    one = table_of(shares[shares["method"] == "gradient"], predictions, min_confidences=(0.9, 0.905))
    assert choices_that_matter(one) == ("reduction", "segmentation")


def test_a_baseline_is_a_choice_of_the_methods_that_have_one(make_study):
    ledger, predictions = make_study(slide_sd=0.05, n_slides=8)
    shares = shares_of(ledger, lambda method, **_: 0.6 if method == "gradient" else 1.0)
    of_one = shares["method"] == "occlusion"
    shares = shares.assign(baseline=np.where(of_one, "white", ""))
    blurred = shares[of_one].assign(baseline="blur", mass_cytoplasm=shares["mass_cytoplasm"] / 4)
    shares = pd.concat([shares, blurred], ignore_index=True)
    table = table_of(shares, predictions, usual=Specification("occlusion", "l2", baseline="white"))
    assert list(table.columns) == [*MULTIVERSE_COLUMNS, "baseline"]
    assert table.groupby(["method", "baseline"]).size().to_dict() == {
        ("gradient", ""): 16,
        ("occlusion", "blur"): 16,
        ("occlusion", "white"): 16,
    }
    own = table[table["usual"]]
    assert own[["method", "baseline", "segmentation"]].to_numpy().tolist() == [["occlusion", "white", "usual"]] * 2
    # one curve for a method, whatever it starts from
    assert len(table[["label", "method", "p_global"]].drop_duplicates()) == 4
    assert choices_that_matter(table) == DIMENSIONS[1:]
    assert choices_that_matter(table[table["method"] == "gradient"]) == DIMENSIONS[2:]
    summary = multiverse_summary(table)
    found = summary[summary["dimension"] == "baseline"]
    assert found[["level", "n_specifications"]].to_numpy().tolist() == [["blur", 8], ["white", 8]] * 2
    assert (found["median"] > 0).tolist() == [False, True] * 2
    whole = summary[(summary["dimension"] == "all") & (summary["method"] == "occlusion")]
    assert whole["n_specifications"].tolist() == [16, 16]
    assert whole["share_above"].tolist() == [0.5, 0.5]
    with pytest.raises(StatisticsError, match="the usual baseline is 'mean', but there are only , blur, white"):
        table_of(shares, predictions, usual=Specification("occlusion", "l2", baseline="mean"))


def test_shares_are_of_distinct_specifications(make_study):
    ledger, predictions = make_study()
    table = table_of(shares_of(ledger), predictions, min_confidences=(0.9,)).query("method == 'gradient'")
    table = table.assign(estimate=[-1.0, 1.0, 1.0, 1.0] * 2)
    again = table.assign(min_confidence=0.905)[table["estimate"] > 0]
    summary = multiverse_summary(pd.concat([table, again]))
    whole = summary[(summary["dimension"] == "all") & (summary["method"] == "all")]
    assert whole["n_specifications"].tolist() == [7, 7]
    assert whole["n_distinct"].tolist() == [4, 4]
    assert whole["share_above"].tolist() == [0.75, 0.75]


def test_a_slide_may_be_missing_from_some_specifications(make_study):
    ledger, predictions = make_study(planted="cytoplasm", effect=1.0, n_slides=8)
    shares = shares_of(ledger)
    gone = (shares["slide_id"] == "benign-slide-3") & (shares["segmentation"] == "band1um")
    shares.loc[gone, "area_nucleus"] = 0.0
    table = table_of(shares, predictions)
    benign = table[(table["label"] == "benign") & (table["segmentation"] == "band1um")]
    assert benign["n_slides"].tolist() == [7] * 8
    assert (benign["p_max_t"] <= 0.05).all()
    assert (table.loc[table["label"] == "benign", "p_attainable"] == 2.0**-7).all()
    assert (table["n_true_low"] == 8).all()


def test_too_few_slides_could_not_have_found_anything(make_study):
    ledger, predictions = make_study(planted="cytoplasm", effect=2.0, n_slides=5)
    table = table_of(shares_of(ledger), predictions)
    assert (table["p_global"] == 2.0**-4).all()
    assert table["n_true_low"].isna().all()
    assert set(table["curve_reason"]) == {"could not have been found: 5 slides give no p-value below 0.062"}
    few, predictions = make_study(n_slides=2)
    table = table_of(shares_of(few), predictions)
    assert table[["p_global", "p_attainable", "n_true_low", "p_max_t"]].isna().all(axis=None)
    assert (table["curve_reason"] == table["reason"]).all()
    assert table["curve_reason"].str.contains("there are only 2 slides").all()


def test_patients_are_flipped_as_one_where_they_are_the_unit(make_study):
    ledger, predictions = make_study(planted="cytoplasm", effect=1.0, n_slides=16)
    table = table_of(shares_of(ledger), predictions, settings=replace(SETTINGS, unit="patient"))
    assert (table["p_attainable"] == 2.0**-7).all()
    # a patient's mean is that of its slides, not of its patches
    maps = pd.DataFrame(
        {
            "network": "",
            "patch_id": ["a", "b", "c", "d"],
            "slide_id": ["1", "1", "2", None],
            "patient_id": "p",
            "value": [1.0, 3.0, 5.0, 9.0],
        }
    )
    assert module._unit_means(maps, "patient").to_dict() == {("", "p"): 16 / 3}
    assert module._unit_means(maps, "slide").to_dict() == {("", "1"): 2.0, ("", "2"): 5.0}
    assert module._unit_means(maps.assign(value=[1.0, np.nan, 5.0, 9.0]), "patch").size == 3


def test_specifications_of_different_units_have_no_test_together(make_study):
    ledger, predictions = make_study(n_slides=8)
    shares = shares_of(ledger)
    unknown = shares["patch_id"].isin(["benign-0", "benign-9"])
    shares.loc[unknown, "slide_id"] = ""
    shares.loc[unknown & (shares["segmentation"] == "usual"), "area_nucleus"] = 0.0
    table = table_of(shares, predictions, settings=replace(SETTINGS, assume_independent=True))
    benign = table[table["label"] == "benign"]
    assert set(benign["status"]) == {"tested"}
    assert set(benign["curve_reason"]) == {"specifications have different units (patch, slide)"}
    assert benign[["p_global", "p_max_t"]].isna().all(axis=None)
    assert table.loc[table["label"] == "malignant", "p_global"].notna().all()


def _of_networks(ledger, predictions, effects):
    """Shares and predictions of several networks, each with an effect (log2) of its own."""
    shares = pd.concat(
        [shares_of(ledger, lambda effect=effect, **_: effect).assign(network=name) for name, effect in effects.items()]
    )
    return shares, pd.concat([predictions.assign(network=name) for name in effects])


@pytest.fixture
def judged_by_network(monkeypatch):
    """Let every network judge for itself which patches it is sure of."""

    def population(predictions, **more):
        parts = {name: primary_population(own, **more) for name, own in predictions.groupby("network")}
        patches = pd.concat([own.patches.assign(network=name) for name, own in parts.items()], ignore_index=True)
        return replace(next(iter(parts.values())), patches=patches)

    monkeypatch.setattr(module, "primary_population", population)


def test_several_networks_are_averaged_and_crossed(make_study, judged_by_network):
    ledger, predictions = make_study(planted="cytoplasm", effect=0.5, n_slides=8)
    alone = predictions.assign(network="")
    one = table_of(shares_of(ledger).query("segmentation == 'usual'"), alone, min_confidences=(0.9,))
    effects = {"1": -0.2, "2": 0.0, "3": 0.3, "4": 0.1}
    shares, predictions = _of_networks(ledger, predictions, effects)
    table = table_of(shares.query("segmentation == 'usual'"), predictions, min_confidences=(0.9,))
    own = ["label", "method", "reduction"]
    assert table[own].equals(one[own])
    # the study's own choices differ between networks by the effects alone
    usual = table["usual"]
    np.testing.assert_allclose(table.loc[usual, "estimate"], one.loc[usual, "estimate"] + 0.05, atol=0.07)
    assert table["n_patches"].tolist() == one["n_patches"].tolist()
    assert table["n_missing"].tolist() == [0] * len(table)
    assert table["p_attainable"].isna().all()  # nothing is flipped
    shares["value"] = np.log2(
        shares["mass_cytoplasm"] / shares["area_cytoplasm"] / shares["mass_nucleus"] * shares["area_nucleus"]
    )
    for (label, method), rows in table.groupby(["label", "method"]):
        cells = [
            shares[(shares[["label", "method", "reduction", "segmentation"]] == list(choice)).all(axis=1)]
            .pivot_table(index="network", columns="slide_id", values="value")
            .to_numpy()
            for choice in product([label], [method], ["l2", "max"], ["usual"])
        ]
        expected = curve_test(np.stack(cells), alpha=0.05, draws=2_000, seed=0)
        np.testing.assert_allclose(rows["p_global"], expected.p_global, rtol=1e-9)
        np.testing.assert_allclose(rows["p_max_t"], expected.p_max_t, rtol=1e-9)


def test_a_patch_counts_for_the_networks_that_judged_it_well(make_study, judged_by_network):
    ledger, predictions = make_study(n_slides=8)
    shares, predictions = _of_networks(ledger, predictions, {"1": 1.0, "2": 3.0})
    unsure = (predictions["patch_id"] == "benign-0") & (predictions["network"] == "1")
    predictions.loc[unsure, "p_malignant"] = 0.2
    unsure = (predictions["patch_id"] == "benign-1") & (predictions["model"] == "trained")
    predictions.loc[unsure, "p_malignant"] = 0.2
    table = table_of(shares, predictions, min_confidences=(0.9,))
    counted = table[(table["label"] == "benign") & table["usual"]].iloc[0]
    assert counted[["n_patches", "n_missing"]].tolist() == [63, 0]
    own = shares[(shares["label"] == "benign")]
    for name, level in (("method", "gradient"), ("reduction", "l2"), ("segmentation", "usual")):
        own = own[own[name] == level]
    own = own[(own["patch_id"] != "benign-1") & ~((own["patch_id"] == "benign-0") & (own["network"] == "1"))]
    value = np.log2(own["mass_cytoplasm"] / own["area_cytoplasm"] / own["mass_nucleus"] * own["area_nucleus"])
    cells = own.assign(value=value).groupby(["network", "slide_id"])["value"].mean()
    assert counted["test"] == "crossed"
    expected = cells.mean()
    assert counted["estimate"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="cytoplasm_um"), "no column cytoplasm_um"),
        (lambda t: t.assign(model="randomised"), "rows of model 'randomised'"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "occurs twice"),
        (lambda t: pd.concat([t, t.iloc[:1]]).assign(network="2"), "patch_id benign-0.*network 2 occurs twice"),
        (lambda t: t.assign(network=None), "column network is empty in"),
        (lambda t: t.assign(mass_nucleus=-1.0), "mass_nucleus has negative"),
        (lambda t: t[t["segmentation"] != "usual"], "usual segmentation is 'usual', but there are only band1um"),
        (lambda t: t.assign(reduction=None), "column reduction is empty"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(make_study, change, message):
    ledger, predictions = make_study()
    with pytest.raises(StatisticsError, match=message):
        table_of(change(shares_of(ledger)), predictions)


def test_parameters_out_of_range_are_named(make_study):
    ledger, predictions = make_study()
    with pytest.raises(StatisticsError, match="min_area is 1"):
        table_of(shares_of(ledger), predictions, min_area=1.0)
    with pytest.raises(StatisticsError, match="multiverse: no column"):
        multiverse_summary(pd.DataFrame({"label": []}))


def test_a_compartment_of_the_least_area_counts_and_a_smaller_one_is_missing():
    shares = pd.DataFrame(
        {
            "area_nucleus": [0.1, 0.1, 0.0999, 0.0],
            "area_cytoplasm": [0.2, 0.1, 0.2, 0.2],
            "mass_nucleus": [0.1, 0.1, 0.1, 0.1],
            "mass_cytoplasm": [0.4, 0.4, 0.4, 0.4],
        }
    )
    np.testing.assert_allclose(module._values(shares, 0.1), [1.0, 2.0, np.nan, np.nan])
    # of an empty compartment there is no density whatever is asked
    assert np.isnan(module._values(shares, 0.0)[3])
