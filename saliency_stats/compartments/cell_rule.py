"""The rule that weighs what tells cytoplasm from fibre: a small fitted network, in NumPy, from the package's file."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from saliency_stats.errors import CompartmentError
from saliency_stats.typing import BoolArray, FloatArray

#: The fitted rule; ``models/README.md`` says what it was fitted to and how well it does.
_FITTED: Final = Path(__file__).parent / "models" / "cells.npz"
#: Evidence further than this many standard deviations from its mean says no more than evidence at that distance.
LIMIT: Final = 4.0
#: Pixels weighed at once: their evidence stays in the cache, and that of a large image is not all copied.
_AT_ONCE: Final = 2**16


@dataclass(frozen=True, eq=False)
class CellRule:
    """One hidden layer of rectified linear units over standardised evidence.

    Parameters
    ----------
    names
        Of the evidence, in the order of the arrays.
    mean, deviation
        (D,) by which evidence is standardised.
    hidden, hidden_bias
        (H, D) and (H,).
    output, output_bias
        (H,) and a number.
    """

    names: tuple[str, ...]
    mean: FloatArray
    deviation: FloatArray
    hidden: FloatArray
    hidden_bias: FloatArray
    output: FloatArray
    output_bias: float

    def log_odds(self, evidence: Mapping[str, FloatArray], where: BoolArray) -> FloatArray:
        """Weigh the evidence.

        Every piece of evidence is (H, W), as is ``where``, the mask of the pixels that are asked about.

        Returns
        -------
        ndarray
            (H, W) log-odds of cytoplasm against fibre; minus infinity outside ``where``.

        Raises
        ------
        CompartmentError
            If evidence is missing or unknown.
        """
        if set(evidence) != set(self.names):
            odd = sorted(set(evidence) ^ set(self.names))
            raise CompartmentError(f"the evidence and the fitted rule differ in {', '.join(odd)}; fit the rule again.")
        odds = np.full(where.size, -np.inf, dtype=np.float32)
        asked = np.flatnonzero(where)
        flat = [np.ravel(evidence[name]) for name in self.names]
        for pixels in np.split(asked, range(_AT_ONCE, asked.size, _AT_ONCE)):
            values = np.stack([piece[pixels] for piece in flat], axis=1).astype(np.float32)
            standard = np.clip((values - self.mean) / self.deviation, -LIMIT, LIMIT)
            inner = np.maximum(standard @ self.hidden.T + self.hidden_bias, 0)
            odds[pixels] = inner @ self.output + self.output_bias
        return odds.reshape(where.shape)


@lru_cache(maxsize=1)
def fitted_rule() -> CellRule:
    """Read the rule that comes with the package."""
    with np.load(_FITTED, allow_pickle=False) as file:
        arrays = {name: np.asarray(file[name]) for name in file.files}
    return CellRule(
        names=tuple(str(name) for name in arrays.pop("names")), output_bias=float(arrays.pop("output_bias")), **arrays
    )
