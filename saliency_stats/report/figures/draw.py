"""Every figure of the report: its name, its title, how it is drawn and what its caption says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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
    magnification,
    methods,
    multiverse,
    profile,
    separation,
    slides,
)
from saliency_stats.report.figures.style import house_style, save
from saliency_stats.report.run import Run


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
    draw: Callable[[Run], Figure]
    caption: Callable[[Run], str]
    wanted: Callable[[Run], bool] = lambda _run: True


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
        examples.draw_examples,
        examples.caption_examples,
    ),
    FigureSpec(
        "density_ratio",
        "Saliency density in each compartment",
        density.draw_density_ratio,
        density.caption_density_ratio,
    ),
    FigureSpec(
        "forest",
        "Cytoplasm against nuclei: estimates and intervals",
        contrasts.draw_forest,
        contrasts.caption_forest,
    ),
    FigureSpec(
        "causal",
        "Replacing one compartment at a time",
        causal.draw_causal,
        causal.caption_causal,
        lambda run: causal.has_ablation(run.ablation),
    ),
    FigureSpec(
        "separation",
        "What tells the classes apart",
        separation.draw_separation,
        separation.caption_separation,
        lambda run: separation.has_separation(run.causal),
    ),
    FigureSpec(
        "ablation_curves",
        "Taking a compartment away, and putting it back",
        curves.draw_curves,
        curves.caption_curves,
        lambda run: causal.has_ablation(run.ablation_curves),
    ),
    FigureSpec(
        "controls",
        "The claim against every control",
        controls.draw_controls,
        controls.caption_controls,
        controls.has_controls,
    ),
    FigureSpec(
        "methods",
        "The same question by other methods",
        methods.draw_methods,
        methods.caption_methods,
        methods.has_methods,
    ),
    FigureSpec(
        "multiverse",
        "The contrast under every choice of analysis",
        multiverse.draw_multiverse,
        multiverse.caption_multiverse,
        multiverse.has_multiverse,
    ),
    FigureSpec(
        "segmentations",
        "The contrast over segmentations",
        multiverse.draw_segmentation,
        multiverse.caption_segmentation,
        multiverse.has_multiverse,
    ),
    FigureSpec(
        "profile",
        "Saliency against the distance to the nuclear border",
        profile.draw_profile,
        profile.caption_profile,
    ),
    FigureSpec(
        "area_vs_mass",
        "Shares of the area and of the saliency",
        density.draw_area_vs_mass,
        density.caption_area_vs_mass,
    ),
    FigureSpec(
        "ternary",
        "Nuclei, cytoplasm and stroma at once",
        compositional.draw_ternary,
        compositional.caption_ternary,
    ),
    FigureSpec(
        "magnification",
        "Cytoplasm against nuclei by magnification",
        magnification.draw_magnification,
        magnification.caption_magnification,
        magnification.has_magnifications,
    ),
    FigureSpec(
        "magnification_compartments",
        "Each compartment's saliency density by magnification",
        magnification.draw_compartments,
        magnification.caption_compartments,
        magnification.has_magnifications,
    ),
    FigureSpec(
        "slides",
        "The slides, and where patches were taken",
        slides.draw_slides,
        slides.caption_slides,
        wanted=slides.has_slides,
    ),
    FigureSpec(
        "roc_reliability",
        "The classifier's diagnoses",
        classifier.draw_roc_reliability,
        classifier.caption_roc_reliability,
    ),
    FigureSpec(
        "training",
        "The classifier's training",
        classifier.draw_training,
        classifier.caption_training,
    ),
    FigureSpec("flow", "From listed to judged patches", flow.draw_flow, flow.caption_flow),
)


def draw_figures(run: Run, progress: Callable[[str], None] | None = None) -> tuple[DrawnFigure, ...]:
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
