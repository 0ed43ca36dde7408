"""The command `power`: its streams, its options and its exit status."""

import pytest
from click.testing import CliRunner

from saliency_stats.cli.app import main
from saliency_stats.errors import StatisticsError, StudyError
from saliency_stats.report.power import Planned


def call(*arguments):
    return CliRunner().invoke(main, ["power", *map(str, arguments)])


@pytest.fixture
def seen(monkeypatch, tmp_path):
    """What reaches the planning, which itself is tested elsewhere."""
    options = {}

    def plan_run(folder, **chosen):
        options.update(chosen, folder=folder)
        return Planned(tmp_path / "power.csv", tmp_path / "figures" / "power.png", "Collect 9 more slides.")

    monkeypatch.setattr("saliency_stats.report.power.plan_run", plan_run)
    return options


def test_advice_is_for_a_person_and_the_path_for_a_program(seen, tmp_path):
    result = call(tmp_path)
    assert (result.exit_code, result.stderr) == (0, "Collect 9 more slides.\n")
    assert result.stdout == f"{tmp_path / 'power.csv'}\n"
    own = ["effect", "alpha", "label", "magnification", "out", "hypotheses", "networks", "network_sd"]
    unset = dict.fromkeys(own)
    assert seen == {**unset, "folder": tmp_path, "power": 0.9, "simulations": 2_000, "seed": 0}


def test_options_reach_the_plan(seen, tmp_path):
    options = ["--effect", 1.25, "--power", 0.8, "--alpha", 0.01, "--label", "benign", "--magnification", 20]
    options += ["--hypotheses", 8, "--networks", 5, "--network-sd", 0.08]
    result = call(tmp_path, *options, "--simulations", 500, "--seed", 3, "--out", tmp_path / "plan")
    assert result.exit_code == 0, result.output
    several = {"hypotheses": 8, "networks": 5, "network_sd": 0.08}
    numbers = several | {
        "effect": 1.25,
        "power": 0.8,
        "alpha": 0.01,
        "magnification": 20.0,
        "simulations": 500,
        "seed": 3,
    }
    assert seen == {**numbers, "folder": tmp_path, "label": "benign", "out": tmp_path / "plan"}


@pytest.mark.parametrize(
    "options",
    [
        ["--effect", "0"],
        ["--effect", "-1"],
        ["--power", "1"],
        ["--power", "0.499"],
        ["--alpha", "0"],
        ["--alpha", "0.5"],
        ["--simulations", "99"],
        ["--simulations", "100001"],
        ["--seed", "-1"],
        ["--magnification", "0"],
        ["--hypotheses", "0"],
        ["--networks", "0"],
        ["--networks", "51"],
        ["--network-sd", "-0.1"],
    ],
    ids=" ".join,
)
def test_wrong_options_are_wrong_usage(seen, tmp_path, options):
    result = call(tmp_path, *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert not seen


@pytest.mark.parametrize(
    "options",
    [
        ["--power", "0.5"],
        ["--power", "0.999"],
        ["--alpha", "0.499"],
        ["--simulations", "100"],
        ["--simulations", "100000"],
        ["--seed", "0"],
        ["--effect", "0.001"],
        ["--magnification", "0.001"],
        ["--hypotheses", "1"],
        ["--networks", "1"],
        ["--networks", "50"],
        ["--network-sd", "0"],
    ],
    ids=" ".join,
)
def test_the_ends_of_what_is_accepted(seen, tmp_path, options):
    assert call(tmp_path, *options).exit_code == 0
    assert seen[options[0].removeprefix("--").replace("-", "_")] == float(options[1])


def test_the_help_names_what_is_used_where_nothing_is_said():
    words = " ".join(call("--help").stdout.split())
    for default in ("[default: 0.9; 0.5<=x<1]", "[default: 2000; 100<=x<=100000]", "[default: 0; x>=0]"):
        assert default in words


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path):
    assert call(tmp_path / "nowhere").exit_code == 2


def test_a_folder_without_a_run_is_told_apart_from_wrong_usage(tmp_path):
    result = call(tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "finished run" in result.stderr


@pytest.mark.parametrize(("error", "status"), [(StatisticsError, 1), (StudyError, 2)])
def test_refusals_are_messages(monkeypatch, tmp_path, error, status):
    def plan_run(*_, **__):
        raise error("nothing to plan from")

    monkeypatch.setattr("saliency_stats.report.power.plan_run", plan_run)
    result = call(tmp_path)
    assert (result.exit_code, result.stdout, result.stderr) == (status, "", "saliency-stats: nothing to plan from\n")
