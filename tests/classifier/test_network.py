"""Any network as a classifier of two classes."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.building import build, examined, initialise, is_known, parts_of, weight_bytes
from saliency_stats.classifier.layers import NamedLayers
from saliency_stats.classifier.outputs import Outputs
from saliency_stats.classifier.preprocessing import Preprocessing
from saliency_stats.classifier.saved import save_weights


@pytest.fixture
def resnet(tiny_networks):
    return Architecture(tiny_networks("resnet"))


@pytest.fixture
def images():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_images_are_fitted_then_normalised_then_outputs_are_grouped(resnet, images):
    plain = build(resnet, "own", 0).eval()
    torch.testing.assert_close(plain(images), plain.backbone(images))
    stated = Preprocessing((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), 48)
    whole = build(replace(resnet, preprocessing=stated, outputs=Outputs((1,), (0,))), "own", 0).eval()
    large = nn.functional.interpolate(images, (48, 48), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (stated.mean, stated.std))
    expected = plain.backbone((large - mean) / std)[:, [1, 0]]
    torch.testing.assert_close(whole(images), expected)
    assert "patches of another size are resized to 48 × 48 px inside the network" in whole.notes


def test_a_mean_or_a_standard_deviation_alone_leaves_the_other_as_it_is(resnet):
    mean = build(replace(resnet, preprocessing=Preprocessing(mean=(0.5,) * 3)), "own", 0).normalise
    assert (mean.mean.flatten().tolist(), mean.std.flatten().tolist()) == ([0.5] * 3, [1.0] * 3)
    std = build(replace(resnet, preprocessing=Preprocessing(std=(0.5,) * 3)), "own", 0).normalise
    assert (std.mean.flatten().tolist(), std.std.flatten().tolist()) == ([0.0] * 3, [0.5] * 3)


def test_a_network_of_one_size_has_others_fitted_and_says_so(tiny_networks):
    model = build(tiny_networks("vit"), "own", 0).eval()
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 2)
    assert (
        "patches of another size are resized to 32 × 32 px inside the network, the only size that it takes"
        in model.notes
    )


def test_names_are_those_of_the_module_itself(resnet):
    model = build(resnet, "own", 0)
    assert model.head == ("backbone.layer4.1.conv2.", "backbone.fc.")
    assert model.cam_layer == "backbone.layer3"
    assert list(model.parts) == list(parts_of(resnet))
    for key in model.state_dict():
        assert sum(key.startswith(prefixes) for prefixes in model.parts.values()) == 1


def test_named_layers_go_before_found_ones(resnet):
    named = replace(resnet, layers=NamedLayers(head=("fc",), gradcam="layer2"))
    model = build(named, "own", 0)
    assert (model.head, model.cam_layer) == (("backbone.fc.",), "backbone.layer2")
    assert "its head (trainable: head) is fc" in model.notes
    parts = ("fc", "layer4", "layer3", "layer2", "layer1", "bn1", "conv1")
    assert parts_of(replace(resnet, layers=NamedLayers(parts=parts))) == parts


def test_a_densenets_layers_can_be_named_too(small_densenets):
    named = Architecture("densenet121", layers=NamedLayers(head=("classifier",), gradcam="features.denseblock4"))
    model = initialise(named, 0)
    assert model.head == ("backbone.classifier.",)
    assert model.cam_layer == "backbone.features.denseblock4"
    assert model.notes == ()


def test_a_densenet_whose_patches_are_resized_or_whose_outputs_are_left_out_says_so(small_densenets):
    architecture = Architecture("densenet121", Preprocessing(size_px=48), outputs=Outputs((0,), (2,)))
    model = initialise(architecture, 0).eval()
    assert model.notes == (
        "patches of another size are resized to 48 × 48 px inside the network",
        "outputs 1 stand for neither class and are left out",
    )
    images = torch.rand(2, 3, 64, 64)
    large = nn.functional.interpolate(images, (48, 48), mode="bilinear", antialias=True)
    torch.testing.assert_close(model(images), model.backbone(model.normalise(large))[:, [0, 2]])


def test_outputs_that_stand_for_no_class_are_said_to_be_left_out(tiny_networks, monkeypatch):
    import sys  # noqa: PLC0415

    monkeypatch.setattr(
        sys.modules["tiny_networks_of_tests"],
        "four",
        lambda: nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)),
        raising=False,
    )
    model = build(Architecture(tiny_networks("four"), outputs=Outputs((0,), (2,))), "own", 0)
    assert "outputs 1, 3 stand for neither class and are left out" in model.notes
    assert model.notes[-1] == "its 4 classes are taken as benign, neither, malignant and neither, in this order"
    assert model.labels == "benign,,malignant,"


def test_a_trained_network_comes_back_from_its_file(resnet, images, tmp_path):
    model = build(replace(resnet, outputs=Outputs((1,), (0,))), "own", 0).eval()
    with torch.no_grad():
        model.backbone.fc.bias += 1
    save_weights(model, tmp_path / "w.safetensors")
    again = build(
        replace(resnet, outputs=Outputs((1,), (0,))), str(tmp_path / "w.safetensors"), 5, trained=False
    ).eval()
    assert torch.equal(again(images), model(images))


def test_what_it_weighs_is_known(resnet, small_densenets):
    state = build(resnet, "own", 0).backbone.state_dict()
    assert weight_bytes(resnet) == sum(value.numel() * value.element_size() for value in state.values())
    assert weight_bytes(Architecture("densenet121")) == 85_000_000
    assert is_known(Architecture("densenet121"))
    assert not is_known(resnet)


def test_an_architecture_is_tried_once_in_a_process(resnet):
    before = examined.cache_info().misses
    for seed in range(3):
        initialise(resnet, seed)
    assert examined.cache_info().misses - before <= 1


def test_trying_it_leaves_the_generator_alone(tiny_networks):
    examined.cache_clear()
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    initialise(tiny_networks("vit"), 0)
    assert torch.equal(torch.rand(3), expected)
