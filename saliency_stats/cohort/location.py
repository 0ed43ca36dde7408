"""Where the files of a listing lie: below one folder.

Paths are relative to the root, or absolute and below it; ``/`` and ``\\`` both separate folders. Nothing outside the
root is read, also not by way of a link.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Final

import pandas as pd

from saliency_stats.cohort.fields import is_unknown
from saliency_stats.cohort.listing import Listing
from saliency_stats.errors import StudyError, shown

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def root_of(table: Path, root: Path | None) -> Path:
    """Give the folder that a table's paths are relative to: its own by default.

    Raises
    ------
    StudyError
        If there is no such folder.
    """
    folder = Path(os.path.abspath(table.parent if root is None else root))  # noqa: PTH100  (links stay as they are)
    if not folder.is_dir():
        raise StudyError(f"cohort.root: there is no folder {folder}; expected the folder that the table's paths lie in")
    return folder


def locate(listing: Listing, column: str, root: Path, *, what: str, may_be_empty: bool = False) -> "pd.Series[str]":
    """Give the paths of a column in one spelling, relative to the root.

    Paths that are empty or lie elsewhere are problems, and so are those of which only the letter case or the Unicode
    form keeps a file from being found. A file that is missing otherwise is none: who reads it says so.
    """
    folders = _Folders(root)
    outside: dict[int, str] = {}
    found: dict[int, str] = {}
    for index, written in listing.table[column].items():
        line = int(str(index))
        relative = folders.relative(written)
        found[line] = "" if relative is None else relative
        if written == "":
            problem = None if may_be_empty else f"the {column} is empty; expected {what}, relative to {root}"
        elif _URL.match(written) or _CONTROL.search(written):
            kind = "a URL" if _URL.match(written) else "no path: it holds control characters"
            problem = f"{column} {shown(written)} is {kind}; expected {what} on this machine"
        elif relative is None:
            outside[line], problem = written, None
        elif (link := folders.leads_out(relative)) is not None:
            found[line], outside[line], problem = "", f"{written} (a link to {link})", None
        else:
            problem = _reached(column, written, relative, folders, what)
        if problem is not None:
            listing.problems.add(problem, [line])
    _tell_outside(listing, outside, column, root)
    return pd.Series(found, dtype="str")


def _reached(column: str, written: str, relative: str, folders: "_Folders", what: str) -> str | None:
    """Say what is wrong with a path below the root, if anything is."""
    try:
        mode = folders.path(relative).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        similar = folders.similar(relative)
        if similar is not None:
            return (
                f"there is no file {shown(relative)}, but {shown(similar[0])}, which differs in {similar[1]} alone; "
                f"write the {column} as the file is called"
            )
        return f"{column} is {shown(written)}; leave it empty where there is none" if is_unknown(written) else None
    except OSError as error:
        return f"{column} {shown(written)} cannot be reached ({error.strerror}); expected {what}"
    if stat.S_ISREG(mode):
        return None
    return f"{column} {shown(written)} is {'a folder' if stat.S_ISDIR(mode) else 'no file'}; expected {what}"


def _tell_outside(listing: Listing, outside: Mapping[int, str], column: str, root: Path) -> None:
    if not outside:
        return
    first = next(iter(outside.values()))
    more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
    listing.problems.add(
        f"{column} {shown(first)}{more} lies outside {root}, the folder that paths are relative to and must lie below. "
        f"Move the files (or the table), or set cohort.root in the study file to a folder above all of them: paths "
        f"are then relative to it, or absolute",
        outside,
    )


class _Folders:
    """Where paths lie below a root; every folder is resolved and listed once."""

    def __init__(self, root: Path) -> None:
        self._root, self._real_root = root, _real(root)
        self._real_folder = lru_cache(maxsize=None)(_real)
        self._names = lru_cache(maxsize=None)(_names)

    def path(self, relative: str) -> Path:
        """Give the path of a file."""
        return self._root / relative

    def relative(self, written: str) -> str | None:
        """Write a path in one way: relative to the root, ``/`` between folders. None if it lies elsewhere."""
        if written == "" or "\0" in written:
            return written
        path = Path(os.path.normpath(written.replace("\\", "/")))
        if not path.is_absolute():
            # on Windows \\data is no absolute path, and yet lies outside: at the top of the current drive
            elsewhere = path.parts[:1] == (os.pardir,) or bool(PureWindowsPath(written).anchor)
            return None if elsewhere else path.as_posix()
        # the root may be spelt with or without a link
        for root, absolute in ((self._root, path), (self._real_root, self._real_folder(path.parent) / path.name)):
            if absolute.is_relative_to(root):
                return absolute.relative_to(root).as_posix()
        return None

    def leads_out(self, relative: str) -> Path | None:
        """Give where a link on the way to a file leads, if that lies outside the root."""
        path = self.path(relative)
        real = self._real_folder(path.parent) / path.name
        if os.path.islink(real):  # noqa: PTH114  (False where a Path would raise)
            real = _real(real)
        return None if real.is_relative_to(self._real_root) else real

    def similar(self, relative: str) -> tuple[str, str] | None:
        """Find the file that a path means but for letter case or Unicode form; also says in which they differ."""
        here, differing = self._root, set()
        for part in Path(relative).parts:
            names, meant = self._names(here)
            name = part if part in names else meant.get(_folded(part))
            if name is None:
                return None
            if name != part:
                same_letters = unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", part)
                differing.add("Unicode form" if same_letters else "letter case")
            here = here / name
        return (here.relative_to(self._root).as_posix(), " and ".join(sorted(differing))) if differing else None


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # a loop of links stays as it is, where Path.resolve may raise


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _names(folder: Path) -> tuple[frozenset[str], dict[str, str]]:
    """List a folder's names, also by what is left of them without letter case and Unicode form."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        names = []
    return frozenset(names), {_folded(name): name for name in names}
