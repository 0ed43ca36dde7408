"""The cached head is the network: same logits, same trained weights as end-to-end frozen training."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from saliency_stats.classifier import head
from saliency_stats.classifier.augmentation import Augmentation
from saliency_stats.classifier.building import initialise
from saliency_stats.classifier.densenet import PatchClassifier, layers_of
from saliency_stats.classifier.frozen import Split
from saliency_stats.classifier.head import Activations, Head, activations, cache, freeze_all_but_head
from saliency_stats.classifier.samples import ImageSamples
from saliency_stats.classifier.training import TrainingParameters, fit

HEAD = {"features.denseblock4.denselayer2.conv2.weight", "classifier.weight", "classifier.bias"}


@pytest.fixture(scope="module")
def network(small_densenets) -> PatchClassifier:
    model = initialise("densenet201", 3)
    # a network fresh from initialisation has trivial normalisation, with which mistakes in it would not show
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return model.eval()


def test_head_on_cached_activations_is_the_network(network):
    model = copy.deepcopy(network).double()
    images = torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        expected = model(images)
        found = Head(model)(*activations(model, images))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_the_abstracts_network_needs_the_shapes_that_are_published():
    """DenseNet-201 whole, without memory: names and shapes are enough."""
    model = initialise("densenet201", 0)
    with torch.device("meta"):
        model.backbone = models.DenseNet(32, (6, 12, 48, 32), 64, num_classes=2)
        model.layers = layers_of(model.backbone)
        bottleneck, pooled = activations(model.to("meta").eval(), torch.empty(1, 3, 256, 256))
    assert (bottleneck.shape, pooled.shape) == ((1, 128, 8, 8), (1, 1888))
    assert model.head == ("backbone.features.denseblock4.denselayer32.conv2.", "backbone.classifier.")


def test_exactly_the_head_is_trained(network):
    model = copy.deepcopy(network)
    model.backbone.features.conv0.weight.requires_grad_(requires_grad=False)
    model.backbone.classifier.bias.requires_grad_(requires_grad=False)  # as some other training left it
    freeze_all_but_head(model)
    assert {name for name, p in model.backbone.named_parameters() if p.requires_grad} == HEAD
    assert {name for name, _ in Head(model).named_parameters()} == {
        "conv2.weight",
        "classifier.weight",
        "classifier.bias",
    }


def whole_split(model: PatchClassifier) -> Split:
    return Split(lambda images: head.activations(model, images), Head(model))


class _Frozen(nn.Module):
    """End-to-end frozen training: the whole network runs each time, in evaluation mode."""

    def __init__(self, model: PatchClassifier) -> None:
        super().__init__()
        self.model = model

    def train(self, mode: bool = True) -> "_Frozen":  # noqa: ARG002, FBT001, FBT002  (torch's signature)
        return super().train(mode=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images)


def test_training_the_cached_head_equals_end_to_end_frozen_training(network, cohort_of):
    cohort = cohort_of([(64, 64)] * 7)
    parameters = TrainingParameters(epochs=3, batch_size=3, learning_rate=1e-2, precision="float32")
    samples = ImageSamples(cohort, cohort.table, Augmentation(dihedral=False, stain=0), 5, torch.device("cpu"))
    trained = []
    for cached in (False, True):
        model = copy.deepcopy(network)
        freeze_all_but_head(model)
        module: nn.Module = Head(model) if cached else _Frozen(model)
        fit(module, cache(whole_split(model), samples, 4, dtype=np.float32) if cached else samples, None, parameters)
        trained.append(model.backbone.state_dict())
    end_to_end, head = trained
    start = network.backbone.state_dict()
    for name, value in end_to_end.items():
        torch.testing.assert_close(head[name], value, rtol=1e-4, atol=1e-6)
        assert torch.equal(value, start[name]) == (name not in HEAD), name


def test_half_precision_cache_changes_logits_little(network, cohort_of):
    cohort = cohort_of([(64, 64)] * 4)
    samples = ImageSamples(cohort, cohort.table, Augmentation(), 0, torch.device("cpu"))
    logits = []
    for dtype in (np.float32, np.float16):
        cached = cache(whole_split(network), samples, 2, dtype=dtype)
        (inputs, _), *_ = cached.batches(4, None)
        with torch.no_grad():
            logits.append(Head(network)(*inputs))
    assert cached.activations[0][0].dtype == np.float16
    torch.testing.assert_close(logits[1], logits[0], rtol=0, atol=5e-3)


def test_patches_of_several_sizes_are_cached_in_their_own_order(network, cohort_of):
    cohort = cohort_of([(64, 64), (32, 64), (64, 64), (32, 64)])
    samples = ImageSamples(cohort, cohort.table, Augmentation(), 0, torch.device("cpu"))
    cached = cache(whole_split(network), samples, 2)
    assert [values.shape for values in cached.activations[0]] == [(8, 2, 2), (8, 1, 2)] * 2
    for index in range(4):
        image = torch.from_numpy(cohort.read(index).image).permute(2, 0, 1)[None] / 255
        torch.testing.assert_close(
            torch.from_numpy(cached.activations[1][index]), activations(network, image)[1][0], rtol=1e-4, atol=1e-4
        )


def test_the_cache_is_told_of(network, cohort_of):
    cohort = cohort_of([(32, 32)] * 5)
    samples = ImageSamples(cohort, cohort.table, Augmentation(), 4, torch.device("cpu"))
    ticks: list[int] = []
    cached = cache(whole_split(network), samples, 2, tick=ticks.append)
    assert ticks == [2, 2, 1]
    assert (cached.seed, cached.activations[0][0].dtype, cached.activations[1][0].dtype) == (4, np.float16, np.float32)
    assert cached.targets.tolist() == [0, 1, 0, 1, 0]
    assert cached.n_batches(2) == 3


def test_epochs_of_the_cache_have_the_order_of_the_images(network, cohort_of):
    cohort = cohort_of([(32, 32)] * 7)
    plain = Augmentation(dihedral=False, stain=0)
    samples = ImageSamples(cohort, cohort.table, plain, 4, torch.device("cpu"))
    cached = cache(whole_split(network), samples, 4, dtype=np.float32)
    for epoch in (None, 0, 3):
        for ((images,), targets), ((bottleneck, pooled), others) in zip(
            samples.batches(3, epoch), cached.batches(3, epoch), strict=True
        ):
            assert torch.equal(targets, others)
            expected = activations(network, images)
            torch.testing.assert_close(bottleneck, expected[0], rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(pooled, expected[1], rtol=1e-4, atol=1e-4)


def test_the_normalisation_is_the_networks_own_to_its_epsilon(network):
    model = copy.deepcopy(network).double()
    model.backbone.features.norm5.eps = 0.5
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(Head(model)(*activations(model, images)), model(images), rtol=1e-10, atol=1e-10)


def test_activations_are_computed_once_in_the_batches_of_what_goes_together(network, cohort_of, monkeypatch):
    cohort, seen = cohort_of([(32, 32)] * 6 + [(32, 64)] * 4), []
    samples = ImageSamples(cohort, cohort.table, Augmentation(), 5, torch.device("cpu"))
    monkeypatch.setattr(
        head, "activations", lambda model, images: seen.append(tuple(images.shape)) or activations(model, images)
    )
    ticks = []
    shared = Activations([cohort.table[:8], cohort.table[8:], cohort.table[:0]])
    assert shared.n_waiting == 10
    some = replace(samples, table=cohort.table.iloc[[9, 0, 7]].assign(label=["malignant", "benign", "benign"]), seed=6)
    found = shared.of(whole_split(network), some, 4, ticks.append)
    assert (shared.n_waiting, ticks) == (0, [3, 3, 2, 2])
    assert seen == [(3, 3, 32, 32), (3, 3, 32, 32), (2, 3, 32, 64), (2, 3, 32, 64)]
    expected = [
        cache(whole_split(network), replace(samples, table=part), 4) for part in (cohort.table[:8], cohort.table[8:])
    ]
    for at, (part, row) in enumerate([(1, 1), (0, 0), (0, 7)]):
        np.testing.assert_array_equal(found.activations[0][at], expected[part].activations[0][row])
        np.testing.assert_array_equal(found.activations[1][at], expected[part].activations[1][row])
    assert (found.targets.tolist(), found.seed, found.device) == ([1, 0, 0], 6, samples.device)
    seen.clear()
    again = shared.of(whole_split(network), samples, 4, ticks.append)
    assert (seen, len(ticks), len(again.activations[0])) == ([], 4, 10)
