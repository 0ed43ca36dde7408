"""What figures share: networks' lines and names, estimates at their values with the table's intervals, axes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from saliency_stats.report.figures import marks
from saliency_stats.report.figures.marks import Look
from saliency_stats.report.figures.style import (
    CONTROL_COLOUR,
    DIFFERENCE_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    house_style,
    new_figure,
)
from saliency_stats.report.run import Run

LOOKS = {"a": Look("#112233", "o", 20.0, 1.5), "b": Look("#AA0000", "D", 40.0, 0.5)}


@pytest.fixture
def axes() -> Axes:
    return new_figure(2.0).subplots()


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


def test_units_are_known_if_all_are(run: Run) -> None:
    assert marks.units_known(run)
    ledger = run.ledger.copy()
    ledger.loc[ledger["patch_id"] == run.judged_ledger["patch_id"].iloc[0], "slide_id"] = ""
    assert not marks.units_known(run.changed(ledger=ledger))
    table = pd.DataFrame({"slide_id": ["a", "", "b"], "patient_id": ""})
    assert not marks.units_known(run, table)
    assert marks.units_known(run, table.iloc[[0, 2]])


def test_networks_have_the_words_of_the_record(run: Run) -> None:
    table = pd.DataFrame({"model": ["b", "trained", "a", "b"]})
    assert marks.networks(table) == ["trained", "a", "b"]
    meant = {"map_1": {"words": "mine", "is": "mine: a map of my own", "shown": True}}
    own = Run(run.folder, run.tables, {"controls": meant})
    assert [own.network(name) for name in ("trained", "map_1", "trained-map_1", "other")] == [
        *("trained", "mine control", "trained − mine", "other control"),
    ]
    assert marks.control_meaning(own, "map_1") == "mine control (a map of my own)"
    assert marks.control_meaning(own, "other") == "other control"
    expected = "randomised control (the same architecture with random weights)"
    assert marks.control_meaning(run, "randomised") == expected


def test_looks() -> None:
    assert marks.look("trained") == (TRAINED_COLOUR, "o", 25.0, 1.5)
    assert marks.look("randomised") == (CONTROL_COLOUR, "s", 25.0, 1.5)
    assert marks.look("trained-randomised") == (DIFFERENCE_COLOUR, "D", 25.0, 1.5)
    dashed = marks.dashes(["trained", "a", "b", "c", "d", "e"])
    assert dashed["trained"] == ""
    assert [dashed[name] for name in "abcd"] == [(4, 2), (1, 1.5), (6, 1.5, 1, 1.5), (2, 3)]
    assert dashed["e"] == dashed["a"]


def test_a_line_per_network_is_interrupted_where_nothing_is_known(axes: Axes) -> None:
    table = pd.DataFrame(
        {
            "at": [0.0, 1.0, 2.0, 3.0, 3.5, 4.0, 0.0, 1.0],
            "value": [1.0, 3.0, np.nan, 2.0, 1.5, 0.5, 5.0, 4.0],
            "model": ["trained"] * 6 + ["b"] * 2,
        }
    )
    with house_style():
        marks.network_lines(axes, table, "at", "value", ["trained", "a", "b"], 1.7)
    drawn = {tuple(line.get_ydata()): line for line in axes.lines}
    assert set(drawn) == {(1.0, 3.0), (2.0, 1.5, 0.5), (5.0, 4.0)}
    assert drawn[2.0, 1.5, 0.5].get_xdata().tolist() == [3.0, 3.5, 4.0]
    assert {line.get_linewidth() for line in drawn.values()} == {1.7}
    assert (drawn[1.0, 3.0].get_color(), drawn[1.0, 3.0].get_linestyle()) == (TRAINED_COLOUR, "-")
    control = drawn[5.0, 4.0]
    assert (control.get_color(), control.get_linestyle()) == (CONTROL_COLOUR, "--")
    # of the networks of the legend it is the second control
    assert control._unscaled_dash_pattern[1] == (1, 1.5)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_legend()) == ("", "", None)


def test_lines_keep_the_order_of_their_rows(axes: Axes) -> None:
    table = pd.DataFrame({"at": [0.0, 0.0, 1.0, 0.5], "value": [0.0, 1.0, 1.0, 2.0], "model": "trained"})
    marks.network_lines(axes, table, "at", "value", ["trained"])
    assert axes.lines[0].get_xdata().tolist() == [0.0, 0.0, 1.0, 0.5]
    assert axes.lines[0].get_linewidth() == 1.5


def test_entries_of_networks(run: Run) -> None:
    trained, control = marks.network_handles(run, ["trained", "randomised"], ["AUC 0.9", ""], 1.3)
    assert (trained.get_label(), control.get_label()) == ("trained, AUC 0.9", "randomised control")
    assert (trained.get_color(), control.get_color()) == (TRAINED_COLOUR, CONTROL_COLOUR)
    assert (trained.get_linestyle(), control.get_linestyle()) == ("-", "--")
    assert trained.get_linewidth() == control.get_linewidth() == 1.3
    assert control._unscaled_dash_pattern[1] == (4, 2)
    assert [handle.get_label() for handle in marks.network_handles(run, ["trained"])] == ["trained"]


def test_a_reference_is_a_quiet_broken_line(axes: Axes) -> None:
    marks.reference(axes, 0.5)
    marks.reference(axes, 2.0, "x")
    marks.reference(axes)
    level, upright, zero = axes.lines
    assert list(zero.get_ydata()) == [0.0, 0.0]
    assert list(level.get_ydata()) == [0.5, 0.5]
    assert list(upright.get_xdata()) == [2.0, 2.0]
    assert {line.get_color() for line in axes.lines} == {QUIET}
    assert {line.get_linestyle() for line in axes.lines} == {"--"}
    assert {line.get_zorder() for line in axes.lines} == {0}


@pytest.mark.parametrize("upright", [False, True])
def test_an_estimate_stands_at_its_value_on_its_interval(axes: Axes, *, upright: bool) -> None:
    marks.estimate(axes, 3.0, 0.7, (0.5, 1.1), Look("red", "s", 4.2**2, 1.7), upright=upright)
    interval, mark = axes.lines
    along, across = (interval.get_ydata, interval.get_xdata) if upright else (interval.get_xdata, interval.get_ydata)
    assert list(along()) == [0.5, 1.1]
    assert list(across()) == [3.0, 3.0]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == ((3.0, 0.7) if upright else (0.7, 3.0))
    assert (mark.get_marker(), mark.get_markersize()) == ("s", pytest.approx(4.2))
    assert mark.get_markerfacecolor() == mark.get_markeredgecolor() == interval.get_color() == "red"
    assert interval.get_alpha() == 1.0
    assert interval.get_linewidth() == 1.7
    assert mark.get_zorder() > interval.get_zorder() > 2


def test_no_finding_is_hollow_and_no_interval_none(axes: Axes) -> None:
    marks.estimate(axes, 3.0, 0.7, (0.5, 1.1), Look("red", "s", 25.0), hollow=True, faint=True, edge="blue")
    interval, mark = axes.lines
    assert mark.get_markerfacecolor() == "white"
    assert mark.get_markeredgecolor() == "blue"
    assert mark.get_markersize() == 5.0
    assert interval.get_alpha() == 0.4
    for limits in ((np.nan, np.nan), (0.5, np.nan), (0.5, np.inf)):
        bare = new_figure(1.0).subplots()
        marks.estimate(bare, 3.0, 0.7, limits, Look("red", "s"))
        assert len(bare.lines) == 1


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


def test_marks_and_intervals_are_the_table_s(axes: Axes, seen) -> None:
    marks.mark_estimates(axes, _estimates(), LOOKS, look="kind", at="at", hollow=[True, False, False, True])
    drawn = seen.marks(axes)
    assert drawn[["x", "y"]].to_numpy().tolist() == [[0.5, 3.0], [-0.5, 2.0], [0.25, 1.0]]
    assert drawn["face"].tolist() == ["#FFFFFF", "#AA0000", "#112233"]
    assert drawn["edge"].tolist() == ["#112233", "#AA0000", "#112233"]
    assert drawn["shape"].tolist() == ["o", "D", "o"]
    assert drawn["size"].tolist() == [20.0, 40.0, 20.0]
    # no line without both limits, nor without an estimate
    assert seen.lines(axes) == {(3.0, 0.25, 1.0), (2.0, -1.0, 0.0)}
    looks = [(seen.hexed(of.get_color()[0]), of.get_linewidth()[0], of.get_alpha()) for of in axes.collections[:-1]]
    assert sorted(looks) == [("#112233", 1.5, 1.0), ("#AA0000", 0.5, 1.0)]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("", "")
    assert axes.get_legend() is None


def test_marks_may_stand_upright_with_a_rim_and_without_intervals(axes: Axes, seen) -> None:
    style = {"upright": True, "edge": "white", "opacity": 0.5}
    marks.mark_estimates(axes, _estimates(), LOOKS, look="kind", at="at", **style)
    assert {tuple(map(tuple, line)) for line in seen.segments(axes)} == {
        ((3.0, 0.25), (3.0, 1.0)),
        ((2.0, -1.0), (2.0, 0.0)),
    }
    assert set(seen.marks(axes)["edge"]) == {"#FFFFFF"}
    assert axes.collections[0].get_alpha() == 0.5
    bare = new_figure(1.0).subplots()
    marks.mark_estimates(bare, _estimates(), LOOKS, look="kind", at="at", columns=("estimate",))
    assert not seen.segments(bare)
    assert len(seen.marks(bare)) == 3


@pytest.mark.parametrize("which", ["x", "y"])
@pytest.mark.parametrize(
    ("values", "low", "high"), [([0.5, 2.0, np.nan, np.inf], -0.1, 2.0), ([-2.0, -0.5], -2.0, 0.1), ([0.02], -0.1, 0.1)]
)
def test_an_axis_of_ratios_reaches_its_values_and_no_preference(
    axes: Axes, which: str, values: list[float], low: float, high: float
) -> None:
    marks.fit_ratios(axes, pd.DataFrame({"value": values}), which)
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
    filled = marks.handle("words", LOOKS["b"])
    assert (filled.get_label(), filled.get_marker(), filled.get_linestyle()) == ("words", "D", "None")
    assert filled.get_markersize() == pytest.approx(40**0.5)
    assert (filled.get_color(), filled.get_markerfacecolor()) == ("#AA0000", "#AA0000")
    hollow = marks.handle("words", LOOKS["b"], hollow=True, linestyle="-")
    assert (hollow.get_color(), hollow.get_markerfacecolor(), hollow.get_linestyle()) == ("#AA0000", "white", "-")
    assert hollow.get_linewidth() == 0.5


def test_a_wide_axis_of_ratios_may_have_all_its_ticks(axes: Axes) -> None:
    marks.fit_ratios(axes, [-0.02, 1.2], least=0.5, most_ticks=None)
    assert axes.get_xlim() == pytest.approx((-0.5 - 0.136, 1.2 + 0.136))
    every = len(axes.get_xticks())
    marks.fit_ratios(axes, [-5.0, 5.0], most_ticks=None)
    assert len(axes.get_xticks()) == 11 > every
    marks.fit_ratios(axes, [-5.0, 5.0])
    assert axes.get_xticks().tolist() == [-4.0, -2.0, 0.0, 2.0, 4.0]
    # seven ticks are one too many
    marks.fit_ratios(axes, [-0.5, 0.5])
    assert axes.get_xticks() == pytest.approx(np.log2([0.8, 1.0, 1.2]))


def test_lines_join_rows_without_words_or_a_legend(axes: Axes) -> None:
    table = pd.DataFrame({"at": [0.0, 1.0, 0.0, 1.0], "value": [1.0, 2.0, 3.0, 5.0], "kind": list("aabb")})
    marks.lines(axes, table, "at", "value", hue="kind", palette={"a": "#112233", "b": "#AA0000"}, linewidth=0.7)
    drawn = {line.get_color(): line.get_ydata().tolist() for line in axes.lines}
    assert drawn == {"#112233": [1.0, 2.0], "#AA0000": [3.0, 5.0]}
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_legend()) == ("", "", None)


def test_where_no_estimate_is_known_nothing_is_marked(axes: Axes) -> None:
    marks.mark_estimates(axes, _estimates().assign(estimate=np.nan), LOOKS, look="kind", at="at")
    assert not axes.collections
    assert not axes.lines
    marks.lines(axes, pd.DataFrame(columns=["a", "b", "hue"]), "a", "b", hue="hue", palette={"x": "red"})
    assert not axes.lines
