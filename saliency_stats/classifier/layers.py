"""The inside of a network, found or named: the layers that ``head`` trains, Grad-CAM's layer, the parts."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from saliency_stats.classifier.grids import Grid, grid_of
from saliency_stats.errors import ClassifierError, listed, shortened

#: Side of an image over the side of Grad-CAM's layer, at most: a stride of 32 leaves a patch of 96 px 3 values a side.
_STRIDE: Final = 16
#: Parts of a network: as many as DenseNet has. A control network is built for each.
MOST_PARTS: Final = 6


@dataclass(frozen=True)
class NamedLayers:
    """Layers that a study file names, as ``named_modules`` of the network names them; what it does not name is found.

    Parameters
    ----------
    head
        Those that ``trainable: head`` trains; the last one is the layer of classes.
    gradcam
        The layer that Grad-CAM explains.
    parts
        From the top (next to the logits) to the bottom, for cascading randomisation: together they hold every tensor.
    """

    head: tuple[str, ...] = ()
    gradcam: str | None = None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layers:
    """What is known of a network's inside, by the names of its own modules.

    Parameters
    ----------
    head
        As in :class:`NamedLayers`.
    gradcam
        None where no layer's output is a grid.
    parts
        Names of tensors, or what they begin with, by the name of the part, from the top.
    """

    head: tuple[str, ...]
    gradcam: str | None
    parts: Mapping[str, tuple[str, ...]] = field(hash=False)

    @property
    def class_layer(self) -> str:
        """The layer whose outputs are the classes."""
        return self.head[-1]


class Call(NamedTuple):
    """A module that was called, and what it returned, in the order in which calls end."""

    name: str
    module: nn.Module
    output: Any


def calls_of(network: nn.Module, images: Tensor) -> tuple[list[Call], Any]:
    """Run a network once and note every call of a module inside it; returns them and the network's own output."""
    calls: list[Call] = []

    def noted(name: str) -> Callable[..., None]:
        return lambda module, _, output: calls.append(Call(name, module, output))

    hooks = [module.register_forward_hook(noted(name)) for name, module in network.named_modules() if name]
    try:
        return calls, network(images)
    finally:
        for hook in hooks:
            hook.remove()


def find_layers(
    network: nn.Module, calls: Sequence[Call], logits: Tensor, images: Tensor, named: NamedLayers
) -> Layers:
    """Find what a study file does not name.

    Parameters
    ----------
    network
        In evaluation mode.
    calls, logits
        Of ``images`` (N, 3, S, S), with their graph, from :func:`calls_of`.
    named
        What is named is taken as it is.

    Raises
    ------
    ClassifierError
        With every layer that is named and is not there.
    """
    head = named.head or _head(calls)
    parts = {} if named.parts else _parts(network, calls, head[-1])
    return with_named(network, Layers(head, named.gradcam or _gradcam(calls, logits, images), parts), named)


def with_named(network: nn.Module, known: Layers, named: NamedLayers) -> Layers:
    """Put layers that a study file names in the place of known ones.

    Raises
    ------
    ClassifierError
        With every layer that is named and is not there.
    """
    faults = list(_faults(network, named))
    if faults:
        raise ClassifierError(listed(faults))
    parts = {name: (_prefix(network, name),) for name in named.parts}
    return Layers(named.head or known.head, named.gradcam or known.gradcam, parts or known.parts)


def _faults(network: nn.Module, named: NamedLayers) -> Iterator[str]:
    modules, state = dict(network.named_modules()), list(network.state_dict())
    for key, names in (
        ("head", named.head),
        ("gradcam", [named.gradcam] if named.gradcam else []),
        ("parts", named.parts),
    ):
        for name in names:
            known = name in modules or (key == "parts" and name in state)
            if not known or not name:
                some = ", ".join([one for one in modules if one][-6:])
                yield f"classifier.layers.{key}: the network has no layer {shortened(name, 80)!r}; its last are {some}"
    if named.parts:
        prefixes = tuple(_prefix(network, name) for name in named.parts)
        lacking = [key for key in state if not key.startswith(prefixes)]
        if lacking:
            yield (
                f"classifier.layers.parts: {len(lacking)} of {len(state)} tensors are in no part "
                f"({', '.join(lacking[:3])}"
                f"{', …' * (len(lacking) > 3)}); expected all, from the layer of classes down"  # noqa: PLR2004
            )


def _prefix(network: nn.Module, name: str) -> str:
    """Say how the names of a module's tensors begin: "layer1." is not part of "layer10."."""
    return name if name in network.state_dict() else f"{name}."


