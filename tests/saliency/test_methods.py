"""Every method against what can be worked out by hand, against Captum, and against what it must leave alone."""

import copy
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from captum.attr import InputXGradient, Saliency
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torchvision.models import DenseNet

from saliency_stats.classifier.building import initialise
from saliency_stats.errors import AttributionError
from saliency_stats.saliency import DIFFERENTIATED_PX
from saliency_stats.saliency.baselines import BASELINES
from saliency_stats.saliency.batched import Referring
from saliency_stats.saliency.captum_methods import DeepLift, GradCam, GuidedBackprop, IntegratedGradients, Occlusion
from saliency_stats.saliency.gradient_methods import Gradient, GradientTimesInput, ShiftedGradient
from saliency_stats.saliency.methods import METHODS, cost_of, is_one_channel, words_of
from saliency_stats.saliency.sampled_methods import SmoothGrad
from saliency_stats.saliency.unfolded import PoolOfReLUs, unfolded, without_pooling

TARGET = torch.tensor([0, 1, 1])
SEEDS = [11, 22, 33]
#: Every method once, whatever its baseline, that explains an image without others.
ONCE = [name for name, method in METHODS.items() if "@" not in name and not isinstance(method, Referring)]
CHANNELS = {name: 1 if name in {"grad_cam", "occlusion"} else 3 for name in METHODS}


def pictures(number, height, width, seed=0):
    chance = torch.Generator().manual_seed(seed)
    pixels = torch.rand(number, 3, height, width, generator=chance, dtype=torch.float64)
    return pixels.contiguous(memory_format=torch.channels_last)


def frozen(*layers, seed=0):
    """A network of double precision in evaluation mode, every parameter drawn from the seed."""
    network = nn.Sequential(*layers).double().eval().requires_grad_(requires_grad=False)
    chance = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=chance, dtype=torch.float64))
    return network


def chosen(network, images):
    with torch.no_grad():
        return network(images).gather(1, TARGET[: len(images), None])[:, 0]


