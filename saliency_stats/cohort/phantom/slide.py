"""Phantom slides: a section of phantom tissue as a pyramidal TIFF, its annotations, and its truth."""

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import tifffile
from openslide import OpenSlide, OpenSlideError
from PIL import Image as PillowImage

from saliency_stats.cohort.phantom.camera import photograph
from saliency_stats.cohort.phantom.look import SlideLook
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.cohort.phantom.section import Section, draw_plan, paint_section
from saliency_stats.cohort.slides.annotation import write_asap_xml, write_geojson
from saliency_stats.cohort.slides.averaging import area_average
from saliency_stats.cohort.slides.pyramid import COMPRESSIONS, Compression, write_pyramid
from saliency_stats.errors import SlideError, StudyError
from saliency_stats.typing import Image, UInt8Array
from saliency_stats.vocabulary import COMPARTMENT_CODES

#: Tissue is painted at about this pixel size; a finer slide is enlarged from it before the picture is taken.
_PAINTED_UM: Final = 0.5
#: Finer or coarser slides than these would be painted too far from it.
_MPP: Final = (0.2, 0.6)
#: The painted section is in memory, about 2 bytes per pixel of the slide: 0.5 GiB at the longest side.
_SIDES_PX: Final = (512, 16384)
#: Sides are multiples of this, so that several levels can be halved exactly.
_STEP_PX: Final = 256
_TILE_PX: Final = 512
_UM_PER_CM: Final = 1e4
#: Where two compartments share a pixel equally, the one that its centre lies in takes it.
_TIE: Final = 1e-3


@dataclass(frozen=True)
class PhantomSlideSpec:
    """One phantom slide.

    Parameters
    ----------
    slide_id
        Stem of the files.
    width_px, height_px
        Sides of the finest level, multiples of 256 from 512 to 16384.
    mpp
        µm per pixel of the finest level, 0.2 to 0.6.
    compression
        ``jpeg`` or ``deflate`` (lossless).
    seed
        Root of everything drawn; the layout does not depend on ``tumour``.
    signal, strength, stain_variation, architecture
        As in :class:`~saliency_stats.cohort.phantom.phantom.Phantom`.
    tumour
        Whether part of the tissue is malignant.

    Raises
    ------
    StudyError
        If a value is outside its range.
    """

    slide_id: str
    width_px: int = 8192
    height_px: int = 8192
    mpp: float = 0.25
    compression: Compression = "deflate"
    seed: int = 0
    signal: str = "cytoplasm"
    strength: float = 1.0
    stain_variation: float = 1.0
    tumour: bool = True
    architecture: str = "nests"

    def __post_init__(self) -> None:
        name = f"phantom slide {self.slide_id!r}"
        if not self.slide_id or Path(self.slide_id).name != self.slide_id:
            raise StudyError(f"{name}: expected an id that can be a file's name. Choose another one")
        low, high = _SIDES_PX
        for key in ("width_px", "height_px"):
            side = getattr(self, key)
            if side % _STEP_PX or not low <= side <= high:
                raise StudyError(
                    f"{name}: {key} is {side}; expected a multiple of {_STEP_PX} from {low} to {high}, so that "
                    f"several levels can be halved. Choose such a size"
                )
        if not _MPP[0] <= self.mpp <= _MPP[1]:
            raise StudyError(f"{name}: mpp is {self.mpp}; expected {_MPP[0]} to {_MPP[1]} µm per pixel, 0.25 at 40×")
        if self.compression not in COMPRESSIONS:
            raise StudyError(f"{name}: compression is {self.compression!r}; expected {' or '.join(COMPRESSIONS)}")
        if self.seed < 0:
            raise StudyError(f"{name}: seed is {self.seed}; expected a whole number of at least 0")
        self.phantom()

    @property
    def enlargement(self) -> int:
        """Pixels of the slide along one side of a painted pixel: 2 at 0.25 µm/px, 1 at 0.5."""
        return max(1, round(_PAINTED_UM / self.mpp))

    def phantom(self) -> Phantom:
        """Make the phantom that draws the phenotypes; raises ``StudyError`` if it cannot have these values."""
        return Phantom(
            self.signal,
            strength=self.strength,
            stain_variation=self.stain_variation,
            architecture=self.architecture,
        )


@dataclass(frozen=True)
class PhantomSlideFiles:
    """What was written.

    Parameters
    ----------
    slide
        Pyramidal TIFF.
    xml, geojson
        The tumour as ASAP and as QuPath write it; None on a normal slide.
    truth
        Tiled TIFF at about 0.5 µm/px with the slide's upper left corner: the first page holds the codes of
        ``COMPARTMENT_CODES``, the second is 1 where the tissue was drawn malignant.
    """

    slide: Path
    xml: Path | None
    geojson: Path | None
    truth: Path


