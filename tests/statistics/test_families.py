from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import (
    COLUMNS,
    FAMILIES,
    TESTS,
    StatisticsSettings,
    contrast_table,
    patch_values,
    study_contrasts,
)

SETTINGS = StatisticsSettings(bootstrap_draws=2_000)


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
        "primary": 1,
        "compartments": 3,
        "compartment_pairs": 2,
        "control": 2,
        "control_reference": 12,
    }
    assert set(expected) == set(FAMILIES)
    counts = found.groupby("family").size().to_dict()
    assert counts == {family: n * cells * len(TESTS) for family, n in expected.items()}
    assert not found.duplicated(["contrast", "label", "magnification", "model", "method", "test"]).any()
    assert (found["status"] == "tested").all()


def test_a_row_is_the_contrast_table_of_its_patches(make_study):
    ledger, predictions = make_study(planted="cytoplasm")
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    values = patch_values(ledger)
    sample = values[
        (values["contrast"] == "stroma_vs_rest") & (values["label"] == "benign") & (values["model"] == "randomised")
    ]
    expected = contrast_table(sample, "value", bootstrap_draws=2_000)
    rows = found[
        (found["contrast"] == "stroma_vs_rest") & (found["label"] == "benign") & (found["model"] == "randomised")
    ]
    for column in ("estimate", "ci_low", "ci_high", "p_value", "icc", "n_slides", "n_patches", "n_missing"):
        np.testing.assert_array_equal(rows[column], expected[column])


def test_a_planted_preference_is_found_in_the_trained_model_only(make_study):
    ledger, predictions = make_study(planted="nucleus", effect=1.0)
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    rows = found[found["test"] == "t_slide_means"].set_index(["contrast", "model", "label"])
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
        ranked = rows.sort_values("p_value")
        factors = np.arange(len(rows), 0, -1)
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
    found = study_contrasts(ledger, predictions, settings=SETTINGS, learned={10.0: False, 20.0: True})
    muted = found[(found["magnification"] == 10) & (found["family"] != "control_reference")]
    assert (muted["status"] == "not_interpretable").all()
    assert muted["estimate"].notna().all()
    assert muted[["p_value", "p_adjusted", "ci_low", "ci_high"]].isna().all(axis=None)
    assert (muted["reason"] != "").all()
    others = found.drop(muted.index)
    assert (others["status"] == "tested").all()
    alone = study_contrasts(
        ledger[ledger["magnification"] == 20],
        predictions[predictions["magnification"] == 20],
        settings=SETTINGS,
    )
    columns = ["p_value", "p_adjusted"]
    for family in ("primary", "compartments", "control"):
        np.testing.assert_array_equal(
            others.loc[others["family"] == family, columns], alone.loc[alone["family"] == family, columns]
        )


def test_no_patch_at_all_still_makes_a_table(make_study):
    ledger, predictions = make_study()
    found = study_contrasts(ledger, predictions.assign(correct=False), settings=SETTINGS)
    assert (found["status"] == "no_inference").all()
    assert (found["n_patches"] == 0).all()
    assert found["estimate"].isna().all()


def test_a_class_without_patches_keeps_its_rows(make_study):
    ledger, predictions = make_study()
    keep = predictions["predicted"] == "benign"
    found = study_contrasts(ledger, predictions[keep], settings=SETTINGS)
    statuses = found.groupby("label")["status"].unique().map(list).to_dict()
    assert statuses == {"benign": ["tested"], "malignant": ["no_inference"]}


def test_image_only_controls_have_rows_but_no_difference_without_a_shared_method(make_study):
    ledger, predictions = make_study()
    sobel = ledger[ledger["model"] == "randomised"].assign(model="image", method="sobel")
    found = study_contrasts(pd.concat([ledger, sobel]), predictions, settings=SETTINGS)
    assert (found.loc[found["model"] == "image", "family"] == "control_reference").all()
    assert "trained-image" not in set(found["model"])


def test_the_patient_can_be_the_unit(make_study):
    ledger, predictions = make_study()
    found = study_contrasts(ledger, predictions, settings=replace(SETTINGS, unit="patient"))
    assert set(found["unit"]) == {"patient"}
    assert set(found["n_units"]) == {3}
    assert set(found["n_slides"]) == {6}


def test_unknown_slides_give_no_p_value_anywhere(make_study):
    ledger, predictions = make_study()
    unknown = ledger.assign(slide_id="", patient_id="")
    found = study_contrasts(unknown, predictions, settings=SETTINGS)
    assert found["p_value"].isna().all()
    assert (found["status"] == "no_inference").all()
    assumed = study_contrasts(unknown, predictions, settings=replace(SETTINGS, assume_independent=True))
    assert assumed["p_value"].notna().all()
    assert assumed["reason"].str.contains("assumed to be independent").all()


def test_wrong_input_is_named(make_study):
    ledger, predictions = make_study()
    with pytest.raises(StatisticsError, match="magnification 20"):
        study_contrasts(ledger, predictions, settings=SETTINGS, learned={10.0: True})
    with pytest.raises(StatisticsError, match="no rows of model 'trained'"):
        study_contrasts(ledger[ledger["model"] != "trained"], predictions, settings=SETTINGS)
