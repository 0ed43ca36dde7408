"""One patch in one panel: its image, its compartments' outlines, its saliency."""

from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from saliency_stats.imaging.thumbnail import display_top
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, SALIENCY_MAP
from saliency_stats.typing import FloatArray, UInt8Array
from saliency_stats.vocabulary import COMPARTMENT_CODES

_SCALE_BARS_UM: Final = (5, 10, 20, 25, 50, 100, 200, 250, 500, 1000)
#: A pale rim sets a line off from tissue; on a saliency map a fainter one, so as not to hide bright pixels.
_RIM: Final = [withStroke(linewidth=1.9, foreground="white", alpha=0.85)]
_RIM_ON_MAP: Final = [withStroke(linewidth=1.6, foreground="white", alpha=0.55)]


def show_image(axes: Axes, image: UInt8Array, mpp: float | None = None) -> None:
    """Show an image (H, W, 3) with, where µm per pixel is known, a scale bar."""
    axes.imshow(image, interpolation="nearest")
    _bare(axes)
    if mpp is not None and np.isfinite(mpp) and mpp > 0:
        _scale_bar(axes, image.shape[0], image.shape[1], mpp)


def outline(axes: Axes, codes: UInt8Array, *, on_map: bool = False) -> None:
    """Draw the borders of compartments, given by their codes (H, W); on a saliency map those of nuclei alone.

    Borders between neighbours are drawn once, in the colour of the inner compartment: nuclei, then the outer
    border of the cytoplasm, then the border of the tissue against the background.
    """
    nucleus = codes == COMPARTMENT_CODES["nucleus"]
    cell = nucleus | (codes == COMPARTMENT_CODES["cytoplasm"])
    tissue = codes != COMPARTMENT_CODES["background"]
    borders = [(nucleus, "nucleus")]
    if not on_map:
        borders = [(tissue, "background"), (cell, "cytoplasm"), *borders]
    for mask, name in borders:
        if mask.any() and not mask.all():
            border = mask.astype(np.float64)
            lines = axes.contour(border, levels=[0.5], colors=[COMPARTMENT_COLOURS[name]], linewidths=0.9)
            lines.set(path_effects=_RIM_ON_MAP if on_map else _RIM)


def tint(axes: Axes, codes: UInt8Array, alpha: float = 0.45) -> None:
    """Lay the compartments' colours over a panel, so that an area without a border is named too."""
    colours = np.zeros((*codes.shape, 4))
    for name, code in COMPARTMENT_CODES.items():
        colours[codes == code] = to_rgba(COMPARTMENT_COLOURS[name], 0.0 if name == "background" else alpha)
    axes.imshow(colours, interpolation="nearest")


def show_saliency(axes: Axes, saliency: FloatArray, *, bar: bool = True) -> None:
    """Show a raw saliency map (H, W); only its display is cut, at ``DISPLAY_PERCENTILE``."""
    top = display_top(saliency)
    shown = axes.imshow(saliency, cmap=SALIENCY_MAP, vmin=0.0, vmax=top or 1.0, interpolation="nearest")
    _bare(axes)
    if bar:
        figure: Any = axes.get_figure(root=True)
        place = axes.inset_axes((0.0, -0.075, 1.0, 0.04))
        scale = figure.colorbar(shown, cax=place, orientation="horizontal", ticks=[0.0, top or 1.0])
        place.set_xticklabels(["0", f"{top:.2g}"], fontsize=5.5)
        place.tick_params(length=1.5, pad=1.0)
        start, end = place.get_xticklabels()
        start.set_horizontalalignment("left")
        end.set_horizontalalignment("right")
        scale.outline.set_linewidth(0.4)


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _scale_bar(axes: Axes, height_px: int, width_px: int, mpp: float) -> None:
    # About a quarter of the field, in a length that reads well.
    field_um = width_px * mpp
    length_um = min(_SCALE_BARS_UM, key=lambda candidate: abs(candidate - field_um / 4))
    length_px = length_um / mpp
    left, bottom = 0.06 * width_px, 0.94 * height_px
    thickness = 0.022 * height_px
    look: dict[str, Any] = {"facecolor": "black", "edgecolor": "white", "linewidth": 0.5}
    axes.add_patch(Rectangle((left, bottom - thickness), length_px, thickness, **look))
    words: dict[str, Any] = {"fontsize": 5.5, "path_effects": [withStroke(linewidth=1.5, foreground="white")]}
    middle, above = left + length_px / 2, bottom - 1.8 * thickness
    axes.text(middle, above, f"{length_um} µm", ha="center", va="bottom", **words)
