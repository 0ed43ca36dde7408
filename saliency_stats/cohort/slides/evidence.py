"""Does an annotation fit its slide: is there tumour, is it on tissue, does the list's label agree."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.cohort.slides.annotation import Annotation, AnnotationFile
from saliency_stats.cohort.slides.geometry import SlideInfo
from saliency_stats.cohort.slides.outlines import listed_classes
from saliency_stats.cohort.slides.overview import TissueMap
from saliency_stats.cohort.slides.polygons import with_area
from saliency_stats.errors import SlideError
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import LABELS

#: From where the outlines of a file count: from the corner of what was scanned, or of the slide's whole plane. "auto"
#: takes what the file's program does: QuPath crops to what was scanned, ASAP shows the plane.
Origin: TypeAlias = Literal["auto", "bounds", "slide"]
#: What an annotation without tumour says of its slide: nothing, so that it is left out, or that it is benign.
WithoutTumour: TypeAlias = Literal["exclude", "benign"]

#: Outlines are drawn coarsely and go round lumina, fat and some glass; where less than this share of them is tissue,
#: it is doubtful that they belong there.
DOUBTFUL_ON_TISSUE: Final = 0.5
#: Below this share practically nothing of what was annotated is tissue: it was not drawn here. Unless it holds at least
#: the other share of all tissue: then it is a frame around small pieces, as of a biopsy.
MIN_ON_TISSUE: Final = 0.1
FRAMED: Final = 0.5
#: Points along the longer side of a piece of tumour at which it is asked whether there is tissue, and pieces that are
#: asked, largest first.
_POINTS, _PIECES = 128, 1000
_BENIGN, _MALIGNANT = LABELS


def origin_of(kind: str, info: SlideInfo, origin: Origin) -> tuple[int, int]:
    """Return the (y, x) pixel of level 0 from which a file of this kind (``asap``, ``geojson``) counts."""
    counts_from_bounds = origin == "bounds" or (origin == "auto" and kind == "geojson")
    return info.bounds_px if counts_from_bounds else (0, 0)


def check_label(
    label: str,
    annotation: Annotation,
    file: AnnotationFile,
    without_tumour: WithoutTumour,
    classes: Classes = USUAL_CLASSES,
) -> None:
    """Refuse an annotation that says nothing, or something else than the list.

    A slide without annotation is benign, as the lists of CAMELYON16 have it; one with an annotation in which no tumour
    is found may be anything, unless the list or the study says that it is benign.

    Raises
    ------
    SlideError
        Naming the classes found and the key that gives them a meaning.
    """
    benign, malignant = classes.names
    where = f"slide {file.slide_id!r}: annotation {file.path.name}"
    found = f"Classes found: {listed_classes(file.notes.counts)}"
    if not annotation.tumour.is_empty:
        if label == _BENIGN:
            raise SlideError(
                f"{where} holds {annotation.tumour.area / 1e6:.4g} mm² of tumour, and the list says label "
                f"{benign}. {found}. Correct the label or the annotation, or name classes that are no tumour in "
                f"cohort.annotation_groups: {{ignore: […]}}"
            )
        return
    mapping = (
        f"{found}; as tumour count {', '.join(file.groups.tumour)}. Name the classes of tumour in "
        f"cohort.annotation_groups: {{tumour: […]}}, which replaces these"
    )
    if label == _MALIGNANT:
        raise SlideError(
            f"{where} holds no tumour, and the list says label {malignant}. {mapping}, or correct the label"
        )
    if label != _BENIGN and without_tumour == "exclude":
        raise SlideError(
            f"{where} holds no tumour, which is no evidence that the slide is {benign}. {mapping}; or say that it is "
            f"{benign}: label {benign} in the list, or cohort.annotation_without_tumour: benign for all"
        )


def check_on_tissue(
    annotation: Annotation, kind: str, info: SlideInfo, tissue: TissueMap, origin: Origin
) -> tuple[str, ...]:
    """Notice tumour that is annotated where there is no tissue.

    Returns
    -------
    tuple of str
        A note if less than :data:`DOUBTFUL_ON_TISSUE` of it lies on tissue, with what would put it there.

    Raises
    ------
    SlideError
        If less than :data:`MIN_ON_TISSUE` does, and it holds less than :data:`FRAMED` of the slide's tissue.
    """
    if annotation.tumour.is_empty:
        return ()
    drawn = annotation.tumour if annotation.drawn is None else annotation.drawn
    share = share_on_tissue(drawn, tissue)
    if share >= DOUBTFUL_ON_TISSUE:
        return ()
    others = {what: share_on_tissue(area, tissue) for what, area in _elsewhere(drawn, kind, info, origin).items()}
    better = {what: on for what, on in others.items() if on >= max(DOUBTFUL_ON_TISSUE, 2 * share)}
    hint = "; ".join(f"{what} would put {on:.0%} of it on tissue" for what, on in better.items())
    told = f"only {share:.0%} of the annotated tumour lies on tissue" + (f" ({hint})" if hint else "")
    if share < MIN_ON_TISSUE and share * drawn.area < FRAMED * tissue.area_um2:
        raise SlideError(
            f"slide {info.slide_id!r}: {told}; expected at least {MIN_ON_TISSUE:.0%}. Pair the slide with its own "
            f"annotation ({annotation.source.name}), exported in level-0 pixels, and see cohort.annotation_origin"
        )
    return (told,)


def _elsewhere(drawn: BaseGeometry, kind: str, info: SlideInfo, origin: Origin) -> Mapping[str, BaseGeometry]:
    """Lay the tumour where it would be if the file counted from elsewhere, or in other units."""
    places: dict[str, BaseGeometry] = {}
    y, x = origin_of(kind, info, origin)
    height, width = info.pixel_um(0)
    if any(info.bounds_px):
        other: Origin = "slide" if (y, x) == info.bounds_px else "bounds"
        top, left = (0, 0) if other == "slide" else info.bounds_px
        places[f"cohort.annotation_origin: {other}"] = affinity.translate(drawn, (left - x) * width, (top - y) * height)
    corner = (x * width, y * height)
    scales = {"reading its coordinates as µm": (1 / width, 1 / height)}
    scales |= {
        f"reading them as pixels of level {level} (1/{factor:g})": (factor, factor)
        for level, factor in enumerate(info.downsamples)
        if level
    }
    for what, (across, down) in scales.items():
        places[what] = affinity.scale(drawn, across, down, origin=corner)
    return places


def share_on_tissue(area: BaseGeometry, tissue: TissueMap) -> float:
    """Share of an area that lies on tissue, to about a hundredth; what lies beyond the slide is none.

    Parameters
    ----------
    area
        (Multi)polygon in µm, (x, y) inside of shapely, not empty.
    """
    rows, columns = tissue.mask.shape
    slide = shapely.box(0, 0, columns * tissue.mpp_x, rows * tissue.mpp_y)
    pieces = shapely.get_parts(with_area(area.intersection(slide)))
    pieces = pieces[shapely.area(pieces) > 0]
    inside = float(shapely.area(pieces).sum())
    pieces = pieces[np.argsort(-shapely.area(pieces), kind="stable")[:_PIECES]]
    asked = on_tissue = 0.0
    for piece in pieces:
        x, y = _points(piece).T
        row, column = (y / tissue.mpp_y).astype(int), (x / tissue.mpp_x).astype(int)
        on = tissue.mask[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)].mean()
        asked += piece.area
        on_tissue += piece.area * on
    return on_tissue / asked * inside / area.area if asked else 0.0


def _points(piece: BaseGeometry) -> Float64Array:
    """Points of a grid inside a polygon, (N, 2) as (x, y); at least one."""
    x0, y0, x1, y1 = piece.bounds
    step = max(x1 - x0, y1 - y0) / _POINTS
    x, y = (np.arange(low + step / 2, high, step) for low, high in ((x0, x1), (y0, y1)))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    shapely.prepare(piece)
    found = grid[shapely.contains_xy(piece, grid)]
    return found if len(found) else shapely.get_coordinates(piece.representative_point())
