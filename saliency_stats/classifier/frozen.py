"""Split a network at its head: what is frozen is computed once, and only what is trained is computed in each epoch.

The layers of the head, and everything that follows from them, are the trained part; what flows into it from the rest
does
not depend on the trained weights (batch normalisation and dropout in evaluation mode). The split is exact: it is
tried on
an image before it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from saliency_stats.classifier.graphs import graph_of, module_at
from saliency_stats.classifier.network import BACKBONE, NetworkClassifier


@dataclass(frozen=True)
class Split:
    """A network in two.

    Parameters
    ----------
    frozen
        From images (N, 3, H, W) to what flows into the head, each with N rows.
    head
        From these to logits (N, 2); its trained parameters are the network's own.
    """

    frozen: Callable[[Tensor], tuple[Tensor, ...]]
    head: nn.Module


class Still(nn.Module):
    """A module that stays in evaluation mode: dropout and batch normalisation in it do not learn."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner.eval()

    def train(self, mode: bool = True) -> "Still":  # noqa: ARG002, FBT001, FBT002  (torch's signature)
        """Stay in evaluation mode."""
        return super().train(mode=False)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute what the inner module does."""
        like = next(self.inner.parameters())
        made: Tensor = self.inner(*(values.to(like.dtype) for values in inputs))
        return made


class _ClassLayer(nn.Module):
    def __init__(self, model: NetworkClassifier) -> None:
        super().__init__()
        self.layer, self.group = model.backbone.get_submodule(model.layers.class_layer), model.group

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.group(self.layer(features))
        return logits


class _Graph(nn.Module):
    def __init__(self, model: NetworkClassifier, graph: fx.GraphModule) -> None:
        super().__init__()
        self.graph, self.group = graph, model.group

    def forward(self, *inputs: Tensor) -> Tensor:
        logits: Tensor = self.group(self.graph(*inputs))
        return logits


def split(model: NetworkClassifier, images: Tensor) -> Split | None:
    """Split a network; None where it can only be computed as a whole.

    Parameters
    ----------
    model
        In evaluation mode.
    images
        (N, 3, H, W) to try the split on.
    """
    ways = (_at_the_class_layer, _by_the_graph) if len(model.layers.head) == 1 else (_by_the_graph,)
    for way in ways:
        try:
            made = way(model)
            if made is not None and _is_exact(model, made, images):
                return made
        except Exception:  # noqa: BLE001, S112  (whatever a network's own code raises in parts: it is computed as a whole)
            continue
    return None


def _is_exact(model: NetworkClassifier, made: Split, images: Tensor) -> bool:
    with torch.no_grad():
        inputs = made.frozen(images)
        whole = all(isinstance(values, Tensor) and len(values) == len(images) for values in inputs)
        return whole and torch.allclose(made.head(*inputs), model(images), rtol=1e-4, atol=1e-5)


def _at_the_class_layer(model: NetworkClassifier) -> Split:
    """Take the inputs of the layer of classes from a run of the whole network."""

    def frozen(images: Tensor) -> tuple[Tensor, ...]:
        seen: list[Tensor] = []
        layer = model.backbone.get_submodule(model.layers.class_layer)
        hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            model(images)
        finally:
            hook.remove()
        (features,) = seen
        return (features,)

    return Split(frozen, Still(_ClassLayer(model)))


def _by_the_graph(model: NetworkClassifier) -> Split | None:
    """Cut the graph of the computation where what is trained begins."""
    graph = graph_of(model.backbone)
    if graph is None:
        return None
    trained = _trained_nodes(model, graph)
    between = [node for node in graph.nodes if node not in trained and _flows_into(node, trained)]
    # constants and weights are had without an image
    flowing = [node for node in between if node.op != "get_attr"]
    before, known = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in graph.nodes:
        if node not in trained and node.op != "output":
            known[node] = before.node_copy(node, known.__getitem__)
    before.output(tuple(known[node] for node in flowing))
    after, known = fx.Graph(), {}
    for node in flowing:
        known[node] = after.placeholder(node.name)
    for node in graph.nodes:
        if node in trained or (node in between and node not in flowing):
            known[node] = after.node_copy(node, known.__getitem__)
    lower, upper = (fx.GraphModule(model.backbone, part) for part in (before, after))
    lower.graph.eliminate_dead_code()
    lower.recompile()

    def frozen(images: Tensor) -> tuple[Tensor, ...]:
        made: tuple[Tensor, ...] = lower.eval()(model.normalise(model.fit(images)))
        return made

    return Split(frozen, Still(_Graph(model, upper)))


def _trained_nodes(model: NetworkClassifier, graph: fx.Graph) -> set[fx.Node]:
    """Name the nodes that compute with a weight of the head, or with what another such node made."""
    head = tuple(name.removeprefix(BACKBONE) for name in model.head)
    trained: set[fx.Node] = set()
    for node in graph.nodes:
        module = module_at(model.backbone, node)
        own = module is not None and any(
            f"{node.target}.{name}".startswith(head) for name, _ in module.named_parameters()
        )
        weight = node.op == "get_attr" and str(node.target).startswith(head)
        if own or weight or node.op == "output" or any(source in trained for source in node.all_input_nodes):
            trained.add(node)
    return trained


def _flows_into(node: fx.Node, trained: set[fx.Node]) -> bool:
    return any(user in trained for user in node.users)
