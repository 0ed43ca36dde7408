"""The CSV of slides: what it may hold, and what is refused with its line."""

import pytest

from saliency_stats.cohort.slides.listing import read_slide_list
from saliency_stats.errors import CohortError, StudyError


def listed(tmp_path, text, override=None, root=None):
    path = tmp_path / "slides.csv"
    path.write_text(text, encoding="utf-8")
    return read_slide_list(path, override or {}, root)


def refused(tmp_path, text, *words, **kwargs):
    with pytest.raises(CohortError) as caught:
        listed(tmp_path, text, **kwargs)
    message = str(caught.value)
    assert "slides.csv" in message
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"
    return message


# --- accepted ---------------------------------------------------------------------------------------


def test_what_is_left_out_is_filled_in(tmp_path):
    slides, digests = listed(tmp_path, "path\nb/two.svs\na/one.tif\n")
    assert [slide.slide_id for slide in slides] == ["one", "two"]
    assert slides[0].path == tmp_path / "a" / "one.tif"
    assert (slides[0].annotation, slides[0].patient_id, slides[0].split, slides[0].mpp) == (None, "", "", None)
    assert slides[0].label == ""
    assert list(digests) == ["slides.csv"]


def test_what_is_listed_is_kept(tmp_path):
    text = "path,slide_id,patient_id,annotation,label,mpp,split\na.svs,007,1e5,x.xml,malignant,0.3,train\n"
    (slide,), _ = listed(tmp_path, text)
    assert (slide.slide_id, slide.patient_id, slide.label, slide.mpp, slide.split) == (
        *("007", "1e5", "malignant", 0.3, "train"),
    )
    assert slide.annotation == tmp_path / "x.xml"


def test_backslashes_separate_folders_in_both_columns(tmp_path):
    (slide,), _ = listed(tmp_path, "path,annotation\nsub\\a.tif,sub\\half.geojson\n")
    assert slide.path == tmp_path / "sub" / "a.tif"
    assert slide.annotation == tmp_path / "sub" / "half.geojson"
    assert slide.slide_id == "a"


def test_the_lines_own_pixel_size_comes_first_then_the_first_pattern_that_fits(tmp_path):
    text = "path,mpp\nscan_1.tif,0.3\nscan_2.tif,\nother.tif,\n"
    slides, _ = listed(tmp_path, text, {"scan_*": 0.25, "*": 0.5})
    assert {slide.slide_id: slide.mpp for slide in slides} == {"scan_1": 0.3, "scan_2": 0.25, "other": 0.5}


def test_two_slides_of_one_patient_in_different_folders(tmp_path):
    slides, _ = listed(tmp_path, "path,slide_id,patient_id\na/s.svs,a,p1\nb/s.svs,b,p1\n")
    assert [(slide.slide_id, slide.patient_id) for slide in slides] == [("a", "p1"), ("b", "p1")]


def test_an_annotation_may_be_of_several_slides(tmp_path):
    (tmp_path / "half.geojson").write_text("{}", encoding="utf-8")
    slides, _ = listed(tmp_path, "path,annotation\na.svs,half.geojson\nb.svs,half.geojson\n")
    assert len(slides) == 2


def test_the_root_may_be_above_the_list(tmp_path):
    (tmp_path / "lists").mkdir()
    text = f"path,annotation\nslides/a.svs,{tmp_path}/annotations/a.xml\n"
    (slide,), _ = listed(tmp_path / "lists", text, root=tmp_path)
    assert slide.path == tmp_path / "slides" / "a.svs"
    assert slide.annotation == tmp_path / "annotations" / "a.xml"
    refused(tmp_path / "lists", text, "line 2: annotation", "lies outside", "set cohort.root")
    with pytest.raises(StudyError, match=r"cohort\.root: there is no folder"):
        listed(tmp_path, "path\na.svs\n", root=tmp_path / "nowhere")


def test_an_id_in_two_unicode_forms_is_one(tmp_path):
    slides, _ = listed(tmp_path, "path,slide_id,patient_id\na.svs,e\u0301,u\u0308\nb.svs,b,\u00fc\n")
    assert [slide.slide_id for slide in slides] == ["b", "\u00e9"]
    assert len({slide.patient_id for slide in slides}) == 1
    (slide,), _ = listed(tmp_path, "path\ne\u0301.svs\n")
    assert slide.slide_id == "\u00e9"


