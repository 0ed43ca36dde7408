"""The simulation of the crossed test: its shortcuts are the test that they stand for."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from saliency_stats.statistics.crossing import crossed
from saliency_stats.statistics.models.networks import NetworkCells

PATH = Path(__file__).parents[2] / "analyses" / "crossed_inference.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("analyses_crossed_inference", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_closed_form_of_folds_is_reml(script):
    rng = np.random.default_rng(0)
    tables = np.repeat([0.0, 0.2], 4)[:, None, None] * rng.normal(size=(8, 4, 1)) + 0.1 * rng.normal(size=(8, 4, 3))
    network, unit = np.repeat(np.arange(4), 3), np.arange(12)
    seen = set()
    for table, estimate, half in zip(tables, *script.nested(tables), strict=True):
        cells = NetworkCells.from_rows(table.ravel(), network, unit, unit)
        found = crossed(SimpleNamespace(cells=cells), alpha=0.05)
        assert (found.estimate, found.ci_high - found.estimate) == pytest.approx((estimate, half), rel=1e-5)
        seen.add(bool(cells.fit.variances[0]))
    assert seen == {True, False}


def test_an_effect_shifts_the_values_and_nothing_else(script):
    found = script.of_crossed(5, 10, 0.08, "normal", 4000, np.random.default_rng(1))
    measured = script.measured(found)
    estimate, half = found
    assert measured["power"] == np.mean(estimate + np.log2(1.1) - half >= 0)
    assert measured["coverage"] == pytest.approx(1 - measured["type_1_error"])
    assert measured["type_1_error"] == np.mean((estimate - half >= 0) | (estimate + half <= 0))
    assert 0.25 < measured["upper_error"] / measured["type_1_error"] < 0.75


def test_many_tables_at_once_are_the_test(script):
    rng = np.random.default_rng(3)
    estimates, halves = script.of_crossed(4, 6, 0.1, "skewed", 5, rng)
    again = np.random.default_rng(3)
    means = 0.1 * again.normal(size=(5, 4, 1)) + script.slide_effects("skewed", (5, 1, 6), again)
    means = means + script.CELL_SD * again.normal(size=(5, 4, 6))
    network, unit = (codes.ravel() for codes in np.indices((4, 6)))
    for table, estimate, half in zip(means, estimates, halves, strict=True):
        sample = SimpleNamespace(cells=NetworkCells.from_rows(table.ravel(), network, unit, unit))
        found = crossed(sample, alpha=0.05)
        assert (found.estimate, found.ci_high - found.estimate) == pytest.approx((estimate, half))


def test_unanswered_studies_are_counted(script):
    measured = script.measured((np.array([0.1, np.nan, 0.0]), np.array([0.05, np.nan, 1.0])))
    assert (measured["simulations"], measured["unanswered"], measured["type_1_error"]) == (2, 1, 0.5)


@pytest.mark.parametrize(("kind", "cells"), [("folds, patches", 12), ("empty cells", 44)])
def test_patches_are_of_their_design(script, kind, cells):
    networks = 4 if kind == "empty cells" else 3
    drawn = script.patches(kind, networks, 12, 0.1, "skewed", np.random.default_rng(2)).cells
    assert np.count_nonzero(drawn.counts) == cells
    assert drawn.counts.max() == 60
    assert (drawn.n_networks, drawn.n_units) == (networks, 12)


def test_a_table_has_a_row_for_every_design(script, tmp_path):
    done = CliRunner().invoke(script.main, ["--out", str(tmp_path), "--simulations", "40", "--patches", "0"])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "crossed.csv")
    assert len(table) == (len(script.CROSSED) + len(script.FOLDS)) * 6
    assert (table["simulations"] == 40).all()
    assert table["type_1_error"].between(table["type_1_low"] - 1e-4, table["type_1_high"] + 1e-4).all()
