"""Glands in lamina propria: columnar epithelium with goblet cells around lumens, among plasma cells and lymphocytes."""

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
from saliency_stats.cohort.phantom.ellipses import ellipse_distance, pack, places
from saliency_stats.cohort.phantom.matter import mucin
from saliency_stats.cohort.phantom.texture import PlaneWaves, pixel_centres, smooth_noise
from saliency_stats.typing import Float64Array

#: Glands further than this outside the field cannot reach into it.
_MARGIN_UM = 50.0
#: Depth into the stroma that is told apart, and the most by which glands grow or shrink to leave the drawn share of it.
_FAR_UM, _GROWTH_UM = 25.0, 14.0
#: Height of the bays in the outline of a gland.
_BAYS_UM = 2.0
#: The apical cytoplasm of a columnar cell reaches this far from its nucleus.
_APICAL_UM = 13.0
#: Cells of the lamina propria.
_PROPRIA = {PLASMA: 0.36, LYMPHOCYTE: 0.34, SPINDLE: 0.24, HISTIOCYTE: 0.06}


def _inwards(
    glands: Cells, owner: Float64Array, point: Float64Array, target: Float64Array, wave: PlaneWaves, growth: float
) -> tuple[Float64Array, Float64Array]:
    """Move points along the way to the middle of their gland to a depth below its outline; what is left of the way."""
    centre, axes, angle = glands.centre_um[owner], glands.axes_um[owner], glands.angle[owner]
    way = point - centre
    length = np.linalg.norm(way, axis=1)
    left = length.copy()
    for _ in range(3):
        here = centre + way * (left / length)[:, None]
        depth = ellipse_distance(here, centre, axes, angle) + _BAYS_UM * wave.at(here) - growth
        left = np.clip(left + target - depth, 0, None)
    return centre + way * (left / length)[:, None], left


