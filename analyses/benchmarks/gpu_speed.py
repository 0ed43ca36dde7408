"""Gradients on a GPU, ours against raw torch at the batch that is fastest there, and how long a study takes.

    python analyses/benchmarks/gpu_speed.py --device cuda
    python analyses/benchmarks/gpu_speed.py --device cuda --study analyses/glas.yaml

Networks have random weights, which cost as much as others. With CUDA all is done in float32 and in TF32, and it is
printed how much TF32 changes the saliency that falls on each quarter of an image; a run asks its own networks and
compartments instead. ``--study`` runs a study, ``built-in`` the one without a file, and prints its seconds.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saliency_stats.classifier.building import initialise
from saliency_stats.execution.device import allow_tf32, choose, make_deterministic, wait_for
from saliency_stats.saliency import gradient


def raw(model: torch.nn.Module, images: Tensor, targets: Tensor, size: int) -> Tensor:
    """Differentiate with torch alone, so many images at a time."""
    found = []
    for some, target in zip(images.split(size), targets.split(size), strict=True):
        pixels = some.clone().requires_grad_()
        (slope,) = torch.autograd.grad(model(pixels).gather(1, target[:, None]).sum(), pixels)
        found.append(slope)
    return torch.cat(found)


def seconds(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Return the seconds of the fastest call, after one that allots memory and chooses kernels."""
    taken = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        work()
        wait_for(device)
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


def quarters(maps: Tensor) -> np.ndarray:
    """Return the share of the saliency (N, H, W) in each quarter of an image."""
    mass = torch.nn.functional.adaptive_avg_pool2d(maps[:, None].float(), 2).flatten(1).cpu().double().numpy()
    return np.asarray(mass / mass.sum(axis=1, keepdims=True))


def compare(architecture: str, device: torch.device, arguments: argparse.Namespace) -> None:
    """Print gradients per second of both ways, in each precision."""
    model = initialise(architecture, 0).to(device).to(memory_format=torch.channels_last).eval()
    side = arguments.size
    images = torch.rand(arguments.images, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    images = images.contiguous(memory_format=torch.channels_last)
    targets = torch.zeros(len(images), dtype=torch.int64, device=device)
    shares = {}
    for precision in ("float32", "tf32") if device.type == "cuda" else ("float32",):
        allow_tf32(allowed=precision == "tf32")
        torchs = {
            size: seconds(partial(raw, model, images, targets, size), device, arguments.rounds)
            for size in arguments.batches
        }
        ours = seconds(partial(gradient, model, images, targets), device, arguments.rounds)
        size = min(torchs, key=torchs.__getitem__)
        print(
            f"{architecture}, {precision}: raw torch {len(images) / torchs[size]:.1f} gradients/s at batch {size}, "
            f"ours {len(images) / ours:.1f}, {torchs[size] / ours:.2f} of it",
            flush=True,
        )
        shares[precision] = quarters(gradient(model, images, targets))
    if "tf32" in shares:
        change = np.abs(shares["tf32"] / shares["float32"] - 1).max()
        print(f"{architecture}: TF32 changes the share of a quarter of an image by at most {change:.1e} of itself")


def study(which: str, device: str) -> None:
    """Run a study from the beginning, and print its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        given = [] if which == "built-in" else [which]
        program = "from saliency_stats.cli import main; main()"
        began = time.perf_counter()
        command = [sys.executable, "-c", program, "run", *given, "--device", device, "--out", str(Path(folder) / "run")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  (ourselves)
        print(f"study {which} on {device}: {time.perf_counter() - began:.0f} s")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda", "mps"])
    parser.add_argument("--architectures", nargs="*", default=["densenet201", "efficientnet_lite0"])
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32, 64, 128], help="of raw torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--study", nargs="*", default=[], help="study files to run, or built-in")
    arguments = parser.parse_args()
    device = choose(arguments.device)
    make_deterministic(device)
    for architecture in arguments.architectures:
        compare(architecture, device, arguments)
    for which in arguments.study:
        study(which, arguments.device)


if __name__ == "__main__":
    main()
