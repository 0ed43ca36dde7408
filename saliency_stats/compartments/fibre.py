"""Cytoplasm or fibre: what stain, texture and the nuclei around say for either (pure NumPy and SciPy)."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from scipy import ndimage

from saliency_stats.compartments.surroundings import surroundings
from saliency_stats.compartments.windows import averaged, blurred, roughness
from saliency_stats.errors import CompartmentError
from saliency_stats.typing import BoolArray, FloatArray, Instances

#: Added to both stains, in units of the slide's maxima, before their ratio: pale pixels shall not decide by noise.
_PALE: Final = 0.03
#: Coherences from which tissue counts partly, and wholly, as drawn out when the image's own fibre is looked up.
_DRAWN_OUT: Final = (0.25, 0.55)
#: Tissue of either kind below about this area (µm²) does not tell how that kind is stained.
_ENOUGH_UM2: Final = 100.0
#: Variance of the log ratio added to what an image shows, and the most that stain may say.
_RATIO_VARIANCE: Final = 0.05
_STAIN_LIMIT: Final = 4.0
#: Nuclei broader than this are no better evidence of a cell than one of this minor axis.
_BROAD_UM: Final = 8.0


@dataclass(frozen=True)
class FibreParameters:
    """At which lengths fibre and cytoplasm are told apart.

    Parameters
    ----------
    stain_um
        Standard deviation of the window over which the stains are averaged.
    direction_um
        Standard deviation of the window of the structure tensor.
    nuclear_margin_um
        Pixels this close to a nucleus are no evidence: its blurred border is blue and has a direction.
    texture_um
        Standard deviation of the window in which the roughness of the stain is taken.
    around_um
        Standard deviation of the window of what is near: share of nuclei, haematoxylin of tissue and of nuclei.
    crowding_um
        Standard deviation of the wider window in which the share of nuclei is taken.
    compactness_um
        Standard deviation of the window in which the share of tissue is taken.
    threshold
        Log-odds of cytoplasm above which a pixel is cytoplasm. Higher leaves more to the stroma.
    """

    stain_um: float = 1.0
    direction_um: float = 5.0
    nuclear_margin_um: float = 0.75
    texture_um: float = 2.0
    around_um: float = 4.0
    crowding_um: float = 8.0
    compactness_um: float = 3.0
    threshold: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "threshold":
                if not np.isfinite(value):
                    raise CompartmentError(f"threshold must be a finite number, found {value!r}.")
            elif not np.isfinite(value) or value < 0 or (value == 0 and field.name != "nuclear_margin_um"):
                raise CompartmentError(f"{field.name} must be a finite number above 0, found {value!r}.")


def coherence(image: FloatArray, evidence: BoolArray, sigma_px: float) -> FloatArray:
    """Coherence of direction: 0 where structure has none, 1 where it is all parallel.

    Bigun and Granlund (1987): with the eigenvalues l1 >= l2 of the structure tensor, (l1 - l2) / (l1 + l2).

    ``evidence`` (H, W) masks the pixels whose gradient counts; ``sigma_px`` is the standard deviation of the window.

    Returns
    -------
    ndarray
        (H, W) in [0, 1]; 0 where there is no evidence.
    """
    weight = evidence.astype(image.dtype)
    gy, gx = ndimage.sobel(image, axis=0) * weight, ndimage.sobel(image, axis=1) * weight
    yy, xx, xy = (blurred(product, sigma_px) for product in (gy * gy, gx * gx, gx * gy))
    energy = yy + xx
    # running sums leave a rounding error where there is nothing; it must not count as a direction
    seen = energy > 1e-6 * max(float(energy.max()), 1e-12)
    return np.asarray(np.clip(np.where(seen, np.hypot(yy - xx, 2 * xy) / np.where(seen, energy, 1), 0), 0, 1))


def stain_evidence(ratio: FloatArray, direction: FloatArray, evidence: BoolArray, mpp: float) -> FloatArray:
    """How much likelier the stain is that of this image's cytoplasm than that of its fibre, as a log-ratio.

    No threshold on colour holds between slides: the cytoplasm of one is as pink as the collagen of the next. So
    the image says itself how its tissue with a direction is stained and how the rest is, and a pixel is judged
    between the two (linear discriminant of two normals of one variance, Fisher 1936). Where they do not differ,
    or one is not in view, or the drawn-out tissue is the bluer, stain says nothing.

    Parameters
    ----------
    ratio
        (H, W) logarithm of haematoxylin to eosin.
    direction
        (H, W) coherence.
    evidence
        (H, W) mask of tissue away from nuclei.

    Returns
    -------
    ndarray
        (H, W), within ``_STAIN_LIMIT`` of 0.
    """
    values = np.clip(ratio, -3.0, 1.0)
    low, high = _DRAWN_OUT
    drawn = np.clip((direction[evidence] - low) / (high - low), 0.0, 1.0)
    weights, seen = np.stack([drawn, 1 - drawn]), values[evidence]
    amount = weights.sum(axis=1)
    fibre, cytoplasm = (weights @ seen) / np.maximum(amount, 1e-6)
    spread = float(drawn @ (seen - fibre) ** 2 + (1 - drawn) @ (seen - cytoplasm) ** 2) / max(float(amount.sum()), 1e-6)
    trust = float(np.prod(amount / (amount + _ENOUGH_UM2 / mpp**2)))
    apart = max(float(cytoplasm - fibre), 0.0) * trust
    told = apart * (values - (fibre + cytoplasm) / 2) / (spread + _RATIO_VARIANCE)
    return np.asarray(np.clip(told, -_STAIN_LIMIT, _STAIN_LIMIT))


def nuclear_shape(instances: Instances, mpp: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Area (µm²), minor axis (µm) and eccentricity of every nucleus, by its number; entry 0 is empty.

    Axes of the ellipse of equal second moments as in ``skimage.measure.regionprops``, without its cost per
    nucleus, and with a pixel as a square rather than a point: a line one pixel wide has a minor axis.

    Returns
    -------
    tuple of ndarray
        Three arrays of length ``instances.max() + 1``; 0 for numbers not used.
    """
    rows, columns = np.nonzero(instances)
    number = instances[rows, columns]
    n = int(instances.max(initial=0)) + 1
    area = np.bincount(number, minlength=n)
    safe = np.maximum(area, 1)
    y, x = (axis - (np.bincount(number, axis, n) / safe)[number] for axis in (rows, columns))
    yy, xx, xy = (np.bincount(number, product, n) / safe for product in (y * y, x * x, x * y))
    middle, half = (yy + xx) / 2 + 1 / 12, np.hypot((yy - xx) / 2, xy)
    minor, major = np.maximum(middle - half, 0.0), middle + half
    eccentricity = np.where(area > 0, np.sqrt(np.maximum(1 - minor / major, 0.0)), 0.0)
    return area * mpp**2, np.where(area > 0, 4 * np.sqrt(minor) * mpp, 0.0), eccentricity


