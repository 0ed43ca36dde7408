"""Cells of a phantom: their kinds, where they lie, and how far every pixel is from them; geometry in µm."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.spatial import cKDTree

from saliency_stats.typing import BoolArray, Float32Array, Float64Array, IndexArray

#: Cells further than this outside the field cannot reach into it.
MARGIN_UM: Final = 10.0
#: Distances to nuclei are known up to here.
REACH_UM: Final = 6.0
#: Candidates for a cell per µm²: many more than there is room for.
CANDIDATES_UM2: Final = 0.09
#: Rim of a cell whose cytoplasm is not drawn around its nucleus: it fills the tissue between cells, or is too thin.
_NO_RIM: Final = -99.0


@dataclass(frozen=True)
class CellKind:
    """What cells of one kind have in common.

    Parameters
    ----------
    radius_um
        Radius of the disc of a usual nucleus's area.
    aspect
        Least and greatest ratio of the axes of the nucleus.
    rim_um
        Width of the cytoplasm around the nucleus of a cell that lies singly.
    lean_um
        How far the nucleus lies off the middle of such a cell.
    ink, blue, pink
        Factors on the haematoxylin of the nucleus, and on the haematoxylin and the eosin of the cytoplasm.
    """

    radius_um: float = 4.25
    aspect: tuple[float, float] = (1.0, 1.3)
    rim_um: float = _NO_RIM
    lean_um: float = 0.0
    ink: float = 1.0
    blue: float = 1.0
    pink: float = 1.0


#: Every kind of cell by its name; cells hold the number of theirs. Sizes are those of fixed, embedded tissue.
CELL_KINDS: Final = {
    "epithelial": CellKind(),
    "spindle": CellKind(3.5, (2.8, 5.0)),
    "columnar": CellKind(3.7, (1.4, 2.2)),
    # mature lymphocytes, 7 to 8 µm, are nearly all nucleus
    "lymphocyte": CellKind(2.95, (1.0, 1.25), rim_um=1.15, ink=1.1, blue=1.5, pink=0.85),
    # abundant amphophilic cytoplasm, the nucleus at one end
    "plasma": CellKind(2.8, (1.0, 1.2), rim_um=2.5, lean_um=2.0, ink=1.1, blue=2.1, pink=1.25),
    "centroblast": CellKind(3.9, (1.0, 1.35), rim_um=1.7, ink=0.8, blue=1.7, pink=0.8),
    "histiocyte": CellKind(3.6, (1.2, 2.0), rim_um=3.6, lean_um=0.9, ink=0.75, blue=0.8, pink=1.05),
}
_NAMES: Final = tuple(CELL_KINDS)
EPITHELIAL: Final = _NAMES.index("epithelial")
SPINDLE: Final = _NAMES.index("spindle")
COLUMNAR: Final = _NAMES.index("columnar")
LYMPHOCYTE: Final = _NAMES.index("lymphocyte")
PLASMA: Final = _NAMES.index("plasma")
CENTROBLAST: Final = _NAMES.index("centroblast")
HISTIOCYTE: Final = _NAMES.index("histiocyte")


@dataclass(frozen=True, eq=False)
class Cells:
    """Nuclei as ellipses: centres (N, 2) as (y, x) and semi-axes (N, 2) in µm, angle, egg shape, number of the kind."""

    centre_um: Float64Array
    axes_um: Float64Array
    angle: Float64Array
    skew: Float64Array
    kind: IndexArray

    def __getitem__(self, chosen: IndexArray | BoolArray | slice) -> "Cells":
        """Choose some of the cells."""
        return Cells(
            self.centre_um[chosen], self.axes_um[chosen], self.angle[chosen], self.skew[chosen], self.kind[chosen]
        )

    def __add__(self, other: "Cells") -> "Cells":
        """Put others behind these."""
        return Cells(
            np.concatenate([self.centre_um, other.centre_um]),
            np.concatenate([self.axes_um, other.axes_um]),
            np.concatenate([self.angle, other.angle]),
            np.concatenate([self.skew, other.skew]),
            np.concatenate([self.kind, other.kind]),
        )

    @property
    def spindle(self) -> BoolArray:
        """(N,) bool: fibroblasts and endothelium, seen from the side."""
        return np.asarray(self.kind == SPINDLE)

    def of_kind(self, name: str) -> Float64Array:
        """(N,) values of one attribute of the cells' kinds."""
        return np.array([getattr(kind, name) for kind in CELL_KINDS.values()], dtype=np.float64)[self.kind]


def candidates(rng: np.random.Generator, field_um: tuple[float, float]) -> Float64Array:
    """Positions (N, 2) all over the field and its margin, far more than cells have room."""
    sides = np.array(field_um) + 2 * MARGIN_UM
    return rng.uniform(0, 1, (int(CANDIDATES_UM2 * sides[0] * sides[1]), 2)) * sides - MARGIN_UM


