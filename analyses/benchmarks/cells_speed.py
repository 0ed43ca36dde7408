"""How long segmentation takes by each way to tell cells, in one run.

    OMP_NUM_THREADS=1 python analyses/benchmarks/cells_speed.py

256 phantom patches of 256 px at 0.5 µm per pixel, nuclei by the built-in model. The ways take turns, batch by batch, so
that a machine that slows down slows all of them. Prints the time per patch of each part, and the ratio to the rule.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tqdm import tqdm

from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.compartments import CompartmentParameters, estimate_stains, nucleus_finder, view_of
from saliency_stats.compartments.segmentation import divided, find_nuclei, with_tissues
from saliency_stats.compartments.tissue.finder import finder_for
from saliency_stats.vocabulary import CELLS

_BATCH: Final = 16


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the time that the block takes."""
    began = time.perf_counter()
    yield
    seconds[name] += time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=256)
    arguments = parser.parse_args()
    size = PhantomCohortSize(slides=8, patches_per_slide=arguments.patches // 8)
    cohort = PhantomCohort(Phantom(size_px=256), size, seed=0)
    seconds = dict.fromkeys(("views", "nuclei", "tissue network", *CELLS), 0.0)
    nuclei, tissue = nucleus_finder("builtin"), finder_for(["network"])
    n = len(cohort.table)
    # the first batch is measured twice: the first time does not count
    for start in tqdm([0, *range(0, n, _BATCH)], disable=None):
        if start == 0:
            seconds = dict.fromkeys(seconds, 0.0)
        images = [cohort.read(row).image for row in range(start, min(start + _BATCH, n))]
        stains = estimate_stains(images)
        with timed(seconds, "views"):
            views = [view_of(image, 0.5, CompartmentParameters(), stains) for image in images]
        with timed(seconds, "nuclei"):
            found = find_nuclei(views, nuclei)
        with timed(seconds, "tissue network"):
            views = with_tissues(views, tissue)
        for name in CELLS:
            how = CompartmentParameters(cells=name)
            with timed(seconds, name):
                for view, one in zip(views, found, strict=True):
                    divided(view, one, how)
    shared = seconds["views"] + seconds["nuclei"]
    whole = {name: shared + seconds[name] + (seconds["tissue network"] if name == "network" else 0) for name in CELLS}
    for name, value in seconds.items():
        print(f"{name:15s} {1000 * value / n:6.1f} ms a patch")
    for name, value in whole.items():
        print(f"{name:15s} {1000 * value / n:6.1f} ms a patch in all, {value / whole['rule']:.2f} times the rule's")


if __name__ == "__main__":
    main()
