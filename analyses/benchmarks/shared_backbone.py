"""Networks that differ in their heads alone: asked together, so that their backbone sees an image once, and one by one.

    OMP_NUM_THREADS=1 python analyses/benchmarks/shared_backbone.py --architecture efficientnet_lite0 --size 256

Weights are random: their values cost nothing. Prints seconds, ratios, and how far the answers differ.
"""

import argparse
from time import perf_counter

import torch

from saliency_stats.classifier.building import initialise
from saliency_stats.classifier.network import NetworkClassifier
from saliency_stats.classifier.together import Together, together
from saliency_stats.saliency.gradient import logits_and_gradients


def main() -> None:
    """Read the command line, time both ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="efficientnet_lite0")
    parser.add_argument("--networks", type=int, default=6, help="networks that share a backbone")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    first = initialise(arguments.architecture, 0)
    networks = {at: with_another_head(first, at) for at in range(arguments.networks)}
    shared, apart = together(networks), Together.of(networks)
    if not shared.families():
        raise SystemExit(f"{arguments.architecture} cannot be split at its head")
    images = torch.rand(arguments.images, 3, arguments.size, arguments.size, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    targets = dict.fromkeys(networks, torch.zeros(len(images), dtype=torch.int64))
    works = {
        "logits": lambda some: some.logits(images),
        "gradients": lambda some: {
            name: found[1] for name, found in logits_and_gradients(some, images, targets).items()
        },
    }
    for what, work in works.items():
        times: dict[str, list[float]] = {"apart": [], "together": []}
        for _ in range(arguments.rounds):
            answers = {}
            for way, some in (("apart", apart), ("together", shared)):
                began = perf_counter()
                answers[way] = work(some)
                times[way].append(perf_counter() - began)
        best = {way: min(seconds) for way, seconds in times.items()}
        pairs = [(answers["apart"][name], answers["together"][name]) for name in networks]
        off = max(float((one - other).abs().max() / one.abs().max()) for one, other in pairs)
        print(
            f"{what} of {len(images)} images by {len(networks)} networks: apart {best['apart']:.2f} s, together "
            f"{best['together']:.2f} s, {best['apart'] / best['together']:.2f} times as fast; they differ by {off:.0e}"
        )


def with_another_head(network: NetworkClassifier, seed: int) -> NetworkClassifier:
    """Copy a network, and draw its head anew."""
    made = network.fresh(0)
    other, generator = made.state_dict(), torch.Generator().manual_seed(seed)
    for name, value in other.items():
        if name.startswith(network.head) and value.is_floating_point():
            other[name] = value + 0.01 * torch.randn(value.shape, generator=generator)
    made.load_state_dict(other)
    return made.eval().requires_grad_(requires_grad=False).to(memory_format=torch.channels_last)


if __name__ == "__main__":
    main()
