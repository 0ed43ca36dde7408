"""What other methods, replaced compartments and other analyses answer: which rows are read, and how they are named."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics import StatisticsParameters
from saliency_stats.statistics.rungs import DROP, further_rungs

SETTINGS = StatisticsParameters()


def row(**changes):
    found = {"contrast": "cytoplasm_vs_nucleus", "label": "benign", "magnification": 20.0, "model": "trained"}
    found |= {"method": "gradient", "reduction": "l2", "population": "judged", "test": "sign_flip", "n_networks": 1}
    return found | {"estimate": 1.0, "p_value": 0.01, "status": "tested", "reason": ""} | changes


def curve_row(**changes):
    found = {"label": "benign", "magnification": 20.0, "dimension": "all", "method": "gradient", "median": 0.4}
    return found | {"p_global": 0.02, "n_distinct": 64.0, "n_true_low": 12.0, "curve_reason": ""} | changes


def rungs(rows=(), **tables):
    contrasts = pd.DataFrame([row(), *rows])
    return further_rungs(contrasts, SETTINGS, method="gradient", reduction="l2", **tables)


def names(found, rung, key=("benign", 20.0)):
    return [part.name for part in found.get(key, {}).get(rung, [])]


def test_a_study_of_one_method_has_nothing_more():
    assert rungs() == {}
    assert rungs(causal=pd.DataFrame([row()]).iloc[:0], curve=pd.DataFrame([curve_row()]).iloc[:0]) == {}


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({}, True),
        ({"reduction": "none"}, True),
        ({"reduction": "max"}, False),
        ({"model": "randomised"}, False),
        ({"population": "all test patches"}, False),
        ({"test": "wilcoxon"}, False),
        ({"contrast": "stroma_vs_rest"}, False),
        ({"method": "gradient", "reduction": "none"}, False),
    ],
)
def test_other_methods_are_read_by_the_same_test_of_the_same_patches(changes, read):
    assert names(rungs([row(**{"method": "lime", **changes})]), "method") == (["lime"] if read else [])


def test_parts_stand_by_class_and_magnification():
    found = rungs([row(method="lime"), row(method="cam", label="malignant"), row(method="cam", magnification=10.0)])
    assert set(found) == {("benign", 20.0), ("malignant", 20.0), ("benign", 10.0)}
    assert {type(magnification) for _, magnification in found} == {float}
    assert found["benign", 20.0]["method"][0].row["p_value"] == 0.01


def test_several_networks_are_asked_by_the_crossed_test():
    rows = [row(method="lime", n_networks=3), row(method="cam", n_networks=3, test="crossed")]
    assert names(rungs(rows), "method") == ["cam"]


def test_replaced_compartments_answer_for_the_decision():
    causal = [
        row(contrast=DROP, replacement="blur"),
        row(contrast=DROP, replacement="mean", model="randomised"),
        row(contrast="drop:nucleus", replacement="mean"),
        row(contrast=DROP, replacement="mean", test="wilcoxon"),
        row(contrast=DROP, replacement="white", status="no_inference", reason="few"),
    ]
    found = rungs(causal=pd.DataFrame(causal))
    assert DROP == "drop:cytoplasm_vs_nucleus"
    assert names(found, "decision") == ["blur", "white"]
    assert [part.answer(1, 1, 0.05) for part in found["benign", 20.0]["decision"]] == ["yes", "not tested"]


def test_the_studys_own_curve_answers_for_other_analyses():
    curve = [
        curve_row(),
        curve_row(method="lime"),
        curve_row(dimension="segmentation"),
        curve_row(label="malignant", p_global=np.nan, curve_reason="only 2 slides"),
        curve_row(magnification=10.0, median=-0.4),
    ]
    found = rungs(curve=pd.DataFrame(curve))
    assert names(found, "analyses") == ["64 specifications, at least 12 of them true"]
    (one,) = found["benign", 20.0]["analyses"]
    assert (one.row["estimate"], one.row["p_value"], one.answer(1, 1, 0.05)) == (0.4, 0.02, "yes")
    assert np.isnan([one.row["ci_low"], one.row["ci_high"]]).all()
    (untested,) = found["malignant", 20.0]["analyses"]
    assert untested.as_dict(1, 1, 0.05) | {"estimate": 0} == {
        **dict.fromkeys(["ci_low", "ci_high", "p_value"]),
        "name": one.name,
        "estimate": 0,
        "answer": "not tested",
        "why": "only 2 slides",
    }
    assert found["benign", 10.0]["analyses"][0].answer(1, 1, 0.05) == "no"
