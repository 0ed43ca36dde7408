"""One patch as a picture: image, saliency, compartments, and what its ledger rows say."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from saliency_stats.errors import ReportError
from saliency_stats.report.panels import DISPLAY_PERCENTILE, outline, show_image, show_saliency, tint
from saliency_stats.report.run import TRAINED
from saliency_stats.report.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    compartment_handles,
    house_style,
    new_figure,
    ratio_axis,
    save,
)
from saliency_stats.report.wording import model_words, number
from saliency_stats.vocabulary import COMPARTMENT_CODES, COMPARTMENTS

_COLUMNS: Final = ("compartment", "area_share", "mass_share", "density_ratio", "status")


def explain_figure(
    image: NDArray[np.uint8],
    saliency: NDArray[np.floating],
    compartments: NDArray[Any],
    rows: pd.DataFrame,
    title: str,
    path: Path,
    *,
    mpp: float | None = None,
) -> tuple[Path, Path]:
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
    title
        What stands above the picture.
    path
        Where to write; ``.png`` and ``.pdf`` are written beside each other.
    mpp
        µm per pixel, for a scale bar.

    Returns
    -------
    tuple of Path
        The PNG and the PDF.

    Raises
    ------
    ReportError
        If the arrays differ in size, or the ledger rows are none or lack a column.
    """
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
        return save(figure, Path(path))


def _codes(compartments: NDArray[Any]) -> NDArray[np.uint8]:
    if compartments.ndim == 2:  # noqa: PLR2004 - (H, W) against (K, H, W)
        return compartments.astype(np.uint8)
    lookup = np.array([COMPARTMENT_CODES[name] for name in COMPARTMENTS], dtype=np.uint8)
    return lookup[np.argmax(compartments, axis=0)]


def _draw(
    image: NDArray[np.uint8],
    saliency: NDArray[np.floating],
    codes: NDArray[np.uint8],
    rows: pd.DataFrame,
    title: str,
    mpp: float | None,
) -> Figure:
    figure = new_figure(4.9)
    figure.suptitle(title, fontsize=9, fontweight="bold")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.35, 1.0])
    panels: Any = upper.subplots(1, 4)
    for axes, head in zip(
        panels, ("Image", "Compartments", "Saliency", "with nuclear outlines"), strict=True
    ):
        axes.set_title(head)
    show_image(panels[0], image, mpp)
    show_image(panels[1], image)
    tint(panels[1], codes)
    outline(panels[1], codes)
    show_saliency(panels[2], saliency)
    show_saliency(panels[3], saliency)
    outline(panels[3], codes, only_nuclei=True, casing=False)
    shares, density = lower.subplots(1, 2, sharey=True)
    _bars(shares, density, rows)
    lower.legend(handles=compartment_handles(), loc="outside lower center", ncols=len(COMPARTMENTS))
    upper.supxlabel(
        f"saliency in raw units; the display (no number) is cut at its {DISPLAY_PERCENTILE:g}th percentile",
        fontsize=6.5,
        color=QUIET,
    )
    return figure


def _bars(shares: Any, density: Any, rows: pd.DataFrame) -> None:
    models = list(dict.fromkeys(rows["model"])) if "model" in rows.columns else [TRAINED]
    height = 0.8 / (1 + len(models))
    logs: list[float] = [0.0]
    for place, compartment in enumerate(COMPARTMENTS):
        colour = COMPARTMENT_COLOURS[compartment]
        found = rows[rows["compartment"] == compartment]
        for k, model in enumerate(models):
            mine = found[found["model"] == model] if "model" in rows.columns else found
            if mine.empty:
                continue
            row = mine.iloc[0]
            ink = colour if model == TRAINED else "white"
            if k == 0:
                area = float(row["area_share"])
                shares.barh(
                    place - 0.4 + height / 2, area, height, color="#D5DADF", edgecolor=QUIET, linewidth=0.5
                )
                shares.text(
                    area,
                    place - 0.4 + height / 2,
                    f" {100 * area:.0f} % of the area",
                    va="center",
                    fontsize=6,
                )
            mass, at = float(row["mass_share"]), place - 0.4 + height * (k + 1.5)
            if np.isfinite(mass):
                shares.barh(at, mass, height, color=ink, edgecolor=colour, linewidth=0.7)
                words = (
                    "of the saliency" if len(models) == 1 else f"of the saliency, {model_words(str(model))}"
                )
                shares.text(mass, at, f" {100 * mass:.0f} % {words}", va="center", fontsize=6)
            ratio = float(row["density_ratio"])
            at = place + (k - (len(models) - 1) / 2) * 0.7 / len(models)
            if np.isfinite(ratio) and ratio > 0:
                logs.append(float(np.log2(ratio)))
                density.barh(at, logs[-1], 0.6 / len(models), color=ink, edgecolor=colour, linewidth=0.7)
                side = "left" if logs[-1] >= 0 else "right"
                density.text(logs[-1], at, f" {number(ratio)} ", va="center", ha=side, fontsize=6)
            else:
                density.text(0.0, at, " too small to measure", va="center", fontsize=6, color=QUIET)
    shares.set_yticks(range(len(COMPARTMENTS)), COMPARTMENTS)
    shares.set_ylim(len(COMPARTMENTS) - 0.5, -0.5)
    shares.set_xlim(0.0, 1.0)
    shares.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100 %"])
    shares.set_title("Share of the area and of the saliency")
    density.axvline(0.0, color=CONTROL_COLOUR, linewidth=0.8)
    ratio_axis(density, "x", min(*logs, -0.5) - 0.3, max(*logs, 0.5) + 0.3)
    density.set_title("Density ratio (1 = like the whole patch)")
