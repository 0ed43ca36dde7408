"""The study file: every key, its default, its range. Unknown keys are refused by name."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd
from pydantic import Field, ValidationError, field_validator, model_validator

from saliency_stats.compartments.variants import impossible
from saliency_stats.errors import StatisticsError, StudyError, listed, shortened, shown
from saliency_stats.seeds import derive
from saliency_stats.settings import yaml_text
from saliency_stats.settings.classifier import ClassifierSection
from saliency_stats.settings.cohort import COHORT_KINDS, PatchesSection, PhantomSection, Section, SlidesSection
from saliency_stats.settings.faults import Assigned, Fault, is_section, known_part, nearest, said, value_faults
from saliency_stats.settings.maps import MAX_NAMES, CausalSection, MultiverseSection, SaliencySection
from saliency_stats.settings.paths import anchored
from saliency_stats.settings.typed import once
from saliency_stats.statistics import FAMILIES, StatisticsParameters, check_families, unit_of
from saliency_stats.statistics.models.checks import MAX_ALPHA
from saliency_stats.statistics.parameters import HYPOTHESES, MIN_DRAWS, MIN_UNITS
from saliency_stats.vocabulary import CELLS, USUAL_CELLS

#: The images alone of a larger batch take more than 6 GB, and what a network keeps of them several hundred times that.
MAX_BATCH_PX: Final = 2**29


class CompartmentsSection(Section):
    """Nucleus, cytoplasm, stroma, background."""

    nuclei: str = Field(default="builtin", min_length=1)
    cells: str = USUAL_CELLS
    segmentation_mpp: float = Field(default=0.5, ge=0.1, le=2.0)
    cytoplasm_um: float = Field(default=15.0, ge=0.5, le=50.0)
    min_area: float = Field(default=0.02, ge=0, lt=1)
    stain_patches: int = Field(default=64, ge=1, le=4096)

    @field_validator("cells")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in CELLS:
            raise ValueError(f"found {shown(value)}. {nearest(value, CELLS, 'Expected one of ' + ', '.join(CELLS))}")
        return value


#: One default in one place: the statistics' own.
_TESTED: Final = StatisticsParameters()


class StatisticsSection(Section):
    """The tests and the decision."""

    unit: Literal["auto", "slide", "patient"] = "auto"
    alpha: float = Field(default=_TESTED.alpha, gt=0, lt=MAX_ALPHA)
    correction: Literal["holm", "bh"] = _TESTED.correction
    primary_test: str = _TESTED.primary_test
    bootstrap_draws: int = Field(default=_TESTED.bootstrap_draws, ge=MIN_DRAWS, le=1_000_000)
    equivalence_margin: float = Field(default=_TESTED.equivalence_margin, gt=0, le=10)
    min_slides: int = Field(default=_TESTED.min_slides, ge=MIN_UNITS, le=100_000)
    assume_independent: bool = _TESTED.assume_independent
    reference_magnification: float = Field(default=_TESTED.reference_magnification, gt=0, le=200)
    families: dict[str, list[str]] = Field(default_factory=lambda: {name: list(of) for name, of in FAMILIES.items()})

    @field_validator("families")
    @classmethod
    def _declared(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        unknown = (
            f"{shortened(family, 60)}: there is no contrast {shown(name)}. "
            f"{nearest(name, HYPOTHESES, 'Expected one of ' + ', '.join(HYPOTHESES))}"
            for family, members in value.items()
            for name in members
            if name not in HYPOTHESES
        )
        if some := list(islice(unknown, 10)):
            raise ValueError("; ".join(some))
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

    name: str = Field(default="phantom", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    cohort: PhantomSection | PatchesSection | SlidesSection = Field(default=PhantomSection(), discriminator="kind")
    classifier: ClassifierSection = ClassifierSection()
    saliency: SaliencySection = SaliencySection()
    compartments: CompartmentsSection = CompartmentsSection()
    controls: list[str] = Field(default=["randomised", "sobel", "haematoxylin", "eosin", "shift"], max_length=MAX_NAMES)
    causal: CausalSection = CausalSection()
    multiverse: MultiverseSection = MultiverseSection()
    statistics: StatisticsSection = StatisticsSection()
    report: ReportSection = ReportSection()

    @field_validator("controls")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        return once(value)

    @model_validator(mode="after")
    def _consistent(self) -> "StudySettings":
        faults = [*self._of_nuclei(), *self._of_the_classifier(), *self._of_batches()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def network_seed(self) -> int:
        """The seed from which networks derive theirs; the cohort's is :attr:`seed`."""
        return self.seed if self.classifier.seed is None else self.classifier.seed

    def unit_in(self, patches: pd.DataFrame) -> Literal["slide", "patient"]:
        """Name the unit of inference in a cohort of these patches, the study's own or what ``auto`` stands for."""
        wanted = self.statistics.unit
        return unit_of(patches, self.cohort.evaluation_split) if wanted == "auto" else wanted

    def statistics_parameters(self, unit: Literal["slide", "patient"]) -> StatisticsParameters:
        """Say how contrasts are tested over this unit, see :meth:`unit_in`."""
        return StatisticsParameters(
            **self.statistics.model_dump() | {"unit": unit},
            classes=self.cohort.two_classes,
            min_confidence=self.saliency.min_confidence,
            evaluation_split=self.cohort.evaluation_split,
            seed=derive(self.seed, "statistics"),
        )

    def _of_nuclei(self) -> list[str]:
        faults, truth = [], self.compartments.nuclei == "truth"
        if truth and self.cohort.kind != "phantom":
            faults.append("compartments.nuclei: truth is known for phantoms only; use builtin")
        if self.multiverse.enabled and truth:
            faults.append("multiverse needs nuclei that are found; set compartments.nuclei to builtin")
        own = f"cells-{self.compartments.cells}"
        if self.multiverse.enabled and own in self.multiverse.segmentations:
            faults.append(
                f"multiverse.segmentations: {own} is the study's own segmentation (compartments.cells), which is always"
                " there as usual; leave it out"
            )
        moved = [name for name in impossible(self.compartments.nuclei) if name in self.multiverse.segmentations]
        if self.multiverse.enabled and moved:
            faults.append(
                f"multiverse.segmentations: {', '.join(moved)} would move the threshold of a nucleus' probability, and "
                f"compartments.nuclei: {self.compartments.nuclei} gives none; leave it out, or find nuclei with a "
                "StarDist model (builtin)"
            )
        if self.multiverse.enabled and isinstance(self.cohort, SlidesSection) and self.cohort.carry == "finest":
            faults.append("multiverse segments every patch anew; set cohort.carry to native")
        return faults

    def _of_the_classifier(self) -> list[str]:
        faults = []
        if self.cohort.evaluation_split == "valid" and self.classifier.stopping == "early":
            faults.append(
                "classifier.stopping: early chooses the epoch on the valid split, which cohort.evaluation_split then "
                "judges; use one_cycle, or judge on the test split"
            )
        if self.cohort.evaluation_split == "valid" and self.cohort.folds:
            faults.append(
                "cohort.folds judges every patch by networks that never saw it, in the test split of its fold (found "
                "cohort.evaluation_split: valid); set cohort.evaluation_split to test, or cohort.folds to 0"
            )
        if self.classifier.trainable == "none" and (self.classifier.networks > 1 or self.cohort.folds):
            faults.append(
                "classifier.trainable: none trains nothing, so that all networks would be the same one (found "
                f"classifier.networks: {self.classifier.networks}, cohort.folds: {self.cohort.folds}); use head or "
                "all, or one network and no folds"
            )
        if self.classifier.weights == "imagenet" and self.classifier.trainable == "none":
            faults.append(
                "classifier.trainable: none needs weights with two classes (found 1000, those of imagenet); use head "
                "or all, or set classifier.weights to a file with your two classes"
            )
        return faults

    def _of_batches(self) -> list[str]:
        if isinstance(self.cohort, PatchesSection):
            return []  # how large they are, their files say
        pixels = self.cohort.size_px**2
        return [
            f"{section}.batch_size times cohort.size_px squared is {size * pixels:,} pixels in a batch; expected at "
            f"most {MAX_BATCH_PX:,}: at this size, a batch of at most {MAX_BATCH_PX // pixels}"
            for section, size in (
                ("classifier", self.classifier.batch_size),
                ("saliency", self.saliency.batch_size),
            )
            if size * pixels > MAX_BATCH_PX
        ]


