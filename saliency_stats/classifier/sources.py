"""The registry of sources of architectures: this package, torchvision, timm, and modules of the user's own."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision import models

from saliency_stats.classifier import efficientnet_lite
from saliency_stats.classifier.imagenet_lite import lite_file
from saliency_stats.classifier.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from saliency_stats.classifier.random_start import reinitialise
from saliency_stats.classifier.weights import read_state, tensors_of
from saliency_stats.errors import ClassifierError, StudyError, shortened, shown
from saliency_stats.execution import custom
from saliency_stats.vocabulary import ARCHITECTURES


class Source(ABC):
    """Where networks of a kind come from.

    Attributes
    ----------
    weights
        What ``classifier.weights`` may be beside ``none`` and a path: ``imagenet``, ``own``.
    keys
        Whose names the tensors have.
    """

    weights: ClassVar[tuple[str, ...]] = ("imagenet",)
    keys: ClassVar[str] = "timm's"

    def check(self, name: str) -> None:  # noqa: B027  (a source may know every name)
        """Refuse a name that there is not, as far as that is known without building anything (StudyError)."""

    @abstractmethod
    def network(self, name: str, n_outputs: int) -> nn.Module:
        """Build a network with random weights, drawn from torch's generator."""

    def sample(self, name: str, n_outputs: int) -> nn.Module:
        """Build a network to try out: with the weights that its code gives it."""
        return self.network(name, n_outputs)

    @abstractmethod
    def preprocessing(self, name: str) -> Preprocessing:
        """Say what the weights expect, and the size they were trained with."""

    @abstractmethod
    def published(self, name: str) -> Mapping[str, Tensor]:
        """Return the tensors of the weights that come with a name."""

    def file(self, name: str) -> Path | None:  # noqa: ARG002  (where a library keeps them is its own affair)
        """Say which file the published weights are read from, if that is known."""
        return None


