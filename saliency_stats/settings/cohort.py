"""The cohort's part of the study file: phantoms, patch images or whole-slide images."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticKnownError

from saliency_stats.classes import Classes
from saliency_stats.cohort import Cohort, PatchFolder, Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.cohort.phantom.signals import SIGNALS
from saliency_stats.cohort.quality import MIN_FOCUS, MIN_LIGHT
from saliency_stats.cohort.slides.cohort import SlideCohort
from saliency_stats.cohort.slides.evidence import Origin, WithoutTumour
from saliency_stats.cohort.slides.tiling import TilingParameters
from saliency_stats.errors import StudyError
from saliency_stats.seeds import derive
from saliency_stats.settings.typed import once
from saliency_stats.vocabulary import LABELS, SPLITS

#: As a pixel of 20 to 0.05 µm has it.
Magnification = Annotated[float, Field(gt=0, le=200)]
#: µm per pixel of anything that is looked at through a microscope.
PixelSize = Annotated[float, Field(ge=0.05, le=20.0)]
#: More phantoms than this are a list that no machine holds; to draw them would take weeks.
MAX_PHANTOMS: Final = 2_500_000
EvaluationSplit = Literal["test", "valid"]


class Section(BaseModel):
    """A section of the study file: unknown keys are refused, values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, content: Any) -> Any:
        # "saliency:" with every key below it commented out is a section of defaults
        return {} if content is None else content


class Fractions(Section):
    """Share of the slides (patients, where known) per split."""

    train: float = Field(default=0.5, gt=0, lt=1)
    valid: float = Field(default=0.1, ge=0, lt=1)
    test: float = Field(default=0.4, ge=0, lt=1)

    @model_validator(mode="after")
    def _sum(self) -> "Fractions":
        total = sum(getattr(self, split) for split in SPLITS)
        if abs(total - 1.0) > 1e-9:  # noqa: PLR2004  (rounding)
            raise ValueError(f"the fractions add up to {total:g}; expected 1")
        return self


