"""The saliency maps of a batch of patches: of every network, by every method, and those of the controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.special import logit
from torch import Tensor

from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.together import Together
from saliency_stats.cohort.given import GivenMaps
from saliency_stats.saliency.batched import Referring
from saliency_stats.saliency.controls import Control, control_of
from saliency_stats.saliency.gradient import logits_and_gradients
from saliency_stats.saliency.gradient_methods import OfGradient
from saliency_stats.saliency.methods import is_one_channel, method_of
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.saliency.reductions import SIGNED, adds_up, reduce_channels
from saliency_stats.seeds import derive
from saliency_stats.typing import Float32Array, Float64Array, FloatArray, UInt8Array
from saliency_stats.vocabulary import NO_REDUCTION, ONE_NETWORK, TRAINED


class MapKey(NamedTuple):
    """What a map is of: the ledger's columns. ``network`` is empty for maps of the image alone."""

    model: str
    network: str
    method: str
    reduction: str


@dataclass(frozen=True)
class MapPlan:
    """Which maps are made.

    Parameters
    ----------
    methods
        As a study file names them; the first is the study's own, the others are for comparison.
    reductions
        Of the colour channels, the study's own first.
    controls
        As a study file names them.
    seed
        From which every random number is derived.
    signed
        Whether a method whose values add up to a change of the logit also gives their sums over the channels, which
        keep their sign (``SIGNED`` for a reduction).
    """

    methods: tuple[str, ...] = ("gradient",)
    reductions: tuple[str, ...] = ("l2",)
    controls: tuple[str, ...] = ()
    seed: int = 0
    signed: bool = False

    def own(self, model: str = TRAINED, network: str = ONE_NETWORK) -> MapKey:
        """Name the map of a network that the study judges by."""
        method = self.methods[0]
        return MapKey(model, network, method_of(method).name, self.reductions_of(method)[0])

    def keys(self, networks: Sequence[NetworkKey]) -> list[MapKey]:
        """Name every map that is made, of these networks and of the controls that need none."""
        made = [
            MapKey(*key, method_of(method).name, reduction)
            for key in networks
            for method in self.methods_of(key.model)
            for reduction in self.reductions_of(method)
        ]
        images = [_of_image(control) for control in self._made("map")]
        trained = [network for model, network in networks if model == TRAINED]
        return [*made, *images, *(self.own(name, network) for name in self.moved for network in trained)]

    def methods_of(self, model: str) -> tuple[str, ...]:
        """Say which methods explain a network."""
        compared = [TRAINED, *(name for one in self._made("build") if one.every_method for name in one.models)]
        return self.methods if model in compared else self.methods[:1]

    def reductions_of(self, method: str) -> tuple[str, ...]:
        """Say how the channels of a method's maps are reduced."""
        made = method_of(method)
        reductions = (NO_REDUCTION,) if is_one_channel(made) else self.reductions
        return (*reductions, SIGNED) if self.signed and adds_up(made) else reductions

    def alone(self) -> "MapPlan":
        """Plan for the maps that the study judges by, and no others."""
        return replace(self, methods=self.methods[:1], reductions=self.reductions[:1], controls=(), signed=False)

    @property
    def moved(self) -> tuple[str, ...]:
        """Names of the controls that move the trained network's map."""
        return tuple(control.name for control in self._made("move"))

    def _made(self, way: str) -> list[Control]:
        """Return the controls that are made in one way."""
        return [control for control in map(control_of, self.controls) if getattr(control, way) is not None]


