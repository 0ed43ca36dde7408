"""The study file: every key, its default, its range. Unknown keys are refused by name."""

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from saliency_stats.errors import StatisticsError, StudyError
from saliency_stats.seeds import derive
from saliency_stats.settings import yaml_text
from saliency_stats.settings.cohort import COHORT_KINDS, PatchesSection, PhantomSection, Section, SlidesSection
from saliency_stats.settings.maps import CausalSection, MultiverseSection, SaliencySection
from saliency_stats.statistics import FAMILIES, StatisticsParameters, check_families
from saliency_stats.statistics.models.checks import MAX_ALPHA
from saliency_stats.statistics.parameters import MIN_DRAWS, MIN_UNITS
from saliency_stats.vocabulary import NUCLEUS_FINDERS


class AugmentationSection(Section):
    """How training patches are varied (``trainable: all`` only)."""

    dihedral: bool = True
    stain: float = Field(default=0.15, ge=0, le=1)


class ClassifierSection(Section):
    """The network and its training."""

    architecture: Literal["densenet121", "densenet169", "densenet201"] = "densenet201"
    weights: str = "none"
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


class CompartmentsSection(Section):
    """Nucleus, cytoplasm, stroma, background."""

    nuclei: str = Field(default="builtin", min_length=1)
    segmentation_mpp: float = Field(default=0.5, ge=0.1, le=2.0)
    cytoplasm_um: float = Field(default=15.0, ge=0.5, le=50.0)
    min_area: float = Field(default=0.02, ge=0, lt=1)
    stain_patches: int = Field(default=64, ge=1)


#: One default in one place: the statistics' own.
_TESTED: Final = StatisticsParameters()


