"""StarDist in torch against the reference on TensorFlow: recorded everywhere, computed where it is installed."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from stardist.geometry import polygons_to_label

from saliency_stats.compartments.stardist.files import (
    StarDistModel,
    read_folder,
)
from saliency_stats.compartments.stardist.network import StarDistConfig, StarDistNetwork
from saliency_stats.compartments.stardist.predict import find_polygons, predict

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.name for path in (GOLDEN / "stardist").iterdir())
# TensorFlow without Keras 2 cannot write the files that StarDist publishes
TENSORFLOW = all(importlib.util.find_spec(name) for name in ("tensorflow", "tf_keras"))


def labels_of(model, image):
    polygons = find_polygons(model, [image])[0]
    return polygons_to_label(polygons.distances, polygons.points, image.shape[:2], prob=polygons.probabilities)


def assert_parity(folder):
    model, reference = read_folder(folder), np.load(folder / "reference.npz")
    prob, dist = predict(model, reference["image"])
    np.testing.assert_allclose(prob, reference["prob"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(dist, reference["dist"], atol=1e-4, rtol=0)
    assert reference["labels"].max() > 30
    np.testing.assert_array_equal(labels_of(model, reference["image"]), reference["labels"])


@pytest.mark.parametrize("case", CASES)
def test_recorded_parity_with_the_reference(case):
    assert_parity(GOLDEN / "stardist" / case)


@pytest.mark.skipif(not TENSORFLOW, reason="the reference needs tensorflow-cpu and tf_keras")
def test_parity_with_the_reference_computed_now(tmp_path):
    script = shutil.copy(GOLDEN / "stardist_reference.py", tmp_path)
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, script], check=True, env=environment, capture_output=True)
    for case in CASES:
        assert_parity(tmp_path / "stardist" / case)


def picture(height, width, seed=0):
    image = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width, 3)), (2, 2, 0))
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
def test_nothing_beyond_the_margin_reaches_a_grid_point(case):
    model = read_folder(GOLDEN / "stardist" / case)
    config = model.network.config
    (my, mx), (gy, gx), (dy, dx) = config.margin, config.grid, config.divisor
    side = 2 * max(my, mx) // max(dy, dx) * max(dy, dx) + 4 * max(dy, dx)
    image = picture(side, side)[..., : config.n_channel_in]
    changed = image.copy()
    middle = side // 2 // dy * dy
    changed[middle + my + gy :] += 1
    changed[:, middle + mx + gx :] += 1
    before, after = predict(model, image), predict(model, changed)
    # convolutions may be summed in another order
    assert np.abs(before.dist - after.dist)[: middle // gy, : middle // gx].max() < 1e-4
    assert np.abs(before.dist - after.dist).max() > 0.01


def test_a_whole_keras_model_file_is_read_as_well(tmp_path):
    folder = Path(shutil.copytree(GOLDEN / "stardist" / "grid2_colour", tmp_path / "model"))
    with h5py.File(folder / "weights_best.h5") as source, h5py.File(folder / "whole.h5", "w") as whole:
        group = whole.create_group("model_weights")
        for key in source:
            source.copy(key, group)
        group.attrs.update(source.attrs)
    (folder / "whole.h5").replace(folder / "weights_best.h5")
    assert_parity(folder)


@pytest.mark.parametrize(
    "config",
    [
        StarDistConfig(grid=(1, 2), unet_n_depth=1, unet_n_filter_base=4, net_conv_after_unet=0),
        StarDistConfig(grid=(4, 4), unet_n_depth=2, unet_n_conv_per_depth=1, unet_n_filter_base=4, n_channel_in=2),
        StarDistConfig(unet_n_depth=2, unet_pool=(4, 2), unet_expansion=1.5, unet_n_filter_base=6, n_rays=8),
    ],
)
def test_any_configuration_gives_predictions_of_its_size(config):
    torch.manual_seed(0)
    model = StarDistModel("made", StarDistNetwork(config).eval(), 0.5, 0.4)
    prob, dist = predict(model, picture(70, 53)[..., :1].repeat(config.n_channel_in, axis=2))
    size = tuple(-(-n // g) for n, g in zip((70, 53), config.grid, strict=True))
    assert prob.shape == size
    assert dist.shape == (*size, config.n_rays)
