"""A run's folder: everything is written atomically, and what is finished is not computed again."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import filelock
import pandas as pd

from saliency_stats.errors import StorageError

#: Names a run writes into its folder; `--fresh` deletes these and nothing else.
ARTEFACTS: Final = (
    "work",
    "weights",
    "examples",
    "explain",
    "figures",
    "maps",
    "paper",
    "study.yaml",
    "manifest.json",
    "verdict.json",
    "report.html",
    *(
        f"{table}.{ending}"
        for table in (
            "patches",
            "predictions",
            "metrics",
            "training",
            "stains",
            "nuclei",
            "ledger",
            "profile",
            "selection",
            "contrasts",
            "examples",
        )
        for ending in ("csv", "parquet")
    ),
)
_IDENTITY: Final = "identity.json"
#: Tables of more rows than this are written as Parquet too.
BIG_TABLE: Final = 100_000


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when the block ends without an error.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written; what was there before stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)  # noqa: PTH105  (the atomic call, by its name)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise storage_error(path, error) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def storage_error(path: Path, error: OSError) -> StorageError:
    """Say what went wrong with a file and what to do about it."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(
            f"no disk space left while writing {path}. What was finished is kept: free some space and give the same "
            f"command again, or choose another folder with --out"
        )
    return StorageError(
        f"{path} cannot be written ({error.strerror or error}); check the folder's permissions"
    )


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; missing numbers become null."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV in full precision atomically, and beside it a Parquet file if it is big."""
    with atomic(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", encoding="utf-8")
    if len(table) > BIG_TABLE:
        with atomic(path.with_suffix(".parquet")) as partial:
            table.to_parquet(partial, index=False)


class Store:
    """The folder of one run, locked while it is worked on.

    Parameters
    ----------
    folder
        The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"

    @contextmanager
    def opened(self, identity: dict[str, Any], *, fresh: bool, needed_bytes: int) -> Iterator[None]:
        """Open the folder for the run of this identity.

        Parameters
        ----------
        identity
            Everything the results depend on; a folder that holds another identity is refused.
        fresh
            Delete what an earlier run left first.
        needed_bytes
            Disk space the run will take.

        Raises
        ------
        StorageError
            If the folder holds other files or another study, is in use, or the disk is too full.
        """
        try:
            self.work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(self.folder, error) from error
        lock = filelock.FileLock(self.folder / "work" / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise StorageError(
                f"another run is writing to {self.folder}; wait for it, or choose another folder with --out"
            ) from error
        except OSError as error:
            raise storage_error(self.folder, error) from error
        try:
            if fresh:
                self._clear()
            self._check_identity(identity)
            self._check_space(needed_bytes)
            write_json(self.work / _IDENTITY, identity)
            yield
        finally:
            lock.release()

    def table(self, name: str) -> pd.DataFrame:
        """Read one of the run's CSVs; ids stay text, empty ids stay empty."""
        path = self.folder / f"{name}.csv"
        if not path.is_file():
            raise StorageError(
                f"{self.folder} holds no {name}.csv; the run is not finished. Run the study again to finish it"
            )
        text = ("patch_id", "slide_id", "patient_id", "split", "label")
        header = pd.read_csv(path, nrows=0).columns
        table = pd.read_csv(
            path, dtype={name: "str" for name in text if name in header}, float_precision="round_trip"
        )
        return table.fillna({name: "" for name in text if name in header})

    def once(self, name: str, compute: Callable[[], dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
        """Return the tables stored under ``name``, computing and storing them first if they are not there.

        A unit is stored as one folder that appears when it is complete.
        """
        final = self.work / "units" / name
        if not final.is_dir():
            partial = final.with_name(f".{name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            tables = compute()
            try:
                partial.mkdir(parents=True)
                for key, table in tables.items():
                    table.to_parquet(partial / f"{key}.parquet", index=False)
                partial.rename(final)
            except OSError as error:
                shutil.rmtree(partial, ignore_errors=True)
                raise storage_error(final, error) from error
        # always read back, so that a resumed run and an undisturbed one see the same values
        return {path.stem: pd.read_parquet(path) for path in sorted(final.glob("*.parquet"))}

    def is_done(self, name: str) -> bool:
        """Say whether a unit is stored."""
        return (self.work / "units" / name).is_dir()

    def _clear(self) -> None:
        for name in ARTEFACTS:
            path = self.folder / name
            if name == "work":
                for inner in path.iterdir():
                    if inner.name != ".lock":
                        _remove(inner)
            else:
                _remove(path)

    def _check_identity(self, identity: dict[str, Any]) -> None:
        path = self.work / _IDENTITY
        if not path.is_file():
            others = sorted(child.name for child in self.folder.iterdir() if child.name != "work")
            if others:
                raise StorageError(
                    f"{self.folder} is not empty and holds no run of saliency-stats (found {', '.join(others[:5])}); expected "
                    f"a new or empty folder. Choose another one with --out"
                )
            return
        found = json.loads(path.read_text(encoding="utf-8"))
        wanted = json.loads(json.dumps(identity, default=str))
        differing = [name for name, value in _flat(wanted).items() if _flat(found).get(name, value) != value]
        differing += [name for name in _flat(found) if name not in _flat(wanted)]
        differing += [name for name in _flat(wanted) if name not in _flat(found)]
        if differing:
            name = differing[0]
            raise StorageError(
                f"{self.folder} holds another study or other inputs: {name} was {_flat(found).get(name, 'absent')!r} and is now "
                f"{_flat(wanted).get(name, 'absent')!r}{f' ({len(differing)} differences)' if len(differing) > 1 else ''}. "
                f"Choose another folder with --out, or give --fresh to delete that run and start again"
            )

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise StorageError(
                f"no disk space for {self.folder}: the run needs about {needed / 1e6:.0f} MB and {free / 1e6:.0f} MB are free. "
                f"Free some space, or choose another disk with --out"
            )


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
