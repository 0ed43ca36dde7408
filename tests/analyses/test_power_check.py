"""The check of plans: what it draws has the variances of a plan, and it judges by the tests of a run."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from saliency_stats.statistics.models.two_way import two_way
from saliency_stats.statistics.power import Aim, Simulator, plan_study
from saliency_stats.statistics.resampling import sign_flip
from saliency_stats.statistics.studies import crossed_half_widths


def squares_of(tables):
    found = two_way(tables)
    return found.network, found.unit, found.interaction


PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("analyses_power_check", PROJECT / "analyses" / "power_check.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_drawn_studies_have_the_variances_of_the_plan(script):
    drawn = script.draw(script.SEVERAL, 5, 10, 4_000, np.random.default_rng(0))
    spread = script.SEVERAL.spread(script.PATCHES)
    expected = (spread.cell + 10 * spread.network, spread.cell + 5 * spread.slide, spread.cell)
    assert [square.mean() for square in squares_of(drawn)] == pytest.approx(expected, rel=0.05)
    one = script.draw(script.ONE, 1, 8, 10_000, np.random.default_rng(0))
    assert one.shape == (10_000, 1, 8)
    assert one.var() == pytest.approx(script.ONE.spread(script.PATCHES).slide, rel=0.03)


def test_it_judges_by_the_tests_of_a_run(script):
    one = script.draw(script.ONE, 1, 8, 20, np.random.default_rng(0)) + 0.05
    alone = [sign_flip(study[0], alpha=0.05, draws=9, seed=0).p_value for study in one]
    np.testing.assert_allclose(script.p_values(one, "sign_flip"), alone)
    several = script.draw(script.SEVERAL, 5, 10, 300, np.random.default_rng(0)) + 0.06
    half = crossed_half_widths(two_way(several), 0.05)
    p_values = script.p_values(several, "crossed")
    np.testing.assert_array_equal(p_values < 0.05, np.abs(several.mean(axis=(1, 2))) > half)
    assert 20 < (p_values < 0.05).sum() < 280


@pytest.mark.parametrize("hypotheses", [1, 8])
def test_a_plan_with_too_few_slides_is_noticed(script, hypotheses):
    aim = Aim("superiority", 0.12, hypotheses=hypotheses)
    (need,) = plan_study(Simulator(script.ONE, simulations=500), (aim,)).needs
    plan = {"components": script.ONE, "networks": 1, "test": "sign_flip"}
    rng = np.random.default_rng(1)
    assert script.found(need, plan, 400, rng) == pytest.approx(0.92, abs=0.05)
    assert script.found(replace(need, slides=6), plan, 400, rng) < (0.85 if hypotheses == 1 else 0.01)


def test_the_committed_powers_are_those_that_were_named():
    table = pd.read_csv(PROJECT / "analyses" / "results" / "calibration" / "power.csv")
    assert set(table["hypotheses"]) == {1, 2, 8}
    assert set(table["test"]) == {"sign_flip", "t_slide_means", "crossed"}
    assert (table["difference"].abs() < 0.05).all()
    assert table["difference"].to_numpy() == pytest.approx((table["named"] - table["found"]).to_numpy(), abs=1e-9)


def test_the_script_writes_its_table(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "HYPOTHESES", (2,))
    monkeypatch.setattr(script, "SIZES", (0.3, 0.0001))
    result = CliRunner().invoke(script.main, ["--out", str(tmp_path), "--studies", "60", "--simulations", "100"])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "power.csv")
    assert list(table["networks"].unique()) == [1, 5, 8]
    assert set(table["size_log2"]) == {0.3}  # what no realistic study shows has no plan to check
    assert (table["found"] > 0.6).all()
    assert "largest difference" in result.output
