"""Time of the saliency stage with all threads on one batch, with one worker, and with several workers.

    python analyses/benchmarks/workers.py

The built-in study's measured patches of a few slides (128 px, the trained network's and the randomised one's gradients,
built-in nuclei, all controls and replacements) with an untrained DenseNet-201. Prints the seconds of every round, and
the patches per second of the best, against all threads on one batch after the other.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from saliency_stats import Study
from saliency_stats.execution.engine import Engine, Threads
from saliency_stats.settings.study import load

Unit = TypeVar("Unit")
Result = TypeVar("Result")
STAGE = "saliency, compartments"


class AllThreads:
    """One batch after the other, each computed by all threads."""

    trains = False

    def map(self, function: Callable[[Unit], Result], units: Sequence[Unit]) -> Generator[Result, None, None]:
        """Yield ``function(unit)`` for each unit."""
        yield from map(function, units)


def main() -> None:
    """Run the stage in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slides", type=int, default=8)
    arguments = parser.parse_args()
    threads = torch.get_num_threads()
    engines: dict[str, Engine] = {
        "all threads on one unit": AllThreads(),
        "one worker": Threads(1),
        f"{threads} workers": Threads(threads),
    }
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds):
            for name, engine in engines.items():
                seconds[name].append(_seconds(Path(folder) / f"{number}-{name}", engine, arguments.slides))
                print(f"round {number + 1}, {name}: {seconds[name][-1]:.2f} s", flush=True)
    best = {name: min(values) for name, values in seconds.items()}
    for name, value in best.items():
        print(f"{name}: {value:.2f} s, {best['all threads on one unit'] / value:.2f} times the patches per second")


def _seconds(folder: Path, engine: Engine, slides: int) -> float:
    chosen = (
        f"cohort.slides={slides}",
        "cohort.fractions={train: 0.25, valid: 0.0, test: 0.75}",
        "classifier.trainable=none",
        # so that compartments are replaced although the network has learned nothing
        "saliency.min_confidence=0.5",
        "report.examples=1",
    )
    run = Study(load(None, chosen)).run(folder, engine=engine)
    record = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))
    return float(record["seconds"][STAGE])


if __name__ == "__main__":
    main()
