"""The study file: what is refused, in which words, and that what passes here passes in every room."""

import re
from pathlib import Path
from typing import NamedTuple, get_args

import annotated_types
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from saliency_stats.attribution.replacement import REPLACEMENTS, USUAL
from saliency_stats.errors import StudyError
from saliency_stats.seeds import derive
from saliency_stats.settings.cohort import COHORT_KINDS
from saliency_stats.settings.faults import keys_of
from saliency_stats.settings.study import (
    ClassifierSection,
    PatchesSection,
    PhantomSection,
    Section,
    StudySettings,
    dump,
    load,
    parse,
)


def study_file(folder, text):
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path, *assignments):
    with pytest.raises(StudyError) as caught:
        load(path, assignments)
    assert caught.value.exit_status == 2
    return str(caught.value)


class Number(NamedTuple):
    """A numeric key of the study file: bounds by the word pydantic has for them, and the kind of cohort it needs."""

    key: str
    bounds: dict[str, float]
    whole: bool
    kind: str
    default: str

    @property
    def range(self):
        """Write the range as mathematicians do: a round bracket leaves its end out."""
        low = next(
            f"{mark}{self.bounds[word]:.10g}" for word, mark in (("ge", "["), ("gt", "(")) if word in self.bounds
        )
        high = [f"{self.bounds[word]:.10g}{mark}" for word, mark in (("le", "]"), ("lt", ")")) if word in self.bounds]
        return f"{low}, {high[0] if high else 'inf)'}"

    @property
    def outside(self):
        """Give the nearest values on the wrong side of each bound."""
        step = {"ge": -1, "le": 1, "gt": 0, "lt": 0}
        return [bound + step[word] * (1 if self.whole else 1e-6) for word, bound in self.bounds.items()]

    @property
    def inside(self):
        """Give the last values on the right side of each bound."""
        step = {"ge": 0, "le": 0, "gt": 1, "lt": -1}
        return [bound + step[word] * (1 if self.whole else 1e-6) for word, bound in self.bounds.items()]

    def load(self, value):
        cohort = () if self.kind == "phantom" else (f"cohort.kind={self.kind}", "cohort.table=a.csv")
        return load(None, (*cohort, f"{self.key}={value:.7f}" if not self.whole else f"{self.key}={value}"))


def numbers(section=StudySettings, prefix="", kind="phantom"):
    for name, entry in section.model_fields.items():
        kinds = dict.fromkeys(get_args(entry.annotation) or (entry.annotation,))  # in one order in every process
        if {int, float} & set(kinds):
            words = [mark for mark in entry.metadata if isinstance(mark, annotated_types.BaseMetadata)]
            bounds = {word: getattr(mark, word) for mark in words for word in BOUNDS if hasattr(mark, word)}
            default = "none" if entry.default is None else f"{entry.default:.10g}"
            yield Number(f"{prefix}{name}", bounds, int in kinds, kind, default)
        for nested in kinds:
            if isinstance(nested, type) and issubclass(nested, Section):
                kinds_of = {section: found for found, section in COHORT_KINDS.items()}
                yield from numbers(nested, f"{prefix}{name}.", kinds_of.get(nested, kind))


BOUNDS = ("ge", "gt", "le", "lt")
NUMBERS = list(numbers())


# --- defaults ---------------------------------------------------------------------------------------


def test_without_a_file_the_built_in_phantom_study_is_meant():
    assert load(None) == StudySettings() == parse({}, "here")
    assert StudySettings().cohort == PhantomSection()


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "cohort:\nclassifier:\n  augmentation:\n", "cohort: {}\n"])
def test_an_empty_file_or_section_holds_the_defaults(tmp_path, text):
    assert load(study_file(tmp_path, text)) == StudySettings()


def test_settings_do_not_change_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        StudySettings().seed = 3
    with pytest.raises(ValueError, match="frozen"):
        StudySettings().cohort.signal = "nucleus"


def test_parsing_leaves_its_argument_alone():
    content = {"cohort": {"signal": "nucleus"}}
    parse(content, "here")
    assert content == {"cohort": {"signal": "nucleus"}}


