"""Which tissue of a slide is tumour: outlines of pathologists as geometry in µm, read, asked and written."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from numpy.typing import ArrayLike
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from saliency_stats.cohort.slides.asap import parse_asap, write_asap_xml
from saliency_stats.cohort.slides.geojson import parse_geojson, write_geojson
from saliency_stats.cohort.slides.outlines import EXCLUDE_GROUPS, TUMOUR_GROUPS, Groups, Notes, Outline
from saliency_stats.cohort.slides.polygons import MAX_POINTS, subdivided, united, valid_polygon, with_area
from saliency_stats.errors import SlideError
from saliency_stats.typing import Float64Array

__all__ = [
    "EXCLUDE_GROUPS",
    "TUMOUR_GROUPS",
    "Annotation",
    "AnnotationFile",
    "read_annotation",
    "write_asap_xml",
    "write_geojson",
]

#: Files beyond this size are no outlines drawn by hand, and parsing takes some ten times as much memory.
MAX_BYTES: Final = 100_000_000
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
    drawn
        The tumour with what of it lies beyond the slide; left out, it is ``tumour``.
    """

    tumour: BaseGeometry
    notes: tuple[str, ...]
    source: Path
    drawn: BaseGeometry | None = None

    @cached_property
    def _parts(self) -> STRtree:
        return STRtree(subdivided(self.tumour))

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


@dataclass(eq=False)
class AnnotationFile:
    """A file of outlines in level-0 pixels, XML of ASAP or GeoJSON of QuPath, before it is laid on its slide.

    Parameters
    ----------
    path
        The file; ``.xml`` is ASAP, ``.json`` and ``.geojson`` are QuPath, else its first character decides.

    Attributes
    ----------
    notes
        What was left out so far, and the classes found.
    kind
        ``asap`` or ``geojson``; empty if it is not known.
    """

    path: Path
    slide_id: str
    groups: Groups
    notes: Notes = field(default_factory=Notes)
    kind: str = ""

    def parse(self) -> list[Outline]:
        """Read the outlines.

        Raises
        ------
        SlideError
            If the file cannot be read: missing, too large, of another format, unsafe, a coordinate that is no number,
            a group without meaning.
        """
        try:
            outlines = self._parse()
            points = sum(len(ring) for outline in outlines for ring in outline.rings)
            if points > MAX_POINTS:
                raise SlideError(
                    f"the outlines have {points:,} points; expected at most {MAX_POINTS:,}. Simplify them (QuPath: "
                    f"Objects, Annotations, Simplify shape)"
                )
        except SlideError as error:
            raise self._named(error) from error
        return outlines

    def _named(self, error: SlideError) -> SlideError:
        return SlideError(f"slide {self.slide_id!r}, annotation {self.path}: {error}")

    def _parse(self) -> list[Outline]:
        path = self.path
        try:
            size = path.stat().st_size
            if size > MAX_BYTES:
                raise SlideError(
                    f"the file has {size:,} bytes; expected at most {MAX_BYTES:,}. Export the outlines alone, without "
                    f"cells and detections"
                )
            if not path.is_file():
                raise SlideError("the file cannot be read (it is a folder or a device); expected a file of outlines")
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SlideError(
                f"the file cannot be read ({reason}); expected ASAP XML or QuPath GeoJSON. Correct the path in "
                f"the column 'annotation', or leave it empty for a normal slide"
            ) from error
        kinds = {".xml": "asap", ".json": "geojson", ".geojson": "geojson"}
        starts = {b"<": "asap", b"{": "geojson", b"[": "geojson"}
        start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        self.kind = kinds.get(path.suffix.lower()) or starts.get(start, "")
        if not self.kind:
            raise SlideError("neither XML nor JSON; expected ASAP XML or QuPath GeoJSON. Export the outlines again")
        parse = parse_asap if self.kind == "asap" else parse_geojson
        return parse(data, self.groups, self.notes)

    def laid_on(
        self,
        outlines: list[Outline],
        mpp: tuple[float, float],
        size_px: tuple[float, float],
        origin_px: tuple[float, float] = (0, 0),
    ) -> Annotation:
        """Lay the outlines on their slide; see :func:`read_annotation`.

        Parameters
        ----------
        mpp, size_px, origin_px
            Of the slide's level 0, each as (y, x): µm per pixel, height and width (infinite: nothing is clipped), and
            the pixel from which the file counts.
        """
        try:
            moved = [_moved(outline, origin_px) for outline in outlines]
            inside, drawn = _united(moved, self.notes, mpp[0] * mpp[1], size_px)
        except SlideError as error:
            raise self._named(error) from error
        scale = np.array([mpp[1], mpp[0]])
        tumour, whole = (with_area(shapely.transform(area, lambda xy: xy * scale)) for area in (inside, drawn))
        if tumour.is_empty:
            self.notes.add("file without annotated tumour", self.path.name)
        return Annotation(tumour, self.notes.lines(), self.path, whole)


