"""One slide of the list looked at: what its annotation says, and where patches are taken, or why none are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from PIL import Image as PillowImage

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.cohort.patch import USED
from saliency_stats.cohort.slides.annotation import Annotation, AnnotationFile
from saliency_stats.cohort.slides.evidence import Origin, WithoutTumour, check_label, check_on_tissue, origin_of
from saliency_stats.cohort.slides.listing import ListedSlide
from saliency_stats.cohort.slides.outlines import Groups, Outline, listed_classes, rasterise
from saliency_stats.cohort.slides.overview import TissueMap
from saliency_stats.cohort.slides.slide import Slide
from saliency_stats.cohort.slides.tiling import Locations, TilingParameters, sample_locations
from saliency_stats.errors import SaliencyStatsError
from saliency_stats.typing import Image
from saliency_stats.vocabulary import LABELS

#: Longer side of the pictures of slides in the report.
_PICTURE_PX: Final = 512


@dataclass(frozen=True)
class Looking:
    """How slides are looked at.

    Parameters
    ----------
    tiling
        Where patches are taken.
    names
        What classes of annotations mean.
    origin, without_tumour
        From where outlines count, and what an annotation without tumour says; see ``SlideCohort``.
    classes
        What messages call the two classes.
    """

    tiling: TilingParameters
    names: Groups
    origin: Origin = "auto"
    without_tumour: WithoutTumour = "exclude"
    classes: Classes = USUAL_CLASSES


@dataclass
class LookedAt:
    """What was found of one slide.

    Attributes
    ----------
    row
        Its line of ``slides.csv``.
    reasons
        Why it cannot be used; all that is known. Empty if it can be.
    places
        Its lines of ``patches.csv``, every location at every magnification.
    picture
        ``image`` (H, W, 3), ``tissue`` and ``tumour`` (H, W) of the whole slide, small; ``mpp`` (y, x). None if it
        cannot be read.
    """

    listed: ListedSlide
    row: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    places: list[dict[str, Any]] = field(default_factory=list)
    picture: dict[str, Any] | None = None
    slide: Slide | None = None
    file: AnnotationFile | None = None
    outlines: list[Outline] = field(default_factory=list)
    outlines_read: bool = False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Turn any error into a reason against this slide: one slide must not end the others."""
        try:
            yield
        except SaliencyStatsError as error:
            self.reasons.append(str(error))
        except Exception as error:  # noqa: BLE001  (a slide or annotation of a kind that nobody has thought of)
            self.reasons.append(
                f"slide {self.listed.slide_id!r} ({self.listed.path.name}): unforeseen {type(error).__name__} "
                f"({error}). Leave the slide out, and report the error with this slide or its annotation"
            )


def look(listed: ListedSlide, how: Looking, rng: np.random.Generator) -> LookedAt:
    """Look at one slide: open it, read its annotation, and choose its locations.

    Returns
    -------
    LookedAt
        Whatever goes wrong is a reason in it; nothing is raised.
    """
    found = LookedAt(listed)
    found.row |= {"slide_id": listed.slide_id, "patient_id": listed.patient_id, "source": listed.path.name}
    found.row |= {"vendor": "", "notes": ""}
    # the annotation comes first: its classes are known then, also of a slide that cannot be used
    if listed.annotation is not None:
        found.file = AnnotationFile(listed.annotation, listed.slide_id, how.names)
        with found.attempt():
            found.outlines = found.file.parse()
            found.outlines_read = True
    with found.attempt():
        found.slide = Slide(listed.path, listed.slide_id, listed.mpp)
        info = found.slide.info
        found.row |= {"vendor": info.vendor, "width_px": info.width_px, "height_px": info.height_px, "mpp": info.mpp}
        info.check_magnifications(how.tiling.magnifications)
        if not found.reasons:
            _choose(found, found.slide, how, rng)
    if found.file is not None and found.outlines_read:
        classes = f"classes: {listed_classes(found.file.notes.counts)}"
        found.row["notes"] = "; ".join([classes, *found.file.notes.lines(), *found.notes])
    if found.reasons:
        found.places = []
        if found.slide is not None:
            found.slide.close()
    found.row["status"] = f"excluded: {'; '.join(found.reasons)}" if found.reasons else USED
    return found


