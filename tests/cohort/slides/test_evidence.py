"""Whether an annotation fits its slide: labels, tissue, and from where outlines count."""

from pathlib import Path

import numpy as np
import pytest
from shapely import MultiPolygon, Polygon, affinity, box

from saliency_stats.classes import Classes
from saliency_stats.cohort.slides.annotation import Annotation, AnnotationFile
from saliency_stats.cohort.slides.evidence import _points, check_label, check_on_tissue, origin_of, share_on_tissue
from saliency_stats.cohort.slides.geometry import SlideInfo
from saliency_stats.cohort.slides.outlines import Groups
from saliency_stats.cohort.slides.overview import TissueMap
from saliency_stats.errors import SlideError

#: A slide of 1000 x 800 µm, tissue in its right half.
MASK = np.zeros((80, 100), dtype=bool)
MASK[:, 50:] = True
TISSUE = TissueMap(MASK, 10.0, 10.0)
#: The same slide with tissue at x 680 to 920, y 280 to 420 µm alone.
_SPOT = np.zeros((80, 100), dtype=bool)
_SPOT[28:42, 68:92] = True
SPOT = TissueMap(_SPOT, 10.0, 10.0)


def info(bounds=(0, 0), mpp=0.5, downsamples=(1.0,)):
    return SlideInfo("s7", Path("x.scn"), "leica", 2000, 1600, mpp, mpp, downsamples, bounds)


def annotated(area, drawn=None):
    return Annotation(area, (), Path("outlines.geojson"), drawn)


def file(*counts):
    one = AnnotationFile(Path("outlines.geojson"), "s7", Groups())
    for names, meaning in counts:
        one.notes.found(names, meaning)
    return one


# --- from where outlines count ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "origin", "expected"),
    [
        ("geojson", "auto", (300, 400)),
        ("asap", "auto", (0, 0)),
        ("geojson", "slide", (0, 0)),
        ("asap", "slide", (0, 0)),
        ("geojson", "bounds", (300, 400)),
        ("asap", "bounds", (300, 400)),
    ],
)
def test_each_program_counts_from_its_own_corner_unless_the_study_says_otherwise(kind, origin, expected):
    assert origin_of(kind, info((300, 400)), origin) == expected
    assert origin_of(kind, info(), origin) == (0, 0)


# --- labels -----------------------------------------------------------------------------------------

TUMOUR, NONE = annotated(box(0, 0, 1000, 500)), annotated(Polygon())


@pytest.mark.parametrize(
    ("label", "annotation", "without"),
    [
        ("", TUMOUR, "exclude"),
        ("malignant", TUMOUR, "exclude"),
        ("benign", NONE, "exclude"),
        ("benign", NONE, "benign"),
        ("", NONE, "benign"),
    ],
)
def test_what_agrees_is_taken(label, annotation, without):
    check_label(label, annotation, file(), without)


@pytest.mark.parametrize(
    ("label", "annotation", "without", "words"),
    [
        ("benign", TUMOUR, "exclude", ("0.5 mm² of tumour", "label benign", "{ignore: […]}")),
        ("benign", TUMOUR, "benign", ("0.5 mm² of tumour",)),
        ("malignant", NONE, "exclude", ("holds no tumour, and the list says label malignant", "{tumour: […]}")),
        ("malignant", NONE, "benign", ("holds no tumour",)),
        ("", NONE, "exclude", ("no evidence", "{tumour: […]}", "cohort.annotation_without_tumour: benign")),
    ],
)
def test_what_does_not_agree_is_refused_with_the_classes_found(label, annotation, without, words):
    with pytest.raises(SlideError) as error:
        check_label(label, annotation, file((["Invasive carcinoma"], "without meaning")), without)
    for word in ("slide 's7': annotation outlines.geojson", "'Invasive carcinoma' (1 × without meaning)", *words):
        assert word in str(error.value)


def test_labels_are_called_as_the_study_calls_them():
    classes = Classes.stated({"healthy": ["x"], "Krebs": ["y"]})
    for label, annotation, words in (
        ("benign", TUMOUR, "the list says label healthy"),
        ("malignant", NONE, "the list says label Krebs"),
        ("", NONE, "no evidence that the slide is healthy"),
        ("", NONE, "that it is healthy: label healthy in the list, or cohort.annotation_without_tumour: benign"),
    ):
        with pytest.raises(SlideError, match=words):
            check_label(label, annotation, file(), "exclude", classes)


# --- tissue -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("area", "share"),
    [
        (box(500, 0, 1000, 800), 1),
        (box(0, 0, 500, 800), 0),
        (box(400, 100, 600, 300), 0.5),
        (box(450, 100, 650, 300), 0.75),
        # smaller than a pixel of the overview, and thinner than any grid
        (box(501, 1, 502, 2), 1),
        (Polygon([(501, 1), (999, 799), (999.001, 799)]), 1),
        # what lies beyond the slide is no tissue
        (box(900, 0, 1100, 800), 0.5),
        (box(5000, 0, 5100, 800), 0),
        (MultiPolygon([box(0, 0, 10, 10), box(600, 0, 630, 10)]), 0.75),
    ],
)
def test_the_share_on_tissue(area, share):
    assert share_on_tissue(area, TISSUE) == pytest.approx(share, abs=0.01)


