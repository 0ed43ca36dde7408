from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import StatisticsParameters, patch_values
from saliency_stats.statistics.compositional import (
    COMPOSITIONAL_COLUMNS,
    DENSITIES,
    ILR,
    composition,
    compositional_table,
    ilr,
    ilr_values,
    inverse_ilr,
)
from saliency_stats.statistics.multivariate import hotelling, sign_flip_rows
from saliency_stats.statistics.units import independent_units
from saliency_stats.vocabulary import TISSUE

SETTINGS = StatisticsParameters(bootstrap_draws=2_000)
parts = st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3).map(np.array)


@given(parts, st.floats(1e-3, 1e3))
def test_coordinates_hold_the_composition_whatever_its_sum(shares, factor):
    z = ilr(shares)
    np.testing.assert_allclose(inverse_ilr(z), shares / shares.sum(), rtol=1e-9)
    np.testing.assert_allclose(ilr(factor * shares), z, atol=1e-9)
    nucleus, cytoplasm, stroma = shares
    assert z[0] == pytest.approx(np.sqrt(1 / 2) * np.log(cytoplasm / nucleus), abs=1e-9)
    assert z[1] == pytest.approx(np.sqrt(2 / 3) * np.log(np.sqrt(cytoplasm * nucleus) / stroma), abs=1e-9)


@given(parts, parts)
def test_they_keep_the_aitchison_distance(one, other):
    # Aitchison's distance by log-ratios of all pairs: Aitchison (1986), chapter 8
    ratios = [np.log(one[j] / one[k]) - np.log(other[j] / other[k]) for j in range(3) for k in range(3)]
    assert np.linalg.norm(ilr(one) - ilr(other)) == pytest.approx(np.sqrt(np.sum(np.square(ratios)) / 6), abs=1e-9)


def test_saliency_that_goes_with_area_is_the_origin():
    area = np.random.default_rng(0).dirichlet([2, 3, 4], 5)
    np.testing.assert_allclose(ilr(area / area), 0, atol=1e-15)
    np.testing.assert_allclose(inverse_ilr(np.zeros(2)), 1 / 3)
    # difference of compositions is difference of coordinates
    mass = np.random.default_rng(1).dirichlet([2, 3, 4], 5)
    np.testing.assert_allclose(ilr(mass / area), ilr(mass) - ilr(area), atol=1e-12)


def test_a_part_without_a_logarithm_is_refused_and_an_unknown_one_stays_unknown():
    for bad in ([0.0, 0.5, 0.5], [-0.1, 0.6, 0.5], [np.inf, 1.0, 1.0]):
        with pytest.raises(StatisticsError, match="zero, negative or infinite"):
            ilr(bad)
    with pytest.raises(StatisticsError, match=r"shape \(4,\), expected 3 along the last axis"):
        ilr([0.25] * 4)
    with pytest.raises(StatisticsError, match=r"coordinates: .*expected 2"):
        inverse_ilr([0.0] * 3)
    assert np.isnan(ilr([[np.nan, 0.5, 0.5], [1, 1, 1]])).tolist() == [[True, True], [False, False]]


