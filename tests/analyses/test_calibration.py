"""The simulation behind the calibration table: its shortcuts are the tests they stand for."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import TESTS, Test

PATH = Path(__file__).parents[2] / "analyses" / "calibration.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("analyses_calibration", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("test", ["t_slide_means", "sign_flip"])
@pytest.mark.parametrize("slides", [6, 20])
def test_many_samples_at_once_give_the_p_values_of_one_at_a_time(script, test, slides):
    drawn = script.draw((slides, "unbalanced", 0.2, "skewed"), 0.1, 12, np.random.default_rng(0))
    together = script.fast(test, *drawn)
    alone, covers = script.slow(test, *drawn)
    error = 0.0 if slides <= 16 or test == "t_slide_means" else 4 * 0.5 / script.DRAWS**0.5
    np.testing.assert_allclose(together, alone, rtol=1e-9, atol=error)
    if not error:
        np.testing.assert_array_equal(covers, together > script.ALPHA)


def test_the_drawn_slides_have_the_variances_of_their_cell(script):
    cell = (8, "unbalanced", 0.2, "heavy-tailed")
    sizes, means, squares = script.draw(cell, 0.3, 40_000, np.random.default_rng(1))
    assert sizes.tolist() == [2, 4, 9, 19, 41, 88, 188, 400]
    assert means.mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(means.var(axis=0), 0.2 + 0.8 / sizes, rtol=0.25)  # of Student's t: no fourth moment
    np.testing.assert_allclose(squares.mean(axis=0), 0.8 * (sizes - 1), rtol=0.03)
    skewed = script.draw((8, "balanced", 0.5, "skewed"), 0.0, 40_000, np.random.default_rng(2))[1]
    assert skewed.mean() == pytest.approx(0.0, abs=0.01)
    assert skewed.var() == pytest.approx(0.5 + 0.5 / 50, rel=0.05)


def test_the_test_over_patches_is_students_on_all_patches(script):
    rng = np.random.default_rng(3)
    values = [rng.normal(0.1, 1, size) for size in (3, 8, 5)]
    sizes = np.array([3.0, 8.0, 5.0])
    means = np.array([[part.mean() for part in values]])
    squares = np.array([[((part - part.mean()) ** 2).sum() for part in values]])
    expected = script.stats.ttest_1samp(np.concatenate(values), 0).pvalue
    assert script.fast("t_patches", sizes, means, squares)[0] == pytest.approx(expected)


def test_a_cell_has_a_row_for_every_test(script):
    tests = (*script.one_sample_tests(), "t_patches")
    rows = script.one_cell((6, "balanced", 0.2, "normal"), 60, 8, 0, tests)
    assert [row["test"] for row in rows] == list(tests)
    assert {row["simulations"] for row in rows if row["test"] not in script.FAST} == {8}
    assert all(row["unanswered"] == 0 for row in rows)
    assert all(0 <= row["type_1_low"] <= row["type_1_error"] <= row["type_1_high"] <= 1 for row in rows)
    alone = script.one_cell((6, "balanced", 0.2, "normal"), 60, 8, 0, ("cluster_robust",))
    assert alone == [row for row in rows if row["test"] == "cluster_robust"]


def test_tests_that_do_not_answer_about_one_sample_are_left_out(script, monkeypatch):
    assert set(script.one_sample_tests()) <= set(TESTS)
    assert {"sign_flip", "cluster_robust", "mixed_kenward_roger"} <= set(script.one_sample_tests())

    def no_answer(*_, **__):
        raise StatisticsError("this test compares two samples")

    monkeypatch.setitem(TESTS, "two_only", Test("two_only", "two samples", no_answer))
    assert "two_only" not in script.one_sample_tests()


def test_measured_rows_replace_those_of_the_same_tests_alone(script):
    cells = script.cells()
    tests = ("t_slide_means", "new", "t_patches")

    def rows(*names, value):
        columns = ("slides", "balance", "icc", "effects")
        return pd.DataFrame(
            [{"test": t, **dict(zip(columns, c, strict=True)), "v": value} for c in cells for t in names]
        )

    before = rows("t_slide_means", "gone", "t_patches", value=1)
    found = script.merged(before, rows("new", "t_patches", value=2), tests)
    assert list(found["test"]) == list(tests) * len(cells)
    assert found.groupby("test")["v"].unique().map(list).to_dict() == {
        "t_slide_means": [1],
        "new": [2],
        "t_patches": [2],
    }
    again = found[["slides", "balance", "icc", "effects"]].drop_duplicates().itertuples(index=False, name=None)
    assert list(again) == cells


def test_an_unknown_test_is_refused_before_anything_is_simulated(script, tmp_path):
    result = CliRunner().invoke(script.main, ["--out", str(tmp_path / "o"), "--only", "bca"])
    assert result.exit_code == 2
    assert "bca: expected some of t_slide_means" in result.output
    assert not (tmp_path / "o").exists()


def test_the_script_measures_a_test_alone_and_keeps_the_others(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "cells", lambda: [(6, "balanced", 0.0, "normal"), (8, "balanced", 0.0, "normal")])
    drawn = []
    monkeypatch.setattr(script, "picture", lambda table, path: drawn.append((len(table), path.name)))
    run = CliRunner().invoke
    small = ["--out", str(tmp_path), "--simulations", "20", "--slow", "4"]
    assert run(script.main, small).exit_code == 0
    first = pd.read_csv(tmp_path / "calibration.csv")
    assert drawn == [(len(first), "calibration.png")]
    result = run(script.main, [*small, "--seed", "1", "--only", "sign_flip"])
    assert result.exit_code == 0, result.output
    second = pd.read_csv(tmp_path / "calibration.csv")
    assert list(second["test"]) == list(first["test"])
    assert second[second["test"] != "sign_flip"].equals(first[first["test"] != "sign_flip"])
    assert not second.equals(first)
