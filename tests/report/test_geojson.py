"""Nuclei as QuPath's objects: filled again, the outlines are the nuclei to the pixel."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import polygon2mask
from skimage.measure import label

from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.compartments import Segmentation, concentrations, estimate_stains, from_codes, nuclei_table, segment
from saliency_stats.errors import ReportError
from saliency_stats.report.geojson import cell_instances, feature_collection, outline
from saliency_stats.vocabulary import COMPARTMENT_CODES

NUCLEUS, CYTOPLASM, STROMA = (COMPARTMENT_CODES[name] for name in ("nucleus", "cytoplasm", "stroma"))


def rings(geometry):
    parts = {"Polygon": [geometry["coordinates"]], "MultiPolygon": geometry["coordinates"]}[geometry["type"]]
    return [ring for part in parts for ring in part]


def filled(geometry, shape):
    """Even-odd filling; the centre of pixel (0, 0) lies at (0.5, 0.5)."""
    mask = np.zeros(shape, dtype=bool)
    for ring in rings(geometry):
        mask ^= polygon2mask(shape, np.array(ring)[:, ::-1] - 0.5)
    return mask


def area(ring):
    x, y = np.array(ring, dtype=float).T
    return (x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2


def segmentation(instances, cytoplasm=None):
    instances = np.asarray(instances, dtype=np.int32)
    codes = np.where(instances > 0, NUCLEUS, STROMA)
    if cytoplasm is not None:
        codes[cytoplasm & (instances == 0)] = CYTOPLASM
    return Segmentation(instances, from_codes(codes))


def objects(found):
    numbers = np.unique(found.instances[found.instances > 0])
    return feature_collection(found, pd.DataFrame({"nucleus_id": numbers, "area_um2": 1.5 * numbers}))["features"]


# --- outlines ---------------------------------------------------------------------------------------


def test_one_pixel():
    assert outline(np.ones((1, 1), bool)) == {
        "type": "Polygon",
        "coordinates": [[[1, 0], [1, 1], [0, 1], [0, 0], [1, 0]]],
    }


def test_the_coordinates_are_those_of_the_image():
    geometry = outline(np.ones((2, 3), bool), (slice(10, 12), slice(20, 23)))
    assert {tuple(point) for point in rings(geometry)[0]} == {(20, 10), (23, 10), (23, 12), (20, 12)}


def test_a_hole_is_a_ring_of_the_other_direction():
    mask = np.ones((5, 5), bool)
    mask[1:3, 1:4] = False
    outer, hole = outline(mask)["coordinates"]
    assert area(outer) == 25
    assert area(hole) == -6


def test_pixels_that_meet_at_a_corner_are_two_parts():
    geometry = outline(np.eye(2, dtype=bool))
    assert geometry["type"] == "MultiPolygon"
    assert [[area(ring) for ring in part] for part in geometry["coordinates"]] == [[1], [1]]


def test_a_hole_that_meets_the_outside_at_a_corner_stays_a_hole():
    mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=bool)
    geometry = outline(mask)
    assert geometry["type"] == "Polygon"
    assert [area(ring) for ring in geometry["coordinates"]] == [8, -1]


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any))
def test_an_outline_is_valid_and_exact(mask):
    geometry = outline(mask)
    np.testing.assert_array_equal(filled(geometry, mask.shape), mask)
    assert sum(map(area, rings(geometry))) == mask.sum()
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    assert len(parts) == label(mask, connectivity=1).max()
    for part in parts:
        assert area(part[0]) > 0
        assert all(area(hole) < 0 for hole in part[1:])
    for ring in rings(geometry):
        assert ring[0] == ring[-1]
        # no ring touches itself, which QuPath's geometry library would call invalid, and no point lies on a side
        assert len({tuple(point) for point in ring}) == len(ring) - 1
        steps = np.sign(np.diff([*ring, ring[1]], axis=0))
        assert (np.abs(steps).sum(axis=1) == 1).all()
        assert (steps[1:] != steps[:-1]).any(axis=1).all()


# --- objects ----------------------------------------------------------------------------------------


def test_touching_nuclei_a_hole_and_the_border_come_back_to_the_pixel():
    instances = np.zeros((21, 33), dtype=np.int32)
    instances[0:6, 0:5] = 3  # at the corner of the image
    instances[6:12, 0:9] = 7  # touches it
    instances[14:21, 20:33] = 8  # at the other corner
    instances[2:10, 15:25] = 20
    instances[4:7, 18:20] = 0  # a hole
    back = np.zeros_like(instances)
    for feature in objects(segmentation(instances)):
        geometry = feature["nucleusGeometry"]
        number = int(feature["properties"]["measurements"]["nucleus_id"])
        assert sum(map(area, rings(geometry))) == np.count_nonzero(instances == number)
        assert geometry == feature["geometry"]  # no cytoplasm: the cell is its nucleus
        back[filled(geometry, instances.shape)] = number
    np.testing.assert_array_equal(back, instances)


def test_cytoplasm_belongs_to_the_cell_of_the_nearest_nucleus():
    instances = np.zeros((9, 24), dtype=np.int32)
    instances[3:6, 3:6], instances[3:6, 18:21] = 1, 2
    around = np.zeros(instances.shape, dtype=bool)
    around[1:8, 1:23] = True
    found = segmentation(instances, around)
    cells = cell_instances(found)
    np.testing.assert_array_equal(cells > 0, around)
    assert (cells[:, :12][around[:, :12]] == 1).all()
    assert (cells[:, 12:][around[:, 12:]] == 2).all()
    for number, feature in enumerate(objects(found), start=1):
        np.testing.assert_array_equal(filled(feature["geometry"], instances.shape), cells == number)
        np.testing.assert_array_equal(filled(feature["nucleusGeometry"], instances.shape), instances == number)


def test_the_layout_is_the_one_that_qupath_reads():
    """As its classes PathObjectTypeAdapter and ROITypeAdapter look for it."""
    (feature,) = objects(segmentation([[0, 0], [0, 5]]))
    assert feature["type"] == "Feature"
    assert set(feature) == {"type", "geometry", "nucleusGeometry", "properties"}
    assert feature["properties"]["objectType"] == "cell"
    name, colour = feature["properties"]["classification"].values()
    assert name == "Nucleus"
    assert len(colour) == 3
    assert all(isinstance(part, int) and 0 <= part <= 255 for part in colour)
    assert feature["properties"]["measurements"] == {"nucleus_id": 5, "area_um2": 7.5}


def test_a_missing_measurement_is_left_out_and_text_is_none():
    table = pd.DataFrame({"nucleus_id": [1], "probability": [np.nan], "image": ["a.png"], "area_um2": [2.0]})
    (feature,) = feature_collection(segmentation([[1]]), table)["features"]
    assert feature["properties"]["measurements"] == {"nucleus_id": 1, "area_um2": 2.0}


def test_no_nuclei_no_features():
    found = segmentation(np.zeros((5, 7)))
    empty = nuclei_table(found, np.zeros((2, 5, 7)), 0.5)
    assert feature_collection(found, empty) == {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize("numbers", [[1], [1, 3], [1, 2, 3]])
def test_a_table_of_another_image_is_refused(numbers):
    with pytest.raises(ReportError, match="one row for each nucleus"):
        feature_collection(segmentation([[1, 2]]), pd.DataFrame({"nucleus_id": numbers}))


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_what_was_segmented_comes_back(mpp):
    image = Phantom(size_px=96, mpp=mpp).render(np.random.default_rng(1), "benign").image
    stains = estimate_stains([image])
    found = segment(image, mpp, stains=stains)
    table = nuclei_table(found, concentrations(image, stains), mpp)
    collection = json.loads(json.dumps(feature_collection(found, table), allow_nan=False))
    assert len(collection["features"]) == len(table) > 5
    back = np.zeros_like(found.instances)
    for feature in collection["features"]:
        nucleus, cell = (filled(feature[name], back.shape) for name in ("nucleusGeometry", "geometry"))
        assert cell[nucleus].all()
        back[nucleus] = feature["properties"]["measurements"]["nucleus_id"]
    np.testing.assert_array_equal(back, found.instances)


def test_a_cell_may_lie_in_parts_where_a_network_says_what_is_cytoplasm():
    instances = np.zeros((5, 12), dtype=np.int32)
    instances[1:4, 1:4] = 1
    members = np.zeros((4, 5, 12), np.float32)
    members[0] = instances > 0
    members[1:, members[0] == 0] = np.array([0.3, 0.45, 0.25])[:, None]
    members[1:, 1:4, 7:10] = np.array([0.4, 0.35, 0.25])[:, None, None]
    (feature,) = objects(Segmentation(instances, members))
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert sum(map(area, rings(feature["geometry"]))) == 9 + 9
    assert feature["nucleusGeometry"]["type"] == "Polygon"