def test_the_first_coordinate_is_the_primary_contrast(make_study):
    ledger, _ = make_study(planted="cytoplasm")
    found, values = ilr_values(ledger), patch_values(ledger)
    key = ["model", "patch_id", "magnification", "method", "reduction"]
    primary = values[values["contrast"] == "cytoplasm_vs_nucleus"]
    both = found.merge(primary, on=key, validate="one_to_one")
    assert len(both) == len(found) == len(primary)
    np.testing.assert_allclose(both["ilr_1"], np.log(2) / np.sqrt(2) * both["value"], atol=1e-12)
    wide = ledger.pivot_table(index=key, columns="compartment", values=["mass_share", "area_share"])
    expected = ilr(wide["mass_share"][[*TISSUE]].to_numpy()) - ilr(wide["area_share"][[*TISSUE]].to_numpy())
    np.testing.assert_allclose(found.set_index(key).loc[wide.index, [*ILR]], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("compartment", "change", "words"),
    [
        ("nucleus", {"status": "missing: area", "density_ratio": np.nan}, "no nucleus"),
        ("cytoplasm", {"status": "missing: area"}, "no cytoplasm"),
        ("stroma", {"status": "missing: area", "density_ratio": np.nan}, "no stroma"),
        ("stroma", {"mass_share": 0.0, "density_ratio": 0.0}, "no saliency in stroma"),
        ("nucleus", {"mass_share": 0.0, "density_ratio": 0.0}, "no saliency in nucleus"),
    ],
)
def test_an_incomplete_patch_has_no_coordinates_and_is_counted(make_study, compartment, change, words):
    ledger, predictions = make_study(models=("trained",))
    chosen = (ledger["patch_id"] == "benign-3") & (ledger["compartment"] == compartment)
    ledger.loc[chosen, list(change)] = list(change.values())
    values = ilr_values(ledger).set_index("patch_id")
    assert np.isnan(values.loc["benign-3", [*ILR]].astype(float)).all()
    assert values.loc["benign-3", "missing"] == words
    assert (values["missing"] != "").sum() == values["ilr_1"].isna().sum() == values["ilr_2"].isna().sum() == 1
    row = _row(compositional_table(ledger, predictions, settings=SETTINGS), label="benign")
    assert (row["n_patches"], row["n_missing"], row["status"]) == (47, 1, "tested")


def test_nothing_changes_with_the_order_of_rows_or_the_names_of_units(make_study):
    ledger, predictions = make_study(n_slides=18, n_per_slide=4)  # more slides than are flipped exactly
    for unit in ("slide", "patient"):
        settings = StatisticsParameters(bootstrap_draws=2_000, unit=unit)
        expected = compositional_table(ledger, predictions, settings=settings)
        renamed = ledger.assign(
            slide_id="s" + ledger["slide_id"].map(lambda name: name[::-1]),
            patient_id="p" + ledger["patient_id"].map(lambda name: name[::-1]),
        )
        for changed in (ledger.sample(frac=1, random_state=1), renamed):
            found = compositional_table(changed, predictions.sample(frac=1, random_state=2), settings=settings)
            pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_nothing_changes_with_the_scale_of_the_map_or_saliency_on_the_background(make_study):
    ledger, predictions = make_study(models=("trained",))
    # What falls outside the tissue scales the three shares and densities of a patch alike.
    factor = ledger["patch_id"].map(lambda name: 0.5 + int(name.rsplit("-", 1)[1]) % 7 / 10)
    tissue = ledger["compartment"].isin(TISSUE)
    scaled = ledger.assign(
        mass_share=ledger["mass_share"].where(~tissue, ledger["mass_share"] * factor),
        density_ratio=ledger["density_ratio"].where(~tissue, ledger["density_ratio"] * factor),
    )
    one, other = (compositional_table(table, predictions, settings=SETTINGS) for table in (ledger, scaled))
    np.testing.assert_allclose(other["statistic"], one["statistic"], rtol=1e-9)
    np.testing.assert_allclose(other["p_sign_flip"], one["p_sign_flip"])


def test_no_part_is_special(make_study):
    ledger, _ = make_study(models=("trained",))
    values = ilr_values(ledger[ledger["label"] == "benign"])
    shares = inverse_ilr(values[[*ILR]])
    found = set()
    for order in permutations(range(3)):
        z = ilr(shares[:, order])
        means = composition(values.assign(ilr_1=z[:, 0], ilr_2=z[:, 1])).means
        found.add((round(hotelling(means).statistic, 8), sign_flip_rows(means, draws=2_000, seed=0)))
    assert len(found) == 1


def _slide_means(values: pd.DataFrame, *columns: str) -> np.ndarray:
    means = values.groupby([*columns])[[*ILR]].mean()
    return means.sort_values([*ILR]).to_numpy()


