"""The model of a magnification study: against lme4, lmerTest, pbkrtest and dense matrices, and its other route."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models import likelihood
from saliency_stats.statistics.models.crossed import CrossedSums, crossed_intercepts
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.robust import cluster_robust

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = pd.read_csv(GOLDEN / "crossed_data.csv")
EXPECTED = pd.read_csv(GOLDEN / "crossed.csv")
CASES = [pytest.param(*key, rows, id="-".join(key)) for key, rows in EXPECTED.groupby(["case", "formula", "method"])]


@pytest.mark.parametrize(("case", "formula", "method", "rows"), CASES)
def test_it_agrees_with_r(case, formula, method, rows):
    text = f"y ~ {formula.replace('factor', 'C')}"
    fit = crossed_intercepts(
        DATA[DATA["case"] == case], text, "slide", "location", "mag", df="satterthwaite", method=method
    )
    assert fit.route == "mixed"
    variances = rows[["slide", "location", "slide_mag", "rows"]].iloc[0].tolist()
    assert list(fit.variances.values()) == pytest.approx(variances, rel=1e-6, abs=1e-8)
    assert fit.boundary == tuple(
        name for name, value in zip(fit.variances, variances, strict=True) if value < 1e-8
    )  # lme4 stops at 1e-17 or so
    assert fit.deviance == pytest.approx(rows["deviance"].iloc[0], rel=1e-10)
    plain = fit.table()
    assert plain["estimate"].to_numpy() == pytest.approx(rows["estimate"].to_numpy(), rel=1e-6)
    assert plain["se"].to_numpy() == pytest.approx(rows["se"].to_numpy(), rel=1e-6)
    assert plain["df"].to_numpy() == pytest.approx(rows["df"].to_numpy(), rel=1e-5)
    assert plain["p_value"].to_numpy() == pytest.approx(rows["p"].to_numpy(), abs=1e-6)
    if method == "reml":
        kr = replace(fit, df="kenward_roger").table()
        assert kr["se"].to_numpy() == pytest.approx(rows["kr_se"].to_numpy(), rel=1e-6)
        assert kr["df"].to_numpy() == pytest.approx(rows["kr_df"].to_numpy(), rel=1e-5)
        assert kr["p_value"].to_numpy() == pytest.approx(rows["kr_p"].to_numpy(), abs=1e-6)


def test_with_networks_of_each_magnification_it_agrees_with_r():
    rows = pd.read_csv(GOLDEN / "networks_magnification_data.csv")
    expected = pd.read_csv(GOLDEN / "networks_magnification.csv")
    fit = crossed_intercepts(rows, "y ~ C(mag)", "slide", "location", "mag", "network", df="satterthwaite")
    assert tuple(fit.variances) == ("slide", "location", "slide and magnification", "network", "rows")
    variances = expected[["slide", "location", "slide_mag", "network", "rows"]].iloc[0]
    assert list(fit.variances.values()) == pytest.approx(variances.tolist(), rel=1e-5)
    assert fit.deviance == pytest.approx(expected["deviance"].iloc[0], rel=1e-10)
    found = fit.table()
    np.testing.assert_allclose(found[["estimate", "se"]], expected[["estimate", "se"]], rtol=1e-6)
    np.testing.assert_allclose(found["df"], expected["df"], rtol=1e-5)
    np.testing.assert_allclose(found["p_value"], expected["p"], atol=1e-6)


def patches(seed=0, locations=(4, 6, 3, 5, 7, 4), magnifications=(5.0, 20.0, 40.0), sds=(0.5, 0.4, 0.6, 0.5), drop=0.0):
    rng = np.random.default_rng(seed)
    slide = np.repeat(np.arange(len(locations)), locations)
    m = len(magnifications)
    slide, place, level = np.repeat(slide, m), np.repeat(np.arange(len(slide)), m), np.tile(np.arange(m), len(slide))
    value = rng.normal(0, sds[0], len(locations))[slide] + rng.normal(0, sds[1], place.max() + 1)[place]
    value += rng.normal(0, sds[2], (len(locations), m))[slide, level] + rng.normal(0, sds[3], len(place))
    rows = pd.DataFrame(
        {
            "slide_id": np.char.add("slide ", slide.astype(str)),
            "patch_id": np.char.add("patch ", place.astype(str)),
            "magnification": np.array(magnifications)[level],
            "value": value,
        }
    )
    return rows[rng.uniform(size=len(rows)) >= drop]


@pytest.mark.parametrize("df", ["satterthwaite", "kenward_roger"])
def test_two_magnifications_of_equal_slides_give_the_paired_t_test_of_their_means(df):
    rows = patches(locations=(5,) * 7, magnifications=(10.0, 20.0))
    found = crossed_intercepts(rows, "value ~ C(magnification)", df=df).test("C(magnification)[T.20.0]")
    means = rows.pivot_table("value", "slide_id", "magnification")
    expected = stats.ttest_rel(means[20.0], means[10.0])
    assert found.df == pytest.approx(6)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.ci_low, found.ci_high) == pytest.approx(expected.confidence_interval(0.95))


@pytest.mark.parametrize("variances", [(0.5, 0.3, 0.2, 1.1), (0.0, 0.7, 0.4, 0.3), (2.0, 0.0, 0.0, 0.5)])
def test_the_sums_stand_for_the_dense_covariance(variances):
    rows = patches(drop=0.3)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(len(rows), 2)), rows["value"].to_numpy()
    slides, places, levels = (pd.factorize(rows[name])[0] for name in ("slide_id", "patch_id", "magnification"))
    sums = CrossedSums.from_rows(y, x, slides, places, levels)
    same = [codes[:, None] == codes for codes in (slides, places, slides * 3 + levels, np.arange(len(y)))]
    dense = sum(variance * alike for variance, alike in zip(variances, same, strict=True))
    both = np.column_stack([x, y])
    at = np.array(variances)
    np.testing.assert_allclose(sums.products(at), both.T @ np.linalg.solve(dense, both), rtol=1e-10)
    assert sums.log_determinant(at) == pytest.approx(np.linalg.slogdet(dense)[1], rel=1e-12)
    assert sums.n == len(y)


def with_networks(rows, seed=5, n_networks=3, sd=0.4):
    rng = np.random.default_rng(seed)
    every = pd.concat([rows.assign(network=f"n{k}") for k in range(n_networks)], ignore_index=True)
    cell = pd.factorize(every["network"] + every["magnification"].astype(str))[0]
    noise = rng.normal(0, 0.3, len(every))
    return every.assign(value=every["value"] + rng.normal(0, sd, cell.max() + 1)[cell] + noise)


@pytest.mark.parametrize("variances", [(0.5, 0.3, 0.2, 0.6, 1.1), (0.0, 0.7, 0.4, 0.0, 0.3), (2.0, 0.0, 0.0, 0.9, 0.5)])
def test_with_networks_the_sums_stand_for_the_dense_covariance(variances):
    rows = with_networks(patches(drop=0.3)).sample(frac=0.8, random_state=0)
    x, y = np.random.default_rng(1).normal(size=(len(rows), 2)), rows["value"].to_numpy()
    slides, places, levels = (pd.factorize(rows[name])[0] for name in ("slide_id", "patch_id", "magnification"))
    networks = pd.factorize(rows["network"] + rows["magnification"].astype(str))[0]
    sums = CrossedSums.from_rows(y, x, slides, places, levels, networks)
    same = [codes[:, None] == codes for codes in (slides, places, slides * 3 + levels, networks, np.arange(len(y)))]
    dense = sum(variance * alike for variance, alike in zip(variances, same, strict=True))
    both = np.column_stack([x, y])
    at = np.array(variances)
    np.testing.assert_allclose(sums.products(at), both.T @ np.linalg.solve(dense, both), rtol=1e-9)
    assert sums.log_determinant(at) == pytest.approx(np.linalg.slogdet(dense)[1], rel=1e-11)


def test_one_network_a_magnification_is_no_factor():
    rows = patches(drop=0.2)
    named = rows.assign(network="of " + rows["magnification"].astype(str))
    plain = crossed_intercepts(rows, "value ~ C(magnification)")
    for table in (named, rows.assign(network="1")):
        found = crossed_intercepts(table, "value ~ C(magnification)", network="network")
        pd.testing.assert_frame_equal(found.table(), plain.table(), check_exact=True)
        assert found.variances == plain.variances


def test_with_several_networks_there_is_no_route_that_forgets_them():
    rows = with_networks(patches(locations=(1,) * 6))
    with pytest.raises(StatisticsError, match=r"apart; without it nothing tells how much networks differ"):
        crossed_intercepts(rows, "value ~ C(magnification)", network="network")
    with pytest.raises(StatisticsError, match="rows repeat slide_id, patch_id, magnification and network of another"):
        crossed_intercepts(pd.concat([rows, rows]), "value ~ C(magnification)", network="network")
    with pytest.raises(StatisticsError, match="network is unknown in 18 of"):
        crossed_intercepts(
            rows.assign(network=rows["network"].where(rows["network"] != "n1")),
            "value ~ C(magnification)",
            network="network",
        )


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["satterthwaite", "kenward_roger"]))
def test_the_order_of_rows_and_the_names_of_slides_and_places_change_nothing(seed, df):
    rows = patches(drop=0.2)
    names = np.random.default_rng(seed).permutation(1000).astype(str)
    changed = rows.sample(frac=1, random_state=seed)
    for column in ("slide_id", "patch_id"):
        changed[column] = names[pd.factorize(changed[column])[0]]
    one, two = (crossed_intercepts(table, "value ~ C(magnification)", df=df) for table in (rows, changed))
    pd.testing.assert_frame_equal(one.table(), two.table(), rtol=1e-10)
    assert list(one.variances.values()) == pytest.approx(list(two.variances.values()), rel=1e-10)


@pytest.mark.parametrize(("factor", "offset"), [(1e-9, 0.0), (1e6, 1e9)])
def test_units_and_offsets_of_the_outcome_change_no_test(factor, offset):
    rows = patches(drop=0.2, sds=(0.5, 0.4, 0.0, 0.5))
    plain, changed = (
        crossed_intercepts(table, "value ~ C(magnification)")
        for table in (rows, rows.assign(value=offset + factor * rows["value"]))
    )
    columns = ["df", "statistic", "p_value"]
    pd.testing.assert_frame_equal(plain.table()[columns][1:], changed.table()[columns][1:], rtol=1e-6)
    expected = [variance * factor**2 for variance in plain.variances.values()]
    assert list(changed.variances.values()) == pytest.approx(expected, rel=1e-6)


def test_a_place_of_two_slides_counts_as_two():
    rows = patches()
    again = rows.assign(patch_id="place " + rows.groupby("slide_id")["patch_id"].rank("dense").astype(str))
    assert again["patch_id"].nunique() < rows["patch_id"].nunique()
    one, two = (crossed_intercepts(table, "value ~ C(magnification)") for table in (rows, again))
    pd.testing.assert_frame_equal(one.table(), two.table())
    assert one.n_locations == two.n_locations == 29


def small_variances(seed):
    return patches(seed, locations=(6, 5, 7, 4, 6), sds=(0.05, 0.05, 0.05, 0.5))


@pytest.mark.parametrize("seed", [*range(9), 208])  # at the last a search by standard deviations alone sticks at 0
def test_no_variance_near_0_is_missed(seed):
    fit = crossed_intercepts(small_variances(seed), "value ~ C(magnification)")
    assert fit.route == "mixed"
    at = np.array(list(fit.variances.values()))
    for i in range(3):
        for change in (0.001, 0.01):
            other = at + change * (np.arange(4) == i)
            assert likelihood_of(fit, other) > likelihood_of(fit, at)


def likelihood_of(fit, variances):
    determinants, rest, _ = likelihood._parts(fit.fit.data, variances, "reml")
    return determinants + rest


def check_robust(fit, rows, reason):
    assert fit.route == "cluster_robust"
    assert reason in fit.reason
    assert "cluster-robust" in fit.reason
    assert fit.variances == {}
    assert fit.boundary == ()
    assert fit.deviance is None
    levels = np.sort(rows["magnification"].unique())
    x = np.column_stack([np.ones(len(rows)), *(rows["magnification"] == level for level in levels[1:])])
    expected = cluster_robust(GroupedSums.from_rows(rows["value"].to_numpy(), x, rows["slide_id"].to_numpy()))
    weights = np.eye(len(levels))[-1]
    found, other = fit.test(fit.terms[-1]), expected.test(weights)
    for name in ("estimate", "se", "df", "p_value", "ci_low", "ci_high"):
        assert getattr(found, name) == pytest.approx(getattr(other, name), rel=1e-9)


@pytest.mark.parametrize(
    ("keep", "formula", "reason"),
    [
        (lambda t: t["magnification"] == 20, "value ~ 1", "apart"),
        (lambda t: ~t.duplicated(["slide_id", "magnification"]), "value ~ C(magnification)", "slide and location"),
        (
            lambda t: t.groupby("slide_id").cumcount() % 4 == 0,  # a place at one magnification only
            "value ~ C(magnification)",
            "does not tell the variances of location and rows apart",
        ),
    ],
)
def test_a_design_that_confounds_variances_goes_the_other_route(keep, formula, reason):
    rows = patches(locations=(9,) * 6)
    rows = rows[keep(rows)]
    check_robust(crossed_intercepts(rows, formula), rows, reason)


@pytest.mark.parametrize(
    ("stuck", "reason"),
    [([0.7, 0.2, 0.3], "no maximum"), ([0, 0, 0], "more variance of"), ([np.nan] * 3, "cannot be computed")],
)
def test_an_optimiser_that_fails_is_seen_and_goes_the_other_route(monkeypatch, stuck, reason):
    monkeypatch.setattr(likelihood, "_best", lambda *_: np.array(stuck, dtype=float))
    rows = patches()
    check_robust(crossed_intercepts(rows, "value ~ C(magnification)"), rows, reason)


def test_an_outcome_without_residual_has_no_likelihood_and_no_test():
    rows = patches(sds=(0.5, 0.4, 0.0, 0.0))
    fit = crossed_intercepts(rows, "value ~ C(magnification)")
    assert fit.route == "cluster_robust"
    with pytest.raises(StatisticsError, match="does not vary between groups"):
        fit.test("C(magnification)[T.20.0]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: pd.concat([t, t.head(3)]), "3 rows repeat slide_id, patch_id and magnification"),
        (lambda t: t[t["slide_id"] == "slide 1"], "one group"),
        (lambda t: t.assign(slide_id=t["slide_id"].where(t.index > 1)), "slide_id is unknown in 2 of 87 rows"),
        (lambda t: t.assign(patch_id=t["patch_id"].where(t.index > 0, "")), "patch_id is unknown in 1 of 87 rows"),
        (lambda t: t.assign(value=2.0), "explains every value"),
        (lambda t: t.drop(columns="patch_id"), "no column patch_id"),
        (lambda t: t.assign(z=1.0), "depend"),
    ],
)
def test_what_no_route_can_fit_is_refused(change, message):
    rows = change(patches())
    with pytest.raises(StatisticsError, match=message):
        crossed_intercepts(rows, "value ~ C(magnification)" + " + z" * ("z" in rows))


def test_missing_values_are_left_out_and_counted():
    rows = patches()
    rows.loc[[0, 4], "value"] = np.nan
    fit = crossed_intercepts(rows, "value ~ C(magnification)")
    assert (fit.n_slides, fit.n_locations, fit.n_patches, fit.n_missing) == (6, 29, 85, 2)
    pd.testing.assert_frame_equal(
        fit.table(), crossed_intercepts(rows.drop([0, 4]), "value ~ C(magnification)").table()
    )
