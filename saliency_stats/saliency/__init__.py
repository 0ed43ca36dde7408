"""Saliency: where a classifier looked, as one non-negative map per patch."""

from saliency_stats.saliency.controls import CASCADE, cascading, permuted_labels, randomised
from saliency_stats.saliency.gradient import (
    DIFFERENTIATED_PX,
    REDUCTIONS,
    gradient,
    logits_and_gradient,
    reduce_channels,
)
from saliency_stats.saliency.methods import METHODS

__all__ = [
    "CASCADE",
    "DIFFERENTIATED_PX",
    "METHODS",
    "REDUCTIONS",
    "cascading",
    "gradient",
    "logits_and_gradient",
    "permuted_labels",
    "randomised",
    "reduce_channels",
]
