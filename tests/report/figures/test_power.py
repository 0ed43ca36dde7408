"""The curves of a plan, and the numbers written into them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from matplotlib.axes import Axes

from saliency_stats.report.figures.power import WANTED_COLOUR, aim_words, caption_power, draw_power
from saliency_stats.report.figures.style import TRAINED_COLOUR, house_style, save
from saliency_stats.statistics.components import Components
from saliency_stats.statistics.power import PATCHES, SLIDES, Aim, Plan, Simulator, plan_study

OWN = Aim("superiority", 0.39, source="estimate")
AIMS = (Aim("superiority", 0.1), Aim("equivalence", 0.1, source="margin"))


def _plan(aims: Sequence[Aim] = AIMS, *, n: int = 10, between: float = 0.006, unit: str = "slide") -> Plan:
    seen = Components(unit, n, 11, 0.39, between=between, between_high=2 * between, within=0.03)
    return plan_study(Simulator(seen, "t_slide_means", simulations=200), tuple(aims))


def _numbers(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_row_per_sample_and_a_panel_per_aim_with_the_needed_slides() -> None:
    plans = {"benign, 20×": _plan(), "malignant, 20×": _plan((OWN, AIMS[1]), between=0.02)}
    figure = draw_power(plans)
    assert len(figure.axes) == 4
    assert tuple(figure.get_size_inches()) == (7.0, pytest.approx(2 * 1.95 + 1.0))
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == list(plans)
    for axes, need in zip(figure.axes, [need for plan in plans.values() for need in plan.needs], strict=True):
        assert axes.get_title() == aim_words(need.aim)
        assert _numbers(axes) == [f"{need.slides:.0f}", f"{need.slides_high:.0f}"]


def test_a_line_per_number_of_patches_the_wanted_power_and_the_run() -> None:
    plan = _plan()
    for axes, need in zip(draw_power({"benign": plan}).axes, plan.needs, strict=True):
        lines = axes.get_lines()
        of_aim = plan.table[plan.table["purpose"] == need.aim.purpose]
        of_aim = of_aim[of_aim["variance"] == "estimate"]
        for patches, line in zip(PATCHES, lines, strict=False):
            rows = of_aim[of_aim["patches_per_slide"] == patches]
            assert line.get_xdata() == pytest.approx(SLIDES)
            assert line.get_ydata() == pytest.approx(rows["power"].to_numpy())
        assert any(list(line.get_ydata()) == [0.9, 0.9] for line in lines)
        dot = next(line for line in lines if line.get_marker() == "o")
        assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([10], [need.power])


def test_axes_are_slides_on_a_log_scale_and_power_from_0_to_100_percent(seen) -> None:
    plans = {"benign": _plan(), "malignant": _plan(n=3)}
    figure = draw_power(plans)
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert axes.get_xscale() == "log"
        assert axes.get_xlim() == pytest.approx((3 * 0.9, SLIDES[-1] * 1.1))
        assert axes.get_ylim() == (0.0, 1.03)
        assert list(axes.get_xticks()) == [2, 4, 6, 10, 20, 40, 80, 120]
        assert not list(axes.get_xticks(minor=True))
        assert [axes.yaxis.get_major_formatter()(value) for value in (0.0, 0.9)] == ["0 %", "90 %"]
        assert axes.xaxis.get_major_formatter()(20.0) == "20"
    below = ["", "", *["slides in the study"] * 2]
    assert [axes.get_xlabel() for axes in figure.axes] == below
    assert all(axes.xaxis.label.get_visible() for axes in figure.axes[2:])
    assert [axes.get_ylabel() for axes in figure.axes] == ["benign", "", "malignant", ""]


def test_black_lines_are_the_run_s_own_patches_and_the_upper_limit_is_dashed() -> None:
    plan = _plan()
    for axes, need in zip(draw_power({"benign": plan}).axes, plan.needs, strict=True):
        own = [line for line in axes.lines if line.get_color() == TRAINED_COLOUR and line.get_marker() == "None"]
        assert [line.get_linestyle() for line in own] == ["-", "--"]
        for line, variance in zip(own, ("estimate", "upper limit"), strict=True):
            assert list(line.get_xdata()) == list(SLIDES)
            assert list(line.get_ydata()) == [plan.simulator.power(need.aim, n, 1, 11, variance) for n in SLIDES]
        wanted = [line for line in axes.lines if line.get_color() == WANTED_COLOUR]
        (level,) = [line for line in wanted if len(set(line.get_ydata())) == 1]
        assert list(level.get_ydata()) == [0.9, 0.9]
        upright = {
            (line.get_xdata()[0], *line.get_ydata(), line.get_linestyle()) for line in wanted if line is not level
        }
        assert upright == {(need.slides, 0.0, 0.9, "-"), (need.slides_high, 0.0, 0.9, "--")}
        first, second = axes.texts
        assert (first.xy, second.xy) == ((need.slides, 0.06), (need.slides_high, 0.18))
        for text in (first, second):
            assert text.get_horizontalalignment() == ("right" if text.xy[0] > 60 else "left")
            assert text.xyann == (-2 if text.xy[0] > 60 else 2, 0)


def test_the_legend_names_colours_and_dashes(seen) -> None:
    plans = {"benign": _plan(), "malignant": _plan()}
    figure = draw_power(plans)
    legend = seen.legend(figure)
    assert list(legend) == [
        *(f"{patches} patches" for patches in PATCHES),
        *("as in this run (11)", "upper limit", "wanted: 90 %"),
    ]
    drawn = [line.get_color() for line in figure.axes[0].lines[: len(PATCHES)]]
    assert [colour for colour, _ in legend.values()] == [
        *(seen.hexed(colour) for colour in drawn),
        *(colour.upper() for colour in (TRAINED_COLOUR, TRAINED_COLOUR, WANTED_COLOUR)),
    ]
    assert len(set(legend.values())) == len(PATCHES) + 2
    styles = [line.get_linestyle() for line in figure.legends[0].legend_handles]
    assert styles == ["-"] * (len(PATCHES) + 1) + ["--", "-"]
    simulator = plans["benign"].simulator
    seen_more = replace(simulator.components, patches_per_slide=20)
    more = replace(plans["benign"], simulator=replace(simulator, components=seen_more))
    assert "as in this run (11–20)" in seen.legend(draw_power({"a": plans["benign"], "b": more}))


@pytest.mark.parametrize(
    ("aim", "words"),
    [
        (Aim("superiority", -0.5, source="estimate"), "to find a ratio of 0.71\n(this run's own estimate)"),
        (Aim("superiority", 0.5, source="margin"), "to find a ratio of 1.41\n(the limit of no preference)"),
        (Aim("superiority", 0.5), "to find a ratio of 1.41\n(as asked)"),
        (Aim("equivalence", 0.1, source="margin"), "to show no preference\n(a ratio within 0.93–1.07)"),
    ],
)
def test_aims_are_named(aim: Aim, words: str) -> None:
    assert aim_words(aim) == words


def test_slides_beyond_the_edge_are_written_where_there_is_room() -> None:
    panel = draw_power({"benign": _plan(between=0.5)}).axes[0]
    first, second = _numbers(panel)
    assert first.endswith(" →")
    assert "upper" not in first
    assert second == "over 1,000 (upper limit) →"
    assert panel.get_xlim()[1] < 200
    start = panel.get_xlim()[0]
    assert [text.xy for text in panel.texts] == [
        (start, pytest.approx(0.9 - 0.08)),
        (start, pytest.approx(0.9 - 0.2)),
    ]
    assert {text.get_horizontalalignment() for text in panel.texts} == {"left"}


def test_every_run_lies_inside_the_axis() -> None:
    figure = draw_power({"few": _plan(n=3), "many": _plan(n=400)})
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert low < 3
        assert high > 400


def test_patients_are_called_so() -> None:
    assert draw_power({"benign": _plan(unit="patient")}).axes[0].get_xlabel().startswith("patients")
    assert draw_power({"benign": _plan()}).axes[0].get_xlabel() == "slides in the study"


@pytest.mark.parametrize(("aims", "said"), [((OWN, *AIMS), True), (AIMS, False)])
def test_the_caption_warns_of_the_runs_own_estimate_alone(aims: Sequence[Aim], said: bool) -> None:  # noqa: FBT001
    assert ("optimistic" in caption_power({"benign": _plan(aims)})) is said


def test_equal_plans_are_equal_bytes(tmp_path) -> None:
    with house_style():
        paths = [save(draw_power({"benign": _plan()}), tmp_path / f"{name}.png") for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_lines_are_of_the_planned_networks_and_the_caption_names_them() -> None:
    seen = Components("slide", 10, 11, 0.39, 0.006, 0.012, 0.02, 5, 0.0064, 0.012, 0.002, 0.01)
    plan = plan_study(Simulator(seen, simulations=200), (replace(AIMS[0], hypotheses=2),), networks=5)
    (axes,) = draw_power({"benign": plan}).axes
    five = plan.table[(plan.table["networks"] == 5) & (plan.table["variance"] == "estimate")]
    for patches, line in zip(PATCHES, axes.get_lines(), strict=False):
        assert line.get_ydata() == pytest.approx(five.loc[five["patches_per_slide"] == patches, "power"].to_numpy())
    assert "For 5 networks, crossed with slides; 2 hypotheses corrected together." in caption_power({"benign": plan})
    assert "For this network alone." in caption_power({"benign": _plan()})
    assert "hypotheses" not in caption_power({"benign": _plan()})
