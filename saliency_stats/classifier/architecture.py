"""What a study file says of the network: its name, preprocessing, layers, and which outputs stand for which class."""

from dataclasses import dataclass

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
    preprocessing: Preprocessing = Preprocessing()
    layers: NamedLayers = NamedLayers()
    outputs: Outputs = Outputs()
