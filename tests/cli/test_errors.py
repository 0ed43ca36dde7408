"""What a command does with an error, and with an interruption."""

import signal
import subprocess
import sys

import click
import pytest

from saliency_stats.cli.errors import reported, stopped_at_once
from saliency_stats.errors import CohortError, StudyError

STOPPED = "\nsaliency-stats: stopped; nothing finished is lost, and the same command can be given again\n"


def raising(error):
    @reported
    def command():
        raise error

    return command


def test_a_command_is_called_as_it_is_and_keeps_its_name():
    seen = []

    @reported
    def command(*places, **names):
        """Do it."""
        seen.append((places, names))

    command(1, b=2)
    assert seen == [((1,), {"b": 2})]
    assert (command.__name__, command.__doc__) == ("command", "Do it.")


@pytest.mark.parametrize(("error", "status"), [(CohortError("no slides"), 1), (StudyError("no slides"), 2)])
def test_an_error_of_the_package_is_a_red_message_on_stderr(monkeypatch, capsys, error, status):
    written = []
    monkeypatch.setattr(click, "secho", lambda text, **style: written.append((text, style)))
    with pytest.raises(SystemExit) as stopped:
        raising(error)()
    assert stopped.value.code == status
    assert written == [("saliency-stats: no slides", {"err": True, "fg": "red"})]
    assert capsys.readouterr() == ("", "")


def test_an_interruption_is_said_on_stderr(capsys):
    with pytest.raises(SystemExit) as stopped:
        raising(KeyboardInterrupt())()
    assert stopped.value.code == 130
    assert capsys.readouterr() == ("", STOPPED)


def test_any_other_error_comes_through():
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())()


def test_an_interrupted_process_ends_at_once_and_says_so():
    """A worker is in the middle of something long; Python would wait for it."""
    script = (
        "import os, signal, threading, time\n"
        "from saliency_stats.cli.errors import stopped_at_once\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "with stopped_at_once():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", STOPPED)


def test_afterwards_an_interruption_means_what_it_meant():
    before = signal.getsignal(signal.SIGINT)
    with stopped_at_once():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ZeroDivisionError), stopped_at_once():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before
