"""Whose folder it is: the study, the versions, the device and the inputs of a run, kept beside what it computes."""

import os
from pathlib import Path
from typing import Any, Final

from saliency_stats.errors import StorageError
from saliency_stats.execution.files import read_json, write_json

IDENTITY: Final = "identity.json"
#: The hash of ``inputs.csv``, which is known only when all files have been read.
INPUTS: Final = "inputs"
_REMEDY: Final = "choose another folder with --out, or give --fresh to delete that run and start again"


def read_identity(work: Path) -> dict[str, Any] | None:
    """Read which study a folder holds; None where there is none yet.

    Raises
    ------
    StorageError
        If the file is damaged.
    """
    path = work / IDENTITY
    if not os.path.lexists(path):
        return None
    remedy = f"It tells which study the folder holds. Put it back, {_REMEDY}"
    if not path.is_file():  # a pipe would be waited for
        raise StorageError(f"{path} is no file. {remedy}")
    return read_json(path, dict, remedy)


def write_identity(work: Path, identity: dict[str, Any], inputs: str | None) -> None:
    """Write which study a folder holds, and the hash of its inputs where it is known."""
    write_json(work / IDENTITY, identity if inputs is None else {**identity, INPUTS: inputs})


def check_identity(folder: Path, before: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse a folder of another study; its inputs are compared file by file elsewhere.

    Raises
    ------
    StorageError
        With the first key that differs, and how many do.
    """
    was, now = _flat({key: value for key, value in before.items() if key != INPUTS}), _flat(wanted)
    absent = object()
    differing = [name for name in now | was if now.get(name, absent) != was.get(name, absent)]
    if differing:
        name = differing[0]
        more = f" ({len(differing)} differences)" if len(differing) > 1 else ""
        raise StorageError(
            f"{folder} holds another study: {name} was {was.get(name, 'absent')!r} and is now "
            f"{now.get(name, 'absent')!r}{more}. {_REMEDY.capitalize()}"
        )


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
