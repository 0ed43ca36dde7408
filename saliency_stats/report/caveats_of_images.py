"""What a reader must know of the images of a run, and of what was seen in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saliency_stats.cohort.phantom.signals import SIGNALS
from saliency_stats.compartments.ways import SURE, cell_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import TIMES, percent, sentence
from saliency_stats.settings.cohort import PhantomSection

#: From this share of doubtful tissue on, a fifth, what is called cytoplasm decides less than what is not known.
_MUCH_DOUBT: Final = 0.2
_LOSSY: Final = (".jpg", ".jpeg", ".svs")
_PCAM: Final = ("pcam", "patchcamelyon", "patch_camelyon")


@dataclass(frozen=True)
class Caveat:
    """One limit of the run: a heading and a text; whether the verdict must not be read without it."""

    title: str
    text: str
    first: bool = False


def of_the_images(run: Run) -> Iterator[Caveat]:
    """Yield the caveats about the cohort, the segmentation and what it leaves in doubt."""
    yield from _cohort(run)
    yield from _segmentation(run)
    yield from _doubt(run)


def _cohort(run: Run) -> Iterator[Caveat]:
    cohort = run.settings.cohort
    if isinstance(cohort, PhantomSection):
        usual = cohort.architecture == PhantomSection.model_fields["architecture"].default
        built = "" if usual else f" (architecture: {cohort.architecture.replace('_', ' ')})"
        yield Caveat(
            "The tissue is synthetic",
            f"The patches are phantoms{built}; the classes differ in: {SIGNALS[cohort.signal].words}."
            " They show whether the method finds what was planted, and nothing about real tumours.",
        )
    names = f"{run.settings.name} {getattr(cohort, 'table', '')}".lower()
    if any(word in names for word in _PCAM):
        benign, malignant = run.classes.names
        yield Caveat(
            "The label describes the centre only",
            f"In PatchCamelyon a patch is {malignant} if the central 32 {TIMES} 32 pixels hold tumour;"
            f" the saliency is judged over the whole patch, and {benign} patches may hold tumour at their rim.",
        )
    sources = run.patches["source"].str.lower()
    if sources.str.endswith(_LOSSY).any():
        yield Caveat(
            "Lossy compression",
            f"The images were compressed as JPEG, whose 8 {TIMES} 8 blocks and rings around edges a"
            " network can see. Saliency at such artefacts counts for the compartment in which they lie.",
        )


def _segmentation(run: Run) -> Iterator[Caveat]:
    nuclei = str(run.settings.compartments.nuclei)
    how = {
        "builtin": (
            "Nuclei were found by the StarDist model of this package, trained on little real tissue: its outlines are"
            " loose, and pale or crowded nuclei are partly missed."
        ),
        "classical": (
            "Nuclei were found by haematoxylin density and watershed, which misses pale nuclei and merges crowded ones."
        ),
        "truth": (
            "The compartments are the phantom's own, without any segmentation error; on real tissue there is one."
        ),
    }.get(nuclei, f"Nuclei were segmented by {Path(nuclei).name}, which makes mistakes of its own.")
    section = run.settings.compartments
    if nuclei != "truth":
        how += (
            f" {sentence(cell_words(section.cells, section.cytoplasm_um))} Cell borders are not seen. The distance"
            " profile does not depend on that choice."
        )
    yield Caveat("The compartments are measured, not given", how)


def _doubt(run: Run) -> Iterator[Caveat]:
    for (magnification, label), share in run.doubt.items():
        if share > _MUCH_DOUBT:
            yield Caveat(
                f"Much of the tissue is doubtful ({run.place(magnification, label)})",
                f"In the median judged patch, {percent(share, 0)} of the tissue outside nuclei is neither cytoplasm nor"
                f" stroma nor background with a probability of at least {SURE:g}. Such tissue counts for each of them"
                " in part, which brings their densities nearer to one another: what is found in the cytoplasm may lie"
                " in the stroma beside it. How much the contrast depends on it, other ways to tell cells would say"
                " (compartments.cells, or the multiverse).",
            )
