"""What a study will ask is known before it has numbers; tests/study/test_run.py compares it with what a run asked."""

import pytest

from saliency_stats.settings import load
from saliency_stats.study.planned import planned, primary


def asked(*assignments, at=(20.0,)):
    return planned(load(None, ("controls=[]", *assignments)), at)


def names(questions, *fields):
    return {tuple(getattr(one, field) for field in fields) for one in questions}


def test_a_verdict_for_each_class_and_magnification():
    found = primary(asked(at=(5.0, 20.0)))
    assert [(one.label, one.magnification) for one in found] == [
        ("benign", 5.0),
        ("malignant", 5.0),
        ("benign", 20.0),
        ("malignant", 20.0),
    ]
    assert {one.hypothesis for one in found} == {"cytoplasm_vs_nucleus"}


@pytest.mark.parametrize(("reference", "compared"), [(20, {5.0}), (5, {20.0})])
def test_magnifications_are_compared_with_the_reference(reference, compared):
    found = asked(f"statistics.reference_magnification={reference}", at=(5.0, 20.0))
    of = [one for one in found if one.hypothesis == "magnification_vs_reference"]
    assert {one.magnification for one in of} == compared
    assert not [one for one in asked() if one.hypothesis == "magnification_vs_reference"]


def test_controls_and_pictures_are_those_of_the_study():
    found = asked("controls=[randomised, sobel]")
    differences = [one for one in found if one.hypothesis == "trained_vs_control"]
    assert names(differences, "model") == {("trained-randomised",), ("trained-sobel",)}
    matched = [one for one in found if one.hypothesis == "matched"]
    assert names(matched, "contrast", "model") == {
        ("matched_sobel", "trained"),
        ("matched_sobel_excess", "trained"),
    }


def test_other_methods_stand_beside_and_pay_nothing():
    few, more = asked(), asked("saliency.methods=[gradient, grad_cam]", "saliency.more_reductions=[l1]")
    assert names(few, "method", "reduction") == names(more, "method", "reduction")
    assert len(few) == len(more)
