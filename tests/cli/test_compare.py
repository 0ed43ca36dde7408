"""The command `compare`: its streams, its options and its exit status."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from saliency_stats.cli.app import main
from saliency_stats.report.compare import Compared


def call(*arguments):
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


@pytest.fixture
def runs(tmp_path):
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    return folders


@pytest.fixture
def seen(monkeypatch):
    """What reaches the comparison, which itself is tested elsewhere."""
    options = {}

    def compare_runs(folders, out):
        options.update(folders=folders, out=out)
        return Compared(out / "comparison.html", out / "comparison.csv", out / "c.png", ("Two support.", "One not."))

    monkeypatch.setattr("saliency_stats.report.compare.compare_runs", compare_runs)
    return options


def test_sentences_are_for_a_person_and_the_path_for_a_program(seen, runs):
    result = call(*runs)
    assert (result.exit_code, result.stderr) == (0, "Two support.\nOne not.\n")
    assert result.stdout == f"{Path('reports/comparison/comparison.html')}\n"
    assert seen == {"folders": tuple(runs), "out": Path("reports/comparison")}


def test_the_folder_can_be_chosen(seen, runs, tmp_path):
    assert call(*runs, "--out", tmp_path / "side by side").exit_code == 0
    assert seen["out"] == tmp_path / "side by side"


@pytest.mark.parametrize("given", [0, 1])
def test_fewer_than_two_runs_are_wrong_usage(runs, given, tmp_path):
    result = call(*runs[:given], "--out", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "expected at least two" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there_is_wrong_usage(runs, tmp_path):
    assert call(runs[0], tmp_path / "nowhere").exit_code == 2


def test_a_folder_without_a_run_is_named_and_told_apart_from_wrong_usage(runs, tmp_path):
    result = call(*runs, "--out", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (1, "")
    assert str(runs[0]) in result.stderr
    assert "finished run" in result.stderr
