"""Outlines of tumour: what the files say is what the geometry holds, and what they must not say is refused."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box

from saliency_stats.cohort.slides import annotation as annotation_module
from saliency_stats.cohort.slides.annotation import Annotation, AnnotationFile, write_asap_xml, write_geojson
from saliency_stats.cohort.slides.outlines import Groups, rasterise

WRITERS = {".xml": write_asap_xml, ".geojson": write_geojson}
MPP_Y, MPP_X = 0.25, 0.5
SQUARE = [(0, 0), (100, 0), (100, 100), (0, 100)]
INNER = [(20, 20), (60, 20), (60, 60), (20, 60)]
BOW_TIE = [(0, 0), (10, 10), (10, 0), (0, 10)]


def shifted(points, dx, dy=0):
    return [(x + dx, y + dy) for x, y in points]


def group(name, parent="None"):
    return f'<Group Name="{name}" PartOfGroup="{parent}" Color="#00ff00"><Attributes /></Group>'


def area_of(geometry):
    return Annotation(geometry, (), Path("none"))


@st.composite
def stars(draw, centre=200.0):
    """Star-shaped outlines: every radius is its own, and all angles differ, so that none crosses itself."""
    n = draw(st.integers(5, 40))
    radius = np.array(draw(st.lists(st.floats(80, 150), min_size=n, max_size=n)))
    angle = 2 * np.pi * np.arange(n) / n
    return Polygon(centre + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))


# --- writing and reading ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", WRITERS)
@settings(max_examples=25, deadline=None)
@given(star=stars(), exclude=stars(centre=300.0))
def test_what_is_written_is_read_back_and_drawn_with_its_area(tmp_path_factory, suffix, star, exclude, read):
    tumour = star.difference(star.centroid.buffer(20))
    path = tmp_path_factory.mktemp("star") / f"a{suffix}"
    WRITERS[suffix](path, tumour, exclude, MPP_Y, MPP_X)
    back = read(path, MPP_Y, MPP_X, width_px=800, height_px=1600)
    expected = tumour.difference(exclude)
    assert back.tumour.is_valid
    assert back.tumour.symmetric_difference(expected).area == pytest.approx(0, abs=1e-6 * tumour.area)
    drawn = rasterise(back.tumour, (1400, 1200), (0.3, 0.4)).sum() * 0.3 * 0.4
    # a straight edge may win or lose half a pixel along its whole length, on a small rest too
    assert drawn == pytest.approx(expected.area, abs=0.005 * tumour.area)


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_island_in_a_hole_and_a_hole_in_what_is_excluded_survive(tmp_path, suffix, read):
    ring = Polygon(shifted(SQUARE, 100), [shifted(INNER, 100)])
    tumour = MultiPolygon([ring, Polygon(shifted([(30, 30), (40, 30), (40, 40), (30, 40)], 100))])
    exclude = Polygon(
        shifted([(70, 70), (95, 70), (95, 95), (70, 95)], 100), [shifted([(75, 75), (80, 75), (80, 80)], 100)]
    )
    WRITERS[suffix](tmp_path / f"a{suffix}", tumour, exclude, MPP_Y, MPP_X)
    back = read(tmp_path / f"a{suffix}", MPP_Y, MPP_X)
    assert back.notes == ()
    assert back.tumour.area == pytest.approx(100**2 - 40**2 + 10**2 - 25**2 + 12.5)
    assert back.tumour.symmetric_difference(tumour.difference(exclude)).area == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("nothing", [Polygon(), MultiPolygon(), shapely.unary_union([])])
def test_a_normal_slide_is_written_and_read_as_one(tmp_path, suffix, nothing, read):
    WRITERS[suffix](tmp_path / f"a{suffix}", nothing, None, MPP_Y, MPP_X)
    back = read(tmp_path / f"a{suffix}", MPP_Y, MPP_X, width_px=10, height_px=10)
    assert back.tumour.is_empty
    assert back.notes == (f"1 × file without annotated tumour: a{suffix}",)
    assert back.shares([(5, 5)], 10)[0] == 0
    assert not rasterise(back.tumour, (4, 3), (1, 1)).any()


def test_files_hold_pixels_as_x_and_y_and_the_geometry_holds_um(tmp_path, read, asap):
    back = read(asap(tmp_path, ("_0", [(10, 20), (30, 20), (30, 100), (10, 100)])), mpp_y=0.5, mpp_x=0.25)
    assert back.tumour.bounds == (2.5, 10.0, 7.5, 50.0)
    assert back.source == tmp_path / "a.xml"
    both = tmp_path / "b.xml"
    write_asap_xml(both, back.tumour, None, 0.5, 0.25)
    assert 'X="10.0" Y="20.0"' in both.read_text(encoding="utf-8")
    write_geojson(tmp_path / "b.json", back.tumour, None, 0.5, 0.25)
    assert "[10.0, 20.0]" in (tmp_path / "b.json").read_text(encoding="utf-8")


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.posix("named pipes")
def test_files_that_cannot_be_read_are_refused(tmp_path, monkeypatch, read, refused, asap, text_file):
    refused(tmp_path / "none.xml", "No such file", "column 'annotation'")
    refused(tmp_path, "cannot be read", "folder or a device")
    os.mkfifo(tmp_path / "pipe.xml")
    refused(tmp_path / "pipe.xml", "folder or a device")
    refused(text_file(tmp_path, "x,y", "a.csv"), "neither XML nor JSON")
    path = asap(tmp_path, ("_0", SQUARE))
    size = path.stat().st_size
    monkeypatch.setattr(annotation_module, "MAX_BYTES", size)
    assert read(path).tumour.area == 100**2
    monkeypatch.setattr(annotation_module, "MAX_BYTES", size - 1)
    refused(path, f"{size} bytes", f"at most {size - 1}")


def test_outlines_of_absurdly_many_points_are_refused(tmp_path, monkeypatch, read, refused, asap):
    path = asap(tmp_path, ("_0", SQUARE), ("_2", INNER))
    monkeypatch.setattr(annotation_module, "MAX_POINTS", 8)
    assert read(path).tumour.area == 100**2 - 40**2
    monkeypatch.setattr(annotation_module, "MAX_POINTS", 7)
    refused(path, "8 points", "at most 7", "Simplify")


def test_outlines_are_counted_from_their_origin(tmp_path, read, asap):
    path = asap(tmp_path, ("_0", SQUARE))
    back = read(path, mpp_y=0.5, mpp_x=0.25, origin_px=(300, 400), width_px=2000, height_px=2000)
    assert back.tumour.bounds == (100, 150, 125, 200)
    assert back.drawn.equals(back.tumour)
    cut = read(path, origin_px=(-50, 0), width_px=2000, height_px=2000)
    assert (cut.tumour.area, cut.drawn.area) == (100 * 50, 100**2)


def test_classes_are_counted_as_they_are_read(tmp_path, asap, geojson, feature):
    one = AnnotationFile(geojson(tmp_path, feature([SQUARE]), feature([INNER], "Stroma")), "s7", Groups())
    assert len(one.parse()) == 1
    assert one.kind == "geojson"
    assert one.notes.counts == {("'Tumor'", "tumour"): 1, ("'Stroma'", "without meaning"): 1}
    other = AnnotationFile(asap(tmp_path, ("_0", SQUARE), ("_2", INNER), ("x", INNER)), "s7", Groups(ignore=("x",)))
    assert [outline.exclude for outline in other.parse()] == [False, True]
    assert other.kind == "asap"
    assert other.notes.counts == {("'_0'", "tumour"): 1, ("'_2'", "exclude"): 1, ("'x'", "ignore"): 1}


# --- geometry ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_bow_tie_keeps_both_wings_and_its_change_is_noted(tmp_path, suffix, read, asap, feature, geojson):
    path = asap(tmp_path, ("_0", BOW_TIE)) if suffix == ".xml" else geojson(tmp_path, feature([BOW_TIE], name="A0"))
    back = read(path, mpp_y=0.5, mpp_x=0.25)
    assert back.tumour.is_valid
    assert back.tumour.area == pytest.approx(50 * 0.125)
    assert back.notes == ("1 × outline that crosses or touches itself, repaired: 'A0' (0 → 6.25 µm²)",)


def test_what_a_line_goes_round_twice_is_inside(tmp_path, read, asap):
    turns = np.linspace(0, 2.4 * np.pi, 200)
    spiral = [((10 + t) * np.cos(t), (10 + t) * np.sin(t)) for t in turns]
    tumour = read(asap(tmp_path, ("_0", spiral))).tumour
    assert tumour.contains(shapely.Point(0, 0))
    assert tumour.contains(shapely.Point(12, 4))
    assert shapely.get_num_interior_rings(tumour) == 0


def test_too_few_points_are_left_out_with_a_note(tmp_path, read, asap, feature, geojson):
    few = [("_0", [(0, 0), (5, 5)]), ("_0", []), ("_0", [(1, 1), (2, 2), (1, 1)]), ("_0", [(1, 1)] * 4)]
    back = read(asap(tmp_path, ("_0", SQUARE), *few, ("_0", [(0, 0), (5, 5), (9, 9)])))
    assert back.tumour.area == 100**2
    assert back.notes == (
        "4 × ring of fewer than 3 different points, left out: 'A1', 'A2', 'A3', …",
        "1 × outline that encloses no area, left out: 'A5'",
    )
    back = read(geojson(tmp_path, feature([SQUARE, [(1, 1), (2, 2)], INNER])))
    assert back.tumour.area == 100**2 - 40**2
    assert len(back.notes) == 1


def test_an_outline_across_the_border_is_clipped_and_one_outside_is_left_out(tmp_path, read, asap):
    path = asap(
        tmp_path,
        ("_0", SQUARE),
        ("_0", shifted(SQUARE, 250)),
        ("_0", shifted(SQUARE, 900)),
        ("_2", shifted(INNER, 0, -900)),
    )
    back = read(path, width_px=300, height_px=100, mpp_x=2.0)
    assert back.tumour.area == (100**2 + 50 * 100) * 2
    assert back.notes == (
        "1 × reaches beyond the slide, clipped: 'A1'",
        "2 × outside of the slide, left out: 'A2', 'A3'",
    )
    # touching the border is not reaching beyond it
    assert read(asap(tmp_path, ("_0", SQUARE), name="b.xml"), width_px=100, height_px=100).notes == ()
    assert read(path).tumour.area == 3 * 100**2


@pytest.mark.parametrize("others", [[], [("_2", SQUARE)], [("None", [(1, 1)], "Dot")]])
def test_an_annotation_of_another_slide_is_refused(tmp_path, others, refused, asap):
    path = asap(tmp_path, ("_0", shifted(SQUARE, 300)), ("_1", shifted(SQUARE, 5000, 800)), *others)
    refused(
        path,
        "2 outline(s) of tumour",
        "x 300 to 5100, y 0 to 900",
        "within 0 to 300, 0 to 200",
        width_px=300,
        height_px=200,
    )


def test_excluded_outlines_alone_may_not_all_lie_outside_either(tmp_path, refused, asap):
    refused(asap(tmp_path, ("_2", shifted(SQUARE, 300))), "what is excluded", width_px=300, height_px=200)


# --- asking -----------------------------------------------------------------------------------------


def test_shares_of_squares_are_exact():
    area = area_of(Polygon(SQUARE, [INNER]))
    assert area.shares([(10, 50)], 20)[0] == 1  # (y, x): above the hole
    assert area.shares([(50, 40)], 20)[0] == 0.0
    assert area.shares([(40, 40)], 80)[0] == pytest.approx(1 - 40**2 / 80**2)
    assert area.shares([(100, 50)], 20)[0] == pytest.approx(0.5)
    assert area.shares([(500, 50)], 20)[0] == 0
    np.testing.assert_allclose(area.shares([(10, 50), (50, 40), (100, 50)], 20), [1, 0, 0.5])
    assert area.shares(np.empty((0, 2)), 20).shape == (0,)


def test_a_centre_is_y_then_x():
    area = area_of(box(0, 0, 100, 10))
    assert area.shares([(5, 95)], 10)[0] == pytest.approx(1)
    assert area.shares([(95, 5)], 10)[0] == 0


@settings(max_examples=15, deadline=None)
@given(star=stars(), side=st.floats(10, 300), y=st.floats(0, 400), x=st.floats(0, 400))
def test_the_share_of_a_square_is_the_share_of_its_pixels(star, side, y, x):
    area = area_of(star.difference(star.centroid.buffer(30)))
    drawn = rasterise(area.tumour, (300, 300), (side / 300,) * 2, (y - side / 2, x - side / 2))
    assert area.shares([(y, x)], side)[0] == pytest.approx(drawn.mean(), abs=0.01)


@settings(max_examples=15, deadline=None)
@given(star=stars())
def test_the_squares_of_a_grid_hold_the_whole_area(star):
    # a rough coast has far more points than a part may have
    area = area_of(star.buffer(20, quad_segs=64).difference(star.centroid.buffer(30, quad_segs=64)))
    assert len(area._parts.geometries) > 1
    centres = np.stack(np.meshgrid(np.arange(10, 500, 20), np.arange(10, 500, 20)), axis=-1).reshape(-1, 2) - 50
    shares = area.shares(centres, 20)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert shares.sum() * 20**2 == pytest.approx(area.tumour.area, rel=1e-9)


def test_an_annotation_travels_to_other_processes():
    area = area_of(Polygon(SQUARE, [INNER]))
    before = area.shares([(40, 40)], 80)[0]
    again = pickle.loads(pickle.dumps(area))  # noqa: S301
    assert again.shares([(40, 40)], 80)[0] == before