#: Every number of the study file, written out once more: kind of cohort, key, range, default.
RANGES = """
phantom seed [0, 4294967295] 0
phantom cohort.fractions.train (0, 1) 0.5
phantom cohort.fractions.valid [0, 1) 0.1
phantom cohort.fractions.test [0, 1) 0.4
phantom cohort.min_tissue [0, 1] 0.05
phantom cohort.min_light [0, 1] 0.18
phantom cohort.folds [0, 100] 0
phantom cohort.min_focus [0, 1] 0.28
phantom classifier.preprocess.size_px [8, 4096] none
phantom cohort.cache_mb [0, 1048576] 1024
phantom cohort.slides [3, 100000] 24
phantom cohort.patches_per_slide [2, 100000] 12
phantom cohort.size_px [32, 4096] 128
phantom cohort.mpp [0.2, 2.5] 0.5
phantom cohort.strength [0, 1] 1
phantom cohort.stain_variation [0, 3] 1
slides cohort.fractions.train (0, 1) 0.5
slides cohort.fractions.valid [0, 1) 0.1
slides cohort.fractions.test [0, 1) 0.4
slides cohort.min_tissue [0, 1] 0.05
slides cohort.min_light [0, 1] 0.18
slides cohort.folds [0, 100] 0
slides cohort.min_focus [0, 1] 0.28
slides cohort.cache_mb [0, 1048576] 1024
slides cohort.size_px [32, 2048] 256
slides cohort.patches_per_slide [1, 100000] 50
slides cohort.spacing_um (0, 100000] none
slides cohort.min_place_tissue [0, 1] 0.5
slides cohort.central_um (0, 100000] none
slides cohort.min_tumour (0, 1] 0.75
slides cohort.max_tumour [0, 1) 0
patches cohort.fractions.train (0, 1) 0.5
patches cohort.fractions.valid [0, 1) 0.1
patches cohort.fractions.test [0, 1) 0.4
patches cohort.min_tissue [0, 1] 0.05
patches cohort.min_light [0, 1] 0.18
patches cohort.folds [0, 100] 0
patches cohort.min_focus [0, 1] 0.28
patches cohort.cache_mb [0, 1048576] 1024
patches cohort.mpp [0.05, 20] none
phantom classifier.networks [1, 100] 1
phantom classifier.seed [0, 4294967295] none
phantom classifier.epochs [1, 10000] 12
phantom classifier.batch_size [2, 4096] 32
phantom classifier.learning_rate [1e-07, 1] 0.002
phantom classifier.weight_decay [0, 1] 0.01
phantom classifier.label_smoothing [0, 0.5] 0
phantom classifier.patience [1, 10000] 3
phantom classifier.augmentation.stain [0, 1] 0.15
phantom classifier.min_balanced_accuracy [0.5, 1) 0.65
phantom saliency.min_confidence [0.5, 1) 0.8
phantom saliency.batch_size [1, 1024] 32
phantom compartments.segmentation_mpp [0.1, 2] 0.5
phantom compartments.cytoplasm_um [0.5, 50] 15
phantom compartments.min_area [0, 1) 0.02
phantom compartments.stain_patches [1, 4096] 64
phantom causal.patches_per_class [0, 100000] 4
phantom causal.curve_steps [0, 50] 0
phantom statistics.alpha (0, 0.5) 0.05
phantom statistics.bootstrap_draws [2000, 1000000] 9999
phantom statistics.equivalence_margin (0, 10] 0.1
phantom statistics.min_slides [2, 100000] 3
phantom statistics.reference_magnification (0, 200] 20
phantom report.examples [1, 20] 3
"""


def test_every_number_has_the_range_and_default_of_the_documentation():
    assert {f"{one.kind} {one.key} {one.range} {one.default}" for one in NUMBERS} == set(RANGES.split("\n")[1:-1])


