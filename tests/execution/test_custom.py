"""A study file may name a class of the user's own."""

import subprocess
import sys

import pytest

from saliency_stats.errors import StudyError
from saliency_stats.execution.custom import is_custom, load
from saliency_stats.saliency import CONTROLS, METHODS
from saliency_stats.saliency.controls import control_of
from saliency_stats.saliency.methods import cost_of, is_one_channel, method_of, words_of

SOURCE = """
import numpy as np

class Bright:
    name = "bright"
    words = "brightness"
    def map(self, image, stained):
        return image.mean(axis=-1)

class Ones:
    name = "ones"
    cost = 0.5
    one_channel = True
    def attribute(self, model, images, target, seeds):
        return images[:, :1] * 0 + 1

class Nameless:
    name = ""
    def map(self, image, stained):
        return image

class Fails:
    def __init__(self):
        raise RuntimeError("no GPU here")

class Sobel:
    name = "sobel"
    def map(self, image, stained):
        return image

class _Hidden:
    pass
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_a_method_from_a_file(file):
    method = method_of(f"python:{file}:Ones")
    assert (method.name, words_of(method), cost_of(method), is_one_channel(method)) == ("ones", "ones", 0.5, True)
    assert method_of(f"python:{file}:Ones") is method


def test_an_image_control_from_a_file(file):
    control = control_of(f"python:{file}:Bright")
    assert (control.name, control.group, control.models) == ("bright", "images alone", {"bright": "brightness"})
    assert control.networks == ()
    assert not control.shown


def test_a_class_of_a_module_on_the_path(file, monkeypatch):
    monkeypatch.syspath_prepend(file.parent)
    assert method_of("python:mine:Ones").name == "ones"


def test_names_of_the_package_are_no_classes():
    assert is_custom("python:a:B")
    assert not is_custom("gradient")
    assert method_of("gradient") is METHODS["gradient"]
    assert control_of("sobel") is CONTROLS["sobel"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Bright", "Bright has no attribute; expected attribute"),
        ("Missing", r"has no Missing; it has Bright, Fails, Nameless, Ones, Sobel"),
        ("Fails", r"Fails\(\) fails \(RuntimeError: no GPU here\)"),
    ],
)
def test_what_is_no_method_is_refused_by_name(file, name, message):
    with pytest.raises(StudyError, match=message):
        method_of(f"python:{file}:{name}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Ones", r"Ones has no map; expected map\(image"),
        ("Nameless", "its name is ''; expected the text that the tables call it by"),
        ("Sobel", "its name 'sobel' is that of another control"),
    ],
)
def test_what_is_no_control_is_refused_by_name(file, name, message):
    with pytest.raises(StudyError, match=message):
        control_of(f"python:{file}:{name}")


@pytest.mark.parametrize("spec", ["python:", "python:module", "python:module:", "python::Class"])
def test_half_a_name(spec):
    with pytest.raises(StudyError, match=r"expected python:package\.module:Class"):
        load(spec)


def test_a_module_that_is_not_there_or_fails(tmp_path):
    with pytest.raises(StudyError, match=r"the module cannot be imported \(ModuleNotFoundError"):
        load("python:no_such_module_anywhere:A")
    with pytest.raises(StudyError, match=r"the module cannot be imported \(FileNotFoundError"):
        load(f"python:{tmp_path / 'none.py'}:A")
    (tmp_path / "bad.py").write_text("import torch\n1 / 0\n", encoding="utf-8")
    for _ in range(2):  # half a module is not kept
        with pytest.raises(StudyError, match="ZeroDivisionError"):
            load(f"python:{tmp_path / 'bad.py'}:A")


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import sys; sys.exit()", "raise ValueError('x' * 10**6)"])
def test_a_module_does_not_end_the_program(tmp_path, code):
    (tmp_path / "ends.py").write_text(code, encoding="utf-8")
    with pytest.raises(StudyError, match="the module cannot be imported") as caught:
        load(f"python:{tmp_path / 'ends.py'}:A")
    assert len(str(caught.value)) < 1_000
    (tmp_path / "made.py").write_text(f"class A:\n    def __init__(self):\n        {code}\n", encoding="utf-8")
    with pytest.raises(StudyError, match=r"A\(\) fails"):
        load(f"python:{tmp_path / 'made.py'}:A")


@pytest.mark.parametrize(
    "spec", ["python:" + "x" * 5_000 + ".py:A", "python:" + "x" * 5_000, "python:a\0b.py:A", "python:..:A"]
)
def test_what_no_module_is_called(spec):
    with pytest.raises(StudyError, match=r"the module cannot be imported|expected python:") as caught:
        load(spec if ":" in spec.removeprefix("python:") else f"{spec}:A")
    assert len(str(caught.value)) < 1_000


def test_an_instance_travels_to_another_process(file):
    """Its study file's name travels; the other process loads the file again."""
    code = f"from saliency_stats.saliency.methods import method_of; print(method_of('python:{file}:Ones').name)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "ones\n"
