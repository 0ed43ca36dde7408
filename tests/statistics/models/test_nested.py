"""Slides nested in patients against lme4, lmerTest and pbkrtest."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models import likelihood
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.nested import nested_intercepts

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = pd.read_csv(GOLDEN / "nested_data.csv")
EXPECTED = pd.read_csv(GOLDEN / "nested.csv")
TERMS = {"1": ["(Intercept)"], "x": ["(Intercept)", "x"]}


def data_of(case, formula):
    rows = DATA[DATA["case"] == case]
    x = np.column_stack([np.ones(len(rows)), *(rows[name] for name in TERMS[formula][1:])])
    sums = GroupedSums.from_rows(rows["y"].to_numpy(), x, rows["slide"].to_numpy())
    return sums, rows.drop_duplicates("slide").set_index("slide")["patient"][sums.groups].to_numpy()


@pytest.mark.parametrize("row", list(EXPECTED.itertuples()), ids=lambda r: f"{r.case}-{r.formula}-{r.method}-{r.term}")
def test_it_agrees_with_r(row):
    fit = nested_intercepts(*data_of(row.case, row.formula), method=row.method)
    assert fit.variances == pytest.approx([row.patients, row.slides, row.within], rel=1e-6, abs=1e-7)
    assert fit.deviance == pytest.approx(row.deviance, rel=1e-8)
    weights = np.array([float(term == row.term) for term in TERMS[row.formula]])
    plain = fit.test(weights)
    assert plain.estimate == pytest.approx(row.estimate, rel=1e-6, abs=1e-6 * row.se)
    assert plain.se == pytest.approx(row.se, rel=1e-6)
    assert plain.df == pytest.approx(row.df, rel=1e-4)
    assert plain.p_value == pytest.approx(row.p, abs=1e-4)
    if row.method == "reml":
        kr = fit.test(weights, df="kenward_roger")
        assert kr.se == pytest.approx(row.kr_se, rel=1e-5)
        assert kr.df == pytest.approx(row.kr_df, rel=1e-4)
        assert kr.p_value == pytest.approx(row.kr_p, abs=1e-4)


def test_what_cannot_be_fitted_is_refused():
    sums, patients = data_of("balanced", "1")
    with pytest.raises(StatisticsError, match="one patient"):
        nested_intercepts(sums, np.zeros(len(patients)))
    with pytest.raises(StatisticsError, match="one slide"):
        nested_intercepts(sums, np.arange(len(patients)))
    with pytest.raises(StatisticsError, match="17 patients were given for 18 slides"):
        nested_intercepts(sums, patients[1:])
    with pytest.raises(StatisticsError, match="2 weights"):
        nested_intercepts(sums, patients).test(np.ones(2))


def small_variances(seed):
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(8), 2)
    slide = np.repeat(np.arange(16), rng.integers(5, 40, 16))
    y = rng.normal(0, 0.05, 16)[slide] + rng.normal(size=len(slide))
    return GroupedSums.from_rows(y, np.ones((len(y), 1)), np.char.zfill(slide.astype(str), 2)), patients


@pytest.mark.parametrize("seed", range(40))
def test_no_variance_near_0_is_missed(seed):
    fit = nested_intercepts(*small_variances(seed))
    for i in range(2):
        more = fit.variances + 1e-4 * (np.arange(3) == i)
        determinants, rest, freedom = likelihood._parts(fit.data, more, "reml")
        assert determinants + rest + freedom * np.log(2 * np.pi) > fit.deviance
