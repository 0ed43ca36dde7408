"""The forest of several runs: a mark per run, class and magnification, with its own run's numbers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from saliency_stats.report.compare import comparison_table
from saliency_stats.report.figures.compare import caption_comparison, draw_comparison
from saliency_stats.report.figures.style import CONTROL_COLOUR, QUIET, house_style
from saliency_stats.report.run import Run
from saliency_stats.report.words import number, ratio

NAMES = ["first", "two magnifications", "chance"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> pd.DataFrame:
    root = tmp_path_factory.mktemp("compared")
    properties = (
        {"seed": 1, "slides": 6, "patches": 6},
        {"seed": 2, "slides": 6, "patches": 6, "magnifications": (10.0, 20.0), "control": False},
        {"seed": 3, "slides": 4, "patches": 5, "learned": False},
    )
    made = {name: make_run(root / name, **each) for name, each in zip(NAMES, properties, strict=True)}
    return comparison_table({name: Run.read(folder) for name, folder in made.items()})


def _drawn(table: pd.DataFrame, names: list[str], level: str = "95 %") -> Figure:
    with house_style():
        figure = draw_comparison(table, names, level)
        figure.draw_without_rendering()
    return figure


def _primary(table: pd.DataFrame, model: str) -> pd.DataFrame:
    return table[(table["contrast"] == "cytoplasm_vs_nucleus") & (table["model"] == model)]


def test_a_mark_per_run_class_and_magnification(table: pd.DataFrame, seen) -> None:
    axes, numbers = _drawn(table, NAMES).axes
    rows = _primary(table, "trained")
    marks = seen.marks(axes)
    assert marks["x"].tolist() == rows["estimate"].tolist()
    assert marks["y"].tolist() == pytest.approx(axes.get_yticks())
    assert marks["shape"].tolist() == ["osD"[NAMES.index(name)] for name in rows["run"]]
    colours = ["#1A1A1A", "#D55E00", "#0072B2"]
    assert marks["edge"].tolist() == [colours[NAMES.index(name)] for name in rows["run"]]
    assert (marks["face"] == "#FFFFFF").tolist() == (rows["run"] == "chance").tolist()
    assert set(marks["size"]) == {25.0}
    known = rows[np.isfinite(rows["ci_low"])]
    assert seen.intervals(axes)[["low", "high"]].to_numpy().tolist() == known[["ci_low", "ci_high"]].to_numpy().tolist()
    (crosses,) = (line for line in axes.lines if line.get_marker() == "x")
    controls = _primary(table, "randomised").set_index(["run", "label", "magnification"])["estimate"]
    expected = [
        controls.get(key, np.nan) for key in zip(rows["run"], rows["label"], rows["magnification"], strict=True)
    ]
    np.testing.assert_array_equal(crosses.get_xdata(), expected)
    np.testing.assert_array_equal(crosses.get_ydata(), marks["y"])
    assert crosses.get_color() == CONTROL_COLOUR
    assert [text.get_text() for text in axes.get_yticklabels()] == rows["run"].tolist()
    headings = [text.get_text() for text in axes.texts if "," in text.get_text()]
    assert headings == ["benign, 10×", "benign, 20×", "malignant, 10×", "malignant, 20×"]
    boxes = [text.get_window_extent() for text in numbers.texts]
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])
    assert all(box.x1 <= axes.get_figure().bbox.x1 + 1 for box in boxes)


def test_the_numbers_are_those_of_the_rows(table: pd.DataFrame) -> None:
    axes, numbers = _drawn(table, NAMES).axes
    rows = _primary(table, "trained")
    words = {
        (round(text.get_position()[0], 2), round(text.get_position()[1], 2)): text.get_text() for text in numbers.texts
    }
    for place, row in zip(axes.get_yticks(), rows.itertuples(), strict=True):
        assert words[0.09, round(place, 2)] == ratio(row.estimate)
        assert words[0.84, round(place, 2)] == f"{row.n_patches:g}"
        assert words[1.0, round(place, 2)] == number(row.balanced_accuracy)
    heads = [words[end, -0.8] for end in (0.09, 0.35, 0.55, 0.68, 0.84, 1.0)]
    assert heads == ["ratio", "95 % interval", "adjusted p", "slides", "patches", "accuracy"]
    other = _drawn(table, NAMES, "95 % and 99 % (each run's own)").axes[1]
    assert "interval" in {text.get_text() for text in other.texts}


def test_the_axis_holds_everything_that_is_drawn(table: pd.DataFrame) -> None:
    figure = _drawn(table, NAMES)
    found = [_primary(table, "trained")[["estimate", "ci_low", "ci_high"]].to_numpy().ravel()]
    found.append(_primary(table, "randomised")["estimate"].to_numpy())
    low, high = np.nanmin([*np.concatenate(found), -0.3]), np.nanmax([*np.concatenate(found), 0.3])
    pad = 0.08 * (high - low)
    assert figure.axes[0].get_xlim() == pytest.approx((low - pad, high + pad))
    places = figure.axes[0].get_yticks()
    assert figure.get_size_inches()[1] == pytest.approx(1.35 + 0.23 * (places[-1] + 1))


def test_the_legend_has_every_run_and_what_marks_mean(table: pd.DataFrame) -> None:
    handles = _drawn(table, NAMES).legends[0].legend_handles
    assert [handle.get_label() for handle in handles] == [
        *NAMES,
        *("hollow: not shown to have learned, no finding", "random weights"),
    ]
    assert [handle.get_marker() for handle in handles] == ["o", "s", "D", "o", "x"]
    assert [handle.get_color() for handle in handles[-2:]] == [QUIET, CONTROL_COLOUR]
    assert handles[-2].get_markerfacecolor() == "white"
    sure = table[(table["run"] == NAMES[1])]
    labels = [handle.get_label() for handle in _drawn(sure, NAMES[1:2]).legends[0].legend_handles]
    assert labels == [NAMES[1]]


def test_no_two_of_many_runs_look_alike(table: pd.DataFrame) -> None:
    names = [f"run {k}" for k in range(56)]
    one = table[table["run"] == NAMES[0]]
    handles = draw_comparison(one.assign(run="run 55"), names, "95 %").legends[0].legend_handles[:56]
    assert len({(handle.get_color(), handle.get_marker()) for handle in handles}) == 56


def test_long_names_keep_their_ends_apart(table: pd.DataFrame) -> None:
    one = table[table["run"] == NAMES[0]]
    names = [f"a-long-name-of-a-study-that-goes-on-at-{magnification}" for magnification in (10, 20)]
    figure = _drawn(pd.concat([one.assign(run=name) for name in names]), names)
    shown = [text.get_text() for text in figure.legends[0].get_texts()[:2]]
    assert shown == ["a-long-name-…t-goes-on-at-10", "a-long-name-…t-goes-on-at-20"] or max(map(len, shown)) == 26
    assert len(set(shown)) == 2
    assert all(name.startswith(word.split("…")[0]) for name, word in zip(names, shown, strict=True))
    assert all(name.endswith(word.split("…")[1]) for name, word in zip(names, shown, strict=True))
    fits = "n" * 26
    assert _drawn(one.assign(run=fits), [fits]).legends[0].get_texts()[0].get_text() == fits


def test_nothing_to_draw_is_said_and_the_caption_names_the_level(table: pd.DataFrame) -> None:
    figure = draw_comparison(table.assign(estimate=np.nan), NAMES, "95 %")
    assert "nothing to draw: no run has a judged patch" in figure.texts[0].get_text()
    assert "Lines: 90 % intervals by each run's own primary test" in caption_comparison("90 %")
