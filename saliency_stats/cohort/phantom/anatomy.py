"""Where the cells, fibres and gaps of a phantom lie: what every architecture lays out, in µm, without colour."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from saliency_stats.cohort.phantom.cells import Cells, bodies
from saliency_stats.typing import BoolArray, Float32Array, IndexArray


def _plain() -> Float32Array:
    return np.ones((2, 1, 1), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The geometry of one patch at a middle nuclear size; painting grows or shrinks the nuclei from here.

    What is neither a cell nor the ground between cells is ``gap``, and background in the truth: glass, lumen, mucin,
    the vacuoles of fat, red cells, and necrosis and keratin, which no living cell is left in to measure.

    Parameters
    ----------
    cells
        All cells that may reach into the field.
    nearest
        (H, W) index of the nearest cell.
    distance_um
        (H, W) signed distance to the border of that cell's nucleus, negative inside, at most ``REACH_UM``.
    stroma, gap
        (H, W) bool: fibrous ground, and what is not tissue. What is neither is cytoplasm. Nuclei lie above all.
    fibre_angle
        Main direction of the fibres, radians from the x axis.
    px_um
        Side of a pixel.
    body
        (H, W) bool: the nearest cell lies singly and this is its cytoplasm, whatever ground there is; None without.
    matter
        (2, H, W): haematoxylin and eosin of what fills the gaps; None if they are glass.
    stroma_tint
        (2, 1, 1) or (2, H, W): factors on the haematoxylin and the eosin of the stroma.
    bend_um
        (H, W): how far fibres are displaced across their main direction; None if they are straight.
    """

    cells: Cells
    nearest: IndexArray
    distance_um: Float32Array
    stroma: BoolArray
    gap: BoolArray
    fibre_angle: float
    px_um: float
    body: BoolArray | None = None
    matter: Float32Array | None = None
    stroma_tint: Float32Array = field(default_factory=_plain)
    bend_um: Float32Array | None = None

    def with_bodies(self) -> "Anatomy":
        """Draw the cytoplasm of the cells that lie singly."""
        return replace(self, body=bodies(self.cells, self.nearest, self.distance_um, self.px_um))


class Architecture(Protocol):
    """Lays out the tissue of one patch; what it draws does not depend on the size of a pixel."""

    def __call__(self, rng: np.random.Generator, shape: tuple[int, int], px_um: float, spacing: float) -> Anatomy:
        """Lay out (H, W) pixels of ``px_um``; ``spacing`` is a factor on the distance between cells."""
        ...


def highest(score: Float32Array, eligible: BoolArray, n: int) -> BoolArray:
    """Choose the ``n`` eligible pixels of highest score."""
    chosen = np.zeros(score.shape, dtype=np.bool_)
    where = np.flatnonzero(eligible)
    n = min(n, len(where))
    if n:
        values = score.ravel()[where]
        chosen.ravel()[where[np.argpartition(values, len(where) - n)[len(where) - n :]]] = True
    return chosen
