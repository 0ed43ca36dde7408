"""Precision-weighted means and effective numbers of units, by hand and against the model they are those of."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics.components import level_variances
from saliency_stats.statistics.differences import group_difference
from saliency_stats.statistics.models.mixed import fit_random_intercept
from saliency_stats.statistics.units import independent_units
from saliency_stats.statistics.weights import weighted_mean


def table(sizes, *, between=0.3, within=1.0, per_patient=1, seed=0):
    rng = np.random.default_rng(seed)
    slides = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(0.5, between, len(sizes)) + rng.normal(0, 0.4, len(sizes) // per_patient + 1)[
        np.arange(len(sizes)) // per_patient
    ] * (per_patient > 1)
    return pd.DataFrame(
        {
            "value": centres[slides] + rng.normal(0, within, slides.size),
            "slide_id": [f"s{slide}" for slide in slides],
            "patient_id": [f"p{slide // per_patient}" for slide in slides],
            "group": np.where(np.arange(slides.size) % 2, "a", "b"),
        }
    )


def test_the_weighted_mean_of_slides_is_that_of_the_random_intercept_model():
    rows = table([2, 3, 40, 60, 5, 80])
    units = independent_units(rows, "value")
    fit = fit_random_intercept(units.sums)
    found = weighted_mean(units)
    assert fit.between > 0
    assert found.estimate == pytest.approx(fit.coefficients[0], abs=1e-10)
    assert found.estimate != pytest.approx(units.estimate, abs=1e-3)
    sizes, means = rows.groupby("slide_id")["value"].agg(["size", "mean"]).to_numpy().T
    v = fit.between + fit.within / sizes
    w = 1 / v
    assert found.estimate == pytest.approx(np.average(means, weights=w), abs=1e-10)
    assert found.effective_number == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-10)
    assert found.effective_number_unweighted == pytest.approx(v.sum() ** 2 / (v**2).sum(), rel=1e-10)


def test_a_small_noisy_slide_counts_alone_in_the_plain_mean():
    rng = np.random.default_rng(1)
    noise = pd.DataFrame({"value": rng.normal(0, 5, 2002)})
    noise["slide_id"] = ["few"] * 2 + [f"s{k % 4}" for k in range(2000)]
    found = weighted_mean(independent_units(noise, "value"))
    assert found.effective_number_unweighted == pytest.approx(1, abs=0.1)  # 2 patches beside 500 in each other
    assert found.effective_number == pytest.approx(4, abs=0.1)


def test_a_patients_variance_is_that_of_the_mean_of_its_slides():
    rows = table([5, 9, 20, 30, 4, 4, 12, 25, 8, 6], per_patient=2, within=0.5)
    units = independent_units(rows, "value", patient="patient_id")
    between, of_slides, within = level_variances(units.sums, units.owners)
    assert min(between, of_slides, within) > 0
    slides = rows.groupby(["patient_id", "slide_id"])["value"].agg(["size", "mean"])
    patients = slides.assign(v=of_slides + within / slides["size"]).groupby("patient_id")
    means, n = patients["mean"].mean(), patients.size()
    v = between + patients["v"].sum() / n**2
    found = weighted_mean(units)
    assert found.estimate == pytest.approx(np.average(means, weights=1 / v), abs=1e-10)
    assert found.effective_number == pytest.approx((1 / v).sum() ** 2 / (1 / v**2).sum(), rel=1e-10)
    assert found.effective_number_unweighted == pytest.approx(v.sum() ** 2 / (v**2).sum(), rel=1e-10)
    assert 1 < found.effective_number_unweighted < 5


def test_units_of_one_size_all_count():
    for sizes in ([10] * 6, [1] * 6):
        units = independent_units(table(sizes), "value")
        found = weighted_mean(units)
        assert found.estimate == pytest.approx(units.estimate, abs=1e-12)
        assert found[1:] == (6, 6)
    one = independent_units(table([2, 3, 4]).assign(slide_id=""), "value", assume_independent=True)
    assert weighted_mean(one)[1:] == (9, 9)
    # two slides of one size each make a patient no less precise than another
    patients = independent_units(table([5] * 6, per_patient=2), "value", patient="patient_id")
    assert weighted_mean(patients)[1:] == (3, 3)
    # two slides of two patches have as many patches as one of four, but are two
    same_noise = table([4, 2, 2, 4], within=0.1).assign(patient_id=lambda t: t["slide_id"].replace("s2", "s1"))
    same_noise["value"] += 3 * (same_noise["slide_id"] == "s2")
    assert 1 < weighted_mean(independent_units(same_noise, "value", patient="patient_id"))[2] < 2.99
    uneven = table([5] * 3).replace({"patient_id": {"p2": "p1"}})
    assert weighted_mean(independent_units(uneven, "value", patient="patient_id"))[1] < 2


def test_nothing_is_said_where_variances_are_unknown():
    rows = table([4, 6, 9])
    for units in (
        independent_units(rows.assign(slide_id=""), "value"),
        independent_units(rows.iloc[:4], "value"),
        independent_units(rows.assign(value=np.nan), "value"),
        independent_units(rows.assign(value=rows["slide_id"].str[1:].astype(float)), "value"),
        group_difference(rows, "value", "group", ("a", "b")),
        group_difference(rows.assign(group=np.where(rows["slide_id"] == "s0", "a", "b")), "value", "group", ("a", "b")),
    ):
        assert np.isnan(weighted_mean(units)).all()
    assert np.isfinite(weighted_mean(independent_units(rows.iloc[:10], "value"))).all()  # two slides are enough
