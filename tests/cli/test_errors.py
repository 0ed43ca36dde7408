"""What a command does with an error, and with an interruption."""

import signal
import subprocess
import sys
import tempfile

import click
import pytest

from saliency_stats import __version__
from saliency_stats.cli.errors import reported, stopped_at_once, typed
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


def test_an_error_that_nobody_foresaw_is_one_message_and_keeps_its_traceback(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["/usr/bin/saliency-stats", "run", "my study.yaml"])
    with pytest.raises(SystemExit) as stopped:
        raising(KeyError("patch_id"))()
    assert stopped.value.code == 1
    (kept,) = tmp_path.iterdir()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.split("\n") == [
        "saliency-stats: an error that was not foreseen: KeyError: 'patch_id'",
        "command: saliency-stats run 'my study.yaml'",
        f"version: {__version__}",
        f"traceback: {kept}. What is finished stays; please report this with that file.",
        "",
    ]
    text = kept.read_text(encoding="utf-8")
    assert text.startswith(err[: err.index("traceback")])
    assert "raise error" in text
    assert text.endswith("KeyError: 'patch_id'\n")


@pytest.mark.parametrize(
    ("system", "quoted"), [("linux", "'my study.yaml' 'C:\\x'"), ("win32", '"my study.yaml" C:\\x')]
)
def test_a_command_is_quoted_for_the_shell_of_the_system(monkeypatch, system, quoted):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys, "argv", ["x", "run", "my study.yaml", "C:\\x"])
    assert typed() == f"saliency-stats run {quoted}"


def test_a_long_or_empty_reason_is_shown_in_part(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["saliency-stats", "y" * 600])
    with pytest.raises(SystemExit):
        raising(ValueError("x" * 600 + "\nsecond line"))()
    first, command, *_ = capsys.readouterr().err.split("\n")
    assert first.endswith(f"ValueError: {'x' * 500}")
    assert command == f"command: saliency-stats {'y' * 485}"
    with pytest.raises(SystemExit):
        raising(ValueError())()
    assert capsys.readouterr().err.startswith("saliency-stats: an error that was not foreseen: ValueError\n")


def test_where_no_file_can_be_written_the_traceback_is_shown(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(SystemExit):
        raising(ValueError("odd"))()
    err = capsys.readouterr().err
    assert "traceback (it could not be written to a file: " in err
    assert err.rstrip().endswith("ValueError: odd")


def test_too_little_memory_comes_with_a_remedy(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for error, said in ((MemoryError("no 3 GB"), True), (ValueError("no"), False)):
        with pytest.raises(SystemExit):
            raising(error)()
        assert ("fewer --workers, a smaller saliency.batch_size" in capsys.readouterr().err) == said


@pytest.mark.parametrize("error", [click.UsageError("no"), click.exceptions.Exit(3), click.Abort(), BrokenPipeError()])
def test_what_click_deals_with_comes_through(error):
    with pytest.raises(type(error)):
        raising(error)()


@pytest.mark.posix("signals")
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
