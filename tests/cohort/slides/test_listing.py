"""The CSV of slides: what it may hold, and what is refused with its line."""

import pytest

from saliency_stats.cohort.slides.listing import read_slide_list
from saliency_stats.errors import CohortError, StudyError


def listed(tmp_path, text, override=None):
    path = tmp_path / "slides.csv"
    path.write_text(text, encoding="utf-8")
    return read_slide_list(path, override or {})


def test_what_is_left_out_is_filled_in(tmp_path):
    slides, digests = listed(tmp_path, "path\nb/two.svs\na/one.tif\n")
    assert [slide.slide_id for slide in slides] == ["one", "two"]
    assert slides[0].path == tmp_path / "a" / "one.tif"
    assert (slides[0].annotation, slides[0].patient_id, slides[0].split, slides[0].mpp) == (None, "", "", None)
    assert list(digests) == ["slides.csv"]


def test_the_lines_own_pixel_size_comes_first_then_the_first_pattern_that_fits(tmp_path):
    text = "path,mpp\nscan_1.tif,0.3\nscan_2.tif,\nother.tif,\n"
    slides, _ = listed(tmp_path, text, {"scan_*": 0.25, "*": 0.5})
    assert {slide.slide_id: slide.mpp for slide in slides} == {"scan_1": 0.3, "scan_2": 0.25, "other": 0.5}


def test_two_slides_of_one_patient_in_different_folders(tmp_path):
    slides, _ = listed(tmp_path, "path,slide_id,patient_id\na/s.svs,a,p1\nb/s.svs,b,p1\n")
    assert [(slide.slide_id, slide.patient_id) for slide in slides] == [("a", "p1"), ("b", "p1")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na.svs\n", "column 'path' is missing; found file"),
        ("path,anotation\na.svs,\n", "column 'anotation' is unknown"),
        ("path\n", "lists no slide"),
        ("path,slide_id\n,x\n", "line 2: the path is empty"),
        ("path,split\na.svs,training\n", "line 2: split is 'training'"),
        ("path,split\na.svs,train\nb.svs,\n", "line 3: no split, while other slides have one"),
        ("path,label\na.svs,tumour\n", "label is 'tumour'"),
        ("path,label\na.svs,malignant\n", "'a' is malignant and has no annotation"),
        ("path,mpp\na.svs,0.25um\n", "mpp is '0.25um' .slide 'a'."),
        ("path,mpp\na.svs,-1\n", "mpp is '-1'"),
        ("path\nx/a.svs\ny/a.svs\n", "slide 'a' is listed twice"),
    ],
)
def test_a_wrong_list_is_named(tmp_path, text, message):
    with pytest.raises(CohortError, match=message):
        listed(tmp_path, text)


def test_no_list(tmp_path):
    with pytest.raises(StudyError, match="there is no file"):
        read_slide_list(tmp_path / "none.csv", {})
