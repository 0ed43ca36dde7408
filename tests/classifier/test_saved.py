"""Weights of trained networks are written so that equal networks are equal bytes; tests of building read them back."""

import torch
from safetensors import safe_open
from torch import nn

from saliency_stats.classifier.building import build
from saliency_stats.classifier.saved import save_weights, weight_notes


def test_a_network_is_written_with_its_name_its_classes_and_its_notes(tiny_networks, tmp_path):
    model = build(tiny_networks("vit"), "own", 0)
    path = tmp_path / "w.safetensors"
    save_weights(model, path)
    first = path.read_bytes()
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
        assert set(file.keys()) == set(model.backbone.state_dict())
    assert (about["architecture"], about["labels"]) == (tiny_networks("vit"), "benign,malignant")
    assert weight_notes(path) == list(model.notes)
    for _ in range(4):
        save_weights(model, path)
        assert path.read_bytes() == first


def test_layers_that_share_a_tensor_are_written_each_with_its_own(tiny_networks, tmp_path):
    model = build(tiny_networks("vit"), "own", 0)
    first, second = list(model.backbone.encoder.layers.children())
    second.mlp[0].weight = first.mlp[0].weight
    assert isinstance(first.mlp[0], nn.Linear)
    save_weights(model, tmp_path / "w.safetensors")
    again = build(tiny_networks("vit"), str(tmp_path / "w.safetensors"), 1)
    found = list(again.backbone.encoder.layers.children())[1].mlp[0].weight
    assert torch.equal(found, first.mlp[0].weight)
