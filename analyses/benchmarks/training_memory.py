"""Training with freed memory kept for the next step, and with glibc's usual ways: patches a second, by turns.

    OMP_NUM_THREADS=1 python analyses/benchmarks/training_memory.py --architecture densenet201 --size 128

Weights are random: their values cost nothing. Prints the patches that a second of the processor trains, the pages that
the system had to fill, and the ratio of the two ways, of the best round of each.
"""

import argparse
import resource
from contextlib import nullcontext
from time import process_time

import torch
from torch import nn

from saliency_stats.classifier.building import initialise
from saliency_stats.classifier.training import uses_bfloat16
from saliency_stats.execution.device import reused_memory


def main() -> None:
    """Read the command line, train both ways by turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="densenet201")
    parser.add_argument("--images", type=int, default=32, help="patches in a batch")
    parser.add_argument("--size", type=int, default=128, help="pixels of a side")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    module = initialise(arguments.architecture, 0).to(memory_format=torch.channels_last).requires_grad_().train()
    optimizer = torch.optim.AdamW(module.parameters(), fused=True)
    drawn = torch.rand(arguments.images, 3, arguments.size, arguments.size, generator=torch.Generator().manual_seed(0))
    images, targets = drawn.contiguous(memory_format=torch.channels_last), torch.arange(arguments.images) % 2
    autocast = uses_bfloat16("auto", images.device)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = module(images)
        loss = nn.functional.cross_entropy(output.float(), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    best = {"usual": 0.0, "kept": 0.0}
    for _ in range(arguments.rounds):
        for way, memory in (("usual", nullcontext()), ("kept", reused_memory())):
            with memory:
                step()  # takes the memory that the others find
                pages, began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, process_time()
                for _ in range(arguments.steps):
                    step()
                rate = arguments.steps * arguments.images / (process_time() - began)
                pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - pages
            best[way] = max(best[way], rate)
            print(f"{way}: {rate:.1f} patches/s of the processor, {pages:,} pages filled", flush=True)
    print(f"kept: {best['kept'] / best['usual']:.2f} times as fast")


if __name__ == "__main__":
    main()
