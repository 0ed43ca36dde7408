from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import (
    COLUMNS,
    DIFFERENCES,
    FAMILIES,
    TESTS,
    StatisticsParameters,
    contrast_table,
    patch_values,
    study_contrasts,
)
from saliency_stats.statistics.resampling import draws_needed
from saliency_stats.vocabulary import LABELS

SETTINGS = StatisticsParameters(bootstrap_draws=2_000)


def test_every_stratum_has_every_test_in_its_family(make_study):
    ledger, predictions = make_study(
        magnifications=(10.0, 20.0),
        models=("trained", "randomised", "shuffled"),
        methods=("gradient", "other"),
    )
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    assert list(found.columns) == list(COLUMNS)
    cells = 2 * 2 * 2  # labels, magnifications, methods
    expected = {
        "primary": cells,
        "compartments": 3 * cells,
        "compartment_pairs": 2 * cells,
        "classes": cells // 2,  # both labels in one row
        "confidence": cells,
        "magnifications": cells // 2,  # 10x against 20x
        "control": 2 * cells,
        "control_reference": 12 * cells,
        "selection": 3 * cells,  # trained, and its differences from two controls, of all patches
    }
    assert set(expected) == set(FAMILIES) - {"place", "picture"}  # these come with other tables
    counts = found.groupby("family").size().to_dict()
    # one sample cannot be permuted; the classes are two, of different slides
    tests = {family: len(TESTS) - (family != "classes") for family in expected}
    assert counts == {family: n * tests[family] for family, n in expected.items()}
    assert not found.duplicated(["contrast", "label", "magnification", "model", "method", "population", "test"]).any()
    own = found[~found["contrast"].isin(["confident_vs_unsure", "malignant_vs_benign"])]
    assert (own.loc[own["test"] != "crossed", "status"] == "tested").all()
    assert own.loc[own["test"] == "crossed", "reason"].str.contains("one network").all()
    alone = found[found["contrast"] == "confident_vs_unsure"]
    assert alone["reason"].str.contains("no patch of unsure").all()


def test_a_row_is_the_contrast_table_of_its_patches(make_study):
    ledger, predictions = make_study(planted="cytoplasm")
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    values = patch_values(ledger)
    sample = values[
        (values["contrast"] == "stroma_vs_rest") & (values["label"] == "benign") & (values["model"] == "randomised")
    ]
    n = len(found.loc[found["family"] == "control_reference", ["contrast", "label"]].drop_duplicates())
    expected = contrast_table(sample, "value", network="network", bootstrap_draws=draws_needed(n, 0.05))
    rows = found[
        (found["contrast"] == "stroma_vs_rest") & (found["label"] == "benign") & (found["model"] == "randomised")
    ]
    for column in ("estimate", "ci_low", "ci_high", "p_value", "icc", "n_slides", "n_patches", "n_missing"):
        np.testing.assert_array_equal(rows[column], expected[column])


def test_a_planted_preference_is_found_in_the_trained_model_only(make_study):
    ledger, predictions = make_study(planted="nucleus", effect=1.0)
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    judged = found[found["population"] == "judged"]
    rows = judged[judged["test"] == "t_slide_means"].set_index(["contrast", "model", "label"])
    for label in ("malignant", "benign"):
        trained = rows.loc[("cytoplasm_vs_nucleus", "trained", label)]
        assert trained["p_adjusted"] < 0.01
        assert trained["estimate"] == pytest.approx(-1, abs=0.25)
        assert rows.loc[("cytoplasm_vs_nucleus", "randomised", label), "p_adjusted"] > 0.05
        difference = rows.loc[("cytoplasm_vs_nucleus", "trained-randomised", label)]
        assert difference["p_adjusted"] < 0.01
        assert difference["estimate"] < -0.6


def test_tables_in_any_order_give_the_same_contrasts(make_study):
    ledger, predictions = make_study(magnifications=("10x", "20x"))
    expected = study_contrasts(ledger, predictions, settings=SETTINGS)
    shuffled = [table.sample(frac=1, random_state=7) for table in (ledger, predictions)]
    found = study_contrasts(*shuffled, settings=SETTINGS)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_p_values_are_corrected_inside_family_and_test(make_study):
    ledger, predictions = make_study(planted="cytoplasm", effect=0.2)
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    for _, rows in found.groupby(["family", "test"]):
        ranked = rows[rows["status"] == "tested"].sort_values("p_value")
        factors = np.arange(len(ranked), 0, -1)
        holm = np.minimum(np.maximum.accumulate(ranked["p_value"].to_numpy() * factors), 1)
        np.testing.assert_allclose(ranked["p_adjusted"], holm)


