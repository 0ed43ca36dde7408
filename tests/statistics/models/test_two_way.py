"""The two-way analysis of variance: statsmodels' table, the one-way tests that it contains, and its floor."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.anova import anova_lm

from saliency_stats.statistics.models.two_way import two_way


def table(seed=0, n_networks=4, n_units=7, sds=(0.3, 0.5, 0.2), lead=()):
    rng = np.random.default_rng(seed)
    network, unit, cell = (
        sd * rng.normal(size=(*lead, *shape))
        for sd, shape in zip(sds, ((n_networks, 1), (1, n_units), (n_networks, n_units)), strict=True)
    )
    return 0.4 + network + unit + cell


def test_the_mean_squares_are_those_of_the_analysis_of_variance():
    means = table()
    networks, units = (codes.ravel() for codes in np.indices(means.shape))
    rows = pd.DataFrame({"y": means.ravel(), "network": networks, "unit": units})
    expected = anova_lm(smf.ols("y ~ C(network) + C(unit)", rows).fit())
    found = two_way(means)
    assert float(found.estimate) == pytest.approx(means.mean())
    assert [found.network, found.unit, found.interaction] == pytest.approx(expected["mean_sq"].tolist())
    assert found.freedoms == tuple(expected["df"].astype(int))


def test_the_variance_and_its_freedom_written_out():
    found = two_way(table())
    n, s, r = (float(square) for square in (found.network, found.unit, found.interaction))
    assert min(n, s) > r
    assert found.variance == pytest.approx((n + s - r) / 28)
    assert found.df == pytest.approx((n + s - r) ** 2 / (n**2 / 3 + s**2 / 6 + r**2 / 18))
    assert found.components == pytest.approx(((n - r) / 7, (s - r) / 4, r))
    assert found.network_share == pytest.approx((n - r) / (n + s - r))


def test_beside_it_stand_the_one_way_analyses():
    means = table(lead=(2,))
    found = two_way(means)
    variances, dfs = found.spreads
    np.testing.assert_array_equal(variances[0], found.variance)
    np.testing.assert_array_equal(dfs[0], found.df)
    for at, axis in ((1, 2), (2, 1)):
        one_way = means.mean(axis=axis)
        np.testing.assert_allclose(variances[at], one_way.var(axis=1, ddof=1) / one_way.shape[1])
        assert set(dfs[at]) == {one_way.shape[1] - 1}


@pytest.mark.parametrize(("axis", "df"), [(0, 6), (1, 3)])
def test_a_factor_that_does_not_matter_leaves_the_one_way_analysis_of_the_other(axis, df):
    means = table(sds=(0.5, 0.5, 0.3))
    # all means over the other factor are equal: its mean square is below that of the cells
    means = means - means.mean(axis=1 - axis, keepdims=True) + means.mean()
    found = two_way(means)
    one_way = means.mean(axis=axis)
    assert found.variance == pytest.approx(np.var(one_way, ddof=1) / one_way.size)
    assert found.df == df
    assert found.components[axis] == 0
    assert found.components[1 - axis] > 0
    assert float(found.network_share) == pytest.approx(0 if axis == 0 else 1 - found.interaction / found.network)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 9), st.floats(0, 1))
def test_the_variance_is_never_below_its_floor_and_the_freedom_within_its_bounds(seed, n_networks, n_units, sd):
    found = two_way(table(seed, n_networks, n_units, (sd, 0.3, 0.3)))
    one_way = max(found.network, found.unit) / (n_networks * n_units)
    assert found.variance >= one_way * (1 - 1e-12)
    assert found.variance <= (found.network + found.unit) / (n_networks * n_units)
    assert 0 <= found.network_share <= 1
    assert 0 < found.df <= n_networks + n_units - 2 + 1e-9


def test_many_tables_at_once_are_each_of_them():
    means = table(lead=(5, 2))
    many = two_way(means)
    for at in np.ndindex(5, 2):
        one = two_way(means[at])
        for name in ("estimate", "network", "unit", "interaction", "variance", "df", "network_share"):
            assert getattr(many, name)[at] == pytest.approx(float(getattr(one, name)), rel=1e-12), name


def test_without_any_spread_the_variance_is_0():
    found = two_way(np.full((3, 4), 0.5))
    assert float(found.variance) == 0
    assert np.isnan(found.df)
