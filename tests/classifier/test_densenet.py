"""Weights: from torchvision's cache, from files, never by running code in them."""

import pickle
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from saliency_stats.classifier import densenet
from saliency_stats.classifier.densenet import PatchClassifier, build, imagenet_file, initialise, save_weights
from saliency_stats.errors import ClassifierError, StudyError


@pytest.fixture(scope="module")
def published():
    """Weights of 1,000 classes with today's keys."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return models.densenet121(weights=None).state_dict()


def old_keys(state):
    """Name tensors as the published files do: "norm.1" where today's module is "norm1"."""
    renamed = {}
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        head, dot, tail = key.rpartition("denselayer")
        number, _, rest = tail.partition(".")
        for name in ("norm", "relu", "conv"):
            rest = rest.replace(f"{name}1.", f"{name}.1.").replace(f"{name}2.", f"{name}.2.")
        renamed[f"{head}{dot}{number}.{rest}" if dot else key] = value
    return renamed


def agrees(model: PatchClassifier, state) -> bool:
    own = model.backbone.state_dict()
    return all(
        torch.equal(own[key], value)
        for key, value in state.items()
        if not key.startswith("classifier") and not key.endswith("num_batches_tracked")
    )


def test_imagenet_weights_are_taken_from_torchvisions_cache(published, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    url, path = imagenet_file("densenet121")
    assert url.endswith(path.name)
    assert tmp_path in path.parents
    path.parent.mkdir(parents=True)
    state = old_keys(published)
    assert any(".norm.1." in key for key in state)
    torch.save(state, path)
    model = build("densenet121", "imagenet", seed=1)
    assert agrees(model, published)
    assert model.backbone.classifier.out_features == 2


def test_without_a_connection_the_message_says_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def offline(*_args, **_kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(ClassifierError) as caught:
        build("densenet201", "imagenet", seed=1)
    url, path = imagenet_file("densenet201")
    assert url in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.exit_status == 1


def test_a_broken_file_in_the_cache_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    _, path = imagenet_file("densenet121")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a torch file")
    with pytest.raises(ClassifierError, match=r"is broken.*Delete it"):
        build("densenet121", "imagenet", seed=1)


@pytest.mark.parametrize("ending", ["safetensors", "pt", "pth"])
def test_a_file_of_weights_is_loaded(published, tmp_path, ending):
    path = tmp_path / f"weights.{ending}"
    (save_file if ending == "safetensors" else torch.save)(published, path)
    assert agrees(build("densenet121", str(path), seed=1), published)


def test_saved_weights_come_back_exactly_with_their_two_class_layer(tmp_path):
    model = initialise("densenet121", 4)
    save_weights(model, tmp_path / "w.safetensors")
    again = build("densenet121", str(tmp_path / "w.safetensors"), seed=9)
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key


def test_a_state_dict_inside_a_checkpoint_or_a_wrapper_is_found(published, tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"state_dict": {f"module.{key}": value for key, value in published.items()}, "epoch": 3}, path)
    assert agrees(build("densenet121", str(path), seed=1), published)


class _Bomb:
    def __reduce__(self):
        return (open, ("/dev/null/executed", "w"))


def test_code_in_a_weights_file_is_refused_and_not_run(tmp_path):
    path = tmp_path / "bomb.pt"
    torch.save({"weight": _Bomb()}, path, pickle_module=pickle)
    with pytest.raises(ClassifierError, match="never run"):
        build("densenet121", str(path), seed=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        (b"garbage", "cannot be read.*Is the file complete"),
        ({"conv0.weight": torch.zeros(2)}, r"does not fit densenet121.*missing.*1 unknown \(conv0.weight\)"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, content, message):
    path = tmp_path / "w.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        save_file(content, path)
    with pytest.raises(ClassifierError, match=message):
        build("densenet121", str(path), seed=1)


def test_another_ending_and_another_architecture_are_refused(published, tmp_path):
    (tmp_path / "w.onnx").write_bytes(b"x")
    with pytest.raises(ClassifierError, match=r"ending '.onnx'"):
        build("densenet121", str(tmp_path / "w.onnx"), seed=1)
    save_file(published, tmp_path / "w.safetensors")
    with pytest.raises(ClassifierError, match=r"classifier\.architecture right"):
        build("densenet169", str(tmp_path / "w.safetensors"), seed=1)
    with pytest.raises(StudyError, match="densenet121, densenet169, densenet201"):
        initialise("resnet50", 0)


def test_initialisation_depends_on_its_seed_alone():
    torch.manual_seed(1)
    first = initialise("densenet121", 3)
    before = torch.get_rng_state()
    torch.manual_seed(2)
    again, other = initialise("densenet121", 3), initialise("densenet121", 4)
    weight = "backbone.features.conv0.weight"
    assert torch.equal(first.state_dict()[weight], again.state_dict()[weight])
    assert not torch.equal(first.state_dict()[weight], other.state_dict()[weight])
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), before)


def test_normalisation_is_part_of_the_network():
    model = initialise("densenet121", 0).eval()
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mean = torch.tensor(densenet.IMAGENET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(densenet.IMAGENET_STD).view(1, 3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(model(images), model.backbone((images - mean) / std))
