"""What methods and controls may ask of a network."""

import pytest
import torch
from torch import nn

from saliency_stats.classifier.building import initialise
from saliency_stats.classifier.densenet import ARCHITECTURES, PatchClassifier
from saliency_stats.classifier.protocol import Classifier


class Tiny(Classifier):
    """The least that a network has to say of itself."""

    parts = {"top": ("layers.2.",), "bottom": ("layers.0.",)}  # noqa: RUF012  (read only)
    head = ("layers.2.",)

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, 2))

    def fresh(self, seed):
        torch.manual_seed(seed)
        return Tiny()


def test_a_network_of_modules_alone_is_its_own_steps_and_need_not_have_a_layer_for_grad_cam():
    network = Tiny()
    assert network.stepwise() is network
    assert network.cam_layer is None


@pytest.mark.parametrize("missing", ["head", "fresh"])
def test_a_network_says_what_its_head_is_and_can_be_built_afresh(missing):
    members = {name: value for name, value in vars(Tiny).items() if name in {"parts", "head", "fresh"}}
    del members[missing]
    with pytest.raises(TypeError, match=f"abstract method '?{missing}"):
        type("Incomplete", (Classifier,), members)()


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request, small_densenets) -> PatchClassifier:
    return initialise(request.param, 0).eval()


def test_the_parts_of_a_densenet_hold_every_tensor_once_from_the_top(network):
    assert list(network.parts) == ["classifier", "denseblock4", "denseblock3", "denseblock2", "denseblock1", "stem"]
    from_the_bottom = []
    for name in network.state_dict():
        (part,) = (part for part, prefixes in network.parts.items() if name.startswith(prefixes))
        if part not in from_the_bottom:
            from_the_bottom.append(part)
    assert from_the_bottom == list(network.parts)[::-1]


def test_the_layer_for_grad_cam_has_an_image_with_a_stride_of_16_px(network):
    seen = []
    with network.get_submodule(network.cam_layer).register_forward_hook(lambda *found: seen.append(found[2].shape)):
        network(torch.zeros(1, 3, 64, 96))
    assert [tuple(shape[2:]) for shape in seen] == [(4, 6)]


def test_the_head_is_the_last_convolution_and_the_two_class_layer(network):
    last = len(network.backbone.features.denseblock4)
    assert {name for name in network.state_dict() if name.startswith(network.head)} == {
        f"backbone.features.denseblock4.denselayer{last}.conv2.weight",
        "backbone.classifier.weight",
        "backbone.classifier.bias",
    }


def test_a_fresh_network_is_the_one_that_the_seed_initialises(network):
    fresh, expected = network.fresh(7), initialise(network.architecture, 7)
    assert type(fresh) is PatchClassifier
    assert fresh.architecture == network.architecture
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in fresh.state_dict().items())
    assert not torch.equal(fresh.backbone.features.conv0.weight, network.backbone.features.conv0.weight)


@pytest.mark.parametrize("training", [False, True])
def test_step_by_step_it_is_the_same_network_with_every_relu_a_module(network, training):
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    network.train(training)
    steps = network.stepwise()
    try:
        assert all(module.training == training for module in steps.modules())
        assert torch.equal(steps(images), network(images))
    finally:
        network.eval()
    assert dict(steps.named_parameters()).keys() == dict(network.named_parameters()).keys()
    assert all(value is network.get_parameter(name) for name, value in steps.named_parameters())
    assert steps.get_submodule(network.cam_layer) is network.get_submodule(network.cam_layer)
    n_relus = [sum(isinstance(module, nn.ReLU) for module in one.modules()) for one in (steps, network)]
    assert n_relus[0] == n_relus[1] + 1
