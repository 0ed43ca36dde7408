"""A run's folder: everything is written atomically, and what is finished is not computed again."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import filelock
import pandas as pd

from saliency_stats.errors import StorageError
from saliency_stats.execution.files import plain, storage_error, write_json, write_table
from saliency_stats.execution.schema import TABLES, artefacts

_IDENTITY: Final = "identity.json"
_LOCK: Final = ".lock"


class Store:
    """The folder of one run, locked while it is worked on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"

    @contextmanager
    def opened(self, identity: dict[str, Any], *, fresh: bool) -> Iterator[None]:
        """Open the folder for the run of this identity.

        Parameters
        ----------
        identity
            Everything the results depend on; a folder that holds another identity is refused.
        fresh
            Delete what an earlier run left first.

        Raises
        ------
        StorageError
            If the folder holds other files or another study, or is in use.
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
            self._check_identity(plain(identity))
            write_json(self.work / _IDENTITY, identity)
            yield
        finally:
            lock.release()

    def write(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """Write one of the run's tables as CSV, and beside it as Parquet where it is big.

        Returns
        -------
        DataFrame
            The table as :meth:`table` would read it.

        Raises
        ------
        StorageError
            If the table has other columns than the schema says, or cannot be written.
        """
        spec = TABLES[name]
        undeclared = [column for column in table.columns if spec.kind(str(column)) is None]
        if undeclared:
            raise StorageError(f"{name}: the columns {', '.join(undeclared)} are not in the schema of artefacts")
        typed = spec.typed(table, name)
        write_table(self.folder / f"{name}.csv", table)
        return typed

    def write_once(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """Write a table of the inputs; a run that goes on must find the same inputs.

        Raises
        ------
        StorageError
            If an earlier part of the run saw others; what is there stays.
        """
        path = self.folder / f"{name}.csv"
        if not path.is_file():
            return self.write(name, table)
        before, now = path.read_bytes(), table.to_csv(index=False, lineterminator="\n").encode()
        if before != now:
            lines = zip(before.split(b"\n"), now.split(b"\n"), strict=False)
            line = next((n for n, (old, new) in enumerate(lines, start=1) if old != new), 0)
            raise StorageError(
                f"the patches have changed since the run in {self.folder} began (line {line} of {name}.csv); "
                f"expected the same images. Put them back, or give --fresh to start again"
            )
        return TABLES[name].typed(table, name)

    def table(self, name: str) -> pd.DataFrame:
        """Read one of the run's tables, every column in its declared type.

        Raises
        ------
        StorageError
            If the run has none, or it cannot be read; the message names the file.
        """
        path = self.folder / f"{name}.csv"
        if not path.is_file():
            raise StorageError(f"{path}: missing; a finished run has it. Run the study again to finish it")
        try:
            found = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise StorageError(f"{path}: cannot be read as CSV: {error}") from error
        return TABLES[name].typed(found, str(path))

    def compute_once(self, name: str, compute: Callable[[], dict[str, pd.DataFrame]]) -> None:
        """Compute and store tables under ``name`` if they are not there: one folder, which appears when complete."""
        final = self.work / "batches" / name
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

    def read_batch(self, name: str) -> dict[str, pd.DataFrame]:
        """Read what :meth:`compute_once` stored: a run that was resumed and an undisturbed one see the same values."""
        final = self.work / "batches" / name
        return {path.stem: pd.read_parquet(path) for path in sorted(final.glob("*.parquet"))}

    def forget_batches(self) -> None:
        """Delete the stored batches of a finished run: its CSVs hold all they held."""
        shutil.rmtree(self.work / "batches", ignore_errors=True)

    def _refuse_foreign(self) -> None:
        """Refuse a folder with files that are not a run's, before anything in it is touched."""
        if not self.folder.is_dir() or (self.work / _IDENTITY).is_file():
            return
        others = [child.name for child in self.folder.iterdir() if child.name != self.work.name]
        if self.work.exists():
            # a run that was stopped before it wrote anything leaves no more than these
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
            for name in artefacts():
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

    def check_space(self, needed: int) -> None:
        """Refuse to begin what needs more bytes than the disk has.

        Raises
        ------
        StorageError
            If the disk has less.
        """
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


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
