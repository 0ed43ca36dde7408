"""Build the network that a study asks for, with the weights it asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.densenet import ARCHITECTURES, PARTS, PatchClassifier, current_key, densenet, layers_of
from saliency_stats.classifier.layers import Layers, calls_of, find_layers, with_named
from saliency_stats.classifier.network import NetworkClassifier
from saliency_stats.classifier.preprocessing import Preprocessing
from saliency_stats.classifier.probing import kept_of, noise, probe
from saliency_stats.classifier.sources import OwnModule, Source, Torchvision, source_of
from saliency_stats.classifier.weights import Weights, load_state, read_state, wrapping
from saliency_stats.errors import ClassifierError, StudyError, shown
from saliency_stats.vocabulary import LABELS

#: Published weights by name; anything else that is not ``none`` is a path.
PUBLISHED: Final = ("imagenet", "own")
#: Bytes of the largest DenseNet's weights, and those that it keeps of a pixel until its gradient is computed.
DENSENET_BYTES, DENSENET_KEPT = 85_000_000, 4_000


@dataclass(frozen=True)
class Examined:
    """What was found of an architecture when it was tried.

    Parameters
    ----------
    preprocessing
        Resolved; a size where images are fitted to it.
    layers
        Found or named.
    n_outputs
        Outputs, unless a file of weights has another number.
    n_bytes
        What its weights take.
    kept
        Bytes of an input pixel that it keeps until its gradient is computed.
    notes
        What a reader should know, in words.
    """

    preprocessing: Preprocessing
    layers: Layers
    n_outputs: int
    n_bytes: int
    kept: float
    notes: tuple[str, ...]


def initialise(architecture: str | Architecture, seed: int, n_outputs: int | None = None) -> NetworkClassifier:
    """Build a network with random weights, drawn from ``seed`` alone.

    Networks are initialised from torch's global generator; its state is put back, so nothing else is disturbed.

    Raises
    ------
    StudyError
        If there is no such architecture.
    ClassifierError
        If the network cannot be used, with everything that is wrong with it.
    """
    architecture = _named(architecture)
    source, name = source_of(architecture.name)
    if is_known(architecture):
        n = n_outputs or architecture.outputs.least
        backbone = _seeded(seed, partial(densenet, name, n))
        layers = with_named(backbone, layers_of(backbone), architecture.layers)
        preprocessing = architecture.preprocessing.otherwise(source.preprocessing(name))
        again = partial(initialise, architecture, n_outputs=n)
        known = PatchClassifier(architecture, backbone, preprocessing, layers, n, again)
        known.notes = tuple(_changes(architecture, preprocessing.size_px, n))
        return known
    found = examined(architecture)
    n = n_outputs or found.n_outputs
    made = _seeded(seed, partial(source.network, name, n)).float()
    again = partial(initialise, architecture, n_outputs=n)
    model = NetworkClassifier(architecture, made, found.preprocessing, found.layers, n, again)
    model.notes = found.notes
    return model


@cache
def examined(architecture: Architecture) -> Examined:
    """Try an architecture that is not known in advance: once in a process, with weights that matter to nobody.

    Raises
    ------
    StudyError
        If there is no such architecture.
    ClassifierError
        With everything that is wrong with it.
    """
    (source, name), stated, outputs = source_of(architecture.name), architecture.preprocessing, architecture.outputs
    known = source.preprocessing(name)
    network = _seeded(0, partial(source.sample, name, outputs.least))
    tried = probe(network, outputs, architecture.name, stated.size_px, known.size_px)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in network.parameters():
            if not parameter.any():  # layers that start at zero would hide what the logits depend on
                parameter.normal_(0.0, 0.05)
    images = noise(tried.size_px).requires_grad_()
    with torch.enable_grad():
        (calls, logits), kept = kept_of(network, lambda: calls_of(network, images))
        layers = find_layers(network, calls, logits, images, architecture.layers)
    n_bytes = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    resolved = replace(stated.otherwise(known), size_px=tried.size_px if tried.fixed else None)
    notes, each = _notes(architecture, layers, resolved.size_px, tried.n_outputs), kept / images[:, 0].numel()
    return Examined(resolved, layers, tried.n_outputs, n_bytes, each, tuple(notes))


def is_known(architecture: Architecture) -> bool:
    """Tell whether a network's inside is known in advance, and need not be found by trying it."""
    return architecture.name in ARCHITECTURES


