"""Lymph node: sheets and follicles of lymphocytes with a thin rim, sinus with reticulum and histiocytes, trabeculae."""

from dataclasses import replace

import numpy as np

from saliency_stats.cohort.phantom.anatomy import Anatomy, highest
from saliency_stats.cohort.phantom.cells import (
    CENTROBLAST,
    HISTIOCYTE,
    LYMPHOCYTE,
    PLASMA,
    SPINDLE,
    candidates,
    draw_cells,
    nearest_cell,
    thin,
)
from saliency_stats.cohort.phantom.matter import red_cells
from saliency_stats.cohort.phantom.texture import PlaneWaves, pixel_centres, smooth_noise

#: Distance that cells keep, in nuclear radii, by where they lie.
_ROOM = {"sheet": 1.06, "sinus": 2.1, "fibre": 1.9}
#: Share of the kinds of cells in a sheet, and in a germinal centre.
_SHEET = {LYMPHOCYTE: 0.90, PLASMA: 0.03, CENTROBLAST: 0.04, HISTIOCYTE: 0.03}
_CENTRE = {LYMPHOCYTE: 0.32, CENTROBLAST: 0.60, HISTIOCYTE: 0.08}
_SINUS = {LYMPHOCYTE: 0.6, HISTIOCYTE: 0.4}
#: Mean of the slides' factor on the distance between cells; lymphocytes lie as near as they can.
_USUAL_SPACING = 1.25


def build(rng: np.random.Generator, shape: tuple[int, int], px_um: float, spacing: float) -> Anatomy:
    """Lay out the tissue of one patch; see :class:`~saliency_stats.cohort.phantom.anatomy.Architecture`."""
    ys, xs = (pixel_centres(length, px_um) for length in shape)
    fibre_share, sinus_share = rng.uniform(0.08, 0.22), rng.uniform(0.03, 0.16)
    centre_level, netted = rng.uniform(0.0, 1.2), rng.uniform(0.35, 0.85)
    spacing, angle = spacing / _USUAL_SPACING * rng.uniform(0.98, 1.10), rng.uniform(0, np.pi)
    band, patchy = PlaneWaves.draw(rng, 70.0, 14.0, angle), PlaneWaves.draw(rng, 22.0, 22.0, angle)
    follicle = PlaneWaves.draw(rng, 40.0, 40.0, angle)
    wide = band.on_grid(ys, xs) + 0.06 * smooth_noise(rng, shape, px_um, 4.0)
    n_pixels = wide.size
    trabecula = highest(wide, np.ones(shape, dtype=np.bool_), int(fibre_share * n_pixels))
    level = wide[trabecula].min(initial=np.float32(np.inf))
    # A sinus runs beside a trabecula, or below the capsule.
    beside = wide + 0.6 * patchy.on_grid(ys, xs)
    sinus = highest(beside, ~trabecula, int(sinus_share * n_pixels))
    sinus_level = beside[sinus].min(initial=np.float32(np.inf))

    centre = candidates(rng, (shape[0] * px_um, shape[1] * px_um))
    at, chance = band.at(centre), rng.uniform(0, 1, len(centre))
    fibre = at >= level
    open_ = ~fibre & (at + 0.6 * patchy.at(centre) >= sinus_level)
    kinds = [
        rng.choice(np.array(list(shares)), len(centre), p=list(shares.values())) for shares in (_SHEET, _CENTRE, _SINUS)
    ]
    kind = np.where(follicle.at(centre) > centre_level, kinds[1], kinds[0])
    kind = np.where(fibre, SPINDLE, np.where(open_, kinds[2], kind))
    along = np.where(fibre, angle + 0.2 * rng.standard_normal(len(centre)), rng.uniform(0, np.pi, len(centre)))
    cells = draw_cells(rng, centre, kind, along)
    # the capsule is poor in cells
    stays = ~fibre | (chance < 0.3)  # noqa: PLR2004
    cells, fibre, open_ = cells[stays], fibre[stays], open_[stays]
    room = np.where(fibre, _ROOM["fibre"], np.where(open_, _ROOM["sinus"], _ROOM["sheet"] * spacing))
    cells = cells[thin(cells.centre_um, np.sqrt(cells.axes_um.prod(axis=1)) * room)]

    nearest, distance = nearest_cell(cells, shape, px_um)
    distance += 0.22 * smooth_noise(rng, shape, px_um, 1.6)
    threads = smooth_noise(rng, shape, px_um, 3.2)
    # Reticulum: a haze of fibres between the cells of a sheet, single threads across a sinus.
    haze = highest(threads, ~(trabecula | sinus), int(netted * (n_pixels - trabecula.sum() - sinus.sum())))
    reticulum = haze | (sinus & (np.abs(threads) < 0.16))  # noqa: PLR2004  (a thread of about 1 µm)
    lining = sinus & (wide > level - np.float32(0.10))
    stroma = trabecula | reticulum | lining
    tint = np.where(trabecula, 1.0, np.float32(rng.uniform(0.55, 0.85)))
    bleeding = smooth_noise(rng, shape, px_um, 9.0) > rng.uniform(0.8, 3.0)
    film = np.float32(rng.uniform(0.0, 0.05))
    matter = np.where(bleeding, red_cells(rng, shape, px_um), film * np.where(sinus, 0.3, 1)).astype(np.float32)
    drawn = Anatomy(cells, nearest, distance, stroma, ~stroma, angle, px_um, matter=matter)
    blue = np.where(trabecula, 1.0, np.float32(rng.uniform(1.2, 2.5)))
    return replace(drawn, stroma_tint=np.stack([tint * blue, tint]).astype(np.float32)).with_bodies()
