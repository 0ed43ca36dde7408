"""Saliency: where a classifier looked, as one non-negative map per patch."""

from saliency_stats.saliency.controls import randomised
from saliency_stats.saliency.gradient import REDUCTIONS, gradient, logits_and_gradient, reduce_channels

__all__ = ["REDUCTIONS", "gradient", "logits_and_gradient", "randomised", "reduce_channels"]
