"""One slide looked at: all that is wrong with it is told, and nothing that goes wrong is raised."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from saliency_stats.cohort.slides import looking
from saliency_stats.cohort.slides.listing import ListedSlide
from saliency_stats.cohort.slides.looking import Looking, look
from saliency_stats.cohort.slides.outlines import Groups
from saliency_stats.cohort.slides.pyramid import write_pyramid
from saliency_stats.cohort.slides.tiling import TilingParameters

TILING = TilingParameters(size_px=32, magnifications=(20.0,), per_slide=12)
LEFT = [[0, 0], [128, 0], [128, 256], [0, 256], [0, 0]]
#: Leica's file of a 128 µm square at x 200, y 150 µm of a plane of 400 µm: nothing around it was scanned.
SCN = """<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01" uuid="urn:uuid:0">\
<collection name="c" uuid="urn:uuid:1" sizeX="400000" sizeY="400000" barcode="">{}</collection></scn>"""
IMAGE = """<image name="i" uuid="urn:uuid:{ifd}"><creationDate>2020-01-01T00:00:00.00Z</creationDate>\
<device model="M" version="1"/><pixels sizeX="256" sizeY="256"><dimension sizeX="256" sizeY="256" r="0" ifd="{ifd}"/>\
</pixels><view sizeX="{size}" sizeY="{size}" offsetX="{x}" offsetY="{y}"/><scanSettings><objectiveSettings>\
<objective>20</objective></objectiveSettings><illuminationSettings><numericalAperture>0.5</numericalAperture>\
<illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings></image>"""


def tissue(seed=0):
    """256 px of pink noise, all of it tissue."""
    noise = np.random.default_rng(seed).integers(-20, 20, (256, 256, 1))
    return (np.array([200, 110, 170]) + noise).astype(np.uint8)


def outlines(folder, ring=LEFT, name="Tumor", file="half.geojson"):
    one = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    one["properties"] = {"objectType": "annotation", "classification": {"name": name}}
    (folder / file).write_text(json.dumps({"type": "FeatureCollection", "features": [one]}), encoding="utf-8")
    return folder / file


