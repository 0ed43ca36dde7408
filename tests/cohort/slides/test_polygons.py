"""Outlines as polygons: what is repaired, what is left out, and what nobody can have drawn."""

import numpy as np
import pytest
import shapely
from shapely import Polygon, box

from saliency_stats.cohort.slides import polygons
from saliency_stats.cohort.slides.outlines import Notes, Outline
from saliency_stats.cohort.slides.polygons import subdivided, united, valid_polygon, with_area
from saliency_stats.errors import SlideError

SQUARE = [(0, 0), (100, 0), (100, 100), (0, 100)]
INNER = [(20, 20), (60, 20), (60, 60), (20, 60)]


def drawn(*rings, um2=1.0):
    notes = Notes()
    outline = Outline("'A'", exclude=False, rings=tuple(np.array(ring, dtype=float).reshape(-1, 2) for ring in rings))
    return valid_polygon(outline, notes, um2), notes.lines()


def moved(points, dx):
    return [(x + dx, y) for x, y in points]


def test_a_good_outline_stays_as_it_is_either_way_round():
    for rings in ((SQUARE, INNER), (SQUARE[::-1], INNER), (SQUARE, INNER[::-1]), ([*SQUARE, SQUARE[0]], INNER)):
        area, notes = drawn(*rings)
        assert (area.area, notes) == (100**2 - 40**2, ())


def test_the_outer_ring_is_known_wherever_it_stands():
    area, notes = drawn(INNER, SQUARE, [(70, 70), (80, 70), (80, 80)])
    assert area.area == 100**2 - 40**2 - 50
    assert notes == ("1 × the outer ring does not come first, the one around the others was taken for it: 'A'",)
    # they share a corner
    assert drawn([(50, 50), (100, 50), (100, 100), (50, 100)], SQUARE)[0].area == 100**2 - 50**2
    assert drawn([(0, 0), (50, 0), (50, 50), (0, 50)], SQUARE)[0].area == 100**2 - 50**2
    # neither is around the other
    assert drawn(SQUARE, [(50, 50), (150, 50), (150, 60), (50, 60)])[0].area == pytest.approx(100**2 - 500)


def test_a_hole_beside_its_outline_is_left_out_by_name():
    area, notes = drawn(SQUARE, INNER, moved(INNER, 200))
    assert area.area == 100**2 - 40**2
    assert notes == ("1 × hole outside of its outline, left out: 'A'",)


def test_a_bow_tie_with_a_hole_in_one_wing_keeps_both_wings():
    area, notes = drawn([(0, 0), (100, 100), (100, 0), (0, 100)], [(90, 40), (95, 40), (95, 45)])
    assert area.area == pytest.approx(5000 - 12.5)
    assert "crosses or touches itself, repaired" in notes[0]


@pytest.mark.parametrize(
    ("ring", "why"),
    [
        ([(0, 0), (5, 5), (9, 9), (3, 3)], "encloses no area"),
        ([(5, 5), (5.0000001, 5), (5, 5.0000001)], "encloses no area"),
        ([(0, 0), (1e-310, 0), (0, 1e-310)], "encloses no area"),
        ([(0, 0), (1, 0)], "fewer than 3 different points"),
        ([], "fewer than 3 different points"),
    ],
)
def test_what_encloses_nothing_is_nothing(ring, why):
    area, notes = drawn(ring)
    assert area.is_empty
    assert len(notes) == 1
    assert why in notes[0]


def test_the_change_of_a_repair_is_told_in_um():
    _, notes = drawn([(0, 0), (10, 10), (10, 0), (0, 10)], um2=0.25)
    assert notes == ("1 × outline that crosses or touches itself, repaired: 'A' (0 → 12.5 µm²)",)


def test_a_scribble_is_refused_before_it_is_repaired():
    points = np.random.default_rng(0).random((1000, 2)) * 1000
    with pytest.raises(
        SlideError, match=r"annotation 'A': the line of 1,000 points crosses itself about \d+,\d+ times"
    ):
        drawn(points)
    # a hand's crossings are none
    area, notes = drawn(points[:40])
    assert area.area > 0
    assert "repaired" in notes[0]


