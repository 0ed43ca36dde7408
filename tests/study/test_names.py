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
        ("saliency.reduction=l3", "saliency.reduction: there is no l3. Did you mean l"),
        ("saliency.more_reductions=[xyz]", "saliency.more_reductions: there is no xyz. Known are l2, l1, max."),
        ("multiverse.methods=[zzz]", "multiverse.methods: there is no zzz. Known are gradient, "),
        ("multiverse.reductions=[zzz]", "multiverse.reductions: there is no zzz."),
        ("multiverse.segmentations=[zzz]", "multiverse.segmentations: there is no zzz. Known are usual, "),
        ("statistics.primary_test=signflip", "statistics.primary_test: there is no signflip. Did you mean sign_flip?"),
        ("statistics.primary_test=wilcoxon", "statistics.primary_test: there is no wilcoxon."),
        ("compartments.nuclei=build-in", "compartments.nuclei: there is no StarDist model "),
    ],
)
def test_a_wrong_name_is_said_with_its_key_and_the_nearest_right_one(assignment, message):
    found = refused(assignment)
    assert found.startswith("study.yaml: ")
    assert message in found


def test_everything_that_is_wrong_is_said():
    found = refused("controls=[randomized]", "saliency.reduction=xyz", "saliency.methods=[zzz]")
    assert all(key in found for key in ("controls: ", "saliency.reduction: ", "saliency.methods: "))


def test_a_class_of_the_users_own_is_loaded_and_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "class A:\n    name = 'a'\n    def map(self, image, stained):\n        return image\n"
    )
    check_names(load(None, ("controls=['python:mine:A']",)), "here")
    assert "A has no attribute" in refused("saliency.methods=['python:mine:A']")
    assert "has no B; it has A" in refused("controls=['python:mine:B']")
