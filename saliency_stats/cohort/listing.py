"""The one reader of the CSVs that list patches or slides: what may stand in the file, and where it stands.

A table is UTF-8 (with or without a byte order mark) with commas. Every field is text, as typed. Rows are known by the
line of the file on which they begin; lines without any text count and are no rows.
"""

import hashlib
import os
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Final

import pandas as pd

from saliency_stats.cohort.csv_text import read_bytes, records
from saliency_stats.cohort.problems import Problems
from saliency_stats.errors import CohortError, StudyError, shown

_SEPARATORS: Final = (";", "\t", "|")
#: From this likeness on an unknown column is taken for a misspelt one.
_NEAR: Final = 0.75
#: What other programs and people call a column, in letters and digits. Where the column itself is absent, one of these
#: is most likely it: passed over, patches would be dealt out at random, or their slides taken for unknown.
_OTHERWISE: Final = {
    "path": ("file", "filename", "filepath", "image", "imagepath"),
    "label": ("class", "target", "diagnosis"),
    "mpp": ("umperpx", "micronsperpixel", "pixelsize", "resolution"),
    "split": ("set", "subset", "partition"),
    "slide_id": ("wsi", "slidename", "scan"),
    "patient_id": ("case", "caseid", "subject", "subjectid", "donor"),
}
#: How much of a header a message repeats.
_FOUND: Final = 200


@dataclass(frozen=True)
class Columns:
    """What a table lists, and the columns that it may have.

    Parameters
    ----------
    row
        What one row is: ``patch`` or ``slide``.
    required, optional
        Names of the columns.
    closed
        Whether other columns are refused. Where they are not, one that looks like a misspelt one of these is.
    """

    row: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    closed: bool

    @property
    def rows(self) -> str:
        """What several rows are."""
        return f"{self.row}es" if self.row.endswith("h") else f"{self.row}s"

    @property
    def known(self) -> tuple[str, ...]:
        """All of them."""
        return self.required + self.optional


@dataclass(frozen=True)
class Listing:
    """A table as read.

    Parameters
    ----------
    table
        All known columns as text, absent ones empty; the index is the line of the file.
    problems
        What is wrong with it, to be added to and then raised.
    digest
        sha256 of the file.
    unread
        Names of the columns that nothing reads.
    """

    columns: Columns
    table: pd.DataFrame
    problems: Problems
    digest: str
    unread: tuple[str, ...] = ()


def read_listing(path: Path, columns: Columns) -> Listing:
    """Read a table.

    Returns
    -------
    Listing
        Its rows, and the lines that hold more or fewer fields than the header among its problems.

    Raises
    ------
    StudyError
        If there is no such file.
    CohortError
        If it is no CSV in UTF-8, or all that is wrong with its header, or if it lists nothing.
    """
    if not os.path.isfile(path):  # noqa: PTH113  (False where a Path raises: very long names)
        found = f"{path} is a folder" if os.path.isdir(path) else f"there is no file {path}"  # noqa: PTH112
        raise StudyError(
            f"cohort.table: {found}; expected a CSV of {columns.rows} (paths in a study file are relative to it)"
        )
    data = read_bytes(path)
    problems = Problems(path)
    written = [(line, fields) for line, fields in records(path, data) if any(fields)]
    if not written:
        raise CohortError(f"{path} is empty; expected a header line and one line per {columns.row}")
    (_, header), *rows = written
    positions = _positions(header, columns, problems)
    _check_nameless(header, rows, problems)
    problems.stop()
    if not rows:
        raise CohortError(f"{path} lists no {columns.row}; expected one line per {columns.row} below the header")
    whole = [(line, fields) for line, fields in rows if len(fields) == len(header)]
    _check_lengths(rows, len(header), problems)
    table = pd.DataFrame(
        {name: [fields[positions[name]] if name in positions else "" for _, fields in whole] for name in columns.known},
        index=[line for line, _ in whole],
        dtype="str",
    )
    unread = tuple(name for at, name in enumerate(header) if name and at not in positions.values())
    return Listing(columns, table, problems, hashlib.sha256(data).hexdigest(), unread)


