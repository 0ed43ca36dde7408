"""The study file: every key, its default, its range. Unknown keys are refused by name."""

import difflib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from saliency_stats.errors import StudyError
from saliency_stats.vocabulary import SPLITS

EvaluationSplit = Literal["test", "valid"]


class Section(BaseModel):
    """A section of the study file: unknown keys are refused, values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fractions(Section):
    """Share of the slides (patients, where known) per split."""

    train: float = Field(0.5, gt=0, lt=1)
    valid: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.4, ge=0, lt=1)

    @model_validator(mode="after")
    def _sum(self) -> "Fractions":
        total = sum(getattr(self, split) for split in SPLITS)
        if abs(total - 1.0) > 1e-9:  # noqa: PLR2004  (rounding)
            raise ValueError(f"the fractions add up to {total:g}; expected 1")
        return self


class CohortBase(Section):
    """What every kind of cohort has."""

    fractions: Fractions = Fractions()
    evaluation_split: EvaluationSplit = "test"
    min_tissue: float = Field(0.05, ge=0, le=1)
    cache_mb: int = Field(1024, ge=0)


class PhantomSection(CohortBase):
    """Synthetic tissue with a planted class signal."""

    kind: Literal["phantom"] = "phantom"
    signal: Literal["cytoplasm", "nucleus", "stroma", "none"] = "cytoplasm"
    slides: int = 24
    patches_per_slide: int = 20
    size_px: int = Field(128, ge=32, le=4096)
    mpp: float = Field(0.5, ge=0.1, le=4.0)
    strength: float = Field(1.0, ge=0, le=1)
    stain_variation: float = Field(1.0, ge=0)


class PatchesSection(CohortBase):
    """Patch images listed in a CSV."""

    kind: Literal["patches"]
    table: Path
    mpp: float | None = Field(None, gt=0)


class AugmentationSection(Section):
    """How training patches are varied (``trainable: all`` only)."""

    dihedral: bool = True
    stain: float = 0.15


class ClassifierSection(Section):
    """The network and its training."""

    architecture: str = "densenet201"
    weights: str = "none"
    trainable: Literal["all", "head", "none"] = "all"
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    class_weights: Literal["balanced", "none"] = "balanced"
    stopping: Literal["one_cycle", "early"] = "one_cycle"
    patience: int = 3
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    augmentation: AugmentationSection = AugmentationSection()
    min_balanced_accuracy: float = 0.65


class SaliencySection(Section):
    """The map: where the classifier looked."""

    methods: list[Literal["gradient"]] = Field(["gradient"], min_length=1, max_length=1)
    reduction: Literal["l2", "l1", "max"] = "l2"
    target: Literal["correct", "predicted"] = "correct"
    min_confidence: float = Field(0.8, ge=0.5, lt=1)
    batch_size: int = Field(32, ge=1, le=1024)
    keep: bool = False


class CompartmentsSection(Section):
    """Nucleus, cytoplasm, stroma, background."""

    nuclei: Literal["classical", "truth"] = "classical"
    segmentation_mpp: float = 0.5
    cytoplasm_um: float = 5.0
    min_area: float = Field(0.02, ge=0, lt=1)
    stain_patches: int = Field(64, ge=1)


class StatisticsSection(Section):
    """The tests and the decision."""

    unit: Literal["slide", "patient"] = "slide"
    alpha: float = Field(0.05, gt=0, lt=0.5)
    correction: Literal["holm", "bh"] = "holm"
    primary_test: Literal["t_slide_means", "sign_flip"] = "t_slide_means"
    bootstrap_draws: int = Field(9999, ge=2000)
    equivalence_margin: float = Field(0.1, gt=0)
    min_slides: int = Field(3, ge=2)
    assume_independent: bool = False


class ReportSection(Section):
    """The report."""

    examples: int = Field(3, ge=1, le=20)


class StudySettings(Section):
    """A whole study file."""

    name: str = Field("phantom", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(0, ge=0, le=2**32 - 1)
    cohort: PhantomSection | PatchesSection = Field(PhantomSection(), discriminator="kind")
    classifier: ClassifierSection = ClassifierSection()
    saliency: SaliencySection = SaliencySection()
    compartments: CompartmentsSection = CompartmentsSection()
    controls: list[Literal["randomised"]] = ["randomised"]
    statistics: StatisticsSection = StatisticsSection()
    report: ReportSection = ReportSection()

    @model_validator(mode="after")
    def _consistent(self) -> "StudySettings":
        if self.compartments.nuclei == "truth" and self.cohort.kind != "phantom":
            raise ValueError("compartments.nuclei: truth is known for phantoms only; use classical")
        if self.cohort.evaluation_split == "valid" and self.classifier.stopping == "early":
            raise ValueError(
                "classifier.stopping: early chooses the epoch on the valid split, which cohort.evaluation_split then "
                "judges; use one_cycle, or judge on the test split"
            )
        if len(set(self.controls)) < len(self.controls):
            raise ValueError("controls names a control twice")
        return self


def load(path: Path | None, assignments: tuple[str, ...] = ()) -> StudySettings:
    """Read a study file (or start from the built-in phantom study) and apply ``section.key=value`` assignments.

    Paths in the file are relative to it; paths in assignments are relative to the working directory.

    Raises
    ------
    StudyError
        Naming the key, what was found and what was expected, with the nearest valid key.
    """
    where = "the built-in study" if path is None else str(path)
    content: dict[str, Any] = {} if path is None else _read(path)
    _anchor(content, Path() if path is None else path.parent)
    override: dict[str, Any] = {}
    for assignment in assignments:
        _assign(override, assignment)
    _anchor(override, Path())
    _merge(content, override)
    return parse(content, where)


def parse(content: dict[str, Any], where: str) -> StudySettings:
    """Validate the content of a study file."""
    cohort = content.get("cohort")
    if isinstance(cohort, dict):
        # without a kind the built-in phantom is meant
        cohort.setdefault("kind", "phantom")
    _refuse_unknown(content, StudySettings, where)
    try:
        return StudySettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        steps = [str(step) for step in first["loc"] if step not in {"phantom", "patches"}]
        key = ".".join(steps) or "the study"
        message = first["msg"].removeprefix("Value error, ")
        found = "" if first["type"] in {"missing", "value_error"} else f" (found {first['input']!r})"
        raise StudyError(f"{where}: {key}: {message}{found}") from error


def dump(settings: StudySettings) -> str:
    """Write the resolved study as YAML."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"there is no study file {path}; `saliency-stats init DIR` writes one to start from") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise StudyError(f"{path} is not a readable YAML file: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise StudyError(f"{path} holds a {type(content).__name__}; expected sections such as 'cohort:' and 'classifier:'")
    return content


