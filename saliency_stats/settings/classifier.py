"""The classifier's part of the study file: which network, from which weights, trained how."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from saliency_stats.errors import shown
from saliency_stats.settings.cohort import Section
from saliency_stats.settings.maps import MAX_NAMES
from saliency_stats.settings.typed import once
from saliency_stats.vocabulary import ARCHITECTURE_SOURCES, ARCHITECTURES, NO_NETWORK

#: Of the three colours, in the scale of 0 to 1.
Channels = tuple[float, float, float]


class AugmentationSection(Section):
    """How training patches are varied (``trainable: all`` only)."""

    dihedral: bool = True
    stain: float = Field(default=0.15, ge=0, le=1)


class PreprocessSection(Section):
    """What the network does with raw RGB first; null takes what its library says."""

    mean: Channels | None = None
    std: Channels | None = None
    size_px: int | None = Field(default=None, ge=8, le=4096)

    @field_validator("std")
    @classmethod
    def _positive(cls, value: Channels | None) -> Channels | None:
        if value is not None and min(value) <= 0:
            raise ValueError(f"{list(value)} is divided by; expected numbers above 0")
        return value


class LayersSection(Section):
    """Layers of the network by name; what is not named is found."""

    head: list[str] = Field(default=[], max_length=MAX_NAMES)
    gradcam: str | None = None
    parts: list[str] = Field(default=[], max_length=MAX_NAMES)

    @field_validator("head", "parts")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        return once(value)


class ClassifierSection(Section):
    """The network and its training."""

    networks: int = Field(default=1, ge=1, le=100)
    seed: int | None = Field(default=None, ge=0, le=2**32 - 1)
    architecture: str = Field(default="densenet201", min_length=1, max_length=1000)
    weights: str = Field(default="none", min_length=1)
    trainable: Literal["all", "head", "none"] = "all"
    epochs: int = Field(default=12, ge=1, le=10_000)
    batch_size: int = Field(default=32, ge=2, le=4096)
    learning_rate: float = Field(default=2e-3, ge=1e-7, le=1.0)
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    label_smoothing: float = Field(default=0.0, ge=0, le=0.5)
    class_weights: Literal["balanced", "none"] = "balanced"
    stopping: Literal["one_cycle", "early"] = "one_cycle"
    patience: int = Field(default=3, ge=1, le=10_000)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    augmentation: AugmentationSection = AugmentationSection()
    min_balanced_accuracy: float = Field(default=0.65, ge=0.5, lt=1)
    preprocess: PreprocessSection = PreprocessSection()
    layers: LayersSection = LayersSection()

    @model_validator(mode="before")
    @classmethod
    def _as_the_factory_returns_it(cls, content: Any) -> Any:
        # the network of a user's own factory is meant as it is, unless its weights are said to be others
        own = isinstance(content, dict) and str(content.get("architecture")).startswith("python:")
        return {"weights": "own"} | content if own else content

    @property
    def own_outputs(self) -> bool:
        """Whether the network brings its outputs; else its layer of classes is made anew, with one for each class."""
        return self.weights not in {"none", "imagenet"} or self.architecture.startswith("python:")

    @field_validator("architecture")
    @classmethod
    def _known(cls, value: str) -> str:
        source, colon, name = value.partition(":")
        if value in {*ARCHITECTURES, NO_NETWORK} or (colon and name and source in ARCHITECTURE_SOURCES):
            return value
        raise ValueError(
            f"there is no {shown(value)}; expected one of {', '.join(ARCHITECTURES)}, or torchvision:NAME, timm:NAME, "
            f"python:package.module:factory, or {NO_NETWORK} (maps of a table)"
        )

    @property
    def is_network(self) -> bool:
        """Whether there is a network at all: else maps and probabilities, made elsewhere, come with the table."""
        return self.architecture != NO_NETWORK