def _head(calls: Sequence[Call]) -> tuple[str, ...]:
    """Take the layer of classes, and the last convolution if nothing but normalisation is learned between them."""
    learned = [call for call in calls if _is_leaf(call.module) and next(call.module.parameters(), None) is not None]
    if not learned:
        raise ClassifierError(
            "the network has no layer of its own that is learned and returns the classes; name it in "
            "classifier.layers.head"
        )
    *before, last = learned
    for call in reversed(before):
        if isinstance(call.module, nn.modules.conv._ConvNd):  # noqa: SLF001  (torch's own base class of all convolutions)
            return call.name, last.name
        if next(call.module.parameters()).dim() > 1:
            break
    return (last.name,)


def _gradcam(calls: Sequence[Call], logits: Tensor, images: Tensor) -> str | None:
    """Take the last layer whose output is a fine enough grid that the logits depend on.

    Of images the outermost module with that grid, a stage rather than a layer in it. Of the last block of a transformer
    only the class token is read: its other tokens have no gradient there, but in the layers before.
    """
    seen = sizes_of(calls)
    grids = [(call, grid) for call in calls if (grid := grid_of(call.output, images, seen)) and min(grid.shape) > 1]
    fine = [(call, grid) for call, grid in grids if min(grid.shape) * _STRIDE >= images.shape[-1]]
    for some in (fine, grids):
        last = next(((call, grid) for call, grid in reversed(some) if _matters(call, grid, logits)), None)
        if last is None:
            continue
        if last[1].layout == "tokens":
            # queries, keys and values together, or the inside of a block, are wider than a token
            widths = [call.output.shape[2] for call, grid in some if grid.layout == "tokens"]
            width = Counter(widths).most_common(1)[0][0]
            whole = ((call, grid) for call, grid in reversed(some) if call.output.shape[-1] == width)
            return next((str(call.name) for call, grid in whole if _matters(call, grid, logits)), str(last[0].name))
        same = [(call, grid) for call, grid in reversed(some) if (grid.layout, grid.shape) == last[1][:2]]
        outermost = sorted(same, key=lambda one: one[0].name.count("."))
        return next(str(call.name) for call, grid in outermost if _matters(call, grid, logits))
    return None


def _matters(call: Call, grid: Grid, logits: Tensor) -> bool:
    """Tell whether the logits depend on a layer's output at the places of the image."""
    if not call.output.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(logits.sum(), call.output, retain_graph=True, allow_unused=True)
    return gradient is not None and bool(grid.image(gradient).any())


def sizes_of(calls: Sequence[Call]) -> frozenset[tuple[int, int]]:
    """Name the sizes of the images that layers return: a grid of tokens has the size of one of them."""
    shapes = [call.output.shape for call in calls if isinstance(call.output, Tensor) and call.output.dim() == 4]  # noqa: PLR2004
    return frozenset((int(shape[2]), int(shape[3])) for shape in shapes)


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def _parts(network: nn.Module, calls: Sequence[Call], class_layer: str) -> dict[str, tuple[str, ...]]:
    """Divide the tensors by the order in which layers are called, the layer of classes first; at most six parts."""
    ends = {call.name: at for at, call in enumerate(calls)}
    state = network.state_dict()
    units = _units(network, "", {key: value.numel() for key, value in state.items()}, class_layer)
    # what is called last is at the top; tensors outside of layers (class tokens, positions) belong to the bottom
    units.sort(key=lambda unit: ends.get(unit.removesuffix("."), -1), reverse=True)
    top = next(unit for unit in units if unit.removesuffix(".") == class_layer)
    steps: list[list[str]] = [[]]
    for unit in (unit for unit in units if unit != top):
        steps[-1].append(unit)
        # a normalisation goes with the layer below it
        if unit.endswith(".") and any(value.dim() > 1 for key, value in state.items() if key.startswith(unit)):
            steps.append([])
    if len(steps) > 1:
        steps[-2:] = [steps[-2] + steps[-1]]
    groups = np.array_split(np.arange(len(steps)), min(MOST_PARTS - 1, len(steps))) if steps[0] else []
    parts = [[unit for step in group for unit in steps[step]] for group in groups]
    return {_called([top]): (top,)} | {_called(part): tuple(part) for part in parts}


def _units(network: nn.Module, prefix: str, sizes: Mapping[str, int], class_layer: str) -> list[str]:
    """Divide a module into its children, and each that holds the layer of classes, or most of all, further."""
    module = network.get_submodule(prefix.removesuffix("."))
    own = [f"{prefix}{name}" for name in module.state_dict() if "." not in name]
    units = list(own)
    for name, _ in module.named_children():
        inner = f"{prefix}{name}."
        held = sum(size for key, size in sizes.items() if key.startswith(inner))
        divisible = any("." in key.removeprefix(inner) for key in sizes if key.startswith(inner))
        if not held:
            continue
        if divisible and (class_layer.startswith(inner) or 2 * held > sum(sizes.values())):
            units += _units(network, inner, sizes, class_layer)
        else:
            units.append(inner)
    return units


def _called(units: list[str]) -> str:
    first, last = units[0].removesuffix("."), units[-1].removesuffix(".")
    return first if first == last else f"{first} to {last}"
