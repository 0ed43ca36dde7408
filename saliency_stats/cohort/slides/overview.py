"""Where a slide is tissue: glass, pen marks and specks told apart on an overview of the whole slide.

All rules are about optical densities OD = -log10(I / 255) of the three channels (r, g, b) and their *colourfulness*,
the largest minus the smallest, which is the saturation S of HSV as a density, -log10(1 - S). Grey has none, however
dark it is: dust, the edge of the cover slip, a shadow.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt, map_coordinates
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_holes, remove_small_objects
from skimage.transform import integral_image

from saliency_stats.imaging import tissue as imaging
from saliency_stats.imaging.density import glass_colour, optical_density
from saliency_stats.typing import BoolArray, Float32Array, Float64Array, Image

#: Otsu divides whatever it is given, an empty slide into brighter and darker noise. Glass, with its tint and the noise
#: of compression, stays below this colourfulness (S = 7 %): 0.02 for 99 of 100 pixels in CAMELYON patches.
MIN_COLOUR: Final = 0.03
#: A slide full of tissue it divides into pale and dark tissue. Beyond this (S = 11 %) pale tissue would be lost: half
#: of that of the palest CAMELYON17 centre lies below 0.08.
MAX_COLOUR: Final = 0.05
#: Pieces of tissue smaller than a square of 100 µm are debris; holes of that size are lumina and fat, part of it.
MIN_TISSUE_UM2: Final = 10_000.0
MIN_HOLE_UM2: Final = 10_000.0
#: A pen draws lines of at least 200 µm; specks of ink-like colour are pigment, or nuclei seen from near.
MIN_INK_UM2: Final = 40_000.0
#: The rim of a line is so thin that its colour says nothing.
INK_MARGIN_UM: Final = 50.0

#: Mean optical density below which a hue says little, and above which a mark is strong.
_FAINT, _STRONG = 0.15, 0.5


@dataclass(frozen=True)
class TissueMap:
    """Tissue of a whole slide, at low resolution.

    Parameters
    ----------
    mask
        (H, W) bool, its upper left corner that of the slide.
    mpp_y, mpp_x
        µm per pixel of the mask.
    """

    mask: BoolArray
    mpp_y: float
    mpp_x: float

    @classmethod
    def from_overview(cls, image: Image, mpp_y: float, mpp_x: float) -> "TissueMap":
        """Find the tissue on an overview as :meth:`Slide.read_overview` gives it."""
        return cls(tissue_mask(image, mpp_y, mpp_x), mpp_y, mpp_x)

    @property
    def area_um2(self) -> float:
        """Area of the tissue."""
        return float(self.mask.sum()) * self.mpp_y * self.mpp_x

    @cached_property
    def _integral(self) -> Float64Array:
        """Number of tissue pixels above and to the left of each corner between pixels, (H + 1, W + 1)."""
        return np.pad(integral_image(self.mask, dtype=np.float64), ((1, 0), (1, 0)))  # type: ignore[no-untyped-call]

    def shares(self, centres_um: ArrayLike, side_um: float) -> Float64Array:
        """Share of tissue in squares, pixels counting by the part of them that lies inside.

        Parameters
        ----------
        centres_um
            (N, 2) middles (y, x) of the squares. What lies outside the slide is no tissue.
        side_um
            Their side.

        Returns
        -------
        ndarray
            (N,) shares between 0 and 1.
        """
        centres = np.asarray(centres_um, dtype=np.float64).reshape(-1, 2)
        first, last = ((centres + half) / (self.mpp_y, self.mpp_x) for half in (-side_um / 2, side_um / 2))
        inside = (
            self._count(last[:, 0], last[:, 1])
            - self._count(first[:, 0], last[:, 1])
            - self._count(last[:, 0], first[:, 1])
            + self._count(first[:, 0], first[:, 1])
        )
        shares: Float64Array = np.clip(inside * self.mpp_y * self.mpp_x / side_um**2, 0.0, 1.0)
        return shares

    def _count(self, y_px: Float64Array, x_px: Float64Array) -> Float64Array:
        """Tissue pixels above and to the left of points; linear between corners, as a pixel is all tissue or none."""
        return np.asarray(map_coordinates(self._integral, [y_px, x_px], order=1, mode="nearest"))


def tissue_mask(image: Image, mpp_y: float, mpp_x: float) -> BoolArray:
    """Find the tissue on an overview of a slide, (H, W, 3) uint8.

    Tissue is what it is for patches and the background compartment (``imaging.tissue``), and besides no dust, tint or
    ink: it is colourful beyond Otsu's threshold (Otsu 1979, eq. 12), kept between :data:`MIN_COLOUR` and
    :data:`MAX_COLOUR`; it absorbs more green than blue, as yellowed glass does not; and :func:`ink_mask` spares it.
    Small holes are filled and small pieces dropped.

    Returns
    -------
    ndarray
        (H, W) bool; nothing of an empty slide.
    """
    density = optical_density(image)
    colour = density.max(axis=2) - density.min(axis=2)
    ink = _ink(density, mpp_y, mpp_x)
    if ink.all():
        return np.zeros_like(ink)
    otsu = threshold_otsu(colour[~ink])  # type: ignore[no-untyped-call]  # no annotations
    threshold = float(np.clip(otsu, MIN_COLOUR, MAX_COLOUR))
    stained = imaging.tissue_mask(image, (mpp_y + mpp_x) / 2, glass_colour(image.reshape(-1, 3)))
    tissue = stained & (colour > threshold) & (density[..., 1] > density[..., 2]) & ~ink
    pixel_um2 = mpp_y * mpp_x
    filled = remove_small_holes(tissue, max_size=_below(MIN_HOLE_UM2 / pixel_um2))
    return np.asarray(remove_small_objects(filled & ~ink, max_size=_below(MIN_TISSUE_UM2 / pixel_um2)))


def ink_mask(image: Image, mpp_y: float, mpp_x: float) -> BoolArray:
    """Find pen marks, (H, W), on an overview of a slide, (H, W, 3) uint8.

    Haematoxylin and eosin both absorb green most (Ruifrok & Johnston 2001, table 1: OD (0.65, 0.70, 0.29) and
    (0.07, 0.99, 0.11)), so no mixture of them absorbs red or blue as much as green. Ink does:

    ============  ===================================================================
    blue, green   r > 1.1 g
    deep blue     r > 0.9 g and b < 0.3 r: bluer than haematoxylin, with little eosin
    red           b > 0.75 g and r < 0.5 g: redder than eosin; and strong, g > 0.5
    black         colourfulness below a quarter of the mean; and strong, mean > 0.5
    ============  ===================================================================

    each where the mean is above 0.15; then lines of at least :data:`MIN_INK_UM2`, widened by :data:`INK_MARGIN_UM`.
    Large pools of fresh blood are as red as a red pen and go with it. A pen as violet as the stains is not told apart.
    """
    return _ink(optical_density(image), mpp_y, mpp_x)


def _ink(density: Float32Array, mpp_y: float, mpp_x: float) -> BoolArray:
    red, green, blue = np.moveaxis(density, 2, 0)
    mean = density.mean(axis=2)
    colour = density.max(axis=2) - density.min(axis=2)
    cold = (red > 1.1 * green) | ((red > 0.9 * green) & (blue < 0.3 * red))
    warm = (blue > 0.75 * green) & (green > _STRONG) & (red < 0.5 * green)
    black = (mean > _STRONG) & (colour < mean / 4)
    strokes = (mean > _FAINT) & (cold | warm | black)
    ink: BoolArray = remove_small_objects(strokes, max_size=_below(MIN_INK_UM2 / (mpp_y * mpp_x)))
    if not ink.any():
        return ink
    near: BoolArray = distance_transform_edt(~ink, sampling=(mpp_y, mpp_x)) <= INK_MARGIN_UM
    return near


def _below(size_px: float) -> int:
    """Whole number of pixels that is the largest one below a size: what scikit-image drops."""
    return math.ceil(size_px) - 1
