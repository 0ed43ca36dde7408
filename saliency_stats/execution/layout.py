"""What stands where in a run's folder: nothing is written through a link that leads out of it."""

import os
from collections.abc import Iterator
from pathlib import Path

from saliency_stats.errors import StorageError
from saliency_stats.execution.files import some
from saliency_stats.execution.schema import FILES, FOLDERS, TABLES, UNHASHED

_FILES = frozenset({*FILES, "manifest.json", *(f"{name}.{ending}" for name in TABLES for ending in ("csv", "parquet"))})
_FOLDERS = frozenset({*FOLDERS, *UNHASHED} - {"manifest.json"})


def check_layout(folder: Path) -> None:
    """Refuse a run's folder with a link that leads out of it, a file for a folder, or a folder for a file.

    Raises
    ------
    StorageError
        With everything that is wrong.
    """
    wrong = [*_wrong_kinds(folder), *_links_out(folder)]
    if wrong:
        raise StorageError(
            f"{folder} is not laid out as a run's folder is: {some(wrong)}. Nothing was changed: move them away, or "
            f"choose another folder with --out"
        )


def is_link(path: Path) -> bool:
    """Tell whether a path leads elsewhere: a link, or a junction of Windows, which does not count as one there."""
    # unlike Path.resolve, realpath takes a link to itself
    return path.is_symlink() or Path(os.path.realpath(path)) != Path(os.path.realpath(path.parent)) / path.name


def _wrong_kinds(folder: Path) -> Iterator[str]:
    for name in sorted(_FOLDERS | _FILES):
        path = folder / name
        if name in _FOLDERS and path.exists() and not path.is_dir():
            yield f"{name} is a file, expected a folder"
        elif name in _FILES and path.is_dir():
            yield f"{name} is a folder, expected a file"


def _links_out(folder: Path) -> Iterator[str]:
    # the folder itself may be a link: what is meant is where it leads
    home = folder.resolve()
    for own in sorted(_FOLDERS):
        inner = [Path(place) / name for place, folders, _ in os.walk(home / own) for name in sorted(folders)]
        for path in (home / own, *inner):
            leads_to = Path(os.path.realpath(path))
            if is_link(path) and (not leads_to.is_relative_to(home) or not path.exists()):
                yield f"{path.relative_to(home).as_posix()} is a link to {leads_to}, expected a folder of its own"
