"""What may be looked at to find nuclei: an image at a fine enough resolution, its tissue and its stains (pure)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from saliency_stats.compartments.fibre import FibreParameters
from saliency_stats.compartments.nuclei import NucleusParameters, has_structure
from saliency_stats.compartments.stain import Stains, concentrations
from saliency_stats.errors import CompartmentError, shown
from saliency_stats.imaging.tissue import BACKGROUND_OD, SMOOTHING_UM, tissue_mask
from saliency_stats.typing import BoolArray, Float32Array, Float64Array, FloatArray, Instances, UInt8Array
from saliency_stats.vocabulary import CELLS, USUAL_CELLS

MIN_SIZE_PX: Final = 32
#: An image whose µm per pixel exceeds the wanted one by no more than this share is not enlarged: scanners' 20x is
#: anything from 0.49 to 0.52 µm per pixel, and nuclei vary more than that.
SAME_SCALE: Final = 0.05


@dataclass(frozen=True)
class CompartmentParameters:
    """How an image is divided.

    Parameters
    ----------
    nuclei
        What finds them: a name, a StarDist model or a TorchScript file, see ``finders.nucleus_finder``.
    segmentation_mpp
        Images coarser than this (by more than ``SAME_SCALE``) are up-sampled by the smallest whole factor that makes
        them finer; finer images keep their own resolution. StarDist looks at images of this resolution.
    cytoplasm_um
        Cytoplasm reaches no further than this from the border of its nucleus; how far it does, ``cells`` says.
    background_od
        Optical density of the most absorbing channel, relative to the glass, up to which there is no tissue.
    tissue_smoothing_um
        Standard deviation of the Gaussian applied to the optical density before that threshold (``tissue_mask``).
    nucleus, fibre
        Details of the classical route, and of the decision against fibre where ``cells`` is ``rule``.
    cells
        How cytoplasm is told from stroma: one of ``ways.WAYS``.
    """

    nuclei: str = "builtin"
    segmentation_mpp: float = 0.5
    cytoplasm_um: float = 15.0
    background_od: float = BACKGROUND_OD
    tissue_smoothing_um: float = SMOOTHING_UM
    nucleus: NucleusParameters = field(default_factory=NucleusParameters)
    fibre: FibreParameters = field(default_factory=FibreParameters)
    cells: str = USUAL_CELLS

    def __post_init__(self) -> None:
        for key, low, high in (
            ("segmentation_mpp", 0.1, 2.0),
            ("cytoplasm_um", 0.5, 50.0),
            ("background_od", 0.0, 0.5),
            ("tissue_smoothing_um", 0.0, 10.0),
        ):
            value = getattr(self, key)
            if not low <= value <= high:
                raise CompartmentError(f"{key} is {value}, expected {low:g} to {high:g}.")
        if self.cells not in CELLS:
            raise CompartmentError(f"cells is {shown(self.cells)}, expected one of {', '.join(CELLS)}.")


class View(NamedTuple):
    """What a finder of nuclei may look at; all arrays have the size of ``image``.

    ``image`` (H, W, 3) uint8, ``tissue`` (H, W) bool, ``stained`` (2, H, W) haematoxylin and eosin, the slide's
    ``stains``, ``mpp`` of this image, ``factor`` by which it was enlarged, whether there is any ``structure`` in
    which nuclei could be found, the ``parameters``, and (3, H, W) how probable each of ``ways.TISSUES`` is: None where
    nobody asked (``segmentation.with_tissues``).
    """

    image: UInt8Array
    tissue: BoolArray
    stained: FloatArray
    stains: Stains
    mpp: float
    factor: int
    structure: bool
    parameters: CompartmentParameters
    tissues: Float32Array | None = None


class Found(NamedTuple):
    """Nuclei of a view: ``instances`` (H, W) int32, and of number i the ``probabilities[i - 1]`` (NaN: not known).

    The finder usually counts nuclei above the probability ``threshold``; here it counted those above ``lowest``. Both
    are NaN where it knows no probabilities.
    """

    instances: Instances
    probabilities: Float64Array
    threshold: float = float("nan")
    lowest: float = float("nan")

    def kept(self, these: BoolArray) -> Self:
        """Keep the nuclei number i for which ``these[i - 1]``, numbered anew, with their probabilities."""
        number = np.zeros(len(these) + 1, dtype=np.int32)
        number[1:][these] = np.arange(1, np.count_nonzero(these) + 1)
        # where no probabilities are known there may be none at all
        known = self.probabilities[: len(these)]
        return self._replace(instances=number[self.instances], probabilities=known[these[: len(known)]])


#: Takes views and gives the nuclei of each; many at once, since networks are faster so.
NucleusFinder = Callable[[Sequence[View]], list[Found]]
#: Takes views and gives (3, H, W) the probabilities of ``ways.TISSUES`` in each, at its size; they sum to 1.
TissueFinder = Callable[[Sequence[View]], list[Float32Array]]


def nothing_found(view: View) -> Found:
    """No nuclei, at the size of a view."""
    return Found(np.zeros(view.image.shape[:2], dtype=np.int32), np.zeros(0))


def check_image(image: npt.NDArray[np.generic]) -> UInt8Array:
    """Return ``image`` if it is 8-bit RGB of a usable size.

    Raises
    ------
    CompartmentError
        If it is not, with what was found and how to convert it.
    """
    if image.ndim != 3 or image.shape[-1] != 3:  # noqa: PLR2004 - (H, W, 3)
        channels = image.shape[-1] if image.ndim == 3 else 1 if image.ndim == 2 else 0  # noqa: PLR2004
        found = {1: " (a grey image)", 4: " (an image with an alpha channel)"}.get(channels, "")
        raise CompartmentError(
            f"Expected an RGB image (H, W, 3), found shape {image.shape}{found}. Convert it to 8-bit RGB; "
            "an alpha channel must be removed, and grey images carry no stain."
        )
    if image.dtype != np.uint8:
        looks = ""
        if np.issubdtype(image.dtype, np.floating) and image.size and float(image.max()) <= 1:
            looks = " It looks like float in [0, 1]: multiply by 255, round and convert to uint8."
        raise CompartmentError(f"Expected a uint8 image, found {image.dtype}.{looks or ' Convert it to uint8.'}")
    if min(image.shape[:2]) < MIN_SIZE_PX:
        raise CompartmentError(
            f"Expected an image of at least {MIN_SIZE_PX} x {MIN_SIZE_PX} pixels, found {image.shape[0]} x "
            f"{image.shape[1]}; use larger patches."
        )
    return np.asarray(image, dtype=np.uint8)


def _enlarged(image: UInt8Array, factor: int) -> UInt8Array:
    """Bicubic enlargement by a whole factor; pixel edges stay where they are."""
    if factor == 1:
        return image
    height, width = image.shape[:2]
    size = (width * factor, height * factor)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def resampled(
    image: UInt8Array,
    mpp: float,
    wanted: float,
    *,
    smaller: Image.Resampling = Image.Resampling.BICUBIC,
    larger: Image.Resampling = Image.Resampling.BICUBIC,
) -> UInt8Array:
    """Show an image of ``mpp`` µm per pixel at the ``wanted`` ones; as it is where they are the same scale."""
    ratio = mpp / wanted
    if abs(ratio - 1) <= SAME_SCALE:
        return image
    height, width = image.shape[:2]
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    # when it shrinks, the kernel widens with the factor: an average over area, without aliasing
    return np.asarray(Image.fromarray(image).resize(size, larger if ratio > 1 else smaller))


def view_of(
    image: npt.NDArray[np.generic],
    mpp: float,
    parameters: CompartmentParameters,
    stains: Stains,
    unmixed: FloatArray | None = None,
) -> View:
    """Prepare an image for segmentation.

    Parameters
    ----------
    image
        (H, W, 3) uint8, at least 32 px wide and high.
    parameters
        ``segmentation_mpp`` decides about enlargement.
    unmixed
        (2, H, W) ``concentrations(image, stains)``; computed if left out.

    Returns
    -------
    View
        At ``mpp`` or, enlarged by a whole factor, finer.

    Raises
    ------
    CompartmentError
        If the image is not 8-bit RGB of at least 32 x 32 px, ``mpp`` is not a positive number, or ``unmixed`` has
        another size.
    """
    checked = check_image(image)
    if not (np.isfinite(mpp) and mpp > 0):
        raise CompartmentError(f"mpp must be a positive number of µm per pixel, found {mpp}; give the scanner's value.")
    own = concentrations(checked, stains) if unmixed is None else unmixed
    if own.shape != (2, *checked.shape[:2]):
        raise CompartmentError(
            f"unmixed has the shape {own.shape}, the image {checked.shape}: give its own concentrations, or none."
        )
    factor = max(1, int(np.ceil(mpp / parameters.segmentation_mpp - SAME_SCALE)))
    fine, fine_mpp = _enlarged(checked, factor), mpp / factor
    tissue = tissue_mask(fine, fine_mpp, stains.white, parameters.background_od, parameters.tissue_smoothing_um)
    stained = own if factor == 1 else concentrations(fine, stains)
    # enlargement turns pixel noise into blobs, so structure is looked for in the image as it came
    structure = bool(tissue.any()) and has_structure(own[0])
    return View(fine, tissue, stained, stains, fine_mpp, factor, structure, parameters)
