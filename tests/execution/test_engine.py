import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from saliency_stats.errors import StudyError
from saliency_stats.execution.engine import Futures, Threads, one_thread


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_batches(workers):
    def slow_first(batch):
        time.sleep(0.05 if batch == 3 else 0)
        return batch * 2

    assert list(Threads(workers).map(slow_first, [3, 1, 2])) == [6, 2, 4]


def test_batches_are_worked_on_side_by_side():
    meeting = threading.Barrier(2, timeout=10)
    assert len(list(Threads(2).map(lambda _: meeting.wait(), range(4)))) == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_has_one_thread_of_torch_and_the_others_come_back(workers):
    """Otherwise the sums, and with them the bytes of the tables, depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert set(Threads(workers).map(lambda _: torch.get_num_threads(), range(5))) == {1}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_ends_the_work_and_is_passed_on(workers):
    done = []

    def fail_at_two(batch):
        if batch == 2:
            raise ValueError("batch 2")
        time.sleep(0.01)
        done.append(batch)

    with pytest.raises(ValueError, match="batch 2"):
        list(Threads(workers).map(fail_at_two, range(1000)))
    # what was finished is kept, what had not begun is not begun
    assert {0, 1} <= set(done)
    assert len(done) < 20


def test_no_further_batch_is_begun_once_nobody_asks():
    done = []

    def note(batch):
        time.sleep(0.01)
        done.append(batch)

    results = Threads(2).map(note, range(1000))
    next(results)
    results.close()
    seen = len(done)
    time.sleep(0.1)
    assert len(done) == seen < 20


def test_no_workers():
    with pytest.raises(StudyError, match="--workers is 0; expected at least 1"):
        Threads(0)


def test_any_executor_maps_in_order_and_stays_open():
    with ThreadPoolExecutor(2) as pool:
        engine = Futures(pool)
        assert list(engine.map(lambda batch: batch * 2, [3, 1, 2])) == [6, 2, 4]
        assert list(engine.map(str, [1])) == ["1"]


def test_an_executor_begins_nothing_more_once_it_is_not_asked():
    done = []

    def note(batch):
        time.sleep(0.01)
        done.append(batch)

    with ThreadPoolExecutor(1) as pool:
        results = Futures(pool).map(note, range(1000))
        next(results)
        results.close()
    assert len(done) < 20


def test_a_worker_begins_with_one_thread():
    with ThreadPoolExecutor(1, initializer=one_thread) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
        assert pool.submit(torch.are_deterministic_algorithms_enabled).result()
        assert not torch.utils.deterministic.fill_uninitialized_memory
