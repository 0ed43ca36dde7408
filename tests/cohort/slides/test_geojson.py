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
        ({"geometry": {"type": "GeometryCollection", "geometries": [3]}}, "'None'"),
        ({"geometry": {"type": ["Polygon"]}}, "['Polygon']"),
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
    ],
)
def test_broken_json_is_refused(tmp_path, text, found, refused, text_file):
    refused(text_file(tmp_path, text, "a.json"), found)
