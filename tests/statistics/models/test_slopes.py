"""Two groups that vary from slide to slide, against lme4 and lmerTest, and against dense matrices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.linear import kenward_roger
from saliency_stats.statistics.models.slopes import SlopeSums, paired_slides, slopes_by_slide

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = pd.read_csv(GOLDEN / "slopes_data.csv")
EXPECTED = list(pd.read_csv(GOLDEN / "slopes.csv").itertuples())
WEIGHTS = np.array([0.0, 1.0])


def columns_of(case):
    rows = DATA[DATA["case"] == case]
    return rows["y"].to_numpy(), np.column_stack([np.ones(len(rows)), rows["group"]]), rows["slide"].to_numpy()


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row.case)
def test_it_agrees_with_r(row):
    fit = slopes_by_slide(GroupedSums.from_rows(*columns_of(row.case)))
    assert fit.fit.variances == pytest.approx([row.others, row.both, row.group, row.within], rel=1e-5, abs=1e-5)
    assert fit.fit.deviance == pytest.approx(row.deviance, rel=1e-9)
    assert fit.fit.deviance <= row.deviance + 1e-8
    found = fit.test(WEIGHTS)
    assert found.estimate == pytest.approx(row.estimate, abs=1e-5 * row.se)
    assert found.se == pytest.approx(row.se, rel=1e-5)
    assert found.df == pytest.approx(row.df, rel=1e-3)
    assert found.p_value == pytest.approx(row.p, abs=1e-5)
    assert (fit.roots[2] == 0) == row.singular
    assert fit.flipped == (row.group > row.others)


@pytest.mark.parametrize("case", ["alike", "group varies more"])
def test_sums_are_those_of_dense_matrices_and_so_is_kenward_roger(case):
    y, x, slide = columns_of(case)
    marks = (slide[:, None] == np.unique(slide)).astype(float)
    others, group = ((marks * side[:, None]) for side in (1 - x[:, 1], x[:, 1]))
    parts = [others @ others.T, others @ group.T + group @ others.T, group @ group.T, np.eye(len(y))]
    data = SlopeSums.of(GroupedSums.from_rows(y, x, slide))
    variances = np.array([0.7, -0.2, 0.4, 1.3])
    dense = sum(v * part for v, part in zip(variances, parts, strict=True))
    both = np.column_stack([x, y])
    np.testing.assert_allclose(data.products(variances), both.T @ np.linalg.solve(dense, both), rtol=1e-9)
    assert data.log_determinant(variances) == pytest.approx(np.linalg.slogdet(dense)[1])
    assert (data.n, len(data.names)) == (len(y), 4)

    fit = slopes_by_slide(GroupedSums.from_rows(y, x, slide))
    inverse = np.linalg.inv(sum(v * part for v, part in zip(fit.fit.variances, parts, strict=True)))
    covariance = np.linalg.inv(x.T @ inverse @ x)
    np.testing.assert_allclose(fit.fit.covariance, covariance, rtol=1e-9)
    p_i = [-x.T @ inverse @ part @ inverse @ x for part in parts]
    q_ij = [[x.T @ inverse @ a @ inverse @ b @ inverse @ x for b in parts] for a in parts]
    traces = np.array([[np.trace(inverse @ a @ inverse @ b) for b in parts] for a in parts])
    df, adjusted = kenward_roger(WEIGHTS, covariance, p_i, q_ij, traces)
    found = fit.test(WEIGHTS, df="kenward_roger")
    assert (found.df, found.se) == pytest.approx((df, adjusted[1, 1] ** 0.5), rel=1e-5)


def drawn(seed, *, slides=8, size=6, spread=(0.5, 0.5)):
    rng = np.random.default_rng(seed)
    slide, group = np.repeat(np.arange(slides), 2 * size), np.tile(np.repeat([0, 1], size), slides)
    effects = rng.normal(size=(slides, 2)) * spread
    y = effects[slide, group] + rng.normal(size=slide.size)
    return y, np.column_stack([np.ones(y.size), group]), slide


@pytest.mark.parametrize("seed", range(12))
def test_balanced_slides_give_the_paired_t_test_by_kenward_roger(seed):
    y, x, slide = drawn(seed)
    found = slopes_by_slide(GroupedSums.from_rows(y, x, slide)).test(WEIGHTS, df="kenward_roger")
    cells = y.reshape(8, 2, 6).mean(axis=2)
    differences = cells[:, 1] - cells[:, 0]
    assert found.estimate == pytest.approx(differences.mean())
    fit = slopes_by_slide(GroupedSums.from_rows(y, x, slide))
    if fit.roots[:3].all():  # inside the boundary the variance of the difference is free
        assert found.se == pytest.approx(differences.std(ddof=1) / 8**0.5, rel=1e-5)
        assert found.df == pytest.approx(7, rel=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_no_better_variances_are_near(seed):
    y, x, slide = drawn(seed, spread=(0.3, 0.1))
    fit = slopes_by_slide(GroupedSums.from_rows(y, x, slide))
    dense = np.column_stack([x, y])
    marks = (slide[:, None] == np.unique(slide)).astype(float)
    sides = marks * (1 - x[:, 1:]), marks * x[:, 1:]

    def deviance(others, both, group, rows):
        a, b = sides
        v = others * a @ a.T + both * (a @ b.T + b @ a.T) + group * b @ b.T + rows * np.eye(len(y))
        inner = dense.T @ np.linalg.solve(v, dense)
        rest = inner[2, 2] - inner[2, :2] @ np.linalg.solve(inner[:2, :2], inner[:2, 2])
        return np.linalg.slogdet(v)[1] + np.linalg.slogdet(inner[:2, :2])[1] + rest + (len(y) - 2) * np.log(2 * np.pi)

    assert deviance(*fit.fit.variances) == pytest.approx(fit.fit.deviance)
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(
        np.array([[fit.fit.variances[0], fit.fit.variances[1]], fit.fit.variances[1:3]]) + 1e-9 * np.eye(2)
    )
    for _ in range(20):
        near = root + np.tril(rng.normal(0, 0.03, (2, 2)))
        between = near @ near.T
        rows = fit.fit.variances[3] * np.exp(rng.normal(0, 0.02))
        assert deviance(between[0, 0], between[0, 1], between[1, 1], rows) > fit.fit.deviance - 1e-7


def test_an_offset_moves_the_intercept_alone():
    y, x, slide = drawn(3)
    one, two = (slopes_by_slide(GroupedSums.from_rows(y + by, x, slide)) for by in (0, 1e5))
    np.testing.assert_allclose(two.fit.coefficients - one.fit.coefficients, [1e5, 0], atol=1e-6)
    assert two.test(WEIGHTS).p_value == pytest.approx(one.test(WEIGHTS).p_value, rel=1e-5)


def test_without_variance_between_slides_patches_are_independent():
    rng = np.random.default_rng(1)
    y, x, slide = drawn(0)
    y = rng.normal(size=y.size)
    for k in range(8):
        for g in (0, 1):
            y[(slide == k) & (x[:, 1] == g)] -= y[(slide == k) & (x[:, 1] == g)].mean()
    fit = slopes_by_slide(GroupedSums.from_rows(y, x, slide))
    assert not fit.roots[:3].any()
    assert fit.test(WEIGHTS).df == pytest.approx(len(y) - 2, rel=1e-6)


def test_what_cannot_be_fitted_is_refused():
    y, x, slide = drawn(0)
    sums = GroupedSums.from_rows(y, x, slide)
    assert paired_slides(sums) == 8
    apart = (slide % 2 == x[:, 1]) | (slide == 0)
    single = GroupedSums.from_rows(y[apart], x[apart], slide[apart])
    assert paired_slides(single) == 1
    with pytest.raises(StatisticsError, match="rows of both groups: 1; slopes need at least 2"):
        slopes_by_slide(single)
    one_each = np.arange(0, len(y), 6)
    with pytest.raises(StatisticsError, match="one row of each group"):
        slopes_by_slide(GroupedSums.from_rows(y[one_each], x[one_each], slide[one_each]))
    flat = replace(sums, within=sums.within * [[1, 1, 0], [1, 1, 0], [0, 0, 0]])
    with pytest.raises(StatisticsError, match="constant within every slide and group"):
        slopes_by_slide(flat)
    with pytest.raises(StatisticsError, match="3 weights for 2"):
        slopes_by_slide(sums).test(np.ones(3))
