"""What a map of each method costs: seconds, measured."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

import torch
from torch import Tensor

from saliency_stats.classifier.protocol import Classifier
from saliency_stats.saliency.maps import MapPlan, network_maps
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.vocabulary import ONE_NETWORK, TRAINED


def seconds_per_patch(
    model: Classifier,
    images: Tensor,
    target: Tensor,
    plan: MapPlan,
    *,
    repeats: int = 3,
    tick: Callable[[int], object] = lambda _: None,
) -> dict[str, float]:
    """Time the maps of every method of a plan, with the logits that come with them.

    Parameters
    ----------
    model
        A trained network.
    images, target
        N patches (N, 3, H, W) in [0, 1] and the classes whose logits are explained, on the network's device.
    plan
        Its methods are timed, one at a time.
    repeats
        The fastest of so many is taken: the first warms up, and others may be disturbed.
    tick
        Told of each method that is done.

    Returns
    -------
    dict of float
        Seconds per patch, by the name of the method in the plan.
    """
    names = [str(at) for at in range(len(images))]
    found = {}
    for method in plan.methods:
        alone = replace(plan, methods=(method,), controls=(), signed=False)
        taken = [_seconds(model, images, target, names, alone) for _ in range(repeats)]
        found[method] = min(taken) / len(images)
        tick(1)
    return found


def _seconds(model: Classifier, images: Tensor, target: Tensor, names: Sequence[str], plan: MapPlan) -> float:
    began = perf_counter()
    network_maps({NetworkKey(TRAINED, ONE_NETWORK): model}, images, {ONE_NETWORK: target}, names, plan)
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    return perf_counter() - began
