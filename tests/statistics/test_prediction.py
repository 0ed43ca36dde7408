"""Rank correlations per slide, against SciPy and by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.prediction import slide_correlations
from saliency_stats.statistics.ranks import MIN_POINTS


def correlation_of(density, drop):
    n = len(density)
    who = {"patch_id": [f"p{k}" for k in range(n)], "magnification": 20.0, "model": "trained", "compartment": "nucleus"}
    done = pd.DataFrame({**who, "label": "benign", "slide_id": "s", "patient_id": "", "replacement": "mean"})
    ledger = pd.DataFrame({**who, "method": "gradient", "reduction": "l2", "status": "measured"})
    found = slide_correlations(done.assign(drop_per_area=drop), ledger.assign(density_ratio=density))
    return found[found["contrast"] == "prediction"].squeeze()


def test_perfect_orders_ties_and_single_points():
    perfect = correlation_of([1.0, 2, 3, 4], [1.0, 5, 6, 7])
    assert perfect["rho"] == pytest.approx(1)
    assert perfect["value"] == pytest.approx(np.arctanh(0.9))  # half-way between 1 and 0.8
    assert correlation_of([1.0, 2, 3, 4], [7.0, 6, 5, 1])["value"] == pytest.approx(-np.arctanh(0.9))
    ties = correlation_of([1.0, 1, 2, 3, 3], [0.0, 2, 2, 1, 5])
    assert ties["rho"] == pytest.approx(stats.spearmanr([1.0, 1, 2, 3, 3], [0.0, 2, 2, 1, 5]).statistic, abs=1e-12)
    assert np.isnan(correlation_of([1.0] * 5, [0.0, 1, 2, 3, 4])["value"])
    few = correlation_of([1.0] * (MIN_POINTS - 1), [0.0, 1, 2])
    assert few["n_points"] == MIN_POINTS - 1
    assert np.isnan(few["value"])
    assert np.isnan(correlation_of([1.0], [0.0])["value"])


def test_within_a_compartment_only_its_points_count_and_within_a_slide_only_its_patches():
    n = 12
    rng = np.random.default_rng(0)
    who = pd.DataFrame(
        {
            "patch_id": np.repeat([f"p{k}" for k in range(n)], 2),
            "magnification": 20.0,
            "model": "trained",
            "compartment": ["nucleus", "stroma"] * n,
        }
    )
    slides = np.repeat(["a", "b"], n)
    done = who.assign(
        label="benign", slide_id=slides, patient_id="", replacement="mean", drop_per_area=rng.normal(size=24)
    )
    ledger = who.assign(method="m", reduction="l2", status="measured", density_ratio=rng.normal(size=24))
    found = slide_correlations(done, ledger.sample(frac=1, random_state=0)).set_index(["contrast", "slide_id"])
    both = done.assign(density_ratio=ledger["density_ratio"])
    for slide, rows in both.groupby("slide_id"):
        for contrast, part in (("prediction", rows), ("prediction:stroma", rows[rows["compartment"] == "stroma"])):
            expected = stats.spearmanr(part["density_ratio"], part["drop_per_area"]).statistic
            row = found.loc[(contrast, slide)]
            assert row["rho"] == pytest.approx(expected)
            assert row["value"] == pytest.approx(np.arctanh(expected))
            assert (row["n_points"], row["n_patches"]) == (len(part), 6)
    assert ("prediction:cytoplasm", "a") not in found.index
    unmeasured = slide_correlations(done, ledger.assign(status="missing: small"))
    assert unmeasured.empty


def test_a_ledger_of_another_run_is_refused():
    row = {"patch_id": "p", "magnification": 20.0, "model": "trained", "compartment": "nucleus"}
    done = pd.DataFrame([row]).assign(
        label="benign", slide_id="s", patient_id="", replacement="mean", drop_per_area=1.0
    )
    ledger = pd.DataFrame([row]).assign(method="m", reduction="l2", status="measured", density_ratio=1.0)
    with pytest.raises(StatisticsError, match=r"no rows of model 'trained', .* \(found: other\)"):
        slide_correlations(done, ledger.assign(model="other"))
    with pytest.raises(StatisticsError, match=r"patch_id p, .* reduction l2 occurs twice, expected once"):
        slide_correlations(done, pd.concat([ledger, ledger]))
    with pytest.raises(StatisticsError, match="no column status"):
        slide_correlations(done, ledger.drop(columns="status"))
