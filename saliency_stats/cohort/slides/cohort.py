"""A cohort of whole-slide images: the same locations of each slide at every magnification."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from PIL import Image as PillowImage

from saliency_stats.cohort.patch import PATCH_COLUMNS, USED, Patch
from saliency_stats.cohort.slides.annotation import Annotation, read_annotation
from saliency_stats.cohort.slides.listing import ListedSlide, read_slide_list
from saliency_stats.cohort.slides.outlines import rasterise
from saliency_stats.cohort.slides.overview import TissueMap
from saliency_stats.cohort.slides.slide import Slide
from saliency_stats.cohort.slides.tiling import Locations, TilingParameters, sample_locations
from saliency_stats.errors import PatchError, SlideError
from saliency_stats.seeds import derive
from saliency_stats.typing import Image
from saliency_stats.vocabulary import LABELS

#: Columns of ``slides.csv``, one row per listed slide.
SLIDE_COLUMNS: Final = (
    *("slide_id", "patient_id", "source", "vendor", "width_px", "height_px", "mpp", "tissue_mm2", "tumour_mm2"),
    *("n_tissue", "n_ambiguous", *(f"n_{label}" for label in LABELS), "notes", "status"),
)
#: Longer side of the pictures of slides in the report.
_PICTURE_PX: Final = 512


@dataclass
class SlideCohort:
    """Patches of whole-slide images.

    A slide that cannot be used is a row of ``slides`` with its reason; the others go on.

    Parameters
    ----------
    path
        CSV of the slides, see :func:`read_slide_list`.
    mpp_override
        µm per pixel by slide id or pattern.
    groups
        Names of annotation groups by role, ``tumour`` and ``exclude``; those that are left out are the usual ones.
    root
        Folder that the paths of the list are relative to and must lie below; by default the list's own.

    Attributes
    ----------
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
    root: Path | None = None
    kind: str = "slides"

    def __post_init__(self) -> None:
        listed, self.digests = read_slide_list(self.path, self.mpp_override, self.root)
        self._slides: dict[str, Slide] = {}
        self.pictures: dict[str, dict[str, Any]] = {}
        rows, patches = [], []
        for slide in listed:
            row, table = self._look(slide)
            rows.append(row)
            patches.append(table)
        self.slides = pd.DataFrame(rows, columns=list(SLIDE_COLUMNS))
        self.table = pd.concat(patches, ignore_index=True)[list(PATCH_COLUMNS)]

    def read(self, row: int) -> Patch:
        """Read the patch in this row of the table."""
        return Patch(self.field(row, self.tiling.size_px, float(self.table["mpp"].iloc[row])))

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

    def _look(self, listed: ListedSlide) -> tuple[dict[str, Any], pd.DataFrame]:
        """Describe a slide and choose its locations."""
        slide = Slide(listed.path, listed.slide_id, listed.mpp)
        row: dict[str, Any] = {"slide_id": listed.slide_id, "patient_id": listed.patient_id, "source": listed.path.name}
        try:
            info = slide.info
            row |= {"vendor": info.vendor, "width_px": info.width_px, "height_px": info.height_px, "mpp": info.mpp}
            for mpp in self.tiling.mpps:
                info.level_for(mpp)
            overview, *scale = slide.read_overview()
            tissue = TissueMap.from_overview(overview, *scale)
            row["tissue_mm2"] = tissue.area_um2 / 1e6
            tumour = self._annotation(listed, slide)
            self.pictures[listed.slide_id] = _picture(overview, tissue, tumour)
            row["tumour_mm2"] = tumour.tumour.area / 1e6 if tumour else 0.0
            row["notes"] = "; ".join(tumour.notes) if tumour else ""
            rng = np.random.default_rng(derive(self.seed, "tiling", listed.slide_id))
            found = sample_locations(info.height_um, info.width_um, tissue, tumour, self.tiling, rng)
        except SlideError as error:
            slide.close()
            return row | {"status": f"excluded: {error}"}, pd.DataFrame(columns=list(PATCH_COLUMNS))
        row |= {"n_tissue": found.n_tissue, "n_ambiguous": found.n_ambiguous}
        row |= {f"n_{label}": int((found.labels == label).sum()) for label in LABELS}
        self._slides[listed.slide_id] = slide
        status = USED if len(found.labels) else f"excluded: {_nothing(found, self.tiling)}"
        return row | {"status": status}, self._patches(listed, slide, found)

    def _annotation(self, listed: ListedSlide, slide: Slide) -> Annotation | None:
        if listed.annotation is None:
            return None
        info = slide.info
        return read_annotation(
            listed.annotation,
            info.mpp_y,
            info.mpp_x,
            slide_id=listed.slide_id,
            width_px=info.width_px,
            height_px=info.height_px,
            **self.groups,
        )

    def _patches(self, listed: ListedSlide, slide: Slide, found: Locations) -> pd.DataFrame:
        """List every location at every magnification."""
        coarsest = max(self.tiling.mpps)
        centres = [slide.snap((float(y), float(x)), coarsest) for y, x in found.centres_um]
        rows = [
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
            for magnification, mpp in zip(self.tiling.magnifications, self.tiling.mpps, strict=True)
        ]
        return pd.DataFrame(rows, columns=list(PATCH_COLUMNS))


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
