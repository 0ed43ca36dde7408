"""Polygons of images: alone, in batches and in overlapping blocks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from stardist.geometry import polygons_to_label

from saliency_stats.compartments.stardist import predict as stardist_predict
from saliency_stats.compartments.stardist.files import read_folder
from saliency_stats.compartments.stardist.nuclei import MIRRORED_PX
from saliency_stats.compartments.stardist.predict import find_polygons
from saliency_stats.errors import CompartmentError

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.name for path in (GOLDEN / "stardist").iterdir())


def labels_of(model, image):
    polygons = find_polygons(model, [image])[0]
    return polygons_to_label(polygons.distances, polygons.points, image.shape[:2], prob=polygons.probabilities)


def grid2():
    return read_folder(GOLDEN / "stardist" / "grid2_colour")


def picture(height, width, seed=0):
    image = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width, 3)), (2, 2, 0))
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
def test_blocks_give_what_the_whole_image_gives(case, monkeypatch):
    model = read_folder(GOLDEN / "stardist" / case)
    image = picture(331, 290)[..., : model.network.config.n_channel_in]
    whole = labels_of(model, image)
    assert whole.max() > 200
    monkeypatch.setattr(stardist_predict, "BLOCK_PX", 96 * 96)
    assert len(list(stardist_predict._blocks(model, 336, 296))) >= 12
    blocked = labels_of(model, image)
    # sums in another order may swap the numbers of two nuclei of one probability: the nuclei are the same
    pairs = np.unique(np.stack([blocked.ravel(), whole.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(whole)) == len(np.unique(blocked))


def test_a_batch_finds_what_each_image_finds_alone():
    model = grid2()
    images = [picture(64, 80, 1), picture(90, 64, 2), picture(64, 80, 3), picture(33, 41, 4)]
    together = find_polygons(model, images)
    for image, found in zip(images, together, strict=True):
        alone = find_polygons(model, [image])[0]
        assert len(alone.points) > 3
        np.testing.assert_array_equal(found.points, alone.points)
        np.testing.assert_allclose(found.distances, alone.distances, atol=1e-4)
        assert np.all(np.diff(found.probabilities) <= 0)


def test_no_grid_point_above_the_threshold_gives_no_polygon():
    found = find_polygons(replace(grid2(), prob_threshold=1.0), [picture(64, 64)])[0]
    assert found.points.shape == (0, 2)
    assert found.distances.shape == (0, 16)


def test_an_image_of_other_channels_is_refused():
    with pytest.raises(CompartmentError, match=r"takes images \(H, W, 3\), found the shape \(64, 64, 1\)"):
        find_polygons(grid2(), [picture(64, 64)[..., :1]])


def test_on_a_cpu_few_pixels_are_predicted_at_once(monkeypatch):
    sizes = []
    candidates = stardist_predict._candidates

    def counted(model, images):
        sizes.append(len(images))
        return candidates(model, images)

    monkeypatch.setattr(stardist_predict, "_candidates", counted)
    assert stardist_predict.BATCH_PX == 2 * (256 + 2 * MIRRORED_PX) ** 2
    assert stardist_predict.BATCH_PX_DEVICE == 32 * 256**2
    monkeypatch.setattr(stardist_predict, "BATCH_PX", 2 * 64 * 64)
    monkeypatch.setattr(stardist_predict, "BATCH_PX_DEVICE", 4 * 64 * 64)
    find_polygons(grid2(), [picture(64, 64, seed) for seed in range(5)])
    assert sizes == [2, 2, 1]
