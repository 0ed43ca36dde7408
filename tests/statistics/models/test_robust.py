"""Cluster-robust least squares against clubSandwich."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.robust import cluster_robust

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = pd.read_csv(GOLDEN / "mixed_data.csv")
EXPECTED = pd.read_csv(GOLDEN / "robust.csv")
TERMS = {"1": ["(Intercept)"], "x + malignant": ["(Intercept)", "x", "malignant"]}


@pytest.mark.parametrize("row", list(EXPECTED.itertuples()), ids=lambda r: f"{r.case}-{r.formula}-{r.term}")
def test_it_agrees_with_r(row):
    rows = DATA[DATA["case"] == row.case]
    x = np.column_stack([np.ones(len(rows)), *(rows[name] for name in TERMS[row.formula][1:])])
    fit = cluster_robust(GroupedSums.from_rows(rows["y"].to_numpy(), x, rows["slide"].to_numpy()))
    weights = np.array([float(term == row.term) for term in TERMS[row.formula]])
    found = fit.test(weights)
    assert weights @ fit.coefficients == pytest.approx(row.estimate, rel=1e-6)
    assert found.statistic == pytest.approx(row.estimate / row.se, rel=1e-6)
    assert found.df == pytest.approx(row.df, rel=1e-4)
    assert found.p_value == pytest.approx(row.p, abs=1e-4)


def test_balanced_slides_give_the_t_test_of_their_means():
    rng = np.random.default_rng(0)
    slide = np.repeat(np.arange(9), 6)
    y = rng.normal(size=54) + rng.normal(size=9)[slide]
    found = cluster_robust(GroupedSums.from_rows(y, np.ones((54, 1)), slide)).test(np.ones(1))
    expected = stats.ttest_1samp(y.reshape(9, 6).mean(axis=1), 0)
    assert found.df == pytest.approx(8)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_what_cannot_be_tested_is_refused():
    y, slide = np.arange(6.0), np.array([0, 0, 1, 1, 2, 2])
    with pytest.raises(StatisticsError, match="one group"):
        cluster_robust(GroupedSums.from_rows(y, np.ones((6, 1)), np.zeros(6)))
    with pytest.raises(StatisticsError, match="depend"):
        cluster_robust(GroupedSums.from_rows(y, np.ones((6, 2)), slide))
    with pytest.raises(StatisticsError, match="does not vary"):
        cluster_robust(GroupedSums.from_rows(np.ones(6), np.ones((6, 1)), slide)).test(np.ones(1))
