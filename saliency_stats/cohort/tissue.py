"""How much of a patch is tissue at all."""

import numpy as np

from saliency_stats.typing import UInt8Array

#: Optical density, averaged over the colour channels, below which a pixel counts as glass.
GLASS_OD = 0.05


def tissue_share(image: UInt8Array, glass_od: float = GLASS_OD) -> float:
    """Share of pixels of an image (H, W, 3) whose mean optical density -log10(I / 255) exceeds ``glass_od``."""
    density = -np.log10(np.maximum(image, 1) / 255.0).mean(axis=2)
    return float((density > glass_od).mean())
