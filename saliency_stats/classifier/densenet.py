"""DenseNet classifiers of RGB patches: built by torchvision, fed raw pixels, with ImageNet's weights or a file's."""

import json
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.error import URLError

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torchvision import models

from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.weights import load_state, read_state
from saliency_stats.errors import ClassifierError, StudyError
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


def build(architecture: str, weights: str, seed: int) -> PatchClassifier:
    """Build the network a study asks for.

    Parameters
    ----------
    weights
        ``imagenet``, ``none`` (random initialisation), or the path of a ``.safetensors``, ``.pt`` or
        ``.pth`` file with torchvision's keys.
    seed
        Seed of the random initialisation (of the whole network, or of the two-class layer only when the
        file has another number of classes).

    Raises
    ------
    ClassifierError
        If weights cannot be read or downloaded, or do not fit; the message says what to fetch and where to put it.
    """
    model = initialise(architecture, seed)
    if weights == "none":
        return model
    state = _imagenet_state(architecture) if weights == "imagenet" else read_state(Path(weights))
    renamed = {_current_key(key): value for key, value in state.items()}
    own = model.backbone.state_dict()
    if "classifier.weight" in renamed and renamed["classifier.weight"].shape != own["classifier.weight"].shape:
        # another task's classes: the two-class layer starts fresh, as the abstract's does
        renamed |= {key: own[key] for key in ("classifier.weight", "classifier.bias")}
    load_state(model.backbone, renamed, source=weights, architecture=architecture)
    return model


def save_weights(model: PatchClassifier, path: Path) -> None:
    """Write the network's weights with torchvision's keys as safetensors.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in model.backbone.state_dict().items()}
    content = save(state, metadata={"architecture": model.architecture, "labels": ",".join(LABELS)})
    # written by Python, whose errors tell a full disk from others
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
        state: Mapping[str, Tensor] = _WEIGHTS[architecture].get_state_dict(
            progress=False, check_hash=True, weights_only=True, map_location="cpu"
        )
    except (URLError, TimeoutError, ConnectionError) as error:
        raise ClassifierError(
            f"weights: imagenet: the weights of {architecture} are not in torchvision's cache and could not be "
            f"downloaded ({error}). Fetch {url} on a machine with a connection and put the file at {path}, or set "
            f"classifier.weights to 'none' or to a file of yours"
        ) from error
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        # torch's own words advise loading the file without protection; they are left out
        raise ClassifierError(
            f"weights: imagenet: {path} is broken or not a torch file ({type(error).__name__}). "
            f"Delete it and fetch {url} again"
        ) from error
    return state


def _current_key(key: str) -> str:
    key = key.removeprefix("module.").removeprefix("backbone.")
    match = _OLD_KEY.match(key)
    return match.group(1) + match.group(2) if match else key
