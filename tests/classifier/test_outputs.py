"""Outputs stand for classes: which, and how several become one logit."""

import pytest
import torch

from saliency_stats.classes import Classes
from saliency_stats.classifier.outputs import Grouping, Outputs
from saliency_stats.errors import StudyError


def test_two_outputs_are_benign_and_malignant_unless_a_study_says_otherwise():
    assert Outputs.of(Classes()) == Outputs((0,), (1,))
    assert Outputs.of(Classes.stated({"normal": ["a"], "tumor": ["b"]})) == Outputs()
    assert not Outputs().stated
    assert Outputs().least == 2
    logits = torch.randn(3, 2)
    assert Grouping(Outputs(), 2)(logits) is logits


def test_several_outputs_are_grouped_by_the_log_of_their_summed_exponentials():
    outputs = Outputs.of(Classes.stated({"benign": [0, 3], "malignant": [2]}))
    assert (outputs.stated, outputs.least) == (True, 4)
    logits = torch.tensor([[1.0, 9.0, 2.0, 3.0]], dtype=torch.float64)
    found = Grouping(outputs, 4)(logits)
    expected = torch.tensor([[torch.log(torch.exp(logits[0, 0]) + torch.exp(logits[0, 3])), 2.0]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    # the probability of a class is the sum of its members', among the outputs that are named
    p = logits[:, [0, 2, 3]].softmax(dim=1)
    torch.testing.assert_close(found.softmax(dim=1)[:, 0], p[:, 0] + p[:, 2])


def test_the_order_of_two_outputs_can_be_turned():
    turned = Outputs.of(Classes.stated({"benign": [1], "malignant": [0]}))
    assert turned.stated
    assert Grouping(turned, 2)(torch.tensor([[5.0, 7.0]])).tolist() == [[7.0, 5.0]]
    assert turned.labels(2) == "malignant,benign"


def test_classes_of_outputs_are_written_as_files_of_weights_have_them():
    assert Outputs().labels(2) == "benign,malignant"
    outputs = Outputs((0, 1), (3,))
    assert outputs.labels(5) == "benign,benign,,malignant,"
    assert outputs.left_out(5) == [2, 4]
    assert Outputs().left_out(2) == []


def test_people_are_told_the_study_s_names():
    outputs = Outputs.of(Classes.stated({"normal": [0, 1], "tumor": [3]}))
    assert outputs.words(5) == "normal, normal, neither, tumor and neither"
    assert Outputs().words(2) == "benign and malignant"
    assert outputs.labels(2) == "benign,benign"
    # what a class is called changes nothing in a network
    assert outputs == Outputs((0, 1), (3,))
    unnamed = Outputs.of(Classes.stated({"normal": ["x"], "tumor": ["y"]}))
    assert "has 3 outputs; expected 2, normal and tumor. Say in cohort.classes" in unnamed.fault(3)
    assert unnamed.fault(3).endswith("for example {normal: [0], tumor: [1, 2]}")
    assert "Of one logit z of the class tumor return (0, z)" in unnamed.fault(1)


def test_numbers_are_outputs_only_of_a_network_that_brings_its_own():
    grades = Classes.stated({"low": [1, 2], "high": [3]})
    assert Outputs.of(grades) == Outputs((1, 2), (3,))
    made = Outputs.of(grades, own=False)
    assert made == Outputs()
    assert made.names == ("low", "high")


@pytest.mark.parametrize(
    "groups", [((0,), (0,)), ((0, 1), (1,)), ((), (1,)), ((0,), ()), ((-1,), (1,)), ((0, 0), (1,))]
)
def test_an_output_stands_for_one_class_and_each_class_has_one(groups):
    with pytest.raises(StudyError, match="at least one each, from 0, and none twice"):
        Outputs(*groups)


@pytest.mark.parametrize(
    ("outputs", "n", "fault"),
    [
        (Outputs(), 2, ""),
        (Outputs((0,), (1, 2)), 3, ""),
        (Outputs((0,), (1,)), 1, "one number per image; expected a logit for each class. Of one logit z"),
        (Outputs((0,), (3,)), 3, "has 3 outputs, numbered from 0; cohort.classes names output 3"),
        (Outputs(), 3, "has 3 outputs; expected 2, benign and malignant. Say in cohort.classes"),
        (Outputs(), 3, "{benign: [0], malignant: [1, 2]}"),
        (Outputs(), 9, "for example"),
        (Outputs((1,), (0,)), 3, ""),
    ],
)
def test_a_number_of_outputs_that_does_not_fit_is_told_with_the_remedy(outputs, n, fault):
    found = outputs.fault(n)
    assert fault in found
    assert bool(found) == bool(fault)


def test_a_thousand_outputs_are_not_listed():
    assert "for example" not in Outputs().fault(10)
    assert "has 1000 outputs; expected 2" in Outputs().fault(1000)
