"""A run's folder: everything is written atomically, and what is finished is not computed again."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import filelock
import pandas as pd
import pyarrow.parquet as pq

from saliency_stats.errors import StorageError
from saliency_stats.execution import inputs
from saliency_stats.execution.files import partial_of, partials, plain, read_json, some, storage_error, write_table
from saliency_stats.execution.identity import IDENTITY, INPUTS, check_identity, read_identity, write_identity
from saliency_stats.execution.layout import check_layout, is_link
from saliency_stats.execution.manifest import sha256
from saliency_stats.execution.schema import TABLES, artefacts
from saliency_stats.execution.seal import is_sealed, write_seal

_SEAL: Final = "seal.json"
_LOCK: Final = ".lock"
#: So many rows of a table are read at a time: as texts they take much more memory than in their types.
_ROWS: Final = 200_000


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
            If the folder holds other files or another study, is not laid out as a run's, or is in use.
        """
        try:
            self._refuse_foreign()
            if fresh:
                _refuse_link(self.work)
            else:
                check_layout(self.folder)
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
        except NotImplementedError as error:
            raise StorageError(
                f"{self.folder} lies on a disk that cannot lock files, so a second run in it would go unnoticed "
                f"({error}); choose a folder on another disk with --out"
            ) from error
        except OSError as error:
            raise storage_error(self.folder, error) from error
        try:
            self._sweep()
            if fresh:
                self._clear()
                check_layout(self.folder)
            before = read_identity(self.work)
            if before is not None:
                check_identity(self.folder, before, plain(identity))
            write_identity(self.work, identity, None if before is None else before.get(INPUTS))
            yield
        finally:
            lock.release()

    def check_inputs(self, files: pd.DataFrame) -> str:
        """Note the files that the run reads in ``inputs.csv``; a run that goes on, or is finished, must find the same.

        Parameters
        ----------
        files
            See :func:`~saliency_stats.execution.inputs.fingerprints`.

        Returns
        -------
        str
            The hash of ``inputs.csv``.

        Raises
        ------
        StorageError
            If an earlier part of the run saw others: the message names what has changed.
        """
        identity = read_identity(self.work) or {}
        before, now = identity.pop(INPUTS, None), hashlib.sha256(inputs.as_csv(files)).hexdigest()
        path = self.folder / "inputs.csv"
        remedy = "choose another folder with --out, or give --fresh to delete that run and start again"
        if before is None and (self.folder / "patches.csv").exists():
            raise StorageError(
                f"{self.folder}: the run there did not note which files it read (another version of saliency-stats "
                f"wrote it), so nobody can tell whether they are still the same. To be sure, {remedy}"
            )
        if before not in {None, now}:
            known = path.is_file() and sha256(path) == before
            changed = (
                list(inputs.changes(self.table("inputs"), TABLES["inputs"].typed(files, "inputs"))) if known else []
            )
            what = some(changed) if known else "inputs.csv, which would tell which, is missing or has changed too"
            count = f"{len(changed)} of " if known else ""
            raise StorageError(
                f"the files that the run in {self.folder} reads have changed since it began "
                f"({count}{len(files)} files): {what}. Put them back as they were; or {remedy}"
            )
        if not (path.is_file() and sha256(path) == now):
            self.write("inputs", files)
        write_identity(self.work, identity, now)
        return now

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

        A file that was damaged since it was written is written again.

        Raises
        ------
        StorageError
            If an earlier part of the run saw others; what is there stays.
        """
        path = self.folder / f"{name}.csv"
        if not self.is_sealed(name):
            typed = self.write(name, table)
            self.seal(name, [path])
            return typed
        before, now = path.read_bytes(), inputs.as_csv(table)
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
            as_texts: dict[str, Any] = {"dtype": str, "keep_default_na": False, "encoding": "utf-8", "index_col": False}
            with pd.read_csv(path, chunksize=_ROWS, **as_texts) as parts:
                return TABLES[name].joined(parts, str(path))
        except (OSError, ValueError) as error:
            raise StorageError(f"{path}: cannot be read as CSV: {error}") from error

    def seal(self, name: str, files: Iterable[Path]) -> None:
        """Note that these files of the run are finished, and their hashes."""
        write_seal(self.work / "seals" / f"{name}.json", self.folder, files)

    def is_sealed(self, name: str) -> bool:
        """Say whether what was sealed under ``name`` is there, as it was."""
        return is_sealed(self.work / "seals" / f"{name}.json", self.folder)

    def compute_once(self, name: str, compute: Callable[[], dict[str, pd.DataFrame]]) -> None:
        """Compute and store tables under ``name`` if they are not there: one folder, which appears when complete.

        What was damaged since is computed again.
        """
        final = self.work / "batches" / name
        if is_sealed(final / _SEAL, final):
            return
        tables = compute()
        partial = partial_of(final)
        try:
            partial.mkdir(parents=True)
            for key, table in tables.items():
                table.to_parquet(partial / f"{key}.parquet", index=False)
            write_seal(partial / _SEAL, partial, sorted(partial.iterdir()))
            if not is_sealed(final / _SEAL, final):
                _remove(final)
            partial.rename(final)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            if is_sealed(final / _SEAL, final):
                return  # a worker that was taken for dead was first, with the same tables
            raise storage_error(final, error) from error
        except StorageError:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def read_batch(self, name: str, wanted: Callable[[str], bool] = lambda _: True) -> dict[str, Any]:
        """Read the tables that are ``wanted`` of what :meth:`compute_once` stored, as Arrow has them.

        Raises
        ------
        StorageError
            If it has been damaged since.
        """
        final = self.work / "batches" / name
        try:
            files = [final / file for file in sorted(read_json(final / _SEAL, dict, ""))]
            return {file.stem: pq.ParquetFile(file).read() for file in files if wanted(file.stem)}
        except (OSError, ValueError, StorageError) as error:
            raise StorageError(
                f"{final} was changed by something else while the run went on ({error}); give the same command again, "
                f"which computes it anew"
            ) from error

    def forget_batches(self) -> None:
        """Delete the stored batches of a finished run: its CSVs hold all they held."""
        shutil.rmtree(self.work / "batches", ignore_errors=True)

    def _refuse_foreign(self) -> None:
        """Refuse a folder with files that are not a run's, before anything in it is touched."""
        if not self.folder.is_dir() or os.path.lexists(self.work / IDENTITY):
            return
        others = [child.name for child in self.folder.iterdir() if child.name != self.work.name]
        if self.work.exists():
            # a run that was stopped before it wrote anything leaves no more than these
            begun = {self.work / _LOCK, *partials(self.work, IDENTITY)}
            others += [f"work/{child.name}" for child in self.work.iterdir() if child not in begun]
        if others:
            found = ", ".join(sorted(others)[:5])
            raise StorageError(
                f"{self.folder} is not empty and holds no run of saliency-stats (found {found}); expected a "
                f"new or empty folder. Choose another one with --out"
            )

    def _sweep(self) -> None:
        """Delete what processes that were killed had begun to write."""
        try:
            for name in artefacts():
                inner = [Path(place) for place, *_ in os.walk(self.folder / name)]
                for partial in [*partials(self.folder, name), *(path for one in inner for path in partials(one))]:
                    _remove(partial)
        except OSError as error:
            raise storage_error(self.folder, error) from error

    def _clear(self) -> None:
        try:
            for name in {*artefacts()} - {self.work.name}:
                _remove(self.folder / name)
            # the identity goes last: without it what is left would pass for somebody else's
            for inner in sorted(self.work.iterdir(), key=lambda path: path.name == IDENTITY):
                if inner.name != _LOCK:
                    _remove(inner)
        except OSError as error:
            raise storage_error(self.folder, error) from error

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


def _refuse_link(path: Path) -> None:
    if is_link(path):
        raise StorageError(
            f"{path} is a link to {os.path.realpath(path)}, expected a folder of its own. Nothing was changed: move it "
            f"away, or choose another folder with --out"
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not is_link(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
