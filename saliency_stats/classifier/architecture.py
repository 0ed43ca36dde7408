"""What a study file says of the network: its name, preprocessing, layers, and which outputs stand for which class."""

from dataclasses import dataclass, field

from saliency_stats.classifier.layers import NamedLayers
from saliency_stats.classifier.outputs import Outputs
from saliency_stats.classifier.preprocessing import Preprocessing


@dataclass(frozen=True)
class Architecture:
    """A network that can be built: small, hashable, and sent to other processes instead of the network.

    Parameters
    ----------
    name
        ``densenet201`` and others of this package, or ``torchvision:NAME``, ``timm:NAME``,
        ``python:package.module:factory``.
    preprocessing
        What is stated; the rest is the library's.
    layers
        Those that are named; the others are found.
    outputs
        Which outputs stand for which class.
    """

    name: str = "densenet201"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    layers: NamedLayers = field(default_factory=NamedLayers)
    outputs: Outputs = field(default_factory=Outputs)
