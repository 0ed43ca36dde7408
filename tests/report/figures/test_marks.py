"""What figures share: panels in their places, networks' lines and names, estimates at their values."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from saliency_stats.report.figures import marks
from saliency_stats.report.figures.style import (
    CONTROL_COLOUR,
    DIFFERENCE_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    house_style,
    new_figure,
)
from saliency_stats.report.run import Run


@pytest.fixture
def axes() -> Axes:
    return new_figure(2.0).subplots()


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


def _scaled(run: Run) -> Run:
    """The run with every patch at a second, coarser magnification too."""
    both = [run.patches, run.patches.assign(magnification=5.0)]
    return run.changed(patches=pd.concat(both, ignore_index=True))


def test_panels_stand_by_magnification_and_class(run: Run) -> None:
    scaled = _scaled(run)
    table = pd.DataFrame(
        {
            "magnification": [20.0, 5.0, 5.0, 20.0],
            "label": ["malignant", "benign", "malignant", "benign"],
            "n": range(4),
        }
    )
    figure, grid, panels = marks.facets(scaled, table, 0.6, 2.5, sharey=True)
    assert grid.shape == (2, 2)
    assert figure.get_size_inches()[1] == 0.6 + 2 * 2.5
    assert [(panel.magnification, panel.label) for panel in panels] == [
        *((5.0, "benign"), (5.0, "malignant"), (20.0, "benign"), (20.0, "malignant")),
    ]
    assert [panel.rows["n"].tolist() for panel in panels] == [[1], [2], [3], [0]]
    assert [panel.axes for panel in panels] == list(grid.flat)
    assert grid[0, 0].get_title() == "benign, 5× (classifier at chance)"
    assert grid[1, 1].get_title() == "malignant, 20×"
    assert grid[0, 0].get_shared_y_axes().joined(grid[0, 0], grid[1, 1])
    few = table[table["label"] == "malignant"].iloc[:1]
    _, grid, panels = marks.facets(scaled, few, 0.6, 2.5)
    assert [(panel.magnification, panel.label) for panel in panels] == [(20.0, "malignant")]


def test_units_are_known_if_all_are(run: Run) -> None:
    assert marks.units_known(run)
    ledger = run.ledger.copy()
    ledger.loc[ledger["patch_id"] == run.judged_ledger["patch_id"].iloc[0], "slide_id"] = ""
    assert not marks.units_known(run.changed(ledger=ledger))


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
    assert marks.look("trained") == (TRAINED_COLOUR, "o")
    assert marks.look("randomised") == (CONTROL_COLOUR, "s")
    assert marks.look("trained-randomised") == (DIFFERENCE_COLOUR, "D")
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
    level, upright = axes.lines
    assert list(level.get_ydata()) == [0.5, 0.5]
    assert list(upright.get_xdata()) == [2.0, 2.0]
    assert {line.get_color() for line in axes.lines} == {QUIET}
    assert {line.get_linestyle() for line in axes.lines} == {"--"}
    assert {line.get_zorder() for line in axes.lines} == {0}


@pytest.mark.parametrize("upright", [False, True])
def test_an_estimate_stands_at_its_value_on_its_interval(axes: Axes, *, upright: bool) -> None:
    marks.estimate(axes, 3.0, 0.7, (0.5, 1.1), colour="red", marker="s", size=4.2, upright=upright)
    interval, mark = axes.lines
    along, across = (interval.get_ydata, interval.get_xdata) if upright else (interval.get_xdata, interval.get_ydata)
    assert list(along()) == [0.5, 1.1]
    assert list(across()) == [3.0, 3.0]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == ((3.0, 0.7) if upright else (0.7, 3.0))
    assert (mark.get_marker(), mark.get_markersize()) == ("s", 4.2)
    assert mark.get_markerfacecolor() == mark.get_markeredgecolor() == interval.get_color() == "red"
    assert interval.get_alpha() == 1.0
    assert interval.get_linewidth() == 1.5
    assert mark.get_zorder() > interval.get_zorder() > 2


def test_no_finding_is_hollow_and_no_interval_none(axes: Axes) -> None:
    marks.estimate(axes, 3.0, 0.7, (0.5, 1.1), colour="red", marker="s", hollow=True, faint=True, edge="blue")
    interval, mark = axes.lines
    assert mark.get_markerfacecolor() == "white"
    assert mark.get_markeredgecolor() == "blue"
    assert mark.get_markersize() == 5.0
    assert interval.get_alpha() == 0.4
    for limits in ((np.nan, np.nan), (0.5, np.nan), (0.5, np.inf)):
        bare = new_figure(1.0).subplots()
        marks.estimate(bare, 3.0, 0.7, limits, colour="red", marker="s")
        assert len(bare.lines) == 1
