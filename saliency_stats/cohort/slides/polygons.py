"""Outlines as valid polygons: repaired where a line crosses itself, refused where nobody can have drawn it (pure)."""

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon, STRtree
from shapely.geometry.base import BaseGeometry

from saliency_stats.cohort.slides.outlines import Notes, Outline, Ring
from saliency_stats.errors import SlideError

#: Points of all outlines of a file. More take minutes to cut into pieces, and no outline needs so many.
MAX_POINTS: Final = 500_000
#: A hand crosses its own line some times, a program's noise millions of times, and each crossing becomes a point.
MAX_CROSSINGS: Final = 50_000
#: Pairs of outlines that may overlap; millions are noise, and take hours to unite.
MAX_OVERLAPS: Final = 200_000
#: Segments that are looked at to estimate the number of crossings, and those that each meets anyway: itself and both
#: of its neighbours.
_SAMPLED: Final = 50
_NEIGHBOURS: Final = 3
#: A ring with fewer different points encloses nothing.
_MIN_POINTS: Final = 3
#: Square pixels; less is what rounding leaves of a line.
_MIN_AREA_PX: Final = 1e-6
#: Points of a part of the tumour: small enough that cutting it with a square is quick.
_PART_POINTS: Final = 128


def valid_polygon(outline: Outline, notes: Notes, um2: float) -> BaseGeometry:
    """Turn rings into a valid polygon or multipolygon, empty if they enclose nothing.

    What a line goes round is inside, however often it does (shapely.make_valid, method ``structure``). The ring with
    the largest area is the outer one, wherever it stands.

    Parameters
    ----------
    notes
        Is told what was repaired or left out.
    um2
        Area of a pixel, for the notes.

    Raises
    ------
    SlideError
        If the line crosses itself so often that nobody can have drawn it.
    """
    rings = [ring for ring in outline.rings if _encloses(ring)]
    if len(rings) < len(outline.rings):
        notes.add(f"ring of fewer than {_MIN_POINTS} different points, left out", outline.name)
        if not _encloses(outline.rings[0]):
            return Polygon()
    shell, *holes = _outermost_first(rings, outline.name, notes)
    drawn = Polygon(shell, holes)
    valid = drawn if drawn.is_valid else _repaired(drawn, outline.name, notes, um2)
    if valid.area > _MIN_AREA_PX:
        return valid
    notes.add("outline that encloses no area, left out", outline.name)
    return Polygon()


def _encloses(ring: Ring) -> bool:
    return len(np.unique(ring, axis=0)) >= _MIN_POINTS


def _outermost_first(rings: list[Ring], name: str, notes: Notes) -> list[Ring]:
    """Put the ring around all others first, where a file has it elsewhere."""
    low, high = (np.array([edge(ring, axis=0) for ring in rings]) for edge in (np.min, np.max))
    around = np.flatnonzero((low <= low.min(axis=0)).all(axis=1) & (high >= high.max(axis=0)).all(axis=1))
    if not len(around) or around[0] == 0:
        return rings
    notes.add("the outer ring does not come first, the one around the others was taken for it", name)
    first = int(around[0])
    return [rings[first], *rings[:first], *rings[first + 1 :]]


def _repaired(drawn: Polygon, name: str, notes: Notes, um2: float) -> BaseGeometry:
    """Make a polygon valid: holes that lie beside it are left out, crossings become corners."""
    _refuse_scribble(drawn, name)
    shell = _made_valid(Polygon(drawn.exterior))
    inside = [hole for hole in drawn.interiors if shell.intersects(_made_valid(Polygon(hole)))]
    if len(inside) < len(drawn.interiors):
        notes.add("hole outside of its outline, left out", name)
        drawn = Polygon(drawn.exterior, inside)
        if drawn.is_valid:
            return drawn
    repaired = _made_valid(drawn)
    if repaired.area > _MIN_AREA_PX:
        change = f"{name} ({drawn.area * um2:.6g} → {repaired.area * um2:.6g} µm²)"
        notes.add("outline that crosses or touches itself, repaired", change)
    return repaired


def _made_valid(drawn: Polygon) -> BaseGeometry:
    return with_area(shapely.make_valid(drawn, method="structure", keep_collapsed=False))


def _refuse_scribble(drawn: Polygon, name: str) -> None:
    rings = [shapely.get_coordinates(ring) for ring in (drawn.exterior, *drawn.interiors)]
    ends = np.concatenate([np.stack([ring[:-1], ring[1:]], axis=1) for ring in rings])
    segments = np.asarray(shapely.linestrings(ends))
    sample = segments[:: max(1, len(segments) // _SAMPLED)]
    met, _ = STRtree(segments).query(sample, predicate="intersects")
    crossings = (len(met) / len(sample) - _NEIGHBOURS) * len(segments) / 2
    if crossings > MAX_CROSSINGS:
        raise SlideError(
            f"annotation {name}: the line of {len(segments):,} points crosses itself about {crossings:,.0f} times; "
            f"expected an outline, at most {MAX_CROSSINGS:,} crossings. Draw it again, or delete it"
        )


def united(polygons: list[BaseGeometry]) -> BaseGeometry:
    """Unite polygons.

    Raises
    ------
    SlideError
        If so many lie across each other that nobody can have drawn them.
    """
    if not polygons:
        return Polygon()
    sample = polygons[:: max(1, len(polygons) // _SAMPLED)]
    met, _ = STRtree(polygons).query(sample)
    pairs = (len(met) / len(sample) - 1) * len(polygons) / 2
    if pairs > MAX_OVERLAPS:
        raise SlideError(
            f"about {pairs:,.0f} pairs of the {len(polygons):,} outlines overlap; expected at most "
            f"{MAX_OVERLAPS:,}. Merge the outlines, or export those that a person drew"
        )
    return shapely.unary_union(polygons)


def with_area(geometry: BaseGeometry) -> BaseGeometry:
    """Keep what has an area: cutting and repairing leave points and lines behind."""
    if isinstance(geometry, Polygon | MultiPolygon):
        return geometry
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.unary_union(parts[shapely.area(parts) > 0])


def subdivided(geometry: BaseGeometry) -> NDArray[np.object_]:
    """Halve polygons until each has few points, so that a square meets only what is near to it."""
    done, left = [], list(shapely.get_parts(geometry))
    while left:
        part = left.pop()
        x0, y0, x1, y1 = part.bounds
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        wide = x1 - x0 > y1 - y0
        # between two neighbouring numbers there is no middle
        if shapely.get_num_coordinates(part) <= _PART_POINTS or (x in {x0, x1} if wide else y in {y0, y1}):
            done.append(part)
            continue
        halves = ((x0, y0, x, y1), (x, y0, x1, y1)) if wide else ((x0, y0, x1, y), (x0, y, x1, y1))
        left.extend(
            piece for half in halves for piece in shapely.get_parts(with_area(part.intersection(shapely.box(*half))))
        )
    return np.array(done, dtype=object)
