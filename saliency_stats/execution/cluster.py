"""The engine of other processes and machines: Dask hands the work out, and again where a worker dies over it."""

import gc
import os
import pickle
import shutil
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

import dask.config
import torch
from distributed import Client, Future, KilledWorker, LocalCluster, Worker, get_worker, wait

from saliency_stats.errors import SaliencyStatsError, StudyError, WorkerError, listed, shown
from saliency_stats.execution import manifest
from saliency_stats.execution.device import make_deterministic
from saliency_stats.execution.files import atomic

Batch = TypeVar("Batch")
Result = TypeVar("Result")

#: What Dask offers a task that needs a GPU, of which a worker has one.
GPU: Final = "GPU"
_EXPECTED: Final = (
    "expected local:N, N processes of this machine (local:4), or the address of a Dask scheduler (tcp://host:8786)"
)
#: How often a unit is tried again after an error that no message was written for, such as memory that was not enough.
_RETRIES: Final = 2
#: Seconds without a result after which somebody looks whether there are workers.
_PATIENCE: Final = 5.0
_CONNECTING: Final = 10
#: What torch holds cannot be spilled: a worker that waits for less memory would wait for ever.
_LOCAL: Final = {f"distributed.worker.memory.{what}": False for what in ("target", "spill", "pause")}


@dataclass(frozen=True)
class Terms:
    """What a worker must offer.

    Parameters
    ----------
    versions
        Packages and their versions.
    mark
        A file of the run's folder that it must find.
    device
        Where it computes; a GPU must be among the resources that it names.
    """

    versions: tuple[tuple[str, str], ...]
    mark: Path
    device: torch.device

    @property
    def resources(self) -> dict[str, float]:
        """What a task takes of a worker's resources."""
        return {GPU: 1} if self.device.type == "cuda" else {}

    def faults(self, worker: Worker) -> list[str]:
        """Say what a worker, in whose process this is called, lacks."""
        here, folder = manifest.versions(), self.mark.parent
        found = [
            f"has {name} {here[name]}, expected {wanted}" for name, wanted in self.versions if here[name] != wanted
        ]
        if not self.mark.is_file():
            found.append(f"does not see {folder}; expected a folder that all machines share under one path. Use --out")
        elif not os.access(folder, os.W_OK):
            found.append(f"may not write into {folder}; expected the rights of who began the run")
        if worker.state.nthreads != 1:
            found.append(f"has {worker.state.nthreads} threads; expected 1 (dask worker --nthreads 1 --nworkers N)")
        if not self.resources.items() <= worker.state.total_resources.items():
            found.append(f'offers no GPU; expected one for each worker (dask worker --resources "{GPU}=1")')
        return [f"worker {worker.address} on {socket.gethostname()} {fault}" for fault in found]


