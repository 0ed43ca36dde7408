"""The classifier's part of the study file."""

import pytest

from saliency_stats.errors import StudyError
from saliency_stats.settings.study import load


def study(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(tmp_path, text):
    with pytest.raises(StudyError) as caught:
        load(study(tmp_path, text))
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["densenet169", "efficientnet_lite2", "torchvision:resnet50", "timm:hf-hub:owner/name"]
)
def test_networks_are_named_with_their_source(tmp_path, name):
    section = load(study(tmp_path, f"classifier: {{architecture: '{name}'}}")).classifier
    assert (section.architecture, section.weights) == (name, "none")


@pytest.mark.parametrize("name", ["resnet50", "keras:x", "timm:", "python:"])
def test_other_names_are_refused_with_those_there_are(tmp_path, name):
    found = refused(tmp_path, f"classifier: {{architecture: '{name}'}}")
    assert f"classifier.architecture: there is no '{name}'; expected one of densenet121, " in found
    assert "efficientnet_lite2, or torchvision:NAME, timm:NAME, python:package.module:factory, or none" in found


def test_a_factory_beside_the_study_file_is_found_there_and_its_weights_are_its_own(tmp_path):
    (tmp_path / "mine.py").write_text("", encoding="utf-8")
    section = load(study(tmp_path, "classifier: {architecture: 'python:mine:build'}")).classifier
    assert section.architecture == f"python:{tmp_path.resolve() / 'mine.py'}:build"
    assert section.weights == "own"
    other = load(study(tmp_path, "classifier: {architecture: 'python:mine:build', weights: none}")).classifier
    assert other.weights == "none"
    elsewhere = load(study(tmp_path, "classifier: {architecture: 'python:package.nets:build'}")).classifier
    assert elsewhere.architecture == "python:package.nets:build"


def test_own_weights_are_no_path(tmp_path):
    section = load(study(tmp_path, "classifier: {architecture: 'timm:hf-hub:a/b', weights: own}")).classifier
    assert section.weights == "own"


def test_preprocessing_and_layers_are_stated(tmp_path):
    text = (
        "classifier: {preprocess: {mean: [0, 0.5, 1], std: [1, 2, 3], size_px: 96}, layers: {head: [fc], gradcam: a.b}}"
    )
    section = load(study(tmp_path, text)).classifier
    assert (section.preprocess.mean, section.preprocess.std) == ((0, 0.5, 1), (1, 2, 3))
    assert (section.preprocess.size_px, section.layers.head, section.layers.gradcam) == (96, ["fc"], "a.b")
    assert section.layers.parts == []
    plain = load(None).classifier
    assert (plain.preprocess.mean, plain.preprocess.std, plain.preprocess.size_px) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "preprocess: {std: [1, 0, 1]}",
            "classifier.preprocess.std: [1.0, 0.0, 1.0] is divided by; expected numbers above",
        ),
        ("preprocess: {std: [1, -1, 1]}", "expected numbers above 0"),
        ("preprocess: {mean: [1, 2]}", "classifier.preprocess.mean"),
        ("preprocess: {size_px: 7}", "classifier.preprocess.size_px"),
        ("layers: {head: [fc, fc]}", "classifier.layers.head: 'fc' stands there twice"),
        ("layers: {parts: [a, a]}", "classifier.layers.parts: 'a' stands there twice"),
        ("layers: {cam: x}", "classifier.layers.cam"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, text, message):
    assert message in refused(tmp_path, f"classifier: {{{text}}}")


def test_outputs_stand_for_classes(tmp_path):
    found = load(study(tmp_path, "cohort: {classes: {benign: [0, 2], malignant: [1]}}")).cohort.classes
    assert found == {"benign": [0, 2], "malignant": [1]}
    assert load(None).cohort.classes == {}


@pytest.mark.parametrize(
    "classes",
    [
        "{benign: [0]}",
        "{benign: [0], malignant: []}",
        "{benign: [0, 1], malignant: [1]}",
        "{benign: [0, 0], malignant: [1]}",
    ],
)
def test_each_class_has_outputs_of_its_own(tmp_path, classes):
    assert "cohort.classes: " in (found := refused(tmp_path, f"cohort: {{classes: {classes}}}"))
    assert "expected" in found


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("weights: none", False),
        ("weights: imagenet", False),
        ("weights: file.pt", True),
        ('{architecture: "timm:hf-hub:x/y", weights: own}', True),
        ('architecture: "python:mine:build"', True),
        ('{architecture: "python:mine:build", weights: none}', True),
    ],
)
def test_a_layer_of_classes_that_is_made_anew_has_no_outputs_of_its_own(tmp_path, text, own):
    section = text if text.startswith("{") else f"{{{text}}}"
    assert load(study(tmp_path, f"classifier: {section}")).classifier.own_outputs is own


@pytest.mark.parametrize("classes", ["{benign: [-1], malignant: [1]}", "{benign: [a], malignant: [1]}", "{good: [0]}"])
def test_outputs_are_numbers_and_classes_are_two(tmp_path, classes):
    assert "cohort.classes" in refused(tmp_path, f"cohort: {{classes: {classes}}}")


def test_there_may_be_no_network(tmp_path):
    section = load(study(tmp_path, "classifier: {architecture: none}")).classifier
    assert (section.architecture, section.is_network) == ("none", False)
    assert load(None).classifier.is_network
    assert not load(None).saliency.signed
