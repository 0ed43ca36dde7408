"""The example patches: what the classifier saw and where its saliency lay, side by side."""

from typing import Any, Final

import pandas as pd
from matplotlib.figure import Figure

from saliency_stats.imaging.thumbnail import DISPLAY_PERCENTILE
from saliency_stats.report.figures.marks import NOTHING_JUDGED, control_meaning
from saliency_stats.report.figures.panels import outline, show_image, show_saliency
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, WIDTH_IN, line_handle, some
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import shorten
from saliency_stats.vocabulary import TRAINED

#: Most rows per class where this many magnifications share the page; with more of them, one.
_MOST_ROWS: Final = {1: 20, 2: 2}
#: Probabilities from here on would round to 1.
_CERTAIN: Final = 0.999


def draw_examples(run: Run) -> Figure:
    """Draw the examples: one row per patch, the trained network's map beside the control's."""
    rows = chosen_examples(run)
    control = _control(run)
    heads = ["Image", "Compartments", "Saliency,\ntrained", "the same, with\nnuclear outlines"]
    heads += [] if control is None else [f"Saliency,\n{run.network(control)}"]
    figure, grid = _panels(len(rows), len(heads))
    for axes, head in zip(grid[0], heads, strict=True):
        axes.set_title(head)
    for line, example in zip(grid, records(rows), strict=True):
        _draw_row(line, run, example, control)
    names = ("nucleus", "cytoplasm", "background")
    words = ("nuclear border", "outer border of the cytoplasm", "border of the background")
    handles = [line_handle(word, COMPARTMENT_COLOURS[name]) for name, word in zip(names, words, strict=True)]
    figure.legend(handles=handles, loc="lower center", ncols=3)
    return figure


def caption_examples(run: Run) -> str:
    """Say what the examples show and how they were chosen."""
    rows = chosen_examples(run)
    counted = " and ".join(f"{n} {label}" for label, n in run.named(rows)["label"].value_counts(sort=False).items())
    control = _control(run)
    slides = ", at most one a slide" if (rows["slide_id"] != "").all() else ""
    beside = f" All maps are of one of the {run.n_networks} networks." if run.n_networks > 1 else ""
    if control is not None:
        beside += (
            f" The last column is the same patch through the {control_meaning(run, control)}: what it shares with the"
            f" trained network cannot come from {'the labels' if _relabelled(run, control) else 'training'}."
        )
    return (
        f"Where the saliency lies in {counted} patches of the evaluation split. The patches were chosen by rule, not by"
        f" hand: per class the most confident correct ones{slides}, those first whose nuclei and cytoplasm are large"
        " enough to be measured. From left to right: the image; the compartments as they were measured; the saliency"
        " (how strongly the score of the correct class reacts to each pixel; brighter is stronger) in raw units with"
        " its own scale; the same map with the nuclear outlines. Only the display is cut, at each map's"
        f" {DISPLAY_PERCENTILE:g}th percentile; all numbers use the uncut map.{beside}"
    )


def chosen_examples(run: Run) -> pd.DataFrame:
    """Return the trained network's examples to draw, by magnification, class and rank."""
    rows = run.examples[(run.examples["model"] == TRAINED) & (run.examples["method"] == run.method)]
    rows = some(rows, NOTHING_JUDGED)
    per_class = _MOST_ROWS.get(rows["magnification"].nunique(), 1)
    rows = rows.sort_values(["magnification", "label", "rank", "patch_id"])
    return rows.groupby(["magnification", "label"], sort=True).head(per_class).reset_index(drop=True)


def _control(run: Run) -> str | None:
    """Name the network beside the trained one: one without training, where there is one."""
    kept = sorted(set(run.examples["model"]) - {TRAINED})
    untrained = [name for name in kept if not _relabelled(run, name)]
    shown = [name for name in untrained if run.recorded("controls", {}).get(name, {}).get("shown")]
    # of a cascade only the last step has nothing left of the trained network
    return next(iter([*shown, *reversed(untrained or kept)]), None)


def _relabelled(run: Run, control: str) -> bool:
    return bool(run.recorded("controls", {}).get(control, {}).get("relabelled"))


def _panels(n_rows: int, n_columns: int) -> tuple[Figure, Any]:
    """Lay out square panels by hand: their size is known, and solving for it would take most of the time."""
    left, gap, top, bottom, bar = 0.52, 0.06, 0.36, 0.3, 0.24
    side = (WIDTH_IN - left - gap * n_columns) / n_columns
    height = top + n_rows * (side + bar) + bottom
    figure = Figure(figsize=(WIDTH_IN, height))
    grid: Any = figure.subplots(n_rows, n_columns, squeeze=False)
    edges = (left / WIDTH_IN, (bottom + bar) / height, 1 - gap / WIDTH_IN, 1 - top / height)
    figure.subplots_adjust(*edges, wspace=gap / side, hspace=bar / side)
    return figure, grid


def _draw_row(line: Any, run: Run, example: Any, control: str | None) -> None:
    arrays = run.example(example.file)
    codes = arrays["compartments"]
    show_image(line[0], arrays["image"], example.mpp)
    show_image(line[1], arrays["image"])
    outline(line[1], codes)
    show_saliency(line[2], arrays["saliency"])
    show_saliency(line[3], arrays["saliency"], bar=False)
    outline(line[3], codes, on_map=True)
    sure = f"= {example.p_true:.3f}" if example.p_true < _CERTAIN else f"> {_CERTAIN}"
    where = run.place(example.magnification, example.label)
    slide = shorten(example.slide_id or "slide unknown", 22)
    line[0].set_ylabel(f"{where}\n{slide}\np(true class) {sure}", fontsize=6.5)
    key = ["method", "patch_id", "magnification"]
    beside = run.examples[run.examples["model"] == control]
    beside = beside[(beside[key] == [getattr(example, name) for name in key]).all(axis=1)]
    for file in beside["file"]:
        show_saliency(line[4], run.example(file)["saliency"])
        outline(line[4], codes, on_map=True)
    if control is not None and beside.empty:
        line[4].axis("off")
        line[4].text(0.5, 0.5, "not kept", ha="center", va="center", transform=line[4].transAxes)