def test_crossings_are_counted_without_the_corners(monkeypatch):
    monkeypatch.setattr(polygons, "MAX_CROSSINGS", 1)
    assert drawn([(0, 0), (10, 10), (10, 0), (0, 10)])[0].area == 50
    monkeypatch.setattr(polygons, "MAX_CROSSINGS", 0)
    with pytest.raises(SlideError, match="about 1 times"):
        drawn([(0, 0), (10, 10), (10, 0), (0, 10)])


def test_a_long_line_traced_twice_is_no_scribble():
    angle = 2 * np.pi * np.arange(2000) / 2000
    circle = 500 + 400 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    area, notes = drawn(np.concatenate([circle, circle]))
    assert area.area == pytest.approx(np.pi * 400**2, rel=1e-4)
    assert "repaired" in notes[0]


def test_noise_of_outlines_is_refused_before_it_is_united(monkeypatch):
    squares = [box(n, n, n + 40, n + 40) for n in range(60)]
    assert united(squares).area == pytest.approx(shapely.unary_union(squares).area)
    monkeypatch.setattr(polygons, "MAX_OVERLAPS", 1000)
    with pytest.raises(SlideError, match=r"about 1,\d\d\d pairs of the 60 outlines overlap; expected at most 1,000"):
        united(squares)
    assert united([box(9 * n, 0, 9 * n + 5, 5) for n in range(60)]).area == 60 * 25
    assert united([]).is_empty


def test_only_what_has_an_area_is_kept():
    mixed = shapely.GeometryCollection([box(0, 0, 2, 2), shapely.Point(9, 9), shapely.LineString([(0, 0), (5, 5)])])
    assert with_area(mixed).area == 4
    assert with_area(mixed).geom_type == "Polygon"
    assert with_area(shapely.LineString([(0, 0), (5, 5)])).is_empty


def test_pieces_have_few_points_and_all_of_the_area():
    circle = shapely.Point(50, 80).buffer(40, quad_segs=500).difference(shapely.Point(50, 80).buffer(10))
    pieces = subdivided(circle)
    assert max(shapely.get_num_coordinates(pieces)) <= 128
    assert shapely.area(pieces).sum() == pytest.approx(circle.area)
    assert list(subdivided(Polygon(SQUARE))) == [Polygon(SQUARE)]


def test_what_cannot_be_halved_is_left_whole():
    # as wide as the numbers there are between two neighbours
    low = 1e9
    high = np.nextafter(low, np.inf)
    ring = [(low, low), *[(high, low)] * 70, (high, high), *[(low, high)] * 70]
    assert len(subdivided(Polygon(ring))) == 1


def sawtooth(n, across, along):
    """A strip with n teeth, ``along`` long and ``across`` wide."""
    x = np.arange(n) * along / n
    upper = np.stack([x, across * (0.6 + 0.4 * (np.arange(n) % 2))], axis=1)
    return np.concatenate([upper, [[along, 0.0], [0.0, 0.0]]])


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_a_strip_is_cut_across(axes):
    strip = Polygon(sawtooth(2000, 1.0, 5000.0)[:, axes])
    pieces = subdivided(strip)
    assert max(shapely.get_num_coordinates(pieces)) <= 128
    assert len(pieces) <= 64
    # as narrow as two neighbouring numbers, it can still be cut
    low = 2.0**20
    thin = np.where(sawtooth(300, 1.0, 5000.0) == [[0.0, -1.0]], 0.0, sawtooth(300, 1.0, 5000.0))
    narrow = thin.copy()
    narrow[:, 1] = np.where(thin[:, 1] > 0.5, np.nextafter(low, np.inf), low)
    assert max(shapely.get_num_coordinates(subdivided(Polygon(narrow[:, axes])))) <= 128
