"""A cohort of whole-slide images: the same locations of each slide at every magnification."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.cohort.location import root_of
from saliency_stats.cohort.patch import PATCH_COLUMNS, Patch
from saliency_stats.cohort.slides.companions import companions
from saliency_stats.cohort.slides.evidence import Origin, WithoutTumour
from saliency_stats.cohort.slides.geometry import SlideInfo
from saliency_stats.cohort.slides.listing import ListedSlide, read_slide_list
from saliency_stats.cohort.slides.looking import LookedAt, Looking, look
from saliency_stats.cohort.slides.matching import check_groups, check_overrides
from saliency_stats.cohort.slides.outlines import Groups
from saliency_stats.cohort.slides.tiling import TilingParameters
from saliency_stats.errors import PatchError, SlideError
from saliency_stats.seeds import derive
from saliency_stats.typing import Image
from saliency_stats.vocabulary import LABELS

#: Columns of ``slides.csv``, one row per listed slide.
SLIDE_COLUMNS: Final = (
    *("slide_id", "patient_id", "source", "vendor", "width_px", "height_px", "mpp", "tissue_mm2", "tumour_mm2"),
    *("n_tissue", "n_ambiguous", *(f"n_{label}" for label in LABELS), "notes", "status"),
)
#: Columns of numbers in the table of patches; the others are text.
_NUMBERS: Final = ("magnification", "mpp", "x_um", "y_um")


@dataclass
class SlideCohort:
    """Patches of whole-slide images.

    A slide that cannot be used is a row of ``slides`` with its reasons; the others go on. Where none can be used,
    ``table`` has no row.

    Parameters
    ----------
    path
        CSV of the slides, see :func:`read_slide_list`.
    mpp_override
        µm per pixel by slide id or pattern.
    groups
        Names of annotation groups by role, ``tumour``, ``exclude`` and ``ignore``; those that are left out are the
        usual ones.
    origin
        From where outlines count on slides that have bounds (``openslide.bounds-x``): as the file's program does,
        from the bounds' corner, or from the slide's.
    without_tumour
        What an annotation file says in which no tumour is found.
    root
        Folder that the paths of the list are relative to and must lie below; by default the list's own.
    classes
        What the words of the list's column ``label`` stand for; annotations may be called by them too.

    Attributes
    ----------
    names
        What the names of annotations mean.
    table
        One row per patch and magnification.
    slides
        One row per listed slide, columns :data:`SLIDE_COLUMNS`.
    pictures
        By slide id: ``image`` (H, W, 3), ``tissue`` and ``tumour`` (H, W) of the whole slide, small; ``mpp`` (y, x).
    """

    path: Path
    tiling: TilingParameters
    seed: int
    mpp_override: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    origin: Origin = "auto"
    without_tumour: WithoutTumour = "exclude"
    root: Path | None = None
    classes: Classes = USUAL_CLASSES
    kind: str = "slides"

    def __post_init__(self) -> None:
        self.names = Groups.given(self.groups, self.classes)
        listed, self.digests = read_slide_list(self.path, self.mpp_override, self.root, self.classes)
        self.files = {self.path.name: self.path, **_files(listed, root_of(self.path, self.root))}
        check_overrides(self.mpp_override, [slide.slide_id for slide in listed])
        how = Looking(self.tiling, self.names, self.origin, self.without_tumour, self.classes)
        looked = [look(one, how, np.random.default_rng(derive(self.seed, "tiling", one.slide_id))) for one in listed]
        annotated = [one for one in looked if one.file is not None]
        check_groups(
            self.groups,
            [one.file for one in annotated if one.file is not None],
            complete=all(one.outlines_read for one in annotated),
        )
        self._slides = {one.listed.slide_id: one.slide for one in looked if one.slide is not None and not one.reasons}
        self.pictures = {one.listed.slide_id: one.picture for one in looked if one.picture is not None}
        self.slides = _slides_table(looked)
        self.table = _patches_table(looked)

    def read(self, row: int) -> Patch:
        """Read the patch in this row of the table."""
        return Patch(self.field(row, self.tiling.size_px, float(self.table["mpp"].iloc[row])))

    def info(self, slide_id: str) -> SlideInfo:
        """Return what a slide that gave patches says about itself."""
        return self._slides[slide_id].info

    def field(self, row: int, size_px: int, mpp: float) -> Image:
        """Read a field of another size or resolution around the centre of a patch.

        Raises
        ------
        PatchError
            If the slide cannot be read there.
        """
        place = self.table.iloc[row]
        try:
            slide = self._slides[str(place["slide_id"])]
            return slide.read((float(place["y_um"]), float(place["x_um"])), size_px, mpp)
        except SlideError as error:
            raise PatchError(str(error)) from error


def _slides_table(looked: list[LookedAt]) -> pd.DataFrame:
    table = pd.DataFrame([one.row for one in looked], columns=list(SLIDE_COLUMNS))
    # of a column without any value pandas knows no type
    return table.astype({name: float for name in table.columns if table[name].isna().all()})


def _files(listed: Sequence[ListedSlide], folder: Path) -> dict[str, Path]:
    """Name every slide, what belongs to it, and its annotation, relative to the list's folder where they lie in it."""
    found: list[Path] = []
    for slide in listed:
        found += [slide.path, *companions(slide.path)]
        found += [] if slide.annotation is None else [slide.annotation]
    return {(path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix(): path for path in found}


def _patches_table(looked: list[LookedAt]) -> pd.DataFrame:
    table = pd.DataFrame([place for one in looked for place in one.places], columns=list(PATCH_COLUMNS))
    return table.astype({name: float if name in _NUMBERS else "str" for name in PATCH_COLUMNS})
