"""How often a verdict errs in a run's own design: the simulation against the tests, and against what is known."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import verdict_calibration
from saliency_stats.statistics.inference import t_slide_means
from saliency_stats.statistics.models.two_way import two_way
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.resampling import sign_flip
from saliency_stats.statistics.studies import crossed_half_widths
from saliency_stats.statistics.units import independent_units
from saliency_stats.statistics.variance import clustering
from saliency_stats.statistics.verdict_calibration import COLUMNS, calibrate, verdict_error


def squares_of(tables):
    found = two_way(tables)
    return found.network, found.unit, found.interaction


RNG = np.random.default_rng(0)
MEANS = RNG.normal(0.3, 0.2, 10)
SIZES = np.full(10, 12.0)
TABLE = RNG.normal(0, 0.2, (4, 1)) + RNG.normal(0, 0.2, 10) + RNG.normal(0, 0.1, (4, 10))
SETTINGS = StatisticsParameters()


def error(means=MEANS, sizes=SIZES, *, icc=0.3, skewness=0.0, test="sign_flip", **options):
    return verdict_error(means, sizes, icc=icc, skewness=skewness, test=test, **options)


def drawn_by(means=MEANS, sizes=SIZES, icc=0.3, skewness=0.0, n=4_000):
    """Draw the studies themselves, (n, K, G)."""
    rng = np.random.default_rng(1)
    return verdict_calibration._draw(np.atleast_2d(means), np.asarray(sizes), icc, skewness, n, rng)


# --- what is simulated ------------------------------------------------------------------------------


def test_drawn_studies_vary_as_the_run_did_about_zero():
    sizes = np.array([2.0, 5, 50, 400] * 3)
    means = np.random.default_rng(2).normal(5, 0.4, 12)
    drawn = drawn_by(means, sizes, icc=0.1, n=40_000)[:, 0]
    assert drawn.mean() == pytest.approx(0, abs=0.01)
    share = 0.1 + 0.9 / sizes
    expected = np.var(means, ddof=1) * share / share.mean()
    np.testing.assert_allclose(drawn.var(axis=0), expected, rtol=0.04)
    assert np.ptp(drawn_by(means, sizes, icc=1.0, n=40_000)[:, 0].var(axis=0)) < 0.01


@pytest.mark.parametrize("skewness", [-1.5, 0.0, 0.7, 2.0])
def test_units_are_as_skewed_as_those_of_the_run(skewness):
    drawn = drawn_by(skewness=skewness, n=40_000)[:, 0]
    assert stats.skew(drawn, axis=0).mean() == pytest.approx(skewness, abs=0.06)
    assert drawn.mean() == pytest.approx(0, abs=0.005)
    assert drawn.var() == pytest.approx(np.var(MEANS, ddof=1), rel=0.03)


def test_tables_of_networks_have_the_mean_squares_of_the_run():
    expected = [float(square) for square in squares_of(TABLE)]
    for skewness in (0.0, 1.0):
        found = [square.mean() for square in squares_of(drawn_by(TABLE, skewness=skewness, n=8_000))]
        assert found == pytest.approx(expected, rel=0.05)
    # where networks and units differ by less than cells do, they do not differ
    flat = np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]])
    found = [square.mean() for square in squares_of(drawn_by(flat, np.full(4, 3.0), n=8_000))]
    assert found == pytest.approx([float(squares_of(flat)[2])] * 3, rel=0.06)


# --- what is counted --------------------------------------------------------------------------------


@pytest.mark.parametrize(("test", "function"), [("sign_flip", sign_flip), ("t_slide_means", t_slide_means)])
def test_p_values_are_those_of_the_tests_themselves(test, function):
    drawn = drawn_by(n=40)
    found = verdict_calibration._p_values(drawn, test, 99, 0)
    options = {"draws": 99, "seed": 0} if test == "sign_flip" else {}
    expected = [function(study[0], alpha=0.05, **options).p_value for study in drawn]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_crossed_p_values_are_duals_of_the_intervals():
    drawn = drawn_by(TABLE, n=500)
    p_values = verdict_calibration._p_values(drawn, "crossed", 99, 0)
    for level in (0.05, 0.3):
        half = crossed_half_widths(two_way(drawn), level)
        np.testing.assert_array_equal(np.abs(drawn.mean(axis=(1, 2))) > half, p_values < level)


@pytest.mark.parametrize("hypotheses", [1, 3])
def test_shares_are_of_the_drawn_studies(hypotheses):
    found = error(test="t_slide_means", skewness=1.0, hypotheses=hypotheses, margin=0.15, seed=1, simulations=400)
    drawn = verdict_calibration._draw(MEANS[None], SIZES, 0.3, 1.0, 400, np.random.default_rng((1, 4)))[:, 0]
    p_values = stats.ttest_1samp(drawn, 0, axis=1).pvalue
    hits = p_values < 0.05
    assert found.simulations == 400
    assert found.type_1_error == hits.mean()
    assert (found.low, found.high) == pytest.approx(proportion_confint(hits.sum(), 400, method="wilson"))
    assert found.supported == (hits & (drawn.mean(axis=1) > 0)).mean()
    assert found.supported != found.type_1_error - found.supported
    assert found.coverage == 1 - found.type_1_error
    assert found.family_error == pytest.approx(1 - (1 - (p_values < 0.05 / hypotheses).mean()) ** hypotheses)
    called = []
    for effect in (0.15, -0.15):
        own = drawn + effect
        intervals = [stats.t.interval(0.9, 9, row.mean(), stats.sem(row)) for row in own]
        inside = np.array([low > -0.15 and high < 0.15 for low, high in intervals])
        called.append((inside & (stats.ttest_1samp(own, 0, axis=1).pvalue >= 0.05)).mean())
    assert found.false_equivalent == pytest.approx(max(called))
    assert called[0] != called[1]
    assert found.false_equivalent > 0


def test_a_verdict_of_symmetric_slides_errs_in_five_per_cent_and_of_skewed_ones_more():
    symmetric, skewed = error(), error(skewness=2.0)
    assert symmetric.low < 0.05 < symmetric.high
    assert skewed.low > 0.06
    assert 0.03 < error(TABLE, test="crossed").type_1_error < 0.07


def test_a_test_within_one_of_many_networks_would_err_far_more():
    """The simulation notices what the crossed test is for: networks taken for a sample of one."""
    drawn = drawn_by(TABLE, n=2_000)
    within = verdict_calibration._p_values(drawn[:, :1], "t_slide_means", 99, 0) < 0.05
    assert within.mean() > 0.3


@pytest.mark.parametrize(
    ("units", "hypotheses", "possible"), [(5, 1, False), (6, 1, True), (6, 2, False), (7, 2, True)]
)
def test_where_sign_flips_find_nothing_they_cannot_err_and_nothing_is_equivalent(units, hypotheses, possible):
    found = error(MEANS[:units], SIZES[:units], hypotheses=hypotheses)
    assert (found.family_error > 0) == possible
    assert (found.type_1_error > 0) == (units > 5)
    margin = 3 * stats.sem(MEANS[:units])  # of an effect of 3 standard errors some are not found
    wide = error(MEANS[:units], SIZES[:units], hypotheses=hypotheses, margin=margin, skewness=1.0)
    assert (wide.false_equivalent > 0) == possible


def test_a_seed_decides_and_the_default_is_small():
    start = time.perf_counter()
    first = error(seed=3)
    assert time.perf_counter() - start < 2
    assert first == error(seed=3)
    assert first != error(seed=4)
    assert first.simulations == 2_000
    assert error(simulations=150).simulations == 150


def test_of_very_many_units_fewer_studies_are_simulated(monkeypatch):
    monkeypatch.setattr(verdict_calibration, "BLOCK", 3_000)
    assert error().simulations == 300
    monkeypatch.setattr(verdict_calibration, "BLOCK", 50)
    assert error().simulations == 100


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"icc": -0.1}, "icc is -0.1"),
        ({"icc": 1.1}, "icc is 1.1"),
        ({"skewness": np.nan}, "skewness is nan"),
        ({"sizes": SIZES[:9]}, "expected patches .1 or more. of 10 units"),
        ({"sizes": SIZES * 0}, "expected patches .1 or more. of 10 units"),
        ({"means": MEANS[:1], "sizes": SIZES[:1]}, "units is 1"),
        ({"means": np.where(MEANS > 0.3, np.nan, MEANS)}, "means holds values that are not finite"),
        ({"test": "wilcoxon"}, "test is 'wilcoxon'"),
        ({"test": "crossed"}, "test is 'crossed' and there are 1 networks"),
        ({"means": TABLE}, "test is 'sign_flip' and there are 4 networks"),
        ({"margin": 0.0}, "margin is 0"),
        ({"hypotheses": 0}, "hypotheses is 0"),
        ({"simulations": 99}, "simulations is 99"),
        ({"alpha": 0.7}, "alpha"),
        ({"seed": -1}, "seed"),
    ],
)
def test_values_out_of_range_are_refused(options, words):
    with pytest.raises(StatisticsError, match=words):
        error(**options)


# --- a run ------------------------------------------------------------------------------------------


def run_values(slides=8, patches=(2, 9), networks=1, labels=("benign", "malignant"), magnifications=(20.0,)):
    rng = np.random.default_rng(4)
    rows = []
    for magnification in magnifications:
        for label in labels:
            for slide in range(slides):
                for patch in range(int(rng.integers(*patches))):
                    shared = {"label": label, "magnification": magnification, "slide_id": f"s{slide}"}
                    shared |= {"patient_id": f"p{slide // 2}", "patch_id": f"{label}{slide}-{patch}"}
                    rows += [{**shared, "network": str(k + 1), "value": rng.normal()} for k in range(networks)]
    return pd.DataFrame(rows)


def test_every_sample_of_a_run_is_simulated_as_it_is():
    values = run_values(magnifications=(10.0, 20.0))
    settings = replace(SETTINGS, seed=2, alpha=0.04, equivalence_margin=0.3)
    found = calibrate(values, settings, simulations=500)
    assert tuple(found.columns) == COLUMNS
    keys = found[["magnification", "label"]].itertuples(index=False, name=None)
    assert list(keys) == [(10.0, "benign"), (10.0, "malignant"), (20.0, "benign"), (20.0, "malignant")]
    assert set(found["hypotheses"]) == {4}
    assert set(found["test"]) == {"sign_flip"}
    assert (found["reason"] == "").all()
    for row in found.itertuples():
        rows = values[(values["label"] == row.label) & (values["magnification"] == row.magnification)]
        means, sizes = rows.groupby("slide_id")["value"].mean(), rows.groupby("slide_id").size()
        icc = clustering(rows["value"].to_numpy(), pd.factorize(rows["slide_id"])[0]).icc
        skewness = stats.skew(means, bias=False)
        units = independent_units(rows, "value")
        expected = verdict_error(
            units.means,
            units.sums.sizes,
            icc=icc,
            skewness=skewness,
            test="sign_flip",
            alpha=0.04,
            margin=0.3,
            hypotheses=4,
            simulations=500,
            seed=2,
        )
        assert {name: getattr(row, name) for name in vars(expected)} == vars(expected)
        assert sorted(units.sums.sizes) == sorted(sizes)
        counts = f"{sizes.min()}–{sizes.max()}"
        assert row.design == f"8 slides of {counts} patches, ICC {icc:.2f}, skewness {skewness:.1f}, 1 network"


def test_several_networks_are_simulated_crossed():
    values = run_values(networks=3, labels=("benign",))
    (row,) = calibrate(values, SETTINGS).itertuples()
    assert (row.test, row.reason, row.hypotheses) == ("crossed", "", 1)
    assert row.design.endswith(", 3 networks")
    cells = values.pivot_table("value", "network", "slide_id").to_numpy()
    averaged = values.groupby("patch_id").agg({"value": "mean", "slide_id": "first"})
    icc = clustering(averaged["value"].to_numpy(), pd.factorize(averaged["slide_id"])[0]).icc
    expected = verdict_error(
        cells,
        averaged.groupby("slide_id").size().to_numpy(),
        icc=icc,
        skewness=stats.skew(cells.mean(axis=0), bias=False),
        test="crossed",
    )
    assert row.type_1_error == expected.type_1_error
    assert row.false_equivalent == expected.false_equivalent


def test_patients_are_simulated_where_they_are_the_unit():
    settings = replace(SETTINGS, unit="patient")
    for networks in (1, 3):
        values = run_values(slides=12, networks=networks, labels=("benign",))
        (row,) = calibrate(values, settings).itertuples()
        sizes = values.groupby("patient_id")["patch_id"].nunique()
        assert row.design.startswith(f"6 patients of {sizes.min()}–{sizes.max()} patches, ICC ")
        assert np.isfinite(row.type_1_error)


def test_equal_slides_are_named_once():
    (row,) = calibrate(run_values(patches=(4, 5), labels=("benign",)), SETTINGS).itertuples()
    assert row.design.startswith("8 slides of 4 patches, ICC ")
    (row,) = calibrate(run_values(patches=(1, 2), labels=("benign",)), SETTINGS).itertuples()
    assert "8 slides of 1 patches, ICC 1.00" in row.design


def test_the_study_s_test_is_simulated():
    (row,) = calibrate(run_values(labels=("benign",)), replace(SETTINGS, primary_test="t_slide_means")).itertuples()
    assert row.test == "t_slide_means"


def test_what_cannot_be_tested_or_simulated_says_why_and_costs_the_others_nothing():
    few = run_values(slides=2, labels=("benign",))
    found = calibrate(pd.concat([few, run_values(labels=("malignant",))]), SETTINGS).set_index("label")
    assert "there are only 2 slides, and a test needs at least 3" in found.loc["benign", "reason"]
    assert np.isnan(found.loc["benign", "type_1_error"])
    assert np.isfinite(found.loc["malignant", "type_1_error"])
    assert set(found["hypotheses"]) == {1}
    unknown = calibrate(run_values(labels=("benign",)).assign(slide_id=""), SETTINGS)
    assert "the slides of the patches are unknown" in unknown["reason"].item()
    values = run_values(networks=3, labels=("benign",))
    own = values["network"].astype(int) - 1 == values["slide_id"].str[1:].astype(int) % 3
    some = values[own | values["slide_id"].isin(["s0", "s1"])]
    assert calibrate(some, SETTINGS)["reason"].item() == (
        "networks judged different slides, and such a design is not simulated"
    )
    patches = replace(SETTINGS, assume_independent=True)
    several = calibrate(values.assign(slide_id=""), patches)["reason"].item()
    assert several.endswith("and such networks are not simulated")
    assert np.isfinite(calibrate(values[own].assign(slide_id=""), patches)["type_1_error"].item())


def test_a_run_without_values_has_no_rows():
    assert calibrate(run_values().iloc[:0], SETTINGS).empty
