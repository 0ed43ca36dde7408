"""Nests of epithelioid cells in fibrous stroma, with clefts and small lumina between them."""

import numpy as np
from scipy.ndimage import gaussian_filter

from saliency_stats.cohort.phantom.anatomy import Anatomy, highest
from saliency_stats.cohort.phantom.cells import EPITHELIAL, SPINDLE, Cells, candidates, nearest_cell, thin
from saliency_stats.cohort.phantom.texture import PlaneWaves, pixel_centres, smooth_noise
from saliency_stats.typing import Float32Array

#: Of the candidates that fall on stroma, the share that becomes a spindle nucleus if there is room.
_SPINDLE_SHARE = 0.35


def scatter(
    rng: np.random.Generator,
    field_um: tuple[float, float],
    spacing: float,
    ground: PlaneWaves,
    level: float,
    lumen: PlaneWaves,
    fibre_angle: float,
    lymphoid: float,
) -> Cells:
    """Scatter cells: round nuclei in nests, few spindle nuclei along the fibres, none in a lumen."""
    centre = candidates(rng, field_um)
    n = len(centre)
    # Lymphocytes among larger epithelioid cells.
    typical = np.where(rng.uniform(0, 1, n) < lymphoid, 3.15, 4.25)
    radius = np.clip(typical * np.exp(0.10 * rng.standard_normal(n)), 2.8, 5.5)
    aspect = np.exp(np.abs(0.17 * rng.standard_normal(n)))
    angle = rng.uniform(0, np.pi, n)
    tilt = fibre_angle + 0.25 * rng.standard_normal(n)
    skew = 0.12 * rng.standard_normal(n)
    chance = rng.uniform(0, 1, n)
    above = ground.at(centre) - level
    spindle = above > 0
    # Spindle nuclei are seen from the side: long, thin, along the fibres.
    aspect = np.where(spindle, 2.0 + 1.6 * chance / _SPINDLE_SHARE, aspect)
    angle = np.where(spindle, tilt, angle)
    radius = np.where(spindle, 0.80 * radius, radius)
    open_ = lumen.at(centre)
    keep = (open_ < np.quantile(open_, 0.9)) & (~spindle | (chance < _SPINDLE_SHARE))
    order = np.flatnonzero(keep)
    order = order[thin(centre[order], radius[order] * np.where(spindle[order], 1.8, 1.09 * spacing))]
    axes = radius[:, None] * np.stack([np.sqrt(aspect), 1 / np.sqrt(aspect)], axis=1)
    return Cells(centre[order], axes[order], angle[order], skew[order], np.where(spindle[order], SPINDLE, EPITHELIAL))


def settle(
    rng: np.random.Generator,
    cells: Cells,
    wide: Float32Array,
    open_: Float32Array,
    px_um: float,
    fibre_angle: float,
    *,
    stroma_share: float,
    gap_share: float,
) -> Anatomy:
    """Draw the borders of stroma and gaps around given cells.

    ``wide`` (H, W) is high where the stroma shall lie, ``open_`` where cells come apart.
    """
    shape = wide.shape
    nearest, distance = nearest_cell(cells, shape, px_um)
    distance += 0.30 * smooth_noise(rng, shape, px_um, 2.0)
    near = np.exp(-((np.maximum(distance, 0) / 2.2) ** 2))
    outside = distance > 0
    n_pixels = outside.size
    # The border of the stroma bends around cells: a nest keeps its cytoplasm, a spindle nucleus its fibres.
    ground_score = wide + 0.25 * smooth_noise(rng, shape, px_um, 3.5)
    side = np.where(cells.kind == EPITHELIAL, np.float32(-1), np.float32(1))[nearest]
    ground_score += near * gaussian_filter(side, 2.0 / px_um, truncate=2.5)
    chosen = highest(ground_score, outside, int(stroma_share * 0.93 * n_pixels))
    border = ground_score[chosen].min(initial=np.float32(np.inf))
    # Below a nucleus lies what lies around it: the score decides there too.
    stroma = ground_score >= border
    gap_score = np.minimum(distance, 5) + 1.2 * open_ + 0.8 * smooth_noise(rng, shape, px_um, 2.2)
    # Tissue shrinks when fixed: nests come away from the stroma around them.
    gap_score += 1.5 * np.exp(-(((ground_score - border) / 0.15) ** 2))
    gap_score -= 2.0 * near
    gap = highest(gap_score, outside & ~stroma, int(gap_share * n_pixels))
    return Anatomy(cells, nearest, distance, stroma, gap, fibre_angle, px_um)


def build(rng: np.random.Generator, shape: tuple[int, int], px_um: float, spacing: float) -> Anatomy:
    """Lay out the tissue of one patch.

    Stroma and glass take a drawn share of the patch each, so no patch is without stroma or without cells.

    ``shape`` is (H, W), ``px_um`` the side of a pixel, ``spacing`` a factor on the distance between cells.
    """
    ys, xs = (pixel_centres(length, px_um) for length in shape)
    stroma_share, gap_share = rng.uniform(0.24, 0.42), rng.uniform(0.03, 0.11)
    spacing = spacing * rng.uniform(0.95, 1.1)
    lymphoid, fibre_angle = rng.uniform(0.1, 0.6), rng.uniform(0, np.pi)
    ground = PlaneWaves.draw(rng, 45.0, 13.0, fibre_angle)
    lumen = PlaneWaves.draw(rng, 7.0, 5.0, fibre_angle)
    wide = ground.on_grid(ys, xs)
    level = float(np.quantile(wide, 1 - stroma_share))
    cells = scatter(rng, (shape[0] * px_um, shape[1] * px_um), spacing, ground, level, lumen, fibre_angle, lymphoid)
    return settle(
        rng, cells, wide, lumen.on_grid(ys, xs), px_um, fibre_angle, stroma_share=stroma_share, gap_share=gap_share
    )
