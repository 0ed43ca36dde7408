"""Each method is timed by itself, per patch, and the fastest of several tries counts."""

import pytest
import torch
from torch import nn

from saliency_stats.measurement import costs
from saliency_stats.measurement.costs import seconds_per_patch
from saliency_stats.saliency.maps import MapPlan


@pytest.fixture
def network():
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def test_the_fastest_of_the_tries_is_divided_by_the_patches(network, monkeypatch):
    asked, clock, ticks = [], iter([0, 8, 10, 14, 20, 30, *[100, 101] * 3]), []
    monkeypatch.setattr(costs, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(costs, "network_maps", lambda *given: asked.append(given))
    plan = MapPlan(("gradient", "gradient_x_input"), controls=("sobel",), signed=True)
    images, target = torch.rand(4, 3, 16, 16), torch.zeros(4, dtype=torch.long)
    found = seconds_per_patch(network, images, target, plan, tick=ticks.append)
    assert found == {"gradient": 1.0, "gradient_x_input": 0.25}
    assert ticks == [1, 1]
    assert [given[-1].methods for given in asked] == [("gradient",)] * 3 + [("gradient_x_input",)] * 3
    assert not any(given[-1].signed or given[-1].controls for given in asked)


def test_maps_are_really_made(network):
    images, target = torch.rand(2, 3, 16, 16), torch.tensor([0, 1])
    found = seconds_per_patch(network, images, target, MapPlan(("gradient",)), repeats=1)
    assert 0 < found["gradient"] < 60
