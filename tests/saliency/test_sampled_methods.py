"""Expected gradients by hand, against Captum's, and by what they are drawn from; SmoothGrad is among all methods."""

import dataclasses

import numpy as np
import pytest
import torch
from captum import attr
from torch import nn

from saliency_stats.errors import AttributionError
from saliency_stats.saliency.batched import Referring
from saliency_stats.saliency.sampled_methods import ExpectedGradients, SmoothGrad

TARGET, SEEDS = torch.tensor([0, 1, 1]), [5, 6, 7]


def pictures(number, seed=0):
    return torch.rand(number, 3, 6, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(*layers):
    made, chance = nn.Sequential(*layers).double().eval(), torch.Generator().manual_seed(0)
    for parameter in made.requires_grad_(requires_grad=False).parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=chance, dtype=torch.float64) / 4)
    return made


@pytest.fixture(scope="module")
def linear():
    return network(nn.Flatten(), nn.Linear(144, 2))


@pytest.fixture(scope="module")
def curved():
    return network(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(96, 2))


def drawn(seed, n, references):
    """Draw as is told: every reference once before any comes again, and a place in every part of the way."""
    chance = torch.Generator().manual_seed(seed)
    rounds = [torch.randperm(references, generator=chance) for _ in range(-(-n // references))]
    shares = (torch.arange(n) + torch.rand(n, generator=chance, dtype=torch.float64)) / n
    return torch.cat(rounds)[:n].tolist(), shares.tolist()


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_linear_network_is_explained_by_the_distance_from_the_mean_reference(linear, rounds):
    """So the attributions add up, exactly, to the logit less the mean logit of the references."""
    images, references = pictures(3), pictures(4, seed=1)
    method = ExpectedGradients(n_samples=4 * rounds).with_references(references)
    found = method.attribute(linear, images, TARGET, SEEDS)
    slope = linear[1].weight[TARGET].view(3, 3, 6, 8)
    torch.testing.assert_close(found, ((images - references.mean(dim=0)) * slope).float(), rtol=1e-6, atol=1e-7)
    expected = linear(images) - linear(references).mean(dim=0)
    torch.testing.assert_close(found.sum(dim=(1, 2, 3)), expected[[0, 1, 2], TARGET].float(), rtol=1e-5, atol=1e-6)


def test_they_are_captums_at_the_same_points(curved, monkeypatch):
    images, references = pictures(1), pictures(5, seed=1)
    found = ExpectedGradients(n_samples=7).with_references(references).attribute(curved, images, TARGET[:1], [9])
    order, shares = drawn(9, 7, 5)
    monkeypatch.setattr(np.random, "choice", lambda *_: np.array(order))
    monkeypatch.setattr(np.random, "uniform", lambda *_: np.array(shares))
    with_theirs = attr.GradientShap(curved).attribute(images.requires_grad_(), references, n_samples=7, target=0)
    torch.testing.assert_close(found, with_theirs.detach().float(), rtol=1e-6, atol=1e-9)


def test_they_are_integrated_gradients_on_average_over_references_and_seeds(curved):
    images, references = pictures(1), pictures(3, seed=1)
    paths = attr.IntegratedGradients(curved).attribute(images.expand_as(references), references, 0, n_steps=50)
    method = ExpectedGradients(n_samples=48).with_references(references)
    many = [method.attribute(curved, images, TARGET[:1], [seed]) for seed in range(8)]
    expected = paths.mean(dim=0).float()
    torch.testing.assert_close(torch.stack(many).mean(dim=0)[0], expected, rtol=0, atol=0.02 * expected.abs().max())
    alone = (many[0][0] - expected).abs().max()
    assert 0 < alone < 0.2 * expected.abs().max()


def test_what_is_drawn_depends_on_the_patchs_seed_alone(curved):
    images, method = pictures(3), ExpectedGradients(n_samples=4).with_references(pictures(6, seed=1))
    found = method.attribute(curved, images, TARGET, SEEDS)
    torch.rand(1)  # the global state has no say
    assert torch.equal(method.attribute(curved, images, TARGET, SEEDS), found)
    other = method.attribute(curved, images, TARGET, [5, 6, 8])
    assert torch.equal(other[:2], found[:2])
    assert (other[2] - found[2]).abs().max() > 1e-4
    few = dataclasses.replace(method, in_flight=3).attribute(curved, images[[2, 0]], TARGET[[2, 0]], [7, 5])
    torch.testing.assert_close(few, found[[2, 0]], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("n", "there"), [(3, 5), (5, 5), (7, 3)])
def test_every_reference_is_drawn_once_before_any_is_drawn_again(linear, n, there):
    """References that are all of one level: the mean distance from them tells which were drawn."""
    levels = 2.0 ** -torch.arange(1, there + 1, dtype=torch.float64)
    references = levels.view(-1, 1, 1, 1).expand(there, 3, 6, 8)
    found = ExpectedGradients(n_samples=n).with_references(references)
    found = found.attribute(linear, torch.ones(1, 3, 6, 8).double(), TARGET[:1], [9])
    mean = 1 - (found[0].double() / linear[1].weight[0].view(3, 6, 8)).median()
    order, _ = drawn(9, n, there)
    torch.testing.assert_close(mean, levels[order].mean(), rtol=1e-5, atol=0)
    counts = np.bincount(order, minlength=there)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    ("references", "found"),
    [
        (None, "found none"),
        (pictures(0), r"found those of shape \(0, 3, 6, 8\)"),
        (pictures(2)[..., :7], r"found those of shape \(2, 3, 6, 7\)"),
    ],
)
def test_without_training_patches_like_it_no_patch_is_explained(linear, references, found):
    method = ExpectedGradients() if references is None else ExpectedGradients().with_references(references)
    with pytest.raises(
        AttributionError, match=rf"from training patches; expected some of shape \(R, 3, 6, 8\).*{found}"
    ):
        method.attribute(linear, pictures(3), TARGET, SEEDS)


def test_a_method_says_whether_it_needs_training_patches():
    method = ExpectedGradients(n_samples=5)
    with_some = method.with_references(pictures(2))
    assert (with_some.n_samples, method.references) == (5, None)
    assert repr(with_some) == repr(method) == "ExpectedGradients(n_samples=5, in_flight=32)"
    assert with_some == method
    assert isinstance(method, Referring)
    assert not isinstance(SmoothGrad(), Referring)
