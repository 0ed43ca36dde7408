"""Where cells, fibres and gaps lie: packing, distances, chosen shares, and the numbers of two fixed layouts."""

import numpy as np
import pytest

from saliency_stats.cohort.phantom.anatomy import Cells, _nearest_cell, _thin, _top, build


def cells(*rows):
    """Cells from (y, x, long axis, short axis, angle, skew)."""
    table = np.array(rows, dtype=float)
    return Cells(table[:, :2], table[:, 2:4], table[:, 4], table[:, 5], np.zeros(len(table), dtype=bool))


def test_of_cells_too_near_to_each_other_the_earlier_stays():
    centre = np.array([[0.0, 0.0], [0.0, 3.9], [0.0, 4.1], [0.0, 8.0], [9.0, 9.0]])
    assert _thin(centre, np.full(5, 2.0)).tolist() == [True, False, True, False, True]
    # radii add up, and one that was dropped stands in no other's way
    assert _thin(centre[:3], np.array([1.0, 3.0, 3.0])).tolist() == [True, False, True]
    assert _thin(np.array([[0.0, 0.0], [0.0, 4.0]]), np.full(2, 2.0)).all()


def test_the_distance_to_a_circle_is_exact():
    _, distance = _nearest_cell(cells((20.25, 20.25, 5, 5, 0, 0)), (81, 81), 0.5)
    y, x = np.indices((81, 81)) * 0.5 + 0.25
    expected = np.minimum(np.hypot(y - 20.25, x - 20.25) - 5, 6.0)
    away = np.hypot(y - 20.25, x - 20.25) > 1
    np.testing.assert_allclose(distance[away], expected[away], atol=0.01)


@pytest.mark.parametrize("angle", [0.0, np.pi / 2])
def test_an_ellipse_has_its_axes_and_lies_along_its_angle(angle):
    _, distance = _nearest_cell(cells((20.25, 20.25, 6, 3, angle, 0)), (81, 81), 0.5)
    row, column = distance[40, 40:], distance[40:, 40]
    along, across = (row, column) if angle == 0 else (column, row)
    steps = np.arange(41) * 0.5
    for values, half in ((along, 6), (across, 3)):
        near = np.abs(steps - half) < 3
        np.testing.assert_allclose(values[near], (steps - half)[near], atol=0.02)


def test_an_egg_is_thinner_at_the_end_that_its_skew_names():
    _, distance = _nearest_cell(cells((20.25, 20.25, 6, 3, 0.0, 0.3)), (81, 81), 0.5)
    widths = [(distance[:, 40 + side * 8] < 0).sum() for side in (-1, 1)]
    assert widths[0] > widths[1]
    _, straight = _nearest_cell(cells((20.25, 20.25, 6, 3, 0.0, 0.0)), (81, 81), 0.5)
    assert ((straight[:, 32] < 0).sum(), (straight[:, 48] < 0).sum()) == ((straight[:, 48] < 0).sum(),) * 2
    # at u = 8/2/6 of the long axis the ellipse is narrower by 1 + skew · u
    u = 4 / 6
    expected = 2 * 3 * np.sqrt(1 - u**2) / (1 + 0.3 * u) / 0.5
    assert widths[1] == pytest.approx(expected, abs=1.5)


def test_every_pixel_belongs_to_the_nearest_cell_also_at_the_image_border():
    nearest, distance = _nearest_cell(
        cells((2, 2, 4, 4, 0, 0), (-2, 30, 5, 5, 0, 0), (14, 30, 3, 3, 0, 0)), (40, 80), 0.5
    )
    assert (nearest[2, 2], nearest[0, 60], nearest[28, 60]) == (0, 1, 2)
    y, x = np.indices((40, 80)) * 0.5 + 0.25
    to_each = [np.hypot(y - cy, x - cx) - r for cy, cx, r in ((2, 2, 4), (-2, 30, 5), (14, 30, 3))]
    near = np.min(to_each, axis=0) < 5.5
    inside = np.min(to_each, axis=0) > -2
    assert (nearest == np.argmin(to_each, axis=0))[near].mean() > 0.99
    np.testing.assert_allclose(distance[inside], np.minimum(np.min(to_each, axis=0), 6)[inside], atol=0.03)


def test_the_highest_eligible_scores_are_chosen_and_no_more_than_there_are():
    score = np.array([[5, 1, 4], [2, 9, 3]], dtype=np.float32)
    eligible = np.array([[True, True, True], [True, False, True]])
    assert _top(score, eligible, 2).tolist() == [[True, False, True], [False, False, False]]
    assert _top(score, eligible, 9).sum() == 5
    assert not _top(score, eligible, 0).any()
    assert not _top(score, ~eligible & False, 3).any()


#: ``numbers`` of two layouts, as the first version that planted signals drew them; a change here changes every phantom.
GOLDEN = {
    (0, (128, 128), 0.5, 1.25): [
        *(42, 12, 4.41675, 3.22442, 3.27539, 0.11189, 0.20978),
        *(1.79721, 2.20558, 0.21564, 0.36475, 0.05157, 0.32977, 2.55496),
    ],
    (1, (96, 160), 0.4, 1.1): [
        *(38, 7, 3.84231, 2.9655, 3.28587, 0.11227, 0.17253),
        *(1.26343, 1.95522, 0.2599, 0.34714, 0.10599, 0.30885, 0.97965),
    ],
}


def numbers(drawn):
    """Counts, sizes and angles of the cells; the distances; shares of stroma and gap; direction of the fibres."""
    c = drawn.cells
    outside = drawn.distance_um > 0
    return [
        *(len(c.angle), c.spindle.sum(), *c.axes_um.mean(axis=0), c.axes_um[c.spindle].mean(), c.skew.std()),
        *(c.angle[c.spindle].std(), drawn.distance_um.mean(), drawn.distance_um.std(), (~outside).mean()),
        *(drawn.stroma.mean(), drawn.gap.mean(), (drawn.stroma & outside).mean(), drawn.fibre_angle),
    ]


@pytest.mark.parametrize("case", GOLDEN)
def test_layouts_are_those_that_every_study_has_seen(case):
    seed, shape, px_um, spacing = case
    drawn = build(np.random.default_rng(seed), shape, px_um, spacing)
    assert numbers(drawn) == pytest.approx(GOLDEN[case], rel=2e-4, abs=2e-4)
    assert not (drawn.gap & (drawn.stroma | (drawn.distance_um <= 0))).any()
    assert drawn.px_um == px_um
