"""Every attribution method by name, with its usual parameters."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from saliency_stats.saliency.batched import Method
from saliency_stats.saliency.captum_methods import (
    DeepLift,
    GradCam,
    GuidedBackprop,
    IntegratedGradients,
    Occlusion,
)
from saliency_stats.saliency.gradient_methods import Gradient, GradientTimesInput, ShiftedGradient, SmoothGrad

_USUAL: Final[tuple[Method, ...]] = (
    Gradient(),
    SmoothGrad(),
    IntegratedGradients(),
    GradientTimesInput(),
    GuidedBackprop(),
    DeepLift(),
    GradCam(),
    Occlusion(),
    ShiftedGradient(),
)
#: Method by name, in the order of the tables.
METHODS: Final[Mapping[str, Method]] = MappingProxyType({method.name: method for method in _USUAL})
