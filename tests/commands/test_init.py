"""Study files to start from: complete, commented, and what `run` would do without them."""

import pandas as pd
import pytest
import yaml

from saliency_stats import settings as study_file
from saliency_stats.cohort import PatchFolder
from saliency_stats.cohort.phantom.architecture import ARCHITECTURES as TISSUE_ARCHITECTURES
from saliency_stats.cohort.phantom.signals import SIGNALS, Signal
from saliency_stats.commands.init import study_text, write_template
from saliency_stats.errors import StorageError, StudyError
from saliency_stats.saliency import METHODS
from saliency_stats.saliency.baselines import BASELINES
from saliency_stats.saliency.methods import cost_of
from saliency_stats.settings.cohort import PatchesSection, PhantomSection, SlidesSection
from saliency_stats.settings.study import StudySettings
from saliency_stats.statistics import primary_tests
from saliency_stats.vocabulary import ARCHITECTURES

KINDS = {"phantom": PhantomSection, "patches": PatchesSection, "slides": SlidesSection}
#: What the template for patches sets on purpose: a pretrained network, of which only the head is trained, gently.
DELIBERATE = {
    "phantom": {},
    "patches": {
        "name": "patches",
        "cohort.table": "patches.csv",
        "classifier.weights": "imagenet",
        "classifier.trainable": "head",
        "classifier.epochs": 30,
        "classifier.learning_rate": 0.001,
    },
}
DELIBERATE["slides"] = DELIBERATE["patches"] | {"name": "slides", "cohort.table": "slides.csv"}


def flat(content, prefix=""):
    found = {}
    for key, value in content.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def template(kind):
    return study_text(kind)


