"""The engine of Dask, here in this process; tests/study/test_cluster_run.py has workers that are processes, and die."""

import time
from concurrent.futures import CancelledError
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from distributed import Client, KilledWorker, LocalCluster

from saliency_stats.errors import CohortError, StudyError, WorkerError
from saliency_stats.execution import cluster as module
from saliency_stats.execution import manifest
from saliency_stats.execution.cluster import Cluster, Terms, connected

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def local():
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(local):
    with Client(local, set_as_default=False) as client:
        yield client


@pytest.fixture
def said():
    return []


@pytest.fixture
def engine(client, tmp_path, said):
    return Cluster(client, tmp_path, CPU, said.append)


class Tried:
    """Notes each batch; whatever pickles it, the notes are these."""

    seen: ClassVar = []

    def __init__(self, error):
        self.error = error
        Tried.seen.clear()

    def __call__(self, batch):
        Tried.seen.append(batch)
        time.sleep(0.01)
        if batch == 2:
            raise self.error
        return batch


class Counted:
    """Counts how often it is unpickled."""

    loads = 0

    def __setstate__(self, _):
        Counted.loads += 1

    def __getstate__(self):
        return 1

    def __call__(self, batch):
        return str(batch)


def switches(_):
    return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()


def slow_first(batch):
    time.sleep(0.1 if batch == 3 else 0)
    return batch * 2


def test_results_come_in_the_order_of_the_batches_and_nothing_stays(engine, tmp_path):
    assert list(engine.map(slow_first, [3, 1, 2])) == [6, 2, 4]
    assert list(engine.map(str, [])) == []
    assert [path.name for path in (tmp_path / "functions").iterdir()] == ["mark"]


def test_a_function_that_a_worker_still_reads_stays_and_is_no_error(engine, monkeypatch):
    """Windows deletes no file that somebody has open."""

    def held(*_, **__):
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(Path, "unlink", held)
    assert list(engine.map(str, [1])) == ["1"]


def test_a_unit_has_one_thread_and_deterministic_kernels(engine):
    torch.use_deterministic_algorithms(mode=False)
    before = torch.get_num_threads()
    assert list(engine.map(switches, [0])) == [(1, True)]
    torch.set_num_threads(before)


def test_the_function_is_loaded_once_by_a_worker(engine):
    Counted.loads = 0
    assert list(engine.map(Counted(), range(9))) == list("012345678")
    assert Counted.loads == 1


def test_an_error_that_says_what_is_wrong_arrives_as_it_is_after_one_try(engine, tmp_path):
    results = engine.map(Tried(CohortError("patch p2: too dark")), range(1000))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(CohortError, match=r"^patch p2: too dark$"):
        next(results)
    time.sleep(0.2)
    assert Tried.seen.count(2) == 1
    # what had not begun is not begun
    assert len(Tried.seen) < 100
    assert [path.name for path in (tmp_path / "functions").iterdir()] == ["mark"]


@pytest.mark.parametrize("error", [MemoryError("full"), TimeoutError("slow disk"), OSError("gone")])
def test_an_unforeseen_error_is_tried_again_and_then_passed_on(engine, error):
    with pytest.raises(type(error), match=str(error)):
        list(engine.map(Tried(error), range(3)))
    assert Tried.seen.count(2) == 3


def test_no_further_batch_is_begun_once_nobody_asks(engine):
    with closing(engine.map(Tried(None), range(3, 1000))) as results:
        assert next(results) == 3
    time.sleep(0.3)
    assert len(Tried.seen) < 100


