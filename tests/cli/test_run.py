"""``saliency-stats run``: which options reach the study, and what is said where."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import ANY

import pytest
from click.testing import CliRunner

from saliency_stats.classes import USUAL_CLASSES
from saliency_stats.cli import app as cli


def call(*arguments):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "option", ["--out", "--set", "--device", "--fresh", "--workers", "--scheduler", "--assume-independent"]
)
def test_the_options_of_run(option):
    assert option in call("run", "--help").stdout


@pytest.mark.parametrize(
    ("options", "crossed", "chosen"),
    [
        ((), False, {"device": "auto", "workers": None, "scheduler": None, "fresh": False}),
        (
            ("--multiverse", "--device", "cpu", "--workers", "1"),
            True,
            {"device": "cpu", "workers": 1, "scheduler": None, "fresh": False},
        ),
    ],
)
def test_run_without_options_and_with_a_crossing(monkeypatch, options, crossed, chosen):
    seen = []

    class Study:
        def __init__(self, settings, _, registration):
            assert registration is None
            seen.append((settings.multiverse.enabled, settings.statistics.assume_independent))

        def run(self, out, **options):
            seen.append((out, options))
            return SimpleNamespace(folder=Path("reports/phantom"), verdict=[], classes=USUAL_CLASSES)

    monkeypatch.setattr("saliency_stats.study.Study", Study)
    monkeypatch.setattr("saliency_stats.statistics.headline", lambda *_: "The verdict.")
    monkeypatch.setattr(sys, "argv", ["somewhere/saliency-stats", "run", "a study.yaml"])
    assert call("run", *options).exit_code == 0
    assert seen == [(crossed, False), (None, chosen | {"command": "saliency-stats run 'a study.yaml'"})]


def test_no_workers_are_wrong_usage():
    assert "0 is not in the range x>=1" in call("run", "--workers", "0").stderr


def test_run_passes_its_options_on(monkeypatch, tmp_path):
    seen = []

    class Finished:
        folder, verdict, classes = tmp_path / "out", [], USUAL_CLASSES

    class Study:
        def __init__(self, settings, where, registration):
            assert (where, registration) == ("the built-in study", None)
            seen.append((settings.cohort.signal, settings.statistics.assume_independent))

        def run(self, out, **options):
            seen.append((out, options))
            return Finished

    monkeypatch.setattr("saliency_stats.study.Study", Study)
    monkeypatch.setattr("saliency_stats.statistics.headline", lambda *_: "The verdict.")
    options = ("--out", tmp_path / "out", "--fresh", "--assume-independent", "--scheduler", "local:3")
    result = call("run", "--set", "cohort.signal=none", *options)
    assert result.exit_code == 0, result.output
    assert seen == [
        ("none", True),
        (tmp_path / "out", {"device": "auto", "workers": None, "scheduler": "local:3", "fresh": True, "command": ANY}),
    ]
    # the answer is for a person, the path for a program
    assert result.stderr == "The verdict.\n"
    assert result.stdout == f"{tmp_path / 'out' / 'report.html'}\n"


def test_help_comes_before_dask_is_loaded():
    """As before torch: tests/cli/test_app.py."""
    code = "import sys, saliency_stats.cli, saliency_stats.study; sys.exit('distributed' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scheduler", "two"), "--scheduler is 'two'; expected local:N"),
        (("--scheduler", "tcp://127.0.0.1:1x"), "--scheduler tcp://127.0.0.1:1x: no Dask scheduler answers there"),
        (("--scheduler", "local:2", "--workers", "2"), "expected one of the two"),
    ],
)
def test_a_wrong_scheduler_is_wrong_usage(tmp_path, options, message):
    result = call("run", "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()
