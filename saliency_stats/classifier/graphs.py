"""The graph of a network's computation (torch.fx), as far as it can be traced."""

from typing import Any

from torch import fx, nn


class LayerTracer(fx.Tracer):
    """Traces down to layers: torch's own modules, and others' kinds of convolution, dense layer and normalisation."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell whether a module is one step."""
        kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.LayerNorm, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001
        return super().is_leaf_module(m, module_qualified_name) or isinstance(m, kinds)


def graph_of(network: nn.Module) -> fx.Graph | None:
    """Trace a network; None where its code asks for the values of its inputs, which only exist when it is run."""
    try:
        return LayerTracer().trace(network)
    except Exception:  # noqa: BLE001  (whatever a network's own code raises when it is given no numbers)
        return None


def module_at(network: nn.Module, node: Any) -> nn.Module | None:
    """Return the module that a node of the graph calls, if it calls one."""
    return network.get_submodule(node.target) if node.op == "call_module" else None
