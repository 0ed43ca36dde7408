"""The saliency maps of a batch of patches: of every network, by every method, and those of the controls."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from saliency_stats.attribution.nulls import shifted
from saliency_stats.classifier.densenet import PatchClassifier
from saliency_stats.saliency import METHODS, logits_and_gradient, reduce_channels
from saliency_stats.saliency.image_maps import IMAGE_MAPS
from saliency_stats.seeds import derive
from saliency_stats.typing import Float32Array, Float64Array, FloatArray, UInt8Array
from saliency_stats.vocabulary import NO_REDUCTION, ONE_CHANNEL, TRAINED

SHIFT: Final = "shift"
#: Networks that every method explains; other controls have the study's own method alone.
_COMPARED: Final = (TRAINED, "randomised")


class MapKey(NamedTuple):
    """What a map is of: the ledger's columns."""

    model: str
    method: str
    reduction: str


@dataclass(frozen=True)
class MapPlan:
    """Which maps are made.

    Parameters
    ----------
    methods
        Of ``METHODS``; the first is the study's own, the others are for comparison.
    reductions
        Of the colour channels, the study's own first.
    images
        Image-only controls, of ``IMAGE_MAPS``.
    shift
        Whether the trained network's own map is also shifted at random.
    seed
        From which every random number is derived.
    """

    methods: tuple[str, ...] = ("gradient",)
    reductions: tuple[str, ...] = ("l2",)
    images: tuple[str, ...] = ()
    shift: bool = False
    seed: int = 0

    def own(self, model: str = TRAINED) -> MapKey:
        """Name the map of a network that the study judges by."""
        return MapKey(model, self.methods[0], self.reductions_of(self.methods[0])[0])

    def keys(self, networks: Iterable[str]) -> list[MapKey]:
        """Name every map that is made, of these networks and of the controls that need none."""
        made = [
            MapKey(model, method, reduction)
            for model in networks
            for method in self.methods_of(model)
            for reduction in self.reductions_of(method)
        ]
        return [*made, *(MapKey(name, name, NO_REDUCTION) for name in self.images), *[self.own(SHIFT)] * self.shift]

    def methods_of(self, model: str) -> tuple[str, ...]:
        """Say which methods explain a network."""
        return self.methods if model in _COMPARED else self.methods[:1]

    def reductions_of(self, method: str) -> tuple[str, ...]:
        """Say how the channels of a method's maps are reduced."""
        return (NO_REDUCTION,) if method in ONE_CHANNEL else self.reductions

    def alone(self) -> "MapPlan":
        """Plan for the maps that the study judges by, and no others."""
        return replace(self, methods=self.methods[:1], reductions=self.reductions[:1], images=(), shift=False)


def network_maps(
    models: Mapping[str, PatchClassifier], images: Tensor, target: Tensor, patch_ids: Sequence[str], plan: MapPlan
) -> tuple[dict[str, Float64Array], dict[MapKey, Float32Array]]:
    """Classify and explain a batch.

    Parameters
    ----------
    models
        Networks by name.
    images
        (N, 3, H, W) in [0, 1].
    target
        (N,) class whose logit is explained.
    patch_ids
        N names, from which noise is drawn.
    plan
        Which maps are wanted.

    Returns
    -------
    tuple of dict
        Logits (N, 2) by network, and maps (N, H, W).
    """
    logits: dict[str, Float64Array] = {}
    maps: dict[MapKey, Float32Array] = {}
    for model, network in models.items():
        methods = plan.methods_of(model)
        if "gradient" not in methods:
            with torch.no_grad():
                logits[model] = _numpy(network(images))
        for method in methods:
            if method == "gradient":
                scores, attribution = logits_and_gradient(network, images, target)
                logits[model] = _numpy(scores)
            else:
                seeds = [derive(plan.seed, method, patch_id) for patch_id in patch_ids]
                attribution = METHODS[method].attribute(network, images, target, seeds)
            for reduction in plan.reductions_of(method):
                reduced = reduce_channels(attribution, "l1" if method in ONE_CHANNEL else reduction)
                maps[MapKey(model, method, reduction)] = reduced.cpu().numpy()
    return logits, maps


def control_maps(
    trained: Float32Array,
    images: Sequence[UInt8Array],
    stained: Sequence[FloatArray],
    patch_ids: Sequence[str],
    plan: MapPlan,
) -> dict[MapKey, Float32Array]:
    """Make the maps that need no network: from the image alone, and the trained map at a random place.

    Parameters
    ----------
    trained
        (N, H, W), the trained network's own map.
    images
        N images (H, W, 3).
    stained
        Of each, haematoxylin and eosin (2, H, W).
    patch_ids
        N names, from which shifts are drawn.
    plan
        Which maps are wanted.

    Returns
    -------
    dict
        Maps (N, H, W).
    """
    maps = {
        MapKey(name, name, NO_REDUCTION): np.stack(
            [IMAGE_MAPS[name](image, stain) for image, stain in zip(images, stained, strict=True)]
        )
        for name in plan.images
    }
    if plan.shift:
        moved = [
            shifted(saliency, np.random.default_rng(derive(plan.seed, SHIFT, patch_id)))
            for saliency, patch_id in zip(trained, patch_ids, strict=True)
        ]
        maps[plan.own(SHIFT)] = np.stack(moved)
    return maps


def _numpy(tensor: Tensor) -> Float64Array:
    return tensor.double().cpu().numpy()
