"""Nests in desmoplastic stroma: many elongated nuclei along wavy bundles, without visible cytoplasm."""

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from saliency_stats.cohort.phantom.anatomy import Anatomy
from saliency_stats.cohort.phantom.cells import EPITHELIAL, LYMPHOCYTE, PLASMA, SPINDLE, candidates, draw_cells, thin
from saliency_stats.cohort.phantom.nests import settle
from saliency_stats.cohort.phantom.texture import PlaneWaves, pixel_centres
from saliency_stats.typing import Float64Array

#: Fibroblasts lie this much further apart along the fibres than across.
_DRAWN_OUT = 2.5
#: Of the stroma, about this share lies between its nuclei: they are many.
_BETWEEN = 0.78
#: A fibroblast keeps this far from the middle of an epithelial nucleus.
_APART_UM = 6.5


def _stream(wave: PlaneWaves, height_um: float, angle: float, at_um: Float64Array) -> Float64Array:
    """Direction of the bent fibres at points: along the level lines of the displaced coordinate."""
    step = np.array([[1.0, 0.0], [0.0, 1.0]])
    slope = [height_um * (wave.at(at_um + by) - wave.at(at_um - by)) / 2 for by in step]
    return np.asarray(np.arctan2(np.sin(angle) - slope[1], np.cos(angle) + slope[0]))


def build(rng: np.random.Generator, shape: tuple[int, int], px_um: float, spacing: float) -> Anatomy:
    """Lay out the tissue of one patch; see :class:`~saliency_stats.cohort.phantom.anatomy.Architecture`."""
    ys, xs = (pixel_centres(length, px_um) for length in shape)
    stroma_share, gap_share = rng.uniform(0.45, 0.68), rng.uniform(0.005, 0.03)
    crowding, inflamed, angle = rng.uniform(0.65, 1.15), rng.uniform(0, 0.12), rng.uniform(0, np.pi)
    height_um = rng.uniform(4, 12)
    tint = np.array([rng.uniform(1.0, 2.6), rng.uniform(0.95, 1.3)], dtype=np.float32)[:, None, None]
    ground = PlaneWaves.draw(rng, 32.0, 14.0, angle)
    lumen = PlaneWaves.draw(rng, 7.0, 5.0, angle)
    wave = PlaneWaves.draw(rng, 30.0, 30.0, angle)
    wide = ground.on_grid(ys, xs)
    level = float(np.quantile(wide, 1 - stroma_share))
    field_um = (shape[0] * px_um, shape[1] * px_um)
    centre = candidates(rng, field_um)
    chance = rng.uniform(0, 1, len(centre))
    kind = np.where(chance < inflamed / 2, PLASMA, np.where(chance < inflamed, LYMPHOCYTE, SPINDLE))
    cells = draw_cells(
        rng, centre, kind, _stream(wave, height_um, angle, centre) + 0.13 * rng.standard_normal(len(centre))
    )
    stroma = ground.at(centre) > level
    nest = draw_cells(rng, centre, np.full(len(centre), EPITHELIAL))[~stroma]
    nest = nest[thin(nest.centre_um, np.sqrt(nest.axes_um.prod(axis=1)) * 1.09 * spacing)]
    cells = cells[stroma]
    if len(nest.kind):
        cells = cells[cKDTree(nest.centre_um).query(cells.centre_um)[0] > _APART_UM]
    y, x = cells.centre_um.T
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    across += height_um * wave.at(cells.centre_um)
    squeezed = np.stack([across, along / _DRAWN_OUT], axis=1)
    cells = cells[thin(squeezed, np.full(len(squeezed), 3.1 * crowding))]
    drawn = settle(
        rng,
        nest + cells,
        wide,
        lumen.on_grid(ys, xs),
        px_um,
        angle,
        stroma_share=_BETWEEN * stroma_share,
        gap_share=gap_share,
    )
    return replace(drawn, stroma_tint=tint, bend_um=np.float32(height_um) * wave.on_grid(ys, xs)).with_bodies()
