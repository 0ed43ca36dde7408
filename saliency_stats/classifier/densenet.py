"""DenseNet classifiers of RGB patches: built by torchvision, fed raw pixels, with ImageNet's weights or a file's."""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.error import URLError

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torchvision import models

from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.weights import Weights, load_state, read_state, tensors_of
from saliency_stats.errors import ClassifierError, StudyError, shown
from saliency_stats.vocabulary import LABELS

ARCHITECTURES: Final = ("densenet121", "densenet169", "densenet201")
#: ImageNet's channel means and standard deviations, for inputs in [0, 1].
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)

_WEIGHTS: Final = {
    "densenet121": models.DenseNet121_Weights.IMAGENET1K_V1,
    "densenet169": models.DenseNet169_Weights.IMAGENET1K_V1,
    "densenet201": models.DenseNet201_Weights.IMAGENET1K_V1,
}
# The published files predate torchvision's present module names ("norm.1" is "norm1" today).
_OLD_KEY: Final = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$"
)
#: Weights and bias of the layer of classes.
_CLASS_LAYER: Final = ("classifier.weight", "classifier.bias")


class PatchClassifier(Classifier):
    """A DenseNet that takes raw pixels and returns one logit per class.

    The normalisation by ImageNet's mean and standard deviation is the first step *inside* the module, so
    that gradients are those with respect to the raw pixel in [0, 1].

    Raises
    ------
    StudyError
        For an unknown architecture.
    """

    # a block goes with the layer that follows it; the normalisation before the classifier belongs to the last block
    parts: Mapping[str, tuple[str, ...]] = MappingProxyType(
        {
            "classifier": ("backbone.classifier.",),
            "denseblock4": ("backbone.features.denseblock4.", "backbone.features.norm5."),
            "denseblock3": ("backbone.features.denseblock3.", "backbone.features.transition3."),
            "denseblock2": ("backbone.features.denseblock2.", "backbone.features.transition2."),
            "denseblock1": ("backbone.features.denseblock1.", "backbone.features.transition1."),
            "stem": ("backbone.features.conv0.", "backbone.features.norm0."),
        }
    )
    # a stride of 16 px: the fourth block has 32, which leaves a patch of 96 to 256 px with 3 to 8 values a side
    cam_layer = "backbone.features.denseblock3"
    #: In what respects the file that it was built from is not used as it is.
    notes: tuple[str, ...] = ()

    def __init__(self, architecture: str = "densenet201") -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise StudyError(
                f"classifier.architecture: {architecture!r} is unknown; choose one of {', '.join(ARCHITECTURES)}"
            )
        self.architecture = architecture
        self.normalise = Normalisation(IMAGENET_MEAN, IMAGENET_STD)
        self.backbone: Any = getattr(models, architecture)(weights=None, num_classes=len(LABELS))

    def forward(self, images: Tensor) -> Tensor:
        """Classify images (N, 3, H, W), float in [0, 1]: logits (N, 2) in the order of ``LABELS``."""
        logits: Tensor = self.backbone(self.normalise(images))
        return logits

    @property
    def head(self) -> tuple[str, ...]:
        """The abstract's two layers: the second convolution of the last dense layer, and the two-class layer."""
        last = list(self.backbone.features.denseblock4)[-1]
        return f"backbone.features.denseblock4.{last}.conv2.", "backbone.classifier."

    def fresh(self, seed: int) -> "PatchClassifier":
        """Build the same architecture with torchvision's random initialisation; see :func:`initialise`."""
        return initialise(self.architecture, seed)

    def stepwise(self) -> nn.Module:
        """Return ``DenseNet.forward`` step by step: its last ReLU is a function, and no module.

        The same logits to the bit, from the same layers under the same names, in the same mode.
        """
        steps = nn.Sequential(
            OrderedDict(
                features=self.backbone.features,
                relu=nn.ReLU(),
                pool=nn.AdaptiveAvgPool2d((1, 1)),
                flatten=nn.Flatten(1),
                classifier=self.backbone.classifier,
            )
        )
        return nn.Sequential(OrderedDict(normalise=self.normalise, backbone=steps)).train(self.training)


class Normalisation(nn.Module):
    """Subtract a mean and divide by a standard deviation, channel by channel; neither is part of ``state_dict``."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images (N, 3, H, W)."""
        return (images - self.mean) / self.std


