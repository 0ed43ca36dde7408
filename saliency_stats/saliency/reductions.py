"""The registry of channel reductions: from attributions per colour channel to one non-negative map."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from saliency_stats.errors import AttributionError

#: Reduction (N, C, H, W) → (N, H, W) by name. Each changes an answer (one gradient gave shares of 0.43 to 0.47), so
#: every table says which. To add one, put a function here.
REDUCTIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "l2": lambda attribution: torch.linalg.vector_norm(attribution, dim=1),
    "l1": lambda attribution: attribution.abs().sum(dim=1),
    "max": lambda attribution: attribution.abs().amax(dim=1),
}
#: The plain sum, which keeps the sign: no map of where saliency lies, so no study can choose it.
SIGNED: Final = "sum"


def reduce_channels(attribution: Tensor, reduction: str) -> Tensor:
    """Reduce attributions (N, C, H, W) over the colour channels to maps (N, H, W); see also :data:`SIGNED`.

    Raises
    ------
    AttributionError
        If there is no such reduction.
    """
    if reduction == SIGNED:
        return attribution.sum(dim=1)
    if reduction not in REDUCTIONS:
        raise AttributionError(f"saliency.reduction is {reduction!r}; expected one of {', '.join(REDUCTIONS)}")
    return REDUCTIONS[reduction](attribution)


def adds_up(method: object) -> bool:
    """Tell whether a method's values add up to a change of the logit, so that their sign has a meaning.

    They do where it starts from something: white glass (``times_input``), a ``baseline`` that it names, or training
    patches (``with_references``).
    """
    return any(getattr(method, name, None) for name in ("times_input", "baseline", "with_references"))
