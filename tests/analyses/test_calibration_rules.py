"""The simulation behind the table of the rules: its shortcuts are the rules they stand for."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics.equivalence import equivalences

PATH = Path(__file__).parents[2] / "analyses" / "calibration_rules.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("analyses_calibration_rules", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_many_families_at_once_are_judged_as_one_at_a_time(script):
    samples = np.random.default_rng(0).normal(0.3, 1, (6, 10))
    together = script.equivalence_p(samples, 1.0)
    alone = equivalences(list(samples), [0.0] * 6, margin=1.0, alpha=0.05, draws=script.DRAWS, seed=0)
    np.testing.assert_allclose(together["flips and Hall"], [one.p_value for one in alone])
    assert (together["flips and Hall"] >= together["flips alone"]).all()


@pytest.mark.parametrize("effects", ["normal", "heavy-tailed", "skewed"])
def test_units_have_mean_0_and_variance_1(script, effects):
    drawn = script.units(effects, (400, 500), np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(0, abs=0.02)
    assert drawn.var() == pytest.approx(1, rel=0.1)


def test_a_clear_top_is_named_and_a_tie_is_not(script):
    rng = np.random.default_rng(0)
    logs = 0.1 * rng.normal(size=(3, 10, 3)) + [0.0, 5.0, 1.0]
    assert [found.tolist() for found in script.named(logs)] == [[1, 1, 1], [1, 1, 1]]
    level = np.tile(logs[..., :1], 3) + 1e-3 * rng.normal(size=(3, 10, 3)) + [0.0, 0.0, -9.0]
    pairs, rest = script.named(level)
    assert (pairs == -1).any()
    assert (rest >= 0).all()


def test_the_difference_of_classes_is_drawn_as_said(script):
    sums = script.difference("normal", np.array([3, 5, 9]), np.random.default_rng(0))
    counts = np.stack([sums.sizes * (1 - sums.means[:, 1]), sums.sizes * sums.means[:, 1]])
    assert np.sort(counts).round().tolist() == [[3, 5, 9], [3, 5, 9]]


def test_each_rule_has_its_rows(script):
    rows = pd.DataFrame(
        [
            *script.densest_rows(4, np.random.default_rng(0)),
            *script.equivalent_rows(2, np.random.default_rng(0)),
            *script.difference_rows(1, np.random.default_rng(0)),
        ]
    )
    assert rows.groupby("rule").size().to_dict() == {"densest": 36, "difference": 90, "equivalent": 81}
    assert rows["errs"].between(0, 1).all()
    unreachable = (rows["slides"] == 8) & (rows["case"] == "family of 8")
    assert rows.loc[unreachable, "errs"].eq(0).all()
    assert rows.loc[unreachable, "finds"].eq(0).all()
