"""The files that a run reads: each by name, size and hash, and what has changed since.

A file of up to :data:`WHOLE_BYTES` is hashed as a whole. Of a larger one, a slide, evenly spaced parts are hashed, its
first and its last bytes among them; with its size and its time of modification they stand for the whole.
"""

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import pandas as pd

from saliency_stats.execution.csv_text import csv_pieces

#: Larger files are hashed in parts.
WHOLE_BYTES: Final = 64 * 2**20
_PARTS, _PART_BYTES = 64, 2**18
#: Threads that read, which helps where each file has to be asked for over a network, and files that each takes at once.
_THREADS, _TAKEN = 8, 16
WHOLE, PARTS, MISSING, UNREADABLE = "whole", "parts", "missing", "unreadable"


class Fingerprint(NamedTuple):
    """One row of ``inputs.csv``; a file that is not there, or cannot be read, has no size and no hash."""

    name: str
    size_bytes: int | None
    modified: str
    hashed: str
    sha256: str


def fingerprints(files: Mapping[str, Path], tick: Callable[[int], object] = lambda _: None) -> pd.DataFrame:
    """Describe files in the order of their names.

    Parameters
    ----------
    files
        By the names that the study gives them.
    tick
        Called with numbers of files that have been read.

    Returns
    -------
    DataFrame
        Columns of :class:`Fingerprint`. ``modified`` is the time of modification, of files that are hashed in parts.
    """
    rows = []
    named = sorted(files.items())
    parts = [named[start : start + _TAKEN] for start in range(0, len(named), _TAKEN)]
    with ThreadPoolExecutor(_THREADS, "inputs") as pool:
        for part in pool.map(lambda part: [fingerprint(*item) for item in part], parts):
            rows += part
            tick(len(part))
    return pd.DataFrame(rows, columns=list(Fingerprint._fields)).astype({"size_bytes": "Int64"})


def fingerprint(name: str, path: Path) -> Fingerprint:
    """Describe one file."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size <= WHOLE_BYTES:
                return Fingerprint(name, status.st_size, "", WHOLE, hashlib.file_digest(file, "sha256").hexdigest())
            modified = datetime.fromtimestamp(status.st_mtime, UTC).isoformat()
            return Fingerprint(name, status.st_size, modified, PARTS, _hash_of_parts(file, status.st_size))
    except (FileNotFoundError, NotADirectoryError):
        return Fingerprint(name, None, "", MISSING, "")
    except OSError:
        return Fingerprint(name, None, "", UNREADABLE, "")


def _hash_of_parts(file: BinaryIO, size: int) -> str:
    found = hashlib.sha256()
    for number in range(_PARTS):
        file.seek((size - _PART_BYTES) * number // (_PARTS - 1))
        found.update(file.read(_PART_BYTES))
    return found.hexdigest()


def as_csv(table: pd.DataFrame) -> bytes:
    """Return a table as its CSV holds it; the hash of ``inputs.csv`` stands for all inputs."""
    return b"".join(csv_pieces(table))


def changes(before: pd.DataFrame, now: pd.DataFrame) -> Iterator[str]:
    """Say what differs between two tables of inputs, file by file: changed, gone or new.

    Parameters
    ----------
    before, now
        As read from ``inputs.csv``, where missing numbers are NaN.
    """
    was, found = (
        {name: Fingerprint(name, *rest) for name, *rest in table[list(Fingerprint._fields)].itertuples(index=False)}
        for table in (before, now)
    )
    for name in sorted(was.keys() | found.keys()):
        old, new = was.get(name), found.get(name)
        if old is None or (new is not None and not old.sha256 and new.sha256):
            yield f"{name} is new" if old is None else f"{name} was {old.hashed} and is there now"
        elif new is None:
            yield f"{name} is gone from the study"
        elif not new.sha256 and old.sha256:
            yield f"{name} is gone" if new.hashed == MISSING else f"{name} cannot be read any more"
        elif old.sha256 != new.sha256 or _size(old) != _size(new):
            yield f"{name} has changed{_sizes(old, new)}"
        elif old[1:] != new[1:] and old.sha256:
            yield f"{name} has changed, or only its time of modification ({old.modified}, now {new.modified})"


def _size(found: Fingerprint) -> int | None:
    return None if found.size_bytes is None or math.isnan(found.size_bytes) else int(found.size_bytes)


def _sizes(old: Fingerprint, new: Fingerprint) -> str:
    before, now = _size(old), _size(new)
    return "" if before == now else f" ({before:,} bytes, now {now:,})"
