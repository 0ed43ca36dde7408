"""Control networks: what saliency looks like when nothing was learned, or nothing that is true."""

import copy
from typing import Final

import numpy as np

from saliency_stats.classifier.densenet import PatchClassifier, initialise
from saliency_stats.errors import AttributionError
from saliency_stats.typing import IndexArray

#: The parts of a DenseNet that cascading randomisation replaces, from the top: depth d replaces the first d.
CASCADE: Final = ("classifier", "denseblock4", "denseblock3", "denseblock2", "denseblock1", "stem")

# a block goes with the layer that follows it; the normalisation before the classifier belongs to the last block
_MODULES: Final = {
    "classifier": ("classifier.",),
    "denseblock4": ("features.denseblock4.", "features.norm5."),
    "denseblock3": ("features.denseblock3.", "features.transition3."),
    "denseblock2": ("features.denseblock2.", "features.transition2."),
    "denseblock1": ("features.denseblock1.", "features.transition1."),
    "stem": ("features.conv0.", "features.norm0."),
}


def randomised(architecture: str, seed: int) -> PatchClassifier:
    """Build the same architecture, re-initialised (independent randomisation of Adebayo et al. 2018).

    Its preference for a compartment is the architecture's and the image's own, not the task's.
    """
    return initialise(architecture, seed).eval()


def cascading(model: PatchClassifier, depth: int, seed: int) -> PatchClassifier:
    """Copy a trained network and re-initialise its topmost parts.

    Cascading randomisation from the top (Adebayo et al. 2018, "Sanity checks for saliency maps"): if
    maps stay the same while more and more of what was learned is gone, they do not show what was learned.

    Parameters
    ----------
    model
        The trained network; it is left as it is.
    depth
        How many parts of :data:`CASCADE` are replaced, 1 to 6.
    seed
        Seed of the fresh network that the parts are taken from, running statistics of the normalisations
        included. With one seed a deeper cascade keeps what a shallower one drew, and depth 6 is ``randomised``.

    Returns
    -------
    PatchClassifier
        In evaluation mode, on the device of ``model``.

    Raises
    ------
    AttributionError
        If there is no such depth.
    """
    if not 1 <= depth <= len(CASCADE):
        raise AttributionError(
            f"cascading randomisation: the depth is {depth}; expected 1 ({CASCADE[0]} only) to "
            f"{len(CASCADE)} (all parts)"
        )
    replaced = tuple(prefix for part in CASCADE[:depth] for prefix in _MODULES[part])
    fresh = initialise(model.architecture, seed).backbone.state_dict()
    mixed = copy.deepcopy(model)
    mixed.backbone.load_state_dict(
        {key: value for key, value in fresh.items() if key.startswith(replaced)}, strict=False
    )
    return mixed.eval()


def permuted_labels(labels: IndexArray, seed: int) -> IndexArray:
    """Permute the labels of the training patches over the patches, for the ``shuffled`` control.

    A network trained on them can learn the patches by heart and nothing about the classes (the data randomisation
    test of Adebayo et al. 2018). How often each class occurs is kept. Labels move between patches,
    not between slides as wholes: no property of a slide predicts them either.

    Parameters
    ----------
    labels
        (N,) class indices.
    seed
        Decides the permutation.

    Returns
    -------
    ndarray
        (N,) the same labels in another order.
    """
    return np.random.default_rng(seed).permutation(labels)
