"""The trained network's map at a random place: the spatial control (pure NumPy)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from saliency_stats.errors import AttributionError


def shifted(saliency: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    """Shift a map (H, W) over the torus, every shift (the identity too) being equally likely; draws from ``rng`` twice.

    Raises
    ------
    AttributionError
        If the map is not (H, W).
    """
    if saliency.ndim != 2 or not saliency.size:  # noqa: PLR2004 - (H, W)
        raise AttributionError(f"A map to be shifted has the shape (H, W), found {saliency.shape}: give one at a time.")
    height, width = saliency.shape
    return np.roll(saliency, (int(rng.integers(height)), int(rng.integers(width))), axis=(0, 1))
