"""An image with its segmentation on top: outlines of nuclei, a tint of cytoplasm and stroma (pure NumPy)."""

from typing import Final

import numpy as np
from matplotlib.colors import to_rgb
from skimage.segmentation import find_boundaries

from saliency_stats.compartments import Segmentation, to_codes
from saliency_stats.errors import ReportError
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS
from saliency_stats.typing import Float64Array, UInt8Array
from saliency_stats.vocabulary import COMPARTMENT_CODES

#: Of the nuclei's outlines (red, green, blue): a light cyan, since the blue of the figures is lost on haematoxylin.
NUCLEUS_OUTLINE: Final = (0, 229, 255)
#: How much of the colour of these compartments covers the tissue.
TINTS: Final = {"cytoplasm": 0.25, "stroma": 0.25}


def overlay(image: UInt8Array, segmentation: Segmentation) -> UInt8Array:
    """Draw a segmentation over its image, (H, W, 3) uint8.

    Returns
    -------
    ndarray
        (H, W, 3) uint8: the outermost pixels of every nucleus in ``NUCLEUS_OUTLINE``, cytoplasm and stroma tinted in
        the colours of the figures; the inside of nuclei and the background as they were.

    Raises
    ------
    ReportError
        If the two differ in size.
    """
    if image.shape != (*segmentation.instances.shape, 3):
        raise ReportError(
            f"the image has the shape {image.shape} and the segmentation {segmentation.instances.shape}; expected "
            "one height and width for both. Use the segmentation of this image"
        )
    codes = to_codes(segmentation.memberships)
    drawn = image.astype(np.float64)
    for name, strength in TINTS.items():
        here = codes == COMPARTMENT_CODES[name]
        drawn[here] = (1 - strength) * drawn[here] + strength * _rgb(name)
    border = find_boundaries(segmentation.instances, mode="inner")  # type: ignore[no-untyped-call]  # no annotations
    drawn[border] = NUCLEUS_OUTLINE
    return np.asarray(np.rint(drawn), dtype=np.uint8)


def _rgb(name: str) -> Float64Array:
    return 255 * np.array(to_rgb(COMPARTMENT_COLOURS[name]))
