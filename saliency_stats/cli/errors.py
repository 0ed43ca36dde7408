"""What a command does with an error: one message on stderr and an exit status."""

import functools
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, ParamSpec

import click

from saliency_stats import __version__
from saliency_stats.errors import SaliencyStatsError

Parameters = ParamSpec("Parameters")
_STOPPED: Final = "\nsaliency-stats: stopped; nothing finished is lost, and the same command can be given again"
_INTERRUPTED: Final = 130
#: Characters of a message or a command that are shown.
_LONGEST: Final = 500


def reported(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Turn the package's errors into one message on stderr and an exit status."""

    @functools.wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except SaliencyStatsError as error:
            click.secho(f"saliency-stats: {error}", err=True, fg="red")
            sys.exit(error.exit_status)
        except KeyboardInterrupt:
            click.echo(_STOPPED, err=True)
            sys.exit(_INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click's own
        except Exception as error:
            click.secho(_unforeseen(error), err=True, fg="red")
            raise SystemExit(1) from error

    return wrapped


def typed() -> str:
    """Return the command as it was typed, quoted for the shell of the system."""
    join = subprocess.list2cmdline if sys.platform == "win32" else shlex.join
    return join(["saliency-stats", *sys.argv[1:]])


def _unforeseen(error: Exception) -> str:
    """Say what no message was written for, and keep the traceback for whoever mends it."""
    what = str(error).strip().split("\n")[0][:_LONGEST]
    lines = [
        f"saliency-stats: an error that was not foreseen: {type(error).__name__}{f': {what}' if what else ''}",
        f"command: {typed()[:_LONGEST]}",
        f"version: {__version__}",
    ]
    if isinstance(error, MemoryError):
        lines.append("The memory was not enough: fewer --workers, a smaller saliency.batch_size or patches need less.")
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="saliency-stats-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write("\n".join([*lines, "", *traceback.format_exception(error)]))
        lines.append(f"traceback: {file.name}. What is finished stays; please report this with that file.")
    except OSError as full:
        lines += [f"traceback (it could not be written to a file: {full}):", *traceback.format_exception(error)]
    return "\n".join(lines)


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """Let an interruption end the process as it stands, as a kill does, after saying so.

    Workers are threads, and Python would wait for each to finish its batch. What is finished is on the disk already.
    """

    def stop(*_: object) -> None:
        click.echo(_STOPPED, err=True)
        os._exit(_INTERRUPTED)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