def cell_evidence(
    instances: Instances,
    owner: Instances,
    distance_um: FloatArray,
    tissue: BoolArray,
    evidence: BoolArray,
    concentrations: FloatArray,
    maxima: tuple[float, float],
    mpp: float,
    parameters: FibreParameters = FibreParameters(),
) -> dict[str, FloatArray]:
    """Everything that tells cytoplasm from fibre; the fitted rule asks for it also as ``surroundings.relative`` has it.

    ``stain`` (``stain_evidence``); ``direction`` (coherence of the optical density: fibres are drawn out);
    ``crowding`` and ``crowding_near`` (share of nuclei around: epithelium and lymphoid tissue are crowded),
    ``texture`` (standard deviation of the optical density, slow changes taken off: fibre is streaky) and
    ``compactness`` (share of tissue around: strands between gaps are rarely cells); ``haematoxylin`` and ``eosin`` of
    the tissue around, in units of the slide's maxima; of the nearest nucleus its ``breadth_um`` (minor axis) and
    ``elongation`` (eccentricity: spindle nuclei lie in fibre); and ``darkness`` (haematoxylin of the nuclei around:
    those of fibroblasts are dense); ``distance_um`` to the border of that nucleus, and its ``radius_um``, that of the
    disc of equal area: far from a small nucleus there is rarely cytoplasm; and all of ``surroundings``.

    Parameters
    ----------
    instances, owner
        (H, W) int32: nuclei, and the number of the nearest one for every pixel.
    distance_um
        (H, W) distance to the border of the nearest nucleus.
    tissue, evidence
        (H, W) masks: tissue, and tissue away from nuclei.
    concentrations
        (2, H, W) haematoxylin and eosin.
    maxima
        The slide's 99th percentile of each.

    Returns
    -------
    dict of ndarray
        (H, W) each; meaningful in tissue outside nuclei.
    """
    p = parameters
    weight = evidence.astype(np.float32)
    stained = np.asarray(concentrations, np.float32) / np.asarray(maxima, np.float32)[:, None, None]
    share = blurred(weight, p.stain_um / mpp)
    h, e = (averaged(stain, weight, share, p.stain_um / mpp) for stain in stained)
    # both stains show structure; their average stands in where a nucleus hides it
    total, average = concentrations.sum(axis=0), h * np.float32(maxima[0]) + e * np.float32(maxima[1])
    structure = ndimage.gaussian_filter(np.where(evidence, total, average), 0.4 / mpp, truncate=2.5)
    direction = coherence(structure, evidence, p.direction_um / mpp)
    ratio = np.log((h + _PALE) / (e + _PALE))
    area_um2, minor_um, eccentricity = nuclear_shape(instances, mpp)
    nuclear = (instances > 0).astype(np.float32)
    around = p.around_um / mpp
    near = blurred(nuclear, around)
    texture = roughness(structure / np.float32(sum(maxima)), weight, p.texture_um / mpp)
    around_cells = surroundings(
        instances, (area_um2, eccentricity), tissue, evidence, stained, (direction, texture), mpp
    )
    return around_cells | {
        "stain": stain_evidence(ratio, direction, evidence, mpp),
        "direction": direction,
        "crowding_near": near,
        "texture": texture,
        "crowding": blurred(nuclear, p.crowding_um / mpp),
        "compactness": blurred(tissue.astype(np.float32), p.compactness_um / mpp),
        "haematoxylin": averaged(stained[0], weight, blurred(weight, around), around),
        "eosin": e,
        "breadth_um": np.minimum(minor_um, _BROAD_UM)[owner],
        "elongation": eccentricity[owner],
        "darkness": averaged(stained[0], nuclear, near, around),
        "distance_um": distance_um,
        "radius_um": np.sqrt(area_um2 / np.pi)[owner],
    }
