"""Where there is tissue: the one definition, for patches, slides and the background compartment (pure)."""

from functools import reduce
from typing import Final

import numpy as np
from scipy import ndimage

from saliency_stats.imaging.density import glass_colour, optical_density
from saliency_stats.typing import BoolArray, Image

#: Optical density of the most absorbing channel, relative to the glass, up to which there is no tissue.
BACKGROUND_OD: Final = 0.05
#: Standard deviation of the Gaussian applied to the optical density before that threshold.
SMOOTHING_UM: Final = 0.5


def tissue_mask(
    image: Image,
    mpp: float,
    white: tuple[float, float, float],
    background_od: float = BACKGROUND_OD,
    smoothing_um: float = SMOOTHING_UM,
) -> BoolArray:
    """Where there is tissue: optical density of the most absorbing channel, slightly smoothed, above a threshold.

    Pale collagen and cytoplasm absorb green and next to nothing else: a mean over the channels would call them glass.

    Parameters
    ----------
    white
        Colour of the glass, of the slide where it is known.

    Returns
    -------
    ndarray
        (H, W) bool.
    """
    density = reduce(np.maximum, np.moveaxis(optical_density(image, white), -1, 0))
    return np.asarray(ndimage.gaussian_filter(density, smoothing_um / mpp) > background_od)


def tissue_share(
    image: Image, mpp: float, background_od: float = BACKGROUND_OD, smoothing_um: float = SMOOTHING_UM
) -> float:
    """Share of an image that is tissue, with the glass as this image alone shows it.

    In [0, 1]; 0 for bare glass, however grey the scanner shows it.
    """
    white = glass_colour(image.reshape(-1, 3))
    return float(tissue_mask(image, mpp, white, background_od, smoothing_um).mean())