def test_what_else_the_built_in_study_does():
    settings = StudySettings()
    assert (settings.name, settings.controls) == (
        "phantom",
        ["randomised", "sobel", "haematoxylin", "eosin", "shift"],
    )
    assert (settings.saliency.methods, settings.saliency.reduction) == (["gradient"], "l2")
    assert (settings.saliency.more_reductions, settings.saliency.target) == ([], "correct")
    assert settings.causal.replacements == list(USUAL)
    every = load(None, (f"causal.replacements=[{', '.join(REPLACEMENTS)}]",))
    assert every.causal.replacements == list(REPLACEMENTS)
    assert settings.multiverse.methods == ["gradient", "gradient_x_input", "guided_backprop"]
    assert settings.multiverse.reductions == ["l2", "l1", "max"]
    assert (settings.multiverse.segmentations, settings.multiverse.min_confidence) == ([], [0.5, 0.8, 0.9, 0.95])
    assert settings.statistics.unit == "auto"
    assert settings.statistics_parameters("slide").primary_test == "sign_flip"
    assert settings.classifier.augmentation.dihedral
    for off in (settings.saliency.scores, settings.saliency.keep, settings.multiverse.enabled):
        assert not off
    assert not settings.statistics.assume_independent


def test_the_statistics_take_what_other_sections_say():
    found = load(
        None, ("saliency.min_confidence=0.7", "cohort.evaluation_split=valid", "statistics.alpha=0.01", "seed=3")
    ).statistics_parameters("patient")
    assert (found.min_confidence, found.evaluation_split, found.alpha) == (0.7, "valid", 0.01)
    assert found.seed == derive(3, "statistics")


# --- unknown keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cohort: {singal: nucleus}", "unknown key cohort.singal. Did you mean cohort.signal?"),
        ("clasifier: {}", "unknown key clasifier. Did you mean classifier?"),
        (
            "cohort: {fractions: {trian: 0.5}}",
            "unknown key cohort.fractions.trian. Did you mean cohort.fractions.train?",
        ),
        ("classifier: {augmentation: {stains: 1}}", "Did you mean classifier.augmentation.stain?"),
        ("signal: nucleus", "unknown key signal. Did you mean cohort.signal?"),
        ("cohort: {batch_size: 8}", "Did you mean classifier.batch_size or saliency.batch_size?"),
        ("cohort: {table: a.csv}", "unknown key cohort.table. It belongs to cohort.kind patches"),
        ("cohort: {kind: patches, table: a.csv, signal: none}", "It belongs to cohort.kind phantom"),
        ("report: {zzz: 1}", "unknown key report.zzz. Known keys: examples."),
        ("2: 3", "unknown key 2. Known keys: name, seed, cohort,"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(tmp_path, text, message):
    path = study_file(tmp_path, text)
    found = refused(path)
    assert found.startswith(f"{path}: unknown key")
    assert message in found


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("patchs", "Did you mean patches?"),
        ("phantoms", "Did you mean phantom?"),
        ("tiles", "Did you mean slides?"),
        ("xyz", "Expected"),
    ],
)
def test_an_unknown_kind_of_cohort_is_blamed_before_its_keys(tmp_path, kind, hint):
    message = refused(study_file(tmp_path, f"cohort: {{kind: {kind}, table: a.csv}}"))
    assert f"cohort.kind is '{kind}'. {hint}" in message


@pytest.mark.parametrize("key", sorted({key for key in keys_of(StudySettings) if "." in key}))
def test_every_key_with_a_letter_missing_finds_its_way_back(key):
    section, _, name = key.rpartition(".")
    typo = f"{section}.{name[:-1]}" if len(name) > 3 else f"{section}.{name}{name[-1]}"
    name = key.split(".")[1]
    kind = next((kind for kind, part in COHORT_KINDS.items() if name in part.model_fields), "phantom")
    assert f"Did you mean {key}?" in refused(None, f"cohort.kind={kind}", f"{typo}=1")


