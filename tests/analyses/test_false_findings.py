"""Cohorts drawn from a run: slides, patches and networks with replacement, every table in the same way."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PATH = Path(__file__).parents[2] / "analyses" / "false_findings.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("analyses_false_findings", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tables():
    patches = pd.DataFrame(
        [(f"p{s}{k}", f"s{s}") for s in range(4) for k in range(6)], columns=["patch_id", "slide_id"]
    )
    patches["label"] = np.where(patches["patch_id"].str[-1].astype(int) < 2, "malignant", "benign")
    patches["patient_id"] = patches["slide_id"]
    maps = [
        ("trained", "1"),
        ("trained", "2"),
        ("randomised", "1"),
        ("randomised", "2"),
        ("shift", "1"),
        ("shift", "2"),
    ]
    rows = patches.merge(pd.DataFrame([*maps, ("sobel", "")], columns=["model", "network"]), how="cross")
    # says which patch, map and network a row is of
    rows["value"] = rows["patch_id"] + rows["model"] + rows["network"]
    return rows[rows["model"].isin(["trained", "randomised"])], rows


def test_a_cohort_is_as_large_as_the_run_and_differs_from_it(script, tables):
    predictions, ledger = tables
    of_cohort = script.drawn(predictions, np.random.default_rng(0), relabel=False)
    found = of_cohort(ledger)
    assert len(found) == len(ledger)
    assert found["slide_id"].nunique() == 4
    assert found.groupby(["model", "network"]).size().eq(24).all()
    assert found["patch_id"].nunique() == 24
    # the whole row of the patch that it stands for, with its label and its slide's other patches
    source = found["value"].str[:3]
    assert (found["label"] == np.where(source.str[-1].astype(int) < 2, "malignant", "benign")).all()
    assert found.assign(source=source.str[1]).groupby("slide_id")["source"].nunique().eq(1).all()
    assert source.nunique() < 24


def test_networks_are_drawn_and_a_shifted_map_goes_with_its_network(script, tables):
    predictions, ledger = tables
    seen = set()
    for seed in range(20):
        found = script.drawn(predictions, np.random.default_rng(seed), relabel=False)(ledger)
        drawn = found[found["model"] != "sobel"].assign(old=lambda rows: rows["value"].str[-1])
        of = drawn.groupby(["model", "network"])["old"].agg(["nunique", "first"])
        assert of["nunique"].eq(1).all()
        assert of["first"]["trained"].equals(of["first"]["shift"])
        seen.add((*of["first"]["trained"], *of["first"]["randomised"]))
    assert len(seen) > 8


def test_the_same_labels_in_every_table_also_where_they_are_drawn_anew(script, tables):
    predictions, ledger = tables
    of_cohort = script.drawn(predictions, np.random.default_rng(1), relabel=True)
    labels = [rows.groupby("patch_id")["label"].agg(["nunique", "first"]) for rows in map(of_cohort, tables)]
    assert all(found["nunique"].eq(1).all() for found in labels)
    assert labels[0]["first"].equals(labels[1]["first"])
    source = of_cohort(ledger)["value"].str[2].astype(int)
    assert (of_cohort(ledger)["label"] != np.where(source < 2, "malignant", "benign")).any()
