"""How the tissue of a phantom is built: every architecture by its name."""

from typing import Final

from saliency_stats.cohort.phantom import desmoplastic, gland, lymph_node, mixed, nests
from saliency_stats.cohort.phantom.anatomy import Architecture

#: To add one, write its module and name it here: the study file, its template and the messages follow.
ARCHITECTURES: Final[dict[str, Architecture]] = {
    "nests": nests.build,
    "desmoplastic": desmoplastic.build,
    "gland": gland.build,
    "lymph_node": lymph_node.build,
    "mixed": mixed.build,
}
