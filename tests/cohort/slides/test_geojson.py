"""Outlines of QuPath: which classes and objects count, in every version's words, and what is no outline."""

import json

import pytest

SQUARE = [(0, 0), (100, 0), (100, 100), (0, 100)]
INNER = [(20, 20), (60, 20), (60, 60), (20, 60)]


def shifted(points, dx, dy=0):
    return [(x + dx, y + dy) for x, y in points]


# --- the classes of QuPath --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Tumor", "tumour", "METASTASIS", "Tumor: Positive"])
def test_classes_of_tumour_count_and_holes_are_holes(tmp_path, name, read, feature, geojson):
    path = geojson(tmp_path, feature([SQUARE, INNER], name), feature([shifted(SQUARE, 90)], "Ignore*"))
    assert read(path).tumour.area == 100**2 - 40**2 - 10 * 100


@pytest.mark.parametrize(
    "classification",
    [{"names": ["Tumor", "Positive"]}, {"name": "Tumor", "colorRGB": -3670016}, "Tumor", {"names": ["Tumor"]}],
)
def test_classes_are_read_as_every_version_writes_them(tmp_path, classification, read, feature, geojson):
    assert read(geojson(tmp_path, feature([SQUARE], classification))).tumour.area == 100**2


def test_a_multipolygon_has_parts_with_holes(tmp_path, read, feature, geojson):
    parts = [[SQUARE, INNER], [shifted(SQUARE, 200)]]
    path = geojson(tmp_path, feature(parts, kind="MultiPolygon"))
    assert read(path).tumour.area == 2 * 100**2 - 40**2


def test_other_classes_and_objects_that_are_no_annotations_are_noted(tmp_path, read, feature, geojson):
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
        "1 × object of type 'cell' is no annotation, left out: 'feature 5'",
        "1 × object of type 'PathDetectionObject' is no annotation, left out: 'feature 6'",
        "1 × Point encloses no area, left out: 'feature 8'",
    )


def test_a_list_of_features_and_a_single_feature_are_read(tmp_path, read, feature, text_file):
    one = feature([SQUARE])
    assert read(text_file(tmp_path, json.dumps([one, one]), "a.json")).tumour.area == 100**2
    assert read(text_file(tmp_path, json.dumps(one), "a.json")).tumour.area == 100**2
    # other programs put a mark before the text, and files are renamed
    assert read(text_file(tmp_path, "\ufeff" + json.dumps(one), "a.txt")).tumour.area == 100**2


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        ({"geometry": {"type": "GeometryCollection", "geometries": None}}, "'GeometryCollection'"),
        ({"geometry": {"type": "GeometryCollection", "geometries": [3]}}, "is of geometry None;"),
        ({"geometry": {"type": ["Polygon"]}}, "['Polygon']"),
        ({"geometry": None}, "is of geometry None;"),
        ({"type": "Polygon"}, "'Polygon'"),
        ({"geometry": {"type": "Polygon", "coordinates": []}}, "list of rings"),
        ({"geometry": {"type": "Polygon", "coordinates": {"x": 1}}}, "list of rings"),
        ({"geometry": {"type": "Polygon", "coordinates": SQUARE}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0], [1], [2]]]}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], ["1", 1]]]}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1]]]}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, None]]]}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[True, False], [True, True], [False, True]]]}}, "position"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, float("nan")]]]}}, "NaN"),
    ],
)
def test_what_is_no_outline_is_refused_by_name(tmp_path, broken, found, refused, feature, geojson):
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
        ("null", "'NoneType'"),
        ('{"type": ["Feature"]}', "['Feature']"),
        ("[[]]", "object 1 is of type 'list'"),
    ],
)
def test_broken_json_is_refused(tmp_path, text, found, refused, text_file):
    refused(text_file(tmp_path, text, "a.json"), found)


# --- who made an object -----------------------------------------------------------------------------


def made(feature, told, identity="c0ffee", outside=None):
    """A feature of tumour with its kind in the words of a version of QuPath."""
    one = {**feature, "id": identity, **(outside or {})}
    one["properties"] = {"classification": {"name": "Tumor", "colorRGB": -3670016}, "isLocked": False, **told}
    return one


@pytest.mark.parametrize(
    ("told", "identity"),
    [
        ({"objectType": "annotation"}, "6b1c"),
        ({"object_type": "annotation"}, "PathAnnotationObject"),
        ({"objectType": "PathAnnotationObject"}, "6b1c"),
        ({"objectType": None}, "PathAnnotationObject"),
        ({}, "Pathology-17"),
        ({}, 17),
    ],
)
def test_what_somebody_drew_counts_in_every_versions_words(tmp_path, read, geojson, feature, told, identity):
    back = read(geojson(tmp_path, made(feature([SQUARE]), told, identity)))
    assert (back.tumour.area, back.notes) == (100**2, ())


@pytest.mark.parametrize(
    ("told", "identity", "outside", "kind"),
    [
        ({"objectType": "detection"}, "6b1c", None, "'detection'"),
        ({"object_type": "tile"}, "PathTileObject", None, "'tile'"),
        ({"object_type": "cell"}, "6b1c", None, "'cell'"),
        ({}, "PathCellObject", None, "'PathCellObject'"),
        ({}, "TMACoreObject", None, "'TMACoreObject'"),
        ({}, "6b1c", {"objectType": "detection"}, "'detection'"),
        ({}, "6b1c", {"nucleusGeometry": {"type": "Polygon"}}, "'cell'"),
        # whoever says that a program made it is believed
        ({"objectType": "annotation"}, "PathDetectionObject", None, "'PathDetectionObject'"),
    ],
)
def test_what_a_program_made_is_no_annotation(tmp_path, read, geojson, feature, told, identity, outside, kind):
    objects = [made(feature([SQUARE]), told, identity, outside)] * 2
    back = read(geojson(tmp_path, *objects, feature([INNER])))
    assert back.tumour.area == 40**2
    assert back.notes == (f"2 × object of type {kind} is no annotation, left out: 'feature 1', 'feature 2'",)


