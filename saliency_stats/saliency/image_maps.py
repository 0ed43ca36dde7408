"""Maps made from the image alone, as controls of maps made by a network (pure NumPy and scikit-image, no torch).

A network whose saliency prefers a compartment no more than these do may have found nothing but edges or stain.
"""

import numpy as np
import numpy.typing as npt
from skimage import color, filters

from saliency_stats.errors import AttributionError
from saliency_stats.typing import Float32Array, UInt8Array


def sobel(image: UInt8Array, concentrations: npt.ArrayLike) -> Float32Array:
    """Edges: the magnitude of Sobel's gradient of the luminance.

    Of the luminance and not of the optical density: the network differentiates with respect to the pixel in
    [0, 1], so this is the edge detector of its own input (Adebayo et al. 2018 compare
    saliency with one). The gradient of an optical density is that of the pixel divided by the pixel: it would put
    weight on all that is dark, which is the nuclei, before any edge is looked at.

    Of the concentrations only the shape is looked at here.

    Returns
    -------
    ndarray
        (H, W) float32, ``sqrt((d_y^2 + d_x^2) / 2)``, each d the difference of the luminance (Rec. 709, in [0, 1])
        between the pixels on either side, smoothed along the other axis; the image is mirrored at its edges.

    Raises
    ------
    AttributionError
        If the image is not (H, W, 3) uint8, or the concentrations have another size.
    """
    _checked(image, concentrations)
    edges = filters.sobel(color.rgb2gray(image))  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    return np.asarray(edges, dtype=np.float32)


def haematoxylin(image: UInt8Array, concentrations: npt.ArrayLike) -> Float32Array:
    """Optical density (H, W) due to haematoxylin, negative values set to 0; of the image only the shape is looked at.

    Raises
    ------
    AttributionError
        As ``sobel``.
    """
    return np.asarray(_checked(image, concentrations)[0].clip(min=0))


def eosin(image: UInt8Array, concentrations: npt.ArrayLike) -> Float32Array:
    """Optical density due to eosin, negative values set to 0; otherwise as ``haematoxylin``.

    Raises
    ------
    AttributionError
        As ``sobel``.
    """
    return np.asarray(_checked(image, concentrations)[1].clip(min=0))


def _checked(image: UInt8Array, concentrations: npt.ArrayLike) -> Float32Array:
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:  # noqa: PLR2004 - (H, W, 3)
        raise AttributionError(
            f"maps of the image: the image has shape {image.shape} and type {image.dtype}; expected (H, W, 3) uint8. "
            "Convert to 8-bit RGB"
        )
    stains = np.asarray(concentrations, dtype=np.float32)
    if stains.shape != (2, *image.shape[:2]):
        raise AttributionError(
            f"maps of the image: the concentrations have shape {stains.shape} for an image {image.shape}; expected "
            f"(2, {image.shape[0]}, {image.shape[1]}), haematoxylin then eosin. Compute both from the same image"
        )
    return stains
