"""Nuclei by StarDist: from views of images to instances, whatever their µm per pixel."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from skimage.measure import label
from stardist.geometry import polygons_to_label

from saliency_stats.compartments.stain import Stains, concentrations
from saliency_stats.compartments.stardist.files import StarDistModel
from saliency_stats.compartments.stardist.predict import Polygons, find_polygons
from saliency_stats.compartments.view import Found, View, nothing_found, resampled
from saliency_stats.errors import CompartmentError
from saliency_stats.typing import Float32Array, FloatArray, UInt8Array

#: The network is shown this much of the image's mirror image around it: it was seen to miss half of the nuclei that
#: the border cuts and next to none of the others.
MIRRORED_PX: Final = 16
#: What is seen of a nucleus behind others or beyond the border counts from this area (µm²): a disc 1.6 µm wide.
SLIVER_UM2: Final = 2.0
#: Of the stain of a nucleus, each in units of the slide's maximum, at least this share is haematoxylin: bundles of
#: collagen have the shape of nuclei, and the network takes some for such. Chosen on ``scc-breast``, where 27 of 253
#: false nuclei lie below and 4 of 1,245 true ones; in lymph nodes at most 0.3 % of all do.
LEAST_HAEMATOXYLIN: Final = 0.2
#: Added to the stains before their share is taken: what is hardly stained at all shall not decide by noise.
_PALE: Final = 0.05


class StarDistNuclei:
    """Finds nuclei in batches of views: a ``NucleusFinder``.

    Parameters
    ----------
    model
        Network and thresholds.
    probability_offset
        Added to the model's threshold of the probability. Nuclei above a higher threshold are those of a lower one
        whose probability is above it, for the more probable suppress the less probable and never the other way
        round: to know the nuclei at several thresholds, find them once at the lowest.

    Raises
    ------
    CompartmentError
        If the threshold would not lie between 0 and 1.
    """

    def __init__(self, model: StarDistModel, probability_offset: float = 0.0) -> None:
        lowest = model.prob_threshold + probability_offset
        if probability_offset and not 0 < lowest < 1:
            raise CompartmentError(
                f"The StarDist model {model.name} has the probability threshold {model.prob_threshold:g}; with the "
                f"offset {probability_offset:g} it would be {lowest:g}, expected between 0 and 1: give a smaller one."
            )
        self.model = replace(model, prob_threshold=lowest)
        self._threshold = model.prob_threshold

    def __call__(self, views: Sequence[View]) -> list[Found]:
        """Find the nuclei of every view, at the size of the view."""
        prepared = [_input(view, self.model.network.config.n_channel_in) for view in views]
        polygons = find_polygons(self.model, [one.pixels for one in prepared])
        rendered = [
            _haematoxylin(_rendered(found, one, view), view) if len(found.points) else nothing_found(view)
            for found, one, view in zip(polygons, prepared, views, strict=True)
        ]
        lowest = self.model.prob_threshold
        return [found._replace(threshold=self._threshold, lowest=lowest) for found in rendered]


class _Input(NamedTuple):
    """What the network looks at, mirrored margin included, and how many of its pixels make one of the view's (y, x)."""

    pixels: Float32Array
    scale: tuple[float, float]


def normalised(pixels: FloatArray | UInt8Array, levels: tuple[float, float]) -> Float32Array:
    """Intensities scaled so that a slide's 1st and 99.8th percentile become 0 and 1, as stardist's examples do.

    In float32, not clipped.
    """
    low, high = levels
    return ((pixels.astype(np.float32) - np.float32(low)) / np.float32(high - low)).astype(np.float32)


def mirrored(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Put ``MIRRORED_PX`` of the mirror image around an image (H, W, C) or a label image (H, W)."""
    around = [(MIRRORED_PX, MIRRORED_PX), (MIRRORED_PX, MIRRORED_PX), (0, 0)]
    return np.pad(pixels, around[: pixels.ndim], mode="reflect")


def _input(view: View, channels: int) -> _Input:
    height, width = view.image.shape[:2]
    image = resampled(view.image, view.mpp, view.parameters.segmentation_mpp)
    scale = image.shape[0] / height, image.shape[1] / width
    return _Input(mirrored(_channels(image, view.stains, channels)), scale)


def _channels(image: UInt8Array, stains: Stains, channels: int) -> Float32Array:
    if channels == 1:
        # models of one channel were trained on bright nuclei before a dark ground: that is what haematoxylin is
        return normalised(concentrations(image, stains)[0], (0.0, stains.maxima[0]))[..., None]
    return normalised(image, stains.levels)


def _rendered(found: Polygons, one: _Input, view: View) -> Found:
    """Draw the polygons at the size of the view, the most probable on top."""
    scale = np.asarray(one.scale)
    # pixel centres of the two grids: (p + 1/2) / scale - 1/2
    points = (found.points - MIRRORED_PX + 0.5) / scale - 0.5
    labels = polygons_to_label(
        found.distances, points, view.image.shape[:2], prob=found.probabilities, scale_dist=tuple(1 / scale)
    )
    return _whole(labels, found.probabilities, view.mpp)


def _whole(labels: npt.NDArray[np.integer], probabilities: Float32Array, mpp: float) -> Found:
    """Keep of every nucleus its largest piece, for others lie over it; number those that are seen anew."""
    # pieces of equal label, connected by edges or corners
    pieces = label(labels, connectivity=2)  # type: ignore[no-untyped-call]
    of_piece = np.zeros(int(pieces.max()) + 1, dtype=np.intp)
    of_piece[pieces.ravel()] = labels.ravel()
    area = np.bincount(pieces.ravel())
    area[0] = 0
    # the last of equal keys wins, so the largest piece of each nucleus comes last
    order = np.argsort(area, kind="stable")
    largest = np.zeros(len(probabilities) + 1, dtype=np.intp)
    largest[of_piece[order]] = order
    kept = np.flatnonzero(area[largest] * mpp**2 >= SLIVER_UM2)
    kept = kept[kept > 0]
    number = np.zeros(len(area), dtype=np.int32)
    number[largest[kept]] = np.arange(1, len(kept) + 1)
    return Found(number[pieces], probabilities[kept - 1].astype(np.float64))


def _haematoxylin(found: Found, view: View) -> Found:
    """Keep the nuclei that hold haematoxylin."""
    n = int(found.instances.max(initial=0)) + 1
    numbers = found.instances.ravel()
    pixels = np.maximum(np.bincount(numbers, minlength=n), 1)
    blue, pink = (
        np.bincount(numbers, stain.ravel(), n) / pixels / most
        for stain, most in zip(view.stained, view.stains.maxima, strict=True)
    )
    return found.kept((blue / (blue + pink + _PALE) >= LEAST_HAEMATOXYLIN)[1:])
