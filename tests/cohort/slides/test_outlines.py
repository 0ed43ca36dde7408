"""What groups mean, how notes are counted, and which pixels an area covers."""

import numpy as np
import pytest
import shapely
from shapely import MultiPolygon, Polygon, box

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.cohort.slides.outlines import (
    EXCLUDE_GROUPS,
    TUMOUR_GROUPS,
    Groups,
    Notes,
    checked_ring,
    listed_classes,
    normalised,
    rasterise,
    to_pixels,
)
from saliency_stats.errors import SlideError, StudyError


def test_the_usual_names_mean_what_the_data_sets_say_whatever_their_case():
    groups = Groups()
    assert {groups.role([name.upper()]) for name in TUMOUR_GROUPS} == {"tumour"}
    assert {groups.role([name.lower()]) for name in EXCLUDE_GROUPS} == {"exclude"}
    assert groups.role(["Stroma"]) is None
    assert groups.role([]) is None


def test_the_first_known_name_from_the_inside_out_decides():
    groups = Groups(tumour=("t",), exclude=("e",), ignore=("i",))
    assert groups.role(["x", "E", "t"]) == "exclude"
    assert groups.role(["I", "t"]) == "ignore"
    assert groups.role(["t", "i"]) == "tumour"


@pytest.mark.parametrize("roles", [{"ignore": ("_0",)}, {"exclude": ("TUMOR",)}, {"exclude": ("a",), "ignore": ("A",)}])
def test_a_name_has_one_meaning(roles):
    with pytest.raises(StudyError, match="two meanings"):
        Groups(**roles)


def test_a_name_may_be_listed_twice_in_one_role():
    assert Groups(tumour=("Tumour", "tumour")).role(["TUMOUR"]) == "tumour"


@pytest.mark.parametrize(("n", "line"), [(1, "1 × why: a0"), (3, "3 × why: a0, a1, a2"), (4, "4 × why: a0, a1, a2, …")])
def test_notes_count_a_reason_and_name_the_first_three(n, line):
    notes = Notes()
    for number in range(n):
        notes.add("why", f"a{number}")
    assert notes.lines() == (line,)


def test_notes_have_a_line_per_reason_in_the_order_of_their_first():
    notes = Notes()
    for reason, name in (("b", "1"), ("a", "2"), ("b", "3")):
        notes.add(reason, name)
    assert notes.lines() == ("2 × b: 1, 3", "1 × a: 2")
    assert Notes().lines() == ()


def test_pixels_are_um_over_their_size_along_each_axis():
    assert to_pixels(box(1, 1, 3, 5), mpp_y=0.5, mpp_x=0.25).bounds == (4, 2, 12, 10)
    assert to_pixels(None, 0.5, 0.5).is_empty


def test_a_pixel_is_inside_if_its_centre_is():
    area = box(1.6, 0, 4, 2.4)
    expected = np.zeros((3, 5), dtype=bool)
    expected[0:2, 2:4] = True
    np.testing.assert_array_equal(rasterise(area, (3, 5), (1, 1)), expected)
    np.testing.assert_array_equal(rasterise(area, (2, 3), (1, 1), (1, 2)), expected[1:, 2:])
    np.testing.assert_array_equal(rasterise(area, (6, 5), (0.5, 1)), [[0, 0, 1, 1, 0]] * 5 + [[0] * 5])


@pytest.mark.parametrize("nothing", [Polygon(), MultiPolygon(), shapely.unary_union([]), box(50, 50, 60, 60)])
def test_of_nothing_in_view_there_are_no_pixels(nothing):
    mask = rasterise(nothing, (4, 3), (1, 1))
    assert mask.shape == (4, 3)
    assert not mask.any()


def test_a_study_names_roles_and_keeps_the_usual_names_of_the_others():
    groups = Groups.given({"tumour": ["Cancer", "normal"], "ignore": ["_2"]})
    assert groups.tumour == ("Cancer", "normal")
    assert groups.exclude == ("Exclusion", "Exclude", "Ignore*")
    assert groups.ignore == ("_2",)
    assert groups.role(["tumor"]) is None
    assert (Groups.given({}).tumour, Groups.given({}).exclude) == (TUMOUR_GROUPS, EXCLUDE_GROUPS)
    with pytest.raises(StudyError, match="'cancer' two meanings"):
        Groups.given({"tumour": ["Cancer"], "exclude": ["cancer "]})