def calibrated(network):
    """Let the batch normalisations see images, so that the ReLUs are neither all open nor all shut."""
    network = network.double().requires_grad_(requires_grad=False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    network.train()(pictures(8, 64, 64, seed=1))
    return network.eval().to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def densenet():
    """torchvision's code with few and narrow layers."""
    network = initialise("densenet121", 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network.backbone = DenseNet(8, (2, 2, 2, 2), num_init_features=8, bn_size=2, num_classes=2)
    return calibrated(network)


@pytest.fixture(scope="module")
def images():
    return pictures(3, 48, 64)


@pytest.fixture(scope="module")
def linear():
    """logit_c = b_c + mean over p of v_c · x_p: everything about it can be worked out by hand."""
    return frozen(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


@pytest.fixture(scope="module")
def hidden():
    """One hidden layer of ReLUs on images of 4 × 4 px."""
    return frozen(nn.Flatten(), nn.Linear(48, 16), nn.ReLU(inplace=True), nn.Linear(16, 2))


def slope(network, target):
    """Per image v_c of the linear network, (N, 3, 1, 1)."""
    return (network[3].weight @ network[0].weight[:, :, 0, 0])[target][:, :, None, None]


# --- the registry ---


def test_every_method_with_its_usual_parameters():
    assert [repr(method) for method in METHODS.values()] == [
        "Gradient(in_flight=32)",
        "ShiftedGradient(in_flight=32, shifts=2)",
        "SmoothGrad(n_samples=16, in_flight=32, noise=0.1)",
        "GuidedBackprop(in_flight=32)",
        *(f"GradientTimesInput(in_flight=32, baseline='{name}')" for name in BASELINES),
        *(f"IntegratedGradients(in_flight=32, baseline='{name}', n_steps=24)" for name in BASELINES),
        "ExpectedGradients(n_samples=24, in_flight=32)",
        *(f"DeepLift(in_flight=32, baseline='{name}')" for name in BASELINES),
        "GradCam(in_flight=32, layer=None)",
        "Occlusion(in_flight=32, window_px=16, stride_px=8)",
    ]


def test_what_the_report_and_the_estimate_of_costs_need_to_know():
    known = {
        name: (words_of(method), cost_of(method), getattr(method, "times_input", False))
        for name, method in METHODS.items()
        if "@" not in name
    }
    assert known == {
        "gradient": ("gradient", 1.0, False),
        "shifted_gradient": ("shift-averaged gradient", 4.5, False),
        "smoothgrad": ("SmoothGrad", 15.0, False),
        "guided_backprop": ("guided backprop", 1.2, False),
        "gradient_x_input": ("gradient × input", 1.1, True),
        "integrated_gradients": ("integrated gradients", 25.0, True),
        "expected_gradients": ("expected gradients", 24.0, False),
        "deeplift": ("DeepLIFT", 6.0, True),
        "grad_cam": ("Grad-CAM", 0.6, False),
        "occlusion": ("occlusion", 87.0, False),
    }
    assert [name for name, method in METHODS.items() if is_one_channel(method)] == ["grad_cam", "occlusion"]


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_parameters_are_named_and_do_not_change(method):
    with pytest.raises(FrozenInstanceError):
        method.in_flight = 1
    with pytest.raises(TypeError, match="positional"):
        type(method)(1)


# --- by hand, on a linear network ---


@pytest.mark.parametrize("method", [Gradient(), SmoothGrad(), GuidedBackprop()], ids=lambda method: method.name)
def test_a_linear_networks_gradient_is_its_weight(linear, method):
    images = pictures(3, 6, 8)
    expected = (slope(linear, TARGET) / 48).expand_as(images)
    found = method.attribute(linear, images, TARGET, SEEDS)
    torch.testing.assert_close(found, expected.float(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "method", [GradientTimesInput(), IntegratedGradients(n_steps=1), DeepLift()], ids=lambda method: method.name
)
def test_a_linear_network_is_explained_from_white_glass(linear, method):
    images = pictures(3, 6, 8)
    images[:, :, 2, 3] = 1.0
    expected = (images - 1) * slope(linear, TARGET) / 48
    found = method.attribute(linear, images, TARGET, SEEDS)
    torch.testing.assert_close(found, expected.float(), rtol=1e-6, atol=1e-9)
    assert found[:, :, 2, 3].abs().max() == 0  # clear glass receives nothing


def test_a_linear_networks_shifted_gradient_is_its_weight_on_the_canvas(linear):
    images = pictures(3, 6, 8)
    found = ShiftedGradient(shifts=4).attribute(linear, images, TARGET, SEEDS)
    expected = (slope(linear, TARGET) / (9 * 11)).expand_as(images)
    torch.testing.assert_close(found, expected.float(), rtol=1e-6, atol=1e-9)


def test_a_linear_networks_grad_cam_is_the_part_of_the_logit_made_at_each_pixel(linear):
    images = pictures(3, 6, 8)
    channels = linear[0](images)
    expected = (channels * (linear[3].weight[TARGET] / 48)[:, :, None, None]).sum(dim=1, keepdim=True).relu()
    found = GradCam(layer="0").attribute(linear, images, TARGET, SEEDS)
    torch.testing.assert_close(found, expected.float(), rtol=1e-6, atol=1e-9)
    assert (found == 0).any()
    assert (found > 0).any()


def test_a_linear_networks_occlusion_is_what_the_squares_of_a_pixel_take_away(linear):
    images = pictures(3, 7, 8)
    away = ((images - images.mean(dim=(2, 3), keepdim=True)) * slope(linear, TARGET) / 56).sum(dim=1)
    total, count = torch.zeros(3, 7, 8), torch.zeros(7, 8)
    for y in range(0, 5, 2):  # the last square is cut by the lower border
        for x in range(0, 5, 2):
            total[:, y : y + 4, x : x + 4] += away[:, y : y + 4, x : x + 4].sum(dim=(1, 2))[:, None, None]
            count[y : y + 4, x : x + 4] += 1
    found = Occlusion(window_px=4, stride_px=2, in_flight=4).attribute(linear, images, TARGET, SEEDS)
    torch.testing.assert_close(found[:, 0], total / count, rtol=1e-5, atol=1e-7)


# --- by hand, on a hidden layer ---


def test_guided_backprop_lets_only_what_is_positive_on_both_ways_through(hidden):
    images = pictures(3, 4, 4)
    open_ = (images.flatten(1) @ hidden[1].weight.T + hidden[1].bias) > 0
    expected = (hidden[3].weight[TARGET].relu() * open_) @ hidden[1].weight
    found = GuidedBackprop().attribute(hidden, images, TARGET, SEEDS)
    torch.testing.assert_close(found, expected.view(3, 3, 4, 4).float(), rtol=1e-6, atol=1e-6)


def test_deeplift_multiplies_by_the_slope_between_glass_and_image(hidden):
    images = pictures(3, 4, 4)
    here, glass = (values.flatten(1) @ hidden[1].weight.T + hidden[1].bias for values in (images, images * 0 + 1))
    multiplier = (here.relu() - glass.relu()) / (here - glass)
    assert ((multiplier > 0) & (multiplier < 1)).any()
    expected = (images - 1) * ((hidden[3].weight[TARGET] * multiplier) @ hidden[1].weight).view(3, 3, 4, 4)
    found = DeepLift().attribute(hidden, images, TARGET, SEEDS)
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-6)


# --- identities ---


@pytest.mark.parametrize("method", [SmoothGrad(n_samples=1, noise=0.0), ShiftedGradient(shifts=1)])
def test_without_noise_and_shift_it_is_the_gradient(densenet, images, method):
    found = method.attribute(densenet, images, TARGET, SEEDS)
    assert torch.equal(found, Gradient().attribute(densenet, images, TARGET, SEEDS))


def test_the_gradient_is_captums_saliency(densenet, images):
    expected = Saliency(densenet).attribute(images.clone().requires_grad_(), target=TARGET, abs=False)
    found = METHODS["gradient"].attribute(densenet, images, TARGET, SEEDS)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_gradient_times_input_is_captums_in_a_scale_that_starts_at_glass(densenet, images):
    class Stained(nn.Module):
        def forward(self, stain):
            return densenet(1 - stain)

    expected = InputXGradient(Stained().eval()).attribute((1 - images).requires_grad_(), target=TARGET).detach()
    found = METHODS["gradient_x_input"].attribute(densenet, images, TARGET, SEEDS)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_integrated_gradients_add_up_to_the_logit_in_a_smooth_network():
    network = frozen(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 2))
    images = pictures(3, 8, 8)
    found = IntegratedGradients().attribute(network, images, TARGET, SEEDS).sum(dim=(1, 2, 3))
    expected = chosen(network, images) - chosen(network, torch.ones_like(images))
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-4)


def test_integrated_gradients_add_up_better_with_more_steps(densenet, images):
    expected = chosen(densenet, images) - chosen(densenet, torch.ones_like(images))
    few, many = (
        (IntegratedGradients(n_steps=n).attribute(densenet, images, TARGET, SEEDS).sum(dim=(1, 2, 3)) - expected)
        .abs()
        .mean()
        for n in (3, 96)
    )
    assert many < few / 2
    assert many < 0.1 * expected.abs().max()


def test_deeplift_adds_up_to_the_logit_where_windows_overlap(densenet, images):
    small = frozen(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(6, 4, 3), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Linear(4 * 5 * 5, 2),
    )  # fmt: skip
    for network, some in ((small, pictures(3, 15, 15)), (densenet, images)):
        expected = chosen(network, some) - chosen(network, torch.ones_like(some))
        found = DeepLift().attribute(network, some, TARGET, SEEDS).sum(dim=(1, 2, 3))
        torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-4)


