"""Bad inputs: a quick part of ``tests/bad_inputs``, and that its judge can fail a command."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "bad_inputs"


@pytest.mark.posix("fork, signals and limits of memory")
def test_bad_inputs_are_refused_by_name():
    """Three of each area; takes half a minute, since a run is made first. All of them: python tests/bad_inputs."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--seed", "18", "--each", "3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    assert "taken well: 24 of 24" in done.stdout


@pytest.fixture(scope="module")
def case():
    spec = importlib.util.spec_from_file_location("bad_inputs_case", SCRIPT / "case.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


SAID = "saliency-stats: a.csv, line 3: label is 'x'; expected benign or malignant\n"
WRONG = [
    ("traceback", {"status": 1, "stderr": "Traceback (most recent call last):\n  a.csv"}),
    ("traceback", {"status": 1, "stderr": "saliency-stats: an error that was not foreseen: KeyError: a.csv"}),
    ("traceback", {"status": -11, "stderr": SAID}),
    ("silent", {"status": 0}),
    ("silent", {"status": 0, "stderr": SAID}),
    ("hang", {"status": None, "stderr": SAID}),
    ("outside", {"status": 1, "stderr": SAID, "outside": ["elsewhere/x"]}),
    ("message", {"status": 3, "stderr": SAID}),
    ("message", {"status": 1, "stderr": ""}),
    ("message", {"status": 1, "stderr": SAID + SAID}),
    ("message", {"status": 1, "stderr": "saliency-stats: something is wrong\n"}),
    ("message", {"status": 1, "stderr": SAID + "x" * 3000}),
]


def ended(case, **how):
    done = case.Ended(**({"stdout": "", "stderr": ""} | how))
    done.news = done.stderr + done.stdout
    return done


@pytest.mark.parametrize(("outcome", "how"), WRONG)
def test_the_judge_knows_what_is_wrong(case, outcome, how):
    bad = case.Bad("x", lambda *_: [], ("a.csv",))
    assert case.judge(bad, [], ended(case, **how)).outcome == outcome


@pytest.mark.parametrize("status", [1, 2])
def test_one_message_that_names_the_thing_is_right(case, status):
    bad = case.Bad("x", lambda *_: [], ("b.csv", "a.csv"))
    assert case.judge(bad, [], ended(case, status=status, stderr="a note\n" + SAID)).outcome == "well"


def test_what_goes_on_must_be_named_and_what_is_read_must_be_right(case):
    goes_on = case.Bad("x", lambda *_: [], ("a.csv",), goes_on=True)
    assert case.judge(goes_on, [], ended(case, status=0, stdout="excluded: a.csv")).outcome == "well"
    assert case.judge(goes_on, [], ended(case, status=0, stdout="12 of 12 patches")).outcome == "silent"
    read = case.Bad("x", lambda *_: [], ("a.csv",), as_sound=True)
    assert case.judge(read, [], ended(case, status=0, same=True)).outcome == "well"
    assert case.judge(read, [], ended(case, status=0, same=False)).outcome == "silent"