class Torchvision(Source):
    """Classifiers of torchvision by their names there."""

    keys: ClassVar[str] = "torchvision's"

    def network(self, name: str, n_outputs: int) -> nn.Module:
        """Build with torchvision's initialisation."""
        self.check(name)
        network: nn.Module = models.get_model(name, weights=None, num_classes=n_outputs)
        if getattr(network, "aux_logits", False):
            raise StudyError(
                f"classifier.architecture: torchvision:{name} has auxiliary classifiers, which its training would "
                "need; choose a network without, for example torchvision:resnet50"
            )
        return network

    def preprocessing(self, name: str) -> Preprocessing:
        """Return that of torchvision's transforms for the weights."""
        made = self._published(name).transforms()
        (size,) = made.crop_size
        return Preprocessing(tuple(made.mean), tuple(made.std), int(size))

    def published(self, name: str) -> Mapping[str, Tensor]:
        """Read from torchvision's cache, fetched and checked where they are not there."""
        url, path = self.address(name), self.file(name)
        try:
            state = self._published(name).get_state_dict(
                progress=False, check_hash=True, weights_only=True, map_location="cpu"
            )
        except (URLError, TimeoutError, ConnectionError) as error:
            raise ClassifierError(
                f"weights: imagenet: the weights of {name} are not in torchvision's cache and could not be "
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

    def address(self, name: str) -> str:
        """Say where torchvision fetches the weights from."""
        return str(self._published(name).url)

    def file(self, name: str) -> Path:
        """Say where torchvision keeps the weights."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.address(name).rsplit("/", 1)[1]

    def _published(self, name: str) -> Any:
        self.check(name)
        kinds = models.get_model_weights(name)
        return getattr(kinds, "IMAGENET1K_V1", None) or next(iter(kinds))

    def check(self, name: str) -> None:
        """Refuse what torchvision does not have."""
        known = models.list_models(module=models)
        if name not in known:
            near = [one for one in known if one[:4] == name[:4]] or known
            raise StudyError(
                f"classifier.architecture: torchvision has no classifier {shortened(name, 80)!r}; it has "
                f"{', '.join(near[:10])}{', …' * (len(near) > 10)}"  # noqa: PLR2004
            )


class Lite(Source):
    """EfficientNet-Lite, see :mod:`~saliency_stats.classifier.efficientnet_lite`."""

    def network(self, name: str, n_outputs: int) -> nn.Module:
        """Build with He's initialisation."""
        return efficientnet_lite.EfficientNetLite(efficientnet_lite.SCALES[name], n_outputs)

    def preprocessing(self, name: str) -> Preprocessing:
        """Return that of the published weights."""
        return Preprocessing(efficientnet_lite.MEAN, efficientnet_lite.STD, efficientnet_lite.SCALES[name].size_px)

    def published(self, name: str) -> Mapping[str, Tensor]:
        """Read what ``fetch imagenet-lite`` put into the cache."""
        path = lite_file(name)
        if not path.is_file():
            raise ClassifierError(
                f"weights: imagenet: the weights of {name} are not at {path}. Fetch them with `saliency-stats fetch "
                "imagenet-lite` (on a machine with a connection, then put the file there), or set "
                "classifier.weights to 'none' or to a file of yours"
            )
        return read_state(path).tensors

    def file(self, name: str) -> Path:
        """Say where they are kept."""
        return lite_file(name)


class Timm(Source):
    """Networks of timm by their names there, ``hf-hub:OWNER/NAME`` among them; timm is an extra."""

    weights: ClassVar[tuple[str, ...]] = ("imagenet", "own")

    def check(self, name: str) -> None:  # noqa: ARG002  (timm says which names it has when it builds one)
        """Refuse any where timm is not installed."""
        self._timm()

    def network(self, name: str, n_outputs: int) -> nn.Module:
        """Build with timm's initialisation."""
        return self._made(name, pretrained=False, num_classes=n_outputs)

    def preprocessing(self, name: str) -> Preprocessing:
        """Return that of timm's configuration of the name."""
        with torch.random.fork_rng(devices=[]):
            network = self._made(name, pretrained=False)
        about = dict(getattr(network, "pretrained_cfg", None) or getattr(network, "default_cfg", None) or {})
        mean, std, shape = (about.get(key) for key in ("mean", "std", "input_size"))
        size = int(shape[-1]) if shape else None
        return Preprocessing(tuple(mean) if mean else IMAGENET_MEAN, tuple(std) if std else IMAGENET_STD, size)

    def published(self, name: str) -> Mapping[str, Tensor]:
        """Let timm load the weights that come with the name, and take their tensors."""
        with torch.random.fork_rng(devices=[]):
            return dict(self._made(name, pretrained=True).state_dict())

    def _made(self, name: str, **options: Any) -> nn.Module:
        timm = self._timm()
        try:
            made: nn.Module = timm.create_model(name, **options)
        except Exception as error:
            if name.startswith(("hf-hub:", "hf_hub:")):
                owner = name.split(":", 1)[1].split("@", maxsplit=1)[0]
                raise ClassifierError(
                    f"classifier.architecture: timm:{shortened(name, 100)} cannot be loaded ({_reason(error)}). "
                    "On a machine "
                    f"with a connection run `hf download {owner}` (some models ask for an account that accepted their "
                    "licence), and copy the folder of the repository into the folder of the hub's cache here, "
                    "$HF_HOME/hub (usually ~/.cache/huggingface/hub)"
                ) from error
            if options.get("pretrained"):
                raise ClassifierError(
                    f"classifier.weights: timm could not load the weights of {shortened(name, 100)} "
                    f"({_reason(error)}). "
                    "Fetch them on a machine with a connection and copy timm's cache here ($HF_HOME/hub, usually "
                    "~/.cache/huggingface/hub), or give the path of a file as classifier.weights"
                ) from error
            raise StudyError(
                f"classifier.architecture: timm has no network {shortened(name, 100)!r} that can be built "
                f"({_reason(error)}); `timm.list_models()` names them"
            ) from error
        return made

    def _timm(self) -> Any:
        try:
            return importlib.import_module("timm")
        except ImportError as error:
            raise StudyError(
                "classifier.architecture: timm is not installed; `pip install 'saliency-stats[timm]'` brings it, "
                "or choose torchvision:NAME or python:package.module:factory"
            ) from error


class OwnModule(Source):
    """A factory of the user's own, ``package.module:factory``: called without arguments, it returns the network."""

    weights: ClassVar[tuple[str, ...]] = ("own",)
    keys: ClassVar[str] = "the network's own"

    def check(self, name: str) -> None:
        """Refuse a module or a factory that there is not."""
        custom.find(f"{custom.PREFIX}{name}", "factory")

    def sample(self, name: str, n_outputs: int) -> nn.Module:  # noqa: ARG002
        """Build as the factory does."""
        return self._made(name)

    def network(self, name: str, n_outputs: int) -> nn.Module:  # noqa: ARG002  (the factory knows)
        """Build, and forget what the factory's weights have learned."""
        made = self._made(name)
        reinitialise(made)
        return made

    def preprocessing(self, name: str) -> Preprocessing:  # noqa: ARG002
        """Take the factory at its word: it takes raw pixels in [0, 1]."""
        return Preprocessing()

    def published(self, name: str) -> Mapping[str, Tensor]:
        """Return the weights that the factory's network comes with."""
        return dict(self._made(name).state_dict())

    def _made(self, name: str) -> nn.Module:
        made = custom.make(f"{custom.PREFIX}{name}", "factory")
        if not isinstance(made, nn.Module):
            raise StudyError(
                f"classifier.architecture: {custom.PREFIX}{shortened(name)} returns {shown(made)}; expected a "
                "torch.nn.Module from images (N, 3, H, W) in [0, 1] to logits (N, K)"
            )
        return made


#: Source by what stands before the colon; to add one, put it here and its word in ``vocabulary``.
SOURCES: Final[dict[str, Source]] = {"torchvision": Torchvision(), "timm": Timm(), "python": OwnModule()}
_BUILTIN: Final = dict.fromkeys(efficientnet_lite.SCALES, Lite())


def source_of(architecture: str) -> tuple[Source, str]:
    """Return the source of an architecture of a study file, and its name there."""
    if architecture in _BUILTIN:
        return _BUILTIN[architecture], architecture
    prefix, _, name = architecture.partition(":")
    if architecture in ARCHITECTURES:
        return SOURCES["torchvision"], architecture
    if prefix not in SOURCES or not name:
        raise StudyError(
            f"classifier.architecture: {shortened(architecture, 100)!r} is unknown; choose one of "
            f"{', '.join(ARCHITECTURES)}, or torchvision:NAME, timm:NAME, python:package.module:factory"
        )
    return SOURCES[prefix], name


def _reason(error: Exception) -> str:
    return shortened(f"{type(error).__name__}: {error}".replace("\n", " "), 200)