def test_shifts_remove_the_checkerboard_of_a_stride():
    weights = [nn.Conv2d(3, 4, 1, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)]
    network, images = frozen(*weights), pictures(3, 8, 8)
    plain = Gradient().attribute(network, images, TARGET, SEEDS)
    assert (plain[:, :, ::2, ::2] != 0).all()
    assert (plain[:, :, 1::2] == 0).all()
    even = ShiftedGradient(shifts=2).attribute(network, images, TARGET, SEEDS)
    torch.testing.assert_close(even, even[:, :, :1, :1].expand_as(even), rtol=1e-6, atol=0)
    assert (even != 0).all()


# --- the copy without functional and in-place ReLUs, and without pooling ---


def test_the_copy_computes_the_same_and_shares_the_weights(densenet, images):
    twin = unfolded(densenet)
    assert torch.equal(twin(images), densenet(images))
    own = {name: values.data_ptr() for name, values in densenet.named_parameters()}
    assert {name: values.data_ptr() for name, values in twin.named_parameters()} == own
    relus = [module for module in twin.modules() if isinstance(module, nn.ReLU)]
    assert len(relus) == 1 + sum(isinstance(module, nn.ReLU) for module in densenet.modules())
    assert not any(relu.inplace for relu in relus)
    torch.testing.assert_close(without_pooling(twin)(images), densenet(images))
    assert not any(isinstance(module, nn.MaxPool2d) for module in twin.modules())


