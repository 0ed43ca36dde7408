"""Methods made of plain input gradients: the abstract's own, two averages of it, and gradient × input."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from saliency_stats.saliency.baselines import FromBaseline
from saliency_stats.saliency.batched import IN_FLIGHT, Batched, at_least, check_seeds
from saliency_stats.saliency.gradient import check, logits_and_gradient


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


@dataclass(frozen=True, kw_only=True)
class SmoothGrad:
    """The mean gradient over copies of the image with Gaussian noise (Smilkov et al. 2017, eq. 1), signed.

    One sample without noise is the gradient itself.

    Parameters
    ----------
    n_samples
        Noisy copies per image.
    noise
        Standard deviation of the noise over the image's range (its largest minus its smallest value).
    in_flight
        Most images that the network sees at once.

    Raises
    ------
    AttributionError
        For less than one sample, negative noise, or no image in flight.
    """

    name: ClassVar[str] = "smoothgrad"
    words: ClassVar[str] = "SmoothGrad"
    cost: ClassVar[float] = 15.0
    n_samples: int = 16
    noise: float = 0.1
    in_flight: int = IN_FLIGHT

    def __post_init__(self) -> None:
        at_least("n_samples", self.n_samples, 1)
        at_least("noise", self.noise, 0.0)
        at_least("in_flight", self.in_flight, 1)

    def attribute(self, model: nn.Module, images: Tensor, target: Tensor, seeds: Sequence[int]) -> Tensor:
        """Average the gradients of noisy copies; see :meth:`Method.attribute`."""
        check(model, images, target)
        check_seeds(images, seeds)
        images = images.detach()
        sigma = self.noise * (images.amax(dim=(1, 2, 3)) - images.amin(dim=(1, 2, 3)))
        # drawn on the CPU, image by image, so that neither the device nor the batch changes the noise
        chances = [torch.Generator().manual_seed(seed) for seed in seeds]
        copies = torch.arange(len(images)).repeat_interleave(self.n_samples)
        total = torch.zeros_like(images)
        for some in torch.split(copies, self.in_flight):
            which = some.to(images.device)
            noisy = torch.empty_like(images[:1].expand(len(some), -1, -1, -1))
            for place, image in enumerate(some.tolist()):
                drawn = torch.randn(images.shape[1:], generator=chances[image], dtype=images.dtype)
                noisy[place] = images[image] + sigma[image] * drawn.to(images.device)
            found = logits_and_gradient(model, noisy, target[which])[1]
            for place, image in enumerate(some.tolist()):  # one by one: the order of the sum is always the same
                total[image] += found[place]
        return (total / self.n_samples).to(torch.float32)