def parts_of(architecture: Architecture) -> tuple[str, ...]:
    """Name the parts of a network from the top, without building one where they are known in advance."""
    if architecture.layers.parts:
        return architecture.layers.parts
    return tuple(PARTS if is_known(architecture) else examined(architecture).layers.parts)


def weight_bytes(architecture: Architecture) -> int:
    """Say from above what the weights of a network take, on disk or in memory."""
    return DENSENET_BYTES if is_known(architecture) else examined(architecture).n_bytes


def kept_bytes(architecture: Architecture, pixels: float, at_once: float = 0.0) -> float:
    """Say what a network keeps of an image of so many pixels, or of ``at_once``, until its gradient is computed."""
    found = None if is_known(architecture) else examined(architecture)
    size = (found or architecture).preprocessing.size_px  # to which images are resized
    return (found.kept if found else DENSENET_KEPT) * max(at_once, size**2 if size else pixels)


def _notes(architecture: Architecture, layers: Layers, size: int | None, n_outputs: int) -> list[str]:
    """Say what was found of an architecture that is not known in advance."""
    alone = " alone: no convolution stands directly before it" if len(layers.head) == 1 else ""
    return [
        f"its head (trainable: head) is {' and '.join(layers.head)}{'' if architecture.layers.head else alone}",
        f"Grad-CAM explains {layers.gradcam}" if layers.gradcam else "Grad-CAM has no layer whose output is a grid",
        *_changes(architecture, size, n_outputs),
    ]


def _changes(architecture: Architecture, size: int | None, n_outputs: int) -> list[str]:
    """Say what is done to patches before a network sees them, and to its outputs."""
    left = architecture.outputs.left_out(n_outputs)
    where = "" if architecture.preprocessing.size_px else ", the only size that it takes"
    return [
        *([f"patches of another size are resized to {size} × {size} px inside the network{where}"] if size else []),
        *([f"outputs {', '.join(map(str, left))} stand for neither class and are left out"] if left else []),
    ]


def build(
    architecture: str | Architecture,
    weights: str,
    seed: int,
    *,
    trained: bool = True,
    say: Callable[[str], object] = lambda _: None,
) -> NetworkClassifier:
    """Build the network a study asks for.

    Parameters
    ----------
    weights
        ``none`` (random initialisation), ``imagenet``, ``own`` (those that come with a factory or a model of a hub), or
        the path of a ``.safetensors``, ``.pt`` or ``.pth`` file with the network's keys.
    seed
        Seed of the random initialisation (of the whole network, or of the layer of classes only when the
        file has another number of classes).
    trained
        Whether the network is trained afterwards. If not, the file must have its classes: no layer may stay random.
    say
        Called with every respect in which a network or a file is not used as it is; the network keeps them as
        ``notes``.

    Raises
    ------
    ClassifierError
        If weights cannot be read or downloaded, or do not fit; the message says what to fetch and where to put it.
    """
    architecture = _named(architecture)
    model = initialise(architecture, seed)
    for note in model.notes:
        say(f"classifier.architecture: {architecture.name}: {note}")
    if weights == "none":
        return model
    source, name = source_of(architecture.name)
    found = _published(source, name, architecture, weights, seed) if weights in PUBLISHED else read_state(Path(weights))
    state = _renamed(model.backbone, found, weights)
    notes = [*found.notes, *_other_precision(state)]
    n_classes = _classes(state, model, features=not is_known(architecture))
    if (
        architecture.outputs.stated
        and n_classes not in {None, 0, model.n_outputs}
        and not isinstance(source, OwnModule)
    ):
        fault = architecture.outputs.fault(n_classes or 0)
        if fault:
            raise ClassifierError(f"classifier.weights: {weights} {fault}")
        model = initialise(architecture, seed, n_classes)
    if found.labels not in {None, model.labels}:
        raise ClassifierError(
            f"classifier.weights: {weights} has the classes {shown(found.labels)}; expected {model.labels}, "
            "in this order"
        )
    words = "two" if model.n_outputs == len(LABELS) else str(model.n_outputs)
    if n_classes not in {None, model.n_outputs}:
        if not trained:
            raise ClassifierError(
                f"classifier.weights: {weights}: classifier.trainable: none needs a file with {words} classes (found "
                f"{n_classes}): the class layer would be random. Set classifier.trainable to head or all, or give a "
                f"file whose {words} outputs are {architecture.outputs.words(model.n_outputs)}"
            )
        # another task's classes: the layer of classes starts fresh, as the abstract's does
        classes = f"{n_classes} class{'es' * (n_classes != 1)}"
        lost = f"its layer of {classes} is left out" if n_classes else "it has no layer of classes"
        notes.append(f"{lost}; the layer of {words} classes starts at random")
        state |= _class_layer(model)
    elif found.labels is None:
        taken = architecture.outputs.words(model.n_outputs)
        notes.append(f"its {words} classes are taken as {taken}, in this order")
    load_state(model.backbone, state, source=weights, architecture=architecture.name, keys=source.keys)
    model.notes = (*model.notes, *notes)
    for note in notes:
        say(f"classifier.weights: {weights}: {note}")
    return model


