"""Where methods start from: each baseline by what it must keep and take away, and what methods make of it."""

import dataclasses

import numpy as np
import pytest
import torch
from captum import attr
from scipy.ndimage import gaussian_filter
from torch import nn

from saliency_stats.errors import AttributionError
from saliency_stats.imaging.density import DARKEST
from saliency_stats.saliency.baselines import BASELINES
from saliency_stats.saliency.captum_methods import DeepLift, IntegratedGradients
from saliency_stats.saliency.gradient_methods import GradientTimesInput
from saliency_stats.saliency.methods import METHODS, at_baseline, baseline_of, cost_of, words_of

TARGET = torch.tensor([0, 1])


@pytest.fixture(scope="module")
def images():
    """Two stained images with clear glass in the left quarter, in the levels of 8 bits."""
    noise = np.random.default_rng(0).uniform(0.2, 0.8, (2, 3, 32, 32))
    noise[..., :8] = 1.0
    return torch.from_numpy((noise * 255).round() / 255)


@pytest.fixture(scope="module")
def smooth():
    return network(nn.Tanh())


def network(act):
    layers = nn.Sequential(nn.Conv2d(3, 4, 5, stride=3), act, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(100, 2))
    chance = torch.Generator().manual_seed(0)
    for parameter in layers.double().eval().requires_grad_(requires_grad=False).parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=chance, dtype=torch.float64) / 5)
    return layers


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_an_image_like_its_image_and_no_other(images, name):
    some = images.contiguous(memory_format=torch.channels_last)
    kept = some.clone()
    found = BASELINES[name].of(some)
    assert (found.shape, found.dtype) == (some.shape, some.dtype)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found.isfinite().all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(some, kept)
    torch.testing.assert_close(BASELINES[name].of(some[1:]), found[1:], rtol=1e-12, atol=0)
    for of in (0.0, 1.0):  # black, and bare glass
        flat = torch.full((1, 3, 16, 20), of)
        assert BASELINES[name].of(flat).isfinite().all()


def test_white_is_glass(images):
    assert (BASELINES["white"].of(images) == 1).all()


def test_blur_is_a_gaussian_of_a_sixteenth_of_the_shorter_side():
    picture = np.random.default_rng(1).random((48, 64))
    found = BASELINES["blur"].of(torch.from_numpy(np.stack([picture] * 3))[None])[0, 1].numpy()
    expected = gaussian_filter(picture, 3.0, truncate=3.0, mode="mirror")
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_mean_is_the_colour_of_each_image(images):
    found = BASELINES["mean"].of(images)
    np.testing.assert_allclose(found[:, :, 3, 5], images.mean(dim=(2, 3)))
    assert (found == found[:, :, :1, :1]).all()


def test_stain_keeps_the_glass_and_the_mean_optical_density_of_the_tissue(images):
    found = BASELINES["stain"].of(images)
    tissue = (found != images).any(dim=1)
    assert not tissue[:, :, :6].any()  # glass, but for the pixel to which the smoothed edge of the tissue reaches
    assert tissue[:, :, 9:].all()
    for image, made, inside in zip(images.numpy(), found.numpy(), tissue.numpy(), strict=True):
        density = -np.log10(np.maximum(image, DARKEST / 255))
        expected = 10.0 ** -density[:, inside].mean(axis=1)
        np.testing.assert_allclose(made[:, inside], np.broadcast_to(expected[:, None], made[:, inside].shape))
        # the mean colour of all is that of less stain
        assert (expected < image.mean(axis=(1, 2))).all()


def test_stain_of_bare_glass_is_that_glass_however_grey():
    grey = torch.full((1, 3, 32, 32), 215 / 255)
    assert torch.equal(BASELINES["stain"].of(grey), grey)


@pytest.mark.parametrize("name", BASELINES)
def test_integrated_gradients_and_deeplift_add_up_from_every_baseline(images, smooth, name):
    """To the difference of the logits: within 1e-4 of it in a smooth network, exactly by DeepLIFT in one of ReLUs."""
    folded = network(nn.ReLU())
    for method, model, off in ((IntegratedGradients, smooth, 1e-4), (DeepLift, folded, 1e-5)):
        found = method(baseline=name).attribute(model, images, TARGET, [0, 0]).sum(dim=(1, 2, 3)).double()
        there, start = (model(some)[[0, 1], TARGET] for some in (images, BASELINES[name].of(images)))
        assert (there - start).abs().min() > 0.01
        torch.testing.assert_close(found, there - start, rtol=off, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.parametrize("name", BASELINES)
def test_they_are_captums(images, smooth, name):
    start = BASELINES[name].of(images)
    found = IntegratedGradients(baseline=name, n_steps=7).attribute(smooth, images, TARGET, [0, 0])
    expected = attr.IntegratedGradients(smooth).attribute(images, start, TARGET, n_steps=7)
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-9)
    folded = network(nn.ReLU())
    found = DeepLift(baseline=name).attribute(folded, images, TARGET, [0, 0])
    expected = attr.DeepLift(folded).attribute(images.clone().requires_grad_(), start, TARGET).detach()
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-9)
    # one step from any baseline: the gradient × the distance from it
    found = GradientTimesInput(baseline=name).attribute(smooth, images, TARGET, [0, 0])
    expected = attr.Saliency(smooth).attribute(images.clone().requires_grad_(), TARGET, abs=False) * (images - start)
    torch.testing.assert_close(found, expected.detach().float(), rtol=1e-5, atol=1e-9)


def test_a_baseline_is_part_of_the_name_unless_it_is_white_glass():
    method = IntegratedGradients(baseline="blur")
    assert (method.name, words_of(method)) == (
        "integrated_gradients@blur",
        "integrated gradients from the patch's blur",
    )
    assert (method.times_input, cost_of(method)) == (False, 25.0)
    white = IntegratedGradients()
    assert (white.name, words_of(white), white.times_input) == ("integrated_gradients", "integrated gradients", True)
    assert [name for name in METHODS if name.startswith("deeplift")] == [
        "deeplift", "deeplift@blur", "deeplift@mean", "deeplift@stain",
    ]  # fmt: skip
    assert all(METHODS[name].name == name for name in METHODS)


def test_a_name_is_changed_where_there_is_another_baseline():
    assert at_baseline("deeplift", "mean") == "deeplift@mean"
    unchanged = (("deeplift", "white"), ("deeplift@blur", "mean"), ("gradient", "mean"), ("deeplift", "green"))
    assert [at_baseline(*one) for one in unchanged] == [name for name, _ in unchanged]
    assert [baseline_of(name) for name in ("deeplift", "deeplift@stain", "gradient", "map")] == [
        "white", "stain", "", "",
    ]  # fmt: skip


def test_no_other_baseline_is_taken():
    with pytest.raises(AttributionError, match=r"no baseline 'black'; expected one of white, blur, mean, stain"):
        DeepLift(baseline="black")
    with pytest.raises(dataclasses.FrozenInstanceError):
        DeepLift().baseline = "blur"
