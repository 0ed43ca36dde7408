"""StarDist models on disk: both formats, and every way in which a file can be wrong."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
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


def about(**changes):
    """Header of a model with changes."""
    model = grid2()
    return {"config": asdict(model.network.config), "prob": 0.5, "nms": 0.3} | changes


def refused(path):
    with pytest.raises(CompartmentError) as caught:
        read_safetensors(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1_500
    return str(caught.value)


def written(tmp_path, header=None, **changes):
    """A model's file with other tensors (None: left out) or another header."""
    state = {key: value.contiguous() for key, value in grid2().network.state_dict().items()} | changes
    path = tmp_path / "m.safetensors"
    metadata = {"stardist": json.dumps(about()) if header is None else header}
    save_file({key: value for key, value in state.items() if value is not None}, path, metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04", "but a zip archive: unpack it and give the folder that holds config.json"),
        (b"PK\x03\x04", "A TorchScript file is named as torchscript:PATH."),
        (b"\x89HDF\r\n\x1a\n", "but the weights of one: give the folder that holds config.json"),
        (b"\xff" * 8 + b"{}", "nor a safetensors file"),
        (b"", "is not a StarDist model of this package"),
        (b"\x02" + bytes(7) + b"{}", "is not a StarDist model of this package"),
    ],
)
def test_what_else_the_file_is_is_said(tmp_path, start, what):
    (tmp_path / "m").write_bytes(start)
    assert what in refused(tmp_path / "m")


@pytest.mark.parametrize(
    "header",
    ["", "[]", "3", "{", "[" * 100_000, '{"config": {}}', '{"config": 3, "prob": 0.5, "nms": 0.3}', "9" * 5_000],
)
def test_a_header_that_is_none(tmp_path, header):
    assert "is not a StarDist model of this package" in refused(written(tmp_path, header))


def test_a_file_without_a_header(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "m.safetensors")
    assert "is not a StarDist model of this package" in refused(tmp_path / "m.safetensors")


def test_an_absurd_configuration_is_refused_by_its_key_before_a_network_is_made(tmp_path):
    config = about()["config"]
    for changes, message in (
        ({"n_rays": 10**9}, "n_rays must be a whole number from 3 to 512, found 1000000000"),
        ({"unet_n_depth": 50}, "unet_n_depth must be"),
        ({"unet_n_depth": 8, "unet_pool": [1, 1], "unet_n_filter_base": 32}, "make a network of"),
    ):
        header = json.dumps(about(config=config | changes))
        assert message in refused(written(tmp_path, header))
    assert "expected at most 100,000,000" in refused(written(tmp_path, header))
    assert "prob above 0 and below 1" in refused(written(tmp_path, json.dumps(about(prob=2))))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prob.weight": None}, "no tensor prob.weight"),
        ({"spare": torch.zeros(1)}, "an unknown tensor spare"),
        ({"prob.bias": torch.zeros(2)}, "prob.bias has the shape (2,), expected (1,)"),
        ({"prob.bias": torch.zeros(1, dtype=torch.int32)}, "prob.bias is of the type I32, expected floating-point"),
        ({"prob.bias": torch.tensor([torch.nan])}, "hold numbers that are not finite"),
        ({"prob.bias": torch.tensor([1e300], dtype=torch.float64)}, "hold numbers that are not finite"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, changes, message):
    found = refused(written(tmp_path, **changes))
    assert message in found
    assert next(iter(changes)) in found


def test_other_precisions_are_read(tmp_path):
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        path = written(tmp_path, **{"prob.bias": torch.ones(1, dtype=kind)})
        assert read_safetensors(path).network.prob.bias.tolist() == [1.0]


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
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


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
        ("config.json", b"", "config.json cannot be read as JSON"),
        ("config.json", b"\xff\xfe", "config.json cannot be read as JSON"),
        ("config.json", b'{"a": ' + b"[" * 100_000, "config.json cannot be read as JSON"),
        ("config.json", b'{"n_rays": ' + b"9" * 5_000 + b"}", "config.json cannot be read as JSON"),
        ("config.json", b'{"n_rays": 32, "n_rays": 64}', "a key stands twice"),
        ("config.json", b" " * (10 * 2**20 + 1), "more than 10,485,760 bytes"),
        ("config.json", b"{}", "config.json: no n_rays, n_channel_in, grid"),
        ("thresholds.json", b'{"prob": 0.5}', "expected two numbers, prob and nms"),
        ("thresholds.json", b'{"prob": "0.5", "nms": 0.3}', "expected two numbers, prob and nms"),
        ("thresholds.json", b'{"prob": true, "nms": 0.3}', "expected two numbers, prob and nms"),
        ("thresholds.json", b'{"prob": 0, "nms": 0.3}', "prob above 0 and below 1"),
        ("thresholds.json", b'{"prob": 1, "nms": 0.3}', "prob above 0 and below 1"),
        ("thresholds.json", b'{"prob": NaN, "nms": 0.3}', "prob above 0 and below 1"),
        ("thresholds.json", b'{"prob": 0.5, "nms": 1.01}', "nms from 0 to 1"),
        ("thresholds.json", b'{"prob": 0.5, "nms": -0.01}', "nms from 0 to 1"),
        ("thresholds.json", b'{"prob": 0.5, "nms": Infinity}', "nms from 0 to 1"),
        ("thresholds.json", b"{}", "expected two numbers, prob and nms"),
        ("weights_best.h5", b"nonsense", "cannot be read as Keras weights"),
    ],
)
def test_a_broken_file_is_named(tmp_path, file, content, message):
    folder = copy_of(tmp_path)
    (folder / file).write_bytes(content)
    with pytest.raises(CompartmentError, match=message):
        read_folder(folder)
