"""Graphs of networks: traced once for all that are built alike, and never beside other threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from saliency_stats.classifier import graphs
from saliency_stats.classifier.graphs import LayerTracer, graph_of
from saliency_stats.classifier.unfolding import unfold


class Net(nn.Module):
    """A network whose computation depends on an attribute."""

    def __init__(self, *, twice=False, stops=False):
        super().__init__()
        self.twice, self.stops = twice, stops
        self.conv, self.relu = nn.Conv2d(3, 2, 3), nn.ReLU()

    def forward(self, images):
        if self.stops and images.sum() > 0:
            return images
        values = self.relu(self.conv(images))
        return values * 2 if self.twice else values


@pytest.fixture
def traced(monkeypatch):
    """Networks that are traced from now on."""
    monkeypatch.setattr(graphs, "_GRAPHS", {})
    found = []
    trace = LayerTracer.trace
    monkeypatch.setattr(LayerTracer, "trace", lambda self, root: found.append(root) or trace(self, root))
    return found


def test_networks_that_are_built_alike_are_traced_once_and_others_again(traced):
    first, again, other = Net(), Net(), Net(twice=True)
    graphs = [graph_of(network) for network in (first, again, other)]
    graph_of(first.eval())
    assert traced == [first, other, first]  # a mode is part of what is traced: dropout as a function has it
    assert len(graphs[2].nodes) == len(graphs[0].nodes) + 1
    images = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(unfold(other, "other")(images), other(images))


def test_what_cannot_be_traced_is_not_tried_again(traced):
    assert graph_of(Net(stops=True)) is None
    assert graph_of(Net(stops=True)) is None
    assert len(traced) == 1


def test_a_graph_is_ones_own(traced):
    network = Net()
    graph = graph_of(network)
    nodes = len(graph.nodes)
    graph.erase_node(next(node for node in reversed(graph.nodes) if node.op == "output"))
    assert len(graph_of(network).nodes) == nodes


def test_threads_compute_while_others_take_the_same_network_apart():
    network, images = Net().eval(), torch.rand(1, 3, 16, 16)
    graph_of(network)
    with torch.no_grad():
        expected = network(images)

    def once(number):
        with torch.no_grad():
            return (unfold(Net().eval(), "net") if number % 2 else network)(images)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(once, range(200)))
    assert all(torch.equal(one, expected) for one in made[::2])
