"""Models written as a formula: against lme4, lmerTest and pbkrtest, by hand, and where they must refuse."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.formula import random_intercept

GOLDEN = Path(__file__).parent / "golden"


def golden(name):
    data, expected = pd.read_csv(GOLDEN / f"{name}_data.csv"), pd.read_csv(GOLDEN / f"{name}.csv")
    groups = expected.groupby(["case", "formula", "method"], sort=False)
    return [
        pytest.param(data[data["case"] == key[0]], *key[1:], rows, id="-".join(key)) for key, rows in groups
    ]  # one model, all its coefficients


def agrees(fit, rows, prefix=""):
    found = fit.table()
    assert found["term"].tolist() == rows["term"].str.strip("()").tolist()
    assert found["estimate"].to_numpy() == pytest.approx(rows["estimate"].to_numpy(), rel=1e-6, abs=1e-7)
    assert found["se"].to_numpy() == pytest.approx(rows[f"{prefix}se"].to_numpy(), rel=1e-5)
    assert found["df"].to_numpy() == pytest.approx(rows[f"{prefix}df"].to_numpy(), rel=1e-4)
    assert found["p_value"].to_numpy() == pytest.approx(rows[f"{prefix}p"].to_numpy(), abs=1e-4)


@pytest.mark.parametrize(("data", "formula", "method", "rows"), golden("mixed"))
def test_slides_agree_with_r(data, formula, method, rows):
    fit = random_intercept(data, f"y ~ {formula}", "slide", method=method)
    agrees(fit, rows)
    first = rows.iloc[0]
    assert (fit.between, fit.within) == pytest.approx((first["between"], first["within"]), rel=1e-6, abs=1e-7)
    assert fit.deviance == pytest.approx(first["deviance"], rel=1e-8)
    assert fit.icc == pytest.approx(fit.between / (fit.between + fit.within))
    assert fit.boundary == (fit.between == 0)
    assert fit.patients is None
    if method == "reml":
        agrees(random_intercept(data, f"y ~ {formula}", "slide", df="kenward_roger"), rows, "kr_")


@pytest.mark.parametrize(("data", "formula", "method", "rows"), golden("nested"))
def test_slides_in_patients_agree_with_r(data, formula, method, rows):
    fit = random_intercept(data, f"y ~ {formula}", "slide", "patient", method=method)
    agrees(fit, rows)
    expected = rows[["patients", "slides", "within"]].iloc[0].tolist()
    assert [fit.patients, fit.between, fit.within] == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert fit.icc == pytest.approx((fit.patients + fit.between) / (fit.patients + fit.between + fit.within))
    assert any("patients is estimated as 0" in note for note in fit.notes) == (fit.patients == 0)


def patches(seed=0, sizes=(4, 9, 3, 12, 6, 7)):
    rng = np.random.default_rng(seed)
    slide = np.repeat(np.arange(len(sizes)), sizes)
    n = len(slide)
    return pd.DataFrame(
        {
            "slide_id": [f"slide {number}" for number in slide],
            "patient_id": [f"patient {number // 2}" for number in slide],
            "label": rng.choice(["benign", "malignant"], n),
            "magnification": rng.choice([5.0, 20.0, 40.0], n),
            "value": rng.normal(size=len(sizes))[slide] + rng.normal(size=n),
        }
    )


def test_text_and_c_become_differences_from_the_first_level():
    rows = patches(sizes=(60,) * 6)
    # every slide has as many patches of every kind: then coefficients are differences of means
    rows["label"] = np.tile(np.repeat(["malignant", "benign"], 30), 6)
    rows["magnification"] = np.tile([5.0, 20.0, 40.0], 120)
    fit = random_intercept(rows, "value ~ label + C(magnification)")
    assert fit.terms == ("Intercept", "label[T.malignant]", "C(magnification)[T.20.0]", "C(magnification)[T.40.0]")
    by_label, by_size = (rows.groupby(name)["value"].mean() for name in ("label", "magnification"))
    assert fit.test("label[T.malignant]").estimate == pytest.approx(by_label["malignant"] - by_label["benign"])
    difference = fit.test(np.array([0, 0, -1, 1]))
    assert difference.estimate == pytest.approx(by_size[40.0] - by_size[20.0])
    assert fit.test("Intercept", null=3.0).statistic == pytest.approx(
        (fit.test("Intercept").estimate - 3) / fit.test("Intercept").se
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(["satterthwaite", "kenward_roger"]))
def test_the_order_of_rows_and_the_names_of_slides_and_patients_change_nothing(seed, patients, df):
    rows = patches(sizes=(4, 9, 3, 12, 6, 7, 5, 8))
    formula, patient = "value ~ label + C(magnification)", "patient_id" if patients else None
    names = np.random.default_rng(seed).permutation(1000).astype(str)
    changed = rows.sample(frac=1, random_state=seed)
    for column in ("slide_id", "patient_id"):
        changed[column] = names[pd.factorize(changed[column])[0]]
    one, two = (random_intercept(table, formula, patient=patient, df=df) for table in (rows, changed))
    pd.testing.assert_frame_equal(one.table(), two.table(), rtol=1e-10)
    assert (one.between, one.within) == pytest.approx((two.between, two.within), rel=1e-10)


def test_rows_without_a_value_are_left_out_and_counted():
    rows = patches()
    rows.loc[3, "value"] = np.nan
    rows.loc[5, "label"] = " "
    rows.loc[8, ["label", "slide_id"]] = None
    rows["unused"] = np.nan
    fit = random_intercept(rows, "value ~ label")
    pd.testing.assert_frame_equal(fit.table(), random_intercept(rows.drop([3, 5, 8]), "value ~ label").table())
    assert (fit.n_slides, fit.n_patches, fit.n_missing) == (6, 38, 3)
    assert fit.notes == ("3 rows without a value left out",)


def test_levels_that_no_row_has_are_no_columns():
    rows = patches()
    rows["label"] = pd.Categorical(rows["label"], categories=["unsure", "malignant", "benign"])
    assert random_intercept(rows, "value ~ label").terms == ("Intercept", "label[T.benign]")


def test_patients_with_one_slide_each_are_slides_and_the_result_says_so():
    rows = patches()
    rows["patient_id"] = rows["slide_id"].str.replace("slide", "patient")
    fit = random_intercept(rows, "value ~ label", patient="patient_id")
    pd.testing.assert_frame_equal(fit.table(), random_intercept(rows, "value ~ label").table())
    assert fit.patients is None
    assert any("each patient has one slide" in note for note in fit.notes)


def test_a_variance_of_0_is_noted_with_what_it_does_to_the_degrees_of_freedom():
    rows = patches()
    rows["value"] -= rows.groupby("slide_id")["value"].transform("mean")
    plain, careful = (random_intercept(rows, "value ~ 1", df=df) for df in ("satterthwaite", "kenward_roger"))
    assert plain.boundary
    assert plain.test("Intercept").df == len(rows) - 1
    assert any("independent patches" in note for note in plain.notes)
    assert careful.test("Intercept").df < 10
    assert not any("independent patches" in note for note in careful.notes)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("value ~ label + (1|slide)", "slide= and patient="),
        ("value ~ label +* C(label)", "cannot be read"),
        ("value ~ C(label", "cannot be read"),
        ("value ~ C(label, contr.treatment('none'))", "cannot be read: .*'none'"),
        ("~ label", "0 outcomes"),
        ("value + magnification ~ label", "2 outcomes"),
        ("label ~ magnification", "label holds .*, expected numbers"),
        ("value ~ stain", "no column stain"),
        ("np.log(value * 0) ~ 1", "41 of 41 rows hold a value that is not finite"),
        ("value ~ 0", "no coefficient"),
        ("value ~ magnification + I(2 * magnification)", "depend"),
        ("value ~ slide_id + label", "tells all slides apart"),
    ],
)
def test_a_formula_that_says_no_model_is_refused(formula, message):
    with pytest.raises(StatisticsError, match=message):
        random_intercept(patches(), formula)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"slide_id": ["", None]}, {}, "slide_id is unknown in 2 of 41 rows"),
        ({"patient_id": ["", None]}, {"patient": "patient_id"}, "patient_id is unknown in 2 of 41 rows"),
        ({"patient_id": ["x", "x"]}, {"patient": "patient_id"}, "slide slide 0 belongs to more than one patient"),
        ({}, {"patient": "patient", "slide": "slide_id"}, "no column patient"),
        ({}, {"slide": "slide"}, "no column slide"),
        ({}, {"df": "z"}, "df is 'z'"),
        ({}, {"method": "bayes"}, "method is 'bayes'"),
        ({}, {"alpha": 1.0}, "alpha is 1.0"),
        ({}, {"df": "kenward_roger", "method": "ml"}, "found 'ml'"),
    ],
)
def test_a_table_or_a_choice_that_does_not_do_is_refused(change, options, message):
    rows = patches()
    for column, values in change.items():
        rows.loc[[0, 1], column] = values
    with pytest.raises(StatisticsError, match=message):
        random_intercept(rows, "value ~ label", **options)


def test_patients_that_the_formula_tells_apart_are_refused():
    with pytest.raises(StatisticsError, match="tells all patients apart"):
        random_intercept(patches(), "value ~ patient_id", patient="patient_id")


def test_a_table_without_values_is_refused():
    with pytest.raises(StatisticsError, match="None of 41 rows"):
        random_intercept(patches().assign(label=""), "value ~ label")


def test_a_contrast_that_names_no_term_is_refused():
    fit = random_intercept(patches(), "value ~ label")
    with pytest.raises(
        StatisticsError, match=r"no term 'label' in the model \(found: Intercept, label\[T.malignant\]\)"
    ):
        fit.test("label")
    with pytest.raises(StatisticsError, match="3 weights for the 2 terms"):
        fit.test(np.ones(3))
