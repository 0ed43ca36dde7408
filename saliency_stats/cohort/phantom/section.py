"""A whole section of phantom tissue: outline, tumour, and the stain that lies on the glass."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from saliency_stats.cohort.phantom.anatomy import Anatomy
from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.cohort.phantom.look import SlideLook
from saliency_stats.cohort.phantom.painting import Painting, paint
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.cohort.phantom.texture import PlaneWaves, pixel_centres
from saliency_stats.cohort.slides.outlines import rasterise
from saliency_stats.typing import BoolArray, UInt8Array
from saliency_stats.vocabulary import COMPARTMENT_CODES, LABELS

_Floats: TypeAlias = NDArray[np.floating[Any]]

#: The section is painted in square blocks, each with a layout and phenotypes of its own.
BLOCK_PX: Final = 512
#: A block is painted this far beyond its border: room for the wavy border, the fade and whole nuclei.
_MARGIN_PX: Final = 44
#: The borders of blocks wander by this standard deviation, at most twice as much, and over this length.
_WANDER_UM, _WANDER_LENGTH_UM = 6.0, 25.0
#: Half the width over which the ground of one block fades into that of the next.
_FADE_UM: Final = 6.0
#: Pixels nearer than this to a nucleus of middle size belong to it: its largest growth, and its soft border.
_RIM_UM: Final = 1.0
#: A nucleus that is left out is moved this far away from every pixel.
_AWAY_UM: Final = 6.0
#: Shares of the slide that is tissue, and of the tissue that is tumour (before a hole is cut).
_TISSUE_SHARE, _TUMOUR_SHARE = (0.62, 0.72), (0.36, 0.46)
#: Radius of the benign island inside the tumour, as a part of the tumour's own.
_HOLE: Final = 0.38


@dataclass(frozen=True, eq=False)
class SectionPlan:
    """Where the tissue and the tumour lie: shapely geometry in µm from the upper left corner, x then y.

    Parameters
    ----------
    tumour
        Malignant tissue, wholly inside ``tissue``: one or two areas, one of them around an island of benign tissue;
        empty on a normal slide.
    """

    tissue: BaseGeometry
    tumour: BaseGeometry


@dataclass(frozen=True, eq=False)
class Section:
    """What lies on the glass.

    Parameters
    ----------
    stain
        (2, H, W) float16: haematoxylin and eosin. Half precision, three digits, since a section is large.
    truth
        (H, W) uint8, codes of ``COMPARTMENT_CODES``.
    malignant
        (H, W) bool: pixels drawn with malignant phenotypes.
    px_um
        Side of a pixel in µm.
    """

    stain: NDArray[np.float16]
    truth: UInt8Array
    malignant: BoolArray
    px_um: float


def _outline(
    rng: np.random.Generator, centre_um: tuple[float, float], sides_um: tuple[float, float], area_um2: float, power: int
) -> BaseGeometry:
    """Draw a rough superellipse of given area; ``power`` 2 is an ellipse, 4 nearly a rectangle with round corners."""
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    waves = np.arange(2, 41)
    # amplitudes fall with the frequency: large bays, small notches
    height = rng.standard_normal(len(waves)) * 0.10 / waves**1.2
    radius = np.exp(height @ np.cos(waves[:, None] * angle + rng.uniform(0, 2 * np.pi, (len(waves), 1))))
    radius *= (np.abs(np.cos(angle)) ** power + np.abs(np.sin(angle)) ** power) ** (-1 / power)
    shape = shapely.Polygon(np.stack([radius * np.cos(angle) * sides_um[0], radius * np.sin(angle) * sides_um[1]], 1))
    factor = np.sqrt(area_um2 / shape.area)
    return affinity.translate(affinity.scale(shape, factor, factor, origin=(0, 0)), *centre_um)


def draw_plan(rng: np.random.Generator, width_um: float, height_um: float, *, tumour: bool) -> SectionPlan:
    """Draw the outlines of a section.

    What ``rng`` is asked for does not depend on ``tumour``; the tissue is the same with and without.

    Returns
    -------
    SectionPlan
        Tissue on about two thirds of the slide, tumour on about two fifths of the tissue.
    """
    sides = (width_um, height_um)
    inner = shapely.box(0, 0, *sides).buffer(-0.02 * min(sides))
    middle = (width_um / 2, height_um / 2)
    tissue = _outline(rng, middle, sides, rng.uniform(*_TISSUE_SHARE) * width_um * height_um, 4).intersection(inner)
    area = rng.uniform(*_TUMOUR_SHARE) * tissue.area
    two, diagonal = rng.uniform() < 0.5, rng.choice([-1, 1])  # noqa: PLR2004  (a fair coin)
    jitter = rng.uniform(-0.03, 0.03, (3, 2))
    centres = [(0.5 + dx, 0.5 + dy) for dx, dy in jitter[:2] + (two * np.array([[-0.2], [0.2]])) * [1, diagonal]]
    share = 0.5 if two else 1.0
    areas = [
        _outline(rng, (x * width_um, y * height_um), sides, share * area, 2)
        for x, y in centres  # both are drawn, so that what follows does not depend on their number
    ]
    x, y = centres[0] + jitter[2]
    hole = _outline(rng, (x * width_um, y * height_um), sides, _HOLE**2 * share * area, 2)
    malignant = shapely.union_all(areas if two else areas[:1]).intersection(tissue.buffer(-0.02 * min(sides)))
    return SectionPlan(tissue, malignant.difference(hole) if tumour else shapely.Polygon())


class _Canvas:
    """A section that is being painted, block by block."""

    def __init__(self, seed: int, plan: SectionPlan, shape: tuple[int, int], px_um: float) -> None:
        self.section = Section(
            np.zeros((2, *shape), dtype=np.float16),
            np.zeros(shape, dtype=np.uint8),
            np.zeros(shape, dtype=np.bool_),
            px_um,
        )
        self._seed, self._plan, self._shape = seed, plan, shape
        #: Pixels that some block has painted, and those of its nuclei, which no other block may touch.
        self._filled, self._taken = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        rng = np.random.default_rng([seed, 0])
        self._wander = [PlaneWaves.draw(rng, _WANDER_LENGTH_UM, _WANDER_LENGTH_UM, 0.0) for _ in range(2)]

    def block(self, row: int, column: int, phantom: Phantom, look: SlideLook) -> None:
        """Paint one block, if there is tissue in it."""
        px_um = self.section.px_um
        first = (row * BLOCK_PX - _MARGIN_PX, column * BLOCK_PX - _MARGIN_PX)
        shape = (BLOCK_PX + 2 * _MARGIN_PX,) * 2
        origin = (first[0] * px_um, first[1] * px_um)
        tissue = rasterise(self._plan.tissue, shape, (px_um, px_um), origin)
        if not tissue.any():
            return
        malignant = rasterise(self._plan.tumour, shape, (px_um, px_um), origin)
        seeds = np.random.default_rng([self._seed, 1, row, column]).integers(2**63, size=3)
        anatomy = ARCHITECTURES[phantom.architecture](np.random.default_rng(seeds[0]), shape, px_um, look.spacing)
        ys, xs = (pixel_centres(length, px_um) + np.float32(start) for length, start in zip(shape, origin, strict=True))
        corner = (row * BLOCK_PX * px_um, column * BLOCK_PX * px_um)
        depth = self._depth(ys[:, None], xs[None, :], (wave.on_grid(ys, xs) for wave in self._wander), corner)
        # the part of the window that lies on the slide
        inside = tuple(
            slice(max(0, -start), min(length, whole - start))
            for start, length, whole in zip(first, shape, self._shape, strict=True)
        )
        here = tuple(slice(start + part.start, start + part.stop) for start, part in zip(first, inside, strict=True))
        forbidden = ~tissue
        forbidden[inside] |= self._taken[here]
        anatomy = self._own_nuclei(anatomy, origin, corner, forbidden)
        painting = self._paint(anatomy, malignant, phantom, seeds[1:].tolist())
        _cut(painting, tissue, px_um)
        rim = anatomy.distance_um < _RIM_UM
        weight = np.where(rim, 1, np.clip(0.5 + depth / (2 * _FADE_UM), 0, 1)).astype(np.float32)[inside]
        weight[~self._filled[here]] = 1
        weight[self._taken[here]] = 0
        stain = self.section.stain[:, *here]
        stain += weight.astype(np.float16) * (painting.stain[:, *inside].astype(np.float16) - stain)
        np.copyto(self.section.truth[here], painting.truth[inside], where=weight >= 0.5)  # noqa: PLR2004  (half)
        self.section.malignant[here] = malignant[inside]
        self._filled[here] = True
        self._taken[here] |= rim[inside]

    def _depth(self, y: _Floats, x: _Floats, wander: Iterable[_Floats], corner: tuple[float, float]) -> _Floats:
        """Distance to the wavy border of a block, in µm, positive inside; the blocks fill the plane."""
        side = BLOCK_PX * self.section.px_um
        low, high = -2 * _WANDER_UM, 2 * _WANDER_UM
        dy, dx = (np.clip(_WANDER_UM * wave, low, high) for wave in wander)
        v, u = y + dy - corner[0], x + dx - corner[1]
        return np.asarray(np.minimum(np.minimum(v, side - v), np.minimum(u, side - u)))

    def _own_nuclei(
        self, anatomy: Anatomy, origin: tuple[float, float], corner: tuple[float, float], forbidden: BoolArray
    ) -> Anatomy:
        """Leave out nuclei centred in other blocks, and those that touch another block's nuclei or the glass.

        So no nucleus is cut in half where two blocks meet.
        """
        centre = anatomy.cells.centre_um + np.array(origin)
        own = self._depth(centre[:, 0], centre[:, 1], (wave.at(centre) for wave in self._wander), corner) > 0
        own[np.unique(anatomy.nearest[forbidden & (anatomy.distance_um < _RIM_UM)])] = False
        kept = own[anatomy.nearest]
        return replace(
            anatomy,
            distance_um=np.where(kept, anatomy.distance_um, np.float32(_AWAY_UM)),
            body=None if anatomy.body is None else anatomy.body & kept,
        )

    @staticmethod
    def _paint(anatomy: Anatomy, malignant: BoolArray, phantom: Phantom, seeds: list[int]) -> Painting:
        """Paint a layout with the phenotypes of either class and choose by pixel."""
        benign, other = (
            paint(np.random.default_rng(seeds[1]), anatomy, phantom.phenotype(np.random.default_rng(seeds[0]), label))
            if present
            else None
            for label, present in zip(LABELS, (not malignant.all(), malignant.any()), strict=True)
        )
        if benign is None or other is None:
            painting = benign or other
            assert painting is not None
            return painting
        np.copyto(benign.stain, other.stain, where=malignant)
        np.copyto(benign.truth, other.truth, where=malignant)
        return benign


def _cut(painting: Painting, tissue: BoolArray, px_um: float) -> None:
    """Thin the tissue out towards its outline, as ``paint`` does towards gaps, and leave glass beyond it."""
    soft = 2 * gaussian_filter(tissue.astype(np.float32), 0.5 / px_um, truncate=3.0) - 1
    painting.stain[...] *= np.clip(soft, 0, 1) * tissue
    painting.truth[~tissue] = COMPARTMENT_CODES["background"]


def paint_section(
    seed: int, plan: SectionPlan, phantom: Phantom, look: SlideLook, shape: tuple[int, int], px_um: float
) -> Section:
    """Paint a section.

    Blocks of ``BLOCK_PX`` pixels have a layout and phenotypes of their own. Their borders are wavy, the ground fades
    from one to the next, and nuclei are whole. The tumour's border cuts through cells: there the phenotypes change
    while the layout stays.

    Stain and truth are a function of the arguments alone.

    Parameters
    ----------
    phantom
        Draws the phenotypes; its ``size_px`` and ``mpp`` play no part.
    px_um
        Side of a pixel, about 0.5 µm.
    """
    canvas = _Canvas(seed, plan, shape, px_um)
    for row in range(-(-shape[0] // BLOCK_PX)):
        for column in range(-(-shape[1] // BLOCK_PX)):
            canvas.block(row, column, phantom, look)
    return canvas.section