def test_units_are_slides_or_patients_and_keep_their_coordinates_together(make_study):
    ledger, _ = make_study(models=("trained",))
    values = ilr_values(ledger[ledger["label"] == "benign"])
    by_slide, by_patient = composition(values), composition(values, patient="patient_id")
    np.testing.assert_allclose(by_slide.means, _slide_means(values, "slide_id"))
    slides = values.groupby(["patient_id", "slide_id"], as_index=False)[[*ILR]].mean()
    np.testing.assert_allclose(by_patient.means, _slide_means(slides, "patient_id"))
    assert (by_slide.unit, by_patient.unit, len(by_patient.means), by_patient.n_slides) == ("slide", "patient", 3, 6)
    for found, patient in ((by_slide, None), (by_patient, "patient_id")):
        for k, name in enumerate(ILR):
            units = independent_units(values, name, patient=patient)
            assert found.estimate[k] == pytest.approx(units.estimate)
            np.testing.assert_allclose(np.sort(found.means[:, k]), units.means)


def test_both_coordinates_are_averaged_over_the_same_patches(make_study):
    ledger, _ = make_study(models=("trained",))
    values = ilr_values(ledger[ledger["label"] == "benign"])
    holed = values.assign(ilr_2=values["ilr_2"].mask(values.index < 5))
    found = composition(holed)
    np.testing.assert_allclose(found.means, _slide_means(values[5:], "slide_id"))
    assert (found.n_patches, found.n_missing) == (len(values) - 5, 5)


def test_where_slides_are_unknown_there_is_an_estimate_and_no_test(make_study):
    ledger, predictions = make_study(models=("trained",))
    some = ledger.assign(slide_id=ledger["slide_id"].mask(ledger["patch_id"] == "benign-0", ""))
    row = _row(compositional_table(some, predictions, settings=SETTINGS), label="benign")
    values = ilr_values(some[some["label"] == "benign"])
    assert (row["status"], row["unit"], row["n_units"]) == ("no_inference", "", 0)
    assert "the slide of 1 of 48 patches is unknown" in row["reason"]
    assert row["ilr_1"] == pytest.approx(values["ilr_1"].mean())
    assert np.isnan([row["p_value"], row["statistic"], row["p_sign_flip"], row["effect_size"]]).all()
    assumed = compositional_table(some, predictions, settings=StatisticsParameters(assume_independent=True))
    row = _row(assumed, label="benign")
    assert (row["status"], row["unit"], row["n_units"]) == ("tested", "patch", 48)
    assert "patches are assumed to be independent" in row["reason"]


