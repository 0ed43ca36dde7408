"""What a command does with an error: one message on stderr and an exit status."""

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, ParamSpec

import click

from saliency_stats.errors import SaliencyStatsError

Parameters = ParamSpec("Parameters")
_STOPPED: Final = "\nsaliency-stats: stopped; nothing finished is lost, and the same command can be given again"
_INTERRUPTED: Final = 130


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

    return wrapped


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
