"""A network with every ReLU a module that is called once: what methods need that set hooks on non-linearities."""

import copy
from typing import Final

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from saliency_stats.classifier.graphs import graph_of, module_at
from saliency_stats.errors import AttributionError

_RELU_FUNCTIONS: Final = (functional.relu, torch.relu, functional.relu_, torch.relu_)
_RELU6_FUNCTIONS: Final = (functional.relu6,)


class ClippedByReLUs(nn.Module):
    """ReLU6 written with two ReLUs: relu(x) - relu(x - 6); the same numbers, but for rounding."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = nn.ReLU(), nn.ReLU()

    def forward(self, values: Tensor) -> Tensor:
        """Clip to 0 to 6."""
        clipped: Tensor = self.low(values) - self.high(values - 6.0)
        return clipped


def unfold(network: nn.Module, name: str) -> fx.GraphModule:
    """Write a network as a graph of layers, in which every ReLU is a module of its own.

    Functions become modules, a module that is called several times becomes as many, ReLU6 becomes two ReLUs. Layers
    keep
    their names and are the network's own.

    Parameters
    ----------
    network
        It is left as it is.
    name
        What a message calls it.

    Raises
    ------
    AttributionError
        If it cannot be traced.
    """
    graph = graph_of(network)
    if graph is None:
        raise AttributionError(
            f"{name} cannot be taken apart into layers (torch.fx cannot trace it), so that rules for ReLUs cannot "
            "be set; choose a method that needs the gradient alone, such as gradient or integrated_gradients"
        )
    made = fx.GraphModule(network, graph)
    used: set[str] = set()
    for number, node in enumerate(list(graph.nodes)):
        activation = _activation(network, node)
        if activation is None:
            continue
        target = str(node.target) if node.op == "call_module" else f"relu_{number}"
        if target in used or node.op != "call_module":
            target = f"{target}_call{number}"
        used.add(target)
        made.add_submodule(target, activation)
        with graph.inserting_before(node):
            step = graph.call_module(target, (node.args[0] if node.args else node.kwargs["input"],))
        node.replace_all_uses_with(step)
        graph.erase_node(node)
    made.recompile()
    return made.train(network.training)


def _activation(network: nn.Module, node: fx.Node) -> nn.Module | None:
    module = module_at(network, node)
    method = node.target if node.op == "call_method" else ""
    if isinstance(module, nn.ReLU6) or (node.op == "call_function" and node.target in _RELU6_FUNCTIONS):
        return ClippedByReLUs()
    function = node.op == "call_function" and node.target in _RELU_FUNCTIONS
    if isinstance(module, nn.ReLU) or function or method in {"relu", "relu_"}:
        return nn.ReLU()
    # other non-linearities that are called several times: one each, or hooks would mix the calls
    return None if module is None or not _is_repeated(node, module) else copy.deepcopy(module)


def _is_repeated(node: fx.Node, module: nn.Module) -> bool:
    elementwise = not list(module.parameters()) and not list(module.children())
    calls = [other for other in node.graph.nodes if other.op == "call_module" and other.target == node.target]
    return elementwise and len(calls) > 1
