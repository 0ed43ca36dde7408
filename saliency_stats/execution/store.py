"""A run's folder: everything is written atomically, and what is finished is not computed again."""

import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any, Final

import filelock
import numpy as np
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
    "slide_pictures",
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
            "compositional",
            "shift",
            "ablation",
            "ablation_curves",
            "causal",
            "crossed",
            "multiverse",
            "multiverse_summary",
            "slides",
            "power",
            "examples",
        )
        for ending in ("csv", "parquet")
    ),
)
_IDENTITY: Final = "identity.json"
_LOCK: Final = ".lock"
#: Columns that are text whatever they look like: slide "007" is not slide 7, and slide "NA" has a name.
TEXT_COLUMNS: Final = ("patch_id", "slide_id", "patient_id", "stain_group", "split", "label", "source")
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
        _discard(partial)
        raise storage_error(path, error) from error
    except BaseException:
        _discard(partial)
        raise


def storage_error(path: Path, error: OSError) -> StorageError:
    """Say what went wrong with a file and what to do about it."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(
            f"no disk space left while writing {path}. What was finished is kept: free some space and give the same "
            f"command again, or choose another folder with --out"
        )
    return StorageError(f"{path} cannot be written ({error.strerror or error}); check the folder's permissions")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; missing numbers become null, numbers of NumPy plain ones, paths text."""
    write_text(path, json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


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
            self._refuse_foreign()
            self.work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(self.folder, error) from error
        lock = filelock.FileLock(self.work / _LOCK)
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
            self._check_identity(_plain(identity))
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
        header = list(pd.read_csv(path, nrows=0).columns)
        text = [name for name in header if name in TEXT_COLUMNS]
        return pd.read_csv(
            path,
            dtype=dict.fromkeys(text, "str"),
            keep_default_na=False,
            na_values={name: [""] for name in header if name not in text},
        )

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

    def forget_units(self) -> None:
        """Delete the stored units of a finished run: its CSVs hold all they held."""
        shutil.rmtree(self.work / "units", ignore_errors=True)

    def _refuse_foreign(self) -> None:
        """Refuse a folder with files that are not a run's, before anything in it is touched."""
        if not self.folder.is_dir() or (self.work / _IDENTITY).is_file():
            return
        others = [child.name for child in self.folder.iterdir() if child.name != self.work.name]
        if self.work.exists():
            # a run that was stopped before its first word leaves no more than these
            begun = {_LOCK, f".{_IDENTITY}.partial"}
            others += [f"work/{child.name}" for child in self.work.iterdir() if child.name not in begun]
        if others:
            found = ", ".join(sorted(others)[:5])
            raise StorageError(
                f"{self.folder} is not empty and holds no run of saliency-stats (found {found}); expected a "
                f"new or empty folder. Choose another one with --out"
            )

    def _clear(self) -> None:
        try:
            for name in ARTEFACTS:
                if name != self.work.name:
                    _remove(self.folder / name)
                    _remove(self.folder / f".{name}.partial")
            # the identity goes last: without it what is left would pass for somebody else's
            for inner in sorted(self.work.iterdir(), key=lambda path: path.name == _IDENTITY):
                if inner.name != _LOCK:
                    _remove(inner)
        except OSError as error:
            raise storage_error(self.folder, error) from error

    def _check_identity(self, wanted: dict[str, Any]) -> None:
        path = self.work / _IDENTITY
        if not path.is_file():
            return
        before, now = _flat(json.loads(path.read_text(encoding="utf-8"))), _flat(wanted)
        absent = object()
        differing = [name for name in now | before if now.get(name, absent) != before.get(name, absent)]
        if differing:
            name = differing[0]
            more = f" ({len(differing)} differences)" if len(differing) > 1 else ""
            raise StorageError(
                f"{self.folder} holds another study or other inputs: {name} was {before.get(name, 'absent')!r} and is "
                f"now {now.get(name, 'absent')!r}{more}. Choose another folder with --out, or give --fresh to delete "
                f"that run and start again"
            )

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise StorageError(
                f"no disk space for {self.folder}: the run needs about {needed / 1e6:.0f} MB and {free / 1e6:.0f} MB "
                f"are free. Free some space, or choose another disk with --out"
            )


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _plain(content: Any) -> Any:
    """Turn content into what JSON knows; anything else is left for JSON to refuse."""
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, np.generic):
        content = content.item()
    if isinstance(content, float) and math.isnan(content):
        return None
    return str(content) if isinstance(content, PurePath) else content


def _discard(partial: Path) -> None:
    # the error that brought us here is the one to report
    with suppress(OSError):
        partial.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
