"""Nests with what stands among tissue: fat, vessels with red cells, necrosis, keratin."""

from dataclasses import replace

import numpy as np
from scipy.ndimage import binary_dilation

from saliency_stats.cohort.phantom import matter, nests
from saliency_stats.cohort.phantom.anatomy import Anatomy
from saliency_stats.cohort.phantom.cells import SPINDLE, Cells, draw_cells, nearest_cell
from saliency_stats.cohort.phantom.ellipses import beyond, ellipse_distance, pack, places
from saliency_stats.cohort.phantom.texture import PlaneWaves, pixel_centres

_FAT, _VESSEL, _NECROSIS, _KERATIN = range(4)
#: Radii in µm, least and greatest, and the distance they keep in radii: adipocytes press against each other.
_RADIUS_UM = np.array([(15.0, 26.0), (7.0, 17.0), (12.0, 26.0), (10.0, 20.0)])
_ROOM = np.array([0.78, 1.45, 1.35, 1.45])
_MARGIN_UM = 32.0
#: Adipocytes grow by this factor into what is between them: the borders where they meet are straight.
_PRESSED = 1.3
#: Of the places for other islands, the share that is taken; and the share of a field that islands cover at most.
_OTHERS, _COVERED = 0.3, 0.5
#: Wall of a vessel, and half the wall between two adipocytes.
_WALL_UM, _SEAM_UM = 2.4, 0.5
#: Living squamous cells around a pearl of keratin.
_SQUAMES_UM = 8.0


def _islands(rng: np.random.Generator, field_um: tuple[float, float], angle: float) -> Cells:
    """Where they lie; ``kind`` holds what they are."""
    centre = beyond(rng, field_um, _MARGIN_UM)
    n = len(centre)
    kind = rng.choice(4, n, p=rng.dirichlet([0.2, 1.0, 1.0, 1.0]))
    # a lobule of fat takes its drawn share of the field, or there is none
    lobule, share = PlaneWaves.draw(rng, 40.0, 40.0, angle), rng.uniform(-0.3, 0.26)
    level = np.quantile(
        lobule.on_grid(*(np.linspace(0, side, 16, dtype=np.float32) for side in field_um)), 1 - max(share, 0)
    )
    kind = np.where((lobule.at(centre) > level) & (share > 0), _FAT, kind)
    radius = rng.uniform(*_RADIUS_UM[kind].T)
    # some of the others stay away: tissue is most of the field
    stays = (kind == _FAT) | (rng.uniform(0, 1, n) < _OTHERS)
    stays[0] = True
    islands = pack(rng, centre[stays], radius[stays], _ROOM[kind[stays]], 1.35, kind[stays])
    pressed = np.where(islands.kind == _FAT, _PRESSED, 1)
    return _not_too_many(replace(islands, axes_um=islands.axes_um * pressed[:, None]), field_um)


def _not_too_many(islands: Cells, field_um: tuple[float, float]) -> Cells:
    """Leave out those that would cover more than the greatest share of the field together with earlier ones."""
    y, x = (np.linspace(0, side, 24) for side in field_um)
    grid = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    covers = ellipse_distance(grid, islands.centre_um, islands.axes_um, islands.angle) < 0
    union, kept = np.zeros(len(grid), dtype=np.bool_), np.zeros(len(islands.kind), dtype=np.bool_)
    for index, own in enumerate(covers.T):
        if (union | own).mean() <= _COVERED:
            union |= own
            kept[index] = True
    # the nearest of no island is not known: one stays, beyond the field if need be
    return islands[kept] if kept.any() else replace(islands[:1], centre_um=np.array([[-1000.0, -1000.0]]))


def build(rng: np.random.Generator, shape: tuple[int, int], px_um: float, spacing: float) -> Anatomy:
    """Lay out the tissue of one patch; see :class:`~saliency_stats.cohort.phantom.anatomy.Architecture`."""
    ys, xs = (pixel_centres(length, px_um) for length in shape)
    field_um = (shape[0] * px_um, shape[1] * px_um)
    stroma_share, gap_share = rng.uniform(0.26, 0.44), rng.uniform(0.01, 0.06)
    spacing, angle, lymphoid = spacing * rng.uniform(0.9, 1.1), rng.uniform(0, np.pi), rng.uniform(0, 0.3)
    grown = _islands(rng, field_um, angle)
    fat, vessel, necrotic, horny = (grown.kind == kind for kind in range(4))
    rough = PlaneWaves.draw(rng, 6.0, 6.0, angle)
    which, depth = nearest_cell(grown, shape, px_um, _SQUAMES_UM + 1)
    wobble = np.where(necrotic, 2.0, 0.7).astype(np.float32)[which]
    depth += wobble * rough.on_grid(ys, xs)

    ground, lumen = PlaneWaves.draw(rng, 35.0, 14.0, angle), PlaneWaves.draw(rng, 7.0, 5.0, angle)
    wide = ground.on_grid(ys, xs)
    level = float(np.quantile(wide, 1 - stroma_share))
    cells = nests.scatter(rng, field_um, spacing, ground, level, lumen, angle, lymphoid)
    room = ellipse_distance(cells.centre_um[:, None], grown.centre_um, grown.axes_um, grown.angle).min(axis=1)
    room -= 0.8 * cells.axes_um.mean(axis=1) + 1.0
    # one cell stays in any case: no field is without
    cells = cells[room >= min(0.0, float(room.max()))]
    owner, point, outwards = places(rng, grown, 24.0)
    lined = vessel[owner]
    endothelium = draw_cells(
        rng,
        (point - 0.6 * outwards)[lined],
        np.full(lined.sum(), SPINDLE),
        np.arctan2(-outwards[lined, 1], outwards[lined, 0]),
    )
    cells += replace(endothelium, axes_um=endothelium.axes_um * np.array([0.75, 0.7]))
    drawn = nests.settle(
        rng, cells, wide, lumen.on_grid(ys, xs), px_um, angle, stroma_share=stroma_share, gap_share=gap_share
    )

    seam = np.zeros(shape, dtype=np.bool_)
    for first, second in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = which[first] != which[second]
        seam[first] |= differ
        seam[second] |= differ
    wider = round(_SEAM_UM / px_um) - 1
    if wider > 0:
        seam = binary_dilation(seam, iterations=wider)
    vacuole = fat[which] & (depth < -2 * _SEAM_UM) & ~seam
    blood = vessel[which] & (depth < -_WALL_UM)
    dead, pearl = necrotic[which] & (depth < 0), horny[which] & (depth < 0)
    hollow = vacuole | blood | dead | pearl
    wall = ((fat | vessel)[which] & (depth < 1)) & ~hollow
    squames = horny[which] & (depth < _SQUAMES_UM) & ~hollow
    filling = np.where(blood, matter.red_cells(rng, shape, px_um), 0)
    filling = np.where(dead, matter.necrosis(rng, shape, px_um), filling)
    filling = np.where(pearl, matter.keratin(rng, depth, px_um), filling).astype(np.float32)
    return replace(
        drawn,
        stroma=((drawn.stroma & ~squames) | wall) & ~hollow,
        gap=(drawn.gap & ~wall) | hollow,
        matter=filling,
    )