def test_points_fill_the_longer_side_whatever_the_shorter_one_is():
    for area, axis in ((box(0, 0, 1280, 10), 0), (box(0, 0, 10, 1280), 1)):
        points = _points(area)
        assert len(points) == 128
        np.testing.assert_allclose(points[0], (5, 5))
        np.testing.assert_allclose(np.diff(points[:, axis]), 10)
    assert len(_points(box(0, 0, 1280, 0.001))) == 1


def test_the_last_row_and_column_count():
    mask = np.zeros((4, 4), dtype=bool)
    mask[3, 3] = True
    assert share_on_tissue(box(30, 30, 40, 40), TissueMap(mask, 10.0, 10.0)) == 1
    assert share_on_tissue(box(20, 20, 40, 40), TissueMap(mask, 10.0, 10.0)) == pytest.approx(0.25, abs=0.01)


def test_pixels_of_an_overview_need_not_be_squares():
    tissue = TissueMap(MASK, 10.0, 5.0)
    assert share_on_tissue(box(200, 0, 300, 700), tissue) == pytest.approx(0.5, abs=0.01)
    assert share_on_tissue(box(300, 700, 450, 790), tissue) == 1


@pytest.mark.parametrize(("left", "noted"), [(401, False), (380, True), (325, True)])
def test_tumour_that_is_half_on_glass_is_noted(left, noted):
    notes = check_on_tissue(annotated(box(left, 100, left + 200, 200)), "asap", info(), TISSUE, "auto")
    assert len(notes) == noted
    if noted:
        assert notes[0].startswith(f"only {(left - 300) / 2:.0f}% of the annotated tumour lies on tissue")


def test_tumour_where_there_is_no_tissue_is_refused():
    with pytest.raises(SlideError, match=r"slide 's7': only 5% .*; expected at least 10%.*\(outlines.geojson\)"):
        check_on_tissue(annotated(box(310, 100, 510, 200)), "asap", info(), TISSUE, "auto")
    assert check_on_tissue(NONE, "asap", info(), TISSUE, "auto") == ()


def test_what_lies_beyond_the_slide_counts_too():
    inside = box(900, 0, 1000, 100)
    assert check_on_tissue(annotated(inside), "asap", info(), TISSUE, "auto") == ()
    with pytest.raises(SlideError, match="only 5%"):
        check_on_tissue(annotated(inside, box(900, 0, 2900, 100)), "asap", info(), TISSUE, "auto")


def test_a_frame_around_small_pieces_is_noted_and_used():
    small = np.zeros((80, 100), dtype=bool)
    small[10:14, 10:60] = True
    notes = check_on_tissue(annotated(box(50, 50, 950, 750)), "asap", info(), TissueMap(small, 10.0, 10.0), "auto")
    assert notes == ("only 3% of the annotated tumour lies on tissue",)
    # it goes round 52 % and 48 % of the tissue
    for left, used in ((340, True), (360, False)):
        area = annotated(box(left, 50, 950, 750))
        if used:
            assert check_on_tissue(area, "asap", info(), TissueMap(small, 10.0, 10.0), "auto")
        else:
            with pytest.raises(SlideError, match="only 2%"):
                check_on_tissue(area, "asap", info(), TissueMap(small, 10.0, 10.0), "auto")


@pytest.mark.parametrize(
    ("kind", "origin", "shift", "hint"),
    [("geojson", "auto", 600, "slide"), ("asap", "auto", -600, "bounds"), ("geojson", "slide", -600, "bounds")],
)
def test_another_origin_that_would_do_is_named(kind, origin, shift, hint):
    # drawn on tissue, read 600 µm beside it
    area = affinity.translate(box(700, 300, 800, 400), shift)
    with pytest.raises(SlideError, match=f"cohort.annotation_origin: {hint} would put 100% of it on tissue"):
        check_on_tissue(annotated(area), kind, info((0, 1200)), TISSUE, origin)


def test_other_units_that_would_do_are_named():
    drawn = box(700, 300, 900, 400)
    for factor, words in ((0.5, "reading its coordinates as µm"), (0.25, "pixels of level 1 (1/4)")):
        area = affinity.scale(drawn, factor, factor, origin=(0, 0))
        with pytest.raises(SlideError) as error:
            check_on_tissue(annotated(area), "asap", info(downsamples=(1.0, 4.0)), TISSUE, "auto")
        assert f"{words} would put 100% of it on tissue" in str(error.value)
    # about the corner from which the file counts: at x 200, y 100 µm
    area = affinity.scale(box(700, 300, 900, 400), 0.25, 0.25, origin=(200, 100))
    with pytest.raises(SlideError, match=r"pixels of level 1 \(1/4\) would put 100%"):
        check_on_tissue(annotated(area), "geojson", info((200, 400), downsamples=(1.0, 4.0)), SPOT, "auto")
    with pytest.raises(SlideError) as error:
        check_on_tissue(annotated(box(10, 10, 20, 20)), "asap", info(), TISSUE, "auto")
    assert "would put" not in str(error.value)
