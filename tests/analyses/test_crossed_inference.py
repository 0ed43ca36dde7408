"""The simulation of the crossed test: its shortcuts are the test that they stand for."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

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
    estimates, variances, dfs = script.nested(tables)
    network, unit = np.repeat(np.arange(4), 3), np.arange(12)
    for table, estimate, variance, df in zip(tables, estimates, variances, dfs, strict=True):
        cells = NetworkCells.from_rows(table.ravel(), network, unit, unit)
        found = crossed(SimpleNamespace(cells=cells), alpha=0.05)
        assert (found.estimate, found.se**2, found.df) == pytest.approx((estimate, variance, df), rel=1e-5)
    assert set(dfs) == {3, 11}


def test_an_effect_shifts_the_values_and_nothing_else(script):
    found = script.of_crossed(5, 10, 0.08, "normal", 4000, np.random.default_rng(1))
    measured = script.measured(found)
    estimate, variance, df = found
    p_values = 2 * stats.t.sf(np.abs(estimate + np.log2(1.1)) / np.sqrt(variance), df)
    assert measured["power"] == pytest.approx(np.mean((p_values <= 0.05) & (estimate + np.log2(1.1) > 0)))
    assert measured["coverage"] == pytest.approx(1 - measured["type_1_error"])
    assert measured["type_1_error"] == np.mean(2 * stats.t.sf(np.abs(estimate) / np.sqrt(variance), df) <= 0.05)
    assert 0.25 < measured["upper_error"] / measured["type_1_error"] < 0.75


def test_unanswered_studies_are_counted(script):
    found = (np.array([0.1, np.nan, 0.0]), np.array([1e-4, np.nan, 1.0]), np.array([5.0, np.nan, 5.0]))
    measured = script.measured(found)
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
