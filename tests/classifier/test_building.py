"""Networks: built from a seed, from torchvision's cache, from files; fed raw pixels."""

import errno
import os
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torchvision import models

from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.building import build, imagenet_file, initialise, published_path
from saliency_stats.classifier.densenet import ARCHITECTURES, PatchClassifier
from saliency_stats.classifier.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from saliency_stats.classifier.saved import save_weights, weight_notes
from saliency_stats.errors import ClassifierError, StudyError

pytestmark = pytest.mark.usefixtures("small_densenets")


@pytest.fixture(scope="module")
def published(small_densenets):
    """Weights of 1,000 classes with today's keys."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return models.densenet121(weights=None).state_dict()


def agrees(model: PatchClassifier, state) -> bool:
    own = model.backbone.state_dict()
    return all(
        torch.equal(own[key], value)
        for key, value in state.items()
        if not key.startswith("classifier") and not key.endswith("num_batches_tracked")
    )


def test_networks_are_torchvisions_and_densenet201_unless_told_otherwise():
    assert ARCHITECTURES == ("densenet121", "densenet169", "densenet201")
    assert Architecture().name == "densenet201"
    assert all(imagenet_file(name)[1].name.startswith(f"{name}-") for name in ARCHITECTURES)


def test_imagenet_weights_are_taken_from_torchvisions_cache(published, old_keys, tmp_path, monkeypatch):
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


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_a_file_of_weights_is_loaded(published, tmp_path, ending):
    path = tmp_path / f"weights.{ending}"
    (save_file if ending == "safetensors" else torch.save)(published, path)
    model = build("densenet121", str(path), seed=1)
    assert agrees(model, published)
    # of another number of classes: the two-class layer is that of the seed
    fresh = initialise("densenet121", 1).backbone.classifier
    assert torch.equal(model.backbone.classifier.weight, fresh.weight)
    assert torch.equal(model.backbone.classifier.bias, fresh.bias)


def test_without_weights_it_is_the_initialised_network():
    found, expected = build("densenet121", "none", seed=3), initialise("densenet121", 3)
    assert all(torch.equal(value, expected.state_dict()[key]) for key, value in found.state_dict().items())


def test_saved_weights_come_back_exactly_with_their_two_class_layer(tmp_path):
    model = initialise("densenet121", 4)
    save_weights(model, tmp_path / "w.safetensors")
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        assert file.metadata() == {"architecture": "densenet121", "labels": "benign,malignant"}
    again = build("densenet121", str(tmp_path / "w.safetensors"), seed=9)
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key


def test_weights_of_a_wrapped_network_are_found(published, tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"state_dict": {f"module.{key}": value for key, value in published.items()}, "epoch": 3}, path)
    assert agrees(build("densenet121", str(path), seed=1), published)


def with_classes(state, n):
    """The same weights with another number of classes."""
    width = state["classifier.weight"].shape[1]
    return state | {"classifier.weight": torch.ones(n, width), "classifier.bias": torch.zeros(n)}


def refused(path, **options):
    with pytest.raises(ClassifierError) as caught:
        build("densenet121", str(path), seed=1, **options)
    return str(caught.value)


@pytest.mark.parametrize(("n", "words"), [(1, "class"), (3, "classes"), (1000, "classes")])
def test_a_class_layer_that_would_stay_random_is_refused(published, tmp_path, n, words):
    path = tmp_path / "w.pt"
    torch.save(with_classes(published, n), path)
    message = refused(path, trained=False)
    assert f"{path}: classifier.trainable: none needs a file with two classes (found {n})" in message
    assert "Set classifier.trainable to head or all" in message
    said = []
    model = build("densenet121", str(path), seed=1, say=said.append)
    assert said == [
        f"classifier.weights: {path}: its layer of {n} {words} is left out; the layer of two classes starts at random"
    ]
    assert [f"classifier.weights: {path}: {note}" for note in model.notes] == said
    fresh = initialise("densenet121", 1).backbone.classifier
    assert torch.equal(model.backbone.classifier.weight, fresh.weight)


def test_imagenets_class_layer_is_left_out_and_said(published, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    _, path = imagenet_file("densenet121")
    path.parent.mkdir(parents=True)
    torch.save(published, path)
    said = []
    build("densenet121", "imagenet", seed=1, say=said.append)
    assert said == [
        "classifier.weights: imagenet: its layer of 1000 classes is left out; the layer of two classes starts at random"
    ]
    with pytest.raises(ClassifierError, match=r"needs a file with two classes \(found 1000\)"):
        build("densenet121", "imagenet", seed=1, trained=False)
    torch.save([1], path)
    with pytest.raises(ClassifierError, match="does not hold a state_dict"):
        build("densenet121", "imagenet", seed=1)


def test_two_classes_are_used_as_they_are_and_their_order_is_said(published, tmp_path):
    path = tmp_path / "w.pt"
    torch.save(with_classes(published, 2), path)
    model = build("densenet121", str(path), seed=1, trained=False)
    assert model.backbone.classifier.weight.eq(1).all()
    assert model.notes == ("its two classes are taken as benign and malignant, in this order",)


def test_a_file_of_this_package_says_its_classes(tmp_path):
    model = initialise("densenet121", 4)
    save_weights(model, tmp_path / "w.safetensors")
    assert build("densenet121", str(tmp_path / "w.safetensors"), seed=1, trained=False).notes == ()
    assert weight_notes(tmp_path / "w.safetensors") == []
    model.notes = ("from elsewhere", "in half")
    save_weights(model, tmp_path / "w.safetensors")
    assert weight_notes(tmp_path / "w.safetensors") == ["from elsewhere", "in half"]
    turned = {key: value.contiguous() for key, value in model.backbone.state_dict().items()}
    save_file(turned, tmp_path / "t.safetensors", metadata={"labels": "malignant,benign"})
    assert "has the classes 'malignant,benign'; expected benign,malignant, in this order" in refused(
        tmp_path / "t.safetensors"
    )


def test_half_precision_is_said(published, tmp_path):
    halves = {key: value.bfloat16() if value.is_floating_point() else value for key, value in published.items()}
    torch.save(with_classes(halves, 2), tmp_path / "w.pt")
    model = build("densenet121", str(tmp_path / "w.pt"), seed=1)
    assert model.backbone.classifier.weight.dtype == torch.float32
    assert model.notes[0] == "numbers of the type bfloat16, float32 are computed with in float32"


def test_one_layer_under_two_names_is_refused(published, old_keys, tmp_path):
    torch.save(published | old_keys(published), tmp_path / "w.pt")
    assert "names a layer in two ways" in refused(tmp_path / "w.pt")


def test_a_class_layer_of_another_width_is_another_architecture(published, tmp_path):
    for layer in (torch.ones(1, 3), torch.ones(5)):
        torch.save(published | {"classifier.weight": layer}, tmp_path / "w.pt")
        assert "another shape (classifier.weight, classifier.bias)" in refused(tmp_path / "w.pt")
    torch.save({key: value for key, value in published.items() if "classifier" not in key}, tmp_path / "w.pt")
    assert "2 tensors missing (classifier.weight, classifier.bias)" in refused(tmp_path / "w.pt")


def test_another_architecture_is_refused(published, tmp_path):
    save_file(published, tmp_path / "w.safetensors")
    with pytest.raises(ClassifierError, match=r"does not fit densenet169: .*classifier\.architecture right"):
        build("densenet169", str(tmp_path / "w.safetensors"), seed=1)
    with pytest.raises(StudyError, match="'resnet50' is unknown; choose one of densenet121, densenet169, densenet201"):
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
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(model(images), model.backbone((images - mean) / std))


def test_a_broken_download_is_refused_by_its_checksum(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    asked = []

    def download(url, path, hash_prefix, progress):
        asked.append((url, path, hash_prefix, progress))
        raise RuntimeError("invalid hash value")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(ClassifierError, match=r"is broken or not a torch file \(RuntimeError\)"):
        build("densenet201", "imagenet", seed=1)
    url, path = imagenet_file("densenet201")
    assert asked == [(url, str(path), "c1103571", False)]


@pytest.mark.parametrize("error", [TimeoutError, ConnectionResetError])
def test_every_kind_of_missing_connection_says_what_to_do(tmp_path, monkeypatch, error):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def offline(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(ClassifierError, match="on a machine with a connection"):
        build("densenet201", "imagenet", seed=1)


def test_equal_networks_are_equal_bytes(published, tmp_path):
    """The library writes its notes in another order each time; the hashes of trained networks are in every manifest."""
    model = build("densenet121", "none", seed=1)
    written = set()
    for _ in range(8):
        save_weights(model, tmp_path / "w.safetensors")
        written.add((tmp_path / "w.safetensors").read_bytes())
    assert len(written) == 1
    with safe_open(tmp_path / "w.safetensors", "pt") as file:
        assert file.metadata() == {"architecture": "densenet121", "labels": "benign,malignant"}
    assert agrees(build("densenet121", str(tmp_path / "w.safetensors"), seed=2), model.backbone.state_dict())


def test_a_full_disk_is_an_error_of_the_system(published, tmp_path, monkeypatch):
    """Which the storage turns into words; the library's own is of a kind that nobody foresees."""

    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_weights(build("densenet121", "none", seed=1), tmp_path / "w.safetensors")


def test_the_place_of_published_weights(published, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    path = imagenet_file("densenet121")[1]

    def fetch(url, file, *_args, **_kwargs):
        torch.save(published, file)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    assert published_path("densenet121") == path
    assert path.is_file()
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_a, **_k: pytest.fail("fetched again"))
    assert published_path("densenet121") == path
