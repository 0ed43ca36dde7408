"""The files of a finished run, each of which is read only if it is as the run wrote it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from saliency_stats.errors import StorageError
from saliency_stats.execution.files import plain, read_json, some, write_json
from saliency_stats.execution.layout import check_layout
from saliency_stats.execution.manifest import is_drawn, sha256

MANIFEST: Final = "manifest.json"
#: Written last: a run that has it is finished.
_LAST: Final = "report.html"
_REMEDY: Final = (
    "Put back what the run wrote; or delete these files and give the command of the run again, which computes anew "
    "what is missing; with --fresh it computes everything anew"
)
_LARGE: Final = frozenset({"weights", "maps"})
_HEAD_BYTES: Final = 4096
#: Of the manifest's own hash, which it holds beside the others.
_SEAL: Final = "manifest_sha256"


def write_manifest(folder: Path, record: Mapping[str, Any]) -> None:
    """Write what made a run, with a hash of its own.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    write_json(folder / MANIFEST, {**record, _SEAL: _sealed(record)})


def _sealed(record: Mapping[str, Any]) -> str:
    content = plain({key: value for key, value in record.items() if key != _SEAL})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Recorded:
    """A run's folder by its manifest, which holds the hash of everything that the run wrote.

    Parameters
    ----------
    folder
        The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._intact: set[str] = set()

    @property
    def exists(self) -> bool:
        """Whether the run has come so far that it left a manifest."""
        return (self.folder / MANIFEST).exists()

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What made the run.

        Raises
        ------
        StorageError
            If there is no such folder, no manifest in it, or one that cannot be read.
        """
        if not self.folder.is_dir():
            raise StorageError(f"{self.folder}: no such folder; give the folder that `saliency-stats run` wrote")
        path = self.folder / MANIFEST
        if not self.exists:
            raise StorageError(
                f"{self.folder} holds no finished run (there is no {MANIFEST} in it); expected the folder that "
                f"`saliency-stats run` wrote. If a run was stopped there, give its command again to finish it"
            )
        remedy = (
            "Put it back; or delete it and give the command of the run again, which computes the tables anew and "
            "keeps the trained networks; with --fresh it computes everything anew"
        )
        content = read_json(path, dict, remedy)
        if content.get(_SEAL, _sealed(content)) != _sealed(content):
            raise StorageError(f"{path} is not as the run wrote it (its hash is another). {remedy}")
        hashes = content.get("artefacts")
        if not isinstance(hashes, dict) or not all(isinstance(value, str) for value in hashes.values()):
            raise StorageError(f"{path} does not say what the run wrote (artefacts). {remedy}")
        return content

    @property
    def hashes(self) -> dict[str, str]:
        """Hashes of the artefacts, by their names relative to the folder."""
        return dict(self.manifest["artefacts"])

    @property
    def finished(self) -> bool:
        """Whether the run wrote everything, its report too."""
        return _LAST in self.manifest["artefacts"]

    def file(self, name: str) -> Path:
        """Return the path of one of the run's files, which is as the run wrote it.

        Raises
        ------
        StorageError
            If it is not; the message says what is wrong and what to do.
        """
        self.check([name])
        return self.folder / name

    def check(self, names: Iterable[str]) -> None:
        """Refuse files that are not as the run wrote them.

        Raises
        ------
        StorageError
            With all of them.
        """
        wrong = [f"{name} {problem}" for name in names if (problem := self.problem(name))]
        if wrong:
            raise StorageError(f"{self.folder} is not as the run left it: {some(wrong)}. {_REMEDY}")

    def check_readable(self) -> None:
        """Refuse a folder of which anything that a report reads is not as the run left it.

        Raises
        ------
        StorageError
            With all of it.
        """
        # trained networks and kept maps are large, and no report reads them
        names = [name for name in self.hashes if not is_drawn(name) and name.partition("/")[0] not in _LARGE]
        check_layout(self.folder)
        self.check(names)

    def problem(self, name: str) -> str:
        """Say what is wrong with a file; empty if it is, or once was found, as the run wrote it."""
        if name in self._intact:
            return ""
        wanted = self.manifest["artefacts"].get(name)
        found = f"is not among the artefacts of {MANIFEST}" if wanted is None else _differs(self.folder / name, wanted)
        if not found:
            self._intact.add(name)
        return found

    def missing(self) -> list[str]:
        """Name the files that are missing; what is drawn from the others is looked for but need not be as it was.

        Raises
        ------
        StorageError
            If another file is there and is not as the run wrote it.
        """
        missing = [name for name in self.hashes if not (self.folder / name).exists()]
        self.check(name for name in self.hashes if name not in set(missing) and not is_drawn(name))
        return missing


def _differs(path: Path, wanted: str) -> str:
    """Say how a file differs from the one with this hash; empty if it does not."""
    if path.is_dir():
        return "is a folder"
    if path.exists() and not path.is_file():  # a pipe would be waited for
        return "is no file"
    try:
        return "" if sha256(path) == wanted else f"{_looks(path)} (its hash is not the one in {MANIFEST})"
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _looks(path: Path) -> str:
    """Say what a file that has changed looks like."""
    size = path.stat().st_size
    if not size:
        return "is empty"
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(-1, 2)
        last = file.read()
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "is UTF-16 text, and was UTF-8"
    if path.suffix == ".csv":
        header = head.split(b"\n")[0]
        for separator in (b";", b"\t"):
            if separator in header and b"," not in header:
                return f"has its columns separated by {separator.decode()!r}, and had commas"
        if last != b"\n":
            return "ends in the middle of a line"
    return "has changed"
