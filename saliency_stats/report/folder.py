"""The folder of a finished run: its study, its files, its tables in their declared types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import pandas as pd
from numpy.typing import NDArray

from saliency_stats import settings as study_file
from saliency_stats.errors import ReportError, StorageError
from saliency_stats.execution.files import read_arrays, read_json
from saliency_stats.execution.recorded import Recorded
from saliency_stats.execution.schema import TABLES
from saliency_stats.execution.store import Store
from saliency_stats.settings import StudySettings

NOT_RECORDED: Final = "not recorded"


@dataclass(frozen=True, eq=False)
class RunFolder:
    """What a run left in its folder; see :class:`~saliency_stats.report.run.Run`."""

    folder: Path
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    record: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read a finished run, and check all of it at once.

        Raises
        ------
        ReportError
            If its verdict is none.
        StorageError
            If there is no finished run in the folder, or a file of it is not as the run left it: the message names all.
        StudyError
            If its ``study.yaml`` is missing or no study.
        """
        run = cls(Path(folder))
        run._recorded.check_readable()
        for name in TABLES:
            run.table(name)
        _ = run.settings, run.verdict
        return run

    @cached_property
    def _recorded(self) -> Recorded:
        return Recorded(self.folder)

    def _file(self, name: str) -> Path:
        """Path of one of the run's files; of a run that was not just computed, only if it is as the run left it."""
        return self._recorded.file(name) if self.record is None else self.folder / name

    def _has(self, name: str) -> bool:
        return name in self._recorded.hashes if self.record is None else (self.folder / name).is_file()

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the run's tables by the name of its CSV, for example ``ledger``."""
        if name not in self.tables:
            self.tables[name] = self._read(name)
        return self.tables[name]

    def _read(self, name: str) -> pd.DataFrame:
        file = f"{name}.csv"
        if TABLES[name].optional and not self._has(file):
            return TABLES[name].empty()
        return Store(self._file(file).parent).table(name)

    @cached_property
    def settings(self) -> StudySettings:
        """The study as it was resolved."""
        return study_file.load(self._file("study.yaml"))

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """What made the run."""
        return self._recorded.manifest if self.record is None else self.record

    @cached_property
    def verdict(self) -> list[dict[str, Any]]:
        """One object per primary hypothesis."""
        path = self._file("verdict.json")
        found = read_json(path, list, "Run the study again")
        if not all(isinstance(entry, dict) for entry in found):
            raise ReportError(f"{path} holds something else than this version writes; run the study again")
        return found

    def recorded(self, key: str, default: Any = NOT_RECORDED) -> Any:
        """Return one entry of the manifest, or `default` where it was not recorded."""
        return self.manifest.get(key, default)

    @cached_property
    def thumbnails(self) -> pd.DataFrame | None:
        """Small pictures of the patches that were drawn to be shown, in the order of drawing; None if none were kept.

        Runs of earlier versions kept none.

        Raises
        ------
        StorageError
            If they are not as the run left them.
        """
        if not self._has("thumbnails.parquet"):
            return None
        path = self._file("thumbnails.parquet")
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise StorageError(f"{path} cannot be read ({error}). Run the study again with --fresh") from error

    def changed(self, **tables: pd.DataFrame) -> Self:
        """Return the run with other tables in place of its own."""
        return type(self)(
            self.folder, {**self.tables, **{k: TABLES[k].typed(v, k) for k, v in tables.items()}}, self.record
        )

    def example(self, file: str) -> dict[str, NDArray[Any]]:
        """Read one example's arrays: ``image`` (H, W, 3), ``saliency`` (H, W), ``compartments`` (H, W).

        Raises
        ------
        StorageError
            If the file is missing or not as the run left it, or lacks an array.
        """
        return self.arrays(f"examples/{Path(file).name}", "example", ("image", "saliency", "compartments"))

    def arrays(self, name: str, what: str, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Read the `wanted` arrays of a file ``name`` in the run's folder; `what` it is, an error tells.

        Raises
        ------
        StorageError
            If the file is missing or not as the run left it, or lacks an array.
        """
        path = self._file(name)
        try:
            return read_arrays(path, wanted)
        except StorageError as error:
            raise StorageError(f"this {what} of the run: {error}. Run the study again with --fresh") from error