def test_patches_left_out_are_counted(make_study):
    ledger, predictions = make_study()
    gone = (ledger["patch_id"] == "benign-3") & (ledger["compartment"] == "nucleus")
    ledger.loc[gone, ["density_ratio", "status"]] = [np.nan, "missing: small"]
    ledger = ledger[ledger["patch_id"] != "benign-4"]  # never reached the ledger at all
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    missing = found[found["label"] == "benign"].groupby("contrast")["n_missing"].first()
    assert missing["cytoplasm_vs_nucleus"] == 2
    assert missing["stroma_vs_rest"] == 1
    assert (found.loc[found["label"] == "malignant", "n_missing"] == 0).all()


def test_a_classifier_at_chance_has_estimates_and_no_findings(make_study):
    ledger, predictions = make_study(magnifications=(10.0, 20.0), planted="cytoplasm")
    settings = replace(SETTINGS, bootstrap_draws=2_400)  # as many as the largest family takes
    found = study_contrasts(ledger, predictions, settings=settings, learned={10.0: False, 20.0: True})
    found = found[found["test"] != "crossed"]  # of one network nothing is asked
    muted = found[(found["magnification"] == 10) & (found["family"] != "control_reference")]
    assert (muted["status"] == "not_interpretable").all()
    assert muted.loc[muted["contrast"] != "confident_vs_unsure", "estimate"].notna().all()
    assert muted[["p_value", "p_adjusted", "ci_low", "ci_high"]].isna().all(axis=None)
    assert (muted["reason"] != "").all()
    others = found.drop(muted.index)
    assert set(others.loc[~others["contrast"].isin(DIFFERENCES) & (others["test"] != "crossed"), "status"]) == {
        "tested"
    }
    alone = study_contrasts(
        ledger[ledger["magnification"] == 20],
        predictions[predictions["magnification"] == 20],
        settings=settings,
    )
    alone = alone[alone["test"] != "crossed"]
    columns = ["p_value", "p_adjusted"]
    for family in ("primary", "compartments", "control"):
        np.testing.assert_array_equal(
            others.loc[others["family"] == family, columns], alone.loc[alone["family"] == family, columns]
        )


@pytest.mark.parametrize(("kind", "chance"), [(int, 10), (int, 20), (float, 20)])
def test_magnifications_at_chance_have_no_difference_whatever_type_their_numbers_have(make_study, kind, chance):
    ledger, predictions = make_study(magnifications=(kind(10), kind(20), kind(40)), planted="cytoplasm")
    learned = {kind(mag): mag != chance for mag in (10, 20, 40)}
    found = study_contrasts(ledger, predictions, settings=SETTINGS, learned=learned)
    found = found[found["test"] != "crossed"]  # of one network nothing is asked
    rows = found[found["contrast"] == "magnification_vs_reference"].groupby("magnification")["status"].unique()
    silent = {10: [chance in (10, 20)], 40: [chance == 20]}
    assert {mag: [status == "not_interpretable" for status in rows[mag]] for mag in (10, 40)} == silent
    of_control = found[(found["model"] == "randomised") & (found["magnification"] == chance)]
    assert set(of_control["status"]) == {"tested"}
    muted = found[found["status"] == "not_interpretable"]
    assert (
        muted[["p_value", "p_adjusted", "ci_low", "ci_high", "effect_size", "p_equivalence", "skewness"]]
        .isna()
        .all(axis=None)
    )
    assert (muted[["n_tests", "n_agree"]] == 0).all(axis=None)
    assert muted["reason"].str.contains("is not shown to have learned").all()


def test_no_patch_at_all_still_makes_a_table(make_study):
    ledger, predictions = make_study()
    other = dict(zip(LABELS, LABELS[::-1], strict=True))
    wrong = predictions.assign(correct=False, predicted=predictions["predicted"].map(other))
    found = study_contrasts(ledger, wrong, settings=SETTINGS)
    judged = found[found["population"] == "judged"]
    assert (judged["status"] == "no_inference").all()
    assert (judged["n_patches"] == 0).all()
    assert judged["estimate"].isna().all()
    # all patches are asked about all the same, wrongly classified ones too
    assert (found.loc[found["population"] == "all test patches", "n_patches"] > 0).all()


def test_a_class_without_patches_keeps_its_rows(make_study):
    ledger, predictions = make_study()
    keep = predictions["predicted"] == "benign"
    found = study_contrasts(ledger, predictions[keep], settings=SETTINGS)
    own = found[~found["contrast"].isin(DIFFERENCES) & (found["test"] != "crossed")]
    statuses = own.groupby("label")["status"].unique().map(list).to_dict()
    assert statuses == {"benign": ["tested"], "malignant": ["no_inference"]}
    assert found.loc[found["contrast"] == "malignant_vs_benign", "reason"].str.contains("no patch of malignant").all()


