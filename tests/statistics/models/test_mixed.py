"""The random-intercept model against lme4, lmerTest and pbkrtest, and where it must refuse."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.mixed import fit_random_intercept

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = pd.read_csv(GOLDEN / "mixed_data.csv")
EXPECTED = pd.read_csv(GOLDEN / "mixed.csv")
TERMS = {"1": ["(Intercept)"], "x + malignant": ["(Intercept)", "x", "malignant"]}


def sums_of(case, formula):
    rows = DATA[DATA["case"] == case]
    columns = [np.ones(len(rows)), *(rows[name] for name in TERMS[formula][1:])]
    return GroupedSums.from_rows(rows["y"].to_numpy(), np.column_stack(columns), rows["slide"].to_numpy())


@pytest.mark.parametrize("row", list(EXPECTED.itertuples()), ids=lambda r: f"{r.case}-{r.formula}-{r.method}-{r.term}")
def test_it_agrees_with_r(row):
    fit = fit_random_intercept(sums_of(row.case, row.formula), method=row.method)
    assert fit.between == pytest.approx(row.between, rel=1e-6, abs=1e-7)
    assert fit.within == pytest.approx(row.within, rel=1e-6)
    assert fit.deviance == pytest.approx(row.deviance, rel=1e-8)
    weights = np.array([float(term == row.term) for term in TERMS[row.formula]])
    plain = fit.test(weights)
    assert plain.estimate == pytest.approx(row.estimate, rel=1e-6)
    assert plain.se == pytest.approx(row.se, rel=1e-6)
    assert plain.df == pytest.approx(row.df, rel=1e-4)
    assert plain.p_value == pytest.approx(row.p, abs=1e-4)
    if row.method == "reml":
        kr = fit.test(weights, df="kenward_roger")
        assert kr.se == pytest.approx(row.kr_se, rel=1e-5)
        assert kr.df == pytest.approx(row.kr_df, rel=1e-4)
        assert kr.p_value == pytest.approx(row.kr_p, abs=1e-4)


def rows(seed=0, sizes=(4, 9, 1, 12, 6), between=1.0):
    rng = np.random.default_rng(seed)
    slide = np.repeat(np.arange(len(sizes)), sizes)
    x = np.column_stack([np.ones(len(slide)), rng.normal(size=len(slide))])
    y = x @ [0.3, 0.5] + rng.normal(0, between, len(sizes))[slide] + rng.normal(size=len(slide))
    return y, x, np.array([f"slide {number}" for number in slide])


def test_balanced_slides_give_the_t_test_of_their_means():
    y, _, slide = rows(sizes=(7,) * 9)
    fit = fit_random_intercept(GroupedSums.from_rows(y, np.ones((len(y), 1)), slide))
    expected = stats.ttest_1samp(pd.Series(y).groupby(slide).mean(), 0)
    for df in ("satterthwaite", "kenward_roger"):
        found = fit.test(np.ones(1), df=df)
        assert found.df == pytest.approx(8)
        assert found.p_value == pytest.approx(expected.pvalue)
        assert (found.ci_low, found.ci_high) == pytest.approx(expected.confidence_interval(0.95))


def test_order_and_names_change_nothing():
    y, x, slide = rows()
    whole = fit_random_intercept(GroupedSums.from_rows(y, x, slide))
    order = np.random.default_rng(1).permutation(len(y))
    renamed = np.char.add("z", slide[order])
    again = fit_random_intercept(GroupedSums.from_rows(y[order], x[order], renamed))
    np.testing.assert_allclose(again.coefficients, whole.coefficients, rtol=1e-9)
    assert again.between == pytest.approx(whole.between, rel=1e-7)
    assert again.test(np.array([0, 1])).p_value == pytest.approx(whole.test(np.array([0, 1])).p_value, rel=1e-6)


def test_a_null_value_shifts_the_test_and_not_the_interval():
    fit = fit_random_intercept(GroupedSums.from_rows(*rows()))
    plain, shifted = (fit.test(np.array([0.0, 1.0]), null=null) for null in (0.0, 0.5))
    assert shifted.statistic == pytest.approx((plain.estimate - 0.5) / plain.se)
    assert (shifted.ci_low, shifted.ci_high) == (plain.ci_low, plain.ci_high)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, x, _: (y, x, np.zeros(len(y))), "one group"),
        (lambda y, x, _: (y, x, np.arange(len(y))), "one row"),
        (lambda y, x, g: (y, np.column_stack([x, x[:, 1] * 2]), g), "depend"),
        (lambda _, x, g: (np.unique(g, return_inverse=True)[1].astype(float), x, g), "constant within"),
        (lambda y, x, g: (np.where(np.arange(len(y)) == 3, np.nan, y), x, g), "1 of 32"),
        (lambda y, x, g: (y[1:], x, g), "shapes"),
        (lambda y, x, g: (y[:0], x[:0], g[:0]), "no row"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, message):
    with pytest.raises(StatisticsError, match=message):
        fit_random_intercept(GroupedSums.from_rows(*change(*rows())))


def test_a_contrast_of_the_wrong_length_is_refused():
    with pytest.raises(StatisticsError, match="3 weights for 2"):
        fit_random_intercept(GroupedSums.from_rows(*rows())).test(np.ones(3))
