"""What a command does with an error: one message on stderr and an exit status."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import click

from saliency_stats.errors import SaliencyStatsError

Parameters = ParamSpec("Parameters")


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
            click.echo(
                "\nsaliency-stats: stopped; nothing finished is lost, and the same command can be given again", err=True
            )
            sys.exit(130)

    return wrapped
