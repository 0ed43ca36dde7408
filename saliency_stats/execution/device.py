"""The device that computes, its memory, and the switches that make it compute the same thing twice."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psutil
import torch

from saliency_stats.errors import StudyError

#: Of glibc's ``malloc.h``: what mallopt is asked to change.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
#: Never give memory back, neither the end of the heap nor what would have been mapped for itself.
_KEEP: Final = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1))
#: glibc's own number of mappings, and the thresholds that its moving ones end at.
_USUAL: Final = ((_MMAP_MAX, 65536), (_MMAP_THRESHOLD, 32 << 20), (_TRIM_THRESHOLD, 64 << 20))


def choose(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``mps`` into a device; ``auto`` is CUDA where there is one, else the CPU.

    Raises
    ------
    StudyError
        If a GPU is asked for and torch sees none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise StudyError(
            "--device cuda: torch finds no CUDA device; expected one with a driver. Use --device cpu or auto"
        )
    if name == "mps" and not torch.backends.mps.is_available():
        raise StudyError(
            "--device mps: torch finds no GPU of Apple's; expected a Mac with one and macOS 14 or later. Use --device "
            "cpu or auto"
        )
    return torch.device(name)


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def usual_workers(device: torch.device, batch_bytes: float) -> int:
    """Say how many batches are worked on at a time by default: as many as threads, in half of the free memory.

    On a GPU two: while one is explained, the other is read, or attributed. Results do not depend on it.
    """
    most = torch.get_num_threads() if device.type == "cpu" else 2
    memory = psutil.virtual_memory().available
    return max(1, min(most, int(memory / 2 / batch_bytes)))


def release_memory() -> None:
    """Give freed memory back to the system where the C library would keep it, which is glibc.

    It keeps the activations of training, more than a gigabyte, for the thread that made them; workers are other threads
    and would take as much again.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


@contextmanager
def reused_memory() -> Iterator[None]:
    """Keep what a step of training frees for the next one, where the C library is glibc; give it back at the end.

    glibc maps pieces of more than 32 MB anew each time, which activations are, and the system fills them with zeros
    page by page. Results do not depend on it.
    """
    change = _of_glibc("mallopt")
    if change is None:
        yield
        return
    try:
        for what, value in _KEEP:
            change(what, value)
        yield
    finally:
        for what, value in _USUAL:
            change(what, value)
        release_memory()


def _of_glibc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def deterministic_kernels(*, warn_only: bool = False) -> None:
    """Let torch compute with kernels that sum in one order; where there is none it raises, or warns."""
    torch.use_deterministic_algorithms(mode=True, warn_only=warn_only)
    # torch would also fill all new memory, to show up kernels that read what they never wrote: an eighth of a gradient
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property


def allow_tf32(*, allowed: bool) -> None:
    """Let CUDA multiply in TF32, of 10 bits, or not; torch itself lets convolutions."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def make_deterministic(device: torch.device) -> dict[str, Any]:
    """Ask torch for deterministic kernels; returns what was set, for the manifest."""
    if device.type == "cuda":
        # cuBLAS needs a fixed workspace before its first call
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        allow_tf32(allowed=False)
    # GPUs lack some deterministic kernels: torch then names them, and goes on
    deterministic_kernels(warn_only=device.type != "cpu")
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_benchmark": bool(torch.backends.cudnn.benchmark),
        "cpu_threads": torch.get_num_threads(),
    }
