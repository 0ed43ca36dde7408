"""The curves of a plan, and the numbers written into them."""

from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes

from saliency_stats.report.figures.power import aim_words, caption_power, draw_power
from saliency_stats.report.figures.style import house_style, save
from saliency_stats.statistics.components import Components
from saliency_stats.statistics.power import PATCHES, SLIDES, Aim, Plan, plan_study

OWN = Aim("superiority", 0.39, source="estimate")
AIMS = (Aim("superiority", 0.1), Aim("equivalence", 0.1, source="margin"))


def _plan(aims: Sequence[Aim] = AIMS, *, n: int = 10, between: float = 0.006, unit: str = "slide") -> Plan:
    seen = Components(unit, n, 11, 0.39, between=between, between_high=2 * between, within=0.03)
    return plan_study(seen, tuple(aims), simulations=200)


def _numbers(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_row_per_sample_and_a_panel_per_aim_with_the_needed_slides() -> None:
    plans = {"benign, 20×": _plan(), "malignant, 20×": _plan((OWN, AIMS[1]), between=0.02)}
    figure = draw_power(plans)
    assert len(figure.axes) == 4
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
            assert tuple(line.get_xdata()) == SLIDES
            assert np.array_equal(line.get_ydata(), rows["power"])
        assert any(list(line.get_ydata()) == [0.9, 0.9] for line in lines)
        dot = next(line for line in lines if line.get_marker() == "o")
        assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([10], [need.power])


def test_slides_beyond_the_edge_are_written_where_there_is_room() -> None:
    panel = draw_power({"benign": _plan(between=0.5)}).axes[0]
    first, second = _numbers(panel)
    assert first.endswith("→")
    assert second == "over 1,000 (upper limit) →"
    assert panel.get_xlim()[1] < 200


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
