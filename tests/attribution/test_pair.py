"""Cytoplasm and nucleus of a patch, in this order, and the reasons why they cannot be compared."""

import numpy as np
import pytest

from saliency_stats.attribution.checked import checked_memberships, checked_saliency
from saliency_stats.attribution.pair import missing, pairs, scaled, silent
from saliency_stats.errors import AttributionError


def raw():
    rng = np.random.default_rng(0)
    maps = [checked_saliency(rng.exponential(size=(2, 6, 7)), ["a", "b"]) for _ in range(2)]
    return maps, rng.dirichlet(np.ones(4), (2, 6, 7)).transpose(0, 3, 1, 2)


def test_the_two_compartments_and_their_areas():
    maps, memberships = raw()
    weights, areas = zip(*pairs(maps, memberships), strict=True)
    members = checked_memberships(memberships)
    np.testing.assert_array_equal(weights, members.weights[:, [1, 0]])
    np.testing.assert_array_equal(areas, members.area[:, [1, 0]])


def test_impossible_input_is_refused():
    maps, memberships = raw()
    with pytest.raises(AttributionError, match="at least one"):
        pairs([], memberships)
    with pytest.raises(AttributionError, match=r"patch 'a' are .* sum to 1"):
        pairs(maps, memberships / 2)
    with pytest.raises(AttributionError, match=r"4 names of compartments .* for 3 memberships"):
        pairs(maps, np.full((2, 3, 6, 7), 1 / 3))
    other = checked_saliency(np.ones((2, 6, 8)))
    for given in ([other], [maps[0], other], [other, maps[0]], [*maps, other]):
        with pytest.raises(AttributionError, match=r"\(2, 6, 8\)|\(2, K, 6, 8\)"):
            pairs(given, memberships)


@pytest.mark.parametrize(
    ("area", "min_area", "expected"),
    [
        ((0.5, 0.1), 0.0, ""),
        ((0.5, 0.02), 0.02, ""),
        ((0.5, 0.0199996), 0.02, "missing: area share 0.02 of nucleus below 0.02"),
        ((0.5, 0.0), 0.02, "missing: area share 0 of nucleus below 0.02"),
        ((0.01234567, 0.3), 0.02, "missing: area share 0.01235 of cytoplasm below 0.02"),
        ((0.0, 0.3), 0.0, "missing: area share 0 of cytoplasm"),
        ((0.01, 0.0), 0.02, "missing: area share 0.01 of cytoplasm and 0 of nucleus below 0.02"),
    ],
)
def test_what_is_missing(area, min_area, expected):
    assert missing(np.array(area), min_area) == expected


@pytest.mark.parametrize(
    ("masses", "peak", "expected"),
    [
        ((0.1, 0.2), 3.0, ""),
        ((0.0, 0.0), 0.0, "no saliency: the picture is zero everywhere"),
        ((0.0, 0.2), 3.0, "no saliency: the picture is zero in cytoplasm"),
        ((0.1, 0.0), 3.0, "no saliency: the picture is zero in nucleus"),
        ((0.0, 0.0), 3.0, "no saliency: the picture is zero in cytoplasm and nucleus"),
    ],
)
def test_where_there_is_no_saliency(masses, peak, expected):
    assert silent(np.array(masses), peak, "picture") == expected


def test_maps_are_scaled_by_their_largest_value():
    values, peak = scaled(np.array([[1, 4]], np.float32) * np.float32(1e-38))
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, [[0.25, 1]], rtol=1e-6)
    assert peak == pytest.approx(4e-38)
    values, peak = scaled(np.zeros((2, 2)))
    assert (values.tolist(), peak) == ([[0, 0], [0, 0]], 0)
