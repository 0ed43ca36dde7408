"""Cells: their kinds, packing, distances to their nuclei, and the cytoplasm of those that lie singly."""

import numpy as np
import pytest

from saliency_stats.cohort.phantom import cells as kinds
from saliency_stats.cohort.phantom.cells import CELL_KINDS, Cells, bodies, candidates, draw_cells, nearest_cell, thin


def cells(*rows):
    """Cells from (y, x, long axis, short axis, angle, skew)."""
    table = np.array(rows, dtype=float)
    return Cells(table[:, :2], table[:, 2:4], table[:, 4], table[:, 5], np.zeros(len(table), dtype=np.intp))


def test_of_cells_too_near_to_each_other_the_earlier_stays():
    centre = np.array([[0.0, 0.0], [0.0, 3.9], [0.0, 4.1], [0.0, 8.0], [9.0, 9.0]])
    assert thin(centre, np.full(5, 2.0)).tolist() == [True, False, True, False, True]
    # radii add up, and one that was dropped stands in no other's way
    assert thin(centre[:3], np.array([1.0, 3.0, 3.0])).tolist() == [True, False, True]
    assert thin(np.array([[0.0, 0.0], [0.0, 4.0]]), np.full(2, 2.0)).all()


def test_the_distance_to_a_circle_is_exact():
    _, distance = nearest_cell(cells((20.25, 20.25, 5, 5, 0, 0)), (81, 81), 0.5)
    y, x = np.indices((81, 81)) * 0.5 + 0.25
    expected = np.minimum(np.hypot(y - 20.25, x - 20.25) - 5, 6.0)
    away = np.hypot(y - 20.25, x - 20.25) > 1
    np.testing.assert_allclose(distance[away], expected[away], atol=0.01)


@pytest.mark.parametrize("angle", [0.0, np.pi / 2])
def test_an_ellipse_has_its_axes_and_lies_along_its_angle(angle):
    _, distance = nearest_cell(cells((20.25, 20.25, 6, 3, angle, 0)), (81, 81), 0.5)
    row, column = distance[40, 40:], distance[40:, 40]
    along, across = (row, column) if angle == 0 else (column, row)
    steps = np.arange(41) * 0.5
    for values, half in ((along, 6), (across, 3)):
        near = np.abs(steps - half) < 3
        np.testing.assert_allclose(values[near], (steps - half)[near], atol=0.02)


def test_an_egg_is_thinner_at_the_end_that_its_skew_names():
    _, distance = nearest_cell(cells((20.25, 20.25, 6, 3, 0.0, 0.3)), (81, 81), 0.5)
    widths = [(distance[:, 40 + side * 8] < 0).sum() for side in (-1, 1)]
    assert widths[0] > widths[1]
    _, straight = nearest_cell(cells((20.25, 20.25, 6, 3, 0.0, 0.0)), (81, 81), 0.5)
    assert ((straight[:, 32] < 0).sum(), (straight[:, 48] < 0).sum()) == ((straight[:, 48] < 0).sum(),) * 2
    # at u = 8/2/6 of the long axis the ellipse is narrower by 1 + skew · u
    u = 4 / 6
    expected = 2 * 3 * np.sqrt(1 - u**2) / (1 + 0.3 * u) / 0.5
    assert widths[1] == pytest.approx(expected, abs=1.5)


def test_every_pixel_belongs_to_thenearest_cell_also_at_the_image_border():
    nearest, distance = nearest_cell(
        cells((2, 2, 4, 4, 0, 0), (-2, 30, 5, 5, 0, 0), (14, 30, 3, 3, 0, 0)), (40, 80), 0.5
    )
    assert (nearest[2, 2], nearest[0, 60], nearest[28, 60]) == (0, 1, 2)
    y, x = np.indices((40, 80)) * 0.5 + 0.25
    to_each = [np.hypot(y - cy, x - cx) - r for cy, cx, r in ((2, 2, 4), (-2, 30, 5), (14, 30, 3))]
    near = np.min(to_each, axis=0) < 5.5
    inside = np.min(to_each, axis=0) > -2
    assert (nearest == np.argmin(to_each, axis=0))[near].mean() > 0.99
    np.testing.assert_allclose(distance[inside], np.minimum(np.min(to_each, axis=0), 6)[inside], atol=0.03)


def test_cells_that_do_not_reach_the_field_change_nothing():
    near = cells((10, 10, 3, 3, 0, 0))
    far = cells((-30, 10, 3, 3, 0, 0), (90, 10, 3, 3, 0, 0), (10, -30, 3, 3, 0, 0), (10, 90, 3, 3, 0, 0))
    nearest, distance = nearest_cell(far + near, (40, 50), 0.5)
    alone = nearest_cell(near, (40, 50), 0.5)
    np.testing.assert_array_equal(distance, alone[1])
    assert set(np.unique(nearest[distance < 6])) == {4}
    # one that touches the border by its reach alone counts
    assert nearest_cell(cells((-8.5, 10, 3, 3, 0, 0)), (40, 50), 0.5)[1].min() < 6


