"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Final

import click

FILE: Final = click.Path(path_type=Path, dir_okay=False)
FOLDER: Final = click.Path(path_type=Path, file_okay=False)
study_argument = click.argument("study", required=False, type=FILE)
set_option = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Override a key of the study file; repeatable.",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where to compute: auto takes CUDA where there is one; mps is the GPU of a Mac.",
)


def named(study: Path | None) -> str:
    """Name a study file as messages do."""
    return "the built-in study" if study is None else str(study)