def test_image_only_controls_have_rows_but_no_difference_without_a_shared_method(make_study):
    ledger, predictions = make_study()
    sobel = ledger[ledger["model"] == "randomised"].assign(model="image", method="sobel")
    found = study_contrasts(pd.concat([ledger, sobel]), predictions, settings=SETTINGS)
    assert (found.loc[found["model"] == "image", "family"] == "control_reference").all()
    assert "trained-image" not in set(found["model"])


def test_the_patient_can_be_the_unit(make_study):
    ledger, predictions = make_study()
    found = study_contrasts(ledger, predictions, settings=replace(SETTINGS, unit="patient"))
    own = found[~found["contrast"].isin(DIFFERENCES)]
    assert set(own["unit"]) == {"patient"}
    assert set(own["n_units"]) == {3}
    assert set(own["n_slides"]) == {6}


def test_unknown_slides_give_no_p_value_anywhere(make_study):
    ledger, predictions = make_study()
    unknown = ledger.assign(slide_id="", patient_id="")
    found = study_contrasts(unknown, predictions, settings=SETTINGS)
    assert found["p_value"].isna().all()
    assert (found["status"] == "no_inference").all()
    assumed = study_contrasts(unknown, predictions, settings=replace(SETTINGS, assume_independent=True))
    own = assumed[(~assumed["contrast"].isin(DIFFERENCES)) & ~assumed["test"].str.contains("mixed|crossed")]
    assert own["p_value"].notna().all()
    assert own["reason"].str.contains("assumed to be independent").all()


def test_wrong_input_is_named(make_study):
    ledger, predictions = make_study()
    with pytest.raises(StatisticsError, match="magnification 20"):
        study_contrasts(ledger, predictions, settings=SETTINGS, learned={10.0: True})
    with pytest.raises(StatisticsError, match="no rows of model 'trained'"):
        study_contrasts(ledger[ledger["model"] != "trained"], predictions, settings=SETTINGS)


def test_families_can_be_declared_and_what_is_left_out_is_exploratory(make_study):
    ledger, predictions = make_study(n_slides=10)
    families = {"claim": ["cytoplasm_vs_nucleus", "trained_vs_control"], "rest": ["stroma_vs_rest"]}
    found = study_contrasts(ledger, predictions, settings=replace(SETTINGS, families=families))
    assert set(found["family"]) == {"claim", "rest", "exploratory"}
    claim = found[(found["family"] == "claim") & (found["test"] == "sign_flip")]
    assert set(claim["model"]) == {"trained", "trained-randomised"}
    assert len(claim) == 4
    ranked = claim.sort_values("p_value")
    holm = np.minimum(np.maximum.accumulate(ranked["p_value"].to_numpy() * [4, 3, 2, 1]), 1)
    np.testing.assert_allclose(ranked["p_adjusted"], holm)
    assert found["family"].tolist() == sorted(found["family"], key=["claim", "rest", "exploratory"].index)


def test_simultaneous_intervals_are_those_at_the_familys_share_of_the_level(make_study):
    ledger, predictions = make_study(n_slides=10)
    found = study_contrasts(ledger, predictions, settings=replace(SETTINGS, bootstrap_draws=2_400))
    rows = found[found["family"] == "compartments"]
    values = patch_values(ledger)
    for contrast, label in rows[["contrast", "label"]].drop_duplicates().itertuples(index=False):
        sample = values[(values["contrast"] == contrast) & (values["label"] == label) & (values["model"] == "trained")]
        expected = contrast_table(sample, "value", network="network", alpha=0.05 / 6, bootstrap_draws=2_400)
        own = rows[(rows["contrast"] == contrast) & (rows["label"] == label)]
        np.testing.assert_array_equal(own["ci_low_simultaneous"], expected["ci_low"])
        np.testing.assert_array_equal(own["ci_high_simultaneous"], expected["ci_high"])
    finite = found["ci_low_simultaneous"].notna()
    assert (found.loc[finite, "ci_low_simultaneous"] <= found.loc[finite, "ci_low"]).all()
    assert found.loc[found["status"] != "tested", "ci_low_simultaneous"].isna().all()


