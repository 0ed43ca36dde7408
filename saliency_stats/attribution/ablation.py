"""Ablation: images in which one compartment is replaced (pure NumPy and SciPy).

Saliency says where the network's output is sensitive; only replacing a compartment says whether the decision depends
on its content. A stand-in is laid over the patch where the compartment is, ``x' = (1 - w) x + w stand_in`` with the
membership w, so that soft borders stay soft and pixels outside do not change. An altered patch is also an image the
network has never seen, and a larger alteration changes more; therefore each has its control, the same operation on a
random region of the same area and shape.

Images are (H, W, 3), uint8 or float in [0, 1]; all images that come back are float32 in [0, 1], as networks read them.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter

from saliency_stats.attribution.replacement import SHARED, USUAL, as_floats, as_weights, composed, replacement
from saliency_stats.errors import AttributionError
from saliency_stats.typing import Float32Array, Float64Array
from saliency_stats.vocabulary import COMPARTMENTS, TISSUE

#: What is replaced: the compartment, or a random region like it.
REGIONS: Final = ("compartment", "random")
DIRECTIONS: Final = ("deletion", "insertion")
#: Curves replace a compartment in pieces of about this size: larger than what a blur could restore.
BLOB_UM: Final = 4.0
#: A smaller compartment is missing from a patch, as in the ledger.
MIN_AREA: Final = 0.02


class Ablation(NamedTuple):
    """One altered image: ``kind`` of ``REPLACEMENTS``, ``region`` of :data:`REGIONS`, ``image`` (H, W, 3)."""

    compartment: str
    kind: str
    region: str
    image: Float32Array


class CurveImage(NamedTuple):
    """One image of a curve: ``direction`` of :data:`DIRECTIONS`, ``share`` of the compartment altered so far."""

    compartment: str
    direction: str
    share: float
    image: Float32Array


def random_region(
    weight: npt.ArrayLike, rng: np.random.Generator, allowed: npt.ArrayLike | None = None
) -> Float64Array:
    """Move a compartment to a random place: the area-matched control of its replacement.

    The mask is flipped at random and shifted round the torus by a random amount, all flips and shifts equally likely,
    so area, softness and shape stay what they are. It may fall on the compartment itself, as any region of that size
    would by chance; a control kept off it could only take the other compartments, and none would be left for a
    compartment that covers most of a patch.

    ``allowed`` keeps the region on the tissue: glass holds nothing to be removed, and a control that fell on it would
    make every compartment look decisive. What falls outside is cut off, and the region grows by as many of the nearest
    allowed pixels. (Choosing among shifts the one that fits best would choose the shifts near zero, the compartment
    itself.)

    Parameters
    ----------
    weight
        (H, W) in [0, 1].
    allowed
        (H, W), true or positive where the region may lie; everywhere if left out. Where it is below a half, only what
        has no room elsewhere does.

    Returns
    -------
    ndarray
        (H, W) float64. It holds the same values as ``weight``, elsewhere: their sum is the same.

    Raises
    ------
    AttributionError
        If the weight is out of range, or fewer pixels are allowed than it covers.
    """
    found = np.asarray(weight)
    w = as_weights(weight, (*found.shape, 3))
    height, width = w.shape
    flips, shift = rng.integers(0, 2, 2), rng.integers(0, (height, width))
    moved = np.roll(w[:: 1 - 2 * flips[0], :: 1 - 2 * flips[1]], tuple(shift), axis=(0, 1))
    if allowed is None or not w.any():
        return moved
    room = np.asarray(allowed) > 0
    covered, free = int(np.count_nonzero(w)), int(np.count_nonzero(room))
    if room.shape != w.shape or free < covered:
        raise AttributionError(
            f"The region covers {covered} pixels of {w.shape}, and {free} of {room.shape} are allowed: allow at least "
            "all that the compartment covers."
        )
    # Allowed pixels in order: those of the moved region, heaviest first, then those nearest to it.
    distance = np.asarray(distance_transform_edt(moved == 0))[room]
    order = np.lexsort((distance, -np.where(np.asarray(allowed) < 0.5, 0, moved)[room]))  # noqa: PLR2004 - more than not
    values = np.zeros(free)
    values[order[:covered]] = np.sort(w[w > 0])[::-1]
    region = np.zeros_like(w)
    region[room] = values
    return region


def ablated(
    image: npt.ArrayLike,
    memberships: npt.ArrayLike,
    mpp: float,
    rng: np.random.Generator,
    kinds: Sequence[str] = USUAL,
    min_area: float = MIN_AREA,
    *,
    soft: bool = False,
) -> list[Ablation]:
    """Replace each compartment of the tissue, and for each a random region of the tissue like it, in every way.

    Parameters
    ----------
    image
        (H, W, 3), uint8 or float in [0, 1].
    memberships
        (K, H, W) in the order of ``COMPARTMENTS``, summing to 1 over K.
    mpp
        µm per pixel.
    rng
        Random numbers of this patch; what they are used for does not depend on ``kinds``.
    min_area
        A compartment with a smaller area share is left out.
    soft
        Whether memberships are probabilities. Of pixels that are more likely no tissue than some, a random region then
        has only what has no room elsewhere; else they are areas, and a pixel with any tissue in it is tissue.

    Returns
    -------
    list of Ablation
        By compartment, then region, then kind. One random region serves all kinds, so that they are compared on it.

    Raises
    ------
    AttributionError
        As :func:`replacement`; also if the memberships do not fit the image.
    """
    pixels = as_floats(image)
    members, tissue = _members(memberships, pixels.shape)
    stand_in = _stand_ins(pixels, tissue, mpp, rng)
    found = []
    for compartment in TISSUE:
        own = members[compartment]
        region = random_region(own, rng, tissue if soft else tissue > 0)
        if own.mean() < min_area or not own.any():
            continue
        for name, weight in zip(REGIONS, (own, region), strict=True):
            images = (composed(pixels, weight, stand_in(kind, weight)) for kind in kinds)
            found += [Ablation(compartment, kind, name, one) for kind, one in zip(kinds, images, strict=True)]
    return found


def progressive(
    image: npt.ArrayLike,
    weight: npt.ArrayLike,
    stand_in: npt.ArrayLike,
    steps: int,
    order_rng: np.random.Generator,
    blob_px: float = 8.0,
) -> Float32Array:
    """Replace a growing share of a compartment: the images of one curve.

    Pixels go in the order of a smooth random field, so in blobs: single pixels could be guessed from their neighbours.
    Deletion starts from the image and lays the stand-in over it. Insertion is the same with the parts exchanged
    (:func:`curves`): it starts from the image whose *whole tissue* is replaced and lays the original over it, so it
    asks what the compartment says alone, not what it adds to the others.

    Parameters
    ----------
    image, stand_in
        (H, W, 3), uint8 or float in [0, 1].
    weight
        (H, W) in [0, 1].
    steps
        Number of images, at least 2.
    blob_px
        Standard deviation of the field's Gaussian.

    Returns
    -------
    ndarray
        (steps, H, W, 3) float32 at the shares ``linspace(0, 1, steps)`` of the summed weight: the first is the image,
        the last has the whole compartment replaced.

    Raises
    ------
    AttributionError
        As :func:`composed`; also for fewer than two steps.
    """
    if steps < 2:  # noqa: PLR2004 - both ends
        raise AttributionError(f"A curve has at least 2 steps, its ends; found {steps}.")
    pixels = as_floats(image)
    w = as_weights(weight, pixels.shape)
    order = np.argsort(gaussian_filter(order_rng.standard_normal(w.shape), blob_px, mode="wrap").ravel())
    ordered = w.ravel()[order]
    before = np.cumsum(ordered) - ordered
    images = []
    for share in np.linspace(0.0, 1.0, steps):
        taken = np.empty_like(ordered)
        # the last pixel to go goes in part, so that the share is exact; at the end all of every pixel has gone
        taken[order] = ordered if share == 1 else np.clip(share * ordered.sum() - before, 0.0, ordered)
        images.append(composed(pixels, taken.reshape(w.shape), stand_in))
    return np.stack(images)


def curves(
    image: npt.ArrayLike,
    memberships: npt.ArrayLike,
    mpp: float,
    rng: np.random.Generator,
    steps: int = 6,
    kind: str = "mean",
    min_area: float = MIN_AREA,
) -> list[CurveImage]:
    """Build the deletion and the insertion images of every compartment of the tissue.

    Arguments and errors are those of :func:`ablated`, with one kind, and of :func:`progressive`. Images come by
    compartment, then direction, then share.
    """
    pixels = as_floats(image)
    members, tissue = _members(memberships, pixels.shape)
    stand_in = _stand_ins(pixels, tissue, mpp, rng)
    bare = composed(pixels, tissue, stand_in(kind, tissue))
    found = []
    for compartment in TISSUE:
        own, seed = members[compartment], int(rng.integers(2**63))
        if own.mean() < min_area or not own.any():
            continue
        ends = (pixels, stand_in(kind, own)), (bare, pixels)
        for direction, (start, over) in zip(DIRECTIONS, ends, strict=True):
            # one order for both: the same blobs are taken away and put back
            images = progressive(start, own, over, steps, np.random.default_rng(seed), BLOB_UM / mpp)
            shares = np.linspace(0.0, 1.0, steps).tolist()
            found += [CurveImage(compartment, direction, share, one) for share, one in zip(shares, images, strict=True)]
    return found


def _stand_ins(
    pixels: Float32Array, tissue: Float64Array, mpp: float, rng: np.random.Generator
) -> Callable[[str, Float64Array], Float32Array]:
    """Give what builds the stand-ins of one patch: those that are the same whatever is replaced, only once."""
    once: dict[str, Float32Array] = {}
    (own,) = rng.spawn(1)  # a stand-in that draws leaves the regions' random numbers as they are

    def built(kind: str, weight: Float64Array) -> Float32Array:
        if kind in once:
            return once[kind]
        image = replacement(pixels, weight, kind, mpp, tissue=tissue, rng=own)
        if kind in SHARED:
            once[kind] = image
        return image

    return built


def _members(memberships: npt.ArrayLike, like: tuple[int, ...]) -> tuple[dict[str, Float64Array], Float64Array]:
    """Return the memberships by name, and how much of each pixel is tissue."""
    array = np.asarray(memberships)
    if array.ndim != 3 or len(array) != len(COMPARTMENTS):  # noqa: PLR2004 - (K, H, W)
        raise AttributionError(
            f"Memberships have the shape {array.shape}, expected ({len(COMPARTMENTS)}, H, W) in the order "
            f"{', '.join(COMPARTMENTS)}."
        )
    members = {name: as_weights(w, like) for name, w in zip(COMPARTMENTS, array, strict=True)}
    total: Float64Array = np.sum([members[name] for name in TISSUE], axis=0)
    return members, np.minimum(total, 1.0)