class Cluster:
    """Maps by a Dask scheduler, on processes of this machine or on whatever workers have joined it.

    A function is written into the run's folder once and loaded once by each worker, which keeps the networks it holds;
    a task is the name of that file and a batch. Workers read what they need themselves and rename what they have
    finished into the run's folder: they must see it, and the study's data, under the same paths. What a worker that
    dies was working on Dask gives to another one.

    Parameters
    ----------
    client
        Stays open.
    folder
        Of the run, for files that last as long as its engine.
    device
        Where the workers compute.
    say
        Called with a line for a person.

    Raises
    ------
    WorkerError
        Naming the workers that are there and cannot do the work.
    """

    trains = True

    def __init__(self, client: Client, folder: Path, device: torch.device, say: Callable[[str], object]) -> None:
        self._client, self._folder, self._say = client, folder.absolute() / "functions", say
        self._address = str(client.scheduler_info()["address"])
        shutil.rmtree(self._folder, ignore_errors=True)
        here = manifest.versions()
        self._terms = Terms(tuple((name, here[name]) for name in manifest.DECISIVE), self._folder / "mark", device)
        with atomic(self._terms.mark) as begun:
            begun.touch()
        answers: dict[str, Any] = client.run(_faults, self._terms, on_error="return")
        faults = [
            line
            for address, answer in answers.items()
            for line in (
                answer if isinstance(answer, list) else [f"worker {address} cannot load saliency_stats: {answer}"]
            )
        ]
        if faults:
            raise WorkerError(f"--scheduler {self._address}: {listed(faults)}")

    def map(self, function: Callable[[Batch], Result], batches: Sequence[Batch]) -> Generator[Result, None, None]:
        """Yield ``function(batch)`` for each batch; closed early, it begins no further one.

        Raises
        ------
        WorkerError
            If batch after batch kills its worker, or the scheduler is gone.
        """
        path = self._folder / f"{uuid4().hex}.pickle"
        with atomic(path) as begun:
            begun.write_bytes(pickle.dumps(function))
        futures = deque(
            self._client.map(
                partial(_work, self._terms, path),
                batches,
                key=[f"{path.stem}-{number}" for number in range(len(batches))],
                resources=self._terms.resources,
                retries=_RETRIES,
                pure=False,
            )
        )
        try:
            while futures:
                yield self._result(futures[0])
                futures.popleft()
        finally:
            self._client.cancel(list(futures))
            # on Windows a worker that is reading it holds it; the next engine of the run clears the folder
            with suppress(OSError):
                path.unlink()

    def _result(self, future: "Future[Any]") -> Any:
        said = False
        try:
            while not future.done():
                with self._client.as_current(), suppress(TimeoutError):
                    wait([future], timeout=_PATIENCE)
                    break
                if not (said or self._client.nthreads()):
                    self._say(f"no worker at {self._address}: waiting for one")
                    said = True
            result = future.result()
        except KilledWorker as error:
            raise WorkerError(
                f"{error.allowed_failures + 1} workers died one after the other over the same unit of work, the last "
                f"at {error.last_worker.address}; expected one that lives. If it was memory: fewer workers on a "
                f"machine, or a smaller saliency.batch_size. What is finished is kept: give the same command again"
            ) from error
        except (CancelledError, OSError) as error:
            if isinstance(error, OSError) and self._client.status == "running":
                raise  # the unit's own
            raise WorkerError(
                f"the Dask scheduler at {self._address} is gone; what is finished is kept: give the same command again "
                f"when there is one"
            ) from error
        if isinstance(result, SaliencyStatsError):
            raise result
        return result


def connected(scheduler: str, device: torch.device) -> AbstractContextManager[Client]:
    """Start the processes, or find the scheduler, that ``--scheduler`` names; what was started ends with the context.

    Parameters
    ----------
    scheduler
        ``local:N`` or an address.
    device
        Where the workers will compute.

    Raises
    ------
    StudyError
        If it is neither, or nobody answers there.
    """
    kind, _, number = scheduler.partition(":")
    if kind == "local" and number.isdecimal() and int(number):
        return _processes(int(number), device)
    if "://" in scheduler:
        return _found(scheduler)
    raise StudyError(f"--scheduler is {shown(scheduler)}; {_EXPECTED}")


@contextmanager
def _processes(workers: int, device: torch.device) -> Iterator[Client]:
    if device.type == "cuda" and workers > 1:
        raise StudyError(
            f"--scheduler local:{workers} with a GPU: {workers} processes would share it; expected local:1. For "
            f"several GPUs start a worker for each and give the scheduler's address"
        )
    offered = {GPU: 1} if device.type == "cuda" else {}
    with (
        dask.config.set(_LOCAL),
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", resources=offered
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _found(address: str) -> Client:
    try:
        return Client(address, timeout=_CONNECTING, set_as_default=False)
    except (OSError, ValueError) as error:
        why = str(error)
    # the client that found nobody is closed now: collected while another one starts, it would wait for it for ever
    gc.collect()
    raise StudyError(f"--scheduler {address}: no Dask scheduler answers there ({why}); {_EXPECTED}")


def _faults(terms: Terms, dask_worker: Worker) -> list[str]:
    return terms.faults(dask_worker)


@cache
def _accept(terms: Terms) -> None:
    """Refuse, once in each process, to work for a worker that joined late and lacks something."""
    faults = terms.faults(get_worker())
    if faults:
        raise WorkerError(listed(faults))


@lru_cache(maxsize=1)
def _loaded(path: Path) -> Callable[[Any], Any]:
    function: Callable[[Any], Any] = pickle.loads(path.read_bytes())  # noqa: S301  (this run wrote it)
    return function


def _work(terms: Terms, path: Path, batch: Any) -> Any:
    """Do one unit of work on a worker; an error that says what is wrong is a result, which nobody tries again."""
    torch.set_num_threads(1)
    make_deterministic(terms.device)
    try:
        _accept(terms)
        return _loaded(path)(batch)
    except SaliencyStatsError as error:
        return error