class CohortBase(Section):
    """What every kind of cohort has: these keys, ``kind``, and how it is opened."""

    fractions: Fractions = Fractions()
    folds: int = Field(default=0, ge=0, le=100)
    evaluation_split: EvaluationSplit = "test"
    min_tissue: float = Field(default=0.05, ge=0, le=1)
    min_light: float = Field(default=MIN_LIGHT, ge=0, le=1)
    min_focus: float = Field(default=MIN_FOCUS, ge=0, le=1)
    cache_mb: int = Field(default=1024, ge=0, le=2**20)
    classes: dict[Any, Any] = {}

    @field_validator("folds")
    @classmethod
    def _none_or_several(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one fold would leave nothing to train on; expected 0 (one split), or 2 to 100")
        return value

    @field_validator("classes")
    @classmethod
    def _two_apart(cls, value: dict[Any, Any]) -> dict[Any, Any]:
        try:
            classes = Classes.stated(value)
        except StudyError as error:
            raise ValueError(str(error)) from error
        # a mapping has no order for those who compare two studies
        return value if value.keys() <= set(LABELS) else classes.resolved

    @property
    def two_classes(self) -> Classes:
        """The two classes: their names, and what stands for them in a table and in a network."""
        return Classes.stated(self.classes)

    def open(self, seed: int) -> Cohort:
        """Open the cohort; what it draws at random derives from the study's seed."""
        raise NotImplementedError


class PhantomSection(CohortBase):
    """Synthetic tissue with a planted class signal."""

    kind: Literal["phantom"] = "phantom"
    signal: str = Field(default="cytoplasm", json_schema_extra={"enum": list(SIGNALS)})
    slides: int = Field(default=24, ge=3, le=100_000)
    patches_per_slide: int = Field(default=12, ge=2, le=100_000)
    size_px: int = Field(default=128, ge=32, le=4096)
    mpp: float = Field(default=0.5, ge=0.2, le=2.5)
    strength: float = Field(default=1.0, ge=0, le=1)
    stain_variation: float = Field(default=1.0, ge=0, le=3)
    architecture: str = Field(default="nests", json_schema_extra={"enum": list(ARCHITECTURES)})

    @field_validator("signal", mode="before")
    @classmethod
    def _planted(cls, value: Any) -> Any:
        *names, last = map(repr, SIGNALS)
        if value not in tuple(SIGNALS):
            raise PydanticKnownError("literal_error", {"expected": f"{', '.join(names)} or {last}"})
        return value

    @field_validator("architecture")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ARCHITECTURES:
            raise ValueError(f"found {value!r}, expected one of {', '.join(ARCHITECTURES)}")
        return value

    @model_validator(mode="after")
    def _few_enough(self) -> "PhantomSection":
        total = self.slides * self.patches_per_slide
        if total > MAX_PHANTOMS:
            raise ValueError(
                f"slides times patches_per_slide is {total:,} patches; expected at most {MAX_PHANTOMS:,}: lower either"
            )
        return self

    def open(self, seed: int) -> Cohort:
        """Draw the phantoms; see :class:`CohortBase`."""
        phantom = Phantom(
            signal=self.signal,
            size_px=self.size_px,
            mpp=self.mpp,
            strength=self.strength,
            stain_variation=self.stain_variation,
            architecture=self.architecture,
        )
        return PhantomCohort(phantom, PhantomCohortSize(self.slides, self.patches_per_slide), derive(seed, "phantom"))


class PatchesSection(CohortBase):
    """Patch images listed in a CSV."""

    kind: Literal["patches"]
    table: Path
    root: Path | None = None
    mpp: float | None = Field(default=None, ge=0.05, le=20.0)

    def open(self, seed: int, *, maps: bool = False) -> Cohort:  # noqa: ARG002  (nothing is drawn)
        """Read the list of patches, and the maps that it gives; see :class:`CohortBase`."""
        return PatchFolder(self.table, self.mpp, self.root, self.two_classes, maps=maps)


class SlidesSection(CohortBase):
    """Whole-slide images listed in a CSV."""

    kind: Literal["slides"]
    table: Path
    root: Path | None = None
    size_px: int = Field(default=256, ge=32, le=2048)
    magnifications: list[Magnification] = Field(default=[5.0, 10.0, 20.0, 40.0], min_length=1, max_length=50)
    patches_per_slide: int = Field(default=50, ge=1, le=100_000)
    sampling: Literal["poisson", "grid"] = "poisson"
    spacing_um: float | None = Field(default=None, gt=0, le=100_000)
    min_place_tissue: float = Field(default=0.5, ge=0, le=1)
    central_um: float | None = Field(default=None, gt=0, le=100_000)
    min_tumour: float = Field(default=0.75, gt=0, le=1)
    max_tumour: float = Field(default=0.0, ge=0, lt=1)
    carry: Literal["finest", "native"] = "finest"
    mpp_override: dict[str, PixelSize] = {}
    annotation_groups: dict[Literal["tumour", "exclude", "ignore"], list[Annotated[str, Field(min_length=1)]]] = {}
    annotation_origin: Origin = "auto"
    annotation_without_tumour: WithoutTumour = "exclude"

    @field_validator("magnifications")
    @classmethod
    def _each_once(cls, value: list[float]) -> list[float]:
        return once(value)

    @property
    def tiling(self) -> TilingParameters:
        """Where on a slide patches are taken."""
        return TilingParameters(
            size_px=self.size_px,
            magnifications=tuple(self.magnifications),
            per_slide=self.patches_per_slide,
            min_tissue=self.min_place_tissue,
            central_um=self.central_um,
            min_tumour=self.min_tumour,
            max_tumour=self.max_tumour,
            sampling=self.sampling,
            spacing_um=self.spacing_um,
        )

    def open(self, seed: int) -> Cohort:
        """Look at every slide and choose its patches; see :class:`CohortBase`."""
        groups: dict[str, tuple[str, ...]] = {role: tuple(names) for role, names in self.annotation_groups.items()}
        return SlideCohort(
            self.table,
            self.tiling,
            derive(seed, "tiling"),
            self.mpp_override,
            groups,
            self.annotation_origin,
            self.annotation_without_tumour,
            self.root,
            self.two_classes,
        )


#: Every kind of cohort by its name. To add one, write its section, name it here, and give it a template.
COHORT_KINDS: Final[dict[str, type[CohortBase]]] = {
    "phantom": PhantomSection,
    "patches": PatchesSection,
    "slides": SlidesSection,
}
