"""Nuclei, cytoplasm and stroma at once: the slides' saliency densities in a triangle."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from saliency_stats.report.figures import style
from saliency_stats.report.figures.facets import strata
from saliency_stats.report.figures.marks import NOTHING_JUDGED, Look, handle
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import begun, count, listing, magnification_words, number, p_sign
from saliency_stats.statistics.compositional import ILR, composition, ilr_values, inverse_ilr
from saliency_stats.statistics.multivariate import confidence_region, hotelling
from saliency_stats.statistics.selection import UNLEARNED
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import LABELS, TISSUE, TRAINED

_NOT_ALL_THREE: Final = "no judged patch has saliency in nuclei, cytoplasm and stroma alike"
#: With fewer units a region would fill the triangle.
_MIN_UNITS_REGION: Final = 4
_LOOKS: Final = dict(zip(LABELS, (Look(style.TRAINED_COLOUR, "o"), Look(style.DIFFERENCE_COLOUR, "^")), strict=True))
_WORDS: Final = {"nucleus": "nuclei", "cytoplasm": "cytoplasm", "stroma": "stroma"}
#: The triangle's corners, in the order of ``TISSUE``: cytoplasm on top, so that the claim under test points upwards.
_CORNERS: Final = np.array([[0.0, 0.0], [0.5, np.sqrt(0.75)], [1.0, 0.0]])
#: A triangle is cut at the least share shown, rounded down to this, and at most there.
_CUT_STEP, _LARGEST_CUT = 0.02, 0.26
#: Steps of the grid by the span of the cut triangle that they suit.
_GRID_STEPS: Final = ((0.3, 0.05), (0.7, 0.1), (1.0, 0.2))
_AS_AREA: Final = np.full(len(TISSUE), 1 / len(TISSUE))
_COLUMNS: Final = 2


@dataclass(frozen=True, eq=False)
class _Cloud:
    """One class at one magnification, as shares of density in the order of ``TISSUE``.

    ``each`` (n, 3) are the units, or the patches where units are unknown, as ``mark`` says; ``region`` (m, 3) is the
    border of the mean's region, empty where ``note`` says why there is none; ``controls`` (c, 3) are the controls'
    means.
    """

    magnification: float
    label: str
    name: str
    mark: str
    each: Float64Array
    mean: Float64Array
    region: Float64Array
    controls: Float64Array
    note: str

    @property
    def drawn(self) -> Float64Array:
        """All shares that a triangle must hold; the mean lies among the units."""
        return np.concatenate([self.each, self.region, self.controls])


def draw_ternary(run: Run) -> Figure:
    """Draw a triangle per magnification: a mark per slide, each class's mean with its region, the controls' means."""
    clouds = _clouds(run)
    panels = {at: list(own) for at, own in groupby(clouds, lambda cloud: cloud.magnification)}
    any_note = any(cloud.note for cloud in clouds)
    cut, columns = _cut(clouds), min(_COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = style.new_figure(0.5 + (4.0 if columns == 1 else 3.35 if any_note else 3.1) * lines)
    grid: Any = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (magnification, own) in zip(grid.flat, panels.items(), strict=False):
        _triangle(axes, cut)
        for cloud in own:
            _draw_cloud(axes, cloud, cut)
        _mark_as_area(axes, own, cut)
        sizes = ", ".join(f"{cloud.name} {count(len(cloud.each), cloud.mark)}" for cloud in own)
        axes.set_title(f"{magnification_words(magnification)}: {sizes}")
        axes.text(0.5, -0.16, _notes(own), ha="center", va="top", color=style.QUIET, fontsize=6.5)
        axes.set(xlim=(-0.22, 1.22), ylim=(-0.28 if any_note else -0.15, 0.95), aspect="equal")
    return style.with_legend(figure, _handles(run, clouds), 3 if run.controls else 2)


def caption_ternary(run: Run) -> str:
    """Say how to read the triangle, then all its numbers in one sentence."""
    clouds = _clouds(run)
    cut = _cut(clouds)
    region = f" with their {run.confidence_percent} confidence region (Hotelling’s T²)"
    region = region if any(cloud.region.size for cloud in clouds) else ""
    hollow = ", hollow marks those of the control networks" if run.controls else ""
    return (
        f"Each small mark is one {_mark(clouds, run)}, the nearer to a corner the more densely saliency falls on that"
        " tissue (share of the saliency divided by share of the area, averaged as log ratios and shown in % of the sum"
        " of the three"
        f"{f'; the triangle is cut at {100 * cut:.0f} %' if cut else ''}). At the cross saliency goes with area; on a"
        f" dashed line two tissues are alike; large marks are means{region}{hollow}.{_numbers(run)}"
    )


def _mark(clouds: list[_Cloud], run: Run) -> str:
    """Say what a small mark is: a unit where that is so in every panel."""
    return run.unit if all(cloud.mark != "patch" for cloud in clouds) else "patch"


def _clouds(run: Run) -> list[_Cloud]:
    """Return what is drawn, by magnification and class; a class without a complete patch is left out."""
    found = strata(run, ilr_values(run.judged_ledger))
    clouds = [cloud for stratum, rows in found.items() if (cloud := _cloud(run, rows, *stratum)).each.size]
    if not clouds:
        raise style.NothingToDrawError(NOTHING_JUDGED if run.judged_ledger.empty else _NOT_ALL_THREE)
    return clouds


def _cloud(run: Run, rows: pd.DataFrame, magnification: float, label: str) -> _Cloud:
    units: dict[str, Any] = {"patient": run.unit_column if run.unit == "patient" else None}
    units |= {"assume_independent": bool(run.settings.statistics.assume_independent)}
    trained, *controls = (composition(rows[rows["model"] == name], **units) for name in (TRAINED, *run.controls))
    by_unit = trained.unit not in {"", "patch"}
    patches = rows[rows["model"] == TRAINED].dropna(subset=[*ILR]).sort_values([*ILR])[[*ILR]].to_numpy(np.float64)
    needed = max(_MIN_UNITS_REGION, int(run.settings.statistics.min_slides))
    test = hotelling(trained.means, min_units=needed, unit=trained.unit)
    reasons = {
        f"no region, {UNLEARNED}": not run.learned[magnification],
        f"no region, {run.unit}s unknown": not trained.unit,
        f"no region with fewer than {needed} {trained.unit}s": test.n < needed,
        "no region, no spread in some direction": bool(test.reason),
    }
    note = next((words for words, holds in reasons.items() if holds), "")
    return _Cloud(
        magnification,
        label,
        run.classes.name(label),
        run.unit if by_unit else "patch",
        inverse_ilr(trained.means if by_unit else patches),
        inverse_ilr(trained.estimate),
        np.empty((0, len(TISSUE))) if note else inverse_ilr(confidence_region(test, alpha=run.alpha)),
        inverse_ilr(np.array([one.estimate for one in controls]).reshape(-1, len(ILR))),
        note,
    )


def _cut(clouds: list[_Cloud]) -> float:
    """Return the least share that the triangles show: one for all panels, and nothing drawn lies outside."""
    least = min(float(np.nanmin(cloud.drawn)) for cloud in clouds)
    return min(_LARGEST_CUT, _CUT_STEP * max(0, int(least / _CUT_STEP - 0.25)))


def _plane(shares: Float64Array, cut: float) -> Float64Array:
    """Return the points (..., 2) of shares (..., 3) in a triangle whose sides lie at the cut."""
    return np.asarray((shares - cut) / (1 - len(TISSUE) * cut) @ _CORNERS)


def _triangle(axes: Any, cut: float) -> None:
    step = next(step for span, step in _GRID_STEPS if 1 - 3 * cut <= span + 1e-9)
    axes.add_patch(Polygon(_CORNERS, closed=True, fill=False, edgecolor="#444444", linewidth=0.8, zorder=1))
    sides = (("right", "center", -0.02, 0.0), ("left", "center", 0.02, 0.0), ("center", "top", 0.0, -0.02))
    for k, (name, (across, along, dx, dy)) in enumerate(zip(TISSUE, sides, strict=True)):
        colour = style.COMPARTMENT_COLOURS[name]
        for value in np.arange(round(cut / step) + 1, round((1 - 2 * cut) / step + 1e-9)) * step:
            ends = np.full((2, len(TISSUE)), cut)
            ends[:, k] = value
            # The number stands at the first end, where the next part of the circle takes what is left.
            ends[0, (k + 1) % 3] = ends[1, (k + 2) % 3] = 1 - value - cut
            line = _plane(ends, cut)
            axes.plot(*line.T, color=colour, linewidth=0.5, alpha=0.35, zorder=0)
            x, y = line[0] + (dx, dy)
            axes.text(x, y, f"{100 * value:.0f} %", ha=across, va=along, color=colour, fontsize=6.0)
        foot = np.delete(_CORNERS, k, axis=0).mean(axis=0)
        middle = np.stack([_CORNERS[k], foot])
        axes.plot(*middle.T, color=style.QUIET, linestyle="--", linewidth=0.6, alpha=0.7, zorder=0)
        above, side = (0.025, "bottom") if _CORNERS[k, 1] > 0 else (-0.085, "top")
        x, y = _CORNERS[k] + (0.0, above)
        axes.text(x, y, f"denser in {_WORDS[name]}", ha="center", va=side, color=colour, fontweight="bold")


def _draw_cloud(axes: Any, cloud: _Cloud, cut: float) -> None:
    look = _LOOKS[cloud.label]
    if cloud.region.size:
        inside, border = to_rgba(look.colour, 0.15), look.colour
        axes.add_patch(Polygon(_plane(cloud.region, cut), facecolor=inside, edgecolor=border, linewidth=1.0, zorder=2))
    dots = {"s": 9.0, "alpha": 0.55} if cloud.mark != "patch" else {"s": 2.5, "alpha": 0.35, "rasterized": True}
    for places, look_of in (
        (cloud.each, {**dots, "color": look.colour, "linewidth": 0, "zorder": 3}),
        (cloud.controls, {"s": 20.0, "facecolor": "white", "edgecolor": look.colour, "linewidth": 1, "zorder": 4}),
        (cloud.mean[None], {"s": 30.0, "color": look.colour, "edgecolor": "white", "linewidth": 0.8, "zorder": 5}),
    ):
        x, y = _plane(places, cut).T
        sns.scatterplot(x=x, y=y, marker=look.marker, legend=False, ax=axes, **look_of)


def _mark_as_area(axes: Any, clouds: list[_Cloud], cut: float) -> None:
    """Mark the centre and name it beside it, where the marks are farthest."""
    centre = _plane(_AS_AREA, cut)
    axes.plot(*centre, marker="P", color="white", markeredgecolor=style.QUIET, markersize=5.5, zorder=3)
    marks = _plane(np.concatenate([part for cloud in clouds for part in (cloud.drawn, cloud.mean[None])]), cut)
    places = centre + np.array([[0.17, 0.0], [-0.17, 0.0], [0.13, -0.17], [-0.13, -0.17], [0.13, 0.17], [-0.13, 0.17]])
    distance = np.linalg.norm(marks[:, None] - places, axis=-1)
    x, y = places[int(np.argmax(np.nanmin(distance, axis=0)))]
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axes.text(x, y, "saliency\nas area", ha="center", va="center", color=style.QUIET, fontsize=6.5, bbox=box, zorder=2)


def _handles(run: Run, clouds: list[_Cloud]) -> list[Line2D]:
    region = f", {run.confidence_percent} region" if any(cloud.region.size for cloud in clouds) else ""
    control = f"{run.words('controls', run.controls[0])} control" if len(run.controls) == 1 else "controls"
    kinds: list[tuple[str, float, dict[str, Any]]] = [
        (f"one {_mark(clouds, run)}", 12.0, {"alpha": 0.6, "markeredgewidth": 0.0}),
        (f"mean{region}", 30.0, {"markeredgecolor": "white"}),
        *([(f"mean, {control}", 20.0, {"markerfacecolor": "white"})] if run.controls else []),
    ]
    return [
        handle(f"{name}, {what}", _LOOKS[label]._replace(size=size), **look)
        for what, size, look in kinds
        for label, name in dict.fromkeys((cloud.label, cloud.name) for cloud in clouds)
    ]


def _notes(clouds: list[_Cloud]) -> str:
    """Say which classes have no region, and why."""
    notes = dict.fromkeys(cloud.note for cloud in clouds if cloud.note)
    return "\n".join(f"{listing(cloud.name for cloud in clouds if cloud.note == note)}: {note}" for note in notes)


def _numbers(run: Run) -> str:
    """Put every class at every magnification into one sentence, from ``compositional.csv``."""
    table = run.of_own_map(run.compositional)
    shown = table[(table["model"] == TRAINED) & (table["n_patches"] > 0)]
    words = "; ".join(_row_words(row) for rows in strata(run, shown).values() for row in records(run.named(rows)))
    return f" {begun(words)}." if words else ""


def _row_words(row: Any) -> str:
    shares = listing(
        f"{_WORDS[name]} {100 * getattr(row, f'density_{name}'):.0f} %" for name in ("cytoplasm", "nucleus", "stroma")
    )
    n = count(row.n_units, row.unit) if row.unit else count(row.n_patches, "patch")
    left_out = f"; left out, without all three: {count(row.n_missing, 'patch')}" if row.n_missing else ""
    test = (
        f"Hotelling’s T² = {number(row.statistic, 1)} against going with area, adjusted {p_sign(row.p_adjusted)}"
        if row.status == "tested"
        else f"not tested: {row.reason}"
    )
    return f"{row.label}, {magnification_words(row.magnification)} ({n}{left_out}): {shares}, {test}"
