"""Methods on other architectures than DenseNet: tiny ones of torchvision's own code."""

import pytest
import torch
from torch import nn

from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.building import build, examined
from saliency_stats.saliency import gradient, logits_and_gradient
from saliency_stats.saliency.baselines import GLASS
from saliency_stats.saliency.captum_methods import GradCam, IntegratedGradients
from saliency_stats.saliency.methods import METHODS, refusal_of
from saliency_stats.saliency.unfolded import unfolded

NAMES = ("resnet", "efficientnet", "convnext", "vit", "swin")
TARGET = torch.tensor([1, 0])
#: Side of the grid that Grad-CAM explains, for images of 32 px: the finest stride is at most 16.
CELLS = {"resnet": 2, "efficientnet": 4, "convnext": 4, "vit": 4, "swin": 4}


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def network(name, tiny_networks):
    return build(tiny_networks(name), "own", 0).double().eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_gradient_is_that_of_autograd_image_by_image(name, network, images, tiny_networks):
    raw = build(tiny_networks(name), "own", 0).double().eval().backbone
    logits, found = logits_and_gradient(network, images, TARGET)
    for at, target in enumerate(TARGET.tolist()):
        image = images[at : at + 1].clone()
        expected = torch.autograd.functional.jacobian(lambda pixels: raw(pixels)[0], image)[target]
        torch.testing.assert_close(found[at : at + 1], expected, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(logits[at], raw(image)[0].detach(), rtol=1e-6, atol=1e-9)
    assert found.abs().amax() > 0


def test_the_gradient_is_the_slope_of_the_logit(network, images):
    _, found = logits_and_gradient(network, images, TARGET)
    direction = torch.randn(images.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    step = 1e-5
    with torch.no_grad():
        up, down = (network(images + sign * step * direction) for sign in (1, -1))
    slope = ((up - down) / (2 * step)).gather(1, TARGET[:, None])[:, 0]
    torch.testing.assert_close((found * direction).sum(dim=(1, 2, 3)), slope, rtol=1e-3, atol=1e-6)


def test_integrated_gradients_are_complete(network, images):
    found = IntegratedGradients(n_steps=200).attribute(network.float(), images.float(), TARGET, [0, 0])
    with torch.no_grad():
        white = network(torch.full_like(images.float(), GLASS))
        expected = (network(images.float()) - white).gather(1, TARGET[:, None])[:, 0]
    network.double()
    # ReLUs have corners, at which the sum over steps is not exact
    off = (found.sum(dim=(1, 2, 3)) - expected).abs()
    assert (off <= 0.02 * found.abs().sum(dim=(1, 2, 3)) + 1e-3).all()


def test_grad_cam_is_its_formula_on_the_layers_own_grid(name, network, images, tiny_networks):
    layer = network.cam_layer
    seen = []
    hook = network.get_submodule(layer).register_forward_hook(lambda *call: seen.append(call[2]) or call[2].clone())
    pixels = images.clone().requires_grad_()
    chosen = network(pixels).gather(1, TARGET[:, None]).sum()
    hook.remove()
    (values,), (slopes,) = seen, torch.autograd.grad(chosen, seen)
    side = CELLS[name]
    if values.dim() == 3:
        # the class token, which is no place, is dropped
        assert values.shape[1] == side**2 + 1
        values, slopes = (
            torch.stack([one[:, 1 + at] for at in range(side**2)], dim=2).unflatten(2, (side, side))
            for one in (values, slopes)
        )
    elif values.shape[1:3] == (side, side) and values.shape[3] != side:
        values, slopes = (one.movedim(3, 1) for one in (values, slopes))
    assert values.shape[2:] == (side, side)
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    small = (weights * values).sum(dim=1, keepdim=True).clamp(min=0).detach()
    expected = nn.functional.interpolate(small, (32, 32), mode="bilinear", align_corners=False)
    found = GradCam().attribute(network, images, TARGET, [0, 0])
    assert found.shape == (2, 1, 32, 32)
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-7)


def test_maps_have_the_shape_of_the_patch(network, images):
    assert gradient(network, images, TARGET).shape == (2, 32, 32)


@pytest.mark.parametrize("method", ["guided_backprop", "deeplift"])
def test_rules_for_relus_are_refused_by_name_where_they_do_not_hold(name, network, images, method):
    reason = refusal_of(method, network.float(), images.float())
    network.double()
    if name == "resnet":
        assert not reason
    else:
        assert reason.startswith(f"{method} cannot explain this network: ")
        expected = "the network has none" if method == "guided_backprop" else "add up to"
        assert expected in reason or "Captum says" in reason


def test_methods_that_need_the_gradient_alone_explain_any_network(network, images):
    for method in ("gradient", "smoothgrad", "grad_cam", "integrated_gradients", "occlusion"):
        assert not refusal_of(method, network, images)


def test_relus_that_are_shared_or_work_in_place_are_each_a_module_of_their_own(tiny_networks):
    network = build(tiny_networks("resnet"), "own", 0).eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    twin = unfolded(network)
    assert torch.equal(twin(images), network(images))
    calls = []
    for module in twin.modules():
        if isinstance(module, nn.ReLU):
            assert not module.inplace
            module.register_forward_hook(lambda module, *_: calls.append(id(module)))
    twin(images)
    # a stem and two in each of five blocks, which share one module in torchvision's code
    assert len(calls) == len(set(calls)) == 11
    shared = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    assert len(shared) == 6
    assert all(module.inplace and not module._forward_hooks for module in shared)


def test_relu6_is_guided_and_adds_up_as_two_relus(tiny_networks):
    network = build(tiny_networks("mobilenet"), "own", 0).eval()
    images = 4 * torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert not refusal_of("guided_backprop", network, images)
    assert not refusal_of("deeplift", network, images)
    found = METHODS["deeplift"].attribute(network, images, TARGET, [0, 0]).sum(dim=(1, 2, 3))
    with torch.no_grad():
        white = network(torch.full_like(images, GLASS))
        expected = (network(images) - white).gather(1, TARGET[:, None])[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_a_layer_that_is_no_grid_is_refused_with_the_patchs_size(tiny_networks):
    network = build(tiny_networks("resnet"), "own", 0).eval()
    images = torch.rand(1, 3, 32, 48)
    method = GradCam(layer="backbone.fc")
    assert "returns no image for a patch of 32 × 48 px (its shape is (1, 2))" in method.refusal(network, images)
    assert "the network has no layer 'backbone.fd'" in GradCam(layer="backbone.fd").refusal(network, images)
    assert examined(Architecture(tiny_networks("resnet"))).layers.gradcam == "layer3"