def defaults(kind):
    cohort = {} if kind == "phantom" else {"cohort": KINDS[kind](kind=kind, table=f"{kind}.csv")}
    return flat(StudySettings(**cohort).model_dump(mode="json"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_the_settings_is_there_with_its_default(kind):
    assert flat(yaml.safe_load(template(kind))) == defaults(kind) | DELIBERATE[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_set_on_purpose_is_no_default(kind):
    assert all(defaults(kind)[key] != value for key, value in DELIBERATE[kind].items() if key != "cohort.table")


@pytest.mark.parametrize("kind", KINDS)
def test_every_choice_a_key_has_is_named_in_its_comment(kind):
    """A word the study file accepts must be found where somebody looks for it."""
    lines = template(kind).splitlines()
    schema = StudySettings.model_json_schema()
    referred = [entry["$ref"].rpartition("/")[2] for entry in schema["properties"].values() if "$ref" in entry]
    sections = [schema["$defs"][name] for name in referred] + [KINDS[kind].model_json_schema()]
    checked = 0
    for section in sections:
        for key, entry in section["properties"].items():
            # two sections may have a key of the same name
            comment = " ".join(
                " ".join([line, *(more for more in lines[start + 1 : start + 3] if more.strip()[0:1] == "#")])
                for start, line in enumerate(lines)
                if line.strip().startswith(f"{key}:")
            )
            # that of a classifier may also be another name, that of a phantom may not
            named = ARCHITECTURES if key == "architecture" and "enum" not in entry else ()
            for word in entry.get("enum", named):
                # the truth is known for phantoms only
                if (kind, word) != ("patches", "truth"):
                    assert word in comment, f"{key}: {word} is not in {comment!r}"
                    checked += 1
    assert checked > 20


@pytest.mark.parametrize("kind", KINDS)
def test_most_keys_are_explained(kind):
    keys = [line for line in template(kind).splitlines() if ":" in line and not line.lstrip().startswith("#")]
    sections = [line for line in keys if line.endswith(":")]
    explained = [line for line in keys if "#" in line]
    assert len(explained) + len(sections) > 0.75 * len(keys)
    assert all(len(line) <= 120 for line in template(kind).splitlines())


@pytest.mark.parametrize("kind", KINDS)
def test_the_choices_are_those_of_the_registries(kind, monkeypatch):
    text = " ".join(line.strip().lstrip("# ") for line in template(kind).splitlines())
    listed = " | ".join(f"{name} ({cost_of(method):g})" for name, method in METHODS.items() if "@" not in name)
    assert f"{listed}; in brackets its time for a patch, in gradients" in text
    assert f"start from: {' | '.join(BASELINES)} (glass, or of the patch)" in text
    assert "# of the colour channels: l2 | l1 | max" in text
    assert "randomised: the same architecture with random weights; cascading: " in text
    assert "sobel, haematoxylin, eosin: edges or stain, without any network; shift: " in text
    decides = "the test that decides the verdict"
    assert f"# {' | '.join(primary_tests())}: {decides}" in text
    signals = (
        "# cytoplasm | nucleus | stroma | none | redundant | xor | suppressor | background where the classes differ; "
    )
    assert (f"{signals}none: nothing; redundant: nucleus and " in text) == (kind == "phantom")
    monkeypatch.setitem(SIGNALS, "mine", Signal("mine", "new", SIGNALS["none"].plant))
    assert ("; mine: new" in template(kind)) == (kind == "phantom")
    monkeypatch.setitem(TISSUE_ARCHITECTURES, "woven", TISSUE_ARCHITECTURES["nests"])
    assert ("| woven: how the tissue is built" in template(kind)) == (kind == "phantom")
    monkeypatch.setitem(METHODS, "mine", METHODS["gradient"])
    assert " | mine (1);" in template(kind)
    monkeypatch.setattr("saliency_stats.commands.init.FAMILIES", {"mine": ("a", "b")})
    assert template(kind).partition("families:")[2].splitlines()[1:4] == ["    mine: [a, b]", "", "report:"]


def test_the_phantom_template_is_the_built_in_study(tmp_path):
    write_template(tmp_path, "phantom")
    assert study_file.load(tmp_path / "study.yaml") == StudySettings()


def test_the_template_for_patches_finds_its_table(tmp_path, monkeypatch):
    write_template(tmp_path / "study", "patches")
    monkeypatch.chdir("/")
    settings = study_file.load(tmp_path / "study" / "study.yaml")
    assert settings.cohort.table == tmp_path / "study" / "patches.csv"
    table = PatchFolder(settings.cohort.table, settings.cohort.mpp).table
    assert set(table["label"]) == {"benign", "malignant"}
    assert (table["slide_id"] != "").all()
    columns = pd.read_csv(settings.cohort.table).columns.tolist()
    assert columns == ["path", "label", "split", "slide_id", "patient_id", "mpp"]


@pytest.mark.parametrize(("kind", "names"), [("phantom", ["study.yaml"]), ("patches", ["patches.csv", "study.yaml"])])
def test_what_is_written_is_said(tmp_path, kind, names):
    folder = tmp_path / "new" / "study"
    assert sorted(write_template(folder, kind)) == sorted(folder.iterdir()) == [folder / name for name in names]


@pytest.mark.parametrize("existing", ["study.yaml", "patches.csv"])
def test_nothing_is_overwritten_and_nothing_half_written(tmp_path, existing):
    (tmp_path / existing).write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match=f"{existing} exists already and is not overwritten; choose another folder"):
        write_template(tmp_path, "patches")
    assert [path.name for path in tmp_path.iterdir()] == [existing]
    assert (tmp_path / existing).read_text(encoding="utf-8") == "mine"


def test_a_typo_in_a_template_would_be_found(tmp_path):
    (path,) = write_template(tmp_path, "phantom")
    path.write_text(path.read_text(encoding="utf-8").replace("cytoplasm_um:", "cytoplasm_microns:"), encoding="utf-8")
    with pytest.raises(
        StudyError, match=r"unknown key compartments\.cytoplasm_microns\. Did you mean compartments\.cytoplasm_um"
    ):
        study_file.load(path)


def test_texts_stand_in_the_template_as_they_are(monkeypatch):
    monkeypatch.setattr("saliency_stats.commands.init.primary_tests", lambda: ["a<b & 'c'"])
    assert "a<b & 'c'" in study_text("phantom")