# --- values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cohort: {signal: cytoplasma}", "cohort.signal: Input should be 'cytoplasm', 'nucleus', 'stroma', 'none', "),
        ("cohort: {signal: cytoplasma}", "(found 'cytoplasma')"),
        (
            "classifier: {architecture: resnet50}",
            "classifier.architecture: there is no 'resnet50'; expected one of densenet121, ",
        ),
        ("classifier: {epochs: many}", "classifier.epochs: Input should be a valid integer"),
        ("classifier: {epochs: 2.5}", "(found 2.5)"),
        ("classifier: 5", "classifier: "),
        ("cohort: [1]", "cohort: "),
        ("controls: randomised", "controls: Input should be a valid list (found 'randomised')"),
        ("controls: [randomised, randomised]", "controls: 'randomised' stands there twice"),
        ("saliency: {methods: []}", "saliency.methods: "),
        ("cohort: {kind: patches}", "cohort.table: Field required"),
        ("cohort: {fractions: {train: 0.6}}", "cohort.fractions: the fractions add up to 1.1; expected 1"),
        ("cohort: {mpp: .nan}", "cohort.mpp: Input should be a finite number (found nan)"),
        ("statistics: {equivalence_margin: .inf}", "Input should be a finite number (found inf)"),
        ("name: ../elsewhere", "name: String should match pattern"),
        ("name: ''", "name: String should match pattern"),
        ("seed: -1", "seed: Input should be greater than or equal to 0 (found -1)"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_found_and_expected(tmp_path, text, message):
    path = study_file(tmp_path, text)
    found = refused(path)
    assert found.startswith(f"{path}: ")
    assert message in found


def test_truth_is_known_for_phantoms_only(tmp_path):
    text = "compartments: {nuclei: truth}\ncohort: {kind: patches, table: a.csv}"
    message = refused(study_file(tmp_path, text))
    assert "compartments.nuclei: truth is known for phantoms only; use builtin" in message
    assert load(None, ("compartments.nuclei=truth",)).compartments.nuclei == "truth"


def test_the_judged_split_does_not_choose_the_epoch():
    judged = "cohort.evaluation_split=valid"
    assert "classifier.stopping: early chooses the epoch" in refused(None, judged, "classifier.stopping=early")
    assert load(None, (judged,)).cohort.evaluation_split == "valid"


def test_every_number_has_a_range():
    assert [number.key for number in NUMBERS if not number.bounds.keys() & {"ge", "gt"}] == []
    assert len(NUMBERS) > 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("saliency: {methods: [gradient, gradient]}", "saliency: saliency.methods names one twice"),
        ("saliency: {reduction: max, more_reductions: [max]}", "saliency: saliency.more_reductions names one twice"),
        ("saliency: {more_reductions: [l1, l1]}", "saliency: saliency.more_reductions names one twice"),
        ("causal: {curve_steps: 1}", "causal.curve_steps: a curve has at least 2 steps, its ends; 0 draws none"),
        ("multiverse: {methods: []}", "multiverse.methods: "),
        ("multiverse: {reductions: []}", "multiverse.reductions: "),
        ("multiverse: {min_confidence: []}", "multiverse.min_confidence: "),
        ("multiverse: {min_confidence: [0.49]}", "Input should be greater than or equal to 0.5 (found 0.49)"),
        ("multiverse: {min_confidence: [1.0]}", "Input should be less than 1 (found 1.0)"),
        (
            "multiverse: {enabled: true}\ncompartments: {nuclei: truth}",
            "multiverse needs nuclei that are found; set compartments.nuclei to builtin",
        ),
        (
            "multiverse: {enabled: true}\ncohort: {kind: slides, table: a.csv}",
            "multiverse segments every patch anew; set cohort.carry to native",
        ),
        ("cohort: {kind: slides, table: a.csv, magnifications: []}", "cohort.magnifications: "),
        ("cohort: {kind: slides, table: a.csv, magnifications: [0]}", "Input should be greater than 0 (found 0)"),
        (
            "compartments: {cells: netwrok}",
            "compartments.cells: found 'netwrok'. Did you mean network?",
        ),
        (
            "compartments: {cells: forest}",
            "compartments.cells: found 'forest'. Expected one of network, rule, distance",
        ),
        (
            "multiverse: {enabled: true, segmentations: [cells-distance]}\ncompartments: {cells: distance}",
            "multiverse.segmentations: cells-distance is the study's own segmentation",
        ),
        (
            "multiverse: {enabled: true, segmentations: [probability-0.1, band1um]}\ncompartments: {nuclei: classical}",
            "probability-0.1 would move the threshold of a nucleus' probability, and compartments.nuclei: classical",
        ),
        (
            "{multiverse: {enabled: true, segmentations: [probability-0.1]}, compartments: {nuclei: 'torchscript:n'}}",
            "multiverse.segmentations: probability-0.1 would move the threshold",
        ),
        ("compartments: {nuclei: ''}", "compartments.nuclei: String should have at least 1 character (found '')"),
        ("statistics: {families: {primary: [guess]}}", "statistics.families: "),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, text, message):
    assert message in refused(study_file(tmp_path, text))


