from types import SimpleNamespace

import torch

from saliency_stats.execution.device import usual_workers

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
