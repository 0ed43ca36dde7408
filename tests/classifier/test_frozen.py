"""A head that is trained on what the frozen rest made once is the network trained end to end."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from saliency_stats.classifier.augmentation import Augmentation
from saliency_stats.classifier.building import build
from saliency_stats.classifier.frozen import Still, split
from saliency_stats.classifier.head import cache, freeze_all_but_head, split_of, whole
from saliency_stats.classifier.samples import ImageSamples
from saliency_stats.classifier.training import TrainingParameters, fit

#: Inputs of the head of images of 32 px: what flows into the last convolution, or into the layer of classes.
INPUTS = {
    "resnet": [(512, 1, 1), (512, 1, 1)],
    "efficientnet": [(16, 4, 4)],
    "mobilenet": [(8, 16, 16)],
    "convnext": [(16,)],
    "vit": [(16,)],
    "swin": [(32,)],
}


def started(name, tiny_networks):
    model = build(tiny_networks(name), "own", 0)
    freeze_all_but_head(model)
    return model.eval()


def images():
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", INPUTS)
def test_the_two_parts_together_are_the_network(name, tiny_networks):
    model = started(name, tiny_networks)
    made = split(model, images())
    inputs = made.frozen(images())
    assert sorted(tuple(values.shape[1:]) for values in inputs) == sorted(INPUTS[name])
    assert not any(values.requires_grad for values in inputs)
    with torch.no_grad():
        torch.testing.assert_close(made.head(*inputs), model(images()), rtol=1e-5, atol=1e-6)
        # more images, and fewer
        torch.testing.assert_close(made.head(*made.frozen(images()[:1])), model(images()[:1]), rtol=1e-5, atol=1e-6)
    trained = {id(one) for one in made.head.parameters() if one.requires_grad}
    assert trained == {id(one) for one in model.parameters() if one.requires_grad}


@pytest.mark.parametrize("name", ["resnet", "efficientnet", "vit"])
def test_training_it_equals_training_the_frozen_network_end_to_end(name, tiny_networks, cohort_of):
    cohort = cohort_of([(32, 32)] * 7)
    parameters = TrainingParameters(epochs=3, batch_size=3, learning_rate=1e-2, precision="float32")
    samples = ImageSamples(cohort, cohort.table, Augmentation(dihedral=False, stain=0), 5, torch.device("cpu"))
    start = started(name, tiny_networks)
    logs, trained = [], []
    for cached in (False, True):
        model = copy.deepcopy(start)
        if cached:
            made = split_of(model, samples)
            logs.append(fit(made.head, cache(made, samples, 4, dtype=np.float32), None, parameters))
        else:
            logs.append(fit(whole(model), samples, None, parameters))
        trained.append(model.state_dict())
    np.testing.assert_allclose(logs[0]["loss_train"], logs[1]["loss_train"], rtol=1e-4)
    for key, value in trained[0].items():
        torch.testing.assert_close(trained[1][key], value, rtol=1e-3, atol=1e-5)
        assert torch.equal(value, start.state_dict()[key]) == (not key.startswith(start.head)), key


def test_a_module_that_is_still_neither_drops_nor_learns_statistics():
    inner = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5), nn.Linear(2, 2))
    still = Still(inner)
    before = copy.deepcopy(inner.state_dict())
    still.train()
    found = still(torch.rand(4, 2, dtype=torch.float16))
    assert not any(module.training for module in still.modules())
    assert found.dtype == torch.float32
    assert all(torch.equal(value, before[key]) for key, value in inner.state_dict().items())


class Untraceable(nn.Module):
    """Its code asks for the numbers, which a trace does not have."""

    def __init__(self, scale):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 4, 4, 4), nn.BatchNorm2d(4)
        self.fc, self.scale = nn.Linear(4, 2), scale

    def forward(self, inputs):
        values = self.norm(self.conv(inputs))
        logits = self.fc(values.mean((2, 3)) if float(inputs.detach().sum()) > 0 else values.amax((2, 3)))
        return self.scale * logits


def brought(monkeypatch, scale, **named):
    import sys  # noqa: PLC0415
    from types import ModuleType  # noqa: PLC0415

    from saliency_stats.classifier.architecture import Architecture  # noqa: PLC0415
    from saliency_stats.classifier.layers import NamedLayers  # noqa: PLC0415

    module = ModuleType(f"untraceable_{scale}")
    module.build = lambda: Untraceable(scale)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    model = build(Architecture(f"python:{module.__name__}:build", layers=NamedLayers(**named)), "own", 0)
    freeze_all_but_head(model)
    return model.eval()


def test_what_cannot_be_traced_is_split_at_its_layer_of_classes_alone(monkeypatch):
    model = brought(monkeypatch, 1.0, head=("fc",))
    made = split(model, images())
    (features,) = made.frozen(images())
    assert features.shape == (3, 4)
    assert split(brought(monkeypatch, 1.0), images()) is None


def test_a_split_that_is_not_the_network_is_not_used(monkeypatch):
    assert split(brought(monkeypatch, 2.0, head=("fc",)), images()) is None


def test_activations_that_half_precision_cannot_hold_stay_in_single(tiny_networks, cohort_of):
    cohort = cohort_of([(32, 32)] * 2)
    samples = ImageSamples(cohort, cohort.table, Augmentation(), 5, torch.device("cpu"))
    model = started("mobilenet", tiny_networks)
    made = split_of(model, samples)
    assert cache(made, samples, 2).activations[0][0].dtype == np.float16
    with torch.no_grad():
        model.backbone[0][1].weight *= 1e6
        model.backbone[0][2] = nn.ReLU()
    large = cache(split_of(model, samples), samples, 2).activations[0][0]
    assert large.dtype == np.float32
    assert np.isfinite(large).all()
    assert large.max() > 65_504