@pytest.mark.parametrize(
    "assignments",
    [
        ("multiverse.enabled=true",),
        ("multiverse.enabled=true", "cohort.kind=slides", "cohort.table=a.csv", "cohort.carry=native"),
        ("multiverse.enabled=true", "cohort.kind=patches", "cohort.table=a.csv"),
        ("compartments.nuclei=truth",),
        # what moves no threshold, every finder allows; and nothing is moved where nothing is crossed
        ("multiverse.enabled=true", "compartments.nuclei=classical", "multiverse.segmentations=[nuclei+1um]"),
        ("compartments.nuclei=classical", "multiverse.segmentations=[probability+0.1]"),
        ("multiverse.enabled=true", "multiverse.segmentations=[probability+0.1]"),
        ("causal.curve_steps=2",),
        ("saliency.reduction=max", "saliency.more_reductions=[l1, l2]"),
        ("multiverse.min_confidence=[0.5]", "multiverse.methods=[gradient]", "multiverse.reductions=[l1]"),
        ("cohort.evaluation_split=valid",),
        ("classifier.stopping=early",),
        ("cohort.kind=slides", "cohort.table=a.csv", "cohort.magnifications=[20]"),
    ],
)
def test_what_fits_together_is_accepted(assignments):
    assert parse(yaml.safe_load(dump(load(None, assignments))), "here") == load(None, assignments)


@pytest.mark.parametrize("off", [1e-8, -1e-8])
def test_fractions_may_be_off_by_rounding_alone(off):
    values = "cohort.fractions={{train: 0.5, valid: 0.1, test: {:.10f}}}"
    assert "expected 1" in refused(None, values.format(0.4 + off))
    assert load(None, (values.format(0.4 + off / 100),)).cohort.fractions.test == pytest.approx(0.4)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: f"{number.kind}-{number.key}")
def test_numbers_outside_their_range_are_refused(number):
    for value in number.outside:
        with pytest.raises(StudyError, match=rf"{re.escape(number.key)}: Input should be (greater|less) than .*found"):
            number.load(value)


def test_what_the_study_file_accepts_every_room_accepts():
    """Ranges are checked where the study file is read, long before the room that uses the value is entered."""
    from saliency_stats.cohort import Phantom, PhantomCohortSize  # noqa: PLC0415
    from saliency_stats.study import parameters  # noqa: PLC0415  (torch)

    # fractions depend on each other; a large patch is allowed at some pixel sizes only
    alone = [number for number in NUMBERS if "fractions" not in number.key and number.kind == "phantom"]
    for settings in [number.load(value) for number in alone for value in number.inside]:
        parameters.recipe_of(settings, 20.0)
        parameters.measurement_parameters(settings)
        parameters.evaluation_of(settings, "slide")
        assert settings.statistics_parameters("slide").alpha
        section = settings.cohort
        PhantomCohortSize(section.slides, section.patches_per_slide)
        Phantom(section.signal, section.size_px, section.mpp, section.strength, section.stain_variation)


