"""One file, or one content, counts once, whatever it is called."""

import hashlib
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from saliency_stats.cohort.listing import Listing
from saliency_stats.errors import shown

#: Pieces of a file that are compared before the whole of it is: big files of one size seldom share them.
_PIECES: Final = 16
_PIECE_BYTES: Final = 65_536


def check_one_file(
    listing: Listing, paths: Mapping[int, str], names: Mapping[int, str], root: Path, remedy: str = ""
) -> None:
    """Refuse a file that is listed twice: by another spelling, by a link, or by a hard link.

    ``remedy`` is said instead of the usual one where the file is not what the row is about.
    """
    row = listing.columns.row
    remedy = remedy or f"every {row} counts once. Delete one of the lines"
    seen: dict[object, int] = {}
    for line, relative in _named(paths):
        first = seen.setdefault(_identity(root, relative), line)
        if first != line:
            also = "" if paths[first] == relative else f" (also called {shown(relative)})"
            as_two = f", as {row} {shown(names[first])} and as {shown(names[line])}"
            listing.problems.add(
                f"the file {shown(paths[first])}{also} is listed twice{as_two if names[first] != names[line] else ''}; "
                f"{remedy}",
                [first, line],
            )


def check_one_content(listing: Listing, paths: Mapping[int, str], names: Mapping[int, str], root: Path) -> None:
    """Refuse copies: files of the same bytes under two names. Only files of one size are opened."""
    row = listing.columns.row
    files = {line: root / relative for line, relative in _named(paths)}
    for first, again in _copies(files):
        if not files[first].samefile(files[again]):  # one file is no copy of itself, and was said to be one
            listing.problems.add(
                f"{shown(paths[again])} holds the same bytes as {shown(paths[first])}: {row} {shown(names[first])} is "
                f"listed again as {shown(names[again])}; every {row} counts once. Delete one of the lines",
                [first, again],
            )


def _named(paths: Mapping[int, str]) -> list[tuple[int, str]]:
    """Leave out what is no path below the root; that was said already."""
    return [(line, relative) for line, relative in paths.items() if relative != ""]


def _identity(root: Path, relative: str) -> object:
    """Tell a file from others by where its bytes lie, by its path where it is missing or the system does not say."""
    try:
        state = (root / relative).stat()
    except (OSError, ValueError):
        return relative
    return (state.st_dev, state.st_ino) if stat.S_ISREG(state.st_mode) and state.st_ino else relative


def _copies(files: Mapping[int, Path]) -> list[tuple[int, int]]:
    """Find pairs of (first, copy) among files: by size, then by pieces, then whole."""
    groups = [list(files)]
    for key in (_size, _pieces_sha256, _sha256):
        groups = [part for group in groups for part in _alike(group, files, key) if len(part) > 1]
    return sorted((group[0], again) for group in groups for again in group[1:])


def _alike(group: list[int], files: Mapping[int, Path], key: Callable[[Path], object]) -> list[list[int]]:
    parts: dict[object, list[int]] = {}
    for line in group:
        try:
            parts.setdefault(key(files[line]), []).append(line)
        except (OSError, ValueError):
            continue  # who reads it says so
    return list(parts.values())


def _size(path: Path) -> int:
    return path.stat().st_size


def _pieces_sha256(path: Path) -> str:
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        for piece in range(_PIECES):
            file.seek(max(0, size - _PIECE_BYTES) * piece // (_PIECES - 1))
            digest.update(file.read(_PIECE_BYTES))
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
