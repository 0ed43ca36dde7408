"""Cytoplasm: tissue that belongs to the nearest nucleus and is not fibre (pure NumPy and SciPy)."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from saliency_stats.errors import CompartmentError

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]
Instances = npt.NDArray[np.int32]

#: Added to both stains before their ratio: pale pixels shall not decide by their noise.
_PALE_OD = 0.02


@dataclass(frozen=True)
class FibreParameters:
    """What counts as fibre rather than cytoplasm.

    Parameters
    ----------
    fibre_ratio
        Tissue without direction is fibre if its haematoxylin-to-eosin ratio is below this.
    fibre_ratio_aligned
        Added to ``fibre_ratio`` in proportion to the coherence of direction (0 to 1): collagen is pink *and*
        drawn out, so the clearer its direction, the less pink it need be. Both chosen on phantoms, so that as
        much stroma is taken for cytoplasm as cytoplasm for stroma.
    stain_um
        Standard deviation of the Gaussian over which the stains are averaged.
    direction_um
        Standard deviation of the Gaussian window of the structure tensor.
    nuclear_margin_um
        Pixels this close to a nucleus are no evidence: its blurred border is blue and has a direction.
    """

    fibre_ratio: float = 0.12
    fibre_ratio_aligned: float = 0.50
    stain_um: float = 1.0
    direction_um: float = 4.0
    nuclear_margin_um: float = 0.75

    def __post_init__(self) -> None:
        may_be_zero = ("fibre_ratio", "fibre_ratio_aligned", "nuclear_margin_um")
        for field in fields(self):
            value = getattr(self, field.name)
            if not np.isfinite(value) or value < 0 or (value == 0 and field.name not in may_be_zero):
                raise CompartmentError(f"{field.name} must be a finite number above 0, found {value!r}.")


def coherence(image: FloatArray, evidence: BoolArray, sigma_px: float) -> FloatArray:
    """Coherence of direction: 0 where structure has none, 1 where it is all parallel.

    Bigun and Granlund (1987): with the eigenvalues l1 >= l2 of the structure tensor, (l1 - l2) / (l1 + l2).

    Parameters
    ----------
    image
        (H, W).
    evidence
        (H, W) mask of the pixels whose gradient counts.
    sigma_px
        Standard deviation of the tensor's Gaussian window.

    Returns
    -------
    ndarray
        (H, W) in [0, 1]; 0 where there is no evidence.
    """
    weight = evidence.astype(np.float32)
    gy, gx = ndimage.sobel(image, axis=0), ndimage.sobel(image, axis=1)
    yy, xx, xy = (
        ndimage.gaussian_filter(product * weight, sigma_px, truncate=3.0) for product in (gy * gy, gx * gx, gx * gy)
    )
    energy = yy + xx
    return np.asarray(np.hypot(yy - xx, 2 * xy) / np.where(energy > 0, energy, 1.0))


def fibre(
    concentrations: FloatArray,
    evidence: BoolArray,
    mpp: float,
    parameters: FibreParameters = FibreParameters(),
) -> BoolArray:
    """Where the tissue is fibre: little haematoxylin for its eosin, the more so the less it has a direction.

    Parameters
    ----------
    concentrations
        (2, H, W) haematoxylin and eosin.
    evidence
        (H, W) mask of tissue away from nuclei.
    mpp
        µm per pixel.
    parameters
        See ``FibreParameters``.

    Returns
    -------
    ndarray
        (H, W) bool, defined everywhere; meaningful in tissue outside nuclei.
    """
    p = parameters
    weight = evidence.astype(np.float32)
    sigma = p.stain_um / mpp
    share = np.maximum(ndimage.gaussian_filter(weight, sigma), 1e-3)
    h, e = (ndimage.gaussian_filter(stain * weight, sigma) / share for stain in concentrations)
    # eosin shows fibres best; its average stands in where a nucleus hides them
    eosin = ndimage.gaussian_filter(np.where(evidence, concentrations[1], e), 0.4 / mpp)
    aligned = coherence(eosin, evidence, p.direction_um / mpp)
    return np.asarray((h + _PALE_OD) / (e + _PALE_OD) < p.fibre_ratio + p.fibre_ratio_aligned * aligned)


def cytoplasm(
    instances: Instances,
    tissue: BoolArray,
    concentrations: FloatArray,
    mpp: float,
    cytoplasm_um: float = 5.0,
    parameters: FibreParameters = FibreParameters(),
) -> Instances:
    """Cytoplasm of every nucleus.

    Tissue within ``cytoplasm_um`` of the border of the nearest nucleus, outside all nuclei, and not fibre.
    The border lies half a pixel beyond the centre of the nucleus' outermost pixel.

    Parameters
    ----------
    instances
        (H, W) int32 nuclei, 0 outside.
    tissue
        (H, W) mask.
    concentrations
        (2, H, W) haematoxylin and eosin.
    mpp
        µm per pixel.
    cytoplasm_um
        Cytoplasm reaches this far from the border of its nucleus.
    parameters
        See ``FibreParameters``.

    Returns
    -------
    ndarray
        (H, W) int32: number of the nucleus whose cytoplasm this is, 0 elsewhere (nuclei included).
    """
    outside = instances == 0
    if outside.all():
        return np.zeros(instances.shape, dtype=np.int32)
    steps, nearest = ndimage.distance_transform_edt(outside, return_indices=True)
    distance_um = (steps - 0.5) * mpp
    near = outside & tissue & (distance_um <= cytoplasm_um)
    is_fibre = fibre(concentrations, tissue & (distance_um > parameters.nuclear_margin_um), mpp, parameters)
    return np.where(near & ~is_fibre, instances[tuple(nearest)], 0).astype(np.int32)
