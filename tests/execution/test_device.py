import torch

from saliency_stats.execution.device import usual_workers

CPU = torch.device("cpu")


def test_as_many_units_at_a_time_as_threads_in_half_of_the_memory(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 1_000_000, "SC_PAGE_SIZE": 4_000}.__getitem__)
    assert usual_workers(CPU, 1e8) == 8
    assert usual_workers(CPU, 0.6e9) == 3
    # a unit that does not fit is still worked on
    assert usual_workers(CPU, 1e11) == 1


def test_one_unit_at_a_time_on_a_gpu_and_where_the_memory_is_not_known(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert usual_workers(torch.device("cuda"), 1e6) == 1
    monkeypatch.delattr("os.sysconf")
    assert usual_workers(CPU, 1e6) == 1