def test_the_defaults_are_those_of_the_rooms():
    from saliency_stats.classifier.augmentation import Augmentation  # noqa: PLC0415
    from saliency_stats.classifier.training import TrainingParameters  # noqa: PLC0415
    from saliency_stats.cohort import Phantom, PhantomCohortSize  # noqa: PLC0415
    from saliency_stats.compartments import CompartmentParameters  # noqa: PLC0415
    from saliency_stats.study import parameters  # noqa: PLC0415  (torch)

    settings = StudySettings()
    recipe = parameters.recipe_of(settings, 20.0)
    assert recipe.training == TrainingParameters()
    assert recipe.augmentation == Augmentation()
    assert parameters.measurement_parameters(settings)["compartments"] == CompartmentParameters()
    section = settings.cohort
    assert PhantomCohortSize(section.slides, section.patches_per_slide) == PhantomCohortSize()
    given_phantom = Phantom(section.signal, section.size_px, section.mpp, section.strength, section.stain_variation)
    assert given_phantom == Phantom()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("seed: yes", "seed: Input should be a valid integer (found 'yes')"),
        ("seed: 0123", "(found '0123')"),
        ("seed: 1:30", "(found '1:30')"),
        ("seed: 1_000", "(found '1_000')"),
        ("seed: true", "(found True)"),
        ("seed: '3'", "(found '3')"),
        ("cohort: {mpp: on}", "cohort.mpp: Input should be a valid number (found 'on')"),
        ("saliency: {scores: 1}", "saliency.scores: Input should be a valid boolean, true or false (found 1)"),
        ("multiverse: {min_confidence: [0.5, yes]}", "multiverse.min_confidence: 1: Input should be a valid number"),
        ("statistics: {bootstrap_draws: 1e12}", "less than or equal to 1000000 (found 1000000000000.0)"),
        ("statistics: {bootstrap_draws: 1e400}", "finite number (found inf)"),
        ("name: " + "a" * 101, "name: String should have at most 100 characters"),
        ("classifier: {weights: ''}", "classifier.weights: String should have at least 1 character"),
        ("cohort: {kind: patches, table: ''}", "cohort.table: is empty; expected the path of a file"),
        ("multiverse: {methods: [a, a]}", "multiverse.methods: 'a' stands there twice"),
        ("multiverse: {reductions: [a, a]}", "multiverse.reductions: 'a' stands there twice"),
        ("multiverse: {segmentations: [a, a]}", "multiverse.segmentations: 'a' stands there twice"),
        ("multiverse: {min_confidence: [0.5, 0.5]}", "multiverse.min_confidence: 0.5 stands there twice"),
        ("causal: {replacements: [blur, blur]}", "causal.replacements: 'blur' stands there twice"),
        ("cohort: {kind: slides, table: a, magnifications: [10, 10.0]}", "cohort.magnifications: 10.0 stands there"),
        ("classifier: {weights: imagenet, trainable: none}", "needs weights with two classes (found 1000"),
    ],
)
def test_what_was_typed_is_taken_or_refused(tmp_path, text, found):
    assert found in refused(study_file(tmp_path, text))


@pytest.mark.parametrize(
    "key", ["saliency.methods", "saliency.more_reductions", "controls", "multiverse.segmentations"]
)
def test_lists_of_names_have_an_end(key):
    names = [f"n{number}" for number in range(101)]
    assert f"{key}: List should have at most 100 items" in refused(None, f"{key}=[{', '.join(names)}]")
    load(None, (f"{key}=[{', '.join(names[:100])}]",))


def test_what_was_typed_stays_what_it_is():
    settings = load(None, ("seed=1e3", "name=yes", "saliency.scores=yes", "saliency.keep=OFF", "name=2026-02-31"))
    assert (settings.seed, settings.name) == (1000, "2026-02-31")
    assert settings.saliency.scores
    assert not settings.saliency.keep


def test_phantoms_are_counted_before_they_are_drawn():
    message = refused(None, "cohort.slides=100000", "cohort.patches_per_slide=26")
    assert "cohort: slides times patches_per_slide is 2,600,000 patches; expected at most 2,500,000" in message
    assert load(None, ("cohort.slides=100000", "cohort.patches_per_slide=25")).cohort.slides == 100_000


@pytest.mark.parametrize("section", ["classifier", "saliency"])
def test_the_pixels_of_a_batch_are_counted_before_they_are_taken(section):
    other = {"classifier": "saliency", "saliency": "classifier"}[section]
    size = ("cohort.size_px=4096", f"{other}.batch_size=2")
    message = refused(None, *size, f"{section}.batch_size=33")
    assert f"{section}.batch_size times cohort.size_px squared is 553,648,128 pixels in a batch" in message
    assert "at this size, a batch of at most 32" in message
    assert load(None, (*size, f"{section}.batch_size=32")).cohort.size_px == 4096
    slides = ("cohort.kind=slides", "cohort.table=a.csv", "cohort.size_px=2048")
    assert f"{section}.batch_size times" in refused(None, *slides, f"{section}.batch_size=129")
    load(None, (*slides, f"{section}.batch_size=128"))
    load(None, ("cohort.kind=patches", "cohort.table=a.csv", f"{section}.batch_size=1024"))


