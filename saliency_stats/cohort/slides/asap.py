"""Outlines as ASAP writes them, CAMELYON's program: XML, parsed safely."""

from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element  # the type alone; defusedxml parses

import numpy as np
import shapely
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from saliency_stats.cohort.slides.outlines import Groups, Notes, Outline, Ring, checked_ring, to_pixels
from saliency_stats.errors import SlideError, shown

#: Types that enclose no area. Any other is a polygon, so that none is lost by its name.
_POINTS_AND_LINES: Final = ("dot", "pointset", "measurement")
#: How a rectangle may be written: by two opposite corners.
_CORNERS: Final = 2
#: How ASAP writes "no group".
_NO_GROUP: Final = "None"
#: Groups as CAMELYON16 names them, with colours to tell them apart.
_TUMOUR, _EXCLUDED = "_0", "_2"
_COLOURS: Final = {_TUMOUR: "#F4FA58", _EXCLUDED: "#00FF00"}


def parse_asap(data: bytes, groups: Groups, notes: Notes) -> list[Outline]:
    """Read the XML of ASAP.

    A group means what its own name says, else what the next known group around it says (``PartOfGroup``). A spline
    is read as the polygon through its points.

    ``notes`` is told what was left out. Outlines are in the file's order.

    Raises
    ------
    SlideError
        If it is no XML of ASAP, declares a DTD or entities, or holds a group without meaning or a coordinate that
        is no number.
    """
    try:
        root = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise SlideError(
            f"the XML declares a document type or entities ({type(error).__name__}), which can fill the memory or "
            f"reach for other files; expected plain ASAP XML. Save it again from ASAP"
        ) from error
    except (ParseError, LookupError, ValueError) as error:
        raise SlideError(f"not well-formed XML ({error}); expected ASAP XML. Save it again from ASAP") from error
    if root.tag != "ASAP_Annotations":
        raise SlideError(
            f"the XML's root is {root.tag!r}; expected 'ASAP_Annotations'. Save the outlines from ASAP, or export "
            f"them from QuPath as GeoJSON"
        )
    parents = {group.get("Name"): group.get("PartOfGroup", _NO_GROUP) for group in root.iter("Group")}
    outlines: list[Outline] = []
    unknown: dict[str, str] = {}
    for number, annotation in enumerate(root.iter("Annotation"), start=1):
        name = shown(annotation.get("Name") or f"number {number}")
        kind = annotation.get("Type", "Polygon")
        if kind.lower() in _POINTS_AND_LINES:
            notes.add(f"{kind} encloses no area, left out", name)
            continue
        group = annotation.get("PartOfGroup", _NO_GROUP)
        around = _upwards(group, parents)
        role = groups.role(around)
        notes.found(around, role or "without meaning")
        if role is None:
            unknown.setdefault(group, name)
            continue
        if role == "ignore":
            notes.add(f"group {shown(group)} is to be ignored, left out", name)
            continue
        ring = _asap_ring(annotation, name)
        if kind.lower() == "spline":
            notes.add("spline, read as the polygon through its points", name)
        outlines.append(Outline(name, role == "exclude", (ring,)))
    if unknown:
        first = ", ".join(f"{name} of group {shown(group)}" for group, name in list(unknown.items())[:10])
        raise SlideError(
            f"{len(unknown)} group(s) of outlines have no meaning: annotation {first}; known are tumour "
            f"({', '.join(groups.tumour)}) and exclude ({', '.join(groups.exclude)}). Name each group in the study "
            f"file, cohort.annotation_groups, under tumour, exclude or ignore"
        )
    return outlines


def _upwards(group: str, parents: dict[str | None, str]) -> list[str]:
    """Name a group and all that it lies in, stopping where a file goes round in a circle."""
    names = {group: None}
    while (above := parents.get(group, _NO_GROUP)) != _NO_GROUP and above not in names:
        group = above
        names[group] = None
    return list(names)


