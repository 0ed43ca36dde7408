"""Methods made of plain input gradients of the image: the abstract's own, its mean over shifts, gradient × input."""

from abc import abstractmethod
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from saliency_stats.saliency.baselines import FromBaseline
from saliency_stats.saliency.batched import Batched, at_least
from saliency_stats.saliency.gradient import logits_and_gradient


class OfGradient(Batched):
    """A method that follows from the image and its gradient: where both are there, no network is asked again."""

    @abstractmethod
    def of_gradient(self, images: Tensor, gradient: Tensor) -> Tensor:
        """Attribute to the pixels of images (N, 3, H, W), given the gradients (N, 3, H, W) of their target logits."""

    def _explain(self, model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        return self.of_gradient(images, logits_and_gradient(model, images, target)[1])


@dataclass(frozen=True, kw_only=True)
class Gradient(OfGradient):
    """The derivative of the logit with respect to the raw pixel (Simonyan et al. 2014, eq. 4)."""

    name: ClassVar[str] = "gradient"
    words: ClassVar[str] = "gradient"
    cost: ClassVar[float] = 1.0

    def of_gradient(self, images: Tensor, gradient: Tensor) -> Tensor:  # noqa: ARG002  (as of every such method)
        """Return the gradient."""
        return gradient


@dataclass(frozen=True, kw_only=True)
class GradientTimesInput(FromBaseline, OfGradient):
    """Gradient × input (Shrikumar et al. 2016), the input x measured from a baseline x': (x - x') dz_c / dx.

    It is the first-order estimate of z_c(x) - z_c(x'), pixel by pixel, and so the one-step counterpart of
    integrated gradients and DeepLIFT from the same baseline; from white glass, a pixel of clear glass receives nothing.
    """

    _name: ClassVar[str] = "gradient_x_input"
    _words: ClassVar[str] = "gradient × input"
    cost: ClassVar[float] = 1.1

    def of_gradient(self, images: Tensor, gradient: Tensor) -> Tensor:
        """Multiply the gradient by the distance from the baseline."""
        return (images - self.start(images)) * gradient


@dataclass(frozen=True, kw_only=True)
class ShiftedGradient(Batched):
    """The mean gradient over shifts of the image by 0 to ``shifts`` - 1 px down and right, shifted back.

    A stem of stride 2 reads even and odd pixels with different weights, which prints a checkerboard into the
    gradient. Each pixel here takes its turn in every phase, so the checkerboard cancels. The image is shifted on
    a canvas ``shifts`` - 1 px larger than itself, filled by reflection, so that no pixel is lost at the border.
    One shift is the gradient itself.

    Parameters
    ----------
    shifts
        Phases per direction; costs ``shifts`` ** 2 gradients. 2 evens out one stride of 2; DenseNet's first
        convolution and its pooling make a stride of 4 together, which takes 4.

    Raises
    ------
    AttributionError
        For less than one shift.
    """

    name: ClassVar[str] = "shifted_gradient"
    words: ClassVar[str] = "shift-averaged gradient"
    cost: ClassVar[float] = 4.5
    shifts: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("shifts", self.shifts, 1)

    def _explain(self, model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        most = self.shifts - 1
        total = torch.zeros_like(images)
        for down, right in product(range(self.shifts), repeat=2):
            canvas = functional.pad(images, (right, most - right, down, most - down), mode="reflect")
            found = logits_and_gradient(model, canvas, target)[1]
            total += found[..., down : down + height, right : right + width]
        return total / self.shifts**2
