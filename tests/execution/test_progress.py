"""Progress is shown to a person in a terminal and told in a log, and the time of each stage is kept."""

import re
import time
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


def test_silence_can_be_asked_for(capsys):
    progress = Progress(show=False)
    with progress.stage("train", 2) as bar:
        bar.update(2)
    progress.say("done")
    assert capsys.readouterr() == ("", "")


def test_a_log_holds_what_is_said_and_nothing_of_a_short_stage(capsys):
    progress = Progress()  # pytest's stderr is no terminal
    with progress.stage("train", 2) as bar:
        bar.update(2)
    progress.say("2 patches are excluded")
    assert capsys.readouterr() == ("", "2 patches are excluded\n")


def test_a_long_stage_leaves_a_line_now_and_then_in_a_log(capsys, monkeypatch):
    monkeypatch.setattr(module, "_BETWEEN", 0.15)
    with Progress().stage("train", 6) as bar:
        for _ in range(6):
            time.sleep(0.1)
            bar.update(1)
    lines = capsys.readouterr().err.split("\n")
    assert 3 <= len([line for line in lines if line]) <= 5
    assert re.match(r"train:  (33|50)% [23]/6 \[00:00<00:00, +\d+\.\d+ patch/s\]$", lines[0]), lines[0]
    assert "100% 6/6" in lines[-3]
    assert not any("\r" in line or "█" in line for line in lines)


def test_what_is_said_during_a_stage_is_a_line_alone(capsys):
    progress = Progress()
    with progress.stage("train", 2) as bar:
        progress.say("a.png: broken")
        bar.update(1)
    assert capsys.readouterr() == ("", "a.png: broken\n")


def test_a_log_has_a_line_a_minute():
    assert module._BETWEEN == 60.0


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


def test_by_default_only_a_terminal_has_bars(monkeypatch):
    for terminal in (True, False):
        monkeypatch.setattr(module.sys, "stderr", SimpleNamespace(isatty=lambda terminal=terminal: terminal))
        assert (Progress().show, Progress().bars) == (True, terminal)


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
