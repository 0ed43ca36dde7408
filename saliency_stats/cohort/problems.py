"""All that is wrong with a table is told at once."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from saliency_stats.errors import CohortError

#: How many of a table's problems, and of the lines of one of them, a message lists.
LISTED: Final = 10
_LISTED_LINES: Final = 3


class Problems:
    """All that is wrong with a table: first what is wrong with all of it, then by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, list[int]] = {}

    def add(self, text: str, lines: Iterable[int] = ()) -> None:
        """Add a problem of the table, or of some of its lines; what is said of several lines is one problem."""
        self._found.setdefault(text, []).extend(lines)

    def stop(self) -> None:
        """Raise ``CohortError`` with all problems, if there are any: the first ten in full, the others counted."""
        if not self._found:
            return
        ordered = sorted(self._found.items(), key=lambda problem: problem[1][:1])
        told = [(_line_names(lines), text) for text, lines in ordered]
        if len(told) == 1:
            where, text = told[0]
            raise CohortError(f"{self.path}, {where}: {text}" if where else f"{self.path}: {text}")
        listed = [f"{where}: {text}" if where else text for where, text in told[:LISTED]]
        more = [f"and {len(told) - LISTED} more"] if len(told) > LISTED else []
        raise CohortError("\n  ".join([f"{self.path}: {len(told)} things are wrong", *listed, *more]))


def _line_names(lines: list[int]) -> str:
    if len(lines) <= 1:
        return "".join(f"line {line}" for line in lines)
    others = ", ".join(str(line) for line in lines[1:_LISTED_LINES])
    more = f" and {len(lines) - _LISTED_LINES} more" if len(lines) > _LISTED_LINES else ""
    return f"line {lines[0]} (and {others}{more})"
