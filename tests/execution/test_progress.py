"""Progress is shown to a person in a terminal, and the time of each stage is kept."""

from types import SimpleNamespace

import pytest

from saliency_stats.execution import progress as module
from saliency_stats.execution.progress import Progress


def test_a_stage_shows_a_bar_with_rate_and_remaining_time(capsys):
    progress = Progress(show=True)
    with progress.stage("look at patches", 4) as bar:
        for _ in range(4):
            bar.update(1)
    shown = capsys.readouterr()
    assert "look at patches" in shown.err
    assert "4/4" in shown.err
    assert "patch/s" in shown.err
    assert shown.out == ""


def test_without_a_terminal_nothing_is_shown(capsys):
    progress = Progress()  # pytest's stderr is none
    with progress.stage("train", 2) as bar:
        bar.update(2)
    progress.say("done")
    assert capsys.readouterr() == ("", "")


def test_lines_go_to_stderr(capsys):
    Progress(show=True).say("2 patches are excluded")
    assert capsys.readouterr() == ("", "2 patches are excluded\n")


@pytest.mark.parametrize("show", [True, False])
def test_times_of_a_stage_add_up(monkeypatch, show):
    clock = iter([10.0, 12.5, 20.0, 21.0, 30.0, 30.25])
    progress = Progress(show=show)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    for name in ("train", "train", "report"):
        with progress.stage(name, 1) as bar:
            assert bar.n == 0
    assert progress.seconds == {"train": 3.5, "report": 0.25}


def test_by_default_only_a_terminal_is_written_to(monkeypatch):
    for terminal in (True, False):
        monkeypatch.setattr(module.sys, "stderr", SimpleNamespace(isatty=lambda terminal=terminal: terminal))
        assert Progress().show is terminal


def test_what_is_counted_is_named(capsys):
    with Progress(show=True).stage("segment", 2, unit="image") as bar:
        bar.update(2)
    assert "image/s" in capsys.readouterr().err


def test_a_stage_that_fails_is_not_timed_and_its_error_comes_through(capsys):
    progress = Progress(show=True)
    with pytest.raises(ZeroDivisionError), progress.stage("train", 3):
        raise ZeroDivisionError
    assert progress.seconds == {}
    assert capsys.readouterr().err.endswith("\n")  # the message that follows starts on a line of its own