def test_annotations_may_be_called_as_the_classes_are():
    classes = Classes.stated({"normal": ["mucosa"], "cancer": ["Carcinoma", "TUMOR"]})
    groups = Groups.given({}, classes)
    assert groups.tumour == ("cancer", "Carcinoma", "Tumor", "_0", "_1", "Tumour", "Metastasis", "Metastases")
    assert groups.exclude == ("Normal", "mucosa", "_2", "Exclusion", "Exclude", "Ignore*")
    # what the study says of annotations goes before
    own = Groups.given({"tumour": ["DCIS"], "ignore": ["Mucosa"]}, classes)
    assert (own.tumour, own.ignore) == (("DCIS",), ("Mucosa",))
    assert own.exclude == ("Normal", "_2", "Exclusion", "Exclude", "Ignore*")
    assert Groups.given({}, USUAL_CLASSES) == Groups()


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"tumor": ["x"], "other": ["y"]}, "'tumor'"),
        ({"other": ["x"], "lesion": ["Normal", "exclusion"]}, "'Normal', 'exclusion'"),
    ],
)
def test_classes_in_another_order_than_annotations_have_it_are_refused(stated, words):
    with pytest.raises(StudyError) as caught:
        Groups.given({}, Classes.stated(stated))
    assert f"cohort.classes: {words}: annotations of this name are usually of the other class" in str(caught.value)
    assert "expected the class of tumour second" in str(caught.value)


def test_a_study_may_say_that_a_usual_name_means_something_else():
    lesion = Classes.stated({"tumor": ["x"], "metastatic": ["y"]})
    groups = Groups.given({"tumour": ["Metastasis"], "ignore": ["_0"]}, lesion)
    assert groups.tumour == ("Metastasis",)
    assert groups.exclude[:2] == ("tumor", "x")
    groups = Groups.given({"ignore": ["tumor"]}, lesion)
    assert "tumor" not in groups.exclude
    assert "Tumor" not in groups.tumour


def test_names_are_told_by_their_role():
    assert Groups(("a", "b"), ("c",), ()).lines() == ("tumour: a, b", "excluded (cut out of the tumour): c")
    assert Groups(("a",), (), ("d",)).lines() == ("tumour: a", "ignored: d")


def test_names_are_the_same_however_they_are_written():
    assert normalised("  Tumo\u0308r \u00a0 A") == normalised("TUM\u00d6R a")
    assert normalised("Tumor") != normalised("Tumour")


def test_classes_are_counted_with_their_meaning():
    notes = Notes()
    for names, meaning in (
        (["Tumor: A", "Tumor"], "tumour"),
        (["Tumor: A", "Tumor"], "tumour"),
        ([], "without meaning"),
    ):
        notes.found(names, meaning)
    assert listed_classes(notes.counts) == "'Tumor: A' (2 × tumour), without class (1 × without meaning)"
    assert notes.consulted == {"tumor: a", "tumor"}
    assert listed_classes({}) == "none (the file holds no object)"
    many = {(f"c{n}", "x"): 1 for n in range(11)}
    assert listed_classes(many).endswith("c9 (1 × x) and 1 more")
    assert "more" not in listed_classes(dict(list(many.items())[:10]))


@pytest.mark.parametrize("far", [np.nan, np.inf, -1e308, 1.001e9])
def test_a_ring_is_within_what_a_slide_can_be(far):
    ring = np.array([[0.0, 1.0], [2.0, -1e9], [far, 3.0]])
    with pytest.raises(SlideError, match=r"annotation 'A': a coordinate is .*at most 1e\+09"):
        checked_ring(ring, "'A'")
    np.testing.assert_array_equal(checked_ring(ring[:2], "'A'"), ring[:2])
