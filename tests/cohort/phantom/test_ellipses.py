"""Large outlines: exact for circles, places along them with their directions."""

import numpy as np
import pytest

from saliency_stats.cohort.phantom.cells import Cells, nearest_cell
from saliency_stats.cohort.phantom.ellipses import beyond, ellipse_distance, pack, places


def outlines(*rows):
    table = np.array(rows, dtype=float)
    n = len(table)
    return Cells(table[:, :2], table[:, 2:4], table[:, 4], np.zeros(n), np.arange(n))


def test_the_distance_to_a_circle_is_exact():
    at = np.random.default_rng(0).uniform(0, 60, (50, 2))
    expected = np.linalg.norm(at - 30, axis=1) - 12
    found = ellipse_distance(at, np.full(2, 30.0), np.full(2, 12.0), np.zeros(1))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_distance_is_that_of_the_cells():
    one = outlines((20, 22, 12, 6, 0.8))
    distance = nearest_cell(one, (80, 80), 0.5, 30.0)[1]
    at = np.stack(np.indices((80, 80)) * 0.5 + 0.25, axis=-1)
    found = ellipse_distance(at, one.centre_um[0], one.axes_um[0], one.angle[0])
    # in the very middle of an ellipse there is no one way out
    away = np.hypot(*np.moveaxis(at - one.centre_um[0], -1, 0)) > 2
    np.testing.assert_allclose(found[away], distance[away], atol=0.05)


def test_points_broadcast_against_many_outlines():
    two = outlines((0, 0, 5, 5, 0), (0, 20, 5, 5, 0))
    found = ellipse_distance(np.array([[[0.0, 8.0]], [[0.0, 20.0]]]), two.centre_um, two.axes_um, two.angle)
    np.testing.assert_allclose(found, [[3, 7], [15, -5]], atol=1e-4)


def test_places_lie_on_the_outline_and_point_outwards():
    some = outlines((10, 20, 30, 15, 0.5), (-40, 5, 8, 8, 0.0))
    owner, point, outwards = places(np.random.default_rng(0), some, 5.0)
    assert np.bincount(owner).tolist() == [round(2 * np.pi * 22.5 / 5), round(2 * np.pi * 8 / 5)]
    one = some[owner]
    assert ellipse_distance(point, one.centre_um, one.axes_um, one.angle) == pytest.approx(0, abs=1e-4)
    assert np.linalg.norm(outwards, axis=1) == pytest.approx(1)
    further = ellipse_distance(point + 0.1 * outwards, one.centre_um, one.axes_um, one.angle)
    assert further == pytest.approx(0.1, abs=0.01)
    round_ = point[owner == 1]
    step = np.linalg.norm(round_ - np.roll(round_, 1, axis=0), axis=1)
    assert ((step > 2.8) & (step < 7.2)).all()


def test_a_tiny_outline_has_three_places():
    assert len(places(np.random.default_rng(0), outlines((0, 0, 1, 1, 0)), 50.0)[0]) == 3


def test_outlines_keep_their_room():
    rng = np.random.default_rng(1)
    centre = beyond(rng, (60.0, 40.0), 20.0)
    assert len(centre) == int(0.006 * 100 * 80)
    assert centre.min() >= -20
    assert (centre.max(axis=0) <= [80, 60]).all()
    radius = rng.uniform(5, 9, len(centre))
    kept = pack(rng, centre, radius, 1.2, 1.5, np.arange(len(centre)))
    assert 5 < len(kept.kind) < len(centre)
    np.testing.assert_array_equal(kept.centre_um, centre[kept.kind])
    np.testing.assert_allclose(np.sqrt(kept.axes_um.prod(axis=1)), radius[kept.kind])
    aspect = kept.axes_um[:, 0] / kept.axes_um[:, 1]
    assert ((aspect >= 1) & (aspect <= 1.5)).all()
    apart = np.linalg.norm(kept.centre_um[:, None] - kept.centre_um, axis=2)
    needed = 1.2 * (radius[kept.kind][:, None] + radius[kept.kind])
    assert (apart + 1e9 * np.eye(len(apart)) >= needed).all()


def test_even_a_small_field_has_candidates():
    assert len(beyond(np.random.default_rng(0), (1.0, 1.0), 1.0)) == 8
