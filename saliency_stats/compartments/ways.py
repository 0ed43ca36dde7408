"""The ways to tell cytoplasm from stroma around nuclei: by a network, by a rule, by distance alone (pure NumPy)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from saliency_stats.compartments.cells import CELL_SCALE, nearest, nuclear_radius_um, reach_um, weighed
from saliency_stats.compartments.fibre import FibreParameters
from saliency_stats.compartments.membership import from_codes
from saliency_stats.errors import CompartmentError
from saliency_stats.typing import BoolArray, Float32Array, FloatArray, Instances
from saliency_stats.vocabulary import CELLS, COMPARTMENT_CODES, COMPARTMENTS

#: What the tissue network tells apart, in the order of its probabilities: cells (their nuclei included), the fibres and
#: the ground between them, and what is no tissue: glass, lumen, mucin, fat, red cells.
TISSUES: Final = ("cell", "stroma", "background")
#: A pixel whose largest membership is below this is doubtful: the network, whose probabilities are those with which it
#: is right, would be wrong there in more than one of four pixels.
SURE: Final = 0.75


class Seen(NamedTuple):
    """What an image shows: ``tissue`` (H, W), ``stained`` (2, H, W) with the slide's ``maxima``, and its ``mpp``.

    ``tissues`` (3, H, W) is how probable each of ``TISSUES`` is; None where no network was asked.
    """

    tissue: BoolArray
    stained: FloatArray
    maxima: tuple[float, float]
    mpp: float
    tissues: Float32Array | None = None


#: From how far cytoplasm may reach (µm) to memberships (K, H, W).
Around = Callable[[float], Float32Array]


@dataclass(frozen=True)
class Way:
    """One way to say what around nuclei is cytoplasm.

    Parameters
    ----------
    name
        In study files, and on the command line.
    words
        What is cytoplasm, with the place of ``{reach}``, the longest distance from the nucleus.
    around
        Takes nuclei (H, W), what their image shows, the longest reach that will be asked for and the details of the
        rule; does once what is the same for every reach.
    soft
        Whether memberships are probabilities of the tissue network, which must have been asked.
    """

    name: str
    words: str
    around: Callable[[Instances, Seen, float, FibreParameters], Around]
    soft: bool = False


def _hard(instances: Instances, tissue: BoolArray, cells: BoolArray) -> Float32Array:
    codes = np.where(tissue, COMPARTMENT_CODES["stroma"], COMPARTMENT_CODES["background"]).astype(np.uint8)
    codes[cells] = COMPARTMENT_CODES["cytoplasm"]
    codes[instances > 0] = COMPARTMENT_CODES["nucleus"]
    return from_codes(codes)


def _by_rule(instances: Instances, seen: Seen, cytoplasm_um: float, fibre: FibreParameters) -> Around:
    around = weighed(instances, seen.tissue, seen.stained, seen.mpp, cytoplasm_um, fibre, maxima=seen.maxima)
    return lambda reach: _hard(instances, seen.tissue, around.within(reach, fibre.threshold) > 0)


def _by_distance(instances: Instances, seen: Seen, _: float, __: FibreParameters) -> Around:
    around, radius_um = nearest(instances, seen.mpp), nuclear_radius_um(instances, seen.mpp)

    def within(cytoplasm_um: float) -> Float32Array:
        reach = reach_um(radius_um, cytoplasm_um, CELL_SCALE)
        return _hard(instances, seen.tissue, seen.tissue & (around.distance_um <= reach[around.owner]))

    return within


def _by_network(instances: Instances, seen: Seen, _: float, __: FibreParameters) -> Around:
    if seen.tissues is None:
        raise CompartmentError(
            "cells is network, but the network was not asked about this view: give it with_tissues, or choose another "
            f"of {', '.join(CELLS)}."
        )
    distance_um = nearest(instances, seen.mpp).distance_um
    cell, stroma, nothing = seen.tissues
    nuclei = instances > 0
    outside = seen.tissue & ~nuclei

    def within(cytoplasm_um: float) -> Float32Array:
        near = distance_um <= cytoplasm_um
        shares = {
            "nucleus": nuclei,
            "cytoplasm": np.where(outside & near, cell, 0),
            # the cells of no nucleus in view are ground
            "stroma": np.where(outside, np.where(near, stroma, stroma + cell), 0),
            "background": np.where(outside, nothing, ~seen.tissue & ~nuclei),
        }
        return np.stack([shares[name] for name in COMPARTMENTS]).astype(np.float32)

    return within


#: Every way by its name.
WAYS: Final = {
    way.name: way
    for way in (
        Way(
            "network",
            "cytoplasm is what a small network takes for tissue of cells at most {reach} µm from the border of the "
            "nearest nucleus, every pixel in part by its probability",
            _by_network,
            soft=True,
        ),
        Way(
            "rule",
            "cytoplasm is tissue at most {reach} µm and four nuclear radii from the border of the nearest nucleus, "
            "unless stain, texture and the nuclei around speak for fibre",
            _by_rule,
        ),
        Way(
            "distance",
            "cytoplasm is all tissue at most {reach} µm and four nuclear radii from the border of the nearest nucleus, "
            "whatever it looks like",
            _by_distance,
        ),
    )
}


def cell_words(cells: str, cytoplasm_um: float) -> str:
    """Say what is cytoplasm, as a clause."""
    return WAYS[cells].words.format(reach=f"{cytoplasm_um:g}")
