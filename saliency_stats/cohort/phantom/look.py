"""What a slide brings to all of its patches: stain, thickness, crowding of cells, scanner."""

from dataclasses import dataclass

import numpy as np

from saliency_stats.errors import CohortError
from saliency_stats.typing import Float64Array

#: Mean optical density per unit of stain, RGB, unit length; rows haematoxylin and eosin. Between the
#: values of Ruifrok & Johnston (2001) and the Macenko vectors of scanned lymph nodes.
STAIN_VECTORS = np.array([[0.59, 0.73, 0.35], [0.21, 0.88, 0.42]])


@dataclass(frozen=True, eq=False)
class SlideLook:
    """The random effects of one slide.

    Parameters
    ----------
    stain_vectors
        (2, 3): optical density (base 10) in R, G, B of one unit of haematoxylin and of eosin; unit length.
    concentration
        (2,): factors on the haematoxylin and the eosin of all tissue.
    spacing
        Factor on the distance between neighbouring cells.
    white
        (3,): glass without tissue in R, G, B, as a fraction of full scale.
    blur_um
        Standard deviation of the camera's point spread, µm.
    sharpening
        Strength of the scanner's unsharp mask.
    photons
        Photons per pixel of glass: the shot noise has the standard deviation ``sqrt(intensity / photons)``.
    """

    stain_vectors: Float64Array
    concentration: Float64Array
    spacing: float
    white: Float64Array
    blur_um: float
    sharpening: float
    photons: float

    def __post_init__(self) -> None:
        for name, shape in (("stain_vectors", (2, 3)), ("concentration", (2,)), ("white", (3,))):
            value = getattr(self, name)
            if value.shape != shape or not np.all(value > 0):
                raise CohortError(f"{name} of a slide look is {value}, expected {shape} values above 0. Correct it.")
        for name in ("spacing", "blur_um", "photons"):
            if not getattr(self, name) > 0:
                raise CohortError(f"{name} of a slide look is {getattr(self, name)}, expected above 0. Correct it.")


def draw_look(rng: np.random.Generator, variation: float) -> SlideLook:
    """Draw a slide; ``variation`` multiplies every standard deviation, so 0 gives the mean slide."""
    vectors = STAIN_VECTORS + variation * 0.05 * rng.standard_normal((2, 3))
    vectors = np.clip(vectors, 0.02, None)
    white = np.array([0.945, 0.935, 0.95]) + variation * 0.012 * rng.standard_normal(3)
    effect = variation * rng.standard_normal(6)
    return SlideLook(
        stain_vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        concentration=np.exp(0.17 * effect[0] + 0.12 * effect[1:3]),
        spacing=float(1.25 * np.exp(0.04 * effect[3])),
        white=np.clip(white, 0.85, 0.99),
        blur_um=float(0.30 * np.exp(0.18 * effect[4])),
        sharpening=float(0.5 * np.exp(0.3 * effect[5])),
        photons=5000.0,
    )
