"""The device that computes, its memory, and the switches that make it compute the same thing twice."""

import ctypes
import os
import sys
from typing import Any

import psutil
import torch

from saliency_stats.errors import StudyError


def choose(name: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device.

    Raises
    ------
    StudyError
        If CUDA is asked for and torch sees none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise StudyError(
            "--device cuda: torch finds no CUDA device; expected one with a driver. Use --device cpu or auto"
        )
    return torch.device(name)


def usual_workers(device: torch.device, batch_bytes: float) -> int:
    """Say how many batches are worked on at a time by default: as many as threads, in half of the free memory.

    One on a GPU, which a single batch keeps busy. Results do not depend on it.
    """
    if device.type == "cuda":
        return 1
    memory = psutil.virtual_memory().available
    return max(1, min(torch.get_num_threads(), int(memory / 2 / batch_bytes)))


def release_memory() -> None:
    """Give freed memory back to the system where the C library would keep it, which is glibc.

    It keeps the activations of training, more than a gigabyte, for the thread that made them; workers are other threads
    and would take as much again.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def make_deterministic(device: torch.device) -> dict[str, Any]:
    """Ask torch for deterministic kernels; returns what was set, for the manifest."""
    if device.type == "cuda":
        # cuBLAS needs a fixed workspace before its first call
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(mode=True, warn_only=device.type == "cuda")
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_benchmark": bool(torch.backends.cudnn.benchmark),
        "cpu_threads": torch.get_num_threads(),
    }