def by_line(column: "pd.Series[str]") -> dict[int, str]:
    """Give the texts of a column by their lines."""
    return {int(str(line)): str(text) for line, text in column.items()}


def _positions(names: list[str], columns: Columns, problems: Problems) -> dict[str, int]:
    """Find the known columns; misnamed, absent and doubled ones are problems."""
    written = ", ".join(name for name in names if name) or "nothing"
    listed = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in written[:_FOUND])
    separator = next((found for found in _SEPARATORS if written.count(found) >= len(names)), None)
    if separator is not None and not set(columns.required) <= set(names):
        problems.add(
            f"column {columns.required[0]!r} is missing; found {listed}. The columns are separated by "
            f"{separator!r}: save the table with commas (and decimals with a point)"
        )
        return {}
    known = {name: [at for at, found in enumerate(names) if found.casefold() == name] for name in columns.known}
    for name, places in known.items():
        if len(places) > 1:
            written = " and ".join(shown(names[at]) for at in places)
            problems.add(f"column {name!r} stands twice (as {written}); delete one of them")
    others = [name for name in names if name and name not in columns.known and len(known.get(name.casefold(), ())) < 2]  # noqa: PLR2004
    absent = [name for name in columns.known if name not in names]
    meant = {name: _meant(name, absent) for name in others}
    for name, near in meant.items():
        if near is not None:
            problems.add(f"column {shown(name)} is unknown; did you mean {near!r}? Rename it")
        elif columns.closed:
            problems.add(
                f"column {shown(name)} is unknown; expected {', '.join(columns.known)}. Delete it, or rename it"
            )
    for name in columns.required:
        if not known[name] and name not in meant.values():
            problems.add(f"column {name!r} is missing; found {listed}; expected {_wanted(columns)}")
    return {name: places[0] for name, places in known.items() if places}


def _wanted(columns: Columns) -> str:
    more = f", and where known {', '.join(columns.optional)}" if columns.optional else ""
    return f"{', '.join(columns.required)}{more}"


def _meant(name: str, absent: list[str]) -> str | None:
    """Tell which absent column a name probably stands for: spelt otherwise, cut short, or nearly it."""
    plain = _letters(name)
    for wanted in absent:
        if plain in {_letters(wanted), wanted.partition("_")[0], *_OTHERWISE.get(wanted, ())}:
            return wanted
    likeness = {wanted: SequenceMatcher(None, name.casefold(), wanted).ratio() for wanted in absent}
    best = max(likeness, key=lambda wanted: likeness[wanted], default=None)
    return best if best is not None and likeness[best] >= _NEAR else None


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _check_nameless(header: list[str], rows: list[tuple[int, list[str]]], problems: Problems) -> None:
    """Refuse text below an empty name: it would be lost. Spreadsheets write empty columns, which are nothing."""
    for at, name in enumerate(header):
        lines = [line for line, fields in rows if not name and len(fields) > at and fields[at]]
        if lines:
            problems.add(
                f"column {at + 1} has no name in the header, but text on {len(lines)} line(s), the first of them line "
                f"{lines[0]}; name it, or delete it (pandas writes its index so: index=False)"
            )


def _check_lengths(rows: list[tuple[int, list[str]]], expected: int, problems: Problems) -> None:
    more = [(line, len(fields)) for line, fields in rows if len(fields) > expected]
    fewer = [(line, len(fields)) for line, fields in rows if len(fields) < expected]
    remedies = {
        "more": "put text with commas in quotes, and write decimals with a point",
        "fewer": "write a comma for every column, also for empty ones",
    }
    for (word, remedy), found in zip(remedies.items(), (more, fewer), strict=True):
        if found:
            problems.add(
                f"{word} fields ({found[0][1]}) than the header has columns ({expected}); {remedy}",
                [line for line, _ in found],
            )
