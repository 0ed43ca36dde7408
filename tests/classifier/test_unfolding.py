"""Every ReLU a module that is called once."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from saliency_stats.classifier.unfolding import ClippedByReLUs, unfold
from saliency_stats.errors import AttributionError


class Mixed(nn.Module):
    """ReLUs as modules, shared, as functions, as methods; another non-linearity that is shared."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.relu, self.six = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.ReLU6()
        self.gelu, self.fc = nn.GELU(), nn.Linear(4, 2)

    def forward(self, images):
        values = self.relu(self.conv(images))
        values = self.six(4 * self.six(3 * values))
        values = functional.relu(values - 0.1) + torch.relu(values - 0.2) + (values - 0.3).relu()
        values = functional.relu6(self.gelu(values) + self.gelu(values - 1))
        return self.fc(self.relu(input=values.mean((2, 3))))


def test_each_relu_is_a_module_of_its_own_and_the_numbers_stay():
    network = Mixed().eval()
    images = torch.randn(2, 3, 8, 8)
    twin = unfold(network, "mixed")
    torch.testing.assert_close(twin(images), network(images))
    calls = []
    for module in twin.modules():
        if isinstance(module, nn.ReLU | nn.GELU):
            module.register_forward_hook(lambda module, *_: calls.append(id(module)))
    twin(images)
    # two of the shared module, three functions and a method less one, two for each of three ReLU6, two GELUs
    assert len(calls) == len(set(calls)) == 2 + 3 + 6 + 2
    assert not any(isinstance(module, nn.ReLU6) for module in twin.modules())
    assert {name for name, _ in twin.named_parameters()} == {name for name, _ in network.named_parameters()}
    assert all(value is network.get_parameter(name) for name, value in twin.named_parameters())
    assert isinstance(network.six, nn.ReLU6)
    assert not network.relu._forward_hooks
    assert network.relu.inplace


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_kept(training):
    twin = unfold(Mixed().train(training), "mixed")
    assert all(module.training == training for module in twin.modules())


def test_relu6_is_two_relus():
    values = torch.tensor([-1.0, 0.0, 2.5, 6.0, 7.0])
    torch.testing.assert_close(ClippedByReLUs()(values), functional.relu6(values))


def test_what_cannot_be_traced_is_told_with_another_method():
    class Asking(nn.Module):
        def forward(self, images):
            return images if images.sum() > 0 else -images

    with pytest.raises(
        AttributionError, match=r"python:mine:build cannot be taken apart into layers .* such as gradient or"
    ):
        unfold(Asking(), "python:mine:build")


def test_layers_that_are_shared_and_non_linearities_that_are_not_stay_the_networks_own():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.gelu = nn.Conv2d(3, 3, 1), nn.GELU()

        def forward(self, images):
            return self.gelu(self.conv(self.conv(images)))

    network = Recurrent()
    twin = unfold(network, "recurrent")
    assert twin.conv is network.conv
    assert twin.gelu is network.gelu
    assert len(list(twin.children())) == 2
