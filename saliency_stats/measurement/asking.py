"""Asking the networks of altered patches: of which patches, and what they say."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch

from saliency_stats.classifier.protocol import Classifier
from saliency_stats.typing import BoolArray, Float32Array, Float64Array, Int64Array

#: Altered images that the network sees at once.
_IN_FLIGHT: Final = 32


def judged_of(
    drawn: BoolArray, logits: Mapping[str, Float64Array], targets: Mapping[str, Int64Array], min_confidence: float
) -> dict[str, BoolArray]:
    """Say by network which patches it is asked about: of those that are drawn, those that it judges.

    Parameters
    ----------
    drawn
        (N,) bool, see :func:`~saliency_stats.measurement.ablation.draw_replaced`.
    logits, targets
        By network, (N, 2) logits of the intact patches and (N,) classes whose logits are watched.
    min_confidence
        A network does not judge patches to whose class it gives a lower probability.
    """
    least = np.log(min_confidence / (1 - min_confidence))
    return {network: drawn & (log_odds(logits[network], target) >= least) for network, target in targets.items()}


def log_odds(logits: Float64Array, target: Int64Array) -> Float64Array:
    """Return (N,) the logit of each target less that of the other class, of (N, 2) logits."""
    each = np.arange(len(target))
    return np.asarray(logits[each, target] - logits[each, 1 - target])


def scores_of(network: Classifier, device: torch.device, images: Sequence[Float32Array]) -> Float64Array:
    """Return the logits (N, 2) of images (H, W, 3) in [0, 1], which the network sees few at a time."""
    found: list[Float64Array] = []
    for start in range(0, len(images), _IN_FLIGHT):
        batch = torch.from_numpy(np.stack(images[start : start + _IN_FLIGHT])).to(device).permute(0, 3, 1, 2)
        with torch.no_grad():
            scores = network(batch.contiguous(memory_format=torch.channels_last))
        found.append(scores.double().cpu().numpy())
    return np.concatenate(found) if found else np.empty((0, 2))
