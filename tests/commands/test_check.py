"""`check` counts and estimates, and computes nothing."""

from click.testing import CliRunner

from saliency_stats.cli.app import main


def test_check_counts_patches_and_slides_and_estimates_costs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "cohort.slides=10",
        "cohort.patches_per_slide=4",
        "cohort.size_px=32",
        "classifier.architecture=densenet121",
    ]
    result = CliRunner().invoke(main, ["check", *(word for item in arguments for word in ("--set", item))])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["20.0", "train", "benign", "10", "5"] in lines
    assert ["20.0", "test", "malignant", "8", "4"] in lines
    assert "40 of 40 patches" in result.output
    assert "min, of which training" in result.output
    assert "memory about" in result.output
    assert "GB, disk at most 0." in result.output
    assert not list(tmp_path.iterdir())


def test_check_refuses_what_a_run_would_refuse():
    result = CliRunner().invoke(main, ["check", "--set", "cohort.slides=3", "--set", "cohort.fractions={train: 1.0}"])
    assert result.exit_code == 2