# --- --set ------------------------------------------------------------------------------------------


def test_assignments_override_the_file_and_keep_the_rest(tmp_path):
    path = study_file(tmp_path, "seed: 4\ncohort: {signal: nucleus, slides: 12}\nclassifier: {epochs: 2}\n")
    settings = load(path, ("cohort.signal=stroma", "classifier.augmentation.stain=0", "seed=5", "controls=[]"))
    assert (settings.seed, settings.controls) == (5, [])
    assert (settings.cohort.signal, settings.cohort.slides) == ("stroma", 12)
    assert (settings.classifier.epochs, settings.classifier.augmentation.stain) == (2, 0.0)
    assert settings.classifier.augmentation.dihedral


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("0.0001", 1e-4), (" 0.0001 ", 1e-4)],
)
def test_numbers_may_be_written_in_any_way(text, value):
    assert load(None, (f"classifier.learning_rate={text}",)).classifier.learning_rate == value


def test_none_is_a_word():
    assert load(None, ("cohort.signal=none", "classifier.weights=none")).cohort.signal == "none"


def test_the_last_assignment_counts():
    assert load(None, ("seed=1", "seed=2")).seed == 2


# --- paths ------------------------------------------------------------------------------------------


def test_paths_in_the_file_are_relative_to_it_and_those_of_assignments_to_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = "cohort: {kind: patches, table: ../data/a.csv}\nclassifier: {weights: w.safetensors}\n"
    path = Path("../study/study.yaml")
    study_file(tmp_path / "study", text)
    read = load(path)
    assert read.cohort.table == tmp_path / "data" / "a.csv"
    assert read.classifier.weights == str(tmp_path / "study" / "w.safetensors")
    assigned = load(path, ("cohort.table=b.csv", "classifier.weights=v.pt"))
    assert assigned.cohort.table == tmp_path / "here" / "b.csv"
    assert assigned.classifier.weights == str(tmp_path / "here" / "v.pt")


def test_a_users_own_class_lies_beside_the_file_or_on_pythons_path(tmp_path):
    (tmp_path / "lib").mkdir()
    for name in ("mine.py", "lib/more.py"):
        (tmp_path / name).touch()
    study = study_file(
        tmp_path,
        "saliency: {methods: [gradient, 'python:mine:A', 'python:lib.more:B']}\n"
        "multiverse: {methods: ['python:mine.py:A', 'python:lib/more.py:B']}\n"
        "controls: [sobel, 'python:absent:C', 'python:absent.py:C', 'python:mine:A']\n",
    )
    found = load(study)
    mine, more = f"python:{tmp_path / 'mine.py'}:A", f"python:{tmp_path / 'lib' / 'more.py'}:B"
    assert found.saliency.methods == ["gradient", mine, more]
    assert found.multiverse.methods == [mine, more]
    assert found.controls == ["sobel", "python:absent:C", "python:absent.py:C", mine]


@pytest.mark.parametrize("word", ["builtin", "classical", "2D_versatile_he", "truth"])
def test_words_for_nuclei_are_no_paths(tmp_path, word):
    assert load(study_file(tmp_path, f"compartments: {{nuclei: {word}}}")).compartments.nuclei == word


def test_a_model_of_nuclei_is_a_path(tmp_path):
    found = load(study_file(tmp_path, "compartments: {nuclei: model}")).compartments.nuclei
    assert found == str(tmp_path / "model")