def test_while_there_is_no_worker_it_says_so_once_and_waits(tmp_path, said, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    with (
        LocalCluster(n_workers=0, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as local,
        Client(local, set_as_default=False) as client,
    ):

        def joined(line):
            time.sleep(0.2)
            said.append(line)
            local.scale(1)

        assert list(Cluster(client, tmp_path, CPU, joined).map(str, [1, 2])) == ["1", "2"]
    assert said == [f"no worker at {local.scheduler_address}: waiting for one"]


def test_nothing_is_said_while_a_worker_works(engine, said, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.02)
    assert list(engine.map(slow_first, [3])) == [6]
    assert said == []


class Lost:
    """A future that ends in an error of Dask's own."""

    def __init__(self, error):
        self.error = error

    def done(self):
        return True

    def result(self):
        raise self.error


def test_a_unit_that_kills_worker_after_worker_is_named_with_a_remedy(engine):
    error = KilledWorker("unit", SimpleNamespace(address="tcp://10.0.0.7:4711"), 3)
    with pytest.raises(WorkerError, match=r"^4 workers died .* tcp://10\.0\.0\.7:4711; .* fewer workers"):
        engine._result(Lost(error))


def test_a_scheduler_that_is_gone_is_told_from_an_error_of_a_unit(tmp_path):
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as local,
        Client(local, set_as_default=False) as client,
    ):
        engine = Cluster(client, tmp_path, CPU, str)
        with pytest.raises(OSError, match="a disk"):
            engine._result(Lost(OSError("a disk")))
        address = local.scheduler_address
        with pytest.raises(WorkerError, match=f"scheduler at {address} is gone; what is finished is kept"):
            engine._result(Lost(CancelledError()))
    with pytest.raises(WorkerError, match="is gone"):
        engine._result(Lost(OSError("closed")))


# --- what a worker must offer ---


@pytest.fixture
def terms(tmp_path):
    (tmp_path / "mark").touch()
    here = manifest.versions()
    return Terms(tuple((name, here[name]) for name in manifest.DECISIVE), tmp_path / "mark", CPU)


def worker(nthreads=1, **resources):
    return SimpleNamespace(
        address="tcp://10.0.0.7:4711", state=SimpleNamespace(nthreads=nthreads, total_resources=resources)
    )


def test_a_worker_that_offers_all_is_taken(terms):
    assert terms.faults(worker()) == terms.faults(worker(GPU=1)) == []
    assert replace(terms, device=CUDA).faults(worker(GPU=1)) == []


def test_everything_a_worker_lacks_is_told_with_its_name_and_host(terms, tmp_path):
    wrong = replace(terms, versions=(("saliency-stats", "0.0.9"), ("torch", "1.0")), device=CUDA)
    (tmp_path / "mark").unlink()
    here, faults = manifest.versions(), wrong.faults(worker(4))
    assert all(line.startswith(f"worker tcp://10.0.0.7:4711 on {module.socket.gethostname()} ") for line in faults)
    assert [line.split(" ", 4)[4] for line in faults] == [
        f"has saliency-stats {here['saliency-stats']}, expected 0.0.9",
        f"has torch {here['torch']}, expected 1.0",
        f"does not see {tmp_path}; expected a folder that all machines share under one path. Use --out",
        "has 4 threads; expected 1 (dask worker --nthreads 1 --nworkers N)",
        'offers no GPU; expected one for each worker (dask worker --resources "GPU=1")',
    ]


def test_a_folder_that_a_worker_may_not_write_into(terms, monkeypatch, tmp_path):
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    assert terms.faults(worker())[0].endswith(
        f"may not write into {tmp_path}; expected the rights of who began the run"
    )


def test_workers_that_are_there_are_asked_before_anything_begins(tmp_path):
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0") as local,
        Client(local, set_as_default=False) as client,
        pytest.raises(
            WorkerError, match=rf"^--scheduler {local.scheduler_address}: worker .* has 2 threads; expected 1"
        ),
    ):
        Cluster(client, tmp_path, CPU, str)


def test_a_worker_without_the_package_is_named(tmp_path):
    class Without:
        def scheduler_info(self):
            return {"address": "tcp://10.0.0.1:8786"}

        def run(self, *_, on_error):
            assert on_error == "return"
            return {"tcp://a:1": [], "tcp://b:2": ModuleNotFoundError("No module named 'saliency_stats'")}

    with pytest.raises(WorkerError) as caught:
        Cluster(Without(), tmp_path, CPU, str)
    assert str(caught.value) == (
        "--scheduler tcp://10.0.0.1:8786: worker tcp://b:2 cannot load saliency_stats: No module named 'saliency_stats'"
    )


def test_a_worker_that_joins_late_is_asked_before_its_first_unit(engine, tmp_path):
    (tmp_path / "functions" / "mark").unlink()
    with pytest.raises(WorkerError, match=f"does not see {tmp_path / 'functions'}"):
        list(engine.map(str, [1]))


# --- the words behind --scheduler ---


@pytest.mark.parametrize("words", ["", "local", "local:", "local:0", "local:-1", "local:two", "local:1.5", "host:8786"])
def test_other_words_are_refused(words):
    with pytest.raises(StudyError) as caught:
        connected(words, CPU)
    assert f"--scheduler is {words!r}; expected local:N" in str(caught.value)
    assert "tcp://host:8786" in str(caught.value)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://127.0.0.1:8786", "tcp://127.0.0.1"])
def test_an_address_where_nobody_answers(address, monkeypatch):
    monkeypatch.setattr(module, "_CONNECTING", 0.2)
    with pytest.raises(
        StudyError, match=f"^--scheduler {address}: no Dask scheduler answers there .*; expected local:N"
    ):
        connected(address, CPU)


def test_a_scheduler_that_is_there_is_found(local):
    with connected(local.scheduler_address, CPU) as client:
        assert client.scheduler_info()["address"] == local.scheduler_address


def test_several_processes_do_not_share_a_gpu():
    with pytest.raises(StudyError, match="local:2 with a GPU: 2 processes would share it; expected local:1"):  # noqa: SIM117
        with connected("local:2", CUDA):
            pass
