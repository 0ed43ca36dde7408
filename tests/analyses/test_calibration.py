"""The simulation behind the calibration table: its shortcuts are the tests they stand for."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from saliency_stats.statistics import TESTS

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
    rows = script.one_cell((6, "balanced", 0.2, "normal"), 60, 8, 0)
    assert [row["test"] for row in rows] == [*(name for name in TESTS if name != "permutation"), "t_patches"]
    assert {row["simulations"] for row in rows if row["test"] not in script.FAST} == {8}
    assert all(row["unanswered"] == 0 for row in rows)
    assert all(0 <= row["type_1_low"] <= row["type_1_error"] <= row["type_1_high"] <= 1 for row in rows)
