"""Centred and matched values, row by row."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.pictures import CENTRED, EXCESS, centred_values, matched_name, matched_values
from saliency_stats.statistics.values import values_of

KEY = {"patch_id": ["b", "a"], "slide_id": "s", "patient_id": "p", "label": "benign", "magnification": 20.0}
KEY |= {"model": "trained", "method": "gradient", "reduction": "l2"}
SHIFT = pd.DataFrame(
    KEY | {"network": "1", "delta": [1.0, np.nan], "null_mean": [0.25, np.nan], "status": ["measured", "no nucleus"]}
)
COLUMNS = ["model", "patch_id", "magnification", "method", "reduction", "network", "slide_id", "patient_id", "label"]


def test_the_centred_contrast_is_the_difference_from_the_mean_over_shifts():
    found = values_of(centred_values(SHIFT), CENTRED)
    assert list(found) == [*COLUMNS, "contrast", "value", "missing"]
    assert set(found["contrast"]) == {CENTRED} == {"cytoplasm_vs_nucleus_centred"}
    assert found["patch_id"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(found["value"], [np.nan, 0.75])
    assert found["missing"].tolist() == ["no nucleus", ""]


def test_a_table_without_networks_is_one_of_a_single_network():
    assert centred_values(SHIFT.drop(columns="network"))["network"].tolist() == ["1", "1"]
    matched = matched_table().drop(columns="network")
    assert {name: set(found["network"]) for name, found in matched_values(matched).items()} == {
        "eosin": {"1"},
        "sobel": {"1"},
    }


@pytest.mark.parametrize("column", ["delta", "null_mean", "status", "label", "method"])
def test_a_missing_column_of_shift_is_named(column):
    with pytest.raises(StatisticsError, match=f"shift: no column {column}"):
        centred_values(SHIFT.drop(columns=column))


def matched_table():
    parts = []
    for picture, own, of_picture in (("sobel", 0.5, 0.125), ("eosin", 0.25, 0.5)):
        numbers = {"matched": [own, np.nan], "matched_of_picture": [of_picture, np.nan]}
        parts.append(pd.DataFrame(KEY | {"network": "1", "picture": picture, "status": ["measured", "dark"]} | numbers))
    return pd.concat(parts)


def matched(table):
    """Return the values of both contrasts of every picture below one another."""
    wide = {matched_name(picture): values for picture, values in matched_values(table).items()}
    return pd.concat([values_of(values, one) for name, values in wide.items() for one in (name, f"{name}{EXCESS}")])


def test_a_map_is_matched_for_itself_and_beyond_the_picture():
    found = matched(matched_table())
    assert list(found) == [*COLUMNS, "contrast", "value", "missing"]
    assert found["contrast"].drop_duplicates().tolist() == [
        "matched_eosin",
        "matched_eosin_excess",
        "matched_sobel",
        "matched_sobel_excess",
    ]
    of_b = found[found["patch_id"] == "b"].set_index("contrast")["value"]
    assert of_b.to_dict() == {
        "matched_eosin": 0.25,
        "matched_eosin_excess": -0.25,
        "matched_sobel": 0.5,
        "matched_sobel_excess": 0.375,
    }
    assert found.loc[found["patch_id"] == "a", "value"].isna().all()
    assert set(found.loc[found["patch_id"] == "a", "missing"]) == {"dark"}
    assert set(found.loc[found["patch_id"] == "b", "missing"]) == {""}
    assert matched_name("sobel") == "matched_sobel"


def test_a_picture_without_a_ratio_of_its_own_leaves_the_excess_open():
    table = matched_table().query("picture == 'sobel'").assign(matched_of_picture=np.nan, status="no overlap")
    found = matched(table).set_index(["contrast", "patch_id"])
    assert found.loc[("matched_sobel", "b"), "value"] == 0.5
    assert found.loc[("matched_sobel", "b"), "missing"] == ""
    assert found.loc[("matched_sobel_excess", "b"), "missing"] == "no overlap"


def test_a_table_without_rows_has_no_contrast():
    assert matched_values(matched_table().iloc[:0]) == {}
    assert centred_values(SHIFT.iloc[:0]).empty
    with pytest.raises(StatisticsError, match="matched: no column picture"):
        matched_values(matched_table().drop(columns="picture"))
