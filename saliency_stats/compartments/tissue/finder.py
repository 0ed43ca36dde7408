"""What asks the tissue network: made once per device; torch is imported only then."""
# ruff: noqa: PLC0415  (the network's imports bring torch, which the rest of this room does not need)

from collections.abc import Iterable
from functools import lru_cache

from saliency_stats.compartments.view import TissueFinder
from saliency_stats.compartments.ways import WAYS


def finder_for(cells: Iterable[str], device: str = "cpu") -> TissueFinder | None:
    """Make what is asked about tissue where one of these ways to tell cells needs it; None where none does.

    Parameters
    ----------
    cells
        Names of ``ways.WAYS``.
    device
        Where the network computes, in torch's words.

    Raises
    ------
    CompartmentError
        If the network's file is missing or damaged.
    """
    return _finder(device) if any(WAYS[name].soft for name in cells) else None


@lru_cache(maxsize=2)
def _finder(device: str) -> TissueFinder:
    from saliency_stats.compartments.tissue.files import read_tissue
    from saliency_stats.compartments.tissue.predict import Tissues

    return Tissues(read_tissue(), device)
