"""How memory is had while training and while taking gradients: as torch and glibc usually do, and as a run does.

    OMP_NUM_THREADS=1 python analyses/benchmarks/memory_speed.py --architecture densenet201 --size 128

Usually torch, asked for deterministic kernels, fills all new memory, and glibc maps large pieces anew each time. A run
does without the first, and trains without the second. Weights are random: their values cost nothing. Prints the seconds
of the processor of each work, both ways by turns, and the ratio of the best rounds.
"""

import argparse
from contextlib import nullcontext
from time import process_time
from typing import Any

import torch
from torch import nn

from saliency_stats.classifier.building import initialise
from saliency_stats.classifier.training import uses_bfloat16
from saliency_stats.execution.device import deterministic_kernels, reused_memory


def main() -> None:
    """Read the command line, do both works both ways by turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="densenet201")
    parser.add_argument("--train", type=int, default=32, help="patches in a batch of training")
    parser.add_argument("--explain", type=int, default=8, help="patches in a batch of gradients")
    parser.add_argument("--size", type=int, default=128, help="pixels of a side")
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    works: dict[str, Any] = {
        "training": (Training(arguments.architecture, arguments.train, arguments.size).step, reused_memory),
        "gradients": (Gradients(arguments.architecture, arguments.explain, arguments.size).step, nullcontext),
    }
    for name, (work, memory) in works.items():
        best = {"usual": float("inf"), "ours": float("inf")}
        for _ in range(arguments.rounds):
            for way in tuple(best):
                deterministic_kernels()
                torch.utils.deterministic.fill_uninitialized_memory = way == "usual"  # type: ignore[attr-defined]
                with memory() if way == "ours" else nullcontext():
                    work()  # takes the memory that the other finds
                    began = process_time()
                    work()
                    best[way] = min(best[way], process_time() - began)
        ratio = best["usual"] / best["ours"]
        print(f"{name}: {best['usual']:.2f} s usually, {best['ours']:.2f} s in a run, {ratio:.2f} times as fast")


def images_of(number: int, size: int) -> torch.Tensor:
    """Draw images, channels last in memory."""
    drawn = torch.rand(number, 3, size, size, generator=torch.Generator().manual_seed(0))
    return drawn.contiguous(memory_format=torch.channels_last)


class Training:
    """All layers of a network and a batch that it is trained on."""

    def __init__(self, architecture: str, number: int, size: int) -> None:
        self.module = initialise(architecture, 0).to(memory_format=torch.channels_last).requires_grad_().train()
        self.optimizer = torch.optim.AdamW(self.module.parameters(), fused=True)
        self.images, self.targets = images_of(number, size), torch.arange(number) % 2
        self.autocast = uses_bfloat16("auto", self.images.device)

    def step(self) -> None:
        """Take one step."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            output = self.module(self.images)
        loss = nn.functional.cross_entropy(output.float(), self.targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


class Gradients:
    """A network and a batch whose gradients are taken."""

    def __init__(self, architecture: str, number: int, size: int) -> None:
        module = initialise(architecture, 0).to(memory_format=torch.channels_last)
        self.module = module.eval().requires_grad_(requires_grad=False)
        self.images = images_of(number, size)

    def step(self) -> None:
        """Take the gradients of one logit."""
        images = self.images.clone().requires_grad_()
        torch.autograd.grad(self.module(images)[:, 1].sum(), images)


if __name__ == "__main__":
    main()
