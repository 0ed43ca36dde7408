"""A pre-registration says in words what the code will do, and fixes it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from saliency_stats import __version__
from saliency_stats.cli import main
from saliency_stats.commands.preregister import preregister
from saliency_stats.errors import CohortError, StorageError, StudyError
from saliency_stats.statistics import FAMILIES
from saliency_stats.study.registration import Registration

PATCHES = """\
name: mine
cohort: {kind: patches, table: p.csv, folds: 2, classes: {normal: [healthy], tumour: [ill]}, min_tissue: 0.125}
classifier: {networks: 3, architecture: densenet121, trainable: head, min_balanced_accuracy: 0.77}
saliency: {methods: [grad_cam, gradient], min_confidence: 0.83}
compartments: {min_area: 0.03}
controls: [randomised]
causal: {replacements: [blur]}
statistics:
  {unit: patient, alpha: 0.01, correction: bh, equivalence_margin: 0.2, min_slides: 5, assume_independent: true}
"""
SLIDES = """\
cohort:
  {kind: slides, table: s.csv, magnifications: [5, 10], min_tumour: 0.6, patches_per_slide: 7, size_px: 64,
   carry: native}
classifier: {seed: 4, weights: none}
multiverse: {enabled: true}
"""


def text_of(folder: Path, content: str) -> str:
    (folder / "study.yaml").write_text(content, encoding="utf-8")
    return preregister(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def patches(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("patches")
    rows = [f"{k}.png,{'ill' if k % 2 else 'healthy'},{0.5 if k < 5 else 1},s{k % 3}" for k in range(8)]
    (folder / "p.csv").write_text("\n".join(["path,label,mpp,slide_id", *rows, "x.png,ill,1,"]), encoding="utf-8")
    return text_of(folder, PATCHES)


@pytest.fixture(scope="module")
def slides(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("slides")
    (folder / "s.csv").write_text("slide_id,path\n", encoding="utf-8")
    return text_of(folder, SLIDES)


def test_hypotheses_are_one_per_class_and_magnification(patches, slides):
    claims = [line for line in patches.splitlines() if line.startswith("- In ")]
    assert claims == [
        f"- In {label} patches at {at}×, saliency is denser in the cytoplasm than in the nuclei."
        for at in (10, 20)
        for label in ("normal", "tumour")
    ]
    assert slides.count("saliency is denser in the cytoplasm than in the nuclei.\n") == 4


@pytest.mark.parametrize(
    "said",
    [
        f"with saliency-stats {__version__}, from the study file `study.yaml`",
        "- More than in networks that learned nothing?\n",
        "within 0.87–1.15 (±0.2 log2)",
        '- No verdict can be "supported": the study has no map of the image alone',
        "3 patches (normal, 20×) of 3 slides, 2 patches (tumour, 20×) of 2 slides",
        "The list is `p.csv`, SHA-256 `",
        "2 folds of slides",
        "less than 12.5 % tissue, a brightness below 0.18 or a sharpness below 0.28",
        "with a probability below 0.83",
        "less than 3 % of a patch's area",
        "balanced accuracy is below 0.77",
        "fewer than 5 units",
        "taken as independent",
        "DenseNet-121; initial weights none, trained part head. Networks: 6.",
        "(`grad_cam`), reduction over the colour channels `none`, of the logit of the correct class",
        "For comparison only: gradient.",
        "- randomised: the same architecture with random weights (`randomised`)\n",
        "Unit of inference: the patient.",
        "two-sided, at 0.01.",
        "With fewer than 5 units",
        "Correction: Benjamini–Hochberg",
        "| primary | cytoplasm : nucleus | trained network | 4 |",
        "| classes | tumour against normal | trained network | 2 |",
        "| control | cytoplasm : nucleus | trained − randomised | 4 |",
        "| selection | cytoplasm : nucleus, all test patches | trained network; trained − randomised | 8 |",
        "| place | centred | trained network | 4 |",
        "(does the decision change?): blur.",
        "crossed as a check: none.",
    ],
)
def test_what_the_study_does_is_said(patches, said):
    assert said in patches


@pytest.mark.parametrize(
    "said",
    [
        "at most 7 places of a slide, 64 px wide, at 5×, 10×.",
        "less than 50 % tissue. A place is a patch of tumour from 60 % annotated tumour",
        "dealt out train 0.5, valid 0.1, test 0.4. The test split is judged.",
        "seed 0, of the networks 4.",
        "The test that decides: sign-flip over slides;",
        "With fewer than 8 units",  # 2^(1-8) < 0.05 / 4
        "| magnifications | against the reference magnification | trained network | 4 |",
        "crossed as a check: yes.",
        "- images alone: edges or stain, without any network (`sobel`, `haematoxylin`, `eosin`)\n",
    ],
)
def test_what_a_study_of_slides_does_is_said(slides, said):
    assert said in slides


def test_every_family_is_there_in_order(slides):
    rows = [line.split(" | ")[0].removeprefix("| ") for line in slides.splitlines() if line.startswith("| ")]
    assert rows == ["family", *FAMILIES]


def test_what_does_not_hold_is_not_said(patches, slides):
    assert not [words for words in ("Places of a slide", "Split: as", "of the networks") if words in patches]
    assert not [words for words in ("taken as independent", "2 folds", "No verdict can") if words in slides]


def test_truth_needs_no_finder_of_nuclei(tmp_path):
    text = text_of(tmp_path, "compartments: {nuclei: truth}\ncohort: {slides: 3, patches_per_slide: 2}\n")
    assert "- Nuclei: `truth`.\n" in text
    assert not [words for words in ("The list is", "For comparison only") if words in text]


def test_paths_are_those_that_were_typed(tmp_path):
    (tmp_path / "nuclei.pt").touch()
    nuclei = "compartments: {nuclei: 'torchscript:nuclei.pt@0.5'}\n"
    text = text_of(tmp_path, f"{nuclei}cohort: {{slides: 3, patches_per_slide: 2}}\n")
    assert "- Nuclei: `torchscript:nuclei.pt@0.5`; " in text
    assert str(tmp_path) not in text


def test_maps_made_elsewhere_ask_nothing_of_a_network(tmp_path):
    (tmp_path / "p.csv").write_text("path,label,mpp,map,p_malignant\na.png,benign,0.5,a.npy,0.1\n", encoding="utf-8")
    text = text_of(tmp_path, "cohort: {kind: patches, table: p.csv}\nclassifier: {architecture: none}\n")
    assert "learned nothing?" in text.partition("The report also")[2]
    assert "of the logit" not in text
    assert "1 patch (benign, 20×) of unknown slides" in text
    assert Registration.beside(tmp_path / "study.yaml") is not None


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("swapped", [False, True])
def test_the_command_takes_a_study_file_or_its_folder(tmp_path, swapped):
    (tmp_path / "mine.yaml").write_text("cohort: {slides: 3, patches_per_slide: 2}\n", encoding="utf-8")
    words = ("--preregister", tmp_path / "mine.yaml")
    result = call("init", *(reversed(words) if swapped else words))
    assert (result.exit_code, result.output) == (0, f"{tmp_path / 'mine.preregistration.md'}\n")
    again = call("init", *words)
    assert again.exit_code == 1
    assert "mine.preregistration.md exists already and is not overwritten" in again.output


def test_what_cannot_be_registered_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"there is no study file .*study\.yaml"):
        preregister(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text("controls: [sobol]\n", encoding="utf-8")
    with pytest.raises(StudyError, match="Did you mean sobel"):
        preregister(path)
    path.write_text("cohort: {kind: patches, table: none.csv}\n", encoding="utf-8")
    with pytest.raises(StudyError, match=r"none\.csv"):
        preregister(path)
    (tmp_path / "p.csv").write_text("path,label,mpp\na.png,ill,0.5\n", encoding="utf-8")
    path.write_text("cohort: {kind: patches, table: p.csv}\n", encoding="utf-8")
    with pytest.raises(CohortError, match="ill"):
        preregister(path)
    assert not list(tmp_path.glob("*.md"))
    (tmp_path / "study.preregistration.md").touch()
    path.write_text("", encoding="utf-8")
    with pytest.raises((StorageError, StudyError)):
        preregister(path)


def test_wrong_usage(tmp_path):
    (tmp_path / "study.yaml").touch()
    result = call("init", tmp_path / "study.yaml")
    assert (result.exit_code, "study.yaml' is a file; with --preregister it may be" in result.output) == (2, True)
    result = call("init", "--preregister", tmp_path / "study.yaml", "--kind", "slides")
    assert (result.exit_code, "leave out --kind slides" in result.output) == (2, True)
