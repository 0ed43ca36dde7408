"""One patch as a picture: image, saliency, compartments, and what its ledger rows say."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from saliency_stats.compartments import to_codes
from saliency_stats.errors import ReportError
from saliency_stats.imaging.thumbnail import DISPLAY_PERCENTILE
from saliency_stats.report.figures.panels import outline, show_image, show_saliency, tint
from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    compartment_handles,
    house_style,
    new_figure,
    ratio_axis,
    save,
)
from saliency_stats.report.words import model_words, number, percent
from saliency_stats.typing import FloatArray, UInt8Array
from saliency_stats.vocabulary import COMPARTMENTS, TRAINED

_COLUMNS: Final = ("compartment", "area_share", "mass_share", "density_ratio", "status")


def explain_figure(
    image: UInt8Array,
    saliency: FloatArray,
    compartments: NDArray[Any],
    rows: pd.DataFrame,
    title: str,
    path: Path,
    *,
    mpp: float | None = None,
) -> Path:
    """Draw one patch: what the classifier saw, where its saliency lies, and the ledger's account of it.

    Parameters
    ----------
    image
        Image (H, W, 3) uint8.
    saliency
        Raw saliency map (H, W), not negative; only its display is cut, at the 99.5th percentile.
    compartments
        Compartment codes (H, W), or memberships (K, H, W) in the order of ``COMPARTMENTS``, of which
        each pixel shows the largest.
    rows
        The patch's ledger rows (``compartment``, ``area_share``, ``mass_share``, ``density_ratio``,
        ``status``; ``model`` where there are several networks).
    path
        Where to write: a name that ends in ``.png`` or ``.pdf``.
    mpp
        µm per pixel, for a scale bar.

    Raises
    ------
    ReportError
        If the arrays differ in size, the ledger rows are none or lack a column, or the name ends otherwise.
    """
    path = Path(path)
    if path.suffix not in {".png", ".pdf"}:
        raise ReportError(f"{path}: a picture is written as .png or .pdf; choose a name with one of these endings")
    codes = _codes(compartments)
    if image.shape[:2] != saliency.shape or saliency.shape != codes.shape:
        raise ReportError(
            f"{title}: image {image.shape[:2]}, saliency {saliency.shape} and compartments {codes.shape}"
            " differ in size; expected one height and width for all three"
        )
    missing = [column for column in _COLUMNS if column not in rows.columns]
    if missing or rows.empty:
        found = "no rows" if rows.empty else f"no column {', '.join(missing)}"
        raise ReportError(f"{title}: the ledger of this patch has {found}; expected one row per compartment")
    with house_style():
        figure = _draw(image, saliency, codes, rows, title, mpp)
        return save(figure, path)


def _codes(compartments: NDArray[Any]) -> UInt8Array:
    return compartments.astype(np.uint8) if compartments.ndim == 2 else to_codes(compartments)  # noqa: PLR2004 - (H, W)


def _draw(
    image: UInt8Array, saliency: FloatArray, codes: UInt8Array, rows: pd.DataFrame, title: str, mpp: float | None
) -> Figure:
    figure = new_figure(4.6)
    figure.suptitle(title, fontsize=9, fontweight="bold")
    halves: Any = figure.subfigures(2, 1, height_ratios=[1.3, 1.0])
    upper, lower = halves
    panels: Any = upper.subplots(1, 4)
    for axes, head in zip(panels, ("Image", "Compartments", "Saliency", "with nuclear outlines"), strict=True):
        axes.set_title(head)
    show_image(panels[0], image, mpp)
    show_image(panels[1], image)
    tint(panels[1], codes)
    outline(panels[1], codes)
    show_saliency(panels[2], saliency)
    show_saliency(panels[3], saliency, bar=False)
    outline(panels[3], codes, on_map=True)
    shares, density = lower.subplots(1, 2, sharey=True)
    _bars(shares, density, rows)
    lower.legend(handles=compartment_handles(), loc="outside lower center", ncols=len(COMPARTMENTS))
    upper.supxlabel(
        f"saliency in raw units; the display (no number) is cut at its {DISPLAY_PERCENTILE:g}th percentile"
        f"{_doubt(rows)}",
        fontsize=6.5,
        color=QUIET,
    )
    return figure


def _doubt(rows: pd.DataFrame) -> str:
    """Say how much of the tissue is doubtful; nothing where memberships are no probabilities."""
    share = float(rows["doubtful_share"].iloc[0]) if "doubtful_share" in rows else np.nan
    if np.isnan(share):
        return ""
    doubtful = f"{percent(share, 0)} of the tissue outside nuclei is doubtful"
    return f"\nevery pixel shows its largest compartment; {doubtful}"


def _bars(shares: Any, density: Any, rows: pd.DataFrame) -> None:
    rows = rows if "model" in rows.columns else rows.assign(model=TRAINED)
    models = list(dict.fromkeys(rows["model"]))
    logs: list[float] = [0.0]
    for place, compartment in enumerate(COMPARTMENTS):
        found = rows[rows["compartment"] == compartment].set_index("model")
        if found.empty:
            continue
        colour = COMPARTMENT_COLOURS[compartment]
        mine = [model for model in models if model in found.index]
        _share_bars(shares, place, found, mine, colour)
        logs += _density_bars(density, place, found["density_ratio"], mine, colour)
    shares.set_yticks(range(len(COMPARTMENTS)), COMPARTMENTS)
    shares.set_ylim(len(COMPARTMENTS) - 0.5, -0.5)
    shares.set_xlim(0.0, 1.0)
    shares.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100 %"])
    shares.set_title("Share of the area and of the saliency")
    density.axvline(0.0, color=CONTROL_COLOUR, linewidth=0.8)
    ratio_axis(density, "x", min(*logs, -0.5) - 0.3, max(*logs, 0.5) + 0.3)
    density.set_title("Density ratio (1 = like the whole patch)")


def _share_bars(shares: Any, place: int, found: pd.DataFrame, models: list[str], colour: str) -> None:
    height = 0.8 / (1 + len(models))
    bars = [("of the area", float(found["area_share"].iloc[0]), "#D5DADF", QUIET)]
    masses = dict(zip(found.index, found["mass_share"].to_numpy(np.float64), strict=True))
    for model in models:
        words = "of the saliency" if len(models) == 1 else f"of the saliency, {model_words(model)}"
        bars.append((words, float(masses[model]), _fill(model, colour), colour))
    # The words of a group stand in one column, clear of its longest bar.
    clear = max((value for _, value, _, _ in bars if np.isfinite(value)), default=0.0)
    for k, (words, value, fill, edge) in enumerate(bars):
        at = place - 0.4 + height * (k + 0.5)
        if np.isfinite(value):
            shares.barh(at, value, height, color=fill, edgecolor=edge, linewidth=0.6)
            shares.text(clear, at, f"  {100 * value:.0f} % {words}", va="center", fontsize=6)
        else:
            shares.text(0.0, at, f"  no share {words}", va="center", fontsize=6, color=QUIET)


def _density_bars(density: Any, place: int, ratios: pd.Series, models: list[str], colour: str) -> list[float]:
    height = 0.7 / len(models)
    logs: list[float] = []
    for k, model in enumerate(models):
        at = place + (k - (len(models) - 1) / 2) * height
        ratio = float(ratios[model])
        if np.isfinite(ratio) and ratio > 0:
            logs.append(float(np.log2(ratio)))
            density.barh(at, logs[-1], 0.85 * height, color=_fill(model, colour), edgecolor=colour, linewidth=0.7)
            side = "left" if logs[-1] >= 0 else "right"
            density.text(logs[-1], at, f" {number(ratio)} ", va="center", ha=side, fontsize=6)
        else:
            density.text(0.0, at, " not measured", va="center", fontsize=6, color=QUIET)
    return logs


def _fill(model: str, colour: str) -> str:
    return colour if model == TRAINED else "white"
