"""Which tissue of a slide is tumour: outlines of pathologists as geometry in µm, read, asked and written."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely import MultiPolygon, Polygon, STRtree
from shapely.geometry.base import BaseGeometry

from saliency_stats.cohort.slides.asap import parse_asap, write_asap_xml
from saliency_stats.cohort.slides.geojson import parse_geojson, write_geojson
from saliency_stats.cohort.slides.outlines import EXCLUDE_GROUPS, TUMOUR_GROUPS, Groups, Notes, Outline
from saliency_stats.errors import SlideError
from saliency_stats.typing import Float64Array

__all__ = ["EXCLUDE_GROUPS", "TUMOUR_GROUPS", "Annotation", "read_annotation", "write_asap_xml", "write_geojson"]

#: Files beyond this size are no outlines drawn by hand, and parsing takes some ten times as much memory.
MAX_BYTES: Final = 100_000_000
#: Points of a part of the tumour: small enough that cutting it with a square is quick.
_MAX_POINTS: Final = 128
#: A ring with fewer different points encloses nothing.
_MIN_POINTS: Final = 3
#: Share of an outline's area that rounding may take away when it is cut at the slide's border.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Annotation:
    """The annotated tumour of one slide.

    Parameters
    ----------
    tumour
        Polygon or multipolygon, valid, possibly empty: tumour less what is excluded. In µm from the slide's upper
        left corner. Inside of shapely a position is (x, y); everywhere else in this package it is (y, x).
    notes
        What was repaired, clipped or left out when the file was read.
    source
        The file it was read from.
    """

    tumour: BaseGeometry
    notes: tuple[str, ...]
    source: Path

    @cached_property
    def _parts(self) -> STRtree:
        return STRtree(_subdivided(self.tumour))

    def shares(self, centres_um: ArrayLike, side_um: float) -> Float64Array:
        """Share of each square that is annotated tumour.

        Parameters
        ----------
        centres_um
            (N, 2) centres as (y, x) in µm.

        Returns
        -------
        ndarray
            (N,) exact area of tumour within the square / area of the square, in [0, 1]. What of a square lies
            beyond the slide is no tumour.
        """
        y, x = np.asarray(centres_um, dtype=np.float64).reshape(-1, 2).T
        half = side_um / 2
        squares = shapely.box(x - half, y - half, x + half, y + half)
        square, part = self._parts.query(squares, predicate="intersects")
        area = shapely.area(shapely.intersection(squares[square], self._parts.geometries[part]))
        covered = np.bincount(square, weights=area, minlength=len(squares))
        # rounding may leave a covered square at 1 + 1e-16
        return np.asarray(np.minimum(covered / side_um**2, 1))


def read_annotation(
    path: Path,
    mpp_y: float,
    mpp_x: float,
    *,
    slide_id: str,
    width_px: int | None = None,
    height_px: int | None = None,
    tumour: Sequence[str] = TUMOUR_GROUPS,
    exclude: Sequence[str] = EXCLUDE_GROUPS,
    ignore: Sequence[str] = (),
) -> Annotation:
    """Read the outlines of a slide: XML of ASAP, or GeoJSON of QuPath.

    Outlines that cross themselves are made valid (shapely.make_valid, method ``structure``: what a line drawn by
    hand goes round is inside, however often it does), all of tumour are united, and what is excluded is cut out
    wherever it lies.

    Parameters
    ----------
    path
        The file; ``.xml`` is ASAP, ``.json`` and ``.geojson`` are QuPath, else its first character decides.
    mpp_y, mpp_x
        µm per pixel of the slide's level 0: both formats count its pixels.
    width_px, height_px
        Size of level 0. Outlines are clipped to it; None leaves them as they are.
    tumour, exclude, ignore
        Names of groups and classes (study key ``cohort.annotation_groups``): tumour, cut out of it, and neither.

    Returns
    -------
    Annotation
        Without tumour if the file holds no outline of it: then the slide is normal, and a note says so.

    Raises
    ------
    SlideError
        If the file cannot be read (missing, too large, of another format, unsafe, a coordinate that is no number, a
        group without meaning), or all its outlines, or all those of tumour, lie outside of the slide.
    """
    notes = Notes()
    try:
        groups = Groups(tumour, exclude, ignore)
        outlines = _parse(path, groups, notes)
        area, excluded = _united(outlines, notes, mpp_y * mpp_x, (width_px, height_px))
    except SlideError as error:
        raise SlideError(f"slide {slide_id!r}, annotation {path}: {error}") from error
    scale = np.array([mpp_x, mpp_y])
    inside = _polygons(shapely.transform(area.difference(excluded), lambda xy: xy * scale))
    if inside.is_empty:
        notes.add("file without annotated tumour, so the slide counts as normal", path.name)
    return Annotation(inside, notes.lines(), path)


def _parse(path: Path, groups: Groups, notes: Notes) -> list[Outline]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SlideError(
                f"the file has {size:,} bytes; expected at most {MAX_BYTES:,}. Export the outlines alone, without "
                f"cells and detections"
            )
        data = path.read_bytes()
    except OSError as error:
        raise SlideError(
            f"the file cannot be read ({error.strerror}); expected ASAP XML or QuPath GeoJSON. Correct the path in the "
            f"column 'annotation', or leave it empty for a normal slide"
        ) from error
    formats = {".xml": parse_asap, ".json": parse_geojson, ".geojson": parse_geojson}
    starts = {b"<": parse_asap, b"{": parse_geojson, b"[": parse_geojson}
    parse = formats.get(path.suffix.lower()) or starts.get(data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1])
    if parse is None:
        raise SlideError("neither XML nor JSON; expected ASAP XML or QuPath GeoJSON. Export the outlines again")
    return parse(data, groups, notes)


def _united(
    outlines: list[Outline], notes: Notes, um2: float, size_px: tuple[int | None, int | None]
) -> tuple[BaseGeometry, BaseGeometry]:
    """Unite the outlines of tumour and those excluded, in pixels, clipped to the slide; ``um2`` is a pixel's area."""
    width, height = (np.inf if length is None else length for length in size_px)
    parts: dict[bool, list[BaseGeometry]] = {False: [], True: []}
    outside: dict[bool, list[BaseGeometry]] = {False: [], True: []}
    for outline in outlines:
        polygon = _valid(outline, notes, um2)
        if polygon.is_empty:
            continue
        clipped = polygon
        if np.isfinite([width, height]).all():
            clipped = _polygons(polygon.intersection(shapely.box(0, 0, width, height)))
        if clipped.is_empty:
            notes.add("outside of the slide, left out", outline.name)
            outside[outline.exclude].append(polygon)
            continue
        if polygon.area - clipped.area > _ROUNDING * polygon.area:
            notes.add("reaches beyond the slide, clipped", outline.name)
        parts[outline.exclude].append(clipped)
    lost = outside[False] if not parts[False] else []
    lost = lost or (outside[True] if not any(parts.values()) else [])
    if lost:
        left, top, right, bottom = shapely.total_bounds(lost)
        raise SlideError(
            f"all {len(lost)} outline(s) of {'tumour' if lost is outside[False] else 'what is excluded'} lie outside "
            f"of the slide: found x {left:.0f} to {right:.0f}, y {top:.0f} to {bottom:.0f}; expected level-0 pixels "
            f"within 0 to {width}, 0 to {height}. Pair the slide with its own annotation"
        )
    return shapely.unary_union(parts[False]), shapely.unary_union(parts[True])


