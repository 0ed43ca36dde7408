"""DenseNet, the abstract's classifier: torchvision's, with the layers that it trains and explains known in advance."""

import re
from collections import OrderedDict
from types import MappingProxyType
from typing import Final

from torch import nn
from torchvision import models

from saliency_stats.classifier.layers import Layers
from saliency_stats.classifier.network import NetworkClassifier

ARCHITECTURES: Final = ("densenet121", "densenet169", "densenet201")
# a block goes with the layer that follows it; the normalisation before the classifier belongs to the last block
PARTS: Final = MappingProxyType(
    {
        "classifier": ("classifier.",),
        "denseblock4": ("features.denseblock4.", "features.norm5."),
        "denseblock3": ("features.denseblock3.", "features.transition3."),
        "denseblock2": ("features.denseblock2.", "features.transition2."),
        "denseblock1": ("features.denseblock1.", "features.transition1."),
        "stem": ("features.conv0.", "features.norm0."),
    }
)
# The published files predate torchvision's present module names ("norm.1" is "norm1" today).
_OLD_KEY: Final = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$"
)


class PatchClassifier(NetworkClassifier):
    """A DenseNet; see :class:`~saliency_stats.classifier.network.NetworkClassifier`."""

    def stepwise(self) -> nn.Module:
        """Return ``DenseNet.forward`` step by step: its last ReLU is a function, and no module.

        The same logits to the bit, from the same layers under the same names, in the same mode.
        """
        steps = nn.Sequential(
            OrderedDict(
                features=self.backbone.features,
                relu=nn.ReLU(),
                pool=nn.AdaptiveAvgPool2d((1, 1)),
                flatten=nn.Flatten(1),
                classifier=self.backbone.classifier,
            )
        )
        whole = OrderedDict(fit=self.fit, normalise=self.normalise, backbone=steps, group=self.group)
        return nn.Sequential(whole).train(self.training)


def densenet(architecture: str, n_outputs: int) -> models.DenseNet:
    """Build with torchvision's random initialisation."""
    made: models.DenseNet = getattr(models, architecture)(weights=None, num_classes=n_outputs)
    return made


def layers_of(backbone: models.DenseNet) -> Layers:
    """Name the abstract's two layers, the second convolution of the last dense layer and that of classes; and the rest.

    Grad-CAM explains the third block, with a stride of 16 px: the fourth has 32, which leaves a patch of 96 to 256 px
    with
    3 to 8 values a side.
    """
    last = list(backbone.features.denseblock4)[-1]
    return Layers((f"features.denseblock4.{last}.conv2", "classifier"), "features.denseblock3", dict(PARTS))


def current_key(key: str) -> str:
    """Return today's name of a tensor in a published file."""
    match = _OLD_KEY.match(key)
    return match.group(1) + match.group(2) if match else key