def _named(architecture: str | Architecture) -> Architecture:
    return Architecture(architecture) if isinstance(architecture, str) else architecture


def _seeded(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _published(source: Source, name: str, architecture: Architecture, weights: str, seed: int) -> Weights:
    if weights not in source.weights:
        raise StudyError(
            f"classifier.weights: {architecture.name} has no weights called {weights!r}; expected "
            f"{', '.join(source.weights)}, none or the path of a file"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # a factory may start at random
        return Weights(source.published(name))


def _renamed(backbone: nn.Module, found: Weights, weights: str) -> dict[str, Tensor]:
    """Give the tensors of a file the names of the network."""
    # what read_state takes for a wrapping may be the name of the network's only child
    inside = wrapping(backbone.state_dict())
    state = {f"{inside}{current_key(key.removeprefix(inside))}": value for key, value in found.tensors.items()}
    if len(state) < len(found.tensors):
        raise ClassifierError(
            f"classifier.weights: {weights} names a layer in two ways, as norm.1 and as norm1; expected one of them"
        )
    return state


def _other_precision(state: Mapping[str, Tensor]) -> list[str]:
    """Say which types of numbers a file has beside float32."""
    kinds = {str(value.dtype).removeprefix("torch.") for value in state.values() if value.is_floating_point()}
    return (
        [f"numbers of the type {', '.join(sorted(kinds))} are computed with in float32"] if kinds - {"float32"} else []
    )


def _class_layer(model: NetworkClassifier) -> dict[str, Tensor]:
    """Return the tensors of the layer of classes."""
    inside = f"{model.layers.class_layer}."
    return {key: value for key, value in model.backbone.state_dict().items() if key.startswith(inside)}


def _classes(state: Mapping[str, Tensor], model: NetworkClassifier, *, features: bool) -> int | None:
    """Count the classes of a state_dict of this architecture; None where it has no such layer.

    Where ``features`` alone may be given, as foundation models are published, one without any has 0.
    """
    if features and not _class_layer(model).keys() & state.keys():
        return 0
    name = f"{model.layers.class_layer}.weight"
    layer, expected = state.get(name), model.backbone.state_dict().get(name)
    if layer is None or expected is None:
        return None
    fits = layer.dim() == expected.dim() and layer.shape[1:] == expected.shape[1:]
    return layer.shape[0] if fits else None


def imagenet_file(architecture: str) -> tuple[str, Path]:
    """Say where torchvision fetches ImageNet weights of one of its networks from, and where it keeps them."""
    source = Torchvision()
    return source.address(architecture), source.file(architecture)


def published_path(architecture: str) -> Path | None:
    """Return the path of published weights, fetched if they are not there; None where a library keeps them its own way.

    Raises
    ------
    ClassifierError
        If they cannot be fetched.
    """
    source, name = source_of(architecture)
    path = source.file(name)
    if path is not None and not path.is_file():
        source.published(name)
    return path