def _asap_ring(annotation: Element, name: str) -> Ring:
    """Read the points of an outline in their order; a rectangle may be written by two opposite corners."""
    points = [point.attrib for point in annotation.iterfind("Coordinates/Coordinate")]
    try:
        table = np.array([[float(point[key]) for key in ("Order", "X", "Y")] for point in points]).reshape(-1, 3)
    except (KeyError, ValueError) as error:
        raise SlideError(
            f"annotation {name}: a coordinate is no number ({error}); expected Order, X and Y in level-0 pixels, with "
            f"a decimal point. Save it again from ASAP"
        ) from error
    table = checked_ring(table, name)
    if len(np.unique(table[:, 0])) < len(table):
        raise SlideError(
            f"annotation {name}: two coordinates have the same Order; expected Order 0 to {len(table) - 1}. Save it "
            f"again from ASAP"
        )
    ring = np.asarray(table[np.argsort(table[:, 0]), 1:])
    if annotation.get("Type", "").lower() == "rectangle" and len(ring) == _CORNERS:
        return np.array([ring[0], [ring[0, 0], ring[1, 1]], ring[1], [ring[1, 0], ring[0, 1]]])
    return ring


def write_asap_xml(path: Path, tumour: BaseGeometry, exclude: BaseGeometry | None, mpp_y: float, mpp_x: float) -> None:
    """Write XML of ASAP with the groups of CAMELYON16: ``_0`` is tumour, ``_2`` is cut out of it.

    ASAP knows no holes. A hole becomes a polygon of group ``_2``; since that cuts out of all tumour, an island of
    tumour within a hole is spared by cutting the hole's polygon into pieces around it.

    Parameters
    ----------
    tumour, exclude
        (Multi)polygons in µm, (x, y) inside of shapely; ``tumour`` may be empty.
    mpp_y, mpp_x
        µm per pixel of the slide's level 0.
    """
    tumour, excluded = (to_pixels(area, mpp_y, mpp_x) for area in (tumour, exclude))
    shells = [Polygon(part.exterior) for part in shapely.get_parts(tumour) if not part.is_empty]
    holes = shapely.union(shapely.difference(shapely.unary_union(shells), tumour), excluded)
    rings = [(_TUMOUR, shell) for shell in shells]
    rings += [(_EXCLUDED, piece) for part in shapely.get_parts(holes) for piece in _without_holes(part)]
    lines = ['<?xml version="1.0"?>', "<ASAP_Annotations>", "\t<Annotations>"]
    for number, (group, polygon) in enumerate(rings):
        told = f'Name="Annotation {number}" Type="Polygon" PartOfGroup="{group}" Color="{_COLOURS[group]}"'
        lines += [f"\t\t<Annotation {told}>", "\t\t\t<Coordinates>"]
        # ASAP closes the ring itself
        for order, (x, y) in enumerate(shapely.get_coordinates(polygon)[:-1].tolist()):
            lines.append(f'\t\t\t\t<Coordinate Order="{order}" X="{x}" Y="{y}" />')
        lines += ["\t\t\t</Coordinates>", "\t\t</Annotation>"]
    lines += ["\t</Annotations>", "\t<AnnotationGroups>"]
    for group, colour in _COLOURS.items():
        lines += [
            f'\t\t<Group Name="{group}" PartOfGroup="None" Color="{colour}">',
            "\t\t\t<Attributes />",
            "\t\t</Group>",
        ]
    lines += ["\t</AnnotationGroups>", "</ASAP_Annotations>", ""]
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")


def _without_holes(area: BaseGeometry) -> list[Polygon]:
    """Cut a polygon through its holes until none is left."""
    done: list[Polygon] = []
    left = [area]
    while left:
        part = left.pop()
        if part.area == 0:
            continue  # cutting leaves points and lines behind
        if not isinstance(part, Polygon):
            left.extend(shapely.get_parts(part))
        elif not part.interiors:
            done.append(part)
        else:
            x0, y0, x1, y1 = part.bounds
            x = part.interiors[0].centroid.x
            left += [part.intersection(shapely.box(*half)) for half in ((x0, y0, x, y1), (x, y0, x1, y1))]
    return done
