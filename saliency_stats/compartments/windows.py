"""Averages over windows given in pixels, with weights (pure NumPy and SciPy)."""

from typing import Final

import numpy as np
from scipy import ndimage

from saliency_stats.typing import FloatArray

#: Windows at least this wide are computed at half the resolution.
_WIDE_PX: Final = 5.0


def blurred(image: FloatArray, sigma_px: float) -> FloatArray:
    """Two box filters of the variance of a Gaussian: as smooth as needed here, at a cost that is not its width's."""
    height, width = image.shape
    if sigma_px >= _WIDE_PX and height % 2 == width % 2 == 0:
        # nothing so smooth needs every pixel; blocks of an odd image would shift when it is flipped
        quarter = image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]
        return np.repeat(np.repeat(blurred(quarter / 4, sigma_px / 2), 2, axis=0), 2, axis=1)
    half = round((np.sqrt(6 * sigma_px**2 + 1) - 1) / 2)
    size = 2 * half + 1
    return np.asarray(ndimage.uniform_filter(ndimage.uniform_filter(image, size), size))


def averaged(image: FloatArray, weight: FloatArray, share: FloatArray, sigma_px: float) -> FloatArray:
    """Average the pixels around that have weight; towards 0 where none has. ``share`` is the weight, blurred alike."""
    return blurred(image * weight, sigma_px) / np.maximum(share, np.float32(1e-3))


def roughness(image: FloatArray, weight: FloatArray, sigma_px: float) -> FloatArray:
    """Return the standard deviation about the local average, over the pixels that have weight."""
    fine = image - blurred(image, sigma_px)
    return np.sqrt(np.maximum(averaged(fine * fine, weight, blurred(weight, sigma_px), sigma_px), 0.0))
