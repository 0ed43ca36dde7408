"""Control networks: what saliency looks like when nothing was learned, or nothing that is true."""

import copy
from typing import TypeVar

import numpy as np

from saliency_stats.classifier.protocol import Classifier
from saliency_stats.errors import AttributionError
from saliency_stats.typing import IndexArray

Network = TypeVar("Network", bound=Classifier)


def randomised(trained: Network, seed: int) -> Network:
    """Build the same architecture, re-initialised (independent randomisation of Adebayo et al. 2018).

    Its preference for a compartment is the architecture's and the image's own, not the task's.
    """
    return trained.fresh(seed).eval()


def cascading(trained: Network, depth: int, seed: int) -> Network:
    """Copy a trained network and re-initialise its topmost parts.

    Cascading randomisation from the top (Adebayo et al. 2018, "Sanity checks for saliency maps"): if
    maps stay the same while more and more of what was learned is gone, they do not show what was learned.

    The trained network is left as it is; the copy is in evaluation mode, on its device.

    Parameters
    ----------
    depth
        How many of its parts are replaced, from 1 to all.
    seed
        Seed of the fresh network that the parts are taken from, running statistics of the normalisations
        included. With one seed a deeper cascade keeps what a shallower one drew, and the deepest is ``randomised``.

    Raises
    ------
    AttributionError
        If there is no such depth.
    """
    parts = list(trained.parts)
    if not 1 <= depth <= len(parts):
        raise AttributionError(
            f"cascading randomisation: the depth is {depth}; expected 1 ({parts[0]} only) to {len(parts)} (all parts)"
        )
    replaced = tuple(prefix for part in parts[:depth] for prefix in trained.parts[part])
    fresh = trained.fresh(seed).state_dict()
    mixed = copy.deepcopy(trained)
    mixed.load_state_dict({key: value for key, value in fresh.items() if key.startswith(replaced)}, strict=False)
    return mixed.eval()


def permuted_labels(labels: IndexArray, seed: int) -> IndexArray:
    """Permute the labels of the training patches over the patches, for the ``shuffled`` control.

    A network trained on them can learn the patches by heart and nothing about the classes (the data randomisation
    test of Adebayo et al. 2018). How often each class occurs is kept. Labels move between patches,
    not between slides as wholes: no property of a slide predicts them either.
    """
    return np.random.default_rng(seed).permutation(labels)
