"""Means of gradients at points drawn at random: SmoothGrad's around the image, expected gradients' on the way to it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from saliency_stats.errors import AttributionError
from saliency_stats.saliency.batched import IN_FLIGHT, at_least, check_seeds
from saliency_stats.saliency.gradient import check, logits_and_gradient


@dataclass(frozen=True, kw_only=True)
class Sampled(ABC):
    """The mean over points drawn for each image, by its seed alone, of a factor times the gradient there.

    Parameters
    ----------
    n_samples
        Points per image.
    in_flight
        Most images that the network sees at once.

    Raises
    ------
    AttributionError
        For less than one point, or no image in flight.
    """

    n_samples: int
    in_flight: int = IN_FLIGHT

    def __post_init__(self) -> None:
        at_least("n_samples", self.n_samples, 1)
        at_least("in_flight", self.in_flight, 1)

    def attribute(self, model: nn.Module, images: Tensor, target: Tensor, seeds: Sequence[int]) -> Tensor:
        """Average over the points of each image; see :meth:`~saliency_stats.saliency.batched.Method.attribute`."""
        check(model, images, target)
        check_seeds(images, seeds)
        images = images.detach()
        # drawn on the CPU, image by image, so that neither the device nor the batch changes what is drawn
        drawn = [
            self._points(image, torch.Generator().manual_seed(seed)) for image, seed in zip(images, seeds, strict=True)
        ]
        copies = torch.arange(len(images)).repeat_interleave(self.n_samples)
        total = torch.zeros_like(images)
        for some in torch.split(copies, self.in_flight):
            which = some.to(images.device)
            points, factors = torch.empty_like(images[:1].expand(len(some), -1, -1, -1)), []
            for place, image in enumerate(some.tolist()):
                points[place], factor = next(drawn[image])
                factors.append(factor)
            found = logits_and_gradient(model, points, target[which])[1]
            for place, image in enumerate(some.tolist()):  # one by one: the order of the sum is always the same
                total[image] += found[place] * factors[place]
        return (total / self.n_samples).to(torch.float32)

    @abstractmethod
    def _points(self, image: Tensor, chance: torch.Generator) -> Iterator[tuple[Tensor, Tensor | float]]:
        """Draw points (3, H, W), each with the factor of its gradient."""


@dataclass(frozen=True, kw_only=True)
class SmoothGrad(Sampled):
    """The mean gradient over copies of the image with Gaussian noise (Smilkov et al. 2017, eq. 1), signed.

    One sample without noise is the gradient itself.

    Parameters
    ----------
    noise
        Standard deviation of the noise over the image's range (its largest minus its smallest value).

    Raises
    ------
    AttributionError
        For negative noise.
    """

    name: ClassVar[str] = "smoothgrad"
    words: ClassVar[str] = "SmoothGrad"
    cost: ClassVar[float] = 15.0
    n_samples: int = 16
    noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("noise", self.noise, 0.0)

    def _points(self, image: Tensor, chance: torch.Generator) -> Iterator[tuple[Tensor, Tensor | float]]:
        sigma = self.noise * (image.amax() - image.amin())
        while True:
            noise = torch.randn(image.shape, generator=chance, dtype=image.dtype)
            yield image + sigma * noise.to(image.device), 1.0


@dataclass(frozen=True, kw_only=True)
class ExpectedGradients(Sampled):
    """Integrated gradients, averaged over baselines that are training patches (Erion et al. 2021, eq. 2).

    The expectation of (x - x') dz_c / dx at x' + a (x - x'), over patches x' and a uniform in 0 to 1. Its attributions
    sum to z_c(image) - mean of z_c(x'): what tells this patch from those that the network learned from. Each baseline
    is drawn once before any is drawn again, and a from another of ``n_samples`` equal parts of the way: both leave the
    expectation as it is, and less to chance.

    Parameters
    ----------
    references
        (R, 3, H, W), see :meth:`with_references`.
    """

    name: ClassVar[str] = "expected_gradients"
    words: ClassVar[str] = "expected gradients"
    cost: ClassVar[float] = 24.0
    n_samples: int = 24
    references: Tensor | None = field(default=None, repr=False, compare=False)

    def with_references(self, references: Tensor) -> Self:
        """Draw baselines from these images, (R, 3, H, W) in [0, 1], R at least 1: of training patches, no others."""
        return replace(self, references=references)

    def _points(self, image: Tensor, chance: torch.Generator) -> Iterator[tuple[Tensor, Tensor | float]]:
        if self.references is None or self.references.shape[1:] != image.shape or not len(self.references):
            found = "none" if self.references is None else f"those of shape {tuple(self.references.shape)}"
            raise AttributionError(
                f"{self.name} draws its baselines from training patches; expected some of shape (R, "
                f"{', '.join(map(str, image.shape))}), R at least 1, by with_references, found {found}"
            )
        n, there = self.n_samples, len(self.references)
        order = torch.cat([torch.randperm(there, generator=chance) for _ in range(ceil(n / there))])[:n]
        shares = (torch.arange(n) + torch.rand(n, generator=chance, dtype=torch.float64)) / n
        for which, share in zip(order.tolist(), shares.tolist(), strict=True):
            start = self.references[which].to(image)
            yield start + share * (image - start), image - start