def asap_outlines(folder, ring):
    points = "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>' for n, (x, y) in enumerate(ring[:-1]))
    (folder / "half.xml").write_text(
        f'<ASAP_Annotations><Annotation PartOfGroup="_0"><Coordinates>{points}</Coordinates></Annotation>'
        "</ASAP_Annotations>",
        encoding="utf-8",
    )
    return folder / "half.xml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """a.tif is all tissue; a.scn is the same, scanned within a larger plane."""
    path = tmp_path_factory.mktemp("slides")
    write_pyramid(path / "a.tif", lambda *_: tissue(), (256, 256), 0.5)
    leica(path / "a.scn", 150_000)
    leica(path / "top.scn", 0)
    return path


def leica(path, y_nm):
    images = IMAGE.format(ifd=0, size=400_000, x=0, y=0) + IMAGE.format(ifd=1, size=128_000, x=200_000, y=y_nm)
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for description in (SCN.format(images).replace("20</objective>", "0.6</objective>", 1), None):
            file.write(
                tissue(),
                tile=(256, 256),
                photometric="rgb",
                compression="zlib",
                description=description,
                metadata=None,
                resolution=(2e4, 2e4),
                resolutionunit="CENTIMETER",
            )


def seen(path, annotation=None, label="", tiling=TILING, mpp=None, **how):
    listed = ListedSlide(path, annotation, "A", "", "", mpp, label)
    return look(listed, Looking(tiling, how.pop("names", Groups()), **how), np.random.default_rng(0))


def test_half_a_slide_of_tumour_is_half_of_the_places(folder, tmp_path):
    found = seen(folder / "a.tif", outlines(tmp_path))
    assert (found.row["status"], found.row["n_benign"], found.row["n_malignant"]) == ("used", 6, 6)
    assert found.row["notes"] == "classes: 'Tumor' (1 × tumour)"
    assert found.slide is not None
    assert len(found.places) == 12


def test_outlines_of_qupath_count_from_what_was_scanned(folder, tmp_path):
    found = seen(folder / "a.scn", outlines(tmp_path))
    assert (found.row["status"], found.row["n_benign"], found.row["n_malignant"]) == ("used", 6, 6)
    assert "counted from the corner of what was scanned, x 400, y 300 px" in found.row["notes"]
    assert {place["label"] for place in found.places if place["x_um"] < 200 + 64 - 8} == {"malignant"}
    assert {place["label"] for place in found.places if place["x_um"] > 200 + 64 + 8} == {"benign"}


def test_bounds_at_the_upper_border_count_too(folder, tmp_path):
    found = seen(folder / "top.scn", outlines(tmp_path))
    assert found.row["n_malignant"] == 6
    assert "x 400, y 0 px" in found.row["notes"]


@pytest.mark.parametrize(("write", "origin"), [(asap_outlines, "auto"), (outlines, "slide")])
def test_outlines_of_the_plane_count_from_its_corner(folder, tmp_path, write, origin):
    found = seen(folder / "a.scn", write(tmp_path, [[x + 400, y + 300] for x, y in LEFT]), origin=origin)
    assert (found.row["status"], found.row["n_benign"], found.row["n_malignant"]) == ("used", 6, 6)
    assert "counted from" not in found.row["notes"]


@pytest.mark.parametrize(("origin", "write"), [("slide", outlines), ("auto", asap_outlines)])
def test_the_wrong_corner_is_noticed(folder, tmp_path, origin, write):
    found = seen(folder / "a.scn", write(tmp_path, LEFT), origin=origin)
    assert "cohort.annotation_origin: bounds would put 100% of it on tissue" in found.row["status"]
    assert (found.places, len(found.reasons)) == ([], 1)
    assert found.slide._handle is None
    assert found.picture is not None


def test_an_unknown_class_excludes_by_name_unless_the_study_says_what_it_means(folder, tmp_path):
    path = outlines(tmp_path, name="Invasive carcinoma")
    for label in ("", "malignant"):
        status = seen(folder / "a.tif", path, label).row["status"]
        assert status.startswith("excluded: slide 'A': annotation half.geojson holds no tumour")
        assert "'Invasive carcinoma' (1 × without meaning)" in status
        assert "cohort.annotation_groups" in status
    assert seen(folder / "a.tif", path, names=Groups(("invasive carcinoma",))).row["n_malignant"] == 6
    for more in ({"label": "benign"}, {"without_tumour": "benign"}):
        found = seen(folder / "a.tif", path, **more)
        assert (found.row["status"], found.row["n_malignant"]) == ("used", 0)
        assert "'Invasive carcinoma' (1 × without meaning)" in found.row["notes"]


def test_label_and_annotation_must_agree(folder, tmp_path):
    assert "says label benign" in seen(folder / "a.tif", outlines(tmp_path), "benign").row["status"]
    assert seen(folder / "a.tif", outlines(tmp_path), "malignant").row["status"] == "used"
    assert seen(folder / "a.tif", None, "benign").row["status"] == "used"
    assert seen(folder / "a.tif").row == seen(folder / "a.tif", None, "benign").row


def test_tumour_smaller_than_a_field_is_noted(folder, tmp_path):
    found = seen(folder / "a.tif", outlines(tmp_path, [[0, 0], [9, 0], [9, 9], [0, 9]]))
    assert found.row["status"] == "used"
    assert "no place with tissue holds 75% of it (cohort.min_tumour)" in found.row["notes"]


def test_all_that_is_wrong_is_told(folder, tmp_path):
    path = outlines(tmp_path)
    path.write_text("{", encoding="utf-8")
    found = seen(tmp_path / "none.tif", path)
    assert len(found.reasons) == 2
    assert "not readable JSON" in found.row["status"]
    assert "there is no file" in found.row["status"]
    fine = TilingParameters(size_px=32, magnifications=(20.0, 40.0), per_slide=4)
    found = seen(folder / "a.tif", outlines(tmp_path), tiling=fine)
    assert "40× needs 0.25 µm/px" in found.row["status"]
    assert found.row["notes"] == "classes: 'Tumor' (1 × tumour)"
    assert found.row["mpp"] == 0.5


def test_an_absurd_pixel_size_is_that_slides_reason(folder):
    assert "given as 500 (column mpp" in seen(folder / "a.tif", mpp=500.0).row["status"]


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("deep"), OverflowError("far"), KeyError("x")])
@pytest.mark.parametrize("where", ["sample_locations", "check_on_tissue"])
def test_what_nobody_foresaw_is_a_reason_too(folder, tmp_path, monkeypatch, error, where):
    def fail(*_):
        raise error

    monkeypatch.setattr(looking, where, fail)
    found = seen(folder / "a.tif", outlines(tmp_path))
    assert f"slide 'A' (a.tif): unforeseen {type(error).__name__} ({error})" in found.row["status"]
    assert found.places == []


def test_an_interruption_is_no_reason(folder, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(looking, "sample_locations", stop)
    with pytest.raises(KeyboardInterrupt):
        seen(folder / "a.tif")


@pytest.mark.parametrize("name", ["a\0b.tif", "x" * 5000, "."])
def test_paths_that_no_system_takes_are_a_reason(folder, name):
    for found in (seen(Path(folder, name)), seen(folder / "a.tif", Path(folder, name))):
        assert found.row["status"].startswith("excluded: slide 'A'")
        assert "unforeseen" not in found.row["status"]
