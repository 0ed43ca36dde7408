"""Cytoplasm against nucleus within one patch: what is compared, and why it sometimes cannot be (pure NumPy)."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from saliency_stats.attribution.checked import Maps, Memberships, check_compartments, fitting
from saliency_stats.errors import AttributionError
from saliency_stats.typing import Float64Array, FloatArray
from saliency_stats.vocabulary import COMPARTMENTS

#: What is compared: the first against the second.
PAIR: Final = ("cytoplasm", "nucleus")


def pairs(
    maps: Sequence[Maps], memberships: npt.ArrayLike | Memberships
) -> Iterator[tuple[Float64Array, Float64Array]]:
    """Check several maps of N patches against their memberships, and give those of the two, patch by patch.

    Returns
    -------
    iterator of tuple
        Memberships (2, H, W), and the two area shares (2,) as the ledger has them.

    Raises
    ------
    AttributionError
        If there is no map, shapes disagree, or memberships are impossible; the message names the patch.
    """
    if not maps:
        raise AttributionError("There is no map to compare compartments by: give at least one.")
    members = fitting(memberships, maps[0])
    for one in maps[1:]:
        fitting(members, one)
    check_compartments(COMPARTMENTS, members.weights.shape[1])
    two = [COMPARTMENTS.index(name) for name in PAIR]
    return ((weights[two], area[two]) for weights, area in zip(members.weights, members.area, strict=True))


def missing(area: Float64Array, min_area: float) -> str:
    """Say which of the two area shares is zero, or below the smallest that counts; nothing if neither is."""
    small = [f"{share:.4g} of {name}" for name, share in zip(PAIR, area, strict=True) if not share or share < min_area]
    counts = f" below {min_area:g}" if min_area else ""
    return f"missing: area share {' and '.join(small)}{counts}" if small else ""


def silent(masses: Float64Array, peak: float, what: str) -> str:
    """Say that a map is zero everywhere, or in which of the two; nothing if it is not."""
    if not peak:
        return f"no saliency: the {what} is zero everywhere"
    none = [name for name, mass in zip(PAIR, masses, strict=True) if not mass]
    return f"no saliency: the {what} is zero in {' and '.join(none)}" if none else ""


def scaled(saliency: FloatArray) -> tuple[Float64Array, float]:
    """Divide a map by its largest value, which is returned too: a map of tiny gradients must not underflow."""
    values = saliency.astype(np.float64)
    peak = float(values.max())
    return values / (peak or 1.0), peak
