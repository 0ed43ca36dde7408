"""What stands in for a compartment that is replaced (pure NumPy and SciPy).

Each stand-in asks a question of its own. ``mean`` takes everything away, colour and structure. ``blur`` takes the
structure and keeps the compartment's own local colour; ``stain`` takes the local colour and keeps the structure: at one
length, what one keeps is what the other removes. ``inpaint`` continues a
ring of it over all of it; ``resynthesis`` keeps colour and texture and takes the arrangement.

Images are (H, W, 3), uint8 or float in [0, 1]; all images that come back are float32 in [0, 1], as networks read them.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from saliency_stats.attribution.inpainting import inpainted
from saliency_stats.attribution.resynthesis import resynthesised
from saliency_stats.errors import AttributionError
from saliency_stats.imaging.density import DARKEST
from saliency_stats.typing import Float32Array, Float64Array

#: What may stand in for a compartment.
REPLACEMENTS: Final = ("mean", "blur", "stain", "inpaint", "resynthesis")
#: What does, if nothing else is asked.
USUAL: Final = REPLACEMENTS[:3]
#: Those that are the same whatever is replaced, so that a patch needs them once.
SHARED: Final = ("mean",)
#: Standard deviations of the Gaussians in µm. Structure finer than this is removed by ``blur`` and kept by ``stain``:
#: chromatin, granules, single fibres.
BLUR_UM: Final = 2.0
#: ``mean`` averages colour over a few cells.
SURROUNDINGS_UM: Final = 10.0
#: Weight of the mean over the patch in a local mean: decides only where nothing is near.
_FAR: Final = 1e-3
#: Float32 memberships exceed 1 by rounding.
_ROUNDING: Final = 1e-6


def composed(image: npt.ArrayLike, weight: npt.ArrayLike, stand_in: npt.ArrayLike) -> Float32Array:
    """Lay a stand-in over an image: ``(1 - w) x + w stand_in``.

    Parameters
    ----------
    image, stand_in
        (H, W, 3), uint8 or float in [0, 1].
    weight
        (H, W) in [0, 1].

    Returns
    -------
    ndarray
        (H, W, 3) float32; bit-equal to the image where w = 0, and to the stand-in where w = 1.

    Raises
    ------
    AttributionError
        If shapes differ or values are out of range.
    """
    below, above = as_floats(image), as_floats(stand_in)
    if below.shape != above.shape:
        raise AttributionError(f"The image has the shape {below.shape}, what stands in for it {above.shape}.")
    w = as_weights(weight, below.shape).astype(np.float32)[..., None]
    return np.asarray((1 - w) * below + w * above)


def replacement(
    image: npt.ArrayLike,
    weight: npt.ArrayLike,
    kind: str,
    mpp: float,
    *,
    tissue: npt.ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> Float32Array:
    """Build the image that stands in for a compartment.

    Every local average is a normalised convolution (Knutsson and Westin 1993, CVPR, 515-523): a Gaussian average over
    the pixels that count, weighted by how much they do.

    ``mean``
        The local mean colour of the tissue, the compartment included, over a few cells. The mean of the surroundings
        alone was tried and is not neutral: it paints the cytoplasm between crowded nuclei in the nuclei's colour, so
        that cells turn into blots and the patch gains what it should only lose. Over a few cells a compartment is a
        small part of its own stand-in, and the colour is the same for all compartments and for the random region: they
        differ only in where it is laid. Glass does not count: otherwise a patch at the tissue's edge would lose
        tissue, not a compartment. Far from any tissue it is the mean of all tissue, without any that of all pixels.
    ``blur``
        The Gaussian average over the compartment's *own* pixels. A plain blur would let the surroundings in, and a
        small nucleus would lose its colour too.
    ``stain``
        One stain, the direction u of the mean optical density of the patch's tissue, and in it the compartment's own
        structure: ``OD' = max(mean + a - local mean of a, 0) u`` with ``a = OD . u``, the local mean taken as in
        ``blur``. Optical density is ``-log10(I)`` (Beer-Lambert; Ruifrok and Johnston 2001, eq. 1).
    ``inpaint``
        A ring inside of each piece of the compartment, continued over all of it
        (:func:`~saliency_stats.attribution.inpainting.inpainted`).
    ``resynthesis``
        Another draw of the compartment's texture
        (:func:`~saliency_stats.attribution.resynthesis.resynthesised`).

    Parameters
    ----------
    image
        (H, W, 3), uint8 or float in [0, 1].
    weight
        (H, W) in [0, 1], membership of the compartment.
    mpp
        µm per pixel.
    tissue
        (H, W) in [0, 1], how much of a pixel is tissue; all of every pixel if left out.
    rng
        Random numbers of this patch, for ``resynthesis``; the others draw none.

    Returns
    -------
    ndarray
        (H, W, 3) float32 in [0, 1], defined in every pixel.

    Raises
    ------
    AttributionError
        If shapes differ, values are out of range, the kind is unknown, or one that draws has no random numbers.
    """
    pixels = as_floats(image).astype(np.float64)
    w = as_weights(weight, pixels.shape)
    some = np.ones(w.shape) if tissue is None else as_weights(tissue, pixels.shape)
    if kind not in REPLACEMENTS:
        raise AttributionError(f"Replacement {kind!r} is unknown, expected one of {', '.join(REPLACEMENTS)}.")
    if not (np.isfinite(mpp) and mpp > 0):
        raise AttributionError(f"mpp must be a positive number of µm per pixel, found {mpp}.")
    if kind == "mean":
        result = _local_mean(pixels, some, SURROUNDINGS_UM / mpp)
    elif kind == "blur":
        result = _local_mean(pixels, w, BLUR_UM / mpp)
    elif kind == "stain":
        result = _one_stain(pixels, w, some, BLUR_UM / mpp)
    elif kind == "inpaint":
        result = inpainted(pixels, w, _mean(pixels, w), mpp)
    elif rng is None:
        raise AttributionError(f"Replacement {kind!r} draws random numbers; pass the generator of the patch as rng.")
    else:
        density = _density(pixels)
        result = 10.0 ** -resynthesised(density, w, _mean(density, w), rng)
    return np.asarray(np.clip(result, 0.0, 1.0), dtype=np.float32)


def _local_mean(values: Float64Array, weight: Float64Array, sigma_px: float) -> Float64Array:
    """Gaussian average of (H, W, C) over the pixels that count; far from all of them it goes to their mean."""
    mean = _mean(values, weight)
    w = weight[..., None]
    both = gaussian_filter(np.concatenate([values * w, w], axis=-1), (sigma_px, sigma_px, 0), mode="nearest")
    return np.asarray((both[..., :-1] + _FAR * mean) / (both[..., -1:] + _FAR))


def _mean(values: Float64Array, weight: Float64Array) -> Float64Array:
    """Mean of (H, W, C) over the pixels that count; over all where none does."""
    w = (weight if weight.any() else np.ones_like(weight))[..., None]
    return np.asarray((values * w).sum(axis=(0, 1)) / w.sum())


def _one_stain(pixels: Float64Array, w: Float64Array, tissue: Float64Array, sigma_px: float) -> Float64Array:
    od = _density(pixels)
    mean = _mean(od, tissue)
    length = float(np.linalg.norm(mean))
    if not length:  # no stain anywhere
        return pixels
    direction = mean / length
    amount = (od @ direction)[..., None]
    structure = amount - _local_mean(amount, w, sigma_px)
    return np.asarray(10.0 ** -(np.maximum(length + structure, 0.0) * direction))


def _density(pixels: Float64Array) -> Float64Array:
    return np.asarray(-np.log10(np.maximum(pixels, DARKEST / 255)))


def as_floats(image: npt.ArrayLike) -> Float32Array:
    """Return an image (H, W, 3), uint8 or float in [0, 1], as float32 in [0, 1]; refuse any other."""
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[-1] != 3:  # noqa: PLR2004 - (H, W, 3)
        raise AttributionError(f"An image has the shape (H, W, 3), found {array.shape}.")
    if array.dtype == np.uint8:
        return np.asarray(array / np.float32(255), dtype=np.float32)
    if not (np.issubdtype(array.dtype, np.floating) and array.min() >= 0 and array.max() <= 1):
        raise AttributionError(
            f"An image is uint8, or float in [0, 1]; found {array.dtype} from {array.min()} to {array.max()}. "
            "Divide 8-bit levels by 255."
        )
    return array.astype(np.float32, copy=False)


def as_weights(weight: npt.ArrayLike, like: tuple[int, ...]) -> Float64Array:
    """Return a weight (H, W) in [0, 1] of an image of the shape ``like`` as float64; refuse any other."""
    w = np.asarray(weight, dtype=np.float64)
    if w.shape != like[:2]:
        raise AttributionError(f"The weight has the shape {w.shape}, expected that of the image, {like[:2]}.")
    if not (w.min() >= 0 and w.max() <= 1 + _ROUNDING):  # written so that NaN fails too
        raise AttributionError(f"A weight lies in [0, 1], found {w.min()} to {w.max()}.")
    return np.minimum(w, 1.0)
