"""Nuclei and their cells as GeoJSON objects that QuPath reads (pure NumPy and SciPy)."""

from collections.abc import Container, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from scipy import ndimage

from saliency_stats.compartments import Segmentation, to_codes
from saliency_stats.errors import ReportError
from saliency_stats.report.overlay import NUCLEUS_OUTLINE
from saliency_stats.typing import BoolArray, Int32Array
from saliency_stats.vocabulary import COMPARTMENT_CODES

Ring: TypeAlias = list[list[int]]
#: x and y of where a step of one pixel begins, and its direction.
Edge: TypeAlias = tuple[int, int, int, int]

#: The steps around a pixel, and at which of its corners each begins (dx, dy; x, y).
_STEPS: Final = {(1, 0): (0, 0), (0, 1): (1, 0), (-1, 0): (1, 1), (0, -1): (0, 1)}

#: Columns of a table of nuclei that say which nucleus a row is; all others are measurements of it.
_NUMBER: Final = "nucleus_id"
_CLASS: Final = "Nucleus"


def feature_collection(segmentation: Segmentation, table: pd.DataFrame) -> dict[str, Any]:
    """Write every nucleus as a cell of QuPath: the outline of the cell, and within it that of the nucleus.

    The layout is that of QuPath 0.4 and later (its classes ``QuPathTypeAdapters`` and ``ROITypeAdapters``): one
    feature per object, ``objectType`` "cell", and the nucleus as ``nucleusGeometry`` beside the ``geometry``. A
    nucleus without cytoplasm is a cell whose two outlines are one.

    Parameters
    ----------
    table
        One row per nucleus with ``nucleus_id``, as ``nuclei_table`` gives it; its numeric columns become
        measurements under their own names. A missing value is left out, since QuPath reads no null.

    Returns
    -------
    dict
        GeoJSON (RFC 7946 but for the coordinates, which are those of QuPath: x and y in pixels from the image's
        upper left corner). Outlines run along the edges of pixels, so no area is lost or won.

    Raises
    ------
    ReportError
        If the table and the image do not hold the same nuclei.
    """
    numbers = np.unique(segmentation.instances[segmentation.instances > 0])
    rows = table.set_index(_NUMBER)
    if not np.array_equal(numbers, np.sort(rows.index.to_numpy())):
        raise ReportError(
            f"the image has {len(numbers)} nuclei and the table {len(rows)} rows of other numbers; expected one row "
            "for each nucleus. Use the table of the image that was segmented"
        )
    measured: dict[Any, dict[Any, float]] = rows.select_dtypes("number").to_dict("index")
    cells = cell_instances(segmentation)
    cell_boxes = ndimage.find_objects(cells)
    features = []
    for number in numbers.tolist():
        box = cell_boxes[number - 1]
        features.append(
            {
                "type": "Feature",
                "geometry": outline(cells[box] == number, box),
                "nucleusGeometry": outline(segmentation.instances[box] == number, box),
                "properties": {
                    "objectType": "cell",
                    "classification": {"name": _CLASS, "color": list(NUCLEUS_OUTLINE)},
                    "measurements": finite({_NUMBER: number, **measured[number]}),
                },
            }
        )
    return {"type": "FeatureCollection", "features": features}


def cell_instances(segmentation: Segmentation) -> Int32Array:
    """Return the cells (H, W), 0 outside: each nucleus with the cytoplasm that is nearer to it than to any other."""
    instances = segmentation.instances
    if not instances.any():
        return instances.copy()
    nearest = ndimage.distance_transform_edt(instances == 0, return_distances=False, return_indices=True)
    cellular = to_codes(segmentation.memberships) == COMPARTMENT_CODES["cytoplasm"]
    return np.where(cellular | (instances > 0), instances[tuple(nearest)], 0).astype(np.int32)


def outline(mask: BoolArray, box: tuple[slice, slice] | None = None) -> dict[str, Any]:
    """Trace the outline of a mask along the edges of its pixels.

    Parameters
    ----------
    mask
        (H, W) with at least one pixel.
    box
        Where the mask lies in its image; the coordinates are then those of the image.

    Returns
    -------
    dict
        A GeoJSON ``Polygon``, or a ``MultiPolygon`` if the mask has several parts (pixels that only touch at a
        corner are parts of their own). Rings are closed; outer ones have a positive area by the shoelace formula
        (x to the right, y downwards), holes a negative one, so that all of them sum to the number of pixels.
    """
    top, left = (box[0].start, box[1].start) if box else (0, 0)
    parts, n_parts = ndimage.label(mask)
    polygons = []
    for part, window in enumerate(ndimage.find_objects(parts, n_parts), start=1):
        y, x = top + window[0].start, left + window[1].start
        rings = [[[x + dx, y + dy] for dx, dy in ring] for ring in _rings(parts[window] == part)]
        polygons.append(sorted(rings, key=_shoelace, reverse=True))  # the outer ring is the only positive one
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _rings(mask: BoolArray) -> list[Ring]:
    """Corners of the closed rings around one connected part and its holes, the part on the right of each step."""
    inside = np.pad(mask, 1)
    edges: dict[Edge, None] = {}  # as a set that keeps its order
    for (dx, dy), (begin_x, begin_y) in _STEPS.items():
        beyond = np.roll(inside, (dx, -dy), axis=(0, 1))  # the neighbour on the left of the step
        for y, x in (np.argwhere(inside & ~beyond) - 1).tolist():
            edges[x + begin_x, y + begin_y, dx, dy] = None
    rings = []
    left_over = dict(edges)
    while left_over:
        first = edge = next(iter(left_over))
        ring: Ring = []
        while not ring or edge != first:
            del left_over[edge]
            following = _following(edge, edges)
            if following[2:] != edge[2:]:
                ring.append([following[0], following[1]])
            edge = following
        rings.append([*ring, ring[0]])
    return rings


def _following(edge: Edge, edges: Container[Edge]) -> Edge:
    """Go on from an edge; left first, so that where two pixels meet at a corner no ring touches itself."""
    x, y, dx, dy = edge
    x, y = x + dx, y + dy
    left, straight, right = (x, y, dy, -dx), (x, y, dx, dy), (x, y, -dy, dx)
    return left if left in edges else straight if straight in edges else right


def _shoelace(ring: Ring) -> float:
    x, y = np.array(ring).T
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2


def finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Keep the values that are numbers."""
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}
