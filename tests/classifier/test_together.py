"""Networks that differ in their heads alone answer as each would alone, and what they share sees an image once."""

import sys
from collections import Counter
from types import ModuleType

import pytest
import torch
from torch import nn

from saliency_stats.classifier import together as module
from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.building import build, initialise
from saliency_stats.classifier.layers import NamedLayers
from saliency_stats.classifier.together import Together, together


def images(n=3, size=32):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def counted(network):
    """Count the calls of a network's layers."""
    calls = Counter()
    for name, layer in network.named_modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda *_, name=name: calls.update([name]))
    return calls


@pytest.mark.parametrize("name", ["resnet", "efficientnet", "mobilenet", "convnext", "vit", "swin"])
def test_each_answers_as_it_would_alone(name, tiny_networks, heads_of):
    networks = dict(zip("abc", heads_of(build(tiny_networks(name), "own", 0), 3), strict=True))
    found = together(networks)
    assert [list(family) for family in found.families()] == [["a", "b", "c"]]
    logits = found.logits(images())
    assert list(logits) == ["a", "b", "c"]
    assert not torch.allclose(logits["a"], logits["b"], atol=1e-3)
    for one, network in networks.items():
        torch.testing.assert_close(logits[one], network(images()), rtol=1e-5, atol=1e-6)
        assert not logits[one].requires_grad


def test_what_they_share_sees_an_image_once(small_densenets, heads_of):
    networks = dict(enumerate(heads_of(initialise("densenet121", 0), 3)))
    found = together(networks)
    calls = [counted(network) for network in networks.values()]
    found.logits(images())
    first = calls[0]
    assert first["backbone.features.conv0"] == 1
    assert not any(other["backbone.features.conv0"] for other in calls[1:])
    assert all(one["backbone.classifier"] == 1 for one in calls)
    # a network whose relatives are not asked is computed as it is
    found.only([1]).logits(images())
    assert (first["backbone.features.conv0"], calls[1]["backbone.features.conv0"]) == (1, 1)


def test_a_relative_is_one_with_the_same_tensors_outside_of_its_head(tiny_networks, heads_of):
    first, head, norm = heads_of(build(tiny_networks("resnet"), "own", 0), 3)
    # statistics of a normalisation below the head are part of what is shared
    norm.backbone.bn1.running_mean += 1
    networks = {"first": first, "random": first.fresh(5).eval(), "head": head, "norm": norm, "other": nn.Identity()}
    assert [list(family) for family in together(networks).families()] == [["first", "head"]]
    assert together({"first": first, "norm": norm}).families() == []


def test_families_are_told_apart(tiny_networks, heads_of):
    one, two = (heads_of(build(tiny_networks("resnet"), "own", 0), 2) for _ in range(2))
    for network in two:
        network.backbone.conv1.weight.data += 1
    found = together(dict(zip("abcd", (one[0], two[0], one[1], two[1]), strict=True)))
    assert [list(family) for family in found.families()] == [["a", "c"], ["b", "d"]]
    for name, logits in found.logits(images()).items():
        torch.testing.assert_close(logits, found[name](images()), rtol=1e-5, atol=1e-6)


def test_some_of_them_under_other_names_still_share(tiny_networks, heads_of):
    found = together(dict(zip("abc", heads_of(build(tiny_networks("resnet"), "own", 0), 3), strict=True)))
    named = found.named({1: "c", 2: "a"})
    assert list(named) == [1, 2]
    assert [list(family) for family in named.families()] == [[1, 2]]
    assert named[1] is found["c"]
    torch.testing.assert_close(named.logits(images())[1], found.logits(images())["c"])
    assert len(named) == 2


def test_networks_as_they_are_share_nothing(tiny_networks, heads_of):
    networks = dict(zip("ab", heads_of(build(tiny_networks("resnet"), "own", 0), 2), strict=True))
    found = Together.of(networks)
    assert found.families() == []
    assert Together.of(found) is found
    assert {name: tuple(logits.shape) for name, logits in found.logits(images()).items()} == {"a": (3, 2), "b": (3, 2)}


class Shift(nn.Module):
    """Adds to its input in place."""

    def __init__(self):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(0.5))

    def forward(self, values):
        return values.add_(self.by)


class Overwrites(nn.Module):
    """Its head begins with a step that changes what flows into it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.shift, self.fc = nn.Conv2d(3, 4, 4, 4), Shift(), nn.Linear(4, 2)

    def forward(self, inputs):
        return self.fc(self.shift(self.conv(inputs)).mean((2, 3)))


def test_a_head_that_spoils_its_inputs_for_the_others_is_not_used(monkeypatch, heads_of):
    brought = ModuleType("overwrites")
    brought.build = Overwrites
    monkeypatch.setitem(sys.modules, "overwrites", brought)
    architecture = Architecture("python:overwrites:build", layers=NamedLayers(head=("shift", "fc")))
    networks = dict(zip("ab", heads_of(build(architecture, "own", 0), 2), strict=True))
    assert module.split(networks["a"], images()) is not None
    found = together(networks)
    assert found.families() == []
    for name, logits in found.logits(images()).items():
        torch.testing.assert_close(logits, networks[name](images()), rtol=1e-5, atol=1e-6)


def test_a_network_that_cannot_be_split_is_computed_as_a_whole(tiny_networks, monkeypatch, heads_of):
    networks = dict(zip("ab", heads_of(build(tiny_networks("resnet"), "own", 0), 2), strict=True))
    monkeypatch.setattr(module, "split", lambda *_: None)
    found = together(networks)
    assert found.families() == []
    assert len(found.logits(images())) == 2