def _row(table: pd.DataFrame, **where: object) -> pd.Series:
    chosen = table[(table[list(where)] == pd.Series(where)).all(axis=1)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_a_row_is_the_test_of_its_slides(make_study):
    ledger, predictions = make_study(
        magnifications=(10.0, 20.0), methods=("gradient", "other"), planted="cytoplasm", effect=0.3
    )
    table = compositional_table(ledger, predictions, settings=SETTINGS)
    assert list(table.columns) == list(COMPOSITIONAL_COLUMNS)
    assert len(table) == 2 * 2 * 2 * 2  # labels, magnifications, models, methods
    where = {"label": "malignant", "magnification": 10.0, "model": "trained", "method": "other"}
    row = _row(table, **where)
    values = ilr_values(ledger)
    means = _slide_means(values[(values[list(where)] == pd.Series(where)).all(axis=1)], "slide_id")
    expected = hotelling(means)
    assert row["statistic"] == pytest.approx(expected.statistic)
    assert (row["df1"], row["df2"], row["n_units"], row["n_slides"], row["n_patches"]) == (2, 4, 6, 6, 48)
    assert row["p_value"] == pytest.approx(expected.p_value)
    assert row["p_sign_flip"] == sign_flip_rows(means, draws=2_000, seed=0)
    assert row["effect_size"] == pytest.approx(
        np.sqrt(expected.mean @ np.linalg.inv(expected.covariance) @ expected.mean)
    )
    np.testing.assert_allclose(table[[*DENSITIES]].sum(axis=1), 1)
    np.testing.assert_allclose(row[[*DENSITIES]].astype(float), inverse_ilr(means.mean(axis=0)))


def test_a_planted_preference_is_found_and_points_to_its_tissue(make_study):
    for planted in TISSUE:
        ledger, predictions = make_study(planted=planted, effect=0.5, n_slides=8)
        table = compositional_table(ledger, predictions, settings=SETTINGS)
        trained = table[table["model"] == "trained"]
        assert (trained["p_adjusted"] < 0.01).all()
        assert (trained["p_sign_flip"] == 2 / 2**8).all()
        assert (trained[[*DENSITIES]].idxmax(axis=1) == f"density_{planted}").all()


@pytest.mark.parametrize(("correction", "method"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_the_trained_model_is_a_family_of_its_own(make_study, correction, method):
    ledger, predictions = make_study(magnifications=(10.0, 20.0), models=("trained", "randomised", "shuffled"))
    settings = StatisticsParameters(bootstrap_draws=2_000, correction=correction)
    table = compositional_table(ledger, predictions, settings=settings)
    assert (table["family"] == "composition").tolist() == (table["model"] == "trained").tolist()
    for _, family in table.groupby("family"):
        expected = multipletests(family["p_value"], method=method)[1]
        np.testing.assert_allclose(family["p_adjusted"], expected)


def test_a_classifier_at_chance_is_not_interpreted(make_study):
    ledger, predictions = make_study(magnifications=(10.0, 20.0))
    table = compositional_table(ledger, predictions, settings=SETTINGS, learned={10.0: True, 20.0: False})
    muted = (table["model"] == "trained") & (table["magnification"] == 20.0)
    assert (table["status"] == "not_interpretable").tolist() == muted.tolist()
    no_finding = ["statistic", "f", "df1", "df2", "p_value", "p_adjusted", "p_sign_flip", "effect_size"]
    assert table.loc[muted, no_finding].isna().all(axis=None)
    assert table.loc[muted, [*ILR, *DENSITIES]].notna().all(axis=None)
    assert table.loc[muted, "reason"].str.contains("is not shown to have learned").all()
    with pytest.raises(StatisticsError, match=r"magnification 20\.0"):
        compositional_table(ledger, predictions, settings=SETTINGS, learned={10.0: True})


def test_what_cannot_be_tested_says_why(make_study):
    ledger, predictions = make_study(n_slides=2, models=("trained",))
    row = _row(compositional_table(ledger, predictions, settings=SETTINGS), label="benign")
    assert (row["status"], row["n_units"]) == ("no_inference", 2)
    assert row["reason"] == "there are only 2 slides, and a test of 2 coordinates needs at least 3"

    ledger, predictions = make_study(models=("trained",))
    asked = StatisticsParameters(min_slides=7)
    row = _row(compositional_table(ledger, predictions, settings=asked), label="benign")
    assert "there are only 6 slides" in row["reason"]

    flat = ledger.assign(mass_share=ledger["area_share"], density_ratio=1.0)
    row = _row(compositional_table(flat, predictions, settings=SETTINGS), label="benign")
    assert "no spread in some direction" in row["reason"]
    np.testing.assert_allclose(row[[*DENSITIES]].astype(float), 1 / 3)

    wrong = predictions.assign(
        correct=False, predicted=predictions["predicted"].map({"benign": "malignant", "malignant": "benign"})
    )
    table = compositional_table(ledger, wrong, settings=SETTINGS)
    assert len(table) == 2
    assert (table["reason"] == "no judged patch has saliency in all three tissues").all()
    assert table[["ilr_1", "density_nucleus", "p_value"]].isna().all(axis=None)
    assert (table[["n_patches", "n_missing", "n_units"]] == 0).all(axis=None)


def test_a_ledger_without_the_trained_model_is_refused(make_study):
    ledger, predictions = make_study()
    with pytest.raises(StatisticsError, match="no rows of model 'trained'"):
        compositional_table(ledger[ledger["model"] != "trained"], predictions, settings=SETTINGS)
    with pytest.raises(StatisticsError, match="values: no column ilr_2"):
        composition(pd.DataFrame({"slide_id": ["a"], "ilr_1": [0.0]}))