def build(rng: np.random.Generator, shape: tuple[int, int], px_um: float, spacing: float) -> Anatomy:
    """Lay out the tissue of one patch; see :class:`~saliency_stats.cohort.phantom.anatomy.Architecture`."""
    ys, xs = (pixel_centres(length, px_um) for length in shape)
    field_um = np.array(shape) * px_um
    stroma_share, height, goblets = rng.uniform(0.28, 0.5), rng.uniform(15, 23), rng.uniform(-0.2, 0.9)
    crowding, angle = rng.uniform(1.0, 1.7), rng.uniform(0, np.pi)
    sides = field_um + 2 * _MARGIN_UM
    n = max(int(0.006 * sides[0] * sides[1]), 8)
    centre = rng.uniform(0, 1, (n, 2)) * sides - _MARGIN_UM
    glands = pack(rng, centre, rng.uniform(22, 36, n), 1.08, 1.8, np.full(n, COLUMNAR))
    wave = PlaneWaves.draw(rng, 13.0, 13.0, angle)
    # outlines are smooth: a coarse grid holds their distances
    coarse = nearest_cell(glands, (int(field_um[0]) + 2, int(field_um[1]) + 2), 1.0, _FAR_UM)[1]
    depth = map_coordinates(coarse, np.meshgrid(ys - 0.5, xs - 0.5, indexing="ij"), order=1, mode="nearest")
    depth += np.float32(_BAYS_UM) * wave.on_grid(ys, xs)
    growth = float(np.clip(np.quantile(depth, 1 - stroma_share), -_GROWTH_UM, _GROWTH_UM))
    depth -= np.float32(growth)
    propria = depth > 0

    # Nuclei stand in a palisade on the basement membrane; crowded ones in two rows.
    owner, point, outwards = places(rng, glands, rng.uniform(3.6, 5.5) * spacing / 1.25)
    lining = draw_cells(rng, point, np.full(len(owner), COLUMNAR), np.arctan2(outwards[:, 0], outwards[:, 1]))
    rows = np.abs(rng.standard_normal(len(owner))) * rng.uniform(0.6, 2.6)
    inside, left = _inwards(glands, owner, point, -(lining.axes_um[:, 0] + 1.0 + rows), wave, growth)
    lining = Cells(
        inside, lining.axes_um, lining.angle + 0.12 * rng.standard_normal(len(owner)), lining.skew, lining.kind
    )
    order = np.flatnonzero(left > 4)  # noqa: PLR2004  (room for a nucleus before the middle of the gland)
    lining = lining[order[thin(lining.centre_um[order], lining.axes_um[order, 1] * 1.08)]]
    goblet, left = _inwards(glands, owner, point, np.full(len(owner), 7.0 - height), wave, growth)
    full = (rng.uniform(0, 1, len(owner)) < goblets) & (left > 3)  # noqa: PLR2004
    axes = np.array([5.6, 3.3]) * np.exp(0.12 * rng.standard_normal((len(owner), 1)))
    vacuoles = Cells(goblet, axes, np.arctan2(outwards[:, 0], outwards[:, 1]), 0.15 * np.ones(len(owner)), owner)
    order = np.flatnonzero(full)
    vacuoles = vacuoles[order[thin(goblet[order], np.full(len(order), 3.1))]] if len(order) else vacuoles[order]

    centre = candidates(rng, (float(field_um[0]), float(field_um[1])))
    kind = rng.choice(np.array(list(_PROPRIA)), len(centre), p=list(_PROPRIA.values()))
    free = draw_cells(rng, centre, kind, np.where(kind == SPINDLE, angle, 0) + rng.normal(0, 0.3, len(centre)) * 1.0)
    turned = np.where(kind == SPINDLE, free.angle, rng.uniform(0, 2 * np.pi, len(centre)))
    free = Cells(free.centre_um, free.axes_um, turned, free.skew, free.kind)
    beyond = ellipse_distance(centre[:, None], glands.centre_um[None], glands.axes_um[None], glands.angle[None]).min(
        axis=1
    )
    beyond += _BAYS_UM * wave.at(centre) - growth
    order = np.flatnonzero(beyond > np.sqrt(free.axes_um.prod(axis=1)) + 0.8)
    radius = np.sqrt(free.axes_um.prod(axis=1))[order] + 0.5
    free = free[order[thin(centre[order], radius * 1.12 * crowding)]]

    shared = lining + free
    nearest, distance = nearest_cell(lining, shape, px_um, _APICAL_UM)
    other, apart = nearest_cell(free, shape, px_um)
    nearest = np.where(propria, other + len(lining.kind) * (len(free.kind) > 0), nearest)
    distance = np.where(propria, apart, np.minimum(distance, REACH_UM)).astype(np.float32)
    distance += 0.25 * smooth_noise(rng, shape, px_um, 2.0)
    body = bodies(shared, nearest, distance, px_um) & propria

    lumen = depth < -height + 1.2 * smooth_noise(rng, shape, px_um, 3.0)
    _, from_vacuole = nearest_cell(vacuoles, shape, px_um, 1.0)
    filled = (from_vacuole < 0) & ~propria
    slits = smooth_noise(rng, shape, px_um, 2.2) + 0.6 * smooth_noise(rng, shape, px_um, 7.0)
    loose = highest(slits - 3 * body, propria, int(rng.uniform(0.01, 0.08) * propria.sum()))
    gap = lumen | filled | loose
    matter = mucin(rng, shape, px_um) * np.where(filled, 1.0, lumen * rng.uniform(0, 0.6)).astype(np.float32)
    tint = np.array([rng.uniform(1.0, 2.2), rng.uniform(0.6, 0.95)], dtype=np.float32)[:, None, None]
    bend = 3.0 * smooth_noise(rng, shape, px_um, 12.0)
    return Anatomy(shared, nearest, distance, propria & ~gap, gap, angle, px_um, body, matter, tint, bend)
