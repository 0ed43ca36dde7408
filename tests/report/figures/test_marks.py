"""What figures share: networks' lines and names, estimates at their values with the table's intervals, axes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from saliency_stats.report.figures import marks
from saliency_stats.report.figures.marks import Look
from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    DIFFERENCE_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    house_style,
    new_figure,
    spread,
)
from saliency_stats.report.population import points
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
    ledger = run.ledger.astype({"slide_id": "str"})
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


def _estimates() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "look": ["a", "b", "a", "b"],
            "place": [3.0, 2.0, 1.0, 0.0],
            "estimate": [0.5, -0.5, 0.25, np.nan],
            "ci_low": [0.25, -1.0, np.nan, -1.0],
            "ci_high": [1.0, 0.0, np.nan, 1.0],
        }
    )


def test_marks_and_intervals_are_the_table_s(axes: Axes, seen) -> None:
    marks.mark_estimates(axes, _estimates(), LOOKS, hollow=[True, False, False, True])
    drawn = seen.marks(axes)
    assert drawn[["x", "y"]].to_numpy().tolist() == [[0.5, 3.0], [-0.5, 2.0], [0.25, 1.0]]
    assert drawn["face"].tolist() == ["#FFFFFF", "#AA0000", "#112233"]
    assert drawn["edge"].tolist() == ["#112233", "#AA0000", "#112233"]
    assert drawn["shape"].tolist() == ["o", "D", "o"]
    assert drawn["size"].tolist() == [20.0, 40.0, 20.0]
    # no line without both limits, nor without an estimate
    assert seen.lines(axes) == {(3.0, 0.25, 1.0), (2.0, -1.0, 0.0)}
    looks = seen.intervals(axes)[["colour", "width", "opacity"]]
    assert looks.to_numpy().tolist() == [["#112233", 1.5, 1.0], ["#AA0000", 0.5, 1.0]]
    lines, points = axes.collections
    assert points.get_zorder() == 3 > lines.get_zorder()
    assert points.get_linewidths()[0] == 1.0
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("", "")
    assert axes.get_legend() is None


def test_marks_may_stand_upright_with_a_rim_and_without_intervals(axes: Axes, seen) -> None:
    style = {"upright": True, "edge": "white", "opacity": 0.5}
    marks.mark_estimates(axes, _estimates(), LOOKS, **style)
    assert {tuple(map(tuple, line)) for line in seen.segments(axes)} == {
        ((3.0, 0.25), (3.0, 1.0)),
        ((2.0, -1.0), (2.0, 0.0)),
    }
    assert set(seen.marks(axes)["edge"]) == {"#FFFFFF"}
    assert seen.marks(axes)[["x", "y"]].to_numpy().tolist() == [[3.0, 0.5], [2.0, -0.5], [1.0, 0.25]]
    assert set(seen.intervals(axes)["opacity"]) == {0.5}
    bare = new_figure(1.0).subplots()
    marks.mark_estimates(bare, _estimates(), LOOKS, columns=("estimate",))
    assert not seen.segments(bare)
    assert len(seen.marks(bare)) == 3


@pytest.mark.parametrize("limits", [(np.nan, np.nan), (0.5, np.nan), (np.nan, 0.5), (0.5, np.inf), (-np.inf, 1.0)])
def test_an_interval_without_both_limits_is_not_drawn(axes: Axes, seen, limits: tuple[float, float]) -> None:
    table = _estimates().iloc[:2].assign(ci_low=[limits[0], 0.0], ci_high=[limits[1], 1.0])
    marks.mark_estimates(axes, table, LOOKS)
    assert len(seen.marks(axes)) == 2
    assert seen.lines(axes) == {(2.0, 0.0, 1.0)}
    bare = new_figure(1.0).subplots()
    marks.mark_estimates(bare, table.iloc[:1], LOOKS)
    assert seen.intervals(bare).empty


def test_each_line_may_have_an_opacity_of_its_own(axes: Axes, seen) -> None:
    marks.mark_estimates(axes, _estimates(), LOOKS, opacity=[0.4, 0.9, 1.0, 1.0])
    assert seen.intervals(axes)["opacity"].tolist() == [0.4, 0.9]


def test_words_of_axes_are_kept_and_none_are_written(axes: Axes) -> None:
    table = _estimates()
    marks.mark_estimates(axes, table, LOOKS)
    marks.lines(axes, table, "place", "estimate")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("", "")
    axes.set(xlabel="below", ylabel="beside")
    marks.mark_estimates(axes, table, LOOKS)
    marks.lines(axes, table, "place", "estimate")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("below", "beside")
    before = len(axes.collections)
    marks.scatter(axes, table.iloc[:0], ("place", "estimate"), LOOKS)
    assert len(axes.collections) == before


def test_summaries_are_the_points_of_each_group(run: Run) -> None:
    rows = run.judged_ledger
    found = marks.summaries(run, rows, ["model", "compartment"], "density_ratio", log2=True)
    assert list(found.columns) == ["model", "compartment", "estimate", "ci_low", "ci_high", "each", "by_unit"]
    assert len(found) == 8
    for row in found.itertuples():
        own = rows[(rows["model"] == row.model) & (rows["compartment"] == row.compartment)]
        one = points(run, own, "density_ratio", log2=True)
        assert (row.estimate, row.ci_low, row.ci_high, row.by_unit) == (one.mean, one.low, one.high, True)
        np.testing.assert_array_equal(row.each, one.each)
    plain = marks.summaries(run, rows, ["model"], "density_ratio")
    assert plain["estimate"].iloc[0] == points(run, rows[rows["model"] == "randomised"], "density_ratio").mean


def _found(*each: list[float], by_unit: bool = True) -> pd.DataFrame:
    """Return summaries of the values of nuclei and stroma, the first at 0, the second at 2."""
    n = len(each)
    columns = {"compartment": ["nucleus", "stroma"][:n], "place": [0.0, 2.0][:n], "look": list("ab")[:n]}
    numbers = {"estimate": [5.0] * n, "ci_low": [4.0] * n, "ci_high": [np.nan] * n}
    return pd.DataFrame({**columns, **numbers, "by_unit": by_unit}).assign(each=[np.array(one) for one in each])


def test_dots_spread_around_their_mean_in_the_compartment_s_colour(axes: Axes, seen) -> None:
    found = _found([1.0, 2.0, 3.0], [7.0, 8.0]).assign(hollow=[False, True])
    reach = marks.mark_points(axes, found, LOOKS, 0.5, known=True)
    drawn = seen.marks(axes)
    dots, means = drawn.iloc[:5], drawn.iloc[5:]
    assert dots["y"].tolist() == [1.0, 2.0, 3.0, 7.0, 8.0]
    np.testing.assert_allclose(dots["x"], [*spread(3, 0.5), *(2.0 + spread(2, 0.5))])
    colours = [COMPARTMENT_COLOURS[name].upper() for name in ("nucleus", "stroma")]
    assert dots["edge"].tolist() == [colours[0]] * 3 + [colours[1]] * 2
    assert dots["face"].tolist() == [colours[0]] * 3 + ["#FFFFFF"] * 2
    assert set(dots["shape"]) == {"o"}
    assert means[["x", "y", "face", "edge"]].to_numpy().tolist() == [
        [0.0, 5.0, "#112233", "#FFFFFF"],
        [2.0, 5.0, "#AA0000", "#FFFFFF"],
    ]
    few, many = axes.collections[0], new_figure(1.0).subplots()
    assert (few.get_alpha(), few.get_rasterized(), few.get_sizes()[0], few.get_zorder()) == (0.75, False, 11.0, 1)
    assert few.get_linewidths()[0] == 0.6
    assert sorted(reach[np.isfinite(reach)]) == [1.0, 3.0, 4.0, 4.0, 5.0, 5.0, 7.0, 8.0]
    marks.mark_points(many, _found([1.0, 2.0], by_unit=False), LOOKS, 0.5, known=False)
    dots = many.collections[0]
    assert (dots.get_alpha(), dots.get_rasterized(), dots.get_sizes()[0]) == (0.35, True, 2.5)
    assert seen.marks(many)["face"].iloc[0] == colours[0]


def test_a_few_wild_dots_of_many_do_not_squeeze_the_axis() -> None:
    values = [*np.arange(100.0), 1e6]

    def reach(*, by_unit: bool, most: float) -> list[float]:
        found = _found(values, by_unit=by_unit)
        reached = marks.mark_points(new_figure(1.0).subplots(), found, LOOKS, 0.5, known=by_unit, most=most)
        return sorted(reached[np.isfinite(reached)])

    bulk = np.percentile(values, [1.0, 99.0])
    for by_unit, most, ends in (
        (True, np.inf, (0.0, 1e6)),
        (True, 102, (0.0, 1e6)),
        (True, 101, bulk),
        (False, 200, bulk),
    ):
        assert reach(by_unit=by_unit, most=most) == pytest.approx(sorted([*ends, 4.0, 5.0]))


def test_means_without_dots_reach_as_far_as_their_limits(axes: Axes, seen) -> None:
    reach = marks.mark_points(axes, _found([]), LOOKS, 0.5, known=True)
    assert len(seen.marks(axes)) == 1
    np.testing.assert_array_equal(reach, [5.0, 4.0, np.nan])


def test_compartments_have_their_colours_and_one_marker() -> None:
    looks = marks.compartment_looks("D", 7.0, 0.5)
    assert looks == {name: Look(colour, "D", 7.0, 0.5) for name, colour in COMPARTMENT_COLOURS.items()}
    assert marks.compartment_looks()["stroma"] == Look(COMPARTMENT_COLOURS["stroma"], "o", 21.0, 1.3)


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
    marks.mark_estimates(axes, _estimates().assign(estimate=np.nan), LOOKS)
    assert not axes.collections
    assert not axes.lines
    marks.lines(axes, pd.DataFrame(columns=["a", "b", "hue"]), "a", "b", hue="hue", palette={"x": "red"})
    assert not axes.lines
