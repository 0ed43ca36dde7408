"""Engines map a pure function over units of work. Today one works here, in order; others take its place."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class Engine(Protocol):
    """Maps a function over units; results come in the order of the units, whatever the order of the work."""

    def map(self, function: Callable[[Unit], Result], units: Sequence[Unit]) -> Iterator[Result]:
        """Yield ``function(unit)`` for each unit."""
        ...


class InProcess:
    """One unit after the other, in this process."""

    def map(self, function: Callable[[Unit], Result], units: Sequence[Unit]) -> Iterator[Result]:
        """Yield ``function(unit)`` for each unit."""
        return map(function, units)