def load(path: Path | None, assignments: tuple[str, ...] = ()) -> StudySettings:
    """Read a study file (or start from the built-in phantom study) and apply ``section.key=value`` assignments.

    Paths in the file are relative to it; paths in assignments are relative to the working directory.

    Raises
    ------
    StudyError
        All that is wrong, each fault with its key or assignment, what was found and what was expected.
    """
    where = "the built-in study" if path is None else shortened(str(path))
    content: dict[str, Any] = {} if path is None else yaml_text.read(path)
    faults = anchored(content, Path() if path is None else path.parent)
    override, assigned = _assigned(assignments)
    faults = [*faults, *anchored(override, Path())]
    _merge(content, override)
    return _checked(content, where, assigned, faults)


def parse(content: dict[str, Any], where: str, folder: Path | None = None) -> StudySettings:
    """Validate the content of a study file.

    Paths in it are relative to ``folder``; without one they stay as they are.

    Raises
    ------
    StudyError
        All that is wrong.
    """
    return _checked(content, where, {}, [] if folder is None else anchored(content, folder))


def dump(settings: StudySettings) -> str:
    """Write the resolved study as YAML."""
    return yaml_text.write(settings.model_dump(mode="json"))


def _checked(content: dict[str, Any], where: str, assigned: Assigned, before: list[Fault]) -> StudySettings:
    faults = [*before]
    cohort = content.get("cohort")
    if cohort is None or isinstance(cohort, dict):
        # without a kind the built-in phantom is meant
        content = content | {"cohort": {"kind": "phantom"} | (cohort or {})}
        kind = content["cohort"]["kind"]
        if kind not in list(COHORT_KINDS):
            expected = nearest(kind, COHORT_KINDS, f"Expected one of {', '.join(COHORT_KINDS)}.")
            faults.append(Fault(("cohort", "kind"), f"cohort.kind is {shown(kind)}. {expected}"))
            # which keys it may have, its kind would say
            content = {key: value for key, value in content.items() if key != "cohort"}
    content, unknown = known_part(content, StudySettings)
    faults += unknown
    settings = None
    try:
        settings = StudySettings.model_validate(content)
    except ValidationError as error:
        faults += value_faults(error, faults)
    if faults or settings is None:
        raise StudyError(said(faults, where, assigned))
    return settings


