"""Stain vectors of a slide and the optical densities of its two stains (pure NumPy, no files).

Light through a stained section follows Beer-Lambert, so the optical density ``OD = -log10(I / I0)`` of a
pixel is a non-negative mixture of one vector per stain (Ruifrok and Johnston 2001, Anal Quant Cytol Histol
23:291, eq. 1-3). Macenko et al. (2009, ISBI, "A method for normalizing histology slides for quantitative
analysis") find the two vectors of a slide as the extreme directions of its optical densities.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from skimage.filters import threshold_otsu

from saliency_stats.errors import CompartmentError
from saliency_stats.imaging.density import WHITE, glass_colour, optical_density
from saliency_stats.typing import Float32Array, FloatArray, UInt8Array

#: Ruifrok and Johnston (2001), haematoxylin and eosin, as in ``skimage.color.rgb_from_hed``.
RUIFROK_JOHNSTON: Final = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11))
#: Macenko's beta: paler pixels say nothing about the direction of a stain.
STAINED_OD: Final = 0.10
#: Macenko's alpha: the extreme directions are this percentile and 100 minus it.
ANGLE_PERCENTILE: Final = 0.5
#: Fewer stained pixels than this give no stable extreme direction.
MIN_STAINED_PX: Final = 500
#: Angles between haematoxylin and eosin outside this range mean one stain only, or no H&E at all.
ANGLE_RANGE_DEG: Final = (10.0, 60.0)
#: On every slide looked at haematoxylin lies this close to Ruifrok and Johnston's; it takes this much more of its
#: unit vector from red than eosin does, and eosin takes at least this much from green.
HAEMATOXYLIN_WITHIN_DEG: Final = 25.0
HAEMATOXYLIN_REDDER: Final = 0.10
EOSIN_GREEN: Final = 0.70
#: Pixels kept of one image, and of a slide: what bounds the memory.
PIXELS_PER_IMAGE: Final = 4096
PIXELS_PER_SLIDE: Final = 400_000
#: The haematoxylin OD of a nuclear border lies in this range on every slide looked at.
NUCLEAR_OD_RANGE: Final = (0.15, 0.60)
#: Percentiles of intensity that stardist's own examples normalise by.
LEVEL_PERCENTILES: Final = (1.0, 99.8)
#: Grey levels. Any stained tissue spans more; an empty patch must not be stretched until its noise looks like nuclei.
LEAST_CONTRAST: Final = 100.0


@dataclass(frozen=True)
class Stains:
    """The two stains of one slide.

    Parameters
    ----------
    vectors
        Unit OD vectors, haematoxylin then eosin, each (red, green, blue).
    source
        ``"macenko"``, or ``"ruifrok_johnston: "`` and why Macenko's vectors were not used.
    white
        Intensity of the glass per channel (0-255): the slide's own where glass is in view, else 255.
    maxima
        99th percentile of the concentration of each stain over stained pixels, for normalisation.
    nuclear_od
        Haematoxylin concentration that separates nuclei from the rest of this slide.
    levels
        1st and 99.8th percentile of the slide's intensities over all channels, at least ``LEAST_CONTRAST`` apart:
        what StarDist's normalisation maps to 0 and 1.
    """

    vectors: tuple[tuple[float, float, float], tuple[float, float, float]]
    source: str
    white: tuple[float, float, float] = WHITE
    maxima: tuple[float, float] = (1.0, 0.5)
    nuclear_od: float = 0.25
    levels: tuple[float, float] = (0.0, 255.0)

    def __post_init__(self) -> None:
        matrix = np.asarray(self.vectors, dtype=float)
        if matrix.shape != (2, 3) or not np.all(matrix >= 0):
            raise CompartmentError(
                f"Stain vectors must be two rows of three non-negative numbers (red, green, blue), "
                f"found {self.vectors}."
            )
        if not np.allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-6):
            raise CompartmentError(
                f"Stain vectors must have length 1, found lengths {np.linalg.norm(matrix, axis=1)}; "
                "divide each by its Euclidean norm."
            )
        if matrix[0] @ matrix[1] > np.cos(np.deg2rad(1.0)):
            raise CompartmentError(
                f"The stain vectors {self.vectors} are less than 1 degree apart: no image can be unmixed."
            )
        if not all(0 < w <= 255 for w in self.white):  # noqa: PLR2004 - 255 is uint8's white
            raise CompartmentError(f"white must lie in (0, 255] in every channel, found {self.white}.")
        if not (min(self.maxima) > 0 and self.nuclear_od > 0):
            raise CompartmentError(
                f"maxima and nuclear_od must be positive, found {self.maxima} and {self.nuclear_od}."
            )
        if not self.levels[0] < self.levels[1]:
            raise CompartmentError(f"levels must be a lower and a higher intensity, found {self.levels}.")


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.linalg.norm(vector)


def unmixing_matrix(vectors: npt.ArrayLike) -> FloatArray:
    """Inverse of the 3x3 stain matrix of ``vectors`` (2, 3); its third row is the residual, orthogonal to both stains.

    Returns
    -------
    ndarray
        (3, 3): ``od @ matrix`` gives haematoxylin, eosin and residual. With the residual orthogonal to both
        stains the first two columns are the least-squares solution.
    """
    h, e = np.asarray(vectors, dtype=np.float64)
    return np.linalg.inv(np.stack([h, e, _unit(np.cross(h, e))]))


def concentrations(image: UInt8Array, stains: Stains) -> Float32Array:
    """Optical density (2, H, W), float32, due to haematoxylin and to eosin: least squares, negative values set to 0."""
    od = optical_density(image, stains.white)
    mixed = od @ unmixing_matrix(stains.vectors)[:, :2].astype(np.float32)
    return np.ascontiguousarray(np.maximum(np.moveaxis(mixed, -1, 0), np.float32(0)))


def _pooled_pixels(images: Iterable[UInt8Array]) -> UInt8Array:
    """Every n-th pixel of each image, and every second of those again whenever the slide's share is full."""
    kept: list[UInt8Array] = []
    total, thinning = 0, 1
    for image in images:
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:  # noqa: PLR2004 - (H, W, 3)
            raise CompartmentError(
                f"Stains are estimated from (H, W, 3) uint8 images, found shape {image.shape} of "
                f"{image.dtype}; convert to 8-bit RGB."
            )
        pixels = image.reshape(-1, 3)
        stride = max(1, -(-len(pixels) // PIXELS_PER_IMAGE)) * thinning
        kept.append(pixels[stride // 2 :: stride])
        total += len(kept[-1])
        if total > PIXELS_PER_SLIDE:
            kept = [np.concatenate(kept)[::2]]
            total, thinning = len(kept[0]), thinning * 2
    if not total:
        raise CompartmentError("Stains cannot be estimated from no images; give at least one (H, W, 3) image.")
    return np.concatenate(kept)


def _macenko(od: FloatArray) -> FloatArray | str:
    """Vectors (2, 3) of stained pixels ``od`` (n, 3), or the reason why there are none."""
    if len(od) < MIN_STAINED_PX:
        return f"{len(od)} stained pixels, at least {MIN_STAINED_PX} are needed"
    # the plane of the two largest eigenvectors, both turned towards positive OD
    plane = np.linalg.eigh(np.cov(od, rowvar=False))[1][:, [2, 1]]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    projected = od @ plane
    angles = np.arctan2(projected[:, 1], projected[:, 0])
    extremes = np.percentile(angles, [ANGLE_PERCENTILE, 100.0 - ANGLE_PERCENTILE])
    candidates = [np.maximum(plane @ np.array([np.cos(angle), np.sin(angle)]), 0.0) for angle in extremes.tolist()]
    if not all(candidate.any() for candidate in candidates):
        return "the optical densities have no common direction"
    # haematoxylin is bluer: it absorbs more red, relative to the rest
    first, second = sorted((_unit(c) for c in candidates), key=lambda v: -float(v[0]))
    angle = float(np.rad2deg(np.arccos(np.clip(first @ second, -1.0, 1.0))))
    low, high = ANGLE_RANGE_DEG
    if not low <= angle <= high:
        return f"the stain vectors found are {angle:.1f} degrees apart, expected {low:g} to {high:g}"
    # several slides in one, pigment and noise give extremes that are neither stain
    usual = _unit(np.asarray(RUIFROK_JOHNSTON[0]))
    near = float(first @ usual) >= np.cos(np.deg2rad(HAEMATOXYLIN_WITHIN_DEG))
    if not (near and first[0] - second[0] >= HAEMATOXYLIN_REDDER and second[1] >= EOSIN_GREEN):
        return f"the vectors found are not haematoxylin and eosin ({first.round(2)} and {second.round(2)})"
    return np.stack([first, second])


def estimate_stains(images: Iterable[UInt8Array]) -> Stains:
    """Estimate the stain vectors of one slide from some of its images, (H, W, 3) uint8.

    Macenko et al. (2009), section 2: keep pixels of OD above ``STAINED_OD``, project them on the plane of the
    two largest eigenvectors of their covariance, take robust extreme angles as the stains. Pixels of all
    images are pooled, thinned by fixed strides (nothing is random), so memory stays bounded.

    Returns
    -------
    Stains
        With ``source`` naming Ruifrok and Johnston's vectors, and the reason, where the slide holds too
        little stain or only one.

    Raises
    ------
    CompartmentError
        If there is no image, or one is not 8-bit RGB.
    """
    pixels = _pooled_pixels(images)
    white = glass_colour(pixels)
    levels = _levels(pixels)
    od = optical_density(pixels, white).astype(np.float64)
    stained = od[od.mean(axis=1) > STAINED_OD]
    found = _macenko(stained)
    if isinstance(found, str):
        vectors = np.stack([_unit(np.asarray(v)) for v in RUIFROK_JOHNSTON])
        source = f"ruifrok_johnston: {found}"
    else:
        vectors, source = found, "macenko"
    red, green = ((float(r), float(g), float(b)) for r, g, b in vectors)
    if not len(stained):
        return Stains((red, green), source, white, levels=levels)
    amounts = np.maximum(stained @ unmixing_matrix(vectors)[:, :2], 0.0)
    h_max, e_max = (max(float(p), 0.05) for p in np.percentile(amounts, 99.0, axis=0))
    return Stains((red, green), source, white, (h_max, e_max), nuclear_threshold(amounts[:, 0]), levels)


def _levels(pixels: UInt8Array) -> tuple[float, float]:
    low, high = (float(level) for level in np.percentile(pixels, LEVEL_PERCENTILES))
    return min(low, high - LEAST_CONTRAST), high


def nuclear_threshold(haematoxylin: FloatArray) -> float:
    """Haematoxylin OD that parts nuclei from the rest: Otsu (1979) over a slide, held in a plausible range.

    Parameters
    ----------
    haematoxylin
        (n,) concentrations of stained pixels of one slide. Of a whole slide: Otsu over a single patch without
        nuclei would part its stroma in two.
    """
    low, high = NUCLEAR_OD_RANGE
    if np.ptp(haematoxylin) < 1e-6:  # noqa: PLR2004 - one value: nothing to part
        return high
    values = np.asarray(haematoxylin, dtype=np.float64)
    parting = threshold_otsu(values)  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    return float(np.clip(parting, low, high))
