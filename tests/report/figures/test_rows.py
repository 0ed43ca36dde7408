"""What the figures of many estimates share: panels, marks with a table's intervals, names of rows, axes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from saliency_stats.report.figures import rows as panel
from saliency_stats.report.figures.rows import Look
from saliency_stats.report.run import Run

LOOKS = {"a": Look("#112233", "o", 20.0, 1.5), "b": Look("#AA0000", "D", 40.0, 0.5)}


@pytest.fixture(scope="module")
def run(small_folder: Path) -> Run:
    run = Run.read(small_folder)
    return run.changed(patches=pd.concat([run.patches.assign(magnification=at) for at in (20.0, 5.0, 10.0)]))


def _table(*strata: tuple[float, str]) -> pd.DataFrame:
    return pd.DataFrame(strata, columns=["magnification", "label"]).assign(value=range(len(strata)))


def _estimates() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "kind": ["a", "b", "a", "b"],
            "at": [3.0, 2.0, 1.0, 0.0],
            "estimate": [0.5, -0.5, 0.25, np.nan],
            "ci_low": [0.25, -1.0, np.nan, -1.0],
            "ci_high": [1.0, 0.0, np.nan, 1.0],
        }
    )


def _axes(_run: Run) -> Any:
    return Figure().subplots()


def test_what_is_known_comes_first_and_each_once() -> None:
    assert panel.in_order(["z", "b", "a", "z"], ["c", "a", "z", "d", "a"]) == ["z", "a", "c", "d"]
    assert panel.in_order([], []) == []


def test_strata_are_those_of_the_table_coarse_to_fine(run: Run) -> None:
    table = _table((20.0, "benign"), (5.0, "malignant"), (5.0, "benign"), (40.0, "benign"), (5.0, "benign"))
    assert panel.strata(run, table) == [(5.0, "benign"), (5.0, "malignant"), (20.0, "benign")]
    assert panel.of_stratum(table, (5.0, "benign"))["value"].tolist() == [2, 4]
    assert panel.place_words((5.0, "benign")) == "Benign, 5×"


def test_panels_are_a_row_per_magnification_and_columns_per_class(run: Run) -> None:
    table = _table((20.0, "benign"), (5.0, "malignant"))
    figure, grid = panel.panels(run, table, 2.0, around_in=0.5, width_in=6.0, width_ratios=[3.0, 1.0])
    assert tuple(figure.get_size_inches()) == (6.0, 4.5)
    order = ["benign", "malignant"]
    assert list(grid) == [(at, label) for at in (5.0, 20.0) for label in order]
    for (at, label), pair in grid.items():
        assert len(pair) == 2
        for k, axes in enumerate(pair):
            spec = axes.get_subplotspec()
            assert spec.rowspan.start == (5.0, 20.0).index(at)
            assert spec.colspan.start == 2 * order.index(label) + k
    assert grid[5.0, "benign"][0].get_subplotspec().get_gridspec().get_width_ratios() == [3.0, 1.0] * 2


def test_several_panels_may_stand_below_one_another(run: Run) -> None:
    _, grid = panel.panels(run, _table((20.0, "benign"), (5.0, "benign")), 1.0, height_ratios=[2.0, 1.0])
    found = [[axes.get_subplotspec().rowspan.start for axes in pair] for pair in grid.values()]
    assert found == [[0, 1], [2, 3]]
    assert grid[5.0, "benign"][0].get_subplotspec().get_gridspec().get_height_ratios() == [2.0, 1.0] * 2


def test_marks_and_intervals_are_the_table_s(run: Run, seen) -> None:
    axes = _axes(run)
    panel.mark_estimates(axes, _estimates(), LOOKS, look="kind", at="at", hollow=[True, False, False, True])
    marks = seen.marks(axes)
    assert marks[["x", "y"]].to_numpy().tolist() == [[0.5, 3.0], [-0.5, 2.0], [0.25, 1.0]]
    assert marks["face"].tolist() == ["#FFFFFF", "#AA0000", "#112233"]
    assert marks["edge"].tolist() == ["#112233", "#AA0000", "#112233"]
    assert marks["shape"].tolist() == ["o", "D", "o"]
    assert marks["size"].tolist() == [20.0, 40.0, 20.0]
    # no line without both limits, nor without an estimate
    assert seen.lines(axes) == {(3.0, 0.25, 1.0), (2.0, -1.0, 0.0)}
    looks = [(seen.hexed(of.get_color()[0]), of.get_linewidth()[0], of.get_alpha()) for of in axes.collections[:-1]]
    assert sorted(looks) == [("#112233", 1.5, 1.0), ("#AA0000", 0.5, 1.0)]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("", "")
    assert axes.get_legend() is None


def test_marks_may_stand_upright_with_a_rim_and_without_intervals(run: Run, seen) -> None:
    axes = _axes(run)
    style = {"upright": True, "edge": "white", "opacity": 0.5}
    panel.mark_estimates(axes, _estimates(), LOOKS, look="kind", at="at", **style)
    assert {tuple(map(tuple, line)) for line in seen.segments(axes)} == {
        ((3.0, 0.25), (3.0, 1.0)),
        ((2.0, -1.0), (2.0, 0.0)),
    }
    assert set(seen.marks(axes)["edge"]) == {"#FFFFFF"}
    assert axes.collections[0].get_alpha() == 0.5
    bare = _axes(run)
    panel.mark_estimates(bare, _estimates(), LOOKS, look="kind", at="at", columns=("estimate",))
    assert not seen.segments(bare)
    assert len(seen.marks(bare)) == 3


def test_names_of_rows_stand_beside_the_first_column_alone(run: Run, seen) -> None:
    _, grid = panel.panels(run, _table((20.0, "benign"), (20.0, "malignant"), (5.0, "benign")), 1.0, sharey=True)
    for (axes,) in grid.values():
        panel.name_rows(axes, [(0.0, "one"), (1.0, "two")], {"one"})
        panel.name_below(axes, "ratio")
    assert [bool(axes.get_xlabel()) for (axes,) in grid.values()] == [False, False, True, True]
    first = grid[5.0, "benign"][0]
    assert seen.rows(first) == {"two": 1.0, "one": 0.0}
    assert seen.bold(first) == ["one"]
    assert not grid[5.0, "malignant"][0].get_yticklabels()


@pytest.mark.parametrize("which", ["x", "y"])
@pytest.mark.parametrize(
    ("values", "low", "high"), [([0.5, 2.0, np.nan], -0.1, 2.0), ([-2.0, -0.5], -2.0, 0.1), ([0.02], -0.1, 0.1)]
)
def test_an_axis_of_ratios_reaches_its_values_and_no_preference(
    run: Run, which: str, values: list[float], low: float, high: float
) -> None:
    axes = _axes(run)
    panel.fit_ratios(axes, pd.DataFrame({"value": values}), which)
    pad = 0.08 * max(high - low, 0.5)
    assert getattr(axes, f"get_{which}lim")() == pytest.approx((low - pad, high + pad))
    (line,) = axes.lines
    assert set(getattr(line, f"get_{which}data")()) == {0.0}
    assert line.get_linestyle() == "--"
    assert axes.spines["left"].get_visible() is (which == "y")
    ticks = getattr(axes, f"get_{which}ticks")()
    assert 0.0 in ticks
    assert which == "y" or len(ticks) <= 7


def test_a_legend_s_mark_looks_like_the_panel_s() -> None:
    filled = panel.handle("words", LOOKS["b"])
    assert (filled.get_label(), filled.get_marker(), filled.get_linestyle()) == ("words", "D", "None")
    assert filled.get_markersize() == pytest.approx(40**0.5)
    assert (filled.get_color(), filled.get_markerfacecolor()) == ("#AA0000", "#AA0000")
    hollow = panel.handle("words", LOOKS["b"], hollow=True, linestyle="-")
    assert (hollow.get_color(), hollow.get_markerfacecolor(), hollow.get_linestyle()) == ("#AA0000", "white", "-")
