"""A patch as objects of QuPath: where they lie, and how dense the saliency is in each."""

import numpy as np
import pandas as pd
import pytest
import shapely

from saliency_stats.compartments import Segmentation
from saliency_stats.report.qupath import Placement, patch_features, saliency_densities
from saliency_stats.vocabulary import COMPARTMENTS


@pytest.fixture
def patch():
    """Two nuclei of four pixels in a patch of 8 × 10, cytoplasm round the first, and a map."""
    instances = np.zeros((8, 10), np.int32)
    instances[2:4, 2:4], instances[5:7, 7:9] = 1, 2
    cytoplasm = np.zeros((8, 10), bool)
    cytoplasm[1:5, 1:5] = instances[1:5, 1:5] == 0
    codes = np.where(instances > 0, 0, np.where(cytoplasm, 1, 2))
    memberships = (codes == np.arange(len(COMPARTMENTS))[:, None, None]).astype(np.float32)
    saliency = np.full((8, 10), 0.5)
    saliency[instances == 1] = 4.0
    saliency[cytoplasm] = 1.0
    nuclei = pd.DataFrame({"nucleus_id": [1, 2], "y_um": 1.0, "x_um": 2.0, "area_um2": [4.0, np.nan]})
    return Segmentation(instances, memberships), nuclei, saliency


def test_densities_are_relative_to_the_patch(patch):
    segmentation, _, saliency = patch
    found = saliency_densities(segmentation, saliency)
    mean = saliency.mean()
    np.testing.assert_allclose(found["saliency_density_nucleus"], np.array([4.0, 0.5]) / mean)
    np.testing.assert_allclose(found["saliency_density_cell"], np.array([(16 + 12) / 16, 0.5]) / mean)
    assert found["nucleus_id"].tolist() == [1, 2]
    assert saliency_densities(segmentation, np.zeros((8, 10)))["saliency_density_cell"].isna().all()


def test_a_tile_and_its_cells_are_placed_and_measured(patch):
    placement = Placement((100.0, 50.0), (2.0, 4.0))
    tile, first, second = patch_features(
        *patch, placement, patch_id="p", label="tumor", measured={"delta_log2": 0.5, "density_ratio_stroma": np.nan}
    )
    assert shapely.geometry.shape(tile["geometry"]).equals(shapely.box(100, 50, 120, 82))
    assert tile["properties"] == {
        "objectType": "tile",
        "name": "p",
        "classification": {"name": "tumor"},
        "measurements": {"delta_log2": 0.5},
    }
    assert shapely.geometry.shape(first["geometry"]).equals(shapely.box(102, 54, 110, 70))
    assert shapely.geometry.shape(first["nucleusGeometry"]).equals(shapely.box(104, 58, 108, 66))
    assert first["properties"]["objectType"] == "cell"
    assert first["properties"]["measurements"] == {
        "nucleus_id": 1.0,
        "area_um2": 4.0,
        "saliency_density_nucleus": pytest.approx(4 / patch[2].mean()),
        "saliency_density_cell": pytest.approx(1.75 / patch[2].mean()),
    }
    assert set(second["properties"]["measurements"]) == {
        "nucleus_id",
        "saliency_density_nucleus",
        "saliency_density_cell",
    }


def test_a_patch_without_nuclei_is_a_tile_alone(patch):
    segmentation, nuclei, saliency = patch
    none = Segmentation(np.zeros_like(segmentation.instances), segmentation.memberships)
    named = {"patch_id": "p", "label": "benign", "measured": {}}
    (tile,) = patch_features(none, nuclei.iloc[:0], saliency, Placement(), **named)
    assert shapely.geometry.shape(tile["geometry"]).equals(shapely.box(0, 0, 10, 8))


def test_coordinates_are_rounded_to_hundredths():
    square = dict(shapely.geometry.mapping(shapely.box(0, 0, 1, 1)))
    found = shapely.geometry.shape(Placement((0.0, 1 / 3), (1.0, 2 / 3)).placed(square))
    assert found.bounds == (0.0, 0.33, 1.0, 1.0)
