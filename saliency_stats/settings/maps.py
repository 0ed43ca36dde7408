"""Sections of the study file about maps: methods, replaced compartments, choices of analysis that are crossed."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from saliency_stats.settings.cohort import Section
from saliency_stats.settings.typed import once
from saliency_stats.statistics import StatisticsParameters

#: Names in a list: more than there are.
MAX_NAMES: Final = 100


class SaliencySection(Section):
    """The map: where the classifier looked."""

    methods: list[str] = Field(default=["gradient"], min_length=1, max_length=MAX_NAMES)
    baseline: str = "white"
    reduction: str = "l2"
    more_reductions: list[str] = Field(default=[], max_length=MAX_NAMES)
    target: Literal["correct", "predicted"] = "correct"
    min_confidence: float = Field(default=StatisticsParameters.min_confidence, ge=0.5, lt=1)
    batch_size: int = Field(default=32, ge=1, le=1024)
    signed: bool = False
    scores: bool = False
    keep: bool = False

    @model_validator(mode="after")
    def _once(self) -> Self:
        for name, given in (("methods", self.methods), ("more_reductions", [self.reduction, *self.more_reductions])):
            if len(set(given)) < len(given):
                raise ValueError(f"saliency.{name} names one twice")
        return self


class CausalSection(Section):
    """What is replaced, to see whether the decision depends on it."""

    replacements: list[Literal["mean", "blur", "stain", "inpaint", "resynthesis"]] = Field(
        default=["mean", "blur", "stain"]
    )
    patches_per_class: int = Field(default=4, ge=0, le=100_000)
    curve_steps: int = Field(default=0, ge=0, le=50)

    @field_validator("replacements")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        return once(value)

    @field_validator("curve_steps")
    @classmethod
    def _a_curve(cls, value: int) -> int:
        if value == 1:
            raise ValueError("a curve has at least 2 steps, its ends; 0 draws none")
        return value


class MultiverseSection(Section):
    """Choices of analysis that are crossed."""

    enabled: bool = False
    methods: list[str] = Field(
        default=["gradient", "gradient_x_input", "guided_backprop"], min_length=1, max_length=MAX_NAMES
    )
    baselines: list[str] = Field(default=["white"], min_length=1, max_length=MAX_NAMES)
    reductions: list[str] = Field(default=["l2", "l1", "max"], min_length=1, max_length=MAX_NAMES)
    segmentations: list[str] = Field(default=[], max_length=MAX_NAMES)
    min_confidence: list[Annotated[float, Field(ge=0.5, lt=1)]] = Field(
        default=[0.5, 0.8, 0.9, 0.95], min_length=1, max_length=50
    )

    @field_validator("methods", "baselines", "reductions", "segmentations", "min_confidence")
    @classmethod
    def _each_once(cls, value: list[str] | list[float]) -> list[str] | list[float]:
        # a choice that stands twice would count twice among the specifications
        return once(value)