def test_the_last_relu_of_densenet_is_guided_too(densenet, images):
    """Where every class weight is negative, nothing positive comes back to the last ReLU, so nothing passes it."""
    network = copy.deepcopy(densenet)
    network.backbone.classifier.weight.abs_().neg_()
    assert Gradient().attribute(network, images, TARGET, SEEDS).abs().max() > 0
    assert GuidedBackprop().attribute(network, images, TARGET, SEEDS).abs().max() == 0


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padded=st.booleans(),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
)
@settings(max_examples=40, deadline=None)
def test_pooling_by_relus_is_pooling(kernel, stride, padded, size):
    pool = nn.MaxPool2d(kernel, stride, padding=tuple(side // 2 for side in kernel) if padded else 0)
    values = pictures(2, *size) - 5
    torch.testing.assert_close(PoolOfReLUs(pool)(values), pool(values))


# --- every method on a DenseNet ---


@pytest.mark.parametrize("name", ONCE)
def test_a_map_depends_on_its_image_and_seed_and_not_on_the_batch(densenet, images, name):
    method = METHODS[name]
    assert method.name == name
    found = method.attribute(densenet, images, TARGET, SEEDS)
    assert found.shape == (3, CHANNELS[name], 48, 64)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert found.isfinite().all()
    assert found.flatten(1).abs().amax(dim=1).min() > 0
    order = [2, 0]
    others = method.attribute(densenet, images[order], TARGET[order], [SEEDS[index] for index in order])
    for index, other in zip(order, others, strict=True):
        torch.testing.assert_close(found[index], other, rtol=1e-5, atol=1e-5 * found[index].abs().max().item())


@pytest.mark.parametrize("name", ONCE)
def test_few_images_are_in_flight_and_the_network_is_left_alone(densenet, images, name):
    seen, layouts = [], []

    def watch(_, inputs):
        seen.append(len(inputs[0]))
        layouts.append(inputs[0].is_contiguous(memory_format=torch.channels_last))

    method = replace(METHODS[name], in_flight=4)
    before = {key: values.clone() for key, values in densenet.state_dict().items()}
    modules = {key: (vars(module).keys(), getattr(module, "inplace", None)) for key, module in densenet.named_modules()}
    original, untouched = densenet.backbone, images.clone()
    with densenet.backbone.features.conv0.register_forward_pre_hook(watch):
        method.attribute(densenet, images, TARGET, SEEDS)
    assert 0 < max(seen) <= 4
    assert all(layouts)
    assert torch.equal(images, untouched)
    assert not images.requires_grad
    assert densenet.backbone is original
    assert not densenet.training
    assert not any(parameter.requires_grad for parameter in densenet.parameters())
    after = densenet.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(values, after[key]) for key, values in before.items())
    for key, module in densenet.named_modules():
        assert (vars(module).keys(), getattr(module, "inplace", None)) == modules[key]
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks):
            assert not hooks


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        (Gradient(in_flight=2), [2, 1]),
        (GradientTimesInput(in_flight=3), [3]),
        (GuidedBackprop(in_flight=2), [2, 1]),
        # beside each image its baseline, and the hooks keep as much again
        (DeepLift(in_flight=9), [4, 2]),
        (SmoothGrad(n_samples=4, in_flight=5), [5, 5, 2]),
        (ShiftedGradient(shifts=2, in_flight=3), [3] * 4),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_as_many_images_are_in_flight_as_may_be(linear, method, parts):
    seen = []
    with linear[0].register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0]))):
        method.attribute(linear, pictures(3, 6, 8), TARGET, SEEDS)
    assert seen == parts


