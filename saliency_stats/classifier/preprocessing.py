"""What a network does with raw RGB first: fit its size, then normalise the channels. Both inside the network.

Gradients are then those with respect to the raw pixels of the patch in [0, 1], whatever the network wants.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from saliency_stats.errors import ClassifierError, StudyError

#: ImageNet's channel means and standard deviations, for inputs in [0, 1].
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """Mean and standard deviation of the channels, and the side of the square images that a network takes.

    Parameters
    ----------
    mean, std
        In the scale of [0, 1]; None where they are not known.
    size_px
        None: images of any size are taken as they are.

    Raises
    ------
    StudyError
        For a standard deviation or a size of 0 or less.
    """

    mean: Channels | None = None
    std: Channels | None = None
    size_px: int | None = None

    def __post_init__(self) -> None:
        if self.std is not None and min(self.std) <= 0:
            raise StudyError(f"classifier.preprocess.std is {list(self.std)}; expected numbers above 0")
        if self.size_px is not None and self.size_px < 1:
            raise StudyError(f"classifier.preprocess.size_px is {self.size_px}; expected 1 or more")

    def otherwise(self, known: "Preprocessing") -> "Preprocessing":
        """Take what is not stated here from what a library knows; the size is not among it."""
        return replace(self, mean=self.mean or known.mean, std=self.std or known.std)


class Normalisation(nn.Module):
    """Subtract a mean and divide by a standard deviation, channel by channel; neither is part of ``state_dict``."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images (N, 3, H, W)."""
        return (images - self.mean) / self.std


class Fit(nn.Module):
    """Resize images to the one size that a network takes (bilinear, antialiased); its own size passes untouched.

    Parameters
    ----------
    size_px
        None passes every size.

    Raises
    ------
    ClassifierError
        For images that are not square: resizing would distort their tissue.
    """

    def __init__(self, size_px: int | None) -> None:
        super().__init__()
        self.size_px = size_px

    def forward(self, images: Tensor) -> Tensor:
        """Fit images (N, 3, H, W)."""
        height, width = images.shape[-2:]
        if self.size_px is None or (height, width) == (self.size_px, self.size_px):
            return images
        if height != width:
            raise ClassifierError(
                f"the network takes images of {self.size_px} × {self.size_px} px; patches of {height} × {width} "
                "px would be distorted. Use square patches"
            )
        return functional.interpolate(
            images, (self.size_px, self.size_px), mode="bilinear", align_corners=False, antialias=True
        )
