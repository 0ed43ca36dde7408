"""Augmentation of H&E training patches: the eight symmetries of the square, and stain variation."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from skimage.color import rgb_from_hed
from torch import Tensor

from saliency_stats.errors import StudyError
from saliency_stats.typing import UInt8Array

# An 8-bit zero has no optical density; half a grey level stands for it.
_DARKEST: Final = 0.5 / 255.0


@dataclass(frozen=True)
class Augmentation:
    """What training patches are varied by.

    Parameters
    ----------
    dihedral
        Draw one of the eight flips and quarter turns per patch (four for patches that are not square).
    stain
        Half-width of the uniform factor on each stain's concentration, and a fifth of it as the half-width
        of the shift, per patch (Tellez et al. 2018, HED augmentation). 0 switches it off.
    """

    dihedral: bool = True
    stain: float = 0.15

    def __post_init__(self) -> None:
        if not 0.0 <= self.stain <= 1.0:
            raise StudyError(f"classifier.augmentation.stain is {self.stain}; expected 0 (off) to 1")


def turn(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Apply a random symmetry to one image (H, W, 3); images that are not square keep their shape."""
    height, width = image.shape[:2]
    quarter_turns = int(rng.integers(4))
    if height != width:
        quarter_turns -= quarter_turns % 2
    turned = np.rot90(image, quarter_turns)
    return np.ascontiguousarray(turned[:, ::-1] if rng.integers(2) else turned)


def vary_stain(images: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    """Vary the stain concentrations of images (N, 3, H, W) in [0, 1], each by its own factors.

    Optical density is split by Ruifrok & Johnston's vectors, each concentration c becomes (1 + a) c + b with
    a ~ U(-amount, amount) and b ~ U(-amount, amount) / 5, and the image is put together again
    (Tellez et al. 2018, IEEE Trans. Med. Imaging 37:2126). Done in one matrix product per image.
    """
    # haematoxylin, eosin and DAB: a fixed, complete basis is enough to vary stains; those actually present are
    # estimated elsewhere
    vectors = rgb_from_hed / np.linalg.norm(rgb_from_hed, axis=1, keepdims=True)
    n = images.shape[0]
    factors = 1.0 + rng.uniform(-amount, amount, (n, 3))
    shifts = rng.uniform(-amount, amount, (n, 3)) / 5.0
    # od' = od V^-1 diag(f) V + shift V, for row vectors of optical density
    mixing = np.linalg.inv(vectors)[None] @ (factors[:, :, None] * vectors[None])
    matrix = torch.from_numpy(mixing).to(images)
    offset = torch.from_numpy(shifts @ vectors).to(images)
    density = -torch.log(images.clamp(min=_DARKEST))
    varied = torch.einsum("nchw,ncd->ndhw", density, matrix) + offset[:, :, None, None]
    return torch.exp(-varied).clamp(0.0, 1.0)
