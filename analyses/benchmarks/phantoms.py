"""Phantom patches drawn per second, on one core.

OMP_NUM_THREADS=1 python analyses/benchmarks/phantoms.py
"""

import time

import numpy as np

from saliency_stats.cohort import Phantom

PATCHES = 200
ROUNDS = 3


def main() -> None:
    """Print the rate of each round at the default size and pixel size."""
    phantom = Phantom()
    look = phantom.slide(np.random.default_rng(0))
    phantom.render(np.random.default_rng(0), "benign", look)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for number in range(PATCHES):
            phantom.render(np.random.default_rng(number), "benign", look)
        print(f"{PATCHES / (time.perf_counter() - began):.0f} patches of {phantom.size_px} px per second")


if __name__ == "__main__":
    main()
