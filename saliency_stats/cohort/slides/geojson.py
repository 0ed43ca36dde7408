"""Outlines as QuPath exports them: GeoJSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import shapely
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from saliency_stats.cohort.slides.outlines import Groups, Notes, Outline, Ring, checked_ring, to_pixels
from saliency_stats.errors import SlideError, shown

#: Geometries that enclose no area.
_POINTS_AND_LINES: Final = ("Point", "MultiPoint", "LineString", "MultiLineString", "LinearRing")
#: Where objects may hold others.
_CHILDREN: Final = ("childObjects", "children", "features")
#: Where a class may stand if there is no ``classification``: other programs' keys (TIAToolbox: ``type``), then the
#: name that somebody gave the object. They count only where they say something known.
_OTHER_CLASSES: Final = ("class", "type", "label", "name")


def parse_geojson(data: bytes, groups: Groups, notes: Notes) -> list[Outline]:
    """Read the GeoJSON of QuPath: a feature collection, a list of features, or one feature.

    Features may hold others (``childObjects``); each counts by itself. A class means what its full name says
    ("Tumor: Positive"), else what its base class says ("Tumor"). Classes without meaning are left out, since a slide
    of QuPath carries outlines for many purposes; so is what a program made instead of a person: detections, cells
    and tiles, as each version of QuPath names them.

    ``notes`` is told what was left out, and all classes. There is one outline per polygon, in the file's order.

    Raises
    ------
    SlideError
        If it is no GeoJSON of features, or an outline of tumour is of another geometry than (multi)polygon or holds
        a coordinate that is no number.
    """
    try:
        document = json.loads(data, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise SlideError("the JSON is nested too deeply to be GeoJSON; export it again from QuPath") from error
    except ValueError as error:
        raise SlideError(f"not readable JSON ({error}); expected GeoJSON. Export it again from QuPath") from error
    return [
        outline
        for number, feature in enumerate(_features(document), start=1)
        for outline in _outlines(feature, number, groups, notes)
    ]


def _features(document: Any) -> Iterator[dict[str, Any]]:
    """Go through the features of a document and those that they hold, in the file's order."""
    left = list(reversed(document)) if isinstance(document, list) else [document]
    number = 0
    while left:
        item = left.pop()
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "FeatureCollection":
            if not isinstance(item.get("features"), list):
                raise SlideError("the feature collection has no list 'features'; export it again from QuPath")
            left.extend(reversed(item["features"]))
            continue
        number += 1
        if kind != "Feature":
            found = kind if isinstance(item, dict) else type(item).__name__
            raise SlideError(
                f"object {number} is of type {shown(found)}; expected 'Feature'. Export the objects from QuPath"
            )
        yield item
        left.extend(reversed(_children(item)))


def _children(feature: dict[str, Any]) -> list[dict[str, Any]]:
    """List the features that one holds; other things that stand under these keys (numbers, ids) are none."""
    holders = [holder for holder in (feature, feature.get("properties")) if isinstance(holder, dict)]
    held = [holder.get(key) for holder in holders for key in _CHILDREN]
    listed = [one for inside in held for one in (inside if isinstance(inside, list) else [inside])]
    return [one for one in listed if isinstance(one, dict) and one.get("type") in ("Feature", "FeatureCollection")]


def _outlines(feature: dict[str, Any], number: int, groups: Groups, notes: Notes) -> Iterator[Outline]:
    properties = feature.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    name = shown(properties.get("name") or f"feature {number}")
    names = _class_names(properties.get("classification"))
    made = _made_by_a_program(feature, properties)
    if made:
        notes.found(names, f"{made}, no annotation")
        notes.add(f"object of type {made} is no annotation, left out", name)
        return
    if not names:
        key, names = _other_class(properties, groups)
        if names:
            notes.add(f"no classification, its {key} {shown(names[0])} was taken for its class", name)
    role = groups.role(names)
    notes.found(names, role or "without meaning")
    if role in {None, "ignore"}:
        notes.add(
            f"class {shown(names[0])} is neither tumour nor excluded, left out" if names else "no class, left out", name
        )
        return
    for polygon in _polygons(feature.get("geometry"), name, notes):
        yield Outline(name, role == "exclude", tuple(_geojson_ring(ring, name) for ring in _listed(polygon, name)))