@pytest.mark.parametrize("name", sorted(set(ONCE) - {"occlusion"}))
def test_large_images_are_in_flight_one_at_a_time(densenet, images, name, monkeypatch):
    """All but occlusion keep what the network saw of an image for the way back."""
    monkeypatch.setitem(DIFFERENTIATED_PX, "cpu", 1)
    seen = []
    with densenet.backbone.features.conv0.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0]))):
        METHODS[name].attribute(densenet, images, TARGET, SEEDS)
    # DeepLIFT's baseline travels with its image
    assert max(seen) == (2 if name == "deeplift" else 1)


def test_noise_is_drawn_from_the_seeds_alone(densenet, images):
    method = SmoothGrad(n_samples=2)
    found = method.attribute(densenet, images, TARGET, SEEDS)
    torch.rand(1)  # the global state has no say
    assert torch.equal(method.attribute(densenet, images, TARGET, SEEDS), found)
    other = method.attribute(densenet, images, TARGET, [11, 22, 34])
    assert torch.equal(other[:2], found[:2])
    assert not torch.equal(other[2], found[2])


def test_noise_is_a_share_of_each_images_range():
    """The gradient of x² / 2 is x, so one sample shows its noise."""
    network = nn.Sequential(Halves(), nn.Flatten(), nn.Linear(3 * 64 * 64, 1)).double().eval()
    nn.init.ones_(network[2].weight)
    images = pictures(3, 64, 64) * torch.tensor([1.0, 0.5, 0.1], dtype=torch.float64).view(3, 1, 1, 1)
    found = SmoothGrad(n_samples=1, noise=0.2).attribute(network, images, torch.zeros(3, dtype=torch.int64), SEEDS)
    spread = (found - images).std(dim=(1, 2, 3))
    extent = images.amax(dim=(1, 2, 3)) - images.amin(dim=(1, 2, 3))
    torch.testing.assert_close(spread, 0.2 * extent, rtol=0.03, atol=0)
    for image, seed in enumerate(SEEDS):
        drawn = torch.randn((3, 64, 64), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        expected = images[image] + 0.2 * extent[image] * drawn
        torch.testing.assert_close(found[image], expected.float(), rtol=1e-5, atol=1e-6)


class Halves(nn.Module):
    def forward(self, images):
        return images**2 / 2


@pytest.mark.parametrize(("layer", "cells"), [("denseblock3", (3, 4)), ("denseblock4", (1, 2)), ("norm5", (1, 2))])
def test_a_small_layer_is_enlarged_between_the_middles_of_its_cells(densenet, images, layer, cells):
    """What the layer returns is taken before anything overwrites it: DenseNet's last ReLU works on norm5 in place."""
    network, kept = unfolded(densenet), []
    hook = network.backbone.features.get_submodule(layer).register_forward_hook
    hook(lambda _, __, out: kept.append(out.requires_grad_()))
    (slopes,) = torch.autograd.grad(network(images).gather(1, TARGET[:, None]).sum(), kept[0])
    small = (slopes.mean(dim=(2, 3), keepdim=True) * kept[0].detach()).sum(dim=1, keepdim=True).relu()
    assert small.shape == (3, 1, *cells)
    expected = functional.interpolate(small, (48, 64), mode="bilinear", align_corners=False)
    found = GradCam(layer=f"backbone.features.{layer}").attribute(densenet, images, TARGET, SEEDS)
    torch.testing.assert_close(found, expected.float())


# --- refusals ---


@pytest.mark.parametrize("name", ONCE)
def test_a_network_in_training_is_refused(hidden, name):
    images = pictures(3, 4, 4)
    hidden.train()
    try:
        with pytest.raises(AttributionError, match="training mode"):
            METHODS[name].attribute(hidden, images, TARGET, SEEDS)
    finally:
        hidden.eval()
    with pytest.raises(AttributionError, match="2 seeds for 3 images"):
        METHODS[name].attribute(hidden, images, TARGET, SEEDS[:2])
    with pytest.raises(AttributionError, match="shape"):
        METHODS[name].attribute(hidden, images, TARGET[:2], SEEDS)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (SmoothGrad, {"n_samples": 0}),
        (SmoothGrad, {"noise": -0.1}),
        (SmoothGrad, {"noise": float("nan")}),
        (SmoothGrad, {"in_flight": 0}),
        (ShiftedGradient, {"shifts": 0}),
        (IntegratedGradients, {"n_steps": 0}),
        (Occlusion, {"stride_px": 0}),
        (Occlusion, {"stride_px": 17}),
        (Gradient, {"in_flight": 0}),
        (IntegratedGradients, {"in_flight": 0}),
        (Occlusion, {"in_flight": 0}),
        (ShiftedGradient, {"in_flight": 0}),
    ],
)
def test_parameters_out_of_range_are_refused(make, wrong):
    with pytest.raises(AttributionError, match="or more"):
        make(**wrong)


