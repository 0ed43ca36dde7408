"""Files of outlines as ASAP and QuPath write them, and how they are read back in tests."""

import json

import pytest

from saliency_stats.cohort.slides.annotation import read_annotation
from saliency_stats.errors import SlideError


def _read(path, mpp_y=1.0, mpp_x=1.0, **kwargs):
    return read_annotation(path, mpp_y, mpp_x, slide_id="s7", **kwargs)


@pytest.fixture(scope="session")
def read():
    return _read


@pytest.fixture(scope="session")
def refused():
    """The message with which a file is refused, after it was found to hold the given words."""

    def message_of(path, *words, **kwargs):
        with pytest.raises(SlideError) as caught:
            _read(path, **kwargs)
        message = str(caught.value)
        for word in ("'s7'", str(path), *words):
            assert word in message, f"{word!r} is not in {message!r}"
        return message

    return message_of


@pytest.fixture(scope="session")
def asap():
    """Write XML as ASAP does, from (group, points) or (group, points, type)."""

    def write(folder, *annotations, groups="", name="a.xml"):
        text = '<?xml version="1.0"?>\n<ASAP_Annotations>\n<Annotations>\n'
        for number, (group, points, *kind) in enumerate(annotations):
            what = f'Type="{(kind or ["Polygon"])[0]}" PartOfGroup="{group}"'
            text += f'<Annotation Name="A{number}" {what} Color="#F4FA58"><Coordinates>'
            text += "".join(f'<Coordinate Order="{order}" X="{x}" Y="{y}" />' for order, (x, y) in enumerate(points))
            text += "</Coordinates></Annotation>\n"
        path = folder / name
        path.write_text(
            f"{text}</Annotations><AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>", encoding="utf-8"
        )
        return path

    return write


@pytest.fixture(scope="session")
def feature():
    """A feature as QuPath writes it; ``points`` are rings of a polygon, or the coordinates of another geometry."""

    def make(points, classification="Tumor", kind="Polygon", **properties):
        if isinstance(classification, str):
            classification = {"name": classification, "color": [200, 0, 0]}
        rings = [[[*point] for point in [*ring, ring[0]]] for ring in points] if kind == "Polygon" else points
        return {
            "type": "Feature",
            "id": "c0ffee",
            "geometry": {"type": kind, "coordinates": rings},
            "properties": {"objectType": "annotation", "classification": classification, **properties},
        }

    return make


@pytest.fixture(scope="session")
def geojson():
    """Write a feature collection."""

    def write(folder, *features, name="a.geojson"):
        path = folder / name
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def text_file():
    def write(folder, text, name="a.xml"):
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