def read_annotation(
    path: Path,
    mpp_y: float,
    mpp_x: float,
    *,
    slide_id: str,
    width_px: int | None = None,
    height_px: int | None = None,
    origin_px: tuple[float, float] = (0, 0),
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
    origin_px
        (y, x) pixel of level 0 from which the file counts.
    tumour, exclude, ignore
        Names of groups and classes (study key ``cohort.annotation_groups``): tumour, cut out of it, and neither.

    Returns
    -------
    Annotation
        Without tumour if the file holds no outline of it, and a note says so.

    Raises
    ------
    SlideError
        If the file cannot be read (missing, too large, of another format, unsafe, a coordinate that is no number, a
        group without meaning), or all its outlines, or all those of tumour, lie outside of the slide.
    """
    file = AnnotationFile(path, slide_id, Groups(tumour, exclude, ignore))
    height, width = (np.inf if length is None else length for length in (height_px, width_px))
    return file.laid_on(file.parse(), (mpp_y, mpp_x), (height, width), origin_px)


def _moved(outline: Outline, origin_px: tuple[float, float]) -> Outline:
    """Count from the slide's corner."""
    return replace(outline, rings=tuple(ring + np.array(origin_px[::-1]) for ring in outline.rings))


def _united(
    outlines: list[Outline], notes: Notes, um2: float, size_px: tuple[float, float]
) -> tuple[BaseGeometry, BaseGeometry]:
    """Unite the tumour less what is excluded, in pixels: clipped to the slide, and with what lies beyond it.

    ``um2`` is a pixel's area.
    """
    height, width = size_px
    whole: dict[bool, list[BaseGeometry]] = {False: [], True: []}
    parts: dict[bool, list[BaseGeometry]] = {False: [], True: []}
    beyond = False
    for outline in outlines:
        polygon = valid_polygon(outline, notes, um2)
        if polygon.is_empty:
            continue
        whole[outline.exclude].append(polygon)
        clipped = polygon
        if np.isfinite(size_px).all():
            clipped = with_area(polygon.intersection(shapely.box(0, 0, width, height)))
        if clipped.is_empty:
            notes.add("outside of the slide, left out", outline.name)
            beyond = True
            continue
        if polygon.area - clipped.area > _ROUNDING * polygon.area:
            notes.add("reaches beyond the slide, clipped", outline.name)
            beyond = True
        parts[outline.exclude].append(clipped)
    for what, lost, kept in (
        ("tumour", whole[False], parts[False]),
        ("what is excluded", whole[True], [*parts[False], *parts[True]]),
    ):
        if lost and not kept:
            left, top, right, bottom = shapely.total_bounds(lost)
            raise SlideError(
                f"all {len(lost)} outline(s) of {what} lie outside of the slide: found x {left:.0f} to {right:.0f}, "
                f"y {top:.0f} to {bottom:.0f}; expected level-0 pixels within 0 to {width}, 0 to {height}. Pair the "
                f"slide with its own annotation, or say in cohort.annotation_origin from where its outlines count"
            )
    tumour = united(parts[False]).difference(united(parts[True]))
    return tumour, united(whole[False]).difference(united(whole[True])) if beyond else tumour
