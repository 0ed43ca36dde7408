"""The words every room shares: compartments, labels, splits, and the columns that identify a patch."""

import re
from typing import Final

#: Order of the first axis of every membership array ``(K, H, W)``.
COMPARTMENTS: Final = ("nucleus", "cytoplasm", "stroma", "background")
#: The compartments that are tissue.
TISSUE: Final = ("nucleus", "cytoplasm", "stroma")
#: Codes of a compartment map ``(H, W)`` uint8, as in ``STEM_compartments.tif``.
COMPARTMENT_CODES: Final = {"background": 0, "nucleus": 1, "cytoplasm": 2, "stroma": 3}
#: Class labels in the order of the classifier's two logits.
LABELS: Final = ("benign", "malignant")
SPLITS: Final = ("train", "valid", "test")
#: A row of a patch-level table is identified by these columns.
PATCH_KEY: Final = ("patch_id", "magnification")

#: Ways to find nuclei that have a name; any other is the path of a StarDist model, or of a TorchScript file.
NUCLEUS_FINDERS: Final = ("builtin", "2D_versatile_he", "classical")
#: Stands before the path of a TorchScript file.
TORCHSCRIPT: Final = "torchscript:"
#: Ways to tell cytoplasm from stroma (``compartments.ways`` says what each is), and the one that is used if none is
#: named.
CELLS: Final = ("network", "rule", "distance")
USUAL_CELLS: Final = "network"

#: Networks of this package; others are named SOURCE:NAME.
ARCHITECTURES: Final = (
    *("densenet121", "densenet169", "densenet201"),
    *("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"),
)
ARCHITECTURE_SOURCES: Final = ("torchvision", "timm", "python")
#: Stands in the place of a network's name where a study has none: maps and probabilities come with its table.
NO_NETWORK: Final = "none"

#: Name of the network under study in the column ``model``.
TRAINED: Final = "trained"
#: The column that tells networks of other seeds (or folds) apart; "" for a map of the image alone.
NETWORK: Final = "network"
#: The network of a study that has one, and the name of all networks of a study together.
ONE_NETWORK: Final = "1"
ALL_NETWORKS: Final = "all"
#: Stands in the column ``reduction`` where a map has no colour channels to reduce.
NO_REDUCTION: Final = "none"


def network_order(name: str) -> tuple[list[int], str]:
    """Return the key that sorts names of networks by their numbers: "2" before "10", "fold2-1" before "fold10-1"."""
    return [int(number) for number in re.findall(r"\d+", name)], name
