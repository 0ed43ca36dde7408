"""The slides themselves, small: what counts as tissue, what is annotated as tumour, and where patches were taken."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from saliency_stats.execution.names import file_name
from saliency_stats.report.figures.marks import Look, handle, scatter
from saliency_stats.report.figures.style import WIDTH_IN, empty_figure, line_handle, new_figure, with_legend
from saliency_stats.report.run import Run
from saliency_stats.report.words import count, shorten
from saliency_stats.vocabulary import LABELS

#: Slides that are drawn at most; the others are in slides.csv.
MOST: Final = 24
_COLUMNS: Final = 6
TISSUE_COLOUR: Final = "#0072B2"
TUMOUR_COLOUR: Final = "#D55E00"
_LOOKS: Final = {
    label: Look(colour, "o", 5.0) for label, colour in zip(LABELS, ("#1A1A1A", TUMOUR_COLOUR), strict=True)
}
#: Where a run keeps its pictures of slides.
_FOLDER: Final = "slide_pictures"


def has_slides(run: Run) -> bool:
    """Tell whether the run is of whole-slide images."""
    return (run.folder / _FOLDER).is_dir()


def draw_slides(run: Run) -> Figure:
    """Draw every slide with its tissue, its tumour and its locations."""
    slides = _shown(run)
    if not slides:
        return empty_figure("no slide could be read")
    columns = min(_COLUMNS, len(slides))
    rows = -(-len(slides) // columns)
    files, wanted = [f"{_FOLDER}/{file_name(name, '.npz')}" for name in slides], ("image", "tissue", "tumour", "mpp")
    pictures = {name: run.arrays(file, "picture of a slide", wanted) for name, file in zip(slides, files, strict=True)}
    cell = WIDTH_IN / columns
    ratio = max(arrays["image"].shape[0] / arrays["image"].shape[1] for arrays in pictures.values())
    figure = new_figure(rows * (min(cell * ratio, 2.2) + 0.25) + 0.35)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    places = run.patches.drop_duplicates("patch_id")
    for axes, (slide_id, arrays) in zip(grid.flat, pictures.items(), strict=False):
        own = places[places["slide_id"] == slide_id]
        _draw_slide(axes, arrays, own)
        axes.set_title("\n".join(filter(None, [shorten(slide_id, 18), *own["split"].head(1)])), fontsize=6.5)
    handles = [line_handle("tissue", TISSUE_COLOUR), line_handle("annotated tumour", TUMOUR_COLOUR)]
    handles += [handle(f"{run.classes.name(label)} place", look._replace(size=16.0)) for label, look in _LOOKS.items()]
    return with_legend(figure, handles, 4, "upper")


def caption_slides(run: Run) -> str:
    """Say what is drawn and what was left out."""
    places = run.patches.drop_duplicates("patch_id")
    shown, taken = len(_shown(run)), places["slide_id"].nunique()
    text = (
        "Each slide with the border of its tissue (blue) and of the annotated tumour (orange); dots are the places at"
        f" which patches were taken, the same at every magnification: {count(len(places), 'place')} on"
        f" {count(taken, 'slide')}."
    )
    if taken > shown:
        text += f" The first {shown} are drawn."
    excluded = run.slides.loc[run.slides["status"].str.startswith("excluded"), "status"]
    if len(excluded):
        reasons = "; ".join(excluded.str.removeprefix("excluded: "))
        text += f" {count(len(excluded), 'slide')} could not be used: {reasons}."
    return text


def _shown(run: Run) -> list[str]:
    taken = sorted(run.patches["slide_id"].unique())
    return [slide_id for slide_id in taken if (run.folder / _FOLDER / file_name(slide_id, ".npz")).is_file()][:MOST]


def _draw_slide(axes: Axes, arrays: dict[str, NDArray[Any]], places: pd.DataFrame) -> None:
    image, (mpp_y, mpp_x) = arrays["image"], arrays["mpp"]
    axes.imshow(image, interpolation="bilinear")
    for name, colour in (("tissue", TISSUE_COLOUR), ("tumour", TUMOUR_COLOUR)):
        mask = arrays[name]
        if mask.any() and not mask.all():
            axes.contour(mask.astype(np.float32), levels=[0.5], colors=[colour], linewidths=0.7)
    rows = places.assign(x=places["x_um"] / mpp_x - 0.5, y=places["y_um"] / mpp_y - 0.5, look=places["label"])
    scatter(axes, rows, ("x", "y"), _LOOKS, edgecolor="white", linewidth=0.3, zorder=3)
