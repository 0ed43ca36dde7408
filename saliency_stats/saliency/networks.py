"""The networks that look at a patch: the trained one and its controls, of one magnification at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from saliency_stats.classifier.densenet import PatchClassifier, build
from saliency_stats.saliency.controls import control_of
from saliency_stats.seeds import derive
from saliency_stats.vocabulary import TRAINED


@dataclass(eq=False)
class Networks(Mapping[float, Mapping[str, PatchClassifier]]):
    """Networks by magnification and name, loaded when they are asked for; those of the last magnification are kept.

    A DenseNet-201 weighs 80 MB, and a study of four magnifications with a cascade has thirty-two of them.

    Parameters
    ----------
    controls
        As a study file names them; those that are networks count.
    seed
        From which control networks are drawn.
    folder
        Folder of the trained weights, see :func:`weights_path`.
    magnifications
        At which there are networks.
    """

    architecture: str
    controls: tuple[str, ...]
    seed: int
    folder: Path
    magnifications: tuple[float, ...]
    device: torch.device
    _kept: dict[float, dict[str, PatchClassifier]] = field(default_factory=dict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # another process loads its own
        kept = (self.architecture, self.controls, self.seed, self.folder, self.magnifications, self.device)
        return type(self), kept

    def __getitem__(self, magnification: float) -> dict[str, PatchClassifier]:
        if magnification not in self.magnifications:
            raise KeyError(magnification)
        with self._lock:
            if magnification not in self._kept:
                # workers that still use the others hold them until they are done
                self._kept.clear()
                self._kept[magnification] = self._load(magnification)
            return self._kept[magnification]

    def __iter__(self) -> Iterator[float]:
        return iter(self.magnifications)

    def __len__(self) -> int:
        return len(self.magnifications)

    def _load(self, magnification: float) -> dict[str, PatchClassifier]:
        models = {TRAINED: self._trained(magnification, TRAINED)}
        seed = derive(self.seed, "randomised", magnification)
        for control in map(control_of, self.controls):
            if control.build is not None:
                models |= control.build(models[TRAINED], seed)
            elif control.relabel is not None:
                models |= {name: self._trained(magnification, name) for name in control.models}
        # gradients are taken with respect to the pixels alone; frozen weights keep fewer activations in memory
        return {
            name: model.to(self.device).to(memory_format=torch.channels_last).eval().requires_grad_(requires_grad=False)
            for name, model in models.items()
        }

    def _trained(self, magnification: float, name: str) -> PatchClassifier:
        path = weights_path(self.folder, magnification, name)
        return build(self.architecture, str(path), seed=0, trained=False)


def weights_path(folder: Path, magnification: float, name: str = TRAINED) -> Path:
    """Say where a trained network of a run is kept."""
    return folder / f"{name}-{magnification:g}x.safetensors"