def test_confident_patches_are_compared_with_the_unsure_ones_of_the_same_slides(make_study):
    ledger, predictions = make_study(n_slides=8, n_per_slide=12)
    unsure = predictions["patch_id"].str.extract(r"-(\d+)$")[0].astype(int) % 3 == 0
    malignant = predictions["predicted"] == "malignant"
    predictions.loc[unsure, "p_malignant"] = np.where(malignant[unsure], 0.7, 0.3)
    shifted = ledger["patch_id"].isin(predictions.loc[unsure, "patch_id"]) & (ledger["model"] == "trained")
    ledger.loc[shifted & (ledger["compartment"] == "cytoplasm"), "density_ratio"] /= 2.0
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    rows = found[(found["contrast"] == "confident_vs_unsure") & (found["test"] == "t_slide_means")]
    assert rows["estimate"].to_numpy() == pytest.approx(1.0, abs=0.15)
    assert (rows["p_value"] < 0.001).all()
    assert rows["n_patches"].tolist() == [96, 96]
    assert rows["n_missing"].tolist() == [0, 0]


def test_magnifications_are_paired_by_patch_and_not_by_row(make_study):
    ledger, predictions = make_study(magnifications=(10.0, 20.0, 40.0), n_slides=7, models=("trained",))
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    rows = found[(found["contrast"] == "magnification_vs_reference") & (found["test"] == "t_slide_means")]
    assert rows[["magnification", "versus"]].drop_duplicates().to_numpy().tolist() == [[10.0, "20.0"], [40.0, "20.0"]]
    values = patch_values(ledger).query(
        "contrast == 'cytoplasm_vs_nucleus' and model == 'trained' and label == 'benign'"
    )
    wide = values.pivot_table(index=["slide_id", "patch_id"], columns="magnification", values="value")
    expected = (wide[40.0] - wide[20.0]).groupby("slide_id").mean().mean()
    found_at_40 = rows[(rows["magnification"] == 40.0) & (rows["label"] == "benign")]["estimate"].iloc[0]
    assert found_at_40 == pytest.approx(expected)
    unlearned = {10.0: True, 20.0: False, 40.0: True}
    muted = study_contrasts(ledger, predictions, settings=SETTINGS, learned=unlearned)
    assert (muted.loc[muted["contrast"] == "magnification_vs_reference", "status"] == "not_interpretable").all()


def test_a_study_without_the_reference_magnification_says_so(make_study):
    ledger, predictions = make_study(magnifications=(5.0, 10.0), n_slides=3, models=("trained",))
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    rows = found[found["contrast"] == "magnification_vs_reference"]
    assert len(rows) == 2 * 2 * (len(TESTS) - 1)  # all but the one of two samples
    assert (rows["reason"] == "no patch has a value in this contrast").all()


def test_the_scale_of_the_maps_and_shards_of_the_cohort_change_nothing(make_study):
    ledger, predictions = make_study(n_slides=7)
    expected = study_contrasts(ledger, predictions, settings=SETTINGS)
    shards = [part for _, part in ledger.groupby(ledger["patch_id"].map(lambda name: sum(map(ord, name)) % 5))]
    merged = study_contrasts(pd.concat(shards[::-1]), predictions, settings=SETTINGS)
    pd.testing.assert_frame_equal(merged, expected, check_exact=True)
    factors = ledger["patch_id"].map({name: 2.0 ** (k % 7 - 3) for k, name in enumerate(ledger["patch_id"].unique())})
    scaled = ledger.assign(mass_share=ledger["mass_share"] * factors, density_ratio=ledger["density_ratio"] * factors)
    found = study_contrasts(scaled, predictions, settings=SETTINGS)
    numbers = ["estimate", "ci_low", "ci_high", "p_value", "p_adjusted", "icc"]
    np.testing.assert_allclose(found[numbers], expected[numbers], rtol=1e-7, atol=1e-9)


def test_without_all_patches_the_other_rows_are_the_same(make_study):
    ledger, predictions = make_study(n_slides=4, n_per_slide=4)
    whole = study_contrasts(ledger, predictions, settings=SETTINGS)
    without = study_contrasts(ledger, predictions, settings=SETTINGS, all_patches=False)
    assert set(whole["population"]) == {"judged", "all test patches"}
    pd.testing.assert_frame_equal(without, whole[whole["population"] == "judged"].reset_index(drop=True))


def test_texts_may_be_categories(make_study):
    ledger, predictions = make_study(n_slides=4, n_per_slide=4, n_networks=2)
    texts = list(ledger.select_dtypes("str"))
    coded = ledger.astype(dict.fromkeys(texts, "category"))
    found = study_contrasts(coded, predictions, settings=SETTINGS)
    pd.testing.assert_frame_equal(found, study_contrasts(ledger, predictions, settings=SETTINGS))
