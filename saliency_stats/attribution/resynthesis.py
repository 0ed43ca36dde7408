"""Re-synthesis of a compartment's texture: another draw with the same mean and autocovariance (pure NumPy)."""

import numpy as np

from saliency_stats.typing import Float64Array


def resynthesised(
    density: Float64Array, weight: Float64Array, mean: Float64Array, rng: np.random.Generator
) -> Float64Array:
    """Draw a texture like that of a compartment: a Gaussian field with its mean and autocovariance, colours and all.

    White noise is convolved with the compartment's deviation from its mean (asymptotic discrete spot noise: Galerne,
    Gousseau & Morel 2011, *IEEE Transactions on Image Processing* 20, 257-267, section II): one noise for the three
    channels, which keeps how they vary together. How coarse, how strong and how stained the compartment is stays; where
    what lies, and every form that is more than covariance, as a granule or a nucleolus, goes.

    Parameters
    ----------
    density
        (H, W, 3), optical density, in which amounts of stain add up.
    weight
        (H, W) in [0, 1], membership of the compartment.
    mean
        (3,), mean density of the compartment.

    Returns
    -------
    ndarray
        (H, W, 3) optical density, at least 0, defined in every pixel; the mean where the compartment is empty.
    """
    noise = np.fft.rfft2(rng.standard_normal(weight.shape))
    # the root: squares sum to the variance times the weight
    spot = np.sqrt(weight)[..., None] * (density - mean)
    waves = np.fft.rfft2(spot, axes=(0, 1)) * noise[..., None]
    texture = np.fft.irfft2(waves, s=weight.shape, axes=(0, 1)) / np.sqrt(max(weight.sum(), 1.0))
    return np.asarray(np.maximum(mean + texture, 0.0))
