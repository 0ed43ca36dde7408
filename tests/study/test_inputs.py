"""Every file that a study reads is known, whatever names it."""

import sys
from types import SimpleNamespace

import pytest

from saliency_stats.cohort.folder import PatchFolder
from saliency_stats.compartments.tissue.files import BUILTIN_TISSUE
from saliency_stats.errors import ClassifierError
from saliency_stats.execution import custom
from saliency_stats.settings.study import load
from saliency_stats.study import inputs as module
from saliency_stats.study import parameters
from saliency_stats.study.inputs import input_files

COHORT = SimpleNamespace(files={})
#: Reads nothing.
RULE = "compartments.cells=rule"
METHOD = """
class Plain:
    name, words, cost, channels, needs = "plain", "plain", 1.0, False, ()
    def __call__(self, *_, **__):
        raise NotImplementedError
"""


def files_of(*assignments):
    return dict(input_files(load(None, (RULE, *assignments)), COHORT))


def test_phantoms_are_drawn_and_read_nothing():
    settings = load(None, (RULE,))
    assert input_files(settings, parameters.cohort_of(settings)) == {}


def test_the_table_and_its_images_by_their_names_in_it(tmp_path):
    (tmp_path / "t.csv").write_text("path,label,mpp\nb/1.png,benign,0.5\n./a.png,malignant,0.5\n", encoding="utf-8")
    settings = load(None, (RULE, "cohort.kind=patches", f"cohort.table={tmp_path / 't.csv'}"))
    assert input_files(settings, parameters.cohort_of(settings)) == {
        "t.csv": tmp_path / "t.csv",
        "b/1.png": tmp_path / "b/1.png",
        "a.png": tmp_path / "a.png",
    }
    assert isinstance(parameters.cohort_of(settings).inner, PatchFolder)


def test_a_file_of_weights(tmp_path):
    path = tmp_path / "w.pth"
    assert files_of(f"classifier.weights={path}") == {f"classifier.weights: {path}": path}


def test_published_weights_are_fetched_first(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "published_path", lambda name: tmp_path / name)
    path = tmp_path / "densenet201"
    assert files_of("classifier.weights=imagenet") == {f"classifier.weights: {path}": path}

    def offline(_):
        raise ClassifierError("not in the cache")

    monkeypatch.setattr(module, "published_path", offline)
    # before anything is computed the study stops for them, and tells what else stands in its way
    assert files_of("classifier.weights=imagenet") == {}


def test_models_of_nuclei(tmp_path, monkeypatch):
    for name in ("config.json", "weights_best.h5"):
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "logs").mkdir()
    wanted = {f"compartments.nuclei: {tmp_path / name}": tmp_path / name for name in ("config.json", "weights_best.h5")}
    assert files_of(f"compartments.nuclei={tmp_path}") == wanted
    monkeypatch.setattr(module, "official_folder", lambda name: tmp_path if name == "2D_versatile_he" else None)
    assert files_of("compartments.nuclei=2D_versatile_he") == wanted
    one = tmp_path / "config.json"
    for nuclei in (one, f"torchscript:{one}", f"torchscript:{one}@0.5"):
        assert files_of(f"compartments.nuclei={nuclei}") == {f"compartments.nuclei: {one}": one}


@pytest.mark.parametrize("name", ["builtin", "classical", "truth"])
def test_what_comes_with_the_package_goes_by_its_version(name):
    assert files_of(f"compartments.nuclei={name}") == {}


@pytest.mark.parametrize("key", ["saliency.methods", "multiverse.methods", "controls"])
def test_classes_of_the_users_own(tmp_path, monkeypatch, key):
    file = tmp_path / "own.py"
    file.write_text(METHOD, encoding="utf-8")
    custom.load.cache_clear()
    assert files_of(f"{key}=['python:{file}:Plain']") == {}  # not loaded, so nothing of it was used
    custom.load(f"python:{file}:Plain")
    assert files_of(f"{key}=['python:{file}:Plain']") == {f"class: {file}": file}
    monkeypatch.syspath_prepend(tmp_path)
    custom.load("python:own:Plain")
    assert files_of(f"{key}=['python:own:Plain']") == {f"class: {file}": file}
    del sys.modules["own"]
    custom.load.cache_clear()


@pytest.mark.parametrize(
    ("assignments", "asked"),
    [
        (("compartments.cells=network",), True),
        (("compartments.cells=rule",), False),
        (("compartments.cells=distance",), False),
        (("compartments.cells=rule", "multiverse.enabled=true"), True),
        (("compartments.cells=rule", "multiverse.enabled=true", "multiverse.segmentations=[cells-distance]"), False),
        (("compartments.cells=network", "compartments.nuclei=truth"), False),
    ],
)
def test_the_tissue_network_is_named_where_it_is_asked(assignments, asked):
    found = files_of(*assignments)
    assert found == ({"compartments.cells: tissue.safetensors": BUILTIN_TISSUE} if asked else {})
