"""Glands in lamina propria: columnar epithelium with goblet cells around lumens, among plasma cells and lymphocytes."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import map_coordinates

from saliency_stats.cohort.phantom.anatomy import Anatomy, highest
from saliency_stats.cohort.phantom.cells import (
    COLUMNAR,
    HISTIOCYTE,
    LYMPHOCYTE,
    PLASMA,
    REACH_UM,
    SPINDLE,
    Cells,
    bodies,
    candidates,
    draw_cells,
    nearest_cell,
    thin,
)
from saliency_stats.cohort.phantom.ellipses import beyond, ellipse_distance, pack, places
from saliency_stats.cohort.phantom.matter import mucin
from saliency_stats.cohort.phantom.texture import PlaneWaves, pixel_centres, smooth_noise
from saliency_stats.typing import Float64Array, IndexArray

#: Glands further than this outside the field cannot reach into it.
_MARGIN_UM = 50.0
#: Depth into the stroma that is told apart, and the most by which glands grow or shrink to leave the drawn share of it.
_FAR_UM, _GROWTH_UM = 25.0, 14.0
#: Height of the bays in the outline of a gland.
_BAYS_UM = 2.0
#: The apical cytoplasm of a columnar cell reaches this far from its nucleus.
_APICAL_UM = 13.0
#: The middle of a goblet's vacuole lies this far below the border of the lumen; its semi-axes.
_VACUOLE_UM, _VACUOLE_AXES_UM = 7.0, (5.6, 3.3)
#: What a nucleus, and a vacuole, need of the way to the middle of the gland.
_NUCLEUS_LEFT_UM, _VACUOLE_LEFT_UM = 4.0, 3.0
#: Mean of the slides' factor on the distance between cells.
_USUAL_SPACING = 1.25
#: Cells of the lamina propria.
_PROPRIA = {PLASMA: 0.36, LYMPHOCYTE: 0.34, SPINDLE: 0.24, HISTIOCYTE: 0.06}


@dataclass(frozen=True, eq=False)
class _Glands:
    """Outlines with bays, grown (or shrunk) by ``growth_um``."""

    outlines: Cells
    bays: PlaneWaves
    growth_um: float = 0.0

    def depth(self, point_um: Float64Array, owner: IndexArray) -> Float64Array:
        """Distance of points to the outline of one gland each, negative inside."""
        one = self.outlines[owner]
        distance = ellipse_distance(point_um, one.centre_um, one.axes_um, one.angle)
        return distance + _BAYS_UM * self.bays.at(point_um) - self.growth_um

    def above(self, point_um: Float64Array) -> Float64Array:
        """Distance of points to the nearest outline."""
        all_ = self.outlines
        each = ellipse_distance(point_um[:, None], all_.centre_um, all_.axes_um, all_.angle)
        return np.asarray(each.min(axis=1) + _BAYS_UM * self.bays.at(point_um) - self.growth_um)

    def inwards(
        self, owner: IndexArray, point_um: Float64Array, target_um: Float64Array
    ) -> tuple[Float64Array, Float64Array]:
        """Move points towards the middle of their gland, to a depth; also what is then left of the way."""
        centre = self.outlines.centre_um[owner]
        way = point_um - centre
        length = np.linalg.norm(way, axis=1)
        left = length.copy()
        for _ in range(4):
            here = centre + way * (left / length)[:, None]
            left = np.clip(left + target_um - self.depth(here, owner), 0, None)
        return centre + way * (left / length)[:, None], left


def _epithelium(
    rng: np.random.Generator, glands: _Glands, spacing: float, height_um: float, goblets: float
) -> tuple[Cells, Cells]:
    """Nuclei in a palisade on the basement membrane, crowded ones in two rows, and vacuoles of mucin above them."""
    owner, point, outwards = places(rng, glands.outlines, rng.uniform(3.6, 5.5) * spacing / _USUAL_SPACING)
    n, upright = len(owner), np.arctan2(outwards[:, 0], outwards[:, 1])
    cells = draw_cells(rng, point, np.full(n, COLUMNAR), upright + 0.12 * rng.standard_normal(n))
    rows = np.abs(rng.standard_normal(n)) * rng.uniform(0.6, 2.6)
    centre, left = glands.inwards(owner, point, -(cells.axes_um[:, 0] + 1.0 + rows))
    cells = replace(cells, centre_um=centre)[left > _NUCLEUS_LEFT_UM]
    centre, left = glands.inwards(owner, point, np.full(n, _VACUOLE_UM - height_um))
    axes = np.array(_VACUOLE_AXES_UM) * np.exp(0.12 * rng.standard_normal((n, 1)))
    full = (rng.uniform(0, 1, n) < goblets) & (left > _VACUOLE_LEFT_UM)
    vacuoles = Cells(centre, axes, upright, np.full(n, 0.15), owner)[full]
    return (
        cells[thin(cells.centre_um, cells.axes_um[:, 1] * 1.08)],
        vacuoles[thin(vacuoles.centre_um, vacuoles.axes_um[:, 1] * 0.94)],
    )


def _propria(
    rng: np.random.Generator, glands: _Glands, field_um: tuple[float, float], angle: float, crowding: float
) -> Cells:
    """Cells between the glands."""
    centre = candidates(rng, field_um)
    n = len(centre)
    kind = rng.choice(np.array(list(_PROPRIA)), n, p=list(_PROPRIA.values()))
    along, turned = angle + rng.normal(0, 0.3, n), rng.uniform(0, 2 * np.pi, n)
    cells = draw_cells(rng, centre, kind, np.where(kind == SPINDLE, along, turned))
    radius = np.sqrt(cells.axes_um.prod(axis=1))
    free = glands.above(centre) > radius + 0.8
    return cells[free][thin(centre[free], (radius[free] + 0.5) * 1.12 * crowding)]


def build(rng: np.random.Generator, shape: tuple[int, int], px_um: float, spacing: float) -> Anatomy:
    """Lay out the tissue of one patch; see :class:`~saliency_stats.cohort.phantom.anatomy.Architecture`."""
    ys, xs = (pixel_centres(length, px_um) for length in shape)
    field_um = (shape[0] * px_um, shape[1] * px_um)
    stroma_share, height, goblets = rng.uniform(0.28, 0.5), rng.uniform(15, 23), rng.uniform(-0.2, 0.9)
    crowding, angle = rng.uniform(1.0, 1.7), rng.uniform(0, np.pi)
    centre = beyond(rng, field_um, _MARGIN_UM)
    n = len(centre)
    outlines = pack(rng, centre, rng.uniform(22, 36, n), 1.08, 1.8, np.full(n, COLUMNAR))
    bays = PlaneWaves.draw(rng, 13.0, 13.0, angle)
    # Outlines are smooth: a coarse grid holds their distances.
    coarse = nearest_cell(outlines, (int(field_um[0]) + 2, int(field_um[1]) + 2), 1.0, _FAR_UM)[1]
    depth = map_coordinates(coarse, np.meshgrid(ys - 0.5, xs - 0.5, indexing="ij"), order=1, mode="nearest")
    depth += np.float32(_BAYS_UM) * bays.on_grid(ys, xs)
    growth = float(np.clip(np.quantile(depth, 1 - stroma_share), -_GROWTH_UM, _GROWTH_UM))
    depth -= np.float32(growth)
    glands, propria = _Glands(outlines, bays, growth), depth > 0
    lining, vacuoles = _epithelium(rng, glands, spacing, height, goblets)
    free = _propria(rng, glands, field_um, angle, crowding)

    cells = lining + free
    nearest, distance = nearest_cell(lining, shape, px_um, _APICAL_UM)
    other, apart = nearest_cell(free, shape, px_um)
    if len(free.kind):
        nearest = np.where(propria, other + len(lining.kind), nearest)
    distance = np.where(propria, apart, np.minimum(distance, REACH_UM)).astype(np.float32)
    distance += 0.25 * smooth_noise(rng, shape, px_um, 2.0)
    body = bodies(cells, nearest, distance, px_um) & propria

    lumen = depth < -height + 1.2 * smooth_noise(rng, shape, px_um, 3.0)
    filled = (nearest_cell(vacuoles, shape, px_um, 1.0)[1] < 0) & ~propria
    slits = smooth_noise(rng, shape, px_um, 2.2) + 0.6 * smooth_noise(rng, shape, px_um, 7.0)
    loose = highest(slits - 3 * body, propria, int(rng.uniform(0.01, 0.08) * propria.sum()))
    gap = (lumen & ~propria) | filled | loose
    return Anatomy(
        cells,
        nearest,
        distance,
        propria & ~gap,
        gap,
        angle,
        px_um,
        body,
        matter=mucin(rng, shape, px_um) * np.where(filled, 1.0, lumen * rng.uniform(0, 0.6)).astype(np.float32),
        stroma_tint=np.array([rng.uniform(1.0, 2.2), rng.uniform(0.6, 0.95)], dtype=np.float32)[:, None, None],
        bend_um=3.0 * smooth_noise(rng, shape, px_um, 12.0),
    )