def test_a_torchscript_file_is_a_path_behind_its_word_and_before_its_scale(tmp_path):
    for name, path in (("m.pt", "m.pt"), ("a/../m.pt@0.25", "m.pt@0.25"), (f"{tmp_path}/b/m.pt", "b/m.pt")):
        study = study_file(tmp_path, f"compartments: {{nuclei: 'torchscript:{name}'}}")
        assert load(study).compartments.nuclei == f"torchscript:{tmp_path / path}"
    # of no other key
    study = study_file(tmp_path, "classifier: {weights: 'torchscript:m.pt', trainable: none}")
    assert load(study).classifier.weights == str(tmp_path / "torchscript:m.pt")


@pytest.mark.parametrize("word", ["imagenet", "none"])
def test_words_for_weights_are_no_paths(tmp_path, word):
    assert load(study_file(tmp_path, f"classifier: {{weights: {word}}}")).classifier.weights == word


def test_an_absolute_path_stays(tmp_path):
    text = f"cohort: {{kind: patches, table: {tmp_path / 'a.csv'}}}"
    assert load(study_file(tmp_path, text)).cohort.table == tmp_path / "a.csv"


# --- the way back -----------------------------------------------------------------------------------


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    st.builds(
        StudySettings,
        name=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,9}\Z"),
        seed=st.integers(0, 2**32 - 1),
        cohort=st.one_of(
            st.builds(PhantomSection, slides=st.integers(3, 99), strength=st.floats(0, 1)),
            st.builds(
                PatchesSection, kind=st.just("patches"), table=st.just(Path("/data/a.csv")), mpp=st.floats(0.05, 20)
            ),
        ),
        classifier=st.builds(ClassifierSection, learning_rate=st.floats(1e-7, 1), label_smoothing=st.floats(0, 0.5)),
        controls=st.sampled_from([[], ["randomised"]]),
    )
)
def test_what_is_dumped_is_read_as_the_same_study(tmp_path_factory, settings):
    path = study_file(tmp_path_factory.getbasetemp(), dump(settings))
    assert load(path) == settings


def test_the_kinds_of_cohort_are_those_of_the_settings():
    assert set(COHORT_KINDS.values()) == set(get_args(StudySettings.model_fields["cohort"].annotation))
    assert all(section.model_fields["kind"].annotation is not None for section in COHORT_KINDS.values())
    assert all(get_args(section.model_fields["kind"].annotation) == (kind,) for kind, section in COHORT_KINDS.items())


@pytest.mark.parametrize(
    ("assignments", "messages"),
    [
        (["cohort.folds=1"], ["cohort.folds: one fold would leave nothing to train on; expected 0 (one split), or 2"]),
        (["cohort.folds=101"], ["cohort.folds"]),
        (["classifier.networks=0"], ["classifier.networks"]),
        (
            ["cohort.folds=3", "cohort.evaluation_split=valid"],
            ["cohort.folds judges every patch by networks that never saw it", "set cohort.evaluation_split to test"],
        ),
        (
            ["classifier.trainable=none", "classifier.networks=2"],
            ["all networks would be the same one (found classifier.networks: 2, cohort.folds: 0)"],
        ),
        (["classifier.trainable=none", "cohort.folds=2"], ["(found classifier.networks: 1, cohort.folds: 2)"]),
        (
            ["classifier.trainable=none", "cohort.folds=2", "cohort.evaluation_split=valid"],
            ["cohort.folds judges every patch", "all networks would be the same one"],
        ),
    ],
)
def test_networks_and_folds_that_could_not_be_are_refused(assignments, messages):
    with pytest.raises(StudyError) as caught:
        load(None, tuple(assignments))
    for message in messages:
        assert message in str(caught.value)


def test_networks_and_folds_that_can_be():
    for assignments in (
        ["cohort.folds=2"],
        ["cohort.folds=100", "classifier.networks=100"],
        ["classifier.networks=2", "classifier.trainable=head"],
        ["classifier.trainable=none"],
        ["cohort.evaluation_split=valid", "classifier.networks=2"],
    ):
        load(None, tuple(assignments))


def test_networks_have_the_seed_of_the_study_or_their_own():
    assert load(None, ("seed=5",)).network_seed == 5
    assert load(None, ("seed=5", "classifier.seed=0")).network_seed == 0
    assert load(None, ("seed=5", "classifier.seed=9")).seed == 5
