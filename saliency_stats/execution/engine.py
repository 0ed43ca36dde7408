"""Engines map a pure function over units of work. Here, on threads of this process; others can take their place."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import torch

from saliency_stats.errors import StudyError

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class Engine(Protocol):
    """Maps a function over units; results come in the order of the units, whatever the order of the work."""

    def map(self, function: Callable[[Unit], Result], units: Sequence[Unit]) -> Generator[Result, None, None]:
        """Yield ``function(unit)`` for each unit; closed early, it begins no further one."""
        ...


class Threads:
    """Several units at a time, each on one thread: torch does not divide a unit's sums any further.

    The last digits of sums that are divided among threads depend on how many there are. Here they do not: any number
    of workers gives the same bytes. Where units are many it is also a little faster than all threads on one unit, whose
    array work leaves all but one idle (``analyses/benchmarks/workers.py``).

    Parameters
    ----------
    workers
        Units that are worked on at a time; each holds its patches in memory.

    Raises
    ------
    StudyError
        For less than one.
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise StudyError(f"--workers is {workers}; expected at least 1")
        self.workers = workers

    def map(self, function: Callable[[Unit], Result], units: Sequence[Unit]) -> Generator[Result, None, None]:
        """Yield ``function(unit)`` for each unit; the first error ends it, after the units that are under way."""
        threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(self.workers, "unit", torch.set_num_threads, (1,))
        try:
            yield from pool.map(function, units)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
