"""From stain to the pixels of a scanner: Beer-Lambert, point spread, shot noise, 8 bits."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from saliency_stats.cohort.phantom.look import SlideLook
from saliency_stats.typing import Float32Array, UInt8Array


def _blur(planes: Float32Array, sigma_px: float) -> Float32Array:
    """Gaussian blur of the last two axes."""
    rows = gaussian_filter1d(planes, sigma_px, axis=-1, mode="nearest", truncate=3.0)
    return np.asarray(gaussian_filter1d(rows, sigma_px, axis=-2, mode="nearest", truncate=3.0))


def photograph(
    rng: np.random.Generator, stain: Float32Array, look: SlideLook, px_um: float, binning: int
) -> UInt8Array:
    """Take the picture of a stained section.

    Parameters
    ----------
    stain
        (2, H * binning, W * binning): haematoxylin and eosin.
    look
        Stain vectors, glass and scanner of the slide.
    px_um
        Side of a pixel of ``stain`` in µm.
    binning
        Pixels of ``stain`` along one side of a pixel of the image.

    Returns
    -------
    ndarray
        (H, W, 3) uint8.
    """
    vectors = (look.stain_vectors * look.concentration[:, None]).astype(np.float32)
    height, width = stain.shape[1:]
    density = vectors.T @ stain.reshape(2, -1)
    # Beer-Lambert: intensity = white * 10 ** -density.
    light = np.exp(density * np.float32(-np.log(10))).reshape(3, height, width)
    light *= look.white.astype(np.float32)[:, None, None]
    light = _blur(light, look.blur_um / px_um)
    if binning > 1:
        light = light.reshape(3, height // binning, binning, width // binning, binning).mean(axis=(2, 4))
    light += np.float32(look.sharpening) * (light - _blur(light, 0.6 / (px_um * binning)))
    np.clip(light, 0, 1, out=light)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    light += noise * np.sqrt(light / np.float32(look.photons))
    return np.ascontiguousarray(np.clip(np.rint(light * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0))
