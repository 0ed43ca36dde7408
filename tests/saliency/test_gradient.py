"""Saliency is the gradient, of the logit, with respect to the raw pixel, for each image by itself."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from saliency_stats.classifier.building import build, initialise
from saliency_stats.classifier.together import together
from saliency_stats.errors import AttributionError
from saliency_stats.saliency import DIFFERENTIATED_PX, gradient, logits_and_gradient, reduce_channels
from saliency_stats.saliency.control_networks import randomised
from saliency_stats.saliency.gradient import fitting, logits_and_gradients


@pytest.fixture(scope="module")
def network(small_densenets):
    return initialise("densenet121", 1).double().eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(4, 3, 48, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


TARGET = torch.tensor([0, 1, 1, 0])


def test_each_map_is_autograds_own_for_that_image(network, images):
    logits, found = logits_and_gradient(network, images, TARGET)
    for index in range(4):
        image = images[index : index + 1].clone().requires_grad_()
        logit = network(image)[0, TARGET[index]]
        (own,) = torch.autograd.grad(logit, image)
        torch.testing.assert_close(found[index], own[0], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(logits[index, TARGET[index]], logit.detach())
    expected = found.pow(2).sum(dim=1).sqrt()
    torch.testing.assert_close(gradient(network, images, TARGET), expected)
    assert gradient(network, images, TARGET).shape == (4, 48, 64)


def test_the_derivative_is_that_of_the_raw_pixel(network, images):
    """A difference quotient in the raw image, normalisation included, gives the same number."""
    found = logits_and_gradient(network, images, TARGET)[1]
    step = 1e-6
    for index, channel, y, x in [(0, 0, 10, 20), (1, 1, 0, 0), (2, 2, 47, 63), (3, 1, 24, 31)]:
        up, down = images[index : index + 1].clone(), images[index : index + 1].clone()
        up[0, channel, y, x] += step
        down[0, channel, y, x] -= step
        with torch.no_grad():
            quotient = (network(up) - network(down))[0, TARGET[index]] / (2 * step)
        assert found[index, channel, y, x].item() == pytest.approx(quotient.item(), rel=1e-3, abs=1e-7)


def test_no_more_images_are_differentiated_at_once_than_fit(network, images, monkeypatch):
    logits, found = logits_and_gradient(network, images, TARGET)
    seen = []
    monkeypatch.setitem(DIFFERENTIATED_PX, "cpu", 3 * 48 * 64 + 1)
    with network.backbone.features.conv0.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0]))):
        few_logits, few = logits_and_gradient(network, images, TARGET)
    assert seen == [3, 1]
    torch.testing.assert_close(few, found, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(few_logits, logits)


def test_fewer_large_images_fit_and_one_always():
    assert fitting(nn.Identity(), torch.empty(24, 3, 128, 128)) == 8
    assert fitting(nn.Identity(), torch.empty(24, 3, 256, 256)) == 2
    assert fitting(nn.Identity(), torch.empty(24, 3, 1024, 1024)) == 1
    # what counts is the size that the network sees
    enlarging = nn.Identity()
    enlarging.input_px = 256
    assert fitting(enlarging, torch.empty(24, 3, 64, 64)) == 2


@pytest.mark.parametrize(("gigabytes", "images"), [(4, 4), (16, 19), (80, 32), (0.1, 2)])
def test_a_gpu_is_given_as_many_images_as_its_memory_holds(monkeypatch, gigabytes, images):
    size = SimpleNamespace(total_memory=gigabytes * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: size)
    there = SimpleNamespace(device=torch.device("cuda"), shape=(64, 3, 256, 256))
    assert fitting(nn.Identity(), there) == images


def test_it_is_the_logit_and_not_the_probability():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4, 2)).eval()
    images = torch.rand(2, 3, 2, 2)
    found = logits_and_gradient(model, images, torch.tensor([0, 1]))[1]
    # the derivative of a linear logit is its weight, however confident the model is
    torch.testing.assert_close(found, model[1].weight.detach().reshape(2, 3, 2, 2))


def test_neither_images_nor_parameters_are_left_with_gradients(network, images):
    gradient(network, images, TARGET)
    assert not images.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())


def test_frozen_networks_and_no_grad_contexts_can_be_explained(network, images):
    expected = gradient(network, images, TARGET)
    for parameter in network.parameters():
        parameter.requires_grad_(requires_grad=False)
    with torch.no_grad():
        torch.testing.assert_close(gradient(network, images, TARGET), expected)
    for parameter in network.parameters():
        parameter.requires_grad_(requires_grad=True)


def test_flipping_the_gradient_flips_the_map():
    values = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    for reduction in ("l2", "l1", "max"):
        flipped = reduce_channels(values.flip(-1), reduction)
        torch.testing.assert_close(flipped, reduce_channels(values, reduction).flip(-1))
        torch.testing.assert_close(reduce_channels(-3 * values, reduction), 3 * reduce_channels(values, reduction))


def test_reductions_written_out():
    values = torch.tensor([3.0, -4.0, 0.0]).view(1, 3, 1, 1)
    assert [reduce_channels(values, name).item() for name in ("l2", "l1", "max")] == [5.0, 7.0, 4.0]
    with pytest.raises(AttributionError, match="l2, l1, max"):
        reduce_channels(values, "mean")


def test_training_mode_and_wrong_shapes_are_refused(network, images):
    network.train()
    with pytest.raises(AttributionError, match=r"model\.eval"):
        gradient(network, images, TARGET)
    network.eval()
    with pytest.raises(AttributionError, match=r"\(3,\)"):
        gradient(network, images, TARGET[:3])


def test_a_randomised_network_is_the_architecture_alone(small_densenets):
    network = initialise("densenet121", 0)
    first, again, other = (randomised(network, seed) for seed in (1, 1, 2))
    name = "backbone.features.denseblock1.denselayer1.conv1.weight"
    assert torch.equal(first.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])
    assert not first.training


@pytest.mark.parametrize("name", ["resnet", "efficientnet", "vit", "swin"])
def test_networks_that_share_have_the_gradients_that_each_has_alone(name, tiny_networks, heads_of, monkeypatch):
    networks = dict(zip("abc", heads_of(build(tiny_networks(name), "own", 0), 3), strict=True))
    networks["random"] = networks["a"].fresh(1).eval().requires_grad_(requires_grad=False)
    found = together(networks)
    assert [list(family) for family in found.families()] == [["a", "b", "c"]]
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    # each network may explain other classes
    targets = {key: torch.tensor([0, 1, 1, 0, at % 2]) for at, key in enumerate(networks)}
    monkeypatch.setitem(DIFFERENTIATED_PX, "cpu", 2 * 32 * 32)  # in pieces
    shared = logits_and_gradients(found, images, targets)
    assert list(shared) == list(networks)
    for key, network in networks.items():
        logits, slope = logits_and_gradient(network, images, targets[key])
        torch.testing.assert_close(shared[key][0], logits, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(shared[key][1], slope, rtol=1e-4, atol=1e-6 * float(slope.abs().max()) + 1e-8)
        assert not shared[key][1].requires_grad


def test_a_network_in_training_mode_is_refused_among_others_too(tiny_networks):
    networks = {key: build(tiny_networks("resnet"), "own", 0).eval() for key in "ab"}
    found = together(networks)
    networks["b"].train()
    with pytest.raises(AttributionError, match="training mode"):
        logits_and_gradients(found, torch.rand(1, 3, 32, 32), dict.fromkeys("ab", torch.tensor([0])))
