"""Bounds of a mean over units by hand: every missing patch at the lowest, or at the highest, that was observed."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.bounds import Bounds, mean_bounds
from saliency_stats.statistics.differences import group_difference
from saliency_stats.statistics.units import independent_units

NO, UP, DOWN = "no nucleus", "no saliency in nucleus", "no saliency in cytoplasm"
TABLE = pd.DataFrame(
    {
        "value": [1.0, 3.0, np.nan, 2.0, 0.5, 4.0],
        "missing": ["", "", NO, "", "", ""],
        "slide_id": ["a", "a", "a", "b", "b", "c"],
        "patient_id": ["p", "p", "p", "q", "q", "q"],
    }
)
#: Patches without a value are also those of a slide that has no other.
MORE = pd.concat(
    [TABLE, pd.DataFrame({"value": np.nan, "missing": [UP, DOWN, NO], "slide_id": ["b", "c", "d"], "patient_id": "q"})],
    ignore_index=True,
)


def bounded(table=TABLE, *, contrast="cytoplasm_vs_nucleus", patient=None, **options):
    units = independent_units(table, "value", patient=patient, **options)
    return mean_bounds(table, "value", units, contrast=contrast, patient=patient)


def test_each_missing_patch_is_the_lowest_or_the_highest():
    found = bounded()
    assert found.estimate == pytest.approx((2 + 1.25 + 4) / 3)
    assert found.low == pytest.approx((4.5 / 3 + 1.25 + 4) / 3)  # 0.5 is the lowest of all, on another slide
    assert found.high == pytest.approx((8 / 3 + 1.25 + 4) / 3)
    assert (found.n_patches, found.n_missing, found.n_raise, found.n_lower, found.n_units_added) == (5, 1, 0, 0, 0)
    assert found.reasons == ((NO, 1),)
    assert found.sign_holds


def test_without_saliency_in_one_compartment_the_direction_is_known():
    found = bounded(MORE)
    assert found.low == pytest.approx(np.mean([4.5 / 3, 6.5 / 3, 4.5 / 2, 0.5]))
    assert found.high == pytest.approx(np.mean([8 / 3, 6.5 / 3, 4.5 / 2, 4]))
    assert (found.n_missing, found.n_raise, found.n_lower, found.n_units_added) == (4, 1, 1, 1)
    assert found.reasons == ((NO, 2), (DOWN, 1), (UP, 1))
    other_way = bounded(MORE, contrast="nucleus_vs_cytoplasm")
    assert (other_way.low, other_way.high) == pytest.approx(
        (np.mean([1.5, 3 / 3, 8 / 2, 0.5]), np.mean([8 / 3, 3 / 3, 8 / 2, 4]))
    )
    neither = bounded(MORE, contrast="stroma_vs_rest")
    assert (neither.n_raise, neither.n_lower) == (0, 0)
    assert neither.low < found.low
    rest = MORE.replace({"missing": {UP: "no saliency in rest of the tissue"}})
    assert [getattr(bounded(rest, contrast="cytoplasm_vs_rest"), name) for name in ("n_raise", "n_lower")] == [1, 1]


def test_a_patients_mean_is_that_of_its_slides():
    found = bounded(MORE, patient="patient_id")
    assert found.estimate == pytest.approx(np.mean([2, (1.25 + 4) / 2]))
    assert found.low == pytest.approx(np.mean([1.5, np.mean([6.5 / 3, 4.5 / 2, 0.5])]))
    assert found.high == pytest.approx(np.mean([8 / 3, np.mean([6.5 / 3, 4.5 / 2, 4])]))
    assert found.n_units_added == 0  # the slide is new, its patient is not


@pytest.mark.parametrize(("patient", "blank"), [(None, ["slide_id"]), ("patient_id", ["slide_id", "patient_id"])])
@pytest.mark.parametrize("nothing", ["", " ", None])
def test_a_missing_patch_of_an_unknown_unit_is_a_unit_of_its_own(patient, blank, nothing):
    table = MORE.astype(object).assign(value=MORE["value"])
    table.loc[[2, 8], blank] = nothing
    found = bounded(table, patient=patient)
    if patient is None:
        assert found.low == pytest.approx(np.mean([2, 6.5 / 3, 4.5 / 2, 0.5, 0.5]))
    else:
        assert found.low == pytest.approx(np.mean([2, np.mean([6.5 / 3, 4.5 / 2]), 0.5, 0.5]))
    assert found.n_units_added == 2
    assert bounded(table.astype("category").assign(value=MORE["value"]), patient=patient) == found


def test_a_patient_that_is_unknown_on_a_known_slide():
    table = TABLE.copy()
    table.loc[2, "patient_id"] = ""
    found = bounded(table, patient="patient_id")
    assert found.low == pytest.approx(np.mean([2, (1.25 + 4) / 2, 0.5]))


def test_unknown_units_leave_the_mean_over_patches():
    found = bounded(TABLE.assign(slide_id=""))
    assert (found.low, found.high) == pytest.approx((11 / 6, 14.5 / 6))
    assumed = bounded(TABLE.assign(slide_id=""), assume_independent=True)
    assert (assumed.low, assumed.high) == pytest.approx((11 / 6, 14.5 / 6))
    assert assumed.n_units_added == 1
    partly = bounded(TABLE.replace({"slide_id": {"b": ""}}), assume_independent=True)
    assert (partly.low, partly.high) == pytest.approx((11 / 6, 14.5 / 6))
    slides = bounded(TABLE.assign(patient_id=""), patient="patient_id", assume_independent=True)
    assert (slides.low, slides.high) == (bounded().low, bounded().high)


def test_where_nothing_is_missing_the_bounds_are_the_estimate():
    found = bounded(TABLE.drop(index=2))
    assert (found.low, found.high) == (found.estimate, found.estimate)
    assert found.reasons == ()


def test_without_any_value_or_for_a_difference_there_are_none():
    nothing = bounded(TABLE.assign(value=np.nan, missing=NO))
    assert np.isnan([nothing.low, nothing.high, nothing.estimate]).all()
    assert not nothing.sign_holds
    table = TABLE.assign(group=["x", "y"] * 3)
    for rows in (table, table.assign(group=["x"] * 3 + ["y"] * 3)):
        units = group_difference(rows, "value", "group", ("x", "y"))
        found = mean_bounds(rows, "value", units, contrast="")
        assert np.isnan([found.low, found.high]).all()
        assert found.n_missing == 1


def test_order_of_rows_and_other_tables_columns():
    shuffled = MORE.sample(frac=1, random_state=1)
    one, other = bounded(MORE), bounded(shuffled)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)
    with pytest.raises(StatisticsError, match="table: no column missing"):
        bounded(TABLE.drop(columns="missing"))
    units = independent_units(TABLE, "value")
    with pytest.raises(StatisticsError, match="no column patient_id"):
        mean_bounds(TABLE.drop(columns="patient_id"), "value", units, contrast="", patient="patient_id")


def bounds(low, high, estimate=0.5, **counts):
    return Bounds(low, high, estimate, **({"n_patches": 128, "n_missing": 12} | counts))


def test_the_sign_holds_only_on_the_estimates_side():
    assert bounds(0.1, 0.9).sign_holds
    assert not bounds(0.0, 0.9).sign_holds
    assert bounds(-0.9, -0.1, -0.5).sign_holds
    assert not bounds(-0.9, 0.0, -0.5).sign_holds
    assert not bounds(0.1, 0.9, -0.5).sign_holds
    assert not bounds(-0.9, -0.1, 0.5).sign_holds
