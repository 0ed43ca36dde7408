"""The densest compartment: denser than each other by its tests, or the set that cannot be told apart."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics import sign_flip_p
from saliency_stats.statistics.densest import densest_compartment

PAIRS = {"cytoplasm_vs_nucleus": "cn", "stroma_vs_nucleus": "sn", "stroma_vs_cytoplasm": "sc"}


def rows_of(p_values=0.01, *, status="tested", **density):
    """Return direct contrasts of log2 densities, with one p-value or one for each pair; and a ratio to the rest."""
    letters = {name[0]: value for name, value in density.items()}
    rows = [
        {
            "contrast": contrast,
            "estimate": letters[top] - letters[bottom],
            "ci_low": letters[top] - letters[bottom] - 0.5,
            "ci_high": letters[top] - letters[bottom] + 1,
            "p_value": p_values if isinstance(p_values, float) else p_values.get(top + bottom, 0.01),
            "status": status,
        }
        for contrast, (top, bottom) in PAIRS.items()
        if {top, bottom} <= set(letters)
    ]
    rest = {"contrast": "nucleus_vs_rest", "estimate": 9.0, "ci_low": 8.0, "ci_high": 10.0, "p_value": 1e-9}
    return pd.DataFrame([*rows, {**rest, "status": status}])


DENSITY = {"nucleus": 1.0, "cytoplasm": 2.0, "stroma": 0.0}


def test_the_densest_exceeds_each_other_by_a_significant_test():
    found = densest_compartment(rows_of(**DENSITY), alpha=0.05)
    assert (found.compartment, found.candidates, found.tested) == ("cytoplasm", ("cytoplasm",), True)
    assert found.rows["other"].tolist() == ["nucleus", "stroma"]
    assert found.rows["estimate"].tolist() == [1.0, 2.0]
    # of stroma against cytoplasm the interval is turned round
    assert found.rows[["ci_low", "ci_high"]].to_numpy().tolist() == [[0.5, 2.0], [1.0, 2.5]]
    assert (found.rows["p_value"] == 0.01).all()
    for top in DENSITY:
        density = {name: 3.0 if name == top else value for name, value in DENSITY.items()}
        assert densest_compartment(rows_of(**density), alpha=0.05).compartment == top


@pytest.mark.parametrize(
    ("p_values", "candidates"),
    [
        ({"cn": 0.05}, ("cytoplasm",)),
        ({"cn": 0.0501}, ("cytoplasm", "nucleus")),
        ({"sc": 0.06}, ("cytoplasm", "stroma")),
        ({"cn": 0.06, "sc": 0.06}, ("cytoplasm", "nucleus", "stroma")),
        ({"sn": 1.0}, ("cytoplasm",)),
    ],
)
def test_else_those_that_cannot_be_told_apart_from_it_are_the_set(p_values, candidates):
    found = densest_compartment(rows_of(p_values, **DENSITY), alpha=0.05)
    assert found.candidates == candidates
    assert found.compartment == ("cytoplasm" if len(candidates) == 1 else None)
    assert set(found.rows["other"]) == {"nucleus", "stroma"}


def test_a_compartment_that_could_not_be_tested_cannot_be_told_apart():
    rows = rows_of(**DENSITY)
    rows.loc[rows["contrast"].str.startswith("stroma"), ["status", "p_value"]] = ["no_inference", np.nan]
    found = densest_compartment(rows, alpha=0.05)
    assert (found.compartment, found.candidates, found.tested) == (None, ("cytoplasm", "stroma"), True)
    rows.loc[rows["contrast"].str.startswith("stroma"), "estimate"] = np.nan
    found = densest_compartment(rows, alpha=0.05)
    assert (found.compartment, found.candidates) == ("cytoplasm", ("cytoplasm",))
    assert found.rows["other"].tolist() == ["nucleus"]


def test_without_a_test_the_estimate_names_it():
    found = densest_compartment(rows_of(np.nan, status="no_inference", **DENSITY), alpha=0.05)
    assert (found.compartment, found.candidates, found.tested) == ("cytoplasm", ("cytoplasm",), False)
    level = rows_of(np.nan, status="no_inference", nucleus=2.0, cytoplasm=2.0, stroma=0.0)
    found = densest_compartment(level, alpha=0.05)
    assert (found.compartment, found.candidates, found.tested) == (None, ("nucleus", "cytoplasm"), False)


def test_equal_estimates_are_no_finding_and_a_circle_has_no_first():
    level = densest_compartment(rows_of(1e-9, nucleus=1.0, cytoplasm=1.0, stroma=1.0), alpha=0.05)
    assert (level.compartment, level.candidates) == (None, ("nucleus", "cytoplasm", "stroma"))
    circle = rows_of(**DENSITY)
    for name, value in (("cytoplasm_vs_nucleus", 1.0), ("stroma_vs_cytoplasm", 1.0), ("stroma_vs_nucleus", -1.0)):
        circle.loc[circle["contrast"] == name, "estimate"] = value
    found = densest_compartment(circle, alpha=0.05)
    assert (found.compartment, found.candidates, found.tested) == (None, ("nucleus", "cytoplasm", "stroma"), True)
    assert found.rows.empty
    assert found.rows.columns[0] == "compartment"


def test_of_unbeaten_ones_that_are_not_compared_the_larger_lead_is_first():
    rows = rows_of(nucleus=1.0, cytoplasm=3.0, stroma=0.0)
    rows = rows[rows["contrast"] != "cytoplasm_vs_nucleus"]
    assert densest_compartment(rows, alpha=0.05).candidates == ("cytoplasm",)


@pytest.mark.parametrize("rows", [rows_of(nucleus=1.0), rows_of(nucleus=1.0).iloc[:0]])
def test_nothing_to_compare_has_no_candidates(rows):
    found = densest_compartment(rows, alpha=0.05)
    assert (found.compartment, found.candidates, found.tested, len(found.rows)) == (None, (), False, 0)


@pytest.mark.parametrize("means", [(0.0, 0.0, -3.0), (0.0, 0.0, 0.0)])
def test_where_the_top_ties_a_wrong_one_is_named_in_one_study_of_twenty_at_most(means):
    rng = np.random.default_rng(0)
    logs = rng.normal(size=(150, 10, 3)) + means
    values = [logs[..., "ncs".index(top)] - logs[..., "ncs".index(bottom)] for top, bottom in PAIRS.values()]
    p_values = np.transpose([sign_flip_p(value, draws=999, seed=0) for value in values])
    named = 0
    for study, p in zip(logs, p_values, strict=True):
        rows = rows_of(dict(zip(PAIRS.values(), p, strict=True)), **dict(zip(DENSITY, study.mean(axis=0), strict=True)))
        named += densest_compartment(rows, alpha=0.05).compartment is not None
    assert named <= 13  # of 150, 7.5 expected at most
