"""Engines map a pure function over batches of patches: on threads of this process, or by any executor there is."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol, TypeVar

import torch

from saliency_stats.errors import StudyError
from saliency_stats.execution.device import deterministic_kernels

Batch = TypeVar("Batch")
Result = TypeVar("Result")


class Engine(Protocol):
    """Maps a function over batches; results come in the order of the batches, whatever the order of the work."""

    #: Whether a worker is a process of its own all the time, in which a network can be trained beside others.
    trains: bool

    def map(self, function: Callable[[Batch], Result], batches: Sequence[Batch]) -> Generator[Result, None, None]:
        """Yield ``function(batch)`` for each batch; closed early, it begins no further one."""
        ...


def one_thread() -> None:
    """Let torch use one thread: what a worker does before its first batch.

    The last digits of sums that are divided among threads depend on how many there are. On one thread they do not, so
    results do not depend on the number of workers, nor on whether they are threads or processes.
    """
    torch.set_num_threads(1)
    # sums over the same values in the same order, in every process
    deterministic_kernels()


class Futures:
    """Maps by an executor of ``concurrent.futures``, of this process, of others, or of another machine.

    The function and its batches are pickled where the workers are other processes.

    Parameters
    ----------
    executor
        Its workers call :func:`one_thread` before anything else, for the same results as every other engine, as in
        ``ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), one_thread)``. It stays open.
    """

    trains = False

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def map(self, function: Callable[[Batch], Result], batches: Sequence[Batch]) -> Generator[Result, None, None]:
        """Yield ``function(batch)`` for each batch; the first error ends it, after the batches under way."""
        futures = [self._executor.submit(function, batch) for batch in batches]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


class Threads:
    """Several batches at a time, each on one thread.

    Where batches are many it is a little faster than all threads on one batch, whose array work leaves all but one idle
    (``analyses/benchmarks/workers.py``).

    Parameters
    ----------
    workers
        Batches that are worked on at a time; each holds its patches in memory.

    Raises
    ------
    StudyError
        For less than one.
    """

    trains = False

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise StudyError(f"--workers is {workers}; expected at least 1")
        self.workers = workers

    def map(self, function: Callable[[Batch], Result], batches: Sequence[Batch]) -> Generator[Result, None, None]:
        """Yield ``function(batch)`` for each batch; the first error ends it, after the batches under way."""
        threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(self.workers, "batch", torch.set_num_threads, (1,))
        try:
            yield from Futures(pool).map(function, batches)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
