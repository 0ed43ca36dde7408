"""The graph of a network's computation (torch.fx), as far as it can be traced."""

import copy
from threading import Lock
from typing import Any, Final

from torch import fx, nn

#: Graphs by the structure of the network. While torch.fx traces, it takes over the calls of *every* module, those of
#: other threads as well: a network is traced once, which a run does before its workers begin.
_GRAPHS: Final[dict[tuple[Any, ...], fx.Graph | None]] = {}
_LOCK: Final = Lock()


class LayerTracer(fx.Tracer):
    """Traces down to layers: torch's own modules, and others' kinds of convolution, dense layer and normalisation."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell whether a module is one step."""
        kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.LayerNorm, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001
        return super().is_leaf_module(m, module_qualified_name) or isinstance(m, kinds)


def graph_of(network: nn.Module) -> fx.Graph | None:
    """Trace a network, once for all networks that are built alike.

    Returns
    -------
    Graph or None
        A copy to change at will; None where the network's code asks for the values of its inputs, which only exist when
        it is run.
    """
    structure = _structure(network)
    with _LOCK:
        if structure not in _GRAPHS:
            try:
                _GRAPHS[structure] = LayerTracer().trace(network)
            except Exception:  # noqa: BLE001  (whatever a network's own code raises when it is given no numbers)
                _GRAPHS[structure] = None
        return copy.deepcopy(_GRAPHS[structure])


def _structure(network: nn.Module) -> tuple[Any, ...]:
    """Say what decides which computation a network's code makes: its modules and their plain attributes."""
    plain = (bool, int, float, str, tuple, type(None))
    return tuple(
        (name, type(one), *(f"{key}={value}" for key, value in sorted(vars(one).items()) if isinstance(value, plain)))
        for name, one in network.named_modules()
    )


def module_at(network: nn.Module, node: Any) -> nn.Module | None:
    """Return the module that a node of the graph calls, if it calls one."""
    return network.get_submodule(node.target) if node.op == "call_module" else None
