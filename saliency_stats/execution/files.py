"""Files that are whole or not there: everything is written atomically, and read with an error that names the file."""

import errno
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any, Final, TypeVar
from uuid import uuid4

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from saliency_stats.errors import StorageError, shortened
from saliency_stats.execution.csv_text import csv_pieces
from saliency_stats.execution.schema import BIG_TABLE

Content = TypeVar("Content", dict[str, Any], list[Any])
#: A message names so many of a long list.
_NAMED: Final = 10


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when the block ends without an error.

    Another process may write the same file at the same time: each has a temporary path of its own.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written; what was there before stays.
    """
    partial = partial_of(path)
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


def partial_of(path: Path) -> Path:
    """Name what is to become ``path``, differently each time; see :func:`partials`."""
    return path.with_name(f".{path.name}.{uuid4().hex[:12]}.partial")


def partials(folder: Path, name: str = "*") -> Iterator[Path]:
    """Find what processes that were killed began to write in a folder, in place of ``name`` or of anything."""
    return folder.glob(f".{name}.*partial")


def storage_error(path: Path, error: OSError) -> StorageError:
    """Say what went wrong with a file and what to do about it."""
    name = shortened(str(path))
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(
            f"no disk space left while writing {name}. What was finished is kept: free some space and give the same "
            f"command again, or choose another folder with --out"
        )
    return StorageError(
        f"{name} cannot be written ({error.strerror or error}); check the folder's permissions, and close the "
        f"file where another program has it open"
    )


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, with the same bytes on every system."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, as :func:`json_text` has it."""
    write_text(path, json_text(content) + "\n")


def json_text(content: Any) -> str:
    """Return JSON; missing numbers become null, numbers of NumPy plain ones, paths text."""
    return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV in full precision atomically, and beside it a Parquet file if it is big."""
    with atomic(path) as partial, partial.open("wb") as file:
        file.writelines(csv_pieces(table))
    if len(table) > BIG_TABLE:
        with atomic(path.with_suffix(".parquet")) as partial:
            table.to_parquet(partial, index=False)


def plain(content: Any) -> Any:
    """Turn content into what JSON knows; anything else is left for JSON to refuse."""
    if isinstance(content, dict):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    if isinstance(content, np.generic):
        content = content.item()
    if isinstance(content, float) and math.isnan(content):
        return None
    return str(content) if isinstance(content, PurePath) else content


def read_json(path: Path, kind: type[Content], remedy: str) -> Content:
    """Read a JSON file that holds an object (``dict``) or a list.

    Raises
    ------
    StorageError
        If it cannot be read, or holds something else; ``remedy`` ends the message.
    """
    words = "an object" if kind is dict else "a list"
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} cannot be read as JSON ({error}); expected {words}. {remedy}") from error
    if not isinstance(content, kind):
        raise StorageError(f"{path} holds a {type(content).__name__}, expected {words}. {remedy}")
    return content


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def read_arrays(path: Path, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read the `wanted` arrays of an ``.npz`` file.

    Raises
    ------
    StorageError
        If the file is missing or damaged, or lacks an array.
    """
    try:
        # opened here: NumPy leaves a file open that turns out to be no archive
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {key: np.asarray(arrays[key]) for key in wanted}
    except Exception as error:
        # a damaged archive fails wherever zipfile, zlib or NumPy first notices; whatever it is, the file is the reason
        raise StorageError(
            f"{path} cannot be read ({type(error).__name__}: {error}); expected an .npz with the arrays "
            f"{', '.join(wanted)}"
        ) from error


def some(items: Iterable[str]) -> str:
    """List things with semicolons: the first ten, and how many more there are."""
    listed = list(items)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return "; ".join(listed[:_NAMED]) + more


def _discard(partial: Path) -> None:
    # the error that brought us here is the one to report
    with suppress(OSError):
        partial.unlink(missing_ok=True)