def network_maps(
    models: Mapping[NetworkKey, Classifier],
    images: Tensor,
    targets: Mapping[str, Tensor],
    patch_ids: Sequence[str],
    plan: MapPlan,
    references: Tensor | None = None,
) -> tuple[dict[NetworkKey, Float64Array], dict[MapKey, Float32Array]]:
    """Classify and explain a batch.

    ``images`` (N, 3, H, W) are in [0, 1]; ``targets`` (N,) by the networks' names are the classes whose logits are
    explained; noise is drawn from the N ``patch_ids``, the same for every network. ``references`` (R, 3, H, W) are
    training patches, for methods that draw their baselines from them.

    Returns
    -------
    tuple of dict
        Logits (N, 2) by network, and maps (N, H, W).
    """
    logits: dict[NetworkKey, Float64Array] = {}
    maps: dict[MapKey, Float32Array] = {}
    networks, each = Together.of(models), {key: targets[key.network] for key in models}
    # the one backward pass of all methods that take the gradient as it is
    wanted = [key for key in models if "gradient" in plan.methods_of(key.model)]
    slopes = logits_and_gradients(networks.only(wanted), images, each)
    others = networks.only(key for key in models if key not in slopes).logits(images)
    for key, network in models.items():
        methods, target = plan.methods_of(key.model), each[key]
        scores, slope = slopes[key] if key in slopes else (others[key], None)
        logits[key] = _numpy(scores)
        for name in methods:
            method = method_of(name)
            if slope is not None and isinstance(method, OfGradient):
                attribution = method.of_gradient(images, slope)
            else:
                if references is not None and isinstance(method, Referring):
                    method = method.with_references(references)
                seeds = [derive(plan.seed, method.name, patch_id) for patch_id in patch_ids]
                attribution = method.attribute(network, images, target, seeds)
            for reduction in plan.reductions_of(name):
                reduced = reduce_channels(attribution, "l1" if reduction == NO_REDUCTION else reduction)
                maps[MapKey(*key, method.name, reduction)] = reduced.cpu().numpy()
    return logits, maps


def given_maps(
    given: GivenMaps, rows: Sequence[int], shapes: Sequence[tuple[int, int]], plan: MapPlan
) -> tuple[dict[NetworkKey, Float64Array], dict[MapKey, Float32Array]]:
    """Take logits and maps of a batch from the table that gives them, in the place of a network.

    Parameters
    ----------
    rows
        Of the N patches in the cohort's table.
    shapes
        Of the patches, (H, W); none where no map is wanted.

    Returns
    -------
    tuple of dict
        As of :func:`network_maps`. Of the two logits the first is 0, so that the second is the log odds.
    """
    odds = logit(given.p_malignant[list(rows)])
    logits = {NetworkKey(TRAINED, ONE_NETWORK): np.stack([np.zeros_like(odds), odds], axis=1)}
    maps = [given.read(row, shape) for row, shape in zip(rows, shapes, strict=True)] if shapes else []
    return logits, {plan.own(): np.stack(maps)} if maps else {}


def control_maps(
    own: Mapping[str, Float32Array],
    images: Sequence[UInt8Array],
    stained: Sequence[FloatArray],
    patch_ids: Sequence[str],
    plan: MapPlan,
) -> dict[MapKey, Float32Array]:
    """Make the maps that need no network: from the image alone, and the trained maps at a random place.

    ``own`` (N, H, W) are the trained networks' own maps by their names, ``stained`` haematoxylin and eosin (2, H, W) of
    each of N images; shifts are drawn from the N ``patch_ids``, the same for the maps of every network.
    """
    maps: dict[MapKey, Float32Array] = {}
    for control in map(control_of, plan.controls):
        if control.map is not None:
            pairs = zip(images, stained, strict=True)
            made = [np.asarray(control.map(image, stain), dtype=np.float32) for image, stain in pairs]
            maps[_of_image(control)] = np.stack(made)
        if control.move is not None:
            for network, trained in own.items():
                drawn = [np.random.default_rng(derive(plan.seed, control.name, patch_id)) for patch_id in patch_ids]
                moved = [control.move(saliency, rng) for saliency, rng in zip(trained, drawn, strict=True)]
                maps[plan.own(control.name, network)] = np.stack(moved)
    return maps


def _of_image(control: Control) -> MapKey:
    return MapKey(control.name, "", control.name, NO_REDUCTION)


def _numpy(tensor: Tensor) -> Float64Array:
    return tensor.cpu().double().numpy()
