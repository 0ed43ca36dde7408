"""Keys that name slides or classes must name some that are there."""

from pathlib import Path

import pytest

from saliency_stats.cohort.slides.annotation import AnnotationFile
from saliency_stats.cohort.slides.matching import check_groups, check_overrides
from saliency_stats.cohort.slides.outlines import Groups
from saliency_stats.errors import StudyError


def files(*names):
    one = AnnotationFile(Path("a.xml"), "s", Groups())
    for name in names:
        one.notes.found([name, name.split(":")[0]], "without meaning")
    return [one]


@pytest.mark.parametrize("pattern", ["scan_1", "scan_*", "*", "scan_?"])
def test_a_pattern_that_fits_a_slide_may_stand(pattern):
    check_overrides({pattern: 0.25}, ["scan_1", "other"])


def test_patterns_that_fit_no_slide_are_all_named():
    with pytest.raises(StudyError) as error:
        check_overrides({"scan_*": 0.25, "Scan_1": 0.3, "x": 0.5}, [f"scan_{n}" for n in range(12)])
    message = str(error.value)
    assert "cohort.mpp_override names 'Scan_1', 'x', which fits no slide" in message
    assert "'scan_9' and 2 more" in message
    assert "Did you mean 'scan_1'?" in message
    with pytest.raises(StudyError, match=r"delete it$"):
        check_overrides({"x": 0.25}, ["scan_1"])


def test_names_that_are_there_or_usual_may_stand():
    groups = {"tumour": ["cancer", "Metastases"], "exclude": ["FOLD"], "ignore": ["normal"]}
    check_groups(groups, files("Cancer: in situ", "fold"), complete=True)
    check_groups({}, [], complete=True)


def test_names_that_no_annotation_holds_are_named_with_those_that_are_there():
    with pytest.raises(StudyError) as error:
        check_groups({"tumour": ["cancr", "Tumor"], "exclude": ["fold"]}, files("Cancer", "Stroma"), complete=True)
    message = str(error.value)
    assert "cohort.annotation_groups names 'cancr', 'fold', which is in no annotation" in message
    assert "found are 'Cancer' (1 × without meaning), 'Stroma' (1 × without meaning) in 1 file(s)" in message
    assert "Did you mean 'cancer'?" in message


def test_what_could_not_be_read_may_hold_the_names():
    check_groups({"tumour": ["cancr"]}, files("Cancer"), complete=False)


def test_names_without_any_annotation_are_refused():
    with pytest.raises(StudyError, match="no slide of the list has an annotation"):
        check_groups({"tumour": ["cancer"]}, [], complete=True)
