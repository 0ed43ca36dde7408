"""Segmentations as they could also have been: other nuclei, borders left out, other cells (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import ndimage
from skimage.segmentation import expand_labels

from saliency_stats.compartments.cells import asked_um
from saliency_stats.compartments.finders import gives_probabilities
from saliency_stats.compartments.segmentation import Segmentation, divided, weighed_around
from saliency_stats.compartments.view import SAME_SCALE, Found, View
from saliency_stats.compartments.ways import Around  # noqa: TC001 - no forward references here
from saliency_stats.errors import CompartmentError, shown
from saliency_stats.typing import BoolArray, Instances
from saliency_stats.vocabulary import CELLS


@dataclass(frozen=True)
class Variant:
    """One way to segment differently, on purpose.

    Parameters
    ----------
    name
        What tables call it.
    grow_um
        Nuclei grow by this much over the tissue, or shrink where it is negative.
    band_um
        Pixels this close to the border of a nucleus, on either side, are left out of every compartment.
    probability
        Added to the threshold of the finder's probabilities: nuclei below the sum are dropped.
    cytoplasm_um
        In place of the parameter of this name; None keeps it.
    cells
        In place of the parameter of this name; None keeps it.

    Raises
    ------
    CompartmentError
        If a value is out of range, the name is empty, or there is no such way to tell cells.
    """

    name: str
    grow_um: float = 0.0
    band_um: float = 0.0
    probability: float = 0.0
    cytoplasm_um: float | None = None
    cells: str | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise CompartmentError("A variant of the segmentation has no name: give it one, tables know it by that.")
        for key, low, high in (
            ("grow_um", -5.0, 5.0),
            ("band_um", 0.0, 5.0),
            ("probability", -1.0, 1.0),
            ("cytoplasm_um", 0.5, 50.0),
        ):
            value = getattr(self, key)
            if value is not None and not low <= value <= high:
                raise CompartmentError(f"Variant {self.name}: {key} is {value}, expected {low:g} to {high:g}.")
        if self.cells is not None and self.cells not in CELLS:
            raise CompartmentError(
                f"Variant {self.name}: cells is {shown(self.cells)}, expected one of {', '.join(CELLS)}."
            )


#: The segmentation as it is, then each of its choices moved alone. At 0.5 µm per pixel, 0.5 µm is one pixel.
VARIANTS: Final[tuple[Variant, ...]] = (
    Variant("usual"),
    Variant("nuclei-1um", grow_um=-1.0),
    Variant("nuclei-0.5um", grow_um=-0.5),
    Variant("nuclei+0.5um", grow_um=0.5),
    Variant("nuclei+1um", grow_um=1.0),
    Variant("band0.5um", band_um=0.5),
    Variant("band1um", band_um=1.0),
    Variant("probability-0.1", probability=-0.1),
    Variant("probability+0.1", probability=0.1),
    Variant("cytoplasm2um", cytoplasm_um=2.0),
    Variant("cytoplasm3um", cytoplasm_um=3.0),
    Variant("cytoplasm8um", cytoplasm_um=8.0),
    *(Variant(f"cells-{cells}", cells=cells) for cells in CELLS),
)


def impossible(nuclei: str) -> tuple[str, ...]:
    """Name the variants that a finder does not allow: one that gives no probabilities has no threshold to move."""
    return () if gives_probabilities(nuclei) else tuple(one.name for one in VARIANTS if one.probability)


def varied(view: View, found: Found, variant: Variant) -> Segmentation:
    """Divide a view as a variant has it.

    Nuclei are dropped, then grown or shrunk; cells are sought anew around what is left, so that they begin where the
    nuclei now end. A band at the borders is taken out of the finished division and becomes background: shares of the
    area change with it, and so do contrasts with the rest of the tissue, but the density ratio of nucleus and
    cytoplasm, each its saliency over its own area, is simply that of their parts away from the borders.

    Parameters
    ----------
    found
        Its nuclei, found at the usual threshold or at a lower one: those below the usual one are dropped wherever the
        variant does not say otherwise. Greedy suppression keeps a nucleus or not by more probable ones alone, so this
        equals finding them anew at the variant's threshold.
    variant
        How to segment; distances are those between the centres of pixels, so that one pixel grown is the next pixel.
        They are taken as the nearest whole number of pixels where that is off by no more than ``SAME_SCALE``.

    Returns
    -------
    Segmentation
        That of :func:`~saliency_stats.compartments.segmentation.divided` where the variant changes nothing.

    Raises
    ------
    CompartmentError
        If the variant moves the threshold and probabilities are not known or nuclei were not sought that far down, or
        if a distance is less than one pixel of the view.
    """
    return variations(view, found, [variant])[0]


def variations(view: View, found: Found, variants: Sequence[Variant]) -> list[Segmentation]:
    """Divide a view as each of many variants has it, what they have in common once.

    Each is that of :func:`varied`, and refused as there.
    """
    nuclei: dict[tuple[float, float], Found] = {}
    around: dict[tuple[float, float, float, str], Around] = {}
    made = []
    for variant in variants:
        changed = {key: getattr(variant, key) for key in ("cytoplasm_um", "cells")}
        parameters = replace(view.parameters, **{key: value for key, value in changed.items() if value is not None})
        which = (variant.probability, variant.grow_um)
        if which not in nuclei:
            nuclei[which] = _resized(_probable(found, variant), view, variant)
        far = (*which, asked_um(parameters.cytoplasm_um), parameters.cells)
        if far not in around:
            around[far] = weighed_around(view, nuclei[which], parameters)
        band = _at_borders(nuclei[which].instances, _pixels(variant, "band_um", view.mpp)) if variant.band_um else None
        made.append(divided(view, nuclei[which], parameters, left_out=band, around=around[far]))
    return made


def _probable(found: Found, variant: Variant) -> Found:
    """Keep the nuclei above the variant's threshold."""
    if not found.instances.any():
        return found
    if np.isnan(found.threshold) or np.isnan(found.probabilities).any():
        if variant.probability:
            raise CompartmentError(
                f"Variant {variant.name} moves the threshold of the probability by {variant.probability:g}, but these "
                "nuclei have no probabilities: find them with a StarDist model, or leave the variant out."
            )
        return found
    threshold = found.threshold + variant.probability
    if threshold < found.lowest:
        raise CompartmentError(
            f"Variant {variant.name} wants the nuclei above the probability {threshold:g}, found are those above "
            f"{found.lowest:g}: find them with probability_offset={variant.probability:g} or less."
        )
    # as the network gave them: what a float32 is compared with is rounded to a float32
    return found.kept(found.probabilities.astype(np.float32) > threshold)


