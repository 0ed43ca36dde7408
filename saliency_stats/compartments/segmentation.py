"""From an image to its compartments: stains, tissue, nuclei, cytoplasm, memberships, in this order."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from saliency_stats.compartments.finders import nucleus_finder
from saliency_stats.compartments.membership import block_means, downsample, from_codes
from saliency_stats.compartments.stain import Stains, estimate_stains
from saliency_stats.compartments.tissue.finder import finder_for
from saliency_stats.compartments.view import (
    CompartmentParameters,
    Found,
    NucleusFinder,
    TissueFinder,
    View,
    check_image,
    nothing_found,
    view_of,
)
from saliency_stats.compartments.ways import SURE, TISSUES, WAYS, Around, Seen
from saliency_stats.errors import CompartmentError
from saliency_stats.typing import BoolArray, Float32Array, Float64Array, Instances
from saliency_stats.vocabulary import COMPARTMENT_CODES, COMPARTMENTS


class _Pair(NamedTuple):
    instances: Instances
    memberships: Float32Array


class Segmentation(_Pair):
    """Nuclei and compartments of an image, at its size; unpacks to ``instances, memberships``.

    Parameters
    ----------
    instances
        (H, W) int32, 0 outside nuclei.
    memberships
        (K, H, W) float32 that sum to 1 over K.
    probabilities
        Of nucleus number i at i - 1; NaN, or missing at the end, where the finder gives none.
    doubt
        (2, H, W) of every pixel the share that is tissue outside nuclei, and the share that is doubtful tissue outside
        nuclei: no membership reaches ``ways.SURE`` there. None where memberships are no probabilities.
    """

    probabilities: Float64Array
    doubt: Float32Array | None

    def __new__(  # noqa: D102 - the class says it
        cls,
        instances: Instances,
        memberships: Float32Array,
        probabilities: Float64Array | None = None,
        doubt: Float32Array | None = None,
    ) -> Self:
        made = super().__new__(cls, instances, memberships)
        made.probabilities = np.zeros(0) if probabilities is None else probabilities
        made.doubt = doubt
        return made

    @property
    def doubtful_share(self) -> float:
        """Share of the tissue outside nuclei that is doubtful; NaN where there is none, or no doubt is known."""
        if self.doubt is None:
            return float("nan")
        asked, doubtful = self.doubt.sum(axis=(1, 2), dtype=np.float64)
        return float(doubtful / asked) if asked else float("nan")


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
        If the image is not 8-bit RGB of at least 32 x 32 px, ``mpp`` is not a positive number,
        ``instances`` has another size, or a model that the parameters name cannot be loaded.
    """
    parameters = parameters or CompartmentParameters()
    view = view_of(image, mpp, parameters, stains or estimate_stains([check_image(image)]))
    tissue = finder_for([parameters.cells])
    if instances is None:
        return segment_batch([view], nucleus_finder(parameters.nuclei), tissue)[0]
    if instances.shape != image.shape[:2]:
        raise CompartmentError(
            f"instances have the shape {instances.shape}, the image {image.shape[:2]}: they must agree."
        )
    fine = np.repeat(np.repeat(instances, view.factor, axis=0), view.factor, axis=1).astype(np.int32)
    return divided(with_tissues([view], tissue)[0], Found(fine, np.zeros(0)))


def segment_batch(
    views: Sequence[View], finder: NucleusFinder, tissue: TissueFinder | None = None
) -> list[Segmentation]:
    """Divide many images at once, as :func:`segment` divides one.

    ``tissue`` is what ``tissue.finder.finder_for`` gives for the cells of the views' parameters. The result is in the
    order of ``views``, each at the size of its image before enlargement.
    """
    views = with_tissues(views, tissue)
    return [divided(view, found) for view, found in zip(views, find_nuclei(views, finder), strict=True)]


def with_tissues(views: Sequence[View], tissue: TissueFinder | None) -> list[View]:
    """Ask the tissue network about many images at once, if there is one.

    As with nuclei, it is not asked about views without tissue or structure: there is nothing that it could know cells
    by, so their tissue is ground.
    """
    if tissue is None:
        return list(views)
    asked = iter(tissue([view for view in views if view.structure]))
    return [view._replace(tissues=next(asked) if view.structure else _ground(view)) for view in views]


def _ground(view: View) -> Float32Array:
    tissues = np.zeros((len(TISSUES), *view.tissue.shape), dtype=np.float32)
    tissues[TISSUES.index("stroma")] = 1
    return tissues


def find_nuclei(views: Sequence[View], finder: NucleusFinder) -> list[Found]:
    """Find the nuclei of many images at once.

    The finder is asked once, and not about views without tissue or structure: they have no nuclei. In the order of
    ``views``, each at the size of its view.
    """
    asked = iter(finder([view for view in views if view.structure]))
    return [next(asked) if view.structure else nothing_found(view) for view in views]


def weighed_around(view: View, found: Found, parameters: CompartmentParameters | None = None) -> Around:
    """Weigh the tissue around the nuclei of a view, which :func:`divided` then divides."""
    parameters = parameters or view.parameters
    seen = Seen(view.tissue, view.stained, view.stains.maxima, view.mpp, view.tissues)
    return WAYS[parameters.cells].around(found.instances, seen, parameters.cytoplasm_um, parameters.fibre)


def divided(
    view: View,
    found: Found,
    parameters: CompartmentParameters | None = None,
    *,
    left_out: BoolArray | None = None,
    around: Around | None = None,
) -> Segmentation:
    """Divide a view whose nuclei are known.

    Parameters
    ----------
    parameters
        Of the cells, in place of the view's own.
    left_out
        (H, W) pixels of the view that belong to no compartment of the tissue: they become background.
    around
        What is around its nuclei, :func:`weighed_around` them for the same way to tell cells, and for this reach or
        another up to ``cells.ASKED_UM``. Weighed anew if left out.

    Returns
    -------
    Segmentation
        At the size of the image before enlargement.

    Raises
    ------
    CompartmentError
        If the cells are told by the tissue network, and it was not asked about the view (:func:`with_tissues`).
    """
    parameters = parameters or view.parameters
    nuclei, factor = found.instances, view.factor
    around = around or weighed_around(view, found, parameters)
    fine = around(parameters.cytoplasm_um)
    if left_out is not None:
        fine[:, left_out] = 0
        fine[COMPARTMENTS.index("background"), left_out] = 1
    doubt = None
    if WAYS[parameters.cells].soft:
        # before areas are averaged: a pixel with a border in it is divided, and nothing about it is doubtful
        asked = view.tissue & (nuclei == 0)
        doubt = block_means(np.stack([asked, asked & (fine.max(axis=0) < SURE)]), factor).astype(np.float32)
    # back to the image's pixels: areas are averaged, a number cannot be and is read next to the centre
    centre = slice(factor // 2, None, factor)
    memberships = downsample(fine, factor).astype(np.float32)
    return Segmentation(nuclei[centre, centre].copy(), memberships, found.probabilities, doubt)


def from_truth(codes: npt.ArrayLike, instances: npt.ArrayLike) -> Segmentation:
    """Segmentation with hard memberships, from a map (H, W) of ``COMPARTMENT_CODES`` and its nuclei (H, W).

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