def _assign(content: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    steps = key.strip().split(".")
    if not equals or not all(steps):
        raise StudyError(f"--set {assignment!r}: expected section.key=value, for example cohort.signal=nucleus")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StudyError(f"--set {assignment!r}: the value is not readable ({error})") from error
    # YAML reads a bare `none` as text, but `null` and an empty value as nothing at all
    for step in steps[:-1]:
        content = content.setdefault(step, {})
        if not isinstance(content, dict):
            raise StudyError(f"--set {assignment!r}: {step} is set to a value and a section at once")
    content[steps[-1]] = value


def _merge(content: dict[str, Any], override: dict[str, Any]) -> None:
    for key, value in override.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            _merge(content[key], value)
        else:
            content[key] = value


def _anchor(content: dict[str, Any], folder: Path) -> None:
    """Make the paths of a study file independent of the working directory."""
    for section, key in (("cohort", "table"), ("classifier", "weights")):
        part = content.get(section)
        value = part.get(key) if isinstance(part, dict) else None
        if isinstance(value, str) and value not in {"imagenet", "none", ""}:
            part[key] = str((folder / value).resolve())


def _refuse_unknown(content: dict[str, Any], model: type[BaseModel], where: str, prefix: str = "") -> None:
    fields = model.model_fields
    for key, value in content.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.5)
            hint = f"Did you mean {prefix}{near[0]}?" if near else f"Known keys: {', '.join(fields)}."
            raise StudyError(f"{where}: unknown key {prefix}{key}. {hint}")
        nested = _section_of(fields[key].annotation, value)
        if nested is not None and isinstance(value, dict):
            _refuse_unknown(value, nested, where, f"{prefix}{key}.")


def _section_of(annotation: Any, value: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if annotation == PhantomSection | PatchesSection and isinstance(value, dict):
        return PatchesSection if value.get("kind") == "patches" else PhantomSection
    return None
