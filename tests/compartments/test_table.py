"""The table of nuclei: it adds up to the compartments, and holds what is known of each nucleus."""

import numpy as np
import pytest

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import Segmentation, concentrations, estimate_stains, from_truth, nuclei_table, segment
from saliency_stats.errors import CompartmentError

NUCLEUS, CYTOPLASM = 0, 1


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_the_table_adds_up_to_the_compartments(mpp):
    patch = Phantom("nucleus").render(np.random.default_rng(6), "malignant")
    stains = estimate_stains([patch.image])
    found = segment(patch.image, mpp, stains=stains)
    table = nuclei_table(found, concentrations(patch.image, stains), mpp)
    np.testing.assert_array_equal(table["nucleus_id"], np.unique(found.instances)[1:])
    for column, k in (("area_um2", NUCLEUS), ("cytoplasm_area_um2", CYTOPLASM)):
        assert table[column].sum() == pytest.approx(found.memberships[k].sum(dtype=float) * mpp**2, rel=1e-6)
    assert table["probability"].between(0.3, 1).all()
    assert (table["haematoxylin_od"] > table["eosin_od"]).mean() > 0.9


def test_the_table_of_one_square_nucleus():
    codes = np.full((40, 40), 3, np.uint8)
    codes[10:14, 20:26] = 1
    codes[14:16, 20:26] = 2
    instances = (codes == 1).astype(np.int32) * 5
    stained = np.stack([np.where(codes == 1, 0.8, 0.0), np.full((40, 40), 0.3)])
    row = nuclei_table(from_truth(codes, instances), stained, 0.5).iloc[0]
    assert row["nucleus_id"] == 5
    assert (row["y_um"], row["x_um"]) == (12 * 0.5, 23 * 0.5)
    assert row["area_um2"] == 24 * 0.25
    assert row["cytoplasm_area_um2"] == 12 * 0.25
    assert row["haematoxylin_od"] == pytest.approx(0.8)
    assert row["eosin_od"] == pytest.approx(0.3)
    # a side of length n has the variance n^2 / 12; an axis is four of its standard deviations
    assert row["major_axis_um"] == pytest.approx(0.5 * 4 * np.sqrt(36 / 12))
    assert row["minor_axis_um"] == pytest.approx(0.5 * 4 * np.sqrt(16 / 12))
    assert row["eccentricity"] == pytest.approx(np.sqrt(1 - 16 / 36))
    assert np.isnan(row["probability"])


def test_the_table_takes_probabilities_by_the_number_of_the_nucleus():
    instances = np.zeros((40, 40), np.int32)
    instances[2:6, 2:6], instances[20:24, 20:24] = 1, 3
    memberships = from_truth(np.where(instances > 0, 1, 0).astype(np.uint8), instances).memberships
    found = Segmentation(instances, memberships, np.array([0.9, 0.8, 0.7]))
    assert nuclei_table(found, np.zeros((2, 40, 40)), 0.5)["probability"].tolist() == [0.9, 0.7]


def test_the_table_without_nuclei():
    empty = from_truth(np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.int32))
    full = nuclei_table(empty, np.zeros((2, 40, 40)), 0.5)
    assert len(full) == 0
    assert list(full) == [
        "nucleus_id",
        "y_um",
        "x_um",
        "area_um2",
        "probability",
        "haematoxylin_od",
        "eosin_od",
        "cytoplasm_area_um2",
        "major_axis_um",
        "minor_axis_um",
        "eccentricity",
    ]
    with pytest.raises(CompartmentError, match="expected"):
        nuclei_table(empty, np.zeros((2, 20, 20)), 0.5)


def test_the_table_weighs_cytoplasm_by_its_probability():
    instances = np.zeros((40, 40), np.int32)
    instances[10:14, 5:9], instances[10:14, 30:34] = 1, 2
    memberships = np.zeros((4, 40, 40), np.float32)
    memberships[NUCLEUS] = instances > 0
    memberships[CYTOPLASM, 14:16, 5:9], memberships[CYTOPLASM, 14:16, 30:34] = 0.5, 0.25
    memberships[2] = 1 - memberships.sum(axis=0)
    table = nuclei_table(Segmentation(instances, memberships), np.zeros((2, 40, 40)), 0.5)
    assert table["cytoplasm_area_um2"].tolist() == [8 * 0.25 * 0.5, 8 * 0.25 * 0.25]
    assert table["area_um2"].tolist() == [4.0, 4.0]
