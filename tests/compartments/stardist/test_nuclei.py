"""Nuclei by StarDist at any µm per pixel: what the network is shown, and where its polygons are drawn."""

from pathlib import Path

import numpy as np
import pytest

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import CompartmentParameters, estimate_stains, segment, view_of
from saliency_stats.compartments.stain import LEAST_CONTRAST
from saliency_stats.compartments.stardist import nuclei as stardist_nuclei
from saliency_stats.compartments.stardist.files import read_folder
from saliency_stats.compartments.stardist.nuclei import MIRRORED_PX, StarDistNuclei, _haematoxylin, _whole, normalised
from saliency_stats.compartments.stardist.predict import Polygons
from saliency_stats.compartments.view import Found

GOLDEN = Path(__file__).parents[1] / "golden" / "stardist"
PARAMETERS = CompartmentParameters(nuclei="classical", segmentation_mpp=0.5)


def view(side_um=64.0, mpp=0.5, case="grid2_colour"):
    image = Phantom(size_px=round(side_um / mpp), mpp=mpp).render(np.random.default_rng(0), "benign").image
    return view_of(image, mpp, PARAMETERS, estimate_stains([image])), read_folder(GOLDEN / case)


@pytest.mark.parametrize("mpp", [0.25, 0.4, 0.5, 0.52, 1.0])
def test_a_circle_is_drawn_where_the_network_saw_it(mpp, monkeypatch):
    seen, model = view(mpp=mpp)
    shown = []

    def one_circle(_, images):
        shown.append(images[0].shape)
        px = 64.0 / (images[0].shape[0] - 2 * MIRRORED_PX)
        # centre at (20, 40) µm: the centre of pixel i lies at (i + 1/2) pixel sizes
        centre = np.array([[20 / px - 0.5, 40 / px - 0.5]]) + MIRRORED_PX
        return [Polygons(centre, np.full((1, 32), 4 / px, np.float32), np.array([0.9], np.float32))]

    monkeypatch.setattr(stardist_nuclei, "find_polygons", one_circle)
    found = StarDistNuclei(model)([seen])[0]
    assert abs(64.0 / (shown[0][0] - 2 * MIRRORED_PX) - 0.5) <= 0.05 * 0.5
    y, x = np.nonzero(found.instances)
    assert (y.mean() + 0.5) * seen.mpp == pytest.approx(20, abs=0.15)
    assert (x.mean() + 0.5) * seen.mpp == pytest.approx(40, abs=0.15)
    assert len(y) * seen.mpp**2 == pytest.approx(np.pi * 16, rel=0.06)
    assert found.probabilities == pytest.approx([0.9])


def test_views_of_several_sizes_keep_their_order(monkeypatch):
    small, model = view(32.0)
    large, _ = view(64.0)
    sizes = []

    def none(_, images):
        sizes.extend(image.shape[0] for image in images)
        return [Polygons(np.zeros((0, 2)), np.zeros((0, 16), np.float32), np.zeros(0, np.float32)) for _ in images]

    monkeypatch.setattr(stardist_nuclei, "find_polygons", none)
    found = StarDistNuclei(model)([large, small, large])
    assert [one.instances.shape[0] for one in found] == [128, 64, 128]
    assert sizes == [side + 2 * MIRRORED_PX for side in (128, 64, 128)]


def test_nuclei_are_whole_and_numbered_without_gaps():
    labels = np.zeros((60, 60), np.int32)
    labels[10:20, 5:40] = 2  # lies over 1, of which a large and a small piece are left
    labels[4:10, 10:30], labels[20:23, 10:20] = 1, 1
    labels[50:52, 50:52] = 3  # a sliver
    labels[30:36, 30:36], labels[36:40, 36:40] = 5, 5  # joined at a corner; 4 is hidden
    found = _whole(labels, np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32), 0.5)
    expected = np.zeros_like(labels)
    expected[4:10, 10:30], expected[10:20, 5:40] = 1, 2
    expected[30:36, 30:36], expected[36:40, 36:40] = 3, 3
    np.testing.assert_array_equal(found.instances, expected)
    assert found.probabilities == pytest.approx([0.9, 0.8, 0.5])


def test_a_nucleus_holds_haematoxylin():
    seen, _ = view()
    instances = np.zeros(seen.image.shape[:2], np.int32)
    instances[10:20, 10:20], instances[40:50, 40:50], instances[70:80, 70:80] = 1, 2, 3
    blue, pink = seen.stains.maxima
    stained = np.zeros_like(seen.stained)
    stained[:, instances == 1] = [[0.1 * blue], [0.8 * pink]]  # a bundle of collagen
    stained[:, instances == 2] = [[0.3 * blue], [0.8 * pink]]
    stained[:, instances == 3] = [[0.1 * blue], [0.1 * pink]]  # pale, but blue
    kept = _haematoxylin(Found(instances, np.array([0.9, 0.8, 0.7])), seen._replace(stained=stained))
    np.testing.assert_array_equal(kept.instances, np.maximum(instances - 1, 0))
    np.testing.assert_array_equal(kept.probabilities, [0.8, 0.7])
    none = _haematoxylin(
        Found(np.minimum(instances, 1) * (instances < 2), np.array([0.9])), seen._replace(stained=stained)
    )
    assert none.instances.max() == 0
    assert none.probabilities.size == 0


def test_intensities_are_normalised_by_the_slide():
    image = np.array([[10, 110, 210]], dtype=np.uint8)
    assert normalised(image, (10.0, 210.0)).tolist() == [[0.0, 0.5, 1.0]]


def test_an_empty_patch_is_not_stretched():
    glass = np.random.default_rng(0).normal(243, 2, (64, 64, 3)).round().astype(np.uint8)
    low, high = estimate_stains([glass]).levels
    assert high - low == pytest.approx(LEAST_CONTRAST)


def test_a_model_of_one_channel_is_shown_haematoxylin(monkeypatch):
    seen, model = view(case="grid1_grey")
    shown = []

    def keep(_, images):
        shown.extend(images)
        return [Polygons(np.zeros((0, 2)), np.zeros((0, 16), np.float32), np.zeros(0, np.float32)) for _ in images]

    monkeypatch.setattr(stardist_nuclei, "find_polygons", keep)
    StarDistNuclei(model)([seen])
    inner = shown[0][MIRRORED_PX:-MIRRORED_PX, MIRRORED_PX:-MIRRORED_PX]
    assert inner.shape == (128, 128, 1)
    np.testing.assert_allclose(inner[..., 0], seen.stained[0] / seen.stains.maxima[0], rtol=1e-5)


def test_a_folder_is_a_finder():
    image = Phantom(size_px=96).render(np.random.default_rng(0), "benign").image
    found = segment(image, 0.5, parameters=CompartmentParameters(nuclei=str(GOLDEN / "grid2_colour")))
    assert found.instances.max() > 3
    assert len(found.probabilities) >= found.instances.max()
    np.testing.assert_allclose(found.memberships.sum(axis=0), 1.0, rtol=1e-6)
