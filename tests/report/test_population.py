"""From rows to units: a patient counts once, by the means of the patient's slides."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.report.population import (
    judged_counts,
    points,
    stratum_words,
    unit_means,
)
from saliency_stats.report.run import Run
from saliency_stats.statistics.units import independent_units

Blank = Callable[..., Run]
Rows = Callable[..., pd.DataFrame]

#: Patient 1 has a slide of three patches and one of one patch; the others have one slide each.
PATIENTS = pd.DataFrame(
    {
        "patch_id": list("fedcba"),
        "patient_id": ["1", "1", "1", "1", "2", "3"],
        "slide_id": ["A", "A", "A", "B", "C", "D"],
        "value": [1.0, 1.0, 1.0, 5.0, 2.0, 3.5],
        "magnification": 20.0,
    }
)


def test_a_patients_value_is_the_mean_of_its_slides_means(blank_run: Blank) -> None:
    run = blank_run({"statistics": {"unit": "patient"}})
    found = points(run, PATIENTS, "value")
    assert found.each.tolist() == [3.0, 2.0, 3.5]  # the mean of patient 1's patches would be 2.0
    assert (found.by_unit, found.n_patches) == (True, 6)
    assert found.mean == pytest.approx(8.5 / 3, abs=1e-15)
    bounds = stats.ttest_1samp([3.0, 2.0, 3.5], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(bounds), abs=1e-12)
    # the contrasts reduce to units in the same way
    by_contrasts = independent_units(PATIENTS, "value", patient="patient_id")
    assert found.mean == pytest.approx(by_contrasts.estimate, abs=1e-15)
    assert sorted(found.each) == pytest.approx(by_contrasts.means.tolist())


def test_slides_are_units_where_the_study_says_so(blank_run: Blank) -> None:
    found = points(blank_run(), PATIENTS, "value")
    assert found.each.tolist() == [1.0, 5.0, 2.0, 3.5]


def test_means_per_unit_and_magnification(blank_run: Blank, rows_of: Rows) -> None:
    patches = rows_of("patches", {"magnification": 20.0}, {"magnification": 5.0})
    run = blank_run({"statistics": {"unit": "patient"}}, patches=patches)
    finer = PATIENTS.iloc[:4].assign(magnification=5.0, value=[4.0, np.nan, 2.0, 9.0])
    means = unit_means(run, pd.concat([PATIENTS, finer]))
    assert means.columns.tolist() == [5.0, 20.0]
    assert means.loc["1"].tolist() == [6.0, 3.0]
    assert np.isnan(means.loc["2", 5.0])
    assert means[20.0].tolist() == [3.0, 2.0, 3.5]
    unknown = PATIENTS.assign(patient_id=["", *PATIENTS["patient_id"][1:]])
    assert unit_means(run, unknown).empty


def test_an_unknown_unit_leaves_patches_and_no_interval(blank_run: Blank) -> None:
    rows = PATIENTS.assign(slide_id=["", *PATIENTS["slide_id"][1:]])
    found = points(blank_run(), rows, "value")
    assert found.each.tolist() == [3.5, 2.0, 5.0, 1.0, 1.0, 1.0]  # in the order of the patches' names
    assert (found.by_unit, found.n_patches) == (False, 6)
    assert np.isnan([found.low, found.high]).all()


def test_logarithms_leave_out_what_has_none(blank_run: Blank) -> None:
    rows = PATIENTS.assign(value=[4.0, 0.0, np.nan, 8.0, 2.0, -1.0])
    found = points(blank_run(), rows, "value", log2=True)
    assert found.each.tolist() == [2.0, 3.0, 1.0]
    assert found.n_patches == 3
    assert points(blank_run(), rows, "value").n_patches == 5


@pytest.mark.parametrize(("least", "given"), [(4, True), (5, False)])
def test_the_study_says_how_many_units_an_interval_needs(blank_run: Blank, least: int, given: Any) -> None:
    found = points(blank_run({"statistics": {"min_slides": least, "alpha": 0.2}}), PATIENTS, "value")
    assert np.isfinite(found.low) == given
    if given:
        assert found.low == pytest.approx(stats.ttest_1samp([1, 5, 2, 3.5], 0).confidence_interval(0.8).low)


def test_equal_units_have_no_interval_and_nothing_has_no_mean(blank_run: Blank) -> None:
    assert np.isnan(points(blank_run(), PATIENTS.assign(value=1.0), "value").low)
    assert np.isnan(points(blank_run(), PATIENTS.iloc[:0], "value").mean)


def _judged(rows_of: Rows) -> dict[str, Any]:
    keys = [("a", "A", "benign"), ("b", "A", "benign"), ("c", "B", "benign"), ("d", "", "malignant")]
    patches = [{"patch_id": p, "slide_id": s, "label": label} for p, s, label in keys]
    said = [{"patch_id": p, "label": label, "p_malignant": float(label != "benign")} for p, _, label in keys]
    common: dict[str, Any] = {"magnification": 20.0, "split": "test"}
    predictions = rows_of("predictions", *said, **common, model="trained", correct=True)
    return {
        "patches": rows_of("patches", *patches, **common),
        "predictions": predictions.assign(predicted=predictions["label"]),
    }


def test_judged_patches_are_counted_by_unit(blank_run: Blank, rows_of: Rows) -> None:
    run = blank_run(**_judged(rows_of))
    assert judged_counts(run, 20.0, "benign") == (3, 2)
    assert judged_counts(run, 20.0, "malignant") == (1, 0)
    assert judged_counts(run, 10.0, "benign") == (0, 0)
    assert run.patches_per_unit == {(20.0, "benign"): (1, 2), (20.0, "malignant"): (1, 1)}


@pytest.mark.parametrize(
    ("learned", "words"), [(True, "benign, 20×"), (False, "benign, 20× (not shown to have learned)")]
)
def test_a_stratum_at_chance_is_called_so(blank_run: Blank, rows_of: Rows, learned: Any, words: str) -> None:
    metrics = rows_of("metrics", {"magnification": 20.0, "model": "trained", "split": "test", "learned": learned})
    run = blank_run(metrics=metrics, patches=rows_of("patches", {"magnification": 20.0}))
    assert stratum_words(run, 20.0, "benign") == words
