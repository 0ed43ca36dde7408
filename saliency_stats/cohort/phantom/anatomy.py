"""Where the cells, fibres and gaps of a phantom lie: geometry in µm, without colour."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from saliency_stats.cohort.phantom.texture import PlaneWaves, pixel_centres, smooth_noise
from saliency_stats.typing import BoolArray, Float32Array, Float64Array, IndexArray

#: Cells further than this outside the field cannot reach into it.
_MARGIN_UM = 10.0
#: A cell is drawn inside a window that reaches this far beyond its nucleus.
_REACH_UM = 6.0
#: Of the candidates that fall on stroma, the share that becomes a spindle nucleus if there is room.
_SPINDLE_SHARE = 0.35


@dataclass(frozen=True, eq=False)
class Cells:
    """Nuclei as ellipses: centres (N, 2) as (y, x) and semi-axes (N, 2) in µm, angle, egg shape, kind."""

    centre_um: Float64Array
    axes_um: Float64Array
    angle: Float64Array
    skew: Float64Array
    spindle: BoolArray


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The geometry of one patch at a middle nuclear size; painting grows or shrinks the nuclei from here.

    Parameters
    ----------
    cells
        All cells that may reach into the field.
    nearest
        (H, W) index of the nearest cell.
    distance_um
        (H, W) signed distance to the border of that cell's nucleus, negative inside, at most ``_REACH_UM``.
    stroma, gap
        (H, W) bool: fibrous ground, and glass without tissue. Nuclei lie above both.
    fibre_angle
        Main direction of the fibres, radians from the x axis.
    px_um
        Side of a pixel.
    """

    cells: Cells
    nearest: IndexArray
    distance_um: Float32Array
    stroma: BoolArray
    gap: BoolArray
    fibre_angle: float
    px_um: float


def _thin(centre_um: Float64Array, radius_um: Float64Array) -> BoolArray:
    """Random sequential packing: a candidate stays unless it is too near to an earlier one that stayed."""
    pairs = cKDTree(centre_um).query_pairs(2 * float(radius_um.max()), output_type="ndarray")
    between = np.linalg.norm(centre_um[pairs[:, 0]] - centre_um[pairs[:, 1]], axis=1)
    pairs = pairs[between < radius_um[pairs[:, 0]] + radius_um[pairs[:, 1]]]
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    stays = [True] * len(centre_um)
    for earlier, later in pairs.tolist():
        if stays[earlier]:
            stays[later] = False
    return np.array(stays)


