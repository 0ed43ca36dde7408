"""What the attribution methods share: a signature, the checks, and a bound on the images in flight."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from saliency_stats.errors import AttributionError
from saliency_stats.saliency.gradient import check, fitting

#: Images a network sees at once, if they are small; bounds the memory whatever the number of samples, steps or patches.
IN_FLIGHT: Final = 32


class Method(Protocol):
    """A way to say which pixels a logit depends on.

    Notes
    -----
    These may be left out: ``words``, what figures and text call it (its name); ``cost`` of a map in gradients,
    measured with DenseNet-201 at 128 px (1); ``one_channel``, whether its maps have no colour channels (False);
    ``times_input``, whether it multiplies by what light the pixel lost (False); ``with_references(images)``, see
    :class:`Referring`; ``refusal(model, images)``, which says
    why it cannot explain such a network (empty where it can).
    """

    @property
    def name(self) -> str:
        """What the tables call it."""
        ...

    def attribute(self, model: nn.Module, images: Tensor, target: Tensor, seeds: Sequence[int]) -> Tensor:
        """Attribute each image's target logit to its pixels.

        Parameters
        ----------
        model
            Classifier in evaluation mode: images to logits (N, C). It is left as it was.
        images
            Raw pixels (N, 3, H, W), float in [0, 1].
        target
            Class index of the logit per image, (N,).
        seeds
            One integer per image, for methods that draw random numbers: an image's map depends on its own seed
            and not on its batch.

        Returns
        -------
        Tensor
            Signed attributions (N, 3, H, W), or (N, 1, H, W) for methods that know no channels; float32, detached.

        Raises
        ------
        AttributionError
            If the model is in training mode, shapes differ, or the method cannot explain such a model or image.
        """
        ...


@runtime_checkable
class Referring(Protocol):
    """A method that explains a patch by others, of those that the network learned from."""

    def with_references(self, references: Tensor) -> Method:
        """Return the method as it explains with these training patches (R, 3, H, W) in [0, 1] at hand."""
        ...


@dataclass(frozen=True, kw_only=True)
class Batched(ABC):
    """A method without chance that explains a batch of any size, few images at a time.

    Parameters
    ----------
    in_flight
        Most images that the network sees at once; fewer where they would not fit.
    """

    in_flight: int = IN_FLIGHT
    #: Images the network sees for each one explained.
    _seen_each: ClassVar[int] = 1

    def __post_init__(self) -> None:
        at_least("in_flight", self.in_flight, 1)

    def attribute(self, model: nn.Module, images: Tensor, target: Tensor, seeds: Sequence[int]) -> Tensor:
        """Attribute each image's target logit to its pixels; see :meth:`Method.attribute`."""
        check(model, images, target)
        check_seeds(images, seeds)
        size = max(1, min(self.in_flight, fitting(model, images)) // self._seen_each)
        parts = [
            self._explain(model, some, wanted)
            for some, wanted in zip(torch.split(images.detach(), size), torch.split(target, size), strict=True)
        ]
        return torch.cat(parts).detach().to(torch.float32)

    @abstractmethod
    def _explain(self, model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        """Attribute for no more images than may be in flight."""


def check_seeds(images: Tensor, seeds: Sequence[int]) -> None:
    """Refuse a number of seeds that is not the number of images (AttributionError)."""
    if len(seeds) != len(images):
        raise AttributionError(f"there are {len(seeds)} seeds for {len(images)} images; expected one seed per image")


def at_least(name: str, value: float, least: float) -> None:
    """Refuse a parameter below what makes sense (AttributionError)."""
    if not value >= least:
        raise AttributionError(f"{name} is {value}; expected {least} or more")
