"""The curves of a plan: how likely studies of many sizes are to show what they are to show."""

import textwrap
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter
from seaborn import color_palette

from saliency_stats.report.figures.marks import lines
from saliency_stats.report.figures.style import QUIET, TRAINED_COLOUR, line_handle, new_figure
from saliency_stats.report.words import DASH, ratio, whole
from saliency_stats.statistics.components import ESTIMATE, UPPER_LIMIT
from saliency_stats.statistics.power import MOST_SLIDES, PATCHES, SLIDES, Aim, Need, Plan

#: Colour of the wanted power and of the slides that reach it.
WANTED_COLOUR: Final = "#D55E00"
_STYLES: Final[dict[str, Any]] = {ESTIMATE: "-", UPPER_LIMIT: (0, (3, 1.5))}
#: A colour per number of patches, light for few.
_PALETTE: Final = dict(zip(PATCHES, color_palette("viridis_r", len(PATCHES)), strict=True))
_TICKS: Final = (2, 4, 6, 10, 20, 40, 80, 120)
_ROW_IN: Final = 1.95
#: Beyond this share of the axis a number stands to the left of its line.
_CROWDED: Final = 60


def draw_power(plans: Mapping[str, Plan]) -> Figure:
    """Draw power against slides: a row of panels per sample (whose plans have equally many aims), a panel per aim."""
    aims = len(next(iter(plans.values())).needs)
    figure = new_figure(_ROW_IN * len(plans) + 1.0)
    panels = figure.subplots(len(plans), aims, sharex=True, sharey=True, squeeze=False)
    sizes: list[float] = [*SLIDES, *(plan.components.n_units for plan in plans.values())]
    sizes += [need.slides for plan in plans.values() for need in plan.needs if need.slides < SLIDES[0]]
    panels[0, 0].set(xscale="log", xlim=(min(sizes) * 0.9, max(sizes) * 1.1), ylim=(0.0, 1.03))
    for row, (name, plan) in zip(panels, plans.items(), strict=True):
        for axes, need in zip(row, plan.needs, strict=True):
            _draw_panel(axes, plan, need)
            axes.set_title(aim_words(need.aim), fontweight="normal")
        row[0].set_ylabel(name, fontweight="bold")
    units = {plan.components.unit for plan in plans.values()}
    for axes in panels[-1]:
        axes.set_xlabel("slides in the study" if units == {"slide"} else "patients in the study, one slide each")
    figure.legend(handles=_handles(plans), loc="outside upper center", ncols=5)
    figure.supxlabel(textwrap.fill(caption_power(plans), 132), color=QUIET, fontsize=6.5)
    return figure


def aim_words(aim: Aim) -> str:
    """Name what a study is to show, in a line or two."""
    size = abs(aim.size)
    if aim.purpose == "equivalence":
        return f"to show no preference\n(a ratio within {ratio(-size)}{DASH}{ratio(size)})"
    source = {"estimate": "this run's own estimate", "margin": "the limit of no preference"}.get(aim.source, "as asked")
    return f"to find a ratio of {ratio(aim.size)}\n({source})"


def caption_power(plans: Mapping[str, Plan]) -> str:
    """Say what the lines are."""
    text = (
        "Share of studies that would show it, by their slides and their patches per slide (colours: simulated). Black:"
        " with as many patches per slide as this run has; dashed: the same if slides differ as much as the upper 80 %"
        " limit of their variance allows. Dot: a study as large as this run. Orange numbers: slides that reach the"
        " wanted power."
    )
    first = next(iter(plans.values()))
    hypotheses = first.needs[0].aim.hypotheses
    several = f"{first.networks} networks, crossed with slides" if first.networks > 1 else "this network alone"
    text += f" For {several}; {hypotheses} hypotheses corrected together." if hypotheses > 1 else f" For {several}."
    if any(need.aim.source == "estimate" for plan in plans.values() for need in plan.needs):
        text += " Power at a run's own estimate is optimistic."
    return text


def _draw_panel(axes: Axes, plan: Plan, need: Need) -> None:
    components, aim = plan.components, need.aim
    of_aim = (plan.table["purpose"] == aim.purpose) & (plan.table["source"] == aim.source)
    of_aim &= plan.table["networks"] == plan.networks
    simulated = plan.table[of_aim & (plan.table["variance"] == ESTIMATE)]
    lines(axes, simulated, "slides", "power", hue="patches_per_slide", palette=_PALETTE, linewidth=1.1)
    for variance, style in _STYLES.items():
        own = components.patches_per_slide
        powers = [plan.simulator.power(aim, n, plan.networks, own, variance) for n in SLIDES]
        axes.plot(SLIDES, powers, color=TRAINED_COLOUR, linewidth=1.5, linestyle=style)
    axes.axhline(plan.power, color=WANTED_COLOUR, linewidth=0.9)
    _mark_needed(axes, plan, need.slides, ESTIMATE)
    if need.slides_high != need.slides:
        _mark_needed(axes, plan, need.slides_high, UPPER_LIMIT)
    dot: dict[str, Any] = {"markersize": 6, "color": TRAINED_COLOUR, "markeredgecolor": "white"}
    axes.plot([components.n_units], [need.power], "o", clip_on=False, zorder=5, **dot)
    axes.xaxis.set_major_locator(FixedLocator(_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def _mark_needed(axes: Axes, plan: Plan, needed: float, variance: str) -> None:
    """Write the slides that are needed at their place, or where there is room if that is beyond the edge."""
    start, end = axes.get_xlim()
    upper = variance == UPPER_LIMIT
    text = whole(needed) if isfinite(needed) else f"over {whole(MOST_SLIDES)}"
    if needed <= end:
        style = _STYLES[variance]
        axes.plot([needed, needed], [0.0, plan.power], color=WANTED_COLOUR, linewidth=0.9, linestyle=style)
        at, height, left = needed, 0.18 if upper else 0.06, needed > _CROWDED
    else:
        text += " (upper limit) →" if upper else " →"
        at, height, left = start, plan.power - (0.2 if upper else 0.08), False
    aside: dict[str, Any] = {"xytext": (-2 if left else 2, 0), "ha": "right" if left else "left", "va": "center"}
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
    aside |= {"textcoords": "offset points", "color": WANTED_COLOUR, "fontweight": "bold", "bbox": box}
    axes.annotate(text, (at, height), **aside)


def _handles(plans: Mapping[str, Plan]) -> list[Any]:
    own = sorted({plan.components.patches_per_slide for plan in plans.values()})
    as_run = f"as in this run ({DASH.join(str(n) for n in dict.fromkeys((own[0], own[-1])))})"
    power = next(iter(plans.values())).power
    return [
        *(line_handle(f"{patches} patches", colour) for patches, colour in _PALETTE.items()),
        line_handle(as_run, TRAINED_COLOUR),
        line_handle("upper limit", TRAINED_COLOUR, _STYLES[UPPER_LIMIT]),
        line_handle(f"wanted: {100 * power:g} %", WANTED_COLOUR),
    ]
