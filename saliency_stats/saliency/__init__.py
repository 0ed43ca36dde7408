"""Saliency: where a classifier looked, as one non-negative map per patch."""

from saliency_stats.saliency.controls import CONTROLS, Control
from saliency_stats.saliency.gradient import DIFFERENTIATED_PX, gradient, logits_and_gradient
from saliency_stats.saliency.methods import METHODS
from saliency_stats.saliency.reductions import REDUCTIONS, reduce_channels

__all__ = [
    "CONTROLS",
    "DIFFERENTIATED_PX",
    "METHODS",
    "REDUCTIONS",
    "Control",
    "gradient",
    "logits_and_gradient",
    "reduce_channels",
]
