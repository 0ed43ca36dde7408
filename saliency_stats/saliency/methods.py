"""The registry of attribution methods: every method by name, with its usual parameters."""

from collections.abc import Sequence
from typing import ClassVar, Final

from torch import Tensor, nn

from saliency_stats.errors import AttributionError
from saliency_stats.execution import custom
from saliency_stats.saliency.batched import Method
from saliency_stats.saliency.captum_methods import DeepLift, GradCam, GuidedBackprop, IntegratedGradients, Occlusion
from saliency_stats.saliency.gradient_methods import Gradient, GradientTimesInput, ShiftedGradient, SmoothGrad

_USUAL: Final[tuple[Method, ...]] = (
    Gradient(),
    ShiftedGradient(),
    SmoothGrad(),
    GuidedBackprop(),
    GradientTimesInput(),
    IntegratedGradients(),
    DeepLift(),
    GradCam(),
    Occlusion(),
)
#: Method by name, in the order of figures. To add one, put an instance here: settings, words and costs follow.
METHODS: Final[dict[str, Method]] = {method.name: method for method in _USUAL}


class GivenMap:
    """The map that a table gives for each patch: what stands for a method in a study without a network."""

    name: ClassVar[str] = "map"
    words: ClassVar[str] = "map made elsewhere"
    cost: ClassVar[float] = 0.0
    one_channel: ClassVar[bool] = True

    def attribute(
        self,
        model: nn.Module,  # noqa: ARG002  (as every method)
        images: Tensor,  # noqa: ARG002
        target: Tensor,  # noqa: ARG002
        seeds: Sequence[int],  # noqa: ARG002
    ) -> Tensor:
        """Refuse: no network makes it."""
        raise AttributionError(f"{self.name} comes from a file, and explains no network; expected a method of METHODS")


#: Not in the list: networks are not explained by it.
GIVEN: Final = GivenMap()


def method_of(name: str) -> Method:
    """Return a method by its name in a study file, which may be ``python:package.module:Class``.

    Raises
    ------
    StudyError
        If it is a class of the user's own that cannot be loaded or lacks what a method needs.
    KeyError
        If there is no such method.
    """
    if name == GIVEN.name:
        return GIVEN
    if not custom.is_custom(name):
        return METHODS[name]
    made = custom.load(name)
    custom.require(name, made, ("name", "attribute"), "attribute(model, images, target, seeds) -> Tensor (N, C, H, W)")
    method: Method = made
    return method


def refusal_of(name: str, model: nn.Module, images: Tensor) -> str:
    """Say why a method cannot explain a network; empty where it can, or does not say.

    Parameters
    ----------
    name
        As a study file names the method.
    model
        In evaluation mode.
    images
        Of the study's size, (N, 3, H, W) in [0, 1]: the method is tried on them where only that can tell.
    """
    method = method_of(name)
    refusal = getattr(method, "refusal", None)
    reason = "" if refusal is None else str(refusal(model, images))
    return f"{method.name} cannot explain this network: {reason}" if reason else ""


def words_of(method: Method) -> str:
    """Say what a method is called in figures and text."""
    return str(getattr(method, "words", method.name))


def cost_of(method: Method) -> float:
    """Return the cost of a map in gradients; 1 where a method does not say."""
    return float(getattr(method, "cost", 1.0))


def is_one_channel(method: Method) -> bool:
    """Tell whether a method's maps have no colour channels to reduce."""
    return bool(getattr(method, "one_channel", False))
