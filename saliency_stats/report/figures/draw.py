"""Every figure of the report: its name, its title, how it is drawn and what its caption says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from matplotlib.figure import Figure

from saliency_stats.report.figures import (
    causal,
    classifier,
    compositional,
    contrasts,
    controls,
    curves,
    density,
    examples,
    flow,
    ladder,
    magnification,
    methods,
    multiverse,
    networks,
    profile,
    separation,
    slides,
)
from saliency_stats.report.figures.style import NothingToDrawError, empty_figure, house_style, save_both
from saliency_stats.report.run import Run


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the report: the stem of its files, its heading, how a run becomes the figure and the text below it.

    `wanted` tells whether a run has what the figure is about; where not, it is not drawn at all.
    """

    name: str
    title: str
    draw: Callable[[Run], Figure]
    caption: Callable[[Run], str]
    wanted: Callable[[Run], bool]


@dataclass(frozen=True)
class DrawnFigure:
    """A figure on disk, with its heading and caption."""

    name: str
    title: str
    caption: str
    png: Path
    pdf: Path


#: Figures that say themselves whose they are; all others show what the trained network does.
NOT_OF_NETWORKS: Final = ("examples", "networks", "slides", "roc_reliability", "training", "flow", "ladder")


def _figure(
    name: str, title: str, module: ModuleType, what: str = "", wanted: Callable[[Run], bool] = lambda _: True
) -> FigureSpec:
    """Take ``draw_…`` and ``caption_…`` from a figure's module; `what` where they are not called as the figure is."""
    draw, caption = (getattr(module, f"{verb}_{what or name}") for verb in ("draw", "caption"))
    return FigureSpec(name, title, draw, caption, wanted)


def _has(table: str) -> Callable[[Run], bool]:
    """Return what tells whether a run has rows of a table: nothing was replaced, or no choices were crossed, else."""
    return lambda run: not run.table(table).empty


_SEVERAL: Final = magnification.has_magnifications
#: What it comes to, then in the order of the report: where it looked, how sure that is, by magnification, the
#: classifier, the patches.
FIGURES: Final = (
    _figure("ladder", "What the finding survives", ladder, "", ladder.has_ladder),
    _figure("examples", "Example patches with their saliency", examples),
    _figure("density_ratio", "Saliency density in each compartment", density),
    _figure("forest", "Cytoplasm against nuclei: estimates and intervals", contrasts),
    _figure("causal", "Replacing one compartment at a time", causal, "", _has("ablation")),
    _figure("separation", "What tells the classes apart", separation, "", separation.has_separation),
    _figure("ablation_curves", "A compartment removed, or put back", curves, "curves", _has("ablation_curves")),
    _figure("networks", "Networks as a sample", networks, "", networks.has_networks),
    _figure("controls", "The claim against every control", controls, "", controls.has_controls),
    _figure("methods", "The same question by other methods", methods, "", methods.has_methods),
    _figure("multiverse", "The contrast under every choice of analysis", multiverse, "", _has("multiverse")),
    _figure("segmentations", "The contrast over segmentations", multiverse, "segmentation", _has("multiverse")),
    _figure("profile", "Saliency against the distance to the nuclear border", profile),
    _figure("area_vs_mass", "Shares of the area and of the saliency", density),
    _figure("ternary", "Nuclei, cytoplasm and stroma at once", compositional),
    _figure("magnification", "Cytoplasm against nuclei by magnification", magnification, "", _SEVERAL),
    _figure("magnification_compartments", "Saliency density by magnification", magnification, "compartments", _SEVERAL),
    _figure("slides", "The slides, and where patches were taken", slides, "", slides.has_slides),
    _figure("roc_reliability", "The classifier's diagnoses", classifier),
    _figure("training", "The classifier's training", classifier),
    _figure("flow", "From listed to judged patches", flow),
)


def networks_words(run: Run) -> str:
    """Say of how many trained networks a figure is."""
    several = f" Trained: {run.n_networks} networks, averaged patch by patch."
    return several if run.n_networks > 1 else " Trained: this network; another may differ."


def draw_figures(run: Run, progress: Callable[[str], None] | None = None) -> tuple[DrawnFigure, ...]:
    """Draw the figures that the run wants, in order, into ``figures/`` of its folder, as PNG and PDF.

    Nothing but the run's tables is used. `progress` is told the name of each figure before it is drawn.
    """
    drawn = []
    with house_style():
        for spec in FIGURES:
            if not spec.wanted(run):
                continue
            if progress is not None:
                progress(f"figure {spec.name}")
            try:
                whose = "" if spec.name in NOT_OF_NETWORKS else networks_words(run)
                figure, caption = spec.draw(run), spec.caption(run) + whose
            except NothingToDrawError as nothing:
                figure, caption = empty_figure(str(nothing)), f"Nothing could be drawn: {nothing}."
            png, pdf = save_both(figure, run.folder / "figures" / spec.name)
            drawn.append(DrawnFigure(spec.name, spec.title, caption, png, pdf))
    return tuple(drawn)
