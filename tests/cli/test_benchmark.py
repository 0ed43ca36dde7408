"""The command `benchmark`: its streams, its options and its exit status."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from saliency_stats.cli.app import main
from saliency_stats.report.benchmark import Benchmarked


def call(*arguments):
    return CliRunner().invoke(main, ["benchmark", *map(str, arguments)])


@pytest.fixture
def seen(monkeypatch):
    """What reaches the benchmark, which itself is tested elsewhere."""
    options = {}

    def benchmark(study, out, **given):
        options.update(given, study=study, out=out)
        return Benchmarked(out / "benchmark.html", out / "benchmark.csv", ("One is best.", "It is stable."))

    monkeypatch.setattr("saliency_stats.commands.benchmark.benchmark", benchmark)
    return options


def test_sentences_are_for_a_person_and_the_path_for_a_program(seen):
    result = call()
    assert (result.exit_code, result.stderr) == (0, "One is best.\nIt is stable.\n")
    assert result.stdout == f"{Path('reports/benchmark/benchmark.html')}\n"
    assert seen.pop("command").startswith("saliency-stats")
    assert seen == {
        "study": None, "out": Path("reports/benchmark"), "assignments": (), "signals": ("cytoplasm", "nucleus"),
        "magnifications": [20.0], "methods": (), "device": "auto", "workers": None, "fresh": False,
    }  # fmt: skip


def test_every_option_reaches_it(seen, tmp_path):
    own = ("--method", "python:mine:Mine", "--signal", "xor", "--magnification", "10", "--magnification", "5")
    result = call("s.yaml", "--out", tmp_path, "--set", "seed=3", *own, "--fresh", "--workers", 2, "--device", "cpu")
    assert result.exit_code == 0
    assert seen["study"] == Path("s.yaml")
    assert (seen["out"], seen["assignments"], seen["methods"]) == (tmp_path, ("seed=3",), ("python:mine:Mine",))
    assert (seen["signals"], seen["magnifications"]) == (("xor",), [10.0, 5.0])
    assert (seen["fresh"], seen["workers"], seen["device"]) == (True, 2, "cpu")


@pytest.mark.parametrize("arguments", [("--magnification", "30"), ("--set", "seed=x"), ("--signal", "nuclei")])
def test_wrong_usage_is_refused_before_anything_is_written(arguments, tmp_path):
    result = call("--out", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert arguments[1] in result.stderr
    assert not (tmp_path / "out").exists()
