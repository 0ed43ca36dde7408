"""CAMELYON16 in its bucket: which slides there are, and a balanced choice of them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliency_stats.errors import DownloadError, StudyError
from saliency_stats.fetching.camelyon16 import PARTLY_ANNOTATED, Slide, choose, find_slides
from saliency_stats.fetching.transfer import Client, Remote

ANY, OUTLINES = Remote("http://x", 1), Remote("http://y", 2)
BALANCED = ["tumor_001", "normal_001", "test_002", "test_001", "tumor_002", "normal_002", "test_003", "normal_003"]


def test_slides_are_found_by_the_listing_alone(camelyon, hasty):
    camelyon.page_size = 4
    with Client(hasty) as client:
        slides = {slide.slide_id: slide for slide in find_slides(client, camelyon.url)}
    assert sorted(slides) == sorted([*BALANCED, "tumor_010"])
    assert {name for name, slide in slides.items() if slide.tumour} == {
        "tumor_001",
        "tumor_002",
        "tumor_010",
        "test_002",
    }
    assert {name for name, slide in slides.items() if slide.split == "test"} == {"test_001", "test_002", "test_003"}
    assert slides["tumor_001"].image.digest == f"md5:{camelyon.etag('CAMELYON16/images/tumor_001.tif')}"
    assert slides["test_002"].annotation.url == f"{camelyon.url}/CAMELYON16/annotations/test_002.xml"
    assert slides["normal_001"].annotation is None


def test_any_number_of_slides_is_balanced_and_the_beginning_of_more(camelyon, hasty):
    with Client(hasty) as client:
        slides = find_slides(client, camelyon.url)
    assert [slide.slide_id for slide in choose(slides)] == BALANCED
    for n in range(1, 9):
        assert [slide.slide_id for slide in choose(slides, n)] == BALANCED[:n]


@given(*[st.integers(0, 12)] * 4, st.data())
def test_half_of_the_slides_have_tumour_as_long_as_there_are_enough(a, b, c, d, data):
    slides = [
        *(Slide(f"normal_{n:03d}", ANY, None) for n in range(a)),
        *(Slide(f"test_{n:03d}", ANY, ANY if n < b else None) for n in range(b + c)),
        *(Slide(f"tumor_{n + 200:03d}", ANY, ANY) for n in range(d)),
    ]
    assert sorted(slide.slide_id for slide in choose(slides)) == sorted(slide.slide_id for slide in slides)
    n = data.draw(st.integers(0, 2 * min(a + c, b + d)))
    with_tumour = [slide for slide in choose(slides, n) if slide.tumour]
    assert n // 2 <= len(with_tumour) <= (n + 1) // 2
    # of the tumour slides half are of the test split, as long as there are enough of both
    tests = sum(slide.split == "test" for slide in with_tumour)
    if len(with_tumour) <= 2 * min(b, d):
        assert len(with_tumour) // 2 <= tests <= (len(with_tumour) + 1) // 2


def test_slides_whose_unmarked_tissue_may_be_tumour_are_never_chosen(camelyon, hasty):
    del camelyon.files["CAMELYON16/annotations/tumor_002.xml"]
    with Client(hasty) as client:
        chosen = {slide.slide_id for slide in choose(find_slides(client, camelyon.url))}
    assert chosen == {*BALANCED} - {"tumor_002"}
    partly = (10, 15, 18, 20, 25, 29, 33, 34, 44, 46, 51, 54, 55, 56, 67, 79, 85, 92, 95, 110)
    assert {f"tumor_{number:03d}" for number in partly} | {"test_049", "test_114"} == PARTLY_ANNOTATED


@pytest.mark.parametrize(
    ("slide_id", "annotation", "split", "tumour", "left_out"),
    [
        ("normal_001", None, "train", False, ""),
        ("tumor_001", OUTLINES, "train", True, ""),
        ("test_001", None, "test", False, ""),
        ("test_001", OUTLINES, "test", True, ""),
        ("tumor_001", None, "train", True, "tumour without outlines"),
        ("tumor_010", OUTLINES, "train", True, "tumour not outlined everywhere, or a copy"),
        ("test_114", OUTLINES, "test", True, "tumour not outlined everywhere, or a copy"),
    ],
)
def test_a_slide_says_what_it_is_by_its_name_and_its_outlines(slide_id, annotation, split, tumour, left_out):
    slide = Slide(slide_id, ANY, annotation)
    assert (slide.split, slide.tumour, slide.left_out) == (split, tumour, left_out)


def test_files_go_below_the_folder_and_outlines_only_if_wanted():
    slide = Slide("tumor_001", ANY, OUTLINES)
    image = (ANY, Path("there/images/tumor_001.tif"))
    assert slide.files(Path("there"), annotations=False) == [image]
    assert slide.files(Path("there"), annotations=True) == [image, (OUTLINES, Path("there/annotations/tumor_001.xml"))]
    assert Slide("normal_001", ANY, None).files(Path("there"), annotations=True) == [
        (ANY, Path("there/images/normal_001.tif"))
    ]


def test_a_bucket_without_a_slide_is_refused(bucket, hasty):
    bucket.files = {"CAMELYON16/README.md": b"", "CAMELYON16/images/normal_001.png": b"", "CAMELYON17/x": b""}
    with Client(hasty) as client, pytest.raises(DownloadError, match="lists 2 files below CAMELYON16/, none of them a"):
        find_slides(client, bucket.url)


def test_without_published_checksums_the_marks_of_the_listing_are_used(camelyon, hasty):
    del camelyon.files["CAMELYON16/checksums.md5"]
    with Client(hasty) as client:
        slides = find_slides(client, camelyon.url)
    assert slides[0].image.digest == f"md5:{camelyon.etag('CAMELYON16/images/normal_001.tif')}"


def test_more_than_there_are_is_refused_and_all_are_not(camelyon, hasty):
    with Client(hasty) as client:
        slides = find_slides(client, camelyon.url)
    assert len(choose(slides, 8)) == 8
    assert choose(slides, 0) == []
    with pytest.raises(StudyError, match="--slides 9: the bucket has 8 usable slides"):
        choose(slides, 9)