# --- refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("where\na.svs\n", "column 'path' is missing; found where"),
        ("path,anotation\na.svs,\n", "column 'anotation' is unknown; did you mean 'annotation'"),
        ("path;slide_id\na.svs;a\n", "separated by ';'"),
        ("path\n", "lists no slide"),
        ("path,slide_id\n,x\n", "line 2: the path is empty"),
        ("path,split\na.svs,training\n", "line 2: split is 'training'.* Did you mean 'train'"),
        ("path,split\na.svs,train\nb.svs,\n", "line 3: no split, while other slides have one"),
        ("path,label\na.svs,tumour\n", "label is 'tumour'; expected benign or malignant, or nothing"),
        ("path,label\na.svs,malignant\n", "'a' is malignant and has no annotation"),
        ("path,mpp\na.svs,0.25um\n", "mpp is '0.25um' .slide 'a'."),
        ("path,mpp\na.svs,-1\n", "mpp is '-1'"),
        ("path,mpp\na.svs,1e400\n", "mpp is '1e400'"),
        ("path,annotation\na.svs,NA\n", "annotation is 'NA'; leave it empty where there is none"),
        ("path,slide_id\na.svs\n", "line 2: fewer fields"),
    ],
)
def test_a_wrong_list_is_named(tmp_path, text, message):
    with pytest.raises(CohortError, match=message):
        listed(tmp_path, text)


def test_two_slides_of_one_name_need_ids(tmp_path):
    message = refused(tmp_path, "path\nx/a.svs\ny/a.svs\n", "line 2 (and 3): slide 'a' is listed twice")
    assert "Give other slides a slide_id of their own" in message


@pytest.mark.parametrize("word", ["NA", "unknown", "n/a", "-", "?", "#N/A"])
@pytest.mark.parametrize("column", ["slide_id", "patient_id"])
def test_a_word_for_unknown_is_no_id(tmp_path, column, word):
    text = f"path,{column}\na.svs,{word}\nb.svs,x\nc.svs,{word}\n"
    refused(tmp_path, text, f"line 2 (and 4): {column} is {word!r}; leave it empty where it is unknown")


def test_every_malignant_slide_without_an_annotation_is_named(tmp_path):
    text = "path,label,annotation\na.svs,malignant,\nb.svs,malignant,b.xml\nc.svs,benign,\nd.svs,malignant,\n"
    message = refused(tmp_path, text, "2 things", "line 2: slide 'a' is malignant", "line 5: slide 'd' is malignant")
    assert "'b'" not in message


@pytest.mark.posix("symbolic links")
def test_one_slide_by_another_spelling_or_a_link(tmp_path):
    (tmp_path / "a.svs").write_bytes(b"x")
    (tmp_path / "link.svs").symlink_to("a.svs")
    for again in ("./a.svs", "link.svs"):
        text = f"path,slide_id\na.svs,A\n{again},A2\n"
        message = refused(tmp_path, text, "line 2 (and 3): the file 'a.svs'", "listed twice, as slide 'A' and as 'A2'")
        assert "\n" not in message
    # also under one id it is said once
    assert "\n" not in refused(tmp_path, "path\na.svs\na.svs\n", "listed twice")


def test_a_copy_of_a_slide(tmp_path):
    (tmp_path / "a.svs").write_bytes(b"x" * 100)
    (tmp_path / "copy.svs").write_bytes(b"x" * 100)
    (tmp_path / "b.svs").write_bytes(b"y" * 100)
    text = "path,slide_id\nb.svs,B\na.svs,A\ncopy.svs,C\n"
    refused(tmp_path, text, "line 3 (and 4): 'copy.svs' holds the same bytes as 'a.svs': slide 'A' is listed again")


def test_copies_are_looked_for_only_where_all_else_is_right(tmp_path):
    for name in ("a.svs", "b.svs"):
        (tmp_path / name).write_bytes(b"x")
    assert "same bytes" not in refused(tmp_path, "path,label\na.svs,x\nb.svs,benign\n", "label is 'x'")


def test_another_letter_case_names_the_file_that_is_there(tmp_path):
    (tmp_path / "half.geojson").write_text("{}", encoding="utf-8")
    (tmp_path / "a.svs").write_bytes(b"x")
    text = "path,annotation\na.SVS,half.GEOJSON\nabsent.svs,absent.xml\n"
    message = refused(tmp_path, text, "2 things", "but 'a.svs', which differs", "but 'half.geojson', which differs")
    assert "absent" not in message


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    text = "path,slide_id,label,mpp,split\n../a.svs,NA,Benign,0,test\nb.svs,B,,half,\n"
    refused(
        tmp_path, text, "6 things", "lies outside", "'NA'", "Did you mean 'benign'", "mpp is '0'", "mpp is 'half'",
        "line 3: no split",
    )  # fmt: skip


def test_no_list(tmp_path):
    with pytest.raises(StudyError, match="there is no file"):
        read_slide_list(tmp_path / "none.csv", {})
