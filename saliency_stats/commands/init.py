"""Commented study files to start from."""

from importlib import resources
from pathlib import Path
from typing import Final

from saliency_stats.errors import StorageError
from saliency_stats.execution.files import write_text

_FILES: Final = {
    "phantom": {"phantom.yaml": "study.yaml"},
    "patches": {"patches.yaml": "study.yaml", "patches.csv": "patches.csv"},
    "slides": {"slides.yaml": "study.yaml", "slides.csv": "slides.csv"},
}


def write_template(folder: Path, kind: str) -> list[Path]:
    """Write the files of one kind of study into a folder; nothing that exists is overwritten.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    StorageError
        If one of them exists already, or the folder cannot be written.
    """
    targets = {source: folder / name for source, name in _FILES[kind].items()}
    for target in targets.values():
        if target.exists():
            raise StorageError(
                f"{target} exists already and is not overwritten; choose another folder, or move it away"
            )
    for source, target in targets.items():
        write_text(target, resources.files(__package__).joinpath("templates", source).read_text(encoding="utf-8"))
    return list(targets.values())