def _assigned(assignments: tuple[str, ...]) -> tuple[dict[str, Any], Assigned]:
    """Put assignments together; the second result says which assignment gave a key its value."""
    override: dict[str, Any] = {}
    assigned: dict[tuple[str, ...], str] = {}
    wrong = []
    for assignment in assignments:
        try:
            steps, value = yaml_text.assign({}, assignment)
            if is_section(StudySettings, steps) and not isinstance(value, dict):
                key = ".".join(steps)
                raise StudyError(
                    f"--set {shown(assignment)}: {key} is a section (found {shown(value)}); expected one of its keys, "
                    f"as in --set {key}.KEY=VALUE"
                )
            yaml_text.assign(override, assignment)
        except StudyError as error:
            wrong.append(str(error))
            continue
        assigned |= dict.fromkeys(_leaves(tuple(steps), value), assignment)
    if wrong:
        raise StudyError(listed(wrong))
    return override, assigned


def _leaves(steps: tuple[str, ...], value: Any) -> list[tuple[str, ...]]:
    if not isinstance(value, Mapping) or not value:
        return [steps]
    return [leaf for key, one in value.items() for leaf in _leaves((*steps, str(key)), one)]


def _merge(content: dict[str, Any], override: dict[str, Any]) -> None:
    for key, value in override.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            _merge(content[key], value)
        else:
            content[key] = value