def _resized(found: Found, view: View, variant: Variant) -> Found:
    if not (variant.grow_um and found.instances.any()):
        return found
    radius = _pixels(variant, "grow_um", view.mpp)
    nuclei = found.instances
    if variant.grow_um > 0:
        grown = expand_labels(nuclei, distance=radius)  # type: ignore[no-untyped-call]
        return found._replace(instances=np.where(view.tissue, grown, nuclei).astype(np.int32))
    shrunk = np.where(_at_borders(nuclei, radius), 0, nuclei).astype(np.int32)
    left = np.bincount(shrunk.ravel(), minlength=int(nuclei.max()) + 1)[1:] > 0
    return found._replace(instances=shrunk).kept(left)


def _at_borders(instances: Instances, radius: float) -> BoolArray:
    """Where a disc holds more than one nucleus, or nucleus and ground: pixels this close to a border, on either side.

    The image's own edge is no border: a pixel beyond it counts as the nearest one inside, which the disc also holds.
    """
    reach = int(radius)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disc = y**2 + x**2 <= radius**2
    least, most = (
        of(instances, footprint=disc, mode="nearest") for of in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    return np.asarray(least != most)


def _pixels(variant: Variant, key: str, mpp: float) -> float:
    """Length of a variant in pixels."""
    length_um = abs(float(getattr(variant, key)))
    exact = length_um / mpp
    whole = float(round(exact))
    if abs(exact - whole) <= SAME_SCALE * whole:
        return whole
    if exact < 1:
        raise CompartmentError(
            f"Variant {variant.name}: {key} is {length_um:g} µm, less than a pixel of {mpp:g} µm, and would change "
            f"nothing: set segmentation_mpp to {length_um:g} or less, or leave the variant out."
        )
    return exact
