"""Where the ImageNet weights of EfficientNet-Lite are kept."""

from pathlib import Path

from saliency_stats.compartments.stardist.download import cache_folder


def lite_file(name: str) -> Path:
    """Return the path of the weights of ``efficientnet_lite0``, 1 or 2, with timm's keys, in this package's cache."""
    return cache_folder() / "imagenet" / f"tf_{name}.safetensors"
