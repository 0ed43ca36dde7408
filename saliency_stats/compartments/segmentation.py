"""From an image to its compartments: stains, tissue, nuclei, cytoplasm, memberships, in this order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from saliency_stats.compartments.cells import FibreParameters, cytoplasm
from saliency_stats.compartments.membership import downsample, from_codes
from saliency_stats.compartments.nuclei import NucleusParameters, classical_nuclei, has_structure
from saliency_stats.compartments.stain import Stains, concentrations, estimate_stains, optical_density
from saliency_stats.errors import CompartmentError
from saliency_stats.vocabulary import COMPARTMENT_CODES

FloatArray = npt.NDArray[np.floating]
UInt8Array = npt.NDArray[np.uint8]
Instances = npt.NDArray[np.int32]

MIN_SIZE_PX: Final = 32


@dataclass(frozen=True)
class CompartmentParameters:
    """How an image is divided.

    Parameters
    ----------
    nuclei
        Name of the route that finds nuclei, one of ``NUCLEUS_ROUTES``.
    segmentation_mpp
        Coarser images are up-sampled by a whole factor until a pixel is at most this many µm; finer images
        keep their own resolution.
    cytoplasm_um
        Cytoplasm reaches this far from the border of its nucleus.
    background_od
        Mean optical density, relative to the glass, below which there is no tissue.
    tissue_smoothing_um
        Standard deviation of the Gaussian applied to the optical density before that threshold.
    nucleus, fibre
        Details of the classical route and of the decision against fibre.
    """

    nuclei: str = "classical"
    segmentation_mpp: float = 0.5
    cytoplasm_um: float = 5.0
    background_od: float = 0.05
    tissue_smoothing_um: float = 0.5
    nucleus: NucleusParameters = field(default_factory=NucleusParameters)
    fibre: FibreParameters = field(default_factory=FibreParameters)

    def __post_init__(self) -> None:
        if self.nuclei not in NUCLEUS_ROUTES:
            raise CompartmentError(f"nuclei is {self.nuclei!r}, expected one of {', '.join(NUCLEUS_ROUTES)}.")
        for key, low, high in (
            ("segmentation_mpp", 0.1, 2.0),
            ("cytoplasm_um", 0.5, 50.0),
            ("background_od", 0.0, 0.5),
            ("tissue_smoothing_um", 0.0, 10.0),
        ):
            value = getattr(self, key)
            if not low <= value <= high:
                raise CompartmentError(f"{key} is {value}, expected {low:g} to {high:g}.")


class Segmentation(NamedTuple):
    """Nuclei ``instances`` (H, W) int32, 0 outside, and ``memberships`` (K, H, W) float32, at image size."""

    instances: Instances
    memberships: npt.NDArray[np.float32]


class _View(NamedTuple):
    """What a route to nuclei may look at; ``tissue`` and ``stained`` have the size of ``image``."""

    image: UInt8Array
    tissue: npt.NDArray[np.bool_]
    stained: FloatArray
    stains: Stains
    mpp: float
    parameters: CompartmentParameters


def _classical(view: _View) -> Instances:
    return classical_nuclei(view.stained[0], view.tissue, view.mpp, view.stains.nuclear_od, view.parameters.nucleus)


#: Routes to nuclei: each takes the image and what is known of it, and gives instances of the same size.
NUCLEUS_ROUTES: Final[dict[str, Callable[[_View], Instances]]] = {"classical": _classical}


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


def tissue_mask(
    image: UInt8Array, mpp: float, stains: Stains, parameters: CompartmentParameters
) -> npt.NDArray[np.bool_]:
    """Where there is tissue: mean optical density over the channels, slightly smoothed, above a threshold.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    mpp
        µm per pixel.
    stains
        The slide's stains, for the colour of its glass.
    parameters
        ``background_od`` and ``tissue_smoothing_um``.

    Returns
    -------
    ndarray
        (H, W) bool.
    """
    od = optical_density(image, stains.white).mean(axis=-1)
    return np.asarray(ndimage.gaussian_filter(od, parameters.tissue_smoothing_um / mpp) > parameters.background_od)


def _enlarged(image: UInt8Array, factor: int) -> UInt8Array:
    """Bicubic enlargement by a whole factor; pixel edges stay where they are."""
    if factor == 1:
        return image
    height, width = image.shape[:2]
    size = (width * factor, height * factor)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def segment(
    image: npt.NDArray[np.generic],
    mpp: float,
    *,
    parameters: CompartmentParameters | None = None,
    stains: Stains | None = None,
    instances: npt.NDArray[np.integer] | None = None,
) -> Segmentation:
    """Divide an H&E image into nuclei, cytoplasm, stroma and background.

    Parameters
    ----------
    image
        (H, W, 3) uint8, at least 32 px wide and high.
    mpp
        µm per pixel.
    parameters
        Defaults to ``CompartmentParameters()``.
    stains
        Of the image's slide. Estimated from this image alone if left out: give them where more of the
        slide is known, one patch may show one stain only.
    instances
        (H, W) nuclei found elsewhere, used in place of ``parameters.nuclei``.

    Returns
    -------
    Segmentation
        ``instances`` (H, W) int32 and ``memberships`` (K, H, W) float32 that sum to 1 over K.

    Raises
    ------
    CompartmentError
        If the image is not 8-bit RGB of at least 32 x 32 px, ``mpp`` is not a positive number, or
        ``instances`` has another size.
    """
    parameters = parameters or CompartmentParameters()
    checked = check_image(image)
    if not (np.isfinite(mpp) and mpp > 0):
        raise CompartmentError(f"mpp must be a positive number of µm per pixel, found {mpp}; give the scanner's value.")
    if instances is not None and instances.shape != checked.shape[:2]:
        raise CompartmentError(
            f"instances have the shape {instances.shape}, the image {checked.shape[:2]}: they must agree."
        )
    stains = stains or estimate_stains([checked])
    factor = max(1, int(np.ceil(mpp / parameters.segmentation_mpp - 1e-6)))
    fine, fine_mpp = _enlarged(checked, factor), mpp / factor
    tissue = tissue_mask(fine, fine_mpp, stains, parameters)
    view = _View(fine, tissue, concentrations(fine, stains), stains, fine_mpp, parameters)
    if instances is not None:
        nuclei = np.repeat(np.repeat(instances, factor, axis=0), factor, axis=1).astype(np.int32)
    elif has_structure(concentrations(checked, stains)[0]):
        nuclei = NUCLEUS_ROUTES[parameters.nuclei](view)
    else:
        nuclei = np.zeros(fine.shape[:2], dtype=np.int32)
    cells = cytoplasm(nuclei, tissue, view.stained, fine_mpp, parameters.cytoplasm_um, parameters.fibre)
    codes = np.where(tissue, COMPARTMENT_CODES["stroma"], COMPARTMENT_CODES["background"]).astype(np.uint8)
    codes[cells > 0] = COMPARTMENT_CODES["cytoplasm"]
    codes[nuclei > 0] = COMPARTMENT_CODES["nucleus"]
    # back to the image's pixels: areas are averaged, a number cannot be and is read next to the centre
    centre = slice(factor // 2, None, factor)
    return Segmentation(nuclei[centre, centre].copy(), downsample(from_codes(codes), factor).astype(np.float32))


def from_truth(codes: npt.ArrayLike, instances: npt.ArrayLike) -> Segmentation:
    """Segmentation from a known compartment map.

    Parameters
    ----------
    codes
        (H, W), values of ``COMPARTMENT_CODES``.
    instances
        (H, W) nuclei, 0 outside.

    Returns
    -------
    Segmentation
        Hard memberships.

    Raises
    ------
    CompartmentError
        If the two disagree in size or about where nuclei are, or a code is unknown.
    """
    numbers, kinds = np.asarray(instances), np.asarray(codes)
    memberships = from_codes(kinds)
    if numbers.shape != kinds.shape:
        raise CompartmentError(f"codes {kinds.shape} and instances {numbers.shape} must have one shape.")
    conflicts = int(np.count_nonzero((numbers > 0) != (kinds == COMPARTMENT_CODES["nucleus"])))
    if conflicts:
        raise CompartmentError(
            f"codes and instances disagree about {conflicts} pixels: nucleus is so in both or in neither."
        )
    return Segmentation(numbers.astype(np.int32), memberships)