def _made_by_a_program(feature: dict[str, Any], properties: dict[str, Any]) -> str:
    """Name the kind of an object that is no annotation, as the file spells it; empty for an annotation.

    QuPath from 0.4 on writes ``objectType: annotation``, 0.3 ``object_type``, 0.2 the name of a Java class as the
    object's id (``PathAnnotationObject``). A cell has the outline of a nucleus besides its own.
    """
    told = [holder.get(key) for holder in (properties, feature) for key in ("objectType", "object_type")]
    identity = feature.get("id")
    if isinstance(identity, str) and identity.startswith(("Path", "TMA")) and identity.endswith("Object"):
        told.append(identity)
    if feature.get("nucleusGeometry") or properties.get("nucleusGeometry"):
        told.append("cell")
    for kind in told:
        plain = shown(kind).strip("'").casefold().replace("_", "").removeprefix("path").removesuffix("object")
        if kind is not None and plain != "annotation":
            return shown(kind)
    return ""


def _class_names(classification: Any) -> list[str]:
    """Name a class and its base classes, from the most special one.

    A class is a text ("Tumor: Positive"), a list of its parts, or a mapping with either of them as ``name`` or
    ``names``. A number is a colour, which names nothing.
    """
    if isinstance(classification, dict):
        classification = classification.get("names") or classification.get("name")
    if isinstance(classification, str):
        classification = classification.split(":")
    if not isinstance(classification, list):
        return []
    told = [part.get("name") if isinstance(part, dict) else part for part in classification]
    parts = [part.strip() for part in told if isinstance(part, str) and part.strip()]
    return [": ".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _other_class(properties: dict[str, Any], groups: Groups) -> tuple[str, list[str]]:
    """Find a class that is known under another key, and the key."""
    for key in _OTHER_CLASSES:
        names = _class_names(properties.get(key))
        if groups.role(names):
            return key, names
    return "", []


def _polygons(geometry: Any, name: str, notes: Notes) -> Iterator[Any]:
    """Go through the polygons of a geometry, each a list of rings; what encloses no area is noted."""
    left = [geometry]
    while left:
        one = left.pop()
        one = one if isinstance(one, dict) else {}
        kind, coordinates = one.get("type"), one.get("coordinates")
        if kind in _POINTS_AND_LINES:
            notes.add(f"{kind} encloses no area, left out", name)
        elif kind == "GeometryCollection" and isinstance(one.get("geometries"), list):
            if not one["geometries"]:
                notes.add("GeometryCollection of nothing encloses no area, left out", name)
            left.extend(reversed(one["geometries"]))
        elif kind in ("Polygon", "MultiPolygon"):
            yield from _listed([coordinates] if kind == "Polygon" else coordinates, name)
        else:
            raise SlideError(
                f"annotation {name} is of geometry {shown(kind)}; expected Polygon or MultiPolygon. Split or merge it "
                f"in QuPath and export it again"
            )


def _listed(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise SlideError(f"annotation {name}: its coordinates are no list of rings; export it again from QuPath")
    return value


def _geojson_ring(points: Any, name: str) -> Ring:
    try:
        ring = np.array(points)
    except ValueError:
        ring = np.empty(0)
    # text that reads as a number, and true and false (which NumPy takes for 1 and 0), are no coordinates either
    if any(isinstance(each, bool) for point in points if isinstance(point, list) for each in point):
        ring = np.empty(0)
    if ring.ndim != 2 or ring.shape[1] < 2 or ring.dtype.kind not in "iuf":  # noqa: PLR2004
        raise SlideError(
            f"annotation {name}: a ring holds what is no position; expected pairs of finite numbers [x, y] in level-0 "
            f"pixels. Export it again from QuPath"
        )
    return checked_ring(np.asarray(ring[:, :2], dtype=np.float64), name)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def write_geojson(path: Path, tumour: BaseGeometry, exclude: BaseGeometry | None, mpp_y: float, mpp_x: float) -> None:
    """Write GeoJSON of QuPath: one annotation per polygon, holes as inner rings, classes ``Tumor`` and ``Exclude``.

    ``tumour``, which may be empty, and ``exclude`` are (multi)polygons in µm, (x, y) inside of shapely; ``mpp_y`` and
    ``mpp_x`` are µm per pixel of the slide's level 0.
    """
    features = [
        {
            "type": "Feature",
            "geometry": mapping(part),
            "properties": {"objectType": "annotation", "classification": {"name": name}},
        }
        for name, area in (("Tumor", tumour), ("Exclude", exclude))
        for part in shapely.get_parts(to_pixels(area, mpp_y, mpp_x))
        if not part.is_empty
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
