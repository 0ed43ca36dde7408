import platform
from types import SimpleNamespace

import psutil
import pytest
import torch

from saliency_stats.execution.device import release_memory, usual_workers

CPU = torch.device("cpu")


def test_as_many_units_at_a_time_as_threads_in_half_of_the_memory(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=4e9))
    assert usual_workers(CPU, 1e8) == 8
    assert usual_workers(CPU, 0.6e9) == 3
    # a unit that does not fit is still worked on
    assert usual_workers(CPU, 1e11) == 1


def test_one_unit_at_a_time_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert usual_workers(torch.device("cuda"), 1e6) == 1


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="NOT TESTED: only glibc keeps freed memory")
def test_freed_memory_goes_back_to_the_system():
    process = psutil.Process()
    # in pieces that the C library does not give back by itself, held apart by small ones that stay
    pieces = [bytearray(100_000) for _ in range(3_000)]
    kept = pieces[::100]
    before = process.memory_info().rss
    del pieces
    release_memory()
    assert process.memory_info().rss < before - 200e6
    assert len(kept) == 30
