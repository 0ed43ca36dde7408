"""The device, how many batches fit, and the switches for the same result twice."""

import ctypes
import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from saliency_stats.errors import StudyError
from saliency_stats.execution.device import choose, make_deterministic, release_memory, reused_memory, usual_workers

CPU = torch.device("cpu")


def test_as_many_batches_at_a_time_as_threads_in_half_of_the_memory(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=4e9))
    assert usual_workers(CPU, 1e8) == 8
    assert usual_workers(CPU, 0.6e9) == 3
    # a batch that does not fit is still worked on
    assert usual_workers(CPU, 1e11) == 1


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_on_a_gpu_one_batch_is_read_while_another_is_explained(monkeypatch, kind):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=4e9))
    assert usual_workers(torch.device(kind), 1e6) == 2
    assert usual_workers(torch.device(kind), 1.5e9) == 1


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


@pytest.mark.parametrize(("system", "calls"), [("linux", [0]), ("darwin", [])])
def test_memory_is_trimmed_on_linux_alone(monkeypatch, system, calls):
    seen = []
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(malloc_trim=seen.append))
    release_memory()
    assert seen == calls


def test_another_c_library_has_nothing_to_trim(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    release_memory()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="NOT TESTED: only glibc maps large pieces anew")
def test_what_is_freed_is_kept_for_the_next_and_given_back_at_the_end():
    # in a process of its own: where other tests have scattered its memory, glibc cannot keep so large a piece
    code = """
import psutil, torch
from saliency_stats.execution.device import reused_memory
process = psutil.Process()
def grown():
    piece = torch.ones(50_000_000)  # larger than any piece that glibc would keep by itself
    del piece
    return process.memory_info().rss - before
torch.ones(1)
before = process.memory_info().rss
with reused_memory():
    print(grown() > 150e6)
print(process.memory_info().rss - before < 50e6, grown() < 50e6)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "True", "True"]


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_memory_is_kept_on_linux_alone_and_the_usual_ways_come_back(monkeypatch, system):
    settings, trims = {}, []
    library = SimpleNamespace(mallopt=settings.__setitem__, malloc_trim=trims.append)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)

    def stopped():
        with reused_memory():
            raise KeyboardInterrupt(dict(settings))

    with pytest.raises(KeyboardInterrupt) as caught:
        stopped()
    (during,) = caught.value.args
    assert bool(during) == bool(trims) == (system == "linux")
    # all that was changed is changed again
    assert during.keys() <= settings.keys()
    assert not set(during.items()) & set(settings.items())


@pytest.mark.parametrize(
    ("there", "name", "chosen"),
    [
        (True, "auto", "cuda"),
        (False, "auto", "cpu"),
        (True, "cpu", "cpu"),
        (False, "cpu", "cpu"),
        (True, "cuda", "cuda"),
    ],
)
def test_a_gpu_is_used_where_there_is_one(monkeypatch, there, name, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose(name) == torch.device(chosen)


def test_a_gpu_that_is_not_there_is_not_replaced(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(StudyError, match=r"--device cuda: torch finds no CUDA device; .*Use --device cpu or auto"):
        choose("cuda")


def test_the_gpu_of_a_mac_is_used_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose("mps") == torch.device("mps")
    assert choose("auto") == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(StudyError, match=r"--device mps: torch finds no GPU of Apple's; .*Use --device cpu or auto"):
        choose("mps")


@pytest.fixture
def switches(monkeypatch):
    """Switches of torch as somebody else left them; they are put back."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(mode=False)
    yield
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@pytest.mark.usefixtures("switches")
@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps"])
def test_kernels_are_deterministic_and_the_manifest_is_told(kind):
    found = make_deterministic(torch.device(kind))
    assert found == {
        "deterministic_algorithms": True,
        "cudnn_benchmark": kind != "cuda",
        "cpu_threads": torch.get_num_threads(),
    }
    assert not torch.utils.deterministic.fill_uninitialized_memory
    # some kernels of GPUs have no deterministic twin: they are named, and the run goes on
    assert torch.is_deterministic_algorithms_warn_only_enabled() == (kind != "cpu")
    # torch lets convolutions compute in TF32; a run does once it has seen that its maps stay
    assert torch.backends.cudnn.allow_tf32 == (kind != "cuda")
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == (":4096:8" if kind == "cuda" else None)