def write_phantom_slide(folder: Path, spec: PhantomSlideSpec) -> PhantomSlideFiles:
    """Paint a slide and write it with its annotations and its truth.

    Everything is a function of ``spec``: the same bytes each time. Memory: about 2 bytes per pixel of the slide.

    The folder is made if it does not exist; files of the same names are replaced.

    Notes
    -----
    Tissue is painted at about 0.5 µm/px, as all phantoms are. At 0.25 µm/px its stain is enlarged (bilinearly) before
    the picture is taken, so that blur, sharpening and noise of the camera are those of the finer pixels, while there
    is no more detail in the tissue than at 0.5.
    """
    folder.mkdir(parents=True, exist_ok=True)
    phantom, enlargement = spec.phantom(), spec.enlargement
    look = phantom.slide(np.random.default_rng([spec.seed, 2]))
    plan = draw_plan(
        np.random.default_rng([spec.seed, 3]), spec.width_px * spec.mpp, spec.height_px * spec.mpp, tumour=spec.tumour
    )
    shape = (spec.height_px // enlargement, spec.width_px // enlargement)
    section = paint_section(spec.seed, plan, phantom, look, shape, spec.mpp * enlargement)
    slide, truth = folder / f"{spec.slide_id}.tif", folder / f"{spec.slide_id}_truth.tif"
    write_pyramid(
        slide,
        functools.partial(_photographed, section, look, spec),
        (spec.height_px, spec.width_px),
        spec.mpp,
        tile_px=_TILE_PX,
        compression=spec.compression,
    )
    _write_truth(truth, section)
    if not spec.tumour:
        return PhantomSlideFiles(slide, None, None, truth)
    xml, geojson = folder / f"{spec.slide_id}.xml", folder / f"{spec.slide_id}.geojson"
    write_asap_xml(xml, plan.tumour, None, spec.mpp, spec.mpp)
    write_geojson(geojson, plan.tumour, None, spec.mpp, spec.mpp)
    return PhantomSlideFiles(slide, xml, geojson, truth)


def read_truth(path: Path, centre_um: tuple[float, float], size_px: int, mpp: float) -> UInt8Array:
    """Read the compartments of a field of a phantom slide.

    Parameters
    ----------
    centre_um
        (y, x) of the middle of the field from the slide's upper left corner.

    Returns
    -------
    ndarray
        (H, W) uint8, codes of ``COMPARTMENT_CODES``: the one that covers most of a pixel. Background outside the
        slide.

    Raises
    ------
    SlideError
        If the file cannot be read.
    """
    try:
        with OpenSlide(path) as handle:
            px_um = float(handle.properties["openslide.mpp-x"])
            step, side = mpp / px_um, size_px * mpp / px_um
            start = [position / px_um - side / 2 for position in centre_um]
            top, left = (math.floor(position) for position in start)
            n = math.ceil(side) + 2
            # grey as RGB; what lies outside is transparent, and 0
            codes = np.asarray(handle.read_region((left, top), 0, (n, n)))[..., 0]
    except (OpenSlideError, OSError, KeyError) as error:
        raise SlideError(
            f"truth {path} cannot be read ({error}); expected the file that was written with a phantom slide. Write "
            f"the slide again"
        ) from error
    begin = (start[0] - top, start[1] - left)
    kinds = np.array(sorted(COMPARTMENT_CODES.values()), dtype=np.uint8)
    share = area_average(codes[..., None] == kinds, begin, (step, step), (size_px, size_px))
    middle = [np.floor(first + (np.arange(size_px) + 0.5) * step).astype(np.intp) for first in begin]
    share += np.float32(_TIE) * (codes[np.ix_(*middle)][..., None] == kinds)
    return np.asarray(kinds[share.argmax(axis=-1)])


def _photographed(section: Section, look: SlideLook, spec: PhantomSlideSpec, row: int, column: int) -> Image:
    """Take the picture of one tile, with what around it the blur brings in, so that no seam shows."""
    enlargement = spec.enlargement
    side = _TILE_PX // enlargement
    # the picture is blurred twice (optics, sharpening), each time to three standard deviations
    halo = 2 + math.ceil(3 * (look.blur_um + 0.6) / section.px_um)
    first = [index * side for index in (row, column)]
    low = [max(0, start - halo) for start in first]
    stain = section.stain[:, low[0] : first[0] + side + halo, low[1] : first[1] + side + halo].astype(np.float32)
    size = (stain.shape[2] * enlargement, stain.shape[1] * enlargement)
    bilinear = PillowImage.Resampling.BILINEAR
    enlarged = np.stack([np.asarray(PillowImage.fromarray(plane).resize(size, bilinear)) for plane in stain])
    rng = np.random.default_rng([spec.seed, 4, row, column])
    image = photograph(rng, enlarged, look, spec.mpp, 1)
    top, left = ((start - begin) * enlargement for start, begin in zip(first, low, strict=True))
    width, height = spec.width_px - column * _TILE_PX, spec.height_px - row * _TILE_PX
    return image[top : top + min(_TILE_PX, height), left : left + min(_TILE_PX, width)]


def _write_truth(path: Path, section: Section) -> None:
    """Write compartments and malignancy as two pages."""
    per_cm = _UM_PER_CM / section.px_um
    partial = path.with_name(f"{path.name}.part")
    try:
        with tifffile.TiffWriter(partial) as tiff:
            for page in (section.truth, section.malignant.astype(np.uint8)):
                tiff.write(
                    page,
                    photometric="minisblack",
                    tile=(_TILE_PX // 2, _TILE_PX // 2),
                    compression="adobe_deflate",
                    resolution=(per_cm, per_cm),
                    resolutionunit="CENTIMETER",
                    software=False,
                    metadata=None,
                )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