def draw_cells(
    rng: np.random.Generator, centre_um: Float64Array, kind: IndexArray, angle: Float64Array | None = None
) -> Cells:
    """Give nuclei the sizes and shapes of their kinds, at random angles where none are given."""
    n = len(kind)
    low, high = np.array([each.aspect for each in CELL_KINDS.values()])[kind].T
    usual = np.array([each.radius_um for each in CELL_KINDS.values()])[kind]
    radius = usual * np.exp(np.clip(0.08 * rng.standard_normal(n), -0.2, 0.2))
    aspect = rng.uniform(low, high)
    turned = rng.uniform(0, np.pi, n)
    skew = 0.12 * rng.standard_normal(n)
    axes = radius[:, None] * np.stack([np.sqrt(aspect), 1 / np.sqrt(aspect)], axis=1)
    return Cells(centre_um, axes, turned if angle is None else angle, skew, kind)


def bodies(cells: Cells, nearest: IndexArray, distance_um: Float32Array, px_um: float) -> BoolArray:
    """Pixels (H, W) of cells that lie singly: nucleus and the cytoplasm around it, wider on the side it leans to."""
    rim, lean = (cells.of_kind(name).astype(np.float32) for name in ("rim_um", "lean_um"))
    shape = distance_um.shape
    y, x = ((np.arange(length, dtype=np.float32) + np.float32(0.5)) * np.float32(px_um) for length in shape)
    centre = cells.centre_um.astype(np.float32)
    dy, dx = y[:, None] - centre[nearest, 0], x[None, :] - centre[nearest, 1]
    # a cell leans along its own angle, to either side
    sin, cos = (np.asarray(f(2 * cells.angle), dtype=np.float32) for f in (np.sin, np.cos))
    cosine = (dy * sin[nearest] + dx * cos[nearest]) / np.sqrt(dy**2 + dx**2 + np.float32(1e-6))
    return np.asarray(distance_um < rim[nearest] + lean[nearest] * cosine)


def thin(centre_um: Float64Array, radius_um: Float64Array) -> BoolArray:
    """Random sequential packing: a candidate stays unless it is too near to an earlier one that stayed."""
    if not len(centre_um):
        return np.zeros(0, dtype=np.bool_)
    pairs = cKDTree(centre_um).query_pairs(2 * float(radius_um.max()), output_type="ndarray")
    between = np.linalg.norm(centre_um[pairs[:, 0]] - centre_um[pairs[:, 1]], axis=1)
    pairs = pairs[between < radius_um[pairs[:, 0]] + radius_um[pairs[:, 1]]]
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    stays, later = np.ones(len(centre_um), dtype=np.bool_), pairs[:, 1]
    bounds = np.searchsorted(pairs[:, 0], np.arange(len(centre_um) + 1)).tolist()
    for earlier, (first, end) in enumerate(pairwise(bounds)):
        if stays[earlier]:
            stays[later[first:end]] = False
    return stays


def _window_distance(cells: Cells, first_px: IndexArray, n_px: int, px_um: float) -> Float32Array:
    """Signed distance (n, w, w) of the pixels of square windows to their own ellipse, in µm.

    First-order distance k0 (k0 - 1) / k1 with k0 = |p / r| and k1 = |p / r^2| (Quilez, "ellipsoid SDF").
    """
    steps = np.arange(n_px)
    centre = cells.centre_um
    dy, dx = (
        ((first_px[:, axis, None] + steps + 0.5) * px_um - centre[:, axis, None]).astype(np.float32) for axis in (0, 1)
    )
    c, s = np.cos(cells.angle).astype(np.float32), np.sin(cells.angle).astype(np.float32)
    a, b = cells.axes_um.astype(np.float32).T[:, :, None, None]
    v = (c[:, None] * dy)[:, :, None] - (s[:, None] * dx)[:, None, :]
    u = (s[:, None] * dy)[:, :, None] + (c[:, None] * dx)[:, None, :]
    # An egg rather than an ellipse: one end is wider than the other.
    v *= 1 + cells.skew.astype(np.float32)[:, None, None] * np.clip(u / a, -1.5, 1.5)
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


def nearest_cell(
    cells: Cells, shape: tuple[int, int], px_um: float, reach_um: float = REACH_UM
) -> tuple[IndexArray, Float32Array]:
    """Index of the nearest cell and signed distance to its nucleus, at most ``reach_um``, (H, W) each."""
    distance = np.full(shape, reach_um, dtype=np.float32)
    nearest = np.zeros(shape, dtype=np.intp)
    reach = float(cells.axes_um.max(initial=0)) + reach_um
    n_px = int(np.ceil(2 * reach / px_um)) + 1
    first = np.floor((cells.centre_um - reach) / px_um).astype(np.intp)
    touching = np.flatnonzero(((first < np.array(shape)) & (first + n_px > 0)).all(axis=1))
    # Blocks bound the memory of large fields.
    for start in range(0, len(touching), 256):
        block = touching[start : start + 256]
        windows = _window_distance(cells[block], first[block], n_px, px_um)
        for index, (top, left), own in zip(block.tolist(), first[block].tolist(), windows, strict=True):
            rows, columns = (slice(max(at, 0), min(at + n_px, n)) for at, n in zip((top, left), shape, strict=True))
            inner = own[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            part = distance[rows, columns]
            closer = inner < part
            np.copyto(part, inner, where=closer)
            nearest[rows, columns][closer] = index
    return nearest, distance