class StatisticsSection(Section):
    """The tests and the decision."""

    unit: Literal["slide", "patient"] = _TESTED.unit
    alpha: float = Field(default=_TESTED.alpha, gt=0, lt=MAX_ALPHA)
    correction: Literal["holm", "bh"] = _TESTED.correction
    primary_test: str = _TESTED.primary_test
    bootstrap_draws: int = Field(default=_TESTED.bootstrap_draws, ge=MIN_DRAWS)
    equivalence_margin: float = Field(default=_TESTED.equivalence_margin, gt=0)
    min_slides: int = Field(default=_TESTED.min_slides, ge=MIN_UNITS)
    assume_independent: bool = _TESTED.assume_independent
    reference_magnification: float = Field(default=_TESTED.reference_magnification, gt=0)
    families: dict[str, list[str]] = Field(default_factory=lambda: {name: list(of) for name, of in FAMILIES.items()})

    @field_validator("families")
    @classmethod
    def _declared(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        try:
            check_families(value)
        except StatisticsError as error:
            raise ValueError(str(error)) from error
        return value


class ReportSection(Section):
    """The report."""

    examples: int = Field(default=3, ge=1, le=20)


class StudySettings(Section):
    """A whole study file."""

    name: str = Field(default="phantom", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    cohort: PhantomSection | PatchesSection | SlidesSection = Field(default=PhantomSection(), discriminator="kind")
    classifier: ClassifierSection = ClassifierSection()
    saliency: SaliencySection = SaliencySection()
    compartments: CompartmentsSection = CompartmentsSection()
    controls: list[str] = Field(default=["randomised", "sobel", "haematoxylin", "eosin", "shift"])
    causal: CausalSection = CausalSection()
    multiverse: MultiverseSection = MultiverseSection()
    statistics: StatisticsSection = StatisticsSection()
    report: ReportSection = ReportSection()

    @model_validator(mode="after")
    def _consistent(self) -> "StudySettings":
        if self.compartments.nuclei == "truth" and self.cohort.kind != "phantom":
            raise ValueError("compartments.nuclei: truth is known for phantoms only; use builtin")
        if self.cohort.evaluation_split == "valid" and self.classifier.stopping == "early":
            raise ValueError(
                "classifier.stopping: early chooses the epoch on the valid split, which cohort.evaluation_split then "
                "judges; use one_cycle, or judge on the test split"
            )
        if len(set(self.controls)) < len(self.controls):
            raise ValueError("controls names a control twice")
        self._check_multiverse()
        return self

    @property
    def statistics_parameters(self) -> StatisticsParameters:
        """How contrasts are tested."""
        return StatisticsParameters(
            **self.statistics.model_dump(),
            min_confidence=self.saliency.min_confidence,
            evaluation_split=self.cohort.evaluation_split,
            seed=derive(self.seed, "statistics"),
        )

    def _check_multiverse(self) -> None:
        if not self.multiverse.enabled:
            return
        if self.compartments.nuclei == "truth":
            raise ValueError("multiverse needs nuclei that are found; set compartments.nuclei to builtin")
        if isinstance(self.cohort, SlidesSection) and self.cohort.carry == "finest":
            raise ValueError("multiverse segments every patch anew; set cohort.carry to native")


#: Values of keys that otherwise hold a path.
_NOT_PATHS: Final = frozenset({"", "imagenet", "none", "truth", *NUCLEUS_FINDERS})
_KINDS: Final = frozenset((1, kind) for kind in COHORT_KINDS)


def load(path: Path | None, assignments: tuple[str, ...] = ()) -> StudySettings:
    """Read a study file (or start from the built-in phantom study) and apply ``section.key=value`` assignments.

    Paths in the file are relative to it; paths in assignments are relative to the working directory.

    Raises
    ------
    StudyError
        Naming the key, what was found and what was expected, with the nearest valid key.
    """
    where = "the built-in study" if path is None else str(path)
    content: dict[str, Any] = {} if path is None else yaml_text.read(path)
    _anchor(content, Path() if path is None else path.parent)
    override: dict[str, Any] = {}
    for assignment in assignments:
        yaml_text.assign(override, assignment)
    _anchor(override, Path())
    _merge(content, override)
    return parse(content, where)


def parse(content: dict[str, Any], where: str) -> StudySettings:
    """Validate the content of a study file."""
    cohort = content.get("cohort")
    if cohort is None or isinstance(cohort, dict):
        # without a kind the built-in phantom is meant
        content = content | {"cohort": {"kind": "phantom"} | (cohort or {})}
        kind = content["cohort"]["kind"]
        if kind not in list(COHORT_KINDS):
            expected = nearest(kind, COHORT_KINDS, f"Expected one of {', '.join(COHORT_KINDS)}.")
            raise StudyError(f"{where}: cohort.kind is {kind!r}. {expected}")
    _refuse_unknown(content, StudySettings, where)
    try:
        return StudySettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        # below "cohort" pydantic names the kind before the key
        steps = [str(step) for at, step in enumerate(first["loc"]) if (at, step) not in _KINDS]
        key = ".".join(steps) or "the study"
        message = first["msg"].removeprefix("Value error, ")
        found = "" if first["type"] in {"missing", "value_error"} else f" (found {first['input']!r})"
        raise StudyError(f"{where}: {key}: {message}{found}") from error


def dump(settings: StudySettings) -> str:
    """Write the resolved study as YAML."""
    return yaml_text.write(settings.model_dump(mode="json"))


def _merge(content: dict[str, Any], override: dict[str, Any]) -> None:
    for key, value in override.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            _merge(content[key], value)
        else:
            content[key] = value


def _anchor(content: dict[str, Any], folder: Path) -> None:
    """Make the paths of a study file independent of the working directory."""
    for section, key in (
        ("cohort", "table"),
        ("cohort", "root"),
        ("classifier", "weights"),
        ("compartments", "nuclei"),
    ):
        part = content.get(section)
        if not isinstance(part, dict):
            continue
        value = part.get(key)
        if isinstance(value, str) and value not in _NOT_PATHS:
            part[key] = str((folder / value).resolve())
    for section, key in (("saliency", "methods"), ("multiverse", "methods"), ("", "controls")):
        part = content.get(section) if section else content
        if isinstance(part, dict) and isinstance(part.get(key), list):
            part[key] = [_beside(name, folder) for name in part[key]]


def _beside(name: Any, folder: Path) -> Any:
    """Say where the file of a user's own class is, if it lies beside the study file."""
    if not isinstance(name, str) or not name.startswith("python:"):
        return name
    module, _, kind = name.removeprefix("python:").rpartition(":")
    file = (folder / (module if module.endswith(".py") else f"{module.replace('.', '/')}.py")).resolve()
    return f"python:{file}:{kind}" if file.is_file() else name


def _refuse_unknown(content: dict[str, Any], model: type[BaseModel], where: str, prefix: str = "") -> None:
    fields = model.model_fields
    for key, value in content.items():
        if key not in fields:
            raise StudyError(f"{where}: unknown key {prefix}{key}. {_hint(str(key), fields, prefix)}")
        nested = _section_of(fields[key].annotation, value)
        if nested is not None and isinstance(value, dict):
            _refuse_unknown(value, nested, where, f"{prefix}{key}.")


def _hint(key: str, fields: Iterable[str], prefix: str) -> str:
    """Name the key that was probably meant: one of the same section, or the same key of another section."""
    if difflib.get_close_matches(key, fields, n=1, cutoff=0.9):
        return nearest(key, fields, "", prefix)
    elsewhere = [name for name in _keys(StudySettings) if name.rpartition(".")[2] == key]
    if f"{prefix}{key}" in elsewhere:
        kind = next(kind for kind, section in COHORT_KINDS.items() if key in section.model_fields)
        return f"It belongs to cohort.kind {kind}: set that kind, or delete the key."
    if elsewhere:
        return f"Did you mean {' or '.join(dict.fromkeys(elsewhere))}?"
    return nearest(key, fields, f"Known keys: {', '.join(fields)}.", prefix)


def nearest(word: object, known: Iterable[str], otherwise: str, prefix: str = "") -> str:
    """Name the known word that was probably meant, or say something else where none is near."""
    near = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f"Did you mean {prefix}{near[0]}?" if near else otherwise


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, entry in model.model_fields.items():
        yield f"{prefix}{name}"
        sections = COHORT_KINDS.values() if name == "cohort" else [_section_of(entry.annotation, None)]
        for section in sections:
            if section is not None:
                yield from _keys(section, f"{prefix}{name}.")


def _section_of(annotation: Any, value: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if annotation == PhantomSection | PatchesSection | SlidesSection and isinstance(value, dict):
        return COHORT_KINDS[value["kind"]]
    return None
