"""Ranks of many groups at once are those of each by itself."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.statistics.ranks import MIN_POINTS, rank_correlations


def test_each_group_is_correlated_as_scipy_does_it_with_ties():
    rng = np.random.default_rng(1)
    codes = rng.permutation(np.repeat([0, 1, 2], [20, 4, 7]))
    x, y = (pd.Series(rng.integers(0, 5, len(codes)).astype(float)) for _ in range(2))
    found = rank_correlations(codes, x, y)
    for group in range(3):
        own = codes == group
        assert found[group] == pytest.approx(stats.spearmanr(x[own], y[own]).statistic, abs=1e-12)


def test_of_few_points_or_tied_ones_nothing_is_known():
    rising = pd.Series(np.arange(MIN_POINTS, dtype=float))
    codes = np.zeros(MIN_POINTS, dtype=np.intp)
    assert rank_correlations(codes, rising, rising).tolist() == [1.0]
    assert np.isnan(rank_correlations(codes[1:], rising[1:], rising[1:])).all()
    assert np.isnan(rank_correlations(codes, rising, rising * 0)).all()
    assert rank_correlations(codes[:0], rising[:0], rising[:0]).size == 0
