"""StarDist in torch against the reference on TensorFlow: recorded everywhere, computed where it is installed."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from stardist.geometry import polygons_to_label

from saliency_stats.compartments import nucleus_finder
from saliency_stats.compartments.stardist import predict as stardist_predict
from saliency_stats.compartments.stardist.files import (
    StarDistModel,
    read_folder,
    read_safetensors,
    write_safetensors,
)
from saliency_stats.compartments.stardist.network import StarDistConfig, StarDistNetwork
from saliency_stats.compartments.stardist.predict import find_polygons, predict
from saliency_stats.errors import CompartmentError

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


def test_what_is_written_is_read_again(tmp_path):
    model = grid2()
    write_safetensors(model, tmp_path / "model.safetensors")
    again = read_safetensors(tmp_path / "model.safetensors")
    assert again.network.config == model.network.config
    assert (again.prob_threshold, again.nms_threshold) == (model.prob_threshold, model.nms_threshold)
    assert nucleus_finder(str(tmp_path / "model.safetensors")).model.name.endswith("model.safetensors")
    image = picture(64, 64)
    # weights are kept in half precision
    np.testing.assert_allclose(predict(again, image).prob, predict(model, image).prob, atol=5e-3)


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CompartmentError, match=r"x\.safetensors is not a StarDist model"):
        read_safetensors(tmp_path / "x.safetensors")


def copy_of(tmp_path, case="grid2_colour"):
    return Path(shutil.copytree(GOLDEN / "stardist" / case, tmp_path / "model"))


@pytest.mark.parametrize("missing", ["config.json", "thresholds.json", "weights_best.h5"])
def test_a_missing_file_is_named(tmp_path, missing):
    folder = copy_of(tmp_path)
    (folder / missing).unlink()
    with pytest.raises(CompartmentError, match=f"{missing} missing"):
        read_folder(folder)


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_dim": 3}, "n_dim is 3, expected 2"),
        ({"backbone": "resnet"}, "backbone is 'resnet'"),
        ({"n_rays": 32}, r"dist has weights of the shape \(16, 16, 1, 1\), expected \(32, 16, 1, 1\)"),
        ({"unet_n_depth": 3}, "no layer down_level_2_no_0"),
        ({"unet_batch_norm": True}, "lacks a batch normalisation"),
        ({"grid": [3, 3]}, "powers of 2"),
        ({"grid": [4, 4]}, "no layer before the U-Net"),
        ({"unet_activation": "swish"}, "swish"),
        ({"unet_kernel_size": [4, 4]}, "odd"),
    ],
)
def test_weights_that_do_not_fit_the_configuration_are_refused(tmp_path, changes, message):
    folder = copy_of(tmp_path)
    change_config(folder, **changes)
    with pytest.raises(CompartmentError, match=message):
        read_folder(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", b"{", "config.json cannot be read as JSON"),
        ("config.json", b"[]", "expected an object"),
        ("thresholds.json", b"{}", "expected two numbers, prob and nms"),
        ("weights_best.h5", b"nonsense", "cannot be read as Keras weights"),
    ],
)
def test_a_broken_file_is_named(tmp_path, file, content, message):
    folder = copy_of(tmp_path)
    (folder / file).write_bytes(content)
    with pytest.raises(CompartmentError, match=message):
        read_folder(folder)


def test_a_whole_keras_model_file_is_read_as_well(tmp_path):
    folder = copy_of(tmp_path)
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