def test_without_cells_everything_is_far():
    none = cells((1, 1, 1, 1, 0, 0))[np.zeros(1, dtype=bool)]
    nearest, distance = nearest_cell(none, (5, 7), 0.5, 3.0)
    assert (nearest == 0).all()
    assert (distance == 3).all()
    assert thin(none.centre_um, np.zeros(0)).shape == (0,)


def test_distances_end_at_the_reach():
    distance = nearest_cell(cells((20, 20, 3, 3, 0, 0)), (80, 80), 0.5, 10.0)[1]
    assert distance.max() == 10
    assert distance[40, 64] == pytest.approx(32.25 - 20 - 3, abs=0.05)


def test_some_cells_and_more_cells():
    both = cells((1, 2, 3, 4, 5, 6)) + cells((7, 8, 9, 10, 11, 12))
    for name in ("centre_um", "axes_um", "angle", "skew", "kind"):
        assert len(getattr(both, name)) == 2
    second = both[np.array([1])]
    assert [*second.centre_um[0], *second.axes_um[0], second.angle[0], second.skew[0]] == [7, 8, 9, 10, 11, 12]


def test_candidates_fill_the_field_and_its_margin():
    centre = candidates(np.random.default_rng(0), (40.0, 20.0))
    assert len(centre) == int(0.09 * 60 * 40)
    assert centre.min(axis=0) == pytest.approx([-10, -10], abs=0.6)
    assert centre.max(axis=0) == pytest.approx([50, 30], abs=0.6)


@pytest.mark.parametrize("name", CELL_KINDS)
def test_nuclei_have_the_size_and_shape_of_their_kind(name):
    number, kind = list(CELL_KINDS).index(name), CELL_KINDS[name]
    made = draw_cells(np.random.default_rng(1), np.zeros((400, 2)), np.full(400, number))
    radius, aspect = np.sqrt(made.axes_um.prod(axis=1)), made.axes_um[:, 0] / made.axes_um[:, 1]
    assert np.median(radius) == pytest.approx(kind.radius_um, rel=0.02)
    assert np.log(radius).std() == pytest.approx(0.08, abs=0.012)
    assert (kind.aspect[0] <= aspect + 1e-9).all()
    assert (aspect <= kind.aspect[1] + 1e-9).all()
    assert aspect.mean() == pytest.approx(np.mean(kind.aspect), rel=0.05)
    assert 0 <= made.angle.min() < made.angle.max() <= np.pi
    assert (made.kind == number).all()
    assert (made.of_kind("ink") == kind.ink).all()
    assert made.spindle.all() == (name == "spindle")


def test_angles_that_are_given_are_kept():
    given = np.array([0.3, 5.0])
    assert draw_cells(np.random.default_rng(1), np.zeros((2, 2)), np.zeros(2, dtype=np.intp), given).angle is given


def alone(kind, angle=0.0, radius=3.0):
    return Cells(np.array([[20.25, 20.25]]), np.array([[radius] * 2]), np.array([angle]), np.zeros(1), np.array([kind]))


def body_of(one):
    return bodies(one, *nearest_cell(one, (81, 81), 0.5), 0.5)


def test_a_lymphocyte_has_a_rim_of_equal_width_all_around():
    body = body_of(alone(kinds.LYMPHOCYTE))
    y, x = np.indices((81, 81)) * 0.5 + 0.25
    np.testing.assert_array_equal(body, np.hypot(y - 20.25, x - 20.25) < 3 + CELL_KINDS["lymphocyte"].rim_um)


@pytest.mark.parametrize(("angle", "towards"), [(0.0, (0, 1)), (np.pi / 4, (1, 0)), (np.pi / 2, (0, -1))])
def test_the_nucleus_of_a_plasma_cell_lies_at_one_end(angle, towards):
    body = body_of(alone(kinds.PLASMA, angle))
    kind = CELL_KINDS["plasma"]
    for sign in (1, -1):
        step = np.array(towards) * sign
        reach = sum(body[tuple(40 + step * k)] for k in range(1, 40)) * 0.5
        assert reach == pytest.approx(3 + kind.rim_um + sign * kind.lean_um, abs=0.5)


@pytest.mark.parametrize("kind", [kinds.SPINDLE, kinds.EPITHELIAL, kinds.COLUMNAR])
def test_cells_whose_cytoplasm_is_not_their_own_have_no_body(kind):
    assert not body_of(alone(kind)).any()
