"""Optical densities of the channels, and the colour of the glass that they are relative to (pure NumPy)."""

from functools import reduce
from typing import Final

import numpy as np

from saliency_stats.typing import Float32Array, UInt8Array

#: Darker levels are rounding and JPEG noise rather than light; they count as this level.
DARKEST: Final = 8
#: Glass is brighter than this and closer to grey than ``GLASS_SPREAD`` (largest minus smallest channel).
GLASS_LEVEL: Final = 200
GLASS_SPREAD: Final = 12
#: Where no glass is in view.
WHITE: Final = (255.0, 255.0, 255.0)


def optical_density(image: UInt8Array, white: tuple[float, float, float] = WHITE) -> Float32Array:
    """Optical density of every channel, ``-log10(max(I, DARKEST) / white)``, negative values set to 0.

    Of (..., 3) uint8, in float32; ``white`` is the intensity of the glass per channel.
    """
    # 256 grey levels per channel: a table look-up instead of a logarithm per pixel
    levels = np.maximum(np.arange(256, dtype=np.float64), DARKEST)
    tables = np.maximum(np.log10(np.asarray(white)[:, None] / levels), 0.0).astype(np.float32)
    return np.stack([tables[c][image[..., c]] for c in range(3)], axis=-1)


def glass_colour(pixels: UInt8Array) -> tuple[float, float, float]:
    """Colour of the glass: the median of bright grey pixels where at least 1 in 200 is such, else white.

    Of (n, 3) uint8 pixels of one image or one slide; in 0 to 255.
    """
    # channel by channel: ten times as fast as along an axis of length 3
    least, most = (reduce(of, pixels.T) for of in (np.minimum, np.maximum))
    glass = pixels[(least >= GLASS_LEVEL) & (most - least <= GLASS_SPREAD)]
    if len(glass) < max(20, len(pixels) // 200):
        return WHITE
    # the brighter half: the darker one holds the blurred edges of the tissue
    brightness = glass.sum(axis=1, dtype=np.int64)
    red, green, blue = np.median(glass[brightness >= np.median(brightness)], axis=0).tolist()
    return (red, green, blue)
