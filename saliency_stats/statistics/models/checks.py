"""Checks of parameters and tables that every module of the room shares. Pure Python, no tables of its own."""

from collections.abc import Iterable
from typing import Final

from saliency_stats.errors import StatisticsError

#: An interval covers more than it leaves out.
MAX_ALPHA: Final = 0.5


def one_of(name: str, found: object, allowed: Iterable[str]) -> None:
    """Raise :class:`StatisticsError` unless ``found`` is one of the allowed words."""
    words = tuple(allowed)
    if found not in words:
        raise StatisticsError(f"statistics: {name} is {found!r}, expected one of {', '.join(words)}")


def in_range(name: str, found: float, ok: bool, expected: str) -> None:  # noqa: FBT001 - a check, not a mode
    """Raise :class:`StatisticsError` unless ``ok``, the outcome of the caller's range check."""
    if not ok:
        raise StatisticsError(f"statistics: {name} is {found}, expected {expected}")


def check_alpha(alpha: float) -> None:
    """Raise :class:`StatisticsError` unless ``alpha`` can be the level of a test."""
    in_range("alpha", alpha, 0 < alpha < MAX_ALPHA, f"above 0 and below {MAX_ALPHA}")


def check_seed(seed: int) -> None:
    """Raise :class:`StatisticsError` unless ``seed`` can start a generator."""
    in_range("seed", seed, seed >= 0, "zero or a positive integer")


def require_columns(name: str, found: Iterable[object], needed: Iterable[str]) -> None:
    """Raise :class:`StatisticsError` that names the columns a table lacks."""
    have = [str(column) for column in found]
    missing = [column for column in needed if column not in have]
    if missing:
        raise StatisticsError(
            f"{name}: no column {', '.join(missing)} (found: {', '.join(have) or 'none'}); add the missing columns"
        )
