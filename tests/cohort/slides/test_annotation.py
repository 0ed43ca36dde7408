"""Outlines of tumour: what the files say is what the geometry holds, and what they must not say is refused."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box

from saliency_stats.cohort.slides import annotation as annotation_module
from saliency_stats.cohort.slides.annotation import Annotation, read_annotation, write_asap_xml, write_geojson
from saliency_stats.cohort.slides.outlines import rasterise
from saliency_stats.errors import SlideError

WRITERS = {".xml": write_asap_xml, ".geojson": write_geojson}
MPP_Y, MPP_X = 0.25, 0.5
SQUARE = [(0, 0), (100, 0), (100, 100), (0, 100)]
INNER = [(20, 20), (60, 20), (60, 60), (20, 60)]
BOW_TIE = [(0, 0), (10, 10), (10, 0), (0, 10)]


def read(path, mpp_y=1.0, mpp_x=1.0, **kwargs):
    return read_annotation(path, mpp_y, mpp_x, slide_id="s7", **kwargs)


def shifted(points, dx, dy=0):
    return [(x + dx, y + dy) for x, y in points]


def asap(folder, *annotations, groups="", name="a.xml"):
    """Write XML as ASAP does, from (group, points) or (group, points, type)."""
    text = '<?xml version="1.0"?>\n<ASAP_Annotations>\n<Annotations>\n'
    for number, (group, points, *kind) in enumerate(annotations):
        text += f'<Annotation Name="A{number}" Type="{(kind or ["Polygon"])[0]}" PartOfGroup="{group}" Color="#F4FA58">'
        text += "<Coordinates>"
        text += "".join(f'<Coordinate Order="{order}" X="{x}" Y="{y}" />' for order, (x, y) in enumerate(points))
        text += "</Coordinates></Annotation>\n"
    path = folder / name
    path.write_text(f"{text}</Annotations><AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>")
    return path


def group(name, parent="None"):
    return f'<Group Name="{name}" PartOfGroup="{parent}" Color="#00ff00"><Attributes /></Group>'


def feature(points, classification="Tumor", kind="Polygon", **properties):
    if isinstance(classification, str):
        classification = {"name": classification, "color": [200, 0, 0]}
    rings = [[[*point] for point in [*ring, ring[0]]] for ring in points] if kind == "Polygon" else points
    properties = {"objectType": "annotation", "classification": classification, **properties}
    return {
        "type": "Feature",
        "id": "c0ffee",
        "geometry": {"type": kind, "coordinates": rings},
        "properties": properties,
    }


def geojson(folder, *features, name="a.geojson"):
    path = folder / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def text_file(folder, text, name="a.xml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path, *words, **kwargs):
    with pytest.raises(SlideError) as caught:
        read(path, **kwargs)
    message = str(caught.value)
    for word in ("'s7'", str(path), *words):
        assert word in message, f"{word!r} is not in {message!r}"
    return message


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
def test_what_is_written_is_read_back_and_drawn_with_its_area(tmp_path_factory, suffix, star, exclude):
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
def test_an_island_in_a_hole_and_a_hole_in_what_is_excluded_survive(tmp_path, suffix):
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
def test_a_normal_slide_is_written_and_read_as_one(tmp_path, suffix, nothing):
    WRITERS[suffix](tmp_path / f"a{suffix}", nothing, None, MPP_Y, MPP_X)
    back = read(tmp_path / f"a{suffix}", MPP_Y, MPP_X, width_px=10, height_px=10)
    assert back.tumour.is_empty
    assert back.notes == (f"1 × file without annotated tumour, so the slide counts as normal: a{suffix}",)
    assert back.shares([(5, 5)], 10)[0] == 0
    assert not rasterise(back.tumour, (4, 3), (1, 1)).any()


def test_files_hold_pixels_as_x_and_y_and_the_geometry_holds_um(tmp_path):
    back = read(asap(tmp_path, ("_0", [(10, 20), (30, 20), (30, 100), (10, 100)])), mpp_y=0.5, mpp_x=0.25)
    assert back.tumour.bounds == (2.5, 10.0, 7.5, 50.0)
    assert back.source == tmp_path / "a.xml"
    both = tmp_path / "b.xml"
    write_asap_xml(both, back.tumour, None, 0.5, 0.25)
    assert 'X="10.0" Y="20.0"' in both.read_text()
    write_geojson(tmp_path / "b.json", back.tumour, None, 0.5, 0.25)
    assert "[10.0, 20.0]" in (tmp_path / "b.json").read_text()


# --- the groups of ASAP -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tumour", "excluded"), [("_0", "_2"), ("_1", "_2"), ("Tumor", "Exclusion"), ("metastases", "normal")]
)
def test_excluded_groups_are_cut_out_wherever_they_lie(tmp_path, tumour, excluded):
    back = read(
        asap(
            tmp_path,
            (excluded, INNER),
            (tumour, SQUARE),
            (excluded, shifted(SQUARE, 90)),
            (tumour, shifted(INNER, 500)),
        )
    )
    assert back.tumour.area == 100**2 - 40**2 - 10 * 100 + 40**2
    assert back.notes == ()


def test_overlapping_outlines_count_once(tmp_path):
    assert read(asap(tmp_path, ("_0", SQUARE), ("_1", shifted(SQUARE, 50)))).tumour.area == 150 * 100


def test_a_group_means_what_the_next_known_group_around_it_means(tmp_path):
    groups = group("lesion", "_0") + group("_0", "All") + group("part", "lesion") + group("_2", "_0") + group("All")
    path = asap(tmp_path, ("part", SQUARE), ("_2", INNER), groups=groups)
    assert read(path).tumour.area == 100**2 - 40**2


def test_groups_that_go_round_in_a_circle_have_no_meaning(tmp_path):
    path = asap(tmp_path, ("a", SQUARE), groups=group("a", "b") + group("b", "a"))
    refused(path, "'a'", "cohort.annotation_groups")


@pytest.mark.parametrize("name", ["None", "Stroma"])
def test_a_group_without_meaning_is_refused_unless_the_study_gives_it_one(tmp_path, name):
    path = asap(tmp_path, ("_0", SQUARE), (name, INNER))
    refused(path, f"'{name}'", "'A1'", "_0, _1, Tumor", "_2, Exclusion", "cohort.annotation_groups")
    assert read(path, exclude=("_2", name.upper())).tumour.area == 100**2 - 40**2
    ignored = read(path, ignore=(name,))
    assert ignored.tumour.area == 100**2
    assert ignored.notes == (f"1 × group '{name}' is to be ignored, left out: 'A1'",)


def test_a_group_has_one_meaning(tmp_path):
    refused(
        asap(tmp_path, ("_0", SQUARE)), "'normal'", "two meanings", "cohort.annotation_groups", tumour=("_0", "NORMAL")
    )


def test_coordinates_come_in_any_order(tmp_path):
    text = asap(tmp_path, ("_0", SQUARE)).read_text()
    first, second = '<Coordinate Order="0" X="0" Y="0" />', '<Coordinate Order="1" X="100" Y="0" />'
    path = text_file(tmp_path, text.replace(first + second, second + first))
    assert path.read_text() != text
    assert read(path).tumour.area == 100**2
    # more than nine points: as text, 10 would come before 2
    circle = [(50 + 50 * np.cos(t), 50 + 50 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 60, endpoint=False)]
    text = asap(tmp_path, ("_0", circle)).read_text()
    points = [f"<Coordinate {part}" for part in text.split("<Coordinate ")[1:]]
    points[-1] = points[-1].split("</")[0]
    shuffled = text.replace("".join(points), "".join(np.random.default_rng(0).permutation(points)))
    assert read(text_file(tmp_path, shuffled)).tumour.equals(read(text_file(tmp_path, text)).tumour)


def test_dots_are_left_out_splines_and_rectangles_are_outlines(tmp_path):
    back = read(
        asap(
            tmp_path,
            ("None", [(5, 5)], "Dot"),
            ("None", [(5, 5), (6, 6)], "PointSet"),
            ("_0", SQUARE, "Spline"),
            ("_0", [(200, 0), (300, 50)], "Rectangle"),
            ("_0", shifted(SQUARE, 400), "Rectangle"),
        )
    )
    assert back.tumour.area == 100**2 + 100 * 50 + 100**2
    assert back.notes == (
        "1 × Dot encloses no area, left out: 'A0'",
        "1 × PointSet encloses no area, left out: 'A1'",
        "1 × spline, read as the polygon through its points: 'A2'",
    )


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('X="100"', 'X="100,5"', "100,5"),
        ('X="100"', 'X=""', "no number"),
        ('X="100"', 'Z="100"', "'X'"),
        ('X="100"', 'X="nan"', "not finite"),
        ('X="100"', 'X="1e999"', "not finite"),
        ('Order="1"', 'Order="0"', "same Order"),
        ('Order="1"', 'Order="one"', "one"),
    ],
)
def test_a_coordinate_that_is_no_number_is_refused(tmp_path, old, new, found):
    text = asap(tmp_path, ("_0", SQUARE)).read_text()
    refused(text_file(tmp_path, text.replace(old, new, 1)), "'A0'", found)


# --- the classes of QuPath --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Tumor", "tumour", "METASTASIS", "Tumor: Positive"])
def test_classes_of_tumour_count_and_holes_are_holes(tmp_path, name):
    path = geojson(tmp_path, feature([SQUARE, INNER], name), feature([shifted(SQUARE, 90)], "Ignore*"))
    assert read(path).tumour.area == 100**2 - 40**2 - 10 * 100


@pytest.mark.parametrize(
    "classification",
    [{"names": ["Tumor", "Positive"]}, {"name": "Tumor", "colorRGB": -3670016}, "Tumor", {"names": ["Tumor"]}],
)
def test_classes_are_read_as_every_version_writes_them(tmp_path, classification):
    assert read(geojson(tmp_path, feature([SQUARE], classification))).tumour.area == 100**2


def test_a_multipolygon_has_parts_with_holes(tmp_path):
    parts = [[SQUARE, INNER], [shifted(SQUARE, 200)]]
    path = geojson(tmp_path, feature(parts, kind="MultiPolygon"))
    assert read(path).tumour.area == 2 * 100**2 - 40**2


def test_other_classes_and_objects_that_nobody_drew_are_noted(tmp_path):
    back = read(
        geojson(
            tmp_path,
            feature([SQUARE]),
            feature([INNER], "Region*", name="whole tissue"),
            feature([INNER], "Necrosis"),
            feature([INNER], None),
            feature([shifted(SQUARE, 300)], "Tumor", objectType="cell"),
            {**feature([shifted(SQUARE, 300)], "Tumor", objectType=None), "id": "PathDetectionObject"},
            {**feature([shifted(SQUARE, 100)], "Tumor", objectType=None), "id": "PathAnnotationObject"},
            feature([1, 2], kind="Point"),
        )
    )
    assert back.tumour.area == 2 * 100**2
    assert back.notes == (
        "1 × class 'Region*' is neither tumour nor excluded, left out: 'whole tissue'",
        "1 × class 'Necrosis' is neither tumour nor excluded, left out: 'feature 3'",
        "1 × no class, left out: 'feature 4'",
        "1 × object of type 'cell' that nobody drew, left out: 'feature 5'",
        "1 × object of type 'PathDetectionObject' that nobody drew, left out: 'feature 6'",
        "1 × Point encloses no area, left out: 'feature 8'",
    )


def test_a_list_of_features_and_a_single_feature_are_read(tmp_path):
    one = feature([SQUARE])
    assert read(text_file(tmp_path, json.dumps([one, one]), "a.json")).tumour.area == 100**2
    assert read(text_file(tmp_path, json.dumps(one), "a.json")).tumour.area == 100**2
    # other programs put a mark before the text, and QuPath users rename files
    assert read(text_file(tmp_path, "\ufeff" + json.dumps(one), "a.txt")).tumour.area == 100**2
    assert read(text_file(tmp_path, asap(tmp_path, ("_0", SQUARE)).read_bytes(), "b.txt")).tumour.area == 100**2


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        ({"geometry": {"type": "GeometryCollection", "geometries": []}}, "'GeometryCollection'"),
        ({"geometry": None}, "'None'"),
        ({"type": "Polygon"}, "'Polygon'"),
        ({"geometry": {"type": "Polygon", "coordinates": []}}, "list of rings"),
        ({"geometry": {"type": "Polygon", "coordinates": {"x": 1}}}, "list of rings"),
        ({"geometry": {"type": "Polygon", "coordinates": SQUARE}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], ["1", 1]]]}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1]]]}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, None]]]}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[True, False], [True, True], [False, True]]]}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, float("nan")]]]}}, "NaN"),
    ],
)
def test_what_is_no_outline_is_refused_by_name(tmp_path, broken, found):
    refused(geojson(tmp_path, {**feature([SQUARE]), **broken}), found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "not readable JSON"),
        ("{", "not readable JSON"),
        (b"\xff\xff", "not readable JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"type": "FeatureCollection"}', "features"),
        ("3", "'int'"),
        ("[1]", "'int'"),
        (json.dumps(feature([SQUARE])).replace("[100, 0]", "[1e999, 0]"), "position"),
    ],
)
def test_broken_json_is_refused(tmp_path, text, found):
    refused(text_file(tmp_path, text, "a.json"), found)


# --- unsafe and foreign files -----------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "declared",
    [
        f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>',
        '<!DOCTYPE a [<!ENTITY l9 SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
        "<!DOCTYPE ASAP_Annotations>",
    ],
    ids=["billion laughs", "external entity", "external DTD", "bare DTD"],
)
def test_document_types_and_entities_are_refused(tmp_path, declared):
    text = (
        asap(tmp_path, ("_0", SQUARE)).read_text().replace('<?xml version="1.0"?>', f'<?xml version="1.0"?>{declared}')
    )
    name = "&l9;" if "l9" in declared else "A0"
    refused(text_file(tmp_path, text.replace("A0", name)), "document type or entities", "ASAP")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "not well-formed"),
        ("<ASAP_Annotations>", "not well-formed"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "not well-formed"),
        ('<Annotations MicronsPerPixel="0.499"/>', "'Annotations'"),
    ],
)
def test_what_is_no_xml_of_asap_is_refused(tmp_path, text, found):
    refused(text_file(tmp_path, text), found)


def test_deep_xml_is_no_trouble(tmp_path):
    depth = 50_000
    text = f"<ASAP_Annotations>{'<a>' * depth}{'</a>' * depth}</ASAP_Annotations>"
    assert read(text_file(tmp_path, text)).tumour.is_empty


def test_files_that_cannot_be_read_are_refused(tmp_path, monkeypatch):
    refused(tmp_path / "none.xml", "No such file", "column 'annotation'")
    refused(tmp_path, "cannot be read")
    refused(text_file(tmp_path, "x,y", "a.csv"), "neither XML nor JSON")
    monkeypatch.setattr(annotation_module, "MAX_BYTES", 100)
    refused(asap(tmp_path, ("_0", SQUARE)), "bytes", "at most 100")


# --- geometry ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_bow_tie_keeps_both_wings_and_its_change_is_noted(tmp_path, suffix):
    path = asap(tmp_path, ("_0", BOW_TIE)) if suffix == ".xml" else geojson(tmp_path, feature([BOW_TIE], name="A0"))
    back = read(path, mpp_y=0.5, mpp_x=0.5)
    assert back.tumour.is_valid
    assert back.tumour.area == pytest.approx(50 * 0.25)
    assert back.notes == ("1 × outline that crosses or touches itself, repaired: 'A0' (0 → 12.5 µm²)",)


def test_what_a_line_goes_round_twice_is_inside(tmp_path):
    turns = np.linspace(0, 2.4 * np.pi, 200)
    spiral = [((10 + t) * np.cos(t), (10 + t) * np.sin(t)) for t in turns]
    tumour = read(asap(tmp_path, ("_0", spiral))).tumour
    assert tumour.contains(shapely.Point(0, 0))
    assert tumour.contains(shapely.Point(12, 4))
    assert shapely.get_num_interior_rings(tumour) == 0


def test_too_few_points_are_left_out_with_a_note(tmp_path):
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


def test_an_outline_across_the_border_is_clipped_and_one_outside_is_left_out(tmp_path):
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
def test_an_annotation_of_another_slide_is_refused(tmp_path, others):
    path = asap(tmp_path, ("_0", shifted(SQUARE, 300)), ("_1", shifted(SQUARE, 5000, 800)), *others)
    refused(
        path,
        "2 outline(s) of tumour",
        "x 300 to 5100, y 0 to 900",
        "within 0 to 300, 0 to 200",
        width_px=300,
        height_px=200,
    )


def test_excluded_outlines_alone_may_not_all_lie_outside_either(tmp_path):
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
