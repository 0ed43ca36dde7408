"""The table of the calibration study that ships with the package, and what is read out of it."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.calibration import calibration, error_words, is_confirmatory
from saliency_stats.statistics import TESTS, primary_tests

TABLE = pd.read_csv(files("saliency_stats.report") / "calibration.csv")


#: Tests that answer about one sample of one network.
SINGLE = [name for name, test in TESTS.items() if test.one_sample and not test.of_networks]


def test_the_table_has_every_test_in_every_cell_with_enough_simulations():
    cells = ["slides", "balance", "icc", "effects"]
    assert set(TABLE["test"]) == {*SINGLE, "t_patches"}
    assert TABLE.groupby("test")[cells].size().unique().tolist() == [len(TABLE[cells].drop_duplicates())]
    assert not TABLE.duplicated(["test", *cells]).any()
    assert (TABLE.loc[TABLE["test"].isin(primary_tests()), "simulations"] >= 20_000).all()
    assert (TABLE["simulations"] >= 1_000).all()


def test_a_test_over_patches_is_not_to_be_trusted():
    rows = TABLE[(TABLE["test"] == "t_patches") & (TABLE["icc"] >= 0.2)]
    assert (rows["type_1_error"] > 0.3).all()


@pytest.mark.parametrize("slides", [8, 10, 20, 50])
def test_the_sign_flip_test_is_confirmatory_from_eight_slides_on(slides):
    assert is_confirmatory(TABLE[(TABLE["test"] == "sign_flip") & (TABLE["slides"] == slides)])


@pytest.mark.parametrize("slides", [5, 6])
def test_no_test_is_confirmatory_with_fewer(slides):
    for test in SINGLE:
        assert not is_confirmatory(TABLE[(TABLE["test"] == test) & (TABLE["slides"] == slides)])


def test_the_nearest_design_below_is_looked_up():
    found = calibration("sign_flip", 13, 0.17, patches_per_unit=(3, 90))
    assert (found.slides, found.icc, found.balance) == (10, 0.2, "unbalanced")
    row = TABLE[(TABLE["test"] == "sign_flip") & (TABLE["slides"] == 10) & (TABLE["icc"] == 0.2)]
    row = row[(row["balance"] == "unbalanced") & (row["effects"] == "skewed")]
    assert found.skewed == row["type_1_error"].item()
    assert calibration("sign_flip", 13, 0.17, patches_per_unit=(30, 90)).balance == "balanced"
    assert calibration("sign_flip", 4, 0.2, patches_per_unit=(30, 90)) is None
    assert calibration("unheard_of", 10, 0.2, patches_per_unit=(30, 90)) is None
    without = calibration("sign_flip", 10, np.nan, patches_per_unit=(30, 90))
    assert (without.icc, without.normal) == (0.0, without.skewed)
    assert "10 slides, ICC 0.2, unbalanced" in found.words


def rows(**changes):
    base = {
        "slides": 10,
        "effects": ["normal", "heavy-tailed", "skewed"],
        "type_1_low": [0.045, 0.045, 0.08],
        "type_1_high": [0.055, 0.055, 0.09],
        "coverage": [0.95, 0.95, 0.92],
        "simulations": 20_000,
        "balance": "balanced",
        "power": [0.79, 0.7, 0.7],
        "power_simulations": 20_000,
    }
    return pd.DataFrame({**base, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"type_1_low": [0.066, 0.045, 0.08], "type_1_high": [0.07, 0.055, 0.09]}, False),
        ({"type_1_low": [0.02, 0.045, 0.08], "type_1_high": [0.029, 0.055, 0.09]}, False),
        ({"type_1_low": [0.045, 0.045, 0.101], "type_1_high": [0.055, 0.055, 0.11]}, False),
        ({"coverage": [0.92, 0.95, 0.92]}, False),
        ({"coverage": [0.95, 0.95, 0.85]}, True),
        ({"slides": 5}, False),
        ({"simulations": 2_000}, False),
        ({"power": [0.7, 0.79, 0.79]}, False),
    ],
)
def test_each_bound_counts(changes, expected):
    assert is_confirmatory(rows(**changes)) is expected


# --- of the run's own design ------------------------------------------------------------------------

DESIGN = "10 slides of 3–12 patches, ICC 0.21, skewness 0.8, 1 network"


def own(**changes):
    row = {"label": "benign", "magnification": 20.0, "test": "sign_flip", "design": DESIGN, "reason": ""}
    row |= {"type_1_error": 0.0512, "low": 0.0423, "high": 0.0617, "simulations": 2_000.0}
    return pd.DataFrame([{**row, "label": "malignant", "type_1_error": 0.9}, {**row, **changes}])


def test_the_error_of_a_verdict_is_said_of_its_own_sample():
    assert error_words(own(), "benign", 20.0) == (
        f"in studies like this one ({DESIGN}) in which there is nothing to find, sign-flip over slides finds something"
        " in 5.1 % (4.2–6.2 %; 2,000 simulated); what else a verdict asks can only lower that"
    )
    assert "90.0 %" in error_words(own(), "malignant", 20.0)
    assert error_words(own(), "benign", 40.0) == ""
    assert error_words(own().iloc[:0], "benign", 20.0) == ""
    assert error_words(own(reason="there are only 2 slides"), "benign", 20.0) == (
        "how often the verdict errs in studies like this one was not simulated: there are only 2 slides"
    )
