"""From the bytes of a CSV to its records: UTF-8 and commas, or the reason why not."""

import csv
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Final

from saliency_stats.errors import CohortError

#: What stands around a field and is no part of it.
_BLANK: Final = " \t\r\n\u00a0"
#: How files begin that are no CSV in UTF-8; those that begin alike stand longest first.
_BEGINNINGS: Final = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"PK\x03\x04", "an Excel or zip file"),
    (b"\xd0\xcf\x11\xe0", "an Excel file"),
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "compressed by gzip"),
)
_HEAD_BYTES: Final = 65_536


def read_bytes(path: Path) -> bytes:
    """Read a file, but not all of a big one that is no text."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            kind = next((kind for beginning, kind in _BEGINNINGS if head.startswith(beginning)), None)
            if kind is not None:
                raise CohortError(f"{path} is not UTF-8 text but {kind}; save it as CSV UTF-8")
            if b"\0" in head:
                raise CohortError(
                    f"{path} is not UTF-8 text (a zero byte in line {_line_of(head, head.index(0))}): UTF-16, or no "
                    f"table at all; save it as CSV UTF-8"
                )
            return head + file.read()
    except OSError as error:
        raise CohortError(f"{path} cannot be read ({error.strerror or error}); expected a CSV in UTF-8") from error


def _text(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, wrong = _line_of(data, error.start), data[error.start]
        raise CohortError(
            f"{path} is not UTF-8 (line {line}: byte 0x{wrong:02X}, which is {bytes([wrong]).decode('latin-1')!r} in "
            f"Latin-1); save it as CSV UTF-8"
        ) from error
    if "\0" in text:
        line = _line_of(data, data.index(0))
        raise CohortError(f"{path}, line {line}: a zero byte; the file is damaged. Save it again as CSV UTF-8")
    return text


def _line_of(data: bytes, at: int) -> int:
    return len(re.findall(rb"\r\n|\r|\n", data[:at])) + 1


def records(path: Path, data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Give the fields of each record, without the blanks around them, and the line on which it begins."""
    reader = csv.reader(StringIO(_text(path, data), newline=""), strict=True, skipinitialspace=True)
    reasons = {
        "unexpected end of data": "a quote that begins here is never closed",
        "field larger": f"a field of more than {csv.field_size_limit():,} characters",
    }
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            said = str(error)
            reason = next((own for word, own in reasons.items() if word in said), "text after a closing quote")
            raise CohortError(
                f"{path}, line {line}: {reason}, so that the file is no readable CSV; a quote in a text is written "
                f"twice, inside quotes"
            ) from error
        yield line, [field.strip(_BLANK) for field in fields]
