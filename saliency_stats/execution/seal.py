"""Seals: what is finished is noted with its hashes, so that a file that was cut or changed since is found."""

import json
from collections.abc import Iterable
from pathlib import Path

from saliency_stats.execution.files import write_json
from saliency_stats.execution.manifest import sha256


def write_seal(path: Path, root: Path, files: Iterable[Path]) -> None:
    """Note the hashes of files, by their names relative to ``root``.

    Raises
    ------
    StorageError
        If the seal cannot be written.
    """
    write_json(path, {file.relative_to(root).as_posix(): sha256(file) for file in files})


def is_sealed(path: Path, root: Path) -> bool:
    """Say whether there is a seal, and every file is as it was sealed; a seal that cannot be read holds nothing."""
    try:
        hashes = json.loads(path.read_text(encoding="utf-8"))
        return isinstance(hashes, dict) and all(sha256(root / name) == found for name, found in hashes.items())
    except (OSError, ValueError, RecursionError):
        return False