def _valid(outline: Outline, notes: Notes, um2: float) -> BaseGeometry:
    """Turn rings into a valid polygon or multipolygon, empty if they enclose nothing."""
    whole = [len(np.unique(ring, axis=0)) >= _MIN_POINTS for ring in outline.rings]
    if not all(whole):
        notes.add(f"ring of fewer than {_MIN_POINTS} different points, left out", outline.name)
    if not whole[0]:
        return Polygon()
    drawn = Polygon(outline.rings[0], [ring for ring, fits in zip(outline.rings, whole, strict=True) if fits][1:])
    if drawn.is_valid:
        return drawn
    repaired = _polygons(shapely.make_valid(drawn, method="structure", keep_collapsed=False))
    if repaired.is_empty:
        notes.add("outline that encloses no area, left out", outline.name)
    else:
        change = f"{outline.name} ({drawn.area * um2:.6g} → {repaired.area * um2:.6g} µm²)"
        notes.add("outline that crosses or touches itself, repaired", change)
    return repaired


def _polygons(geometry: BaseGeometry) -> BaseGeometry:
    """Keep what has an area: cutting and repairing leave points and lines behind."""
    if isinstance(geometry, Polygon | MultiPolygon):
        return geometry
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.unary_union(parts[shapely.area(parts) > 0])


def _subdivided(geometry: BaseGeometry) -> NDArray[np.object_]:
    """Halve polygons until each has few points, so that a square meets only what is near to it."""
    done, left = [], list(shapely.get_parts(geometry))
    while left:
        part = left.pop()
        if shapely.get_num_coordinates(part) <= _MAX_POINTS:
            done.append(part)
            continue
        x0, y0, x1, y1 = part.bounds
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        halves = ((x0, y0, x, y1), (x, y0, x1, y1)) if x1 - x0 > y1 - y0 else ((x0, y0, x1, y), (x0, y, x1, y1))
        left.extend(
            piece for half in halves for piece in shapely.get_parts(_polygons(part.intersection(shapely.box(*half))))
        )
    return np.array(done, dtype=object)