def initialise(architecture: str, seed: int) -> PatchClassifier:
    """Build a network with torchvision's random initialisation, drawn from ``seed`` alone.

    torchvision draws from torch's global generator; its state is put back, so nothing else is disturbed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PatchClassifier(architecture)


def build(
    architecture: str,
    weights: str,
    seed: int,
    *,
    trained: bool = True,
    say: Callable[[str], object] = lambda _: None,
) -> PatchClassifier:
    """Build the network a study asks for.

    Parameters
    ----------
    weights
        ``imagenet``, ``none`` (random initialisation), or the path of a ``.safetensors``, ``.pt`` or
        ``.pth`` file with torchvision's keys.
    seed
        Seed of the random initialisation (of the whole network, or of the two-class layer only when the
        file has another number of classes).
    trained
        Whether the network is trained afterwards. If not, the file must have two classes: no layer may stay random.
    say
        Called with every respect in which a file is not used as it is; the network keeps them as ``notes``.

    Raises
    ------
    ClassifierError
        If weights cannot be read or downloaded, or do not fit; the message says what to fetch and where to put it.
    """
    model = initialise(architecture, seed)
    if weights == "none":
        return model
    found = Weights(_imagenet_state(architecture)) if weights == "imagenet" else read_state(Path(weights))
    if found.labels not in {None, ",".join(LABELS)}:
        raise ClassifierError(
            f"classifier.weights: {weights} has the classes {shown(found.labels)}; expected "
            f"{','.join(LABELS)}, in this order"
        )
    state = {_current_key(key): value for key, value in found.tensors.items()}
    if len(state) < len(found.tensors):
        raise ClassifierError(
            f"classifier.weights: {weights} names a layer in two ways, as norm.1 and as norm1; expected one of them"
        )
    notes, own = [*found.notes], model.backbone.state_dict()
    kinds = {str(value.dtype).removeprefix("torch.") for value in state.values() if value.is_floating_point()}
    if kinds - {"float32"}:
        notes.append(f"numbers of the type {', '.join(sorted(kinds))} are computed with in float32")
    n_classes = _classes(state, own)
    if n_classes not in {None, len(LABELS)}:
        if not trained:
            raise ClassifierError(
                f"classifier.weights: {weights}: classifier.trainable: none needs a file with two classes (found "
                f"{n_classes}): the class layer would be random. Set classifier.trainable to head or all, or give a "
                f"file whose two outputs are {' and '.join(LABELS)}"
            )
        # another task's classes: the two-class layer starts fresh, as the abstract's does
        classes = f"{n_classes} class{'es' * (n_classes != 1)}"
        notes.append(f"its layer of {classes} is left out; the layer of two classes starts at random")
        state |= {key: own[key] for key in _CLASS_LAYER}
    elif found.labels is None:
        notes.append(f"its two classes are taken as {' and '.join(LABELS)}, in this order")
    load_state(model.backbone, state, source=weights, architecture=architecture)
    model.notes = tuple(notes)
    for note in notes:
        say(f"classifier.weights: {weights}: {note}")
    return model


def save_weights(model: PatchClassifier, path: Path) -> None:
    """Write the network's weights with torchvision's keys as safetensors, with its ``notes``.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in model.backbone.state_dict().items()}
    about = {"architecture": model.architecture, "labels": ",".join(LABELS)}
    content = save(state, metadata=about | ({"notes": "\n".join(model.notes)} if model.notes else {}))
    # written by Python, whose errors say why: the library's own say of a full disk nothing that could be told
    path.write_bytes(_ordered(content))


def _ordered(content: bytes) -> bytes:
    """Put the notes of a safetensors file in order: the library writes them in another one each time."""
    start = 8
    end = start + int.from_bytes(content[:start], "little")
    header = json.loads(content[start:end])
    notes = {"__metadata__": dict(sorted(header.pop("__metadata__").items()))}
    return (
        content[:start] + json.dumps(notes | header, separators=(",", ":")).encode().ljust(end - start) + content[end:]
    )


def weight_notes(path: Path) -> list[str]:
    """Say in what respects the file was not used as it is from which weights of a run started."""
    with safe_open(path, framework="pt") as file:
        return str((file.metadata() or {}).get("notes", "")).splitlines()


def imagenet_file(architecture: str) -> tuple[str, Path]:
    """Say where torchvision fetches ImageNet weights from, and where it keeps them."""
    url: str = _WEIGHTS[architecture].url
    return url, Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


def imagenet_path(architecture: str) -> Path:
    """Return the path of the ImageNet weights in torchvision's cache, fetched if they are not there.

    Raises
    ------
    ClassifierError
        If they cannot be fetched.
    """
    path = imagenet_file(architecture)[1]
    if not path.is_file():
        _imagenet_state(architecture)
    return path


def _imagenet_state(architecture: str) -> Mapping[str, Tensor]:
    url, path = imagenet_file(architecture)
    try:
        state = _WEIGHTS[architecture].get_state_dict(
            progress=False, check_hash=True, weights_only=True, map_location="cpu"
        )
    except (URLError, TimeoutError, ConnectionError) as error:
        raise ClassifierError(
            f"weights: imagenet: the weights of {architecture} are not in torchvision's cache and could not be "
            f"downloaded ({error}). Fetch {url} on a machine with a connection and put the file at {path}, or set "
            f"classifier.weights to 'none' or to a file of yours"
        ) from error
    except Exception as error:
        # a damaged file makes torch raise anything; its words advise loading without protection and are left out
        raise ClassifierError(
            f"weights: imagenet: {path} is broken or not a torch file ({type(error).__name__}). "
            f"Delete it and fetch {url} again"
        ) from error
    return tensors_of(state, path)


def _classes(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> int | None:
    """Count the classes of a state_dict of this architecture; None where it has no such layer."""
    layer, expected = state.get(_CLASS_LAYER[0]), own[_CLASS_LAYER[0]]
    fits = layer is not None and layer.dim() == expected.dim() and layer.shape[1:] == expected.shape[1:]
    return layer.shape[0] if layer is not None and fits else None


def _current_key(key: str) -> str:
    match = _OLD_KEY.match(key)
    return match.group(1) + match.group(2) if match else key
