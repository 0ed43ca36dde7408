"""DenseNet classifiers of RGB patches: built by torchvision, fed raw pixels, loaded without running foreign code."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision import models

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


class PatchClassifier(nn.Module):
    """A DenseNet that takes raw pixels and returns one logit per class.

    The normalisation by ImageNet's mean and standard deviation is the first step *inside* the module, so
    that gradients are those with respect to the raw pixel in [0, 1].

    Parameters
    ----------
    architecture
        One of :data:`ARCHITECTURES`.

    Raises
    ------
    StudyError
        For an unknown architecture.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: str = "densenet201") -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise StudyError(
                f"classifier.architecture: {architecture!r} is unknown; choose one of {', '.join(ARCHITECTURES)}"
            )
        self.architecture = architecture
        self.backbone: Any = getattr(models, architecture)(weights=None, num_classes=len(LABELS))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """Normalise images (N, 3, H, W) in [0, 1] as ImageNet networks expect them."""
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        """Classify images (N, 3, H, W), float in [0, 1]: logits (N, 2) in the order of ``LABELS``."""
        logits: Tensor = self.backbone(self.normalise(images))
        return logits


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
    architecture
        One of :data:`ARCHITECTURES`.
    weights
        ``imagenet``, ``none`` (random initialisation), or the path of a ``.safetensors``, ``.pt`` or
        ``.pth`` file with torchvision's keys.
    seed
        Seed of the random initialisation (of the whole network, or of the two-class layer only when the
        file has another number of classes).

    Raises
    ------
    ClassifierError
        If weights cannot be had or do not fit; the message says what to fetch and where to put it.
    """
    model = initialise(architecture, seed)
    if weights == "none":
        return model
    state = _imagenet_state(architecture) if weights == "imagenet" else _read_state(Path(weights))
    _load(model, state, source=weights)
    return model


def save_weights(model: PatchClassifier, path: Path) -> None:
    """Write the network's weights with torchvision's keys as safetensors."""
    state = {key: value.detach().cpu().contiguous() for key, value in model.backbone.state_dict().items()}
    save_file(state, path, metadata={"architecture": model.architecture, "labels": ",".join(LABELS)})


def imagenet_file(architecture: str) -> tuple[str, Path]:
    """Say where torchvision fetches ImageNet weights from, and where it keeps them."""
    url: str = _WEIGHTS[architecture].url
    return url, Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


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


def _read_state(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ClassifierError(
            f"classifier.weights: there is no file {path}; expected 'imagenet', 'none' or a "
            f".safetensors, .pt or .pth file"
        )
    if path.suffix not in {".safetensors", ".pt", ".pth"}:
        raise ClassifierError(
            f"classifier.weights: {path} has the ending {path.suffix!r}; expected .safetensors, .pt or .pth"
        )
    try:
        # weights_only refuses everything but tensors and plain containers: no code in the file is run
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise ClassifierError(
            f"classifier.weights: {path} is no torch file, or holds more than tensors; code in a weights file is never "
            f"run. Save the state_dict alone, best as .safetensors"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise ClassifierError(
            f"classifier.weights: {path} cannot be read ({str(error).splitlines()[0]}); expected a state_dict saved as "
            f"safetensors or by torch.save. Is the file complete?"
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ClassifierError(f"classifier.weights: {path} does not hold a state_dict (names to tensors)")
    return state


def _load(model: PatchClassifier, state: Mapping[str, Tensor], source: str) -> None:
    renamed = {_current_key(key): value for key, value in state.items()}
    own = model.backbone.state_dict()
    if "classifier.weight" in renamed and renamed["classifier.weight"].shape != own["classifier.weight"].shape:
        # another task's classes: the two-class layer starts fresh, as the abstract's does
        renamed["classifier.weight"], renamed["classifier.bias"] = (
            own["classifier.weight"],
            own["classifier.bias"],
        )
    missing = [key for key in own if key not in renamed and not key.endswith("num_batches_tracked")]
    unknown = [key for key in renamed if key not in own]
    shapes = [key for key in own if key in renamed and own[key].shape != renamed[key].shape]
    if missing or unknown or shapes:
        raise ClassifierError(
            f"classifier.weights: {source} does not fit {model.architecture}: {len(missing)} tensors missing"
            f"{_some(missing)}, {len(unknown)} unknown{_some(unknown)}, {len(shapes)} of another shape{_some(shapes)}. "
            f"Expected a state_dict with torchvision's keys; is classifier.architecture right?"
        )
    model.backbone.load_state_dict(renamed, strict=False)


def _current_key(key: str) -> str:
    key = key.removeprefix("module.").removeprefix("backbone.")
    match = _OLD_KEY.match(key)
    return match.group(1) + match.group(2) if match else key


def _some(keys: list[str]) -> str:
    return f" ({', '.join(keys[:3])}{', …' if len(keys) > len(keys[:3]) else ''})" if keys else ""