def _choose(found: LookedAt, slide: Slide, how: Looking, rng: np.random.Generator) -> None:
    info, row = slide.info, found.row
    overview, *scale = slide.read_overview()
    tissue = TissueMap.from_overview(overview, *scale)
    row["tissue_mm2"] = tissue.area_um2 / 1e6
    tumour = None
    if found.file is not None:
        tumour = _laid_on(found, found.file, slide, how)
        with found.attempt():
            check_label(found.listed.label, tumour, found.file, how.without_tumour, how.classes)
        with found.attempt():
            found.notes.extend(check_on_tissue(tumour, found.file.kind, info, tissue, how.origin))
    row["tumour_mm2"] = tumour.tumour.area / 1e6 if tumour else 0.0
    found.picture = _picture(overview, tissue, tumour)
    if found.reasons:
        return
    places = sample_locations(info.height_um, info.width_um, tissue, tumour, how.tiling, rng)
    row |= {"n_tissue": places.n_tissue, "n_ambiguous": places.n_ambiguous}
    row |= {f"n_{label}": int((places.labels == label).sum()) for label in LABELS}
    if not len(places.labels):
        found.reasons.append(_nothing(places, how.tiling))
    elif row["tumour_mm2"] and not row[f"n_{LABELS[1]}"]:
        found.notes.append(
            f"tumour is annotated, but no place with tissue holds {how.tiling.min_tumour:.0%} of it (cohort.min_tumour)"
        )
    found.places = _patches(found.listed, slide, places, how.tiling)


def _laid_on(found: LookedAt, file: AnnotationFile, slide: Slide, how: Looking) -> Annotation:
    info = slide.info
    y, x = origin = origin_of(file.kind, info, how.origin)
    if any(origin):
        found.notes.append(f"outlines counted from the corner of what was scanned, x {x}, y {y} px (openslide.bounds)")
    return file.laid_on(found.outlines, (info.mpp_y, info.mpp_x), (info.height_px, info.width_px), origin)


def _patches(listed: ListedSlide, slide: Slide, found: Locations, tiling: TilingParameters) -> list[dict[str, Any]]:
    """List every location at every magnification."""
    coarsest = max(tiling.mpps)
    centres = [slide.snap((float(y), float(x)), coarsest) for y, x in found.centres_um]
    return [
        {
            "patch_id": f"{listed.slide_id}-{number + 1:04d}",
            "slide_id": listed.slide_id,
            "patient_id": listed.patient_id,
            "label": label,
            "split": listed.split,
            "magnification": magnification,
            "mpp": mpp,
            "x_um": x,
            "y_um": y,
            "source": listed.path.name,
            "status": USED,
        }
        for number, ((y, x), label) in enumerate(zip(centres, found.labels, strict=True))
        for magnification, mpp in zip(tiling.magnifications, tiling.mpps, strict=True)
    ]


def _picture(overview: Image, tissue: TissueMap, tumour: Annotation | None) -> dict[str, Any]:
    """Return a small picture of a slide with its tissue and tumour: what the report draws."""
    factor = -(-max(overview.shape) // _PICTURE_PX)
    image = np.asarray(PillowImage.fromarray(overview).reduce(factor))
    mask, mpp = tissue.mask[::factor, ::factor], (tissue.mpp_y * factor, tissue.mpp_x * factor)
    outlined = np.zeros_like(mask) if tumour is None else rasterise(tumour.tumour, mask.shape, mpp)
    return {"image": image, "tissue": mask, "tumour": outlined, "mpp": np.array(mpp)}


def _nothing(found: Locations, tiling: TilingParameters) -> str:
    if found.n_ambiguous:
        return f"all {found.n_ambiguous} places with tissue have an ambiguous share of tumour"
    return (
        f"no place with {tiling.min_tissue:.0%} tissue (cohort.min_place_tissue) whose field of "
        f"{tiling.widest_um:g} µm lies inside the slide"
    )
