"""Every figure of the report: its name, its title, how it is drawn and what its caption says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from saliency_stats.report import (
    figures_causal,
    figures_classifier,
    figures_compositional,
    figures_contrasts,
    figures_controls,
    figures_curves,
    figures_density,
    figures_examples,
    figures_flow,
    figures_magnification,
    figures_methods,
    figures_multiverse,
    figures_profile,
    figures_separation,
    figures_slides,
)
from saliency_stats.report.run import RunTables
from saliency_stats.report.style import house_style, save


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the report.

    Parameters
    ----------
    name
        Stem of its files.
    title
        Its heading.
    draw, caption
        From a run to the figure and to the text below it.
    wanted
        Whether a run has what the figure is about; where not, it is not drawn at all.
    """

    name: str
    title: str
    draw: Callable[[RunTables], Figure]
    caption: Callable[[RunTables], str]
    wanted: Callable[[RunTables], bool] = lambda _run: True


@dataclass(frozen=True)
class DrawnFigure:
    """A figure on disk, with its heading and caption."""

    name: str
    title: str
    caption: str
    png: Path
    pdf: Path


#: In the order of the report: where it looked, how sure that is, by magnification, the classifier, the patches.
FIGURES: Final = (
    FigureSpec(
        "examples",
        "Example patches with their saliency",
        figures_examples.draw_examples,
        figures_examples.caption_examples,
    ),
    FigureSpec(
        "density_ratio",
        "Saliency density in each compartment",
        figures_density.draw_density_ratio,
        figures_density.caption_density_ratio,
    ),
    FigureSpec(
        "forest",
        "Cytoplasm against nuclei: estimates and intervals",
        figures_contrasts.draw_forest,
        figures_contrasts.caption_forest,
    ),
    FigureSpec(
        "causal",
        "Replacing one compartment at a time",
        lambda run: figures_causal.draw_causal(run, run.ablation, run.causal),
        lambda run: figures_causal.caption_causal(run, run.ablation, run.causal),
        lambda run: figures_causal.has_ablation(run.ablation),
    ),
    FigureSpec(
        "separation",
        "What tells the classes apart",
        lambda run: figures_separation.draw_separation(run, run.causal),
        lambda run: figures_separation.caption_separation(run, run.causal),
        lambda run: figures_separation.has_separation(run.causal),
    ),
    FigureSpec(
        "ablation_curves",
        "Taking a compartment away, and putting it back",
        lambda run: figures_curves.draw_curves(run, run.ablation_curves),
        lambda run: figures_curves.caption_curves(run, run.ablation_curves),
        lambda run: figures_causal.has_ablation(run.ablation_curves),
    ),
    FigureSpec(
        "controls",
        "The claim against every control",
        figures_controls.draw_controls,
        figures_controls.caption_controls,
        figures_controls.has_controls,
    ),
    FigureSpec(
        "methods",
        "The same question by other methods",
        figures_methods.draw_methods,
        figures_methods.caption_methods,
        figures_methods.has_methods,
    ),
    FigureSpec(
        "multiverse",
        "The contrast under every choice of analysis",
        figures_multiverse.draw_multiverse,
        figures_multiverse.caption_multiverse,
        figures_multiverse.has_multiverse,
    ),
    FigureSpec(
        "segmentations",
        "The contrast over segmentations",
        figures_multiverse.draw_segmentation,
        figures_multiverse.caption_segmentation,
        figures_multiverse.has_multiverse,
    ),
    FigureSpec(
        "profile",
        "Saliency against the distance to the nuclear border",
        figures_profile.draw_profile,
        figures_profile.caption_profile,
    ),
    FigureSpec(
        "area_vs_mass",
        "Shares of the area and of the saliency",
        figures_density.draw_area_vs_mass,
        figures_density.caption_area_vs_mass,
    ),
    FigureSpec(
        "ternary",
        "Nuclei, cytoplasm and stroma at once",
        figures_compositional.draw_ternary,
        figures_compositional.caption_ternary,
    ),
    FigureSpec(
        "magnification",
        "Cytoplasm against nuclei by magnification",
        figures_magnification.draw_magnification,
        figures_magnification.caption_magnification,
        figures_magnification.has_magnifications,
    ),
    FigureSpec(
        "magnification_compartments",
        "Each compartment's saliency density by magnification",
        figures_magnification.draw_compartments,
        figures_magnification.caption_compartments,
        figures_magnification.has_magnifications,
    ),
    FigureSpec(
        "slides",
        "The slides, and where patches were taken",
        figures_slides.draw_slides,
        figures_slides.caption_slides,
        wanted=figures_slides.has_slides,
    ),
    FigureSpec(
        "roc_reliability",
        "The classifier's diagnoses",
        figures_classifier.draw_roc_reliability,
        figures_classifier.caption_roc_reliability,
    ),
    FigureSpec(
        "training",
        "The classifier's training",
        figures_classifier.draw_training,
        figures_classifier.caption_training,
    ),
    FigureSpec("flow", "From listed to judged patches", figures_flow.draw_flow, figures_flow.caption_flow),
)


def draw_figures(run: RunTables, progress: Callable[[str], None] | None = None) -> tuple[DrawnFigure, ...]:
    """Draw every figure that the run wants into ``figures/`` of the run's folder, as PNG and PDF.

    Parameters
    ----------
    run
        The run; nothing but its tables is used.
    progress
        Told the name of each figure before it is drawn.

    Returns
    -------
    tuple of DrawnFigure
        The figures in the order of :data:`FIGURES`.
    """
    drawn = []
    with house_style():
        for spec in FIGURES:
            if not spec.wanted(run):
                continue
            if progress is not None:
                progress(f"figure {spec.name}")
            figure = spec.draw(run)
            png = save(figure, run.folder / "figures" / f"{spec.name}.png")
            # The layout is solved: the PDF takes it over, which is quicker and makes the two alike.
            figure.set_layout_engine("none")
            pdf = save(figure, run.folder / "figures" / f"{spec.name}.pdf")
            drawn.append(DrawnFigure(spec.name, spec.title, spec.caption(run), png, pdf))
    return tuple(drawn)