# --- where a class stands ---------------------------------------------------------------------------


def classed(feature, classification):
    return {**feature, "properties": {"classification": classification}}


@pytest.mark.parametrize(
    "classification",
    [
        {"name": "Tumor: Positive", "colorRGB": -1},
        {"names": ["Tumor", "Positive"], "color": [1, 2, 3]},
        ["Tumor", "Positive"],
        [{"name": "Tumor"}],
        " tumor ",
        {"name": "TUMOR  :  Positive"},
    ],
)
def test_a_derived_class_is_of_its_base_class(tmp_path, read, geojson, feature, classification):
    assert read(geojson(tmp_path, classed(feature([SQUARE]), classification))).tumour.area == 100**2


@pytest.mark.parametrize("classification", [-3670016, {"colorRGB": -1}, True, [], [1], {"name": ""}, {"name": [[]]}])
def test_a_colour_is_no_class(tmp_path, read, geojson, feature, classification):
    back = read(geojson(tmp_path, classed(feature([SQUARE]), classification)))
    assert back.tumour.is_empty
    assert back.notes[0] == "1 × no class, left out: 'feature 1'"


@pytest.mark.parametrize("key", ["class", "type", "label", "name"])
def test_a_known_class_under_another_key_counts_and_is_noted(tmp_path, read, geojson, feature, key):
    back = read(geojson(tmp_path, feature([SQUARE], None, **{key: "tumor"})))
    assert back.tumour.area == 100**2
    name = "'tumor'" if key == "name" else "'feature 1'"
    assert back.notes == (f"1 × no classification, its {key} 'tumor' was taken for its class: {name}",)


def test_a_classification_comes_before_a_name(tmp_path, read, geojson, feature):
    assert read(geojson(tmp_path, feature([SQUARE], "Stroma", name="Tumor"))).tumour.is_empty
    assert read(geojson(tmp_path, feature([SQUARE], None, type="Feature"))).tumour.is_empty


# --- features within features -----------------------------------------------------------------------


@pytest.mark.parametrize("key", ["childObjects", "children", "features"])
@pytest.mark.parametrize("inside", [True, False])
def test_objects_within_an_object_count_by_themselves(tmp_path, read, geojson, feature, key, inside):
    region, child = feature([SQUARE], "Region*"), feature([INNER])
    (region["properties"] if inside else region)[key] = [child, 3, "id"]
    back = read(geojson(tmp_path, region, feature([shifted(INNER, 500)])))
    assert back.tumour.area == 2 * 40**2
    assert back.notes == ("1 × class 'Region*' is neither tumour nor excluded, left out: 'feature 1'",)


def test_collections_within_collections_are_read_in_order(tmp_path, read, text_file, feature):
    inner = {"type": "FeatureCollection", "features": [feature([SQUARE]), feature([INNER], "Stroma")]}
    document = {"type": "FeatureCollection", "features": [inner, feature([INNER], "Necrosis")]}
    back = read(text_file(tmp_path, json.dumps([document]), "a.json"))
    assert back.tumour.area == 100**2
    assert [note.rpartition(" ")[2] for note in back.notes] == ["2'", "3'"]


def test_a_collection_of_geometries_is_its_polygons(tmp_path, read, geojson, feature):
    parts = [
        {"type": "Point", "coordinates": [1, 1]},
        {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [[*SQUARE, SQUARE[0]]]}]},
        {"type": "MultiPolygon", "coordinates": [[shifted(INNER, 300)]]},
    ]
    one = {**feature([SQUARE]), "geometry": {"type": "GeometryCollection", "geometries": parts}}
    back = read(geojson(tmp_path, one))
    assert back.tumour.area == 100**2 + 40**2
    assert back.notes == ("1 × Point encloses no area, left out: 'feature 1'",)
    nothing = {**one, "geometry": {"type": "GeometryCollection", "geometries": []}}
    assert "GeometryCollection of nothing encloses no area" in read(geojson(tmp_path, nothing)).notes[0]


def test_heights_are_left_out(tmp_path, read, geojson, feature):
    assert read(geojson(tmp_path, feature([[(x, y, 7.0) for x, y in SQUARE]]))).tumour.area == 100**2


@pytest.mark.parametrize("far", [1e308, -1e300, 1.0001e9])
def test_positions_that_no_slide_has_are_refused_by_name(tmp_path, refused, geojson, feature, far):
    refused(geojson(tmp_path, feature([[*SQUARE, (far, 0)]], name="lesion")), "'lesion'", f"{far:g}", "at most 1e+09")


def test_the_farthest_position_a_slide_may_have_is_clipped(tmp_path, read, geojson, feature):
    back = read(geojson(tmp_path, feature([[(0, 0), (1e9, 0), (1e9, 50), (0, 50)]])), width_px=100, height_px=100)
    assert back.tumour.area == 100 * 50


@pytest.mark.parametrize("text", ['{"a": ' + "9" * 5000 + "}", "[" * 5000 + "]" * 5000])
def test_absurd_json_is_refused(tmp_path, refused, text_file, text):
    refused(text_file(tmp_path, text, "a.json"), "xport it again")


def test_names_of_any_kind_and_length_are_told_shortly(tmp_path, read, geojson, feature):
    deep = [[[[[[[["x"]]]]]]]]
    back = read(geojson(tmp_path, feature([SQUARE], "y" * 10_000, name=deep), feature([INNER], name="\ud800")))
    assert back.tumour.area == 40**2
    assert len(back.notes[0]) < 250
