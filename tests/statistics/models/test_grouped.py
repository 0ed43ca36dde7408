"""Sums per group: what they say of rows, and under other names."""

import numpy as np
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.grouped import GroupedSums


def rows(n=23, seed=0):
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    return rng.normal(3, 1, n), x, rng.choice(["c", "a", "b"], n)


def same(one, two):
    assert one.groups.tolist() == two.groups.tolist()
    for name in ("sizes", "means", "within"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-12)


def test_sums_are_those_of_the_rows_of_each_group():
    y, x, groups = rows()
    found = GroupedSums.from_rows(y, x, groups)
    assert found.groups.tolist() == ["a", "b", "c"]
    assert found.n == 23
    for place, name in enumerate("abc"):
        both = np.column_stack([x, y])[groups == name]
        assert found.sizes[place] == len(both)
        np.testing.assert_allclose(found.means[place], both.mean(axis=0))
        rest = both - both.mean(axis=0)
        np.testing.assert_allclose(found.within[place], rest.T @ rest, atol=1e-12)
        np.testing.assert_allclose(found.products[place], both.T @ both)


def test_numbers_as_names_are_read_as_text():
    y, x, _ = rows(4)
    assert GroupedSums.from_rows(y, x, np.array([10, 9, 10, 9])).groups.tolist() == ["9", "10"]


def test_groups_of_one_new_name_are_one_group():
    y, x, groups = rows()
    found = GroupedSums.from_rows(y, x, groups).regrouped(np.array(["q", "p", "q"]))
    same(found, GroupedSums.from_rows(y, x, np.where(groups == "b", "p", "q")))


@pytest.mark.parametrize(
    ("y", "x", "groups", "message"),
    [
        (np.ones(3), np.ones((2, 1)), np.zeros(3), r"shapes \(3,\), \(2, 1\) and \(3,\)"),
        (np.ones(3), np.ones((3, 1)), np.zeros(2), "shapes"),
        (np.ones(3), np.ones(3), np.zeros(3), "shapes"),
        (np.ones((3, 1)), np.ones((3, 1)), np.zeros(3), "shapes"),
        (np.ones(0), np.ones((0, 1)), np.zeros(0), "no row"),
        (np.array([1, np.nan, np.inf]), np.ones((3, 1)), np.zeros(3), "2 of 3 rows hold a value that is not finite"),
        (np.ones(3), np.array([[1], [1], [np.nan]]), np.zeros(3), "1 of 3 rows"),
    ],
)
def test_rows_that_do_not_fit_are_refused(y, x, groups, message):
    with pytest.raises(StatisticsError, match=message):
        GroupedSums.from_rows(y, x, groups)
