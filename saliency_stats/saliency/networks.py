"""The networks that look at a patch: trained ones and their controls, of one magnification and fold at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.building import build
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.together import Together, together
from saliency_stats.saliency.controls import control_of
from saliency_stats.saliency.naming import NetworkKey, folds_of, network_names, network_seed, stem_of
from saliency_stats.vocabulary import ONE_NETWORK, TRAINED


@dataclass(eq=False)
class Networks(Mapping[tuple[float, int], Mapping[NetworkKey, Classifier]]):
    """Networks by magnification and fold (0 without folds), then by what they are and their name.

    They are loaded when they are asked for; those of the last magnification and fold are kept. A DenseNet-201 weighs
    80 MB, and a study of four magnifications with a cascade has thirty-two of them for each of its networks.

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
    networks
        How many are trained side by side; each has controls of its own.
    folds
        How many folds have networks of their own; 0 is a study without folds.
    """

    architecture: Architecture
    controls: tuple[str, ...]
    seed: int
    folder: Path
    magnifications: tuple[float, ...]
    device: torch.device
    networks: int = 1
    folds: int = 0
    _kept: dict[tuple[float, int], Together[NetworkKey]] = field(default_factory=dict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # another process loads its own
        made = (self.architecture, self.controls, self.seed, self.folder, self.magnifications, self.device)
        return type(self), (*made, self.networks, self.folds)

    def __getitem__(self, place: tuple[float, int]) -> Together[NetworkKey]:
        if place not in list(self):
            raise KeyError(place)
        with self._lock:
            if place not in self._kept:
                # workers that still use the others hold them until they are done
                self._kept.clear()
                magnification, fold = place
                # all workers begin by asking for networks: while the first ones are split, none computes
                self._kept[place] = together(
                    {
                        NetworkKey(model, network): made
                        for network in network_names(self.networks, fold)
                        for model, made in self._load(magnification, network).items()
                    }
                )
            return self._kept[place]

    def __iter__(self) -> Iterator[tuple[float, int]]:
        return product(self.magnifications, folds_of(self.folds))

    def __len__(self) -> int:
        return len(self.magnifications) * len(folds_of(self.folds))

    def _load(self, magnification: float, network: str) -> dict[str, Classifier]:
        """Load a trained network, and make or load its controls."""
        models = {TRAINED: self._trained(magnification, TRAINED, network)}
        seed = network_seed(self.seed, "randomised", magnification, network=network)
        for control in map(control_of, self.controls):
            if control.build is not None:
                models |= control.build(models[TRAINED], seed)
            elif control.relabel is not None:
                models |= {name: self._trained(magnification, name, network) for name in control.models}
        # gradients are taken with respect to the pixels alone; frozen weights keep fewer activations in memory
        return {
            name: model.to(self.device).to(memory_format=torch.channels_last).eval().requires_grad_(requires_grad=False)
            for name, model in models.items()
        }

    def _trained(self, magnification: float, name: str, network: str) -> Classifier:
        path = weights_path(self.folder, magnification, name, network)
        return build(self.architecture, str(path), seed=0, trained=False)


def weights_path(folder: Path, magnification: float, name: str = TRAINED, network: str = ONE_NETWORK) -> Path:
    """Say where a trained network of a run is kept."""
    return folder / f"{stem_of(name, network)}-{magnification:g}x.safetensors"
