"""Nothing of what a network learned is left when it starts anew."""

import torch
from torch import nn

from saliency_stats.classifier.random_start import reinitialise


class Learned(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.temperature = nn.Parameter(torch.linspace(-1, 3, 1000)), nn.Parameter(torch.tensor(2.0))
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.attention = nn.MultiheadAttention(4, 2)
        with torch.no_grad():
            for parameter in [*self.conv.parameters(), *self.norm.parameters(), *self.attention.parameters()]:
                parameter.fill_(7.0)
            self.norm.running_mean.fill_(7.0)


def test_layers_start_as_they_do_and_other_tensors_lose_their_pattern():
    network = Learned()
    before = network.token.detach().clone()
    torch.manual_seed(1)
    reinitialise(network)
    assert not any(parameter.eq(7).any() for parameter in network.parameters())
    assert network.norm.weight.eq(1).all()
    assert network.norm.running_mean.eq(0).all()
    assert network.temperature.item() == 2
    token = network.token.detach()
    assert abs(torch.corrcoef(torch.stack([token, before]))[0, 1]) < 0.1
    assert abs(token.mean() - before.mean()) < 0.15
    assert abs(token.std() - before.std()) < 0.1


def test_the_same_seed_gives_the_same_network():
    states = []
    for seed in (1, 1, 2):
        network = Learned()
        torch.manual_seed(seed)
        reinitialise(network)
        states.append(network.state_dict())
    for key in ("token", "conv.weight", "attention.in_proj_weight"):
        assert torch.equal(states[0][key], states[1][key])
        assert not torch.equal(states[0][key], states[2][key])
