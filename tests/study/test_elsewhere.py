"""A study without a network: its defaults, and what it cannot ask, each by name."""

import numpy as np
import pytest

from saliency_stats.cohort.cache import CachedCohort
from saliency_stats.cohort.folder import PatchFolder
from saliency_stats.saliency.controls import CONTROLS
from saliency_stats.settings.study import dump, load
from saliency_stats.statistics.ladder import OF_MAPS, OF_NETWORKS
from saliency_stats.study.elsewhere import given_of, network_faults, reach_of, resolved
from saliency_stats.study.study import Study

OF_TABLE = ("cohort.kind=patches", "cohort.table=patches.csv", "classifier.architecture=none")


def faults(*assignments):
    return list(network_faults(resolved(load(None, (*OF_TABLE, *assignments)))))


def test_what_needs_a_network_is_left_out_by_default():
    settings = Study(load(None, OF_TABLE)).settings
    assert settings.controls == ["sobel", "haematoxylin", "eosin", "shift"]
    assert settings.saliency.methods == settings.multiverse.methods == ["map"]
    assert settings.causal.replacements == []
    assert settings.classifier.trainable == "none"
    assert not settings.classifier.is_network
    assert resolved(settings) == settings
    assert list(network_faults(settings)) == []


def test_what_is_named_stays():
    settings = resolved(load(None, (*OF_TABLE, "controls=[eosin]", "saliency.min_confidence=0.6")))
    assert settings.controls == ["eosin"]
    assert (settings.saliency.min_confidence, settings.saliency.methods) == (0.6, ["map"])


def test_the_study_as_resolved_can_be_run_again(tmp_path):
    settings = resolved(load(None, (*OF_TABLE, "saliency.signed=true")))
    (tmp_path / "study.yaml").write_text(dump(settings), encoding="utf-8")
    again = load(tmp_path / "study.yaml")
    assert list(network_faults(resolved(again))) == []
    assert (again.controls, again.saliency.methods) == (settings.controls, ["map"])


def test_a_study_with_a_network_stays_as_it_is():
    settings = load(None)
    assert resolved(settings) is settings
    assert list(network_faults(settings)) == []
    (found,) = network_faults(load(None, ("saliency.signed=true",)))
    assert found.startswith(
        "saliency.signed is about the maps of a table (classifier.architecture: none); leave it out"
    )


@pytest.mark.parametrize("name", [name for name, control in CONTROLS.items() if control.needs_network])
def test_controls_that_are_networks_are_refused_by_name(name):
    (found,) = faults(f"controls=[sobel, {name}]")
    assert found.startswith(f"controls: {name} needs a network, and classifier.architecture: none has none; leave it")
    assert found.endswith("Without one there are sobel, haematoxylin, eosin, shift")


@pytest.mark.parametrize("name", [name for name, control in CONTROLS.items() if not control.needs_network])
def test_the_others_are_not(name):
    assert faults(f"controls=[{name}]") == []


@pytest.mark.parametrize(
    ("assignment", "key"),
    [
        ("classifier.trainable=all", "classifier.trainable is 'all'"),
        ("classifier.weights=imagenet", "classifier.weights is 'imagenet'"),
        ("classifier.epochs=3", "classifier.epochs is 3"),
        ("classifier.networks=2", "classifier.networks is 2"),
        ("classifier.layers.gradcam=x", "classifier.layers is "),
        ("saliency.methods=[gradient]", "saliency.methods is ['gradient']"),
        ("saliency.methods=[map, grad_cam]", "saliency.methods is ['map', 'grad_cam']"),
        ("saliency.reduction=l1", "saliency.reduction is 'l1'"),
        ("saliency.more_reductions=[l1]", "saliency.more_reductions is ['l1']"),
        ("saliency.target=predicted", "saliency.target is 'predicted'"),
        ("causal.replacements=[mean, blur, stain]", "causal.replacements is ['mean', 'blur', 'stain']"),
        ("causal.curve_steps=4", "causal.curve_steps is 4"),
        ("multiverse.methods=[gradient]", "multiverse.methods is ['gradient']"),
        ("multiverse.reductions=[l2]", "multiverse.reductions is ['l2']"),
    ],
)
def test_what_asks_a_network_is_refused_by_its_key(assignment, key):
    (found,) = faults(assignment)
    assert found.startswith(key)
    assert found.endswith("which needs a network, and classifier.architecture: none has none; leave it out")


@pytest.mark.parametrize(
    "assignment",
    [
        *("classifier.min_balanced_accuracy=0.7", "saliency.batch_size=3", "saliency.scores=true"),
        *("saliency.keep=true", "saliency.signed=true", "multiverse.enabled=true", "multiverse.min_confidence=[0.7]"),
        *("multiverse.segmentations=[nuclei+1um]", "causal.patches_per_class=2", "cohort.evaluation_split=valid"),
    ],
)
def test_what_asks_no_network_is_not(assignment):
    assert faults(assignment) == []


@pytest.mark.parametrize("assignment", ["cohort.folds=2", "cohort.fractions={train: 0.2, valid: 0.2, test: 0.6}"])
def test_nothing_is_dealt_out_where_nothing_learns(assignment):
    (found,) = faults(assignment)
    assert found.startswith("cohort.folds and cohort.fractions deal patches out to networks that learn")
    assert "all patches are judged, or those that the table's column 'split' names" in found


@pytest.mark.parametrize("kind", ["phantom", "slides"])
def test_other_cohorts_have_no_maps(kind):
    table = ("cohort.table=slides.csv",) if kind == "slides" else ()
    settings = resolved(load(None, (f"cohort.kind={kind}", "classifier.architecture=none", *table)))
    (found,) = network_faults(settings)
    assert f"(found cohort.kind: {kind}); expected cohort.kind: patches, and the columns map and p_malignant" in found


def test_maps_are_signed_where_the_study_says_so(tmp_path):
    table = tmp_path / "patches.csv"
    table.write_text("path,label,mpp,map,p_malignant\na.png,benign,0.5,a.npy,0.25\n", encoding="utf-8")
    cohort = CachedCohort(PatchFolder(table, maps=True), 0)
    for signed in (False, True):
        found = given_of(load(None, (*OF_TABLE, f"saliency.signed={signed}")), cohort)
        assert found.signed is signed
        np.testing.assert_array_equal(found.p_malignant, [0.25])
    assert given_of(load(None), CachedCohort(PatchFolder(table), 0)) is None


def test_maps_reach_less_far_than_networks():
    assert reach_of(load(None)) is OF_NETWORKS
    assert reach_of(load(None, OF_TABLE)) is OF_MAPS
