"""StarDist models on disk: both formats, and every way in which a file can be wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from saliency_stats.compartments import nucleus_finder
from saliency_stats.compartments.stardist.files import read_folder, read_safetensors, write_safetensors
from saliency_stats.compartments.stardist.predict import predict
from saliency_stats.errors import CompartmentError

GOLDEN = Path(__file__).parents[1] / "golden"


def grid2():
    return read_folder(GOLDEN / "stardist" / "grid2_colour")


def picture(height, width, seed=0):
    image = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width, 3)), (2, 2, 0))
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


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
