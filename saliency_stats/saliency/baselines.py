"""What an image is compared with: the baselines of methods that multiply by the distance from one.

Integrated gradients, DeepLIFT and gradient × input explain z_c(image) - z_c(baseline), so the baseline is the question.
From white glass every stained pixel is a difference, the dark nuclei most of all; from the image's own mean colour only
what departs from it is. No baseline is right (Sturmfels, Lundberg & Lee 2020, *Distill*, "Visualizing the impact of
feature attribution baselines"), so it is named in the study file, and may be crossed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import ClassVar, Final

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from saliency_stats.errors import AttributionError
from saliency_stats.imaging.density import DARKEST, glass_colour
from saliency_stats.imaging.tissue import tissue_mask
from saliency_stats.saliency.batched import Batched
from saliency_stats.typing import BoolArray

#: A raw pixel of 1 is white glass, light that met no stain. Black, the usual baseline of photographs, would be the
#: darkest stain there is, and would credit the empty glass most of all.
GLASS: Final = 1.0
#: The usual baseline: a method that starts from it has no suffix to its name.
WHITE: Final = "white"
#: Stands between the name of a method and that of another baseline.
AT: Final = "@"
#: Standard deviation of the blur, as a share of the shorter side: 16 px of 256, about a nucleus at 20×.
_BLUR: Final = 1 / 16
#: Where the Gaussian is cut off, in standard deviations.
_CUT: Final = 3


def white(images: Tensor) -> Tensor:
    """White glass everywhere."""
    return torch.full_like(images, GLASS)


def blurred(images: Tensor) -> Tensor:
    """Blur each image by a Gaussian: coarse colour stays, cells go (Fong & Vedaldi 2017, section 4.1)."""
    sigma = _BLUR * min(images.shape[-2:])
    found: Tensor = gaussian_blur(images, 2 * ceil(_CUT * sigma) + 1, sigma)
    return found.clamp(0, 1)  # its weights add up to 1 but for the last digit, on some processors to more


def mean_colour(images: Tensor) -> Tensor:
    """Paint each image in its own mean colour."""
    return torch.zeros_like(images) + images.mean(dim=(2, 3), keepdim=True)


def mean_stain(images: Tensor) -> Tensor:
    """Stain the tissue of each image evenly: its mean optical density in every pixel of tissue, glass as it is.

    Optical density is linear in the amounts of stains (Beer-Lambert; Ruifrok & Johnston 2001, eq. 1 to 3), so its mean
    is that of the mean amounts of haematoxylin and eosin whatever their colours are, and no stain has to be told from
    the other. (The mean *colour* is that of less stain, and glass counts in it.) What is tissue,
    :func:`~saliency_stats.imaging.tissue.tissue_mask` says, smoothed by one pixel, relative to the image's own glass.
    An image without tissue is its own baseline.
    """
    density = -torch.log10(images.clamp(min=DARKEST / 255))
    tissue = torch.from_numpy(np.stack([_tissue(image) for image in images])).to(images.device)[:, None]
    mean = (density * tissue).sum(dim=(2, 3), keepdim=True) / tissue.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    return torch.where(tissue, 10**-mean, images)


def _tissue(image: Tensor) -> BoolArray:
    levels = (image.detach().permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
    return tissue_mask(levels, 1.0, glass_colour(levels.reshape(-1, 3)), smoothing_um=1.0)


@dataclass(frozen=True)
class Baseline:
    """A baseline: what a study file and a reader call it, and how it is made of images (N, 3, H, W) in [0, 1]."""

    name: str
    words: str
    of: Callable[[Tensor], Tensor]


_USUAL: Final = (
    Baseline(WHITE, "white glass", white),
    Baseline("blur", "the patch's blur", blurred),
    Baseline("mean", "the patch's mean colour", mean_colour),
    Baseline("stain", "the patch's mean stain", mean_stain),
)
#: Baseline by name. To add one, put it here: methods, settings and words follow.
BASELINES: Final[dict[str, Baseline]] = {baseline.name: baseline for baseline in _USUAL}


@dataclass(frozen=True, kw_only=True)
class FromBaseline(Batched):
    """A method that explains z_c(image) - z_c(baseline).

    Parameters
    ----------
    baseline
        Of :data:`BASELINES`. Any but white glass is part of the method's name, as ``integrated_gradients@blur``.

    Raises
    ------
    AttributionError
        If there is no such baseline.
    """

    baseline: str = WHITE
    #: Name, and words, of the method from white glass.
    _name: ClassVar[str]
    _words: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.baseline not in BASELINES:
            raise AttributionError(f"there is no baseline {self.baseline!r}; expected one of {', '.join(BASELINES)}")

    @property
    def name(self) -> str:
        """What tables and study files call it."""
        return self._name if self.baseline == WHITE else f"{self._name}{AT}{self.baseline}"

    @property
    def words(self) -> str:
        """What figures and text call it."""
        return self._words if self.baseline == WHITE else f"{self._words} from {BASELINES[self.baseline].words}"

    @property
    def times_input(self) -> bool:
        """Whether it multiplies by what light the pixel lost."""
        return self.baseline == WHITE

    def start(self, images: Tensor) -> Tensor:
        """Return the baseline of each image, (N, 3, H, W)."""
        return BASELINES[self.baseline].of(images)