def test_the_smallest_parameters_are_accepted():
    SmoothGrad(n_samples=1, noise=0.0, in_flight=1)
    ShiftedGradient(shifts=1, in_flight=1)
    IntegratedGradients(n_steps=1, in_flight=1)
    Occlusion(window_px=1, stride_px=1, in_flight=1)
    with pytest.raises(AttributionError, match=r"^window_px is 16; expected 17 or more$"):
        Occlusion(stride_px=17)


@pytest.mark.parametrize("size", [(7, 8), (8, 7)])
def test_the_window_of_an_occlusion_may_be_as_large_as_the_image_and_no_larger(linear, size):
    images = pictures(3, *size)
    Occlusion(window_px=7, stride_px=7).attribute(linear, images, TARGET, SEEDS)
    with pytest.raises(AttributionError, match=f"8 px does not fit into images of {size[0]} × {size[1]} px"):
        Occlusion(window_px=8, stride_px=1).attribute(linear, images, TARGET, SEEDS)


def test_what_a_method_cannot_explain_is_refused(linear):
    images = pictures(3, 6, 8)
    for layer in ("", "features.nowhere"):
        with pytest.raises(AttributionError, match=f"no layer '{layer}'"):
            GradCam(layer=layer).attribute(linear, images, TARGET, SEEDS)
    with pytest.raises(AttributionError, match="returns no image"):
        GradCam(layer="3").attribute(linear, images, TARGET, SEEDS)
    with pytest.raises(AttributionError, match="7 px does not fit into images of 6 × 8 px"):
        Occlusion(window_px=7, stride_px=1).attribute(linear, images, TARGET, SEEDS)
    for options in ({"dilation": 2}, {"dilation": (1, 2)}, {"dilation": (2, 1)}, {"ceil_mode": True}):
        with pytest.raises(AttributionError, match=r"MaxPool2d.*; expected max pooling without dilation and ceil_mode"):
            PoolOfReLUs(nn.MaxPool2d(3, **options))
    for dilation in (1, (1, 1)):
        assert PoolOfReLUs(nn.MaxPool2d(3, dilation=dilation)).kernel == (3, 3)


def test_captum_is_imported_by_those_who_need_it_only(linear, monkeypatch):
    # seconds, because another interpreter has to load torch
    code = "import sys, saliency_stats.saliency.methods; sys.exit('captum' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    images = pictures(3, 6, 8)
    METHODS["gradient"].attribute(linear, images, TARGET, SEEDS)
    with pytest.raises(AttributionError, match="pip install captum"):
        METHODS["deeplift"].attribute(linear, images, TARGET, SEEDS)
