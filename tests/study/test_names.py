"""What a study file names must be in a registry; all that is wrong is said at once."""

import pytest

from saliency_stats.errors import StudyError
from saliency_stats.settings.study import load
from saliency_stats.study.names import check_names


def refused(*assignments):
    with pytest.raises(StudyError) as caught:
        check_names(load(None, assignments), "study.yaml")
    return str(caught.value)


def test_the_built_in_study_names_what_there_is():
    check_names(load(None), "the built-in study")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("controls=[randomized]", "controls: there is no randomized. Did you mean randomised?"),
        ("saliency.methods=[gradiant]", "saliency.methods: there is no gradiant. Did you mean gradient?"),
        ("saliency.baseline=blurr", "saliency.baseline: there is no blurr. Did you mean blur?"),
        ("multiverse.baselines=[blurr]", "multiverse.baselines: there is no blurr. Did you mean blur?"),
        ("saliency.methods=[integrated_gradients@white]", "there is no integrated_gradients@white. Did you mean "),
        ("saliency.methods=[gradient@blur]", "saliency.methods: there is no gradient@blur."),
        ("saliency.reduction=l3", "saliency.reduction: there is no l3. Did you mean l"),
        ("saliency.more_reductions=[xyz]", "saliency.more_reductions: there is no xyz. Known are l2, l1, max."),
        ("multiverse.methods=[zzz]", "multiverse.methods: there is no zzz. Known are gradient, "),
        ("multiverse.reductions=[zzz]", "multiverse.reductions: there is no zzz."),
        ("multiverse.segmentations=[zzz]", "multiverse.segmentations: there is no zzz. Known are usual, "),
        ("statistics.primary_test=signflip", "statistics.primary_test: there is no signflip. Did you mean sign_flip?"),
        ("statistics.primary_test=wilcoxon", "statistics.primary_test: there is no wilcoxon."),
        ("classifier.architecture=torchvision:resnet19", "torchvision has no classifier 'resnet19'; it has resnet101"),
        ("classifier.architecture=python:no.such:build", "python:no.such:build: the module cannot be imported"),
        ("classifier.architecture=python:json:build", "json has no build; it has JSONDecodeError"),
        ("compartments.nuclei=build-in", "compartments.nuclei: there is no StarDist model "),
        (
            "compartments.nuclei=zzz",
            "Expected truth, builtin, 2D_versatile_he, classical, the path of a StarDist model, or ",
        ),
        (
            "compartments.nuclei=torchscript:zzz.pt@0.5",
            "zzz.pt. Expected torchscript:PATH, or torchscript:PATH@0.5 where",
        ),
        ("compartments.nuclei=torchscript:.", "compartments.nuclei: there is no TorchScript file /"),
    ],
)
def test_a_wrong_name_is_said_with_its_key_and_the_nearest_right_one(assignment, message):
    found = refused(assignment)
    assert found.startswith("study.yaml: ")
    assert message in found


def test_a_baseline_is_of_a_method():
    found = refused("saliency.baseline=blur")
    assert "saliency.baseline: no method of the study starts from blur where its name does not say so" in found
    assert found.endswith("leave it out, or name one of gradient_x_input, integrated_gradients, deeplift")
    refused("saliency.baseline=blur", "saliency.methods=[integrated_gradients@mean]")
    check_names(load(None, ("saliency.baseline=blur", "saliency.methods=[gradient, deeplift]")), "here")
    # the methods of a multiverse, where there is one
    crossing = "multiverse.enabled=true"
    check_names(load(None, ("saliency.baseline=mean", crossing, "multiverse.baselines=[white, stain]")), "here")
    some = ("multiverse.methods=[gradient]", "multiverse.baselines=[white, stain]")
    check_names(load(None, some), "here")
    assert "multiverse.baselines: no method of the study starts from stain" in refused(crossing, *some)


def test_a_method_that_is_crossed_is_not_named_again():
    asked = ("saliency.methods=[deeplift, deeplift@blur]", "multiverse.baselines=[white, blur]")
    found = refused(*asked, "multiverse.enabled=true")
    assert found.endswith("methods: deeplift@blur is there as deeplift from blur (multiverse.baselines); leave it out")
    check_names(load(None, asked), "here")
    alone = "saliency.methods=[deeplift@blur]"
    check_names(load(None, (alone, asked[1], "multiverse.enabled=true")), "here")


def test_everything_that_is_wrong_is_said():
    found = refused("controls=[randomized]", "saliency.reduction=xyz", "saliency.methods=[zzz]")
    assert all(key in found for key in ("controls: ", "saliency.reduction: ", "saliency.methods: "))


def test_a_path_that_can_be_none_is_no_model():
    settings = load(None)
    for name in ("x" * 5_000, "a\0b"):
        wrong = settings.model_copy(update={"compartments": settings.compartments.model_copy(update={"nuclei": name})})
        with pytest.raises(StudyError, match="there is no StarDist model") as caught:
            check_names(wrong, "here")
        assert len(str(caught.value)) < 1_000


def test_many_wrong_names_make_no_long_message():
    assert len(refused(f"controls=[{', '.join(f'{n}{chr(120) * 900}' for n in range(99))}]")) < 4_000


def test_two_methods_are_not_called_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "class A:\n    name = 'gradient'\n    def attribute(self, model, images, target, seeds):\n"
        "        return images\n"
        "class B(A):\n    name = 'b'\n"
        "class C(A):\n    name = 'b'\n",
        encoding="utf-8",
    )
    found = refused("saliency.methods=['python:mine:A', 'python:mine:B']", "multiverse.methods=['python:mine:C']")
    assert "A is called 'gradient', as one of this package is; choose another name" in found
    assert "C is called 'b', as python:" in found
    check_names(load(None, ("saliency.methods=['python:mine:B']", "multiverse.methods=['python:mine:B']")), "here")


def test_a_class_of_the_users_own_is_loaded_and_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "class A:\n    name = 'a'\n    def map(self, image, stained):\n        return image\n", encoding="utf-8"
    )
    check_names(load(None, ("controls=['python:mine:A']",)), "here")
    assert "A has no attribute" in refused("saliency.methods=['python:mine:A']")
    assert "has no B; it has A" in refused("controls=['python:mine:B']")
