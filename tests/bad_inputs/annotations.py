"""Outlines of tumour as QuPath and ASAP, and people and scripts in their place, may write them."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from base import HALF, OUTLINES, SLIDE_PX, SLIDES, annotation, asap, feature, geojson
from case import Area, Bad, given

_QUPATH, _ASAP = OUTLINES
_BIG: Final = 1e308


def _put(file: str, slide: str, name: str, content: Any, *names: str, **more: Any) -> Callable[[Random], Bad]:
    """Make a case of another content of an annotation: text, bytes, or what makes it."""

    def make(folder: Path, rng: Random) -> list[str]:
        made = content(rng) if callable(content) else content
        if isinstance(made, dict | list):
            made = json.dumps(made)
        (folder / file).write_bytes(made.encode() if isinstance(made, str) else made)
        return ["check", "slides.yaml"]

    return given(f"{file}: {name}", make, file, slide, *names, base="slides", **more)


def _json(name: str, content: Any, *names: str, **more: Any) -> Callable[[Random], Bad]:
    return _put(_QUPATH, SLIDES[0], name, content, *names, **more)


def _xml(name: str, content: Any, *names: str, **more: Any) -> Callable[[Random], Bad]:
    return _put(_ASAP, SLIDES[1], name, content, *names, **more)


def _half(dx: float = 0, dy: float = 0, scale: float = 1) -> list[list[float]]:
    return [[x * scale + dx, y * scale + dy] for x, y in HALF]


def _odd(value: object) -> Callable[[Random], Any]:
    """Replace one coordinate, drawn, by something else."""

    def make(rng: Random) -> str:
        ring: list[list[Any]] = [list(point) for point in HALF]
        ring[rng.randrange(1, 4)][rng.randrange(2)] = value
        # JSON has no NaN and no infinity; Python writes them all the same, as other programs do
        return json.dumps(geojson([feature([ring])]))

    return make


def _xml_odd(value: object) -> Callable[[Random], Any]:
    def make(rng: Random) -> str:
        points = [list(point) for point in HALF[:-1]]
        points[rng.randrange(1, 4)][rng.randrange(2)] = value
        return asap([annotation(points)])

    return make


def _cut(text: str) -> Callable[[Random], str]:
    return lambda rng: text[: rng.randrange(20, len(text) - 5)]


_SOUND_JSON: Final = json.dumps(geojson([feature()]))
_SOUND_XML: Final = asap([annotation()])
_NEAR: Final = {"goes_on": True}

_COORDINATES: Final = (
    *(
        _json(f"a coordinate that is {value!r}"[:60], _odd(value))
        for value in ("12", "left", None, True, [1], {}, math.nan, math.inf, _BIG, -_BIG, 1e300, "1e5", 10**400)
    ),
    _json(
        "huge and finite all over",
        geojson([feature([[[x * _BIG, y * _BIG] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))]])]),
        **_NEAR,
    ),
    _json("far outside", geojson([feature([_half(1e6, 1e6)])])),
    _json("at negative coordinates", geojson([feature([_half(-1e4, -1e4)])])),
    _json("in µm of another slide", geojson([feature([_half(SLIDE_PX * 3, 0)])])),
    _json("one number a position", geojson([feature([[[1], [2], [3], [1]]])])),
    _json("positions that are no lists", geojson([feature([[1, 2, 3, 4]])])),
    _json("rings of other lengths", geojson([feature([[[0, 0], [1, 2, 3], [5], [0, 0]]])])),
    _json("a point as a ring", geojson([feature([[[5, 5]]])])),
    _json("a line as a ring", geojson([feature([[[0, 0], [100, 0], [200, 0], [0, 0]]])])),
    _json("an empty ring", geojson([feature([[]])])),
    _json("no ring", geojson([feature([])])),
    _json("a ring too few", geojson([feature(HALF)])),
    _json("a ring too many", geojson([feature([[HALF]])])),
    _json("coordinates as text", geojson([feature("0 0, 200 0, 200 400")])),
    _json("smaller than a pixel", geojson([feature([_half(10, 10, 1e-6)])])),
    _json("nested 5,000 deep", '{"type":"FeatureCollection","features":' + "[" * 5000 + "]" * 5000 + "}"),
    _json("coordinates nested 5,000 deep", _SOUND_JSON.replace(json.dumps([HALF]), "[" * 5000 + "]" * 5000)),
    _json("nested 200,000 deep", "[" * 200_000),
    *(
        _xml(f"a coordinate that is {value!r}", _xml_odd(value))
        for value in ("left", "", "1,5", "nan", "inf", "1e308", "-1e308", "1e300", "0x10", "1 2", "\u0661x")
    ),
    _xml("far outside", asap([annotation(_half(1e6, 1e6)[:-1])])),
    _xml("no point", asap([annotation([])])),
    _xml("one point", asap([annotation([[5, 5]])])),
    _xml("a line", asap([annotation([[0, 0], [100, 100], [200, 200]])])),
    _xml("orders that repeat", _SOUND_XML.replace('Order="2"', 'Order="1"')),
    _xml("orders that are missing", _SOUND_XML.replace("Order=", "Ordre=")),
    _xml("no X", _SOUND_XML.replace("X=", "x=")),
)
_MEANINGS: Final = (
    *(
        _json(f"class {name!r}", geojson([feature(name=name)]), str(name))
        for name in ("Turmor", "", None, "Stroma", 5, {"a": 1}, ["Tumor?"], "x" * 1000, "tumor\0", "Tumor_old")
    ),
    _json("classes by halves", geojson([feature(name="Turmor"), feature([_half(50, 50, 0.1)])]), "Turmor", **_NEAR),
    _json("no feature", geojson([])),
    _json("the exclusion alone", geojson([feature(name="Exclude")])),
    _json("all of the tumour excluded", geojson([feature(), feature(name="Exclude")])),
    *(
        _json(f"an object of {kind!r}", geojson([feature(objectType=kind)]), kind)
        for kind in ("detection", "cell", "tile", "tma_core", "root", "Detection", "superpixel", "5")
    ),
    *(
        _json(f"an object of {kind!r}, older QuPath", geojson([feature(objectType=None, object_type=kind)]))
        for kind in ("tile", "cell", "detection", "annotation_x")
    ),
    _json("an object of a Java class", geojson([{**feature(objectType=None), "id": "PathTileObject"}])),
    _json("children, not features", geojson([{**feature(name=""), "children": [feature()]}])),
    _json("the class without its classification", geojson([feature(classification="Tumor ?")])),
    *(
        _json(f"a {kind}", geojson([feature(at, kind)]))
        for kind, at in (
            ("Point", [5, 5]),
            ("LineString", HALF),
            ("MultiPoint", HALF),
            ("Polygone", None),
            ("", None),
            ("Circle", [1, 2]),
        )
    ),
    _json("a geometry collection", geojson([feature([], "GeometryCollection")])),
    _json("no geometry", geojson([{**feature(), "geometry": None}])),
    _json("a geometry that is text", geojson([{**feature(), "geometry": "Polygon"}])),
    _json("no properties", geojson([{**feature(), "properties": None}])),
    _json("properties that are a list", geojson([{**feature(), "properties": []}])),
    *(
        _xml(f"group {name!r}", asap([annotation(group=name)]), name)
        for name in ("Turmor", "", "Stroma", "tumor?", "_9", "x" * 1000, "None")
    ),
    *(_xml(f"type {kind!r}", asap([annotation(kind=kind)])) for kind in ("Dot", "PointSet", "Measurement")),
    _xml("no annotation", asap([])),
    _xml("the exclusion alone", asap([annotation(group="_2")])),
    _xml(
        "groups in a circle",
        asap([annotation(group="a")], '<Group Name="a" PartOfGroup="b"/><Group Name="b" PartOfGroup="a"/>'),
        "'a'",
    ),
    _xml("no name of a group", _SOUND_XML.replace(' PartOfGroup="Tumor"', "")),
)
_FORMS: Final = (
    _json("cut", _cut(_SOUND_JSON)),
    _json("empty", ""),
    _json("white space", "  \n "),
    _json("null", "null"),
    _json("a number", "5"),
    _json("a text", '"Tumor"'),
    _json("text", "my tumour is on the left"),
    _json("a geometry alone", feature()["geometry"]),
    _json("features that are a feature", geojson(feature())),
    _json("features that are text", geojson("none")),
    _json("features that are numbers", geojson([1, 2])),
    _json("features that are nothing", geojson([None])),
    _json("a collection of another word", {"type": "Collection", "features": [feature()]}),
    _json("a comma too many", _SOUND_JSON[:-2] + ",]}"),
    _json("two documents", _SOUND_JSON + _SOUND_JSON),
    _json("a line each", "\n".join(json.dumps(feature()) for _ in range(2))),
    _json("single quotes", _SOUND_JSON.replace('"', "'")),
    _json("UTF-16", _SOUND_JSON.encode("utf-16"), as_sound=True),
    _json("latin-1", _SOUND_JSON.replace("Tumor", "Tümör").encode("latin-1")),
    _json("bytes that are no text", bytes(range(128, 256)) * 10),
    _json("compressed", b"\x1f\x8b\x08\x00" + bytes(200)),
    _json("XML under the name of JSON", _SOUND_XML, as_sound=True),
    _json("a key twice", _SOUND_JSON.replace('"features": [', '"features": [], "features": [1, ')),
    _json("a number of 5,000 digits", _SOUND_JSON.replace("200", "9" * 5000)),
    _json("a name of a million letters", geojson([feature(name="q" * 1_000_000)]), "qqqq"),
    _xml("cut", _cut(_SOUND_XML)),
    _xml("empty", ""),
    _xml("another root", _SOUND_XML.replace("ASAP_Annotations", "Annotations")),
    _xml(
        "of Aperio's ImageScope",
        '<Annotations MicronsPerPixel="0.5"><Annotation><Regions><Region><Vertices>'
        '<Vertex X="0" Y="0"/></Vertices></Region></Regions></Annotation></Annotations>',
    ),
    _xml("two roots", _SOUND_XML + "<a/>"),
    _xml("an entity that is not there", _SOUND_XML.replace('Name="left half"', 'Name="&nobody;"')),
    _xml(
        "a bomb of entities",
        '<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a "lol">'
        + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
        + "]><ASAP_Annotations>&j;</ASAP_Annotations>",
    ),
    _xml(
        "an entity of a file",
        '<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
        "<ASAP_Annotations>&a;</ASAP_Annotations>",
    ),
    _xml("a document type of the web", '<!DOCTYPE z SYSTEM "http://127.0.0.1:9/z.dtd"><ASAP_Annotations/>'),
    _xml("UTF-16 that says UTF-8", _SOUND_XML.encode("utf-16"), as_sound=True),
    _xml("latin-1 that says UTF-8", _SOUND_XML.replace("left half", "für").encode("latin-1")),
    _xml("an unknown encoding", _SOUND_XML.replace('version="1.0"', 'version="1.0" encoding="klingon"')),
    _xml("a NUL", _SOUND_XML.replace("left half", "left\0half")),
    _xml("nested 100,000 deep", "<ASAP_Annotations>" + "<a>" * 100_000 + "</a>" * 100_000 + "</ASAP_Annotations>"),
    _xml("JSON under the name of XML", _SOUND_JSON, as_sound=True),
    _xml("a page of a browser", "<html><body>404</body></html>"),
    _xml("an attribute twice", _SOUND_XML.replace('Type="Polygon"', 'Type="Polygon" Type="Spline"')),
)


def _instead(name: str, put: Callable[[Path], object]) -> Callable[[Random], Bad]:
    def make(folder: Path, rng: Random) -> list[str]:
        file = rng.choice(OUTLINES)
        (folder / file).unlink()
        put(folder / file)
        return ["check", "slides.yaml"]

    return given(f"an annotation that is {name}", make, *OUTLINES, *SLIDES[:2], base="slides")


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


_INSTEAD: Final = (
    _instead("a folder", lambda path: path.mkdir()),
    _instead("a pipe that nobody writes to", os.mkfifo),
    _instead("a link to itself", lambda path: path.symlink_to(path.name)),
    _instead("a link to a device without end", lambda path: path.symlink_to("/dev/zero")),
    _instead("not there", lambda _: None),
    _instead("three gigabytes of nothing", _sparse),
)

AREA: Final = Area("annotations", (_COORDINATES, _MEANINGS, [*_FORMS, *_INSTEAD]))
