"""The densest compartment: by direct contrasts, and only where a test says so."""

import numpy as np
import pandas as pd

from saliency_stats.statistics.densest import densest_compartment


def test_the_densest_is_the_densest_and_not_the_one_with_the_emptiest_rest():
    area, density = np.array([0.1, 0.5, 0.4]), np.array([2.0, 1.9, 0.1])
    names = ("nucleus", "cytoplasm", "stroma")
    mass = area * density
    rest = (mass / area) / ((mass.sum() - mass) / (area.sum() - area))
    rows = [{"contrast": f"{k}_vs_rest", "estimate": np.log2(r)} for k, r in zip(names, rest, strict=True)]
    rows += [
        {"contrast": f"{a}_vs_{b}", "estimate": np.log2(density[names.index(a)] / density[names.index(b)])}
        for a, b in (("cytoplasm", "nucleus"), ("stroma", "nucleus"), ("stroma", "cytoplasm"))
    ]
    table = pd.DataFrame(rows).assign(status="tested", p_adjusted=0.01)
    assert rest.argmax() == 1
    assert densest_compartment(table, alpha=0.05).compartment == "nucleus"
    assert densest_compartment(table.iloc[:3], alpha=0.05).compartment == "cytoplasm"
    assert densest_compartment(table.assign(p_adjusted=0.5), alpha=0.05).compartment is None
    untested = table.assign(status="no_inference", p_adjusted=np.nan)
    assert densest_compartment(untested, alpha=0.05).compartment == "nucleus"
    assert densest_compartment(table.assign(estimate=np.nan), alpha=0.05).candidate is None


def rows_of(densities, *, status="tested", p_adjusted=0.01, estimate=0.5):
    """Return contrasts of compartments by their direct ratios; each has the same ratio to the rest unless given."""
    rests = [
        {"contrast": f"{name}_vs_rest", "estimate": estimate, "status": status, "p_adjusted": p_adjusted}
        for name in densities
    ]
    pairs = [("cytoplasm", "nucleus"), ("stroma", "nucleus"), ("stroma", "cytoplasm")]
    direct = [
        {"contrast": f"{a}_vs_{b}", "estimate": densities[a] - densities[b], "status": status, "p_adjusted": 1.0}
        for a, b in pairs
        if a in densities and b in densities
    ]
    return pd.DataFrame(rests + direct)


DENSITIES = {"nucleus": 1.0, "cytoplasm": 2.0, "stroma": 0.0}


def test_the_finding_needs_a_p_value_below_the_level_and_a_ratio_above_one():
    for p_adjusted, named in ((0.049, "cytoplasm"), (0.05, None)):
        found = densest_compartment(rows_of(DENSITIES, p_adjusted=p_adjusted), alpha=0.05)
        assert (found.compartment, found.candidate, found.tested) == (named, "cytoplasm", True)
        assert found.row["contrast"] == "cytoplasm_vs_rest"
    for estimate in (0.0, -0.1):
        found = densest_compartment(rows_of(DENSITIES, estimate=estimate), alpha=0.05)
        assert (found.compartment, found.candidate) == (None, "cytoplasm")


def test_without_a_test_the_estimate_names_it():
    found = densest_compartment(rows_of(DENSITIES, status="no_inference", p_adjusted=np.nan), alpha=0.05)
    assert (found.compartment, found.tested) == ("cytoplasm", False)
    found = densest_compartment(rows_of(DENSITIES, status="no_inference", estimate=0.0), alpha=0.05)
    assert (found.compartment, found.candidate) == (None, "cytoplasm")


def test_a_compartment_too_rare_to_be_tested_is_no_rival():
    rows = rows_of(DENSITIES)
    rows.loc[rows["contrast"] == "cytoplasm_vs_rest", "status"] = "no_inference"
    found = densest_compartment(rows, alpha=0.05)
    assert (found.compartment, found.tested) == ("nucleus", True)
    rows.loc[rows["contrast"] == "nucleus_vs_rest", "estimate"] = np.nan
    assert densest_compartment(rows, alpha=0.05).compartment == "stroma"


def test_equals_are_told_apart_by_the_rest_and_a_circle_names_nobody():
    level = rows_of(dict.fromkeys(DENSITIES, 1.0))
    level.loc[level["contrast"] == "stroma_vs_rest", "estimate"] = 0.6
    assert densest_compartment(level, alpha=0.05).compartment == "stroma"
    circle = rows_of(DENSITIES)
    for name, value in (("cytoplasm_vs_nucleus", 1.0), ("stroma_vs_cytoplasm", 1.0), ("stroma_vs_nucleus", -1.0)):
        circle.loc[circle["contrast"] == name, "estimate"] = value
    found = densest_compartment(circle, alpha=0.05)
    assert (found.compartment, found.candidate, found.tested, found.row) == (None, None, True, None)