def _place(
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
    sides = np.array(field_um) + 2 * _MARGIN_UM
    n = int(0.09 * sides[0] * sides[1])
    centre = rng.uniform(0, 1, (n, 2)) * sides - _MARGIN_UM
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
    order = order[_thin(centre[order], radius[order] * np.where(spindle[order], 1.8, 1.09 * spacing))]
    axes = radius[:, None] * np.stack([np.sqrt(aspect), 1 / np.sqrt(aspect)], axis=1)
    return Cells(centre[order], axes[order], angle[order], skew[order], spindle[order])


def _window_distance(cells: Cells, window: slice, first_px: IndexArray, n_px: int, px_um: float) -> Float32Array:
    """Signed distance (n, w, w) of the pixels of square windows to their own ellipse, in µm.

    First-order distance k0 (k0 - 1) / k1 with k0 = |p / r| and k1 = |p / r^2| (Quilez, "ellipsoid SDF").
    """
    steps = np.arange(n_px)
    centre = cells.centre_um[window]
    dy, dx = (
        ((first_px[:, axis, None] + steps + 0.5) * px_um - centre[:, axis, None]).astype(np.float32) for axis in (0, 1)
    )
    c, s = np.cos(cells.angle[window]).astype(np.float32), np.sin(cells.angle[window]).astype(np.float32)
    a, b = cells.axes_um[window].astype(np.float32).T[:, :, None, None]
    v = (c[:, None] * dy)[:, :, None] - (s[:, None] * dx)[:, None, :]
    u = (s[:, None] * dy)[:, :, None] + (c[:, None] * dx)[:, None, :]
    # An egg rather than an ellipse: one end is wider than the other.
    v *= 1 + cells.skew[window].astype(np.float32)[:, None, None] * np.clip(u / a, -1.5, 1.5)
    u /= a
    v /= b
    u *= u
    v *= v
    k0 = u + v
    k0 += 1e-4
    u /= a * a
    v /= b * b
    u += v
    u += 1e-4 / (a * b)
    np.sqrt(u, out=u)
    root = np.sqrt(k0)
    k0 -= root
    k0 /= u
    return k0


def _nearest_cell(cells: Cells, shape: tuple[int, int], px_um: float) -> tuple[IndexArray, Float32Array]:
    """Index of the nearest cell and signed distance to its nucleus, (H, W) each."""
    distance = np.full(shape, _REACH_UM, dtype=np.float32)
    nearest = np.zeros(shape, dtype=np.intp)
    reach = float(cells.axes_um.max(initial=0)) + _REACH_UM
    n_px = int(np.ceil(2 * reach / px_um)) + 1
    first = np.floor((cells.centre_um - reach) / px_um).astype(np.intp)
    # Blocks bound the memory of large fields.
    for start in range(0, len(first), 256):
        block = slice(start, start + 256)
        windows = _window_distance(cells, block, first[block], n_px, px_um)
        for index, (top, left), own in zip(range(start, len(first)), first[block].tolist(), windows, strict=False):
            rows = slice(max(top, 0), max(min(top + n_px, shape[0]), 0))
            columns = slice(max(left, 0), max(min(left + n_px, shape[1]), 0))
            inner = own[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            part = distance[rows, columns]
            closer = inner < part
            np.copyto(part, inner, where=closer)
            nearest[rows, columns][closer] = index
    return nearest, distance


def _top(score: Float32Array, eligible: BoolArray, n: int) -> BoolArray:
    """Choose the ``n`` eligible pixels of highest score."""
    chosen = np.zeros(score.shape, dtype=np.bool_)
    where = np.flatnonzero(eligible)
    n = min(n, len(where))
    if n:
        values = score.ravel()[where]
        chosen.ravel()[where[np.argpartition(values, len(where) - n)[len(where) - n :]]] = True
    return chosen


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
    cells = _place(rng, (shape[0] * px_um, shape[1] * px_um), spacing, ground, level, lumen, fibre_angle, lymphoid)
    nearest, distance = _nearest_cell(cells, shape, px_um)
    distance += 0.30 * smooth_noise(rng, shape, px_um, 2.0)
    near = np.exp(-((np.maximum(distance, 0) / 2.2) ** 2))
    outside = distance > 0
    n_pixels = outside.size
    # The border of the stroma bends around cells: a nest keeps its cytoplasm, a spindle nucleus its fibres.
    ground_score = wide + 0.25 * smooth_noise(rng, shape, px_um, 3.5)
    side = np.where(cells.spindle, np.float32(1), np.float32(-1))[nearest]
    ground_score += near * gaussian_filter(side, 2.0 / px_um, truncate=2.5)
    chosen = _top(ground_score, outside, int(stroma_share * 0.93 * n_pixels))
    border = ground_score[chosen].min(initial=np.float32(np.inf))
    # Below a nucleus lies what lies around it: the score decides there too.
    stroma = ground_score >= border
    gap_score = np.minimum(distance, 5) + 1.2 * lumen.on_grid(ys, xs) + 0.8 * smooth_noise(rng, shape, px_um, 2.2)
    # Tissue shrinks when fixed: nests come away from the stroma around them.
    gap_score += 1.5 * np.exp(-(((ground_score - border) / 0.15) ** 2))
    gap_score -= 2.0 * near
    gap = _top(gap_score, outside & ~stroma, int(gap_share * n_pixels))
    return Anatomy(cells, nearest, distance, stroma, gap, fibre_angle, px_um)
