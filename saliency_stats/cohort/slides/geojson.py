"""Outlines as QuPath exports them: GeoJSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import shapely
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from saliency_stats.cohort.slides.outlines import Groups, Notes, Outline, Ring, to_pixels
from saliency_stats.errors import SlideError

#: Geometries that enclose no area.
_POINTS_AND_LINES: Final = ("Point", "MultiPoint", "LineString", "MultiLineString")
#: What QuPath calls an outline that somebody drew; 0.2 wrote the name of its Java class as the object's id.
_DRAWN: Final = ("annotation", "PathAnnotationObject")


def parse_geojson(data: bytes, groups: Groups, notes: Notes) -> list[Outline]:
    """Read the GeoJSON of QuPath: a feature collection, a list of features, or one feature.

    A class means what its full name says ("Tumor: Positive"), else what its base class says ("Tumor"). Classes
    without meaning are left out, since a slide of QuPath carries outlines for many purposes; so are objects that
    are no annotations (detections, cells, tiles).

    ``notes`` is told what was left out. There is one outline per polygon, in the file's order.

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
    collection = isinstance(document, dict) and document.get("type") == "FeatureCollection"
    features = document.get("features") if collection else document if isinstance(document, list) else [document]
    if not isinstance(features, list):
        raise SlideError("the feature collection has no list 'features'; export it again from QuPath")
    return [
        outline
        for number, feature in enumerate(features, start=1)
        for outline in _outlines(feature, number, groups, notes)
    ]


def _outlines(feature: Any, number: int, groups: Groups, notes: Notes) -> Iterator[Outline]:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        found = feature.get("type") if isinstance(feature, dict) else type(feature).__name__
        raise SlideError(f"object {number} is of type {found!r}; expected 'Feature'. Export the objects from QuPath")
    properties = feature.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    name = repr(str(properties.get("name") or f"feature {number}"))
    legacy = str(feature.get("id"))
    kind = str(properties.get("objectType") or (legacy if legacy.startswith("Path") else _DRAWN[0]))
    if kind not in _DRAWN:
        notes.add(f"object of type {kind!r} is no annotation, left out", name)
        return
    names = _class_names(properties.get("classification"))
    role = groups.role(names)
    if role in {None, "ignore"}:
        notes.add(
            f"class {names[0]!r} is neither tumour nor excluded, left out" if names else "no class, left out", name
        )
        return
    geometry = feature.get("geometry")
    geometry = geometry if isinstance(geometry, dict) else {}
    kind, coordinates = str(geometry.get("type")), geometry.get("coordinates")
    if kind in _POINTS_AND_LINES:
        notes.add(f"{kind} encloses no area, left out", name)
        return
    if kind not in {"Polygon", "MultiPolygon"}:
        raise SlideError(
            f"annotation {name} is of geometry {kind!r}; expected Polygon or MultiPolygon. Split or merge it in QuPath "
            f"and export it again"
        )
    for polygon in _listed([coordinates] if kind == "Polygon" else coordinates, name):
        yield Outline(name, role == "exclude", tuple(_geojson_ring(ring, name) for ring in _listed(polygon, name)))


def _class_names(classification: Any) -> list[str]:
    """Name a class and its base classes, from the most special one."""
    if isinstance(classification, dict):
        classification = classification.get("names") or classification.get("name")
    parts = classification if isinstance(classification, list) else str(classification or "").split(":")
    parts = [str(part).strip() for part in parts if str(part).strip()]
    return [": ".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _listed(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise SlideError(f"annotation {name}: its coordinates are no list of rings; export it again from QuPath")
    return value


def _geojson_ring(points: Any, name: str) -> Ring:
    try:
        ring = np.array(points)
    except ValueError:
        ring = np.empty(0)
    # text that reads as a number, and true and false, are no coordinates either
    if ring.ndim != 2 or ring.shape[1] < 2 or ring.dtype.kind not in "iuf" or not np.isfinite(ring).all():  # noqa: PLR2004
        raise SlideError(
            f"annotation {name}: a ring holds what is no position; expected pairs of finite numbers [x, y] in level-0 "
            f"pixels. Export it again from QuPath"
        )
    return np.asarray(ring[:, :2], dtype=np.float64)


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
