import time

import pytest

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
def test_times_of_a_stage_add_up(show):
    progress = Progress(show=show)
    for _ in range(2):
        with progress.stage("train", 1):
            time.sleep(0.02)
    with progress.stage("report", 1):
        pass
    assert list(progress.seconds) == ["train", "report"]
    assert 0.04 <= progress.seconds["train"] < 2
    assert progress.seconds["report"] < progress.seconds["train"]


def test_a_stage_that_fails_is_not_timed_and_its_error_comes_through(capsys):
    progress = Progress(show=True)
    with pytest.raises(ZeroDivisionError), progress.stage("train", 3):
        raise ZeroDivisionError
    assert progress.seconds == {}
    assert capsys.readouterr().err.endswith("\n")  # the message that follows starts on a line of its own
