"""How much faster two processes measure than one: the saliency stage of a study, each process on one thread.

    OMP_NUM_THREADS=1 python analyses/benchmarks/workers_speed.py

Phantom patches of 256 px with the built-in nuclei and an untrained DenseNet-201, given to ``local:1`` and ``local:2``
in turns. Prints the seconds of every round, and the patches per second of the best against the first number of
processes. Needs as many idle cores as processes.
"""

import argparse
import json
import tempfile
from pathlib import Path

from saliency_stats import Study
from saliency_stats.execution.progress import Progress
from saliency_stats.settings.study import load

STAGE = "saliency, compartments"


def main() -> None:
    """Run the stage in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--slides", type=int, default=8)
    parser.add_argument("--patches", type=int, default=8, help="Of a slide; three quarters of the slides are measured.")
    parser.add_argument("--size", type=int, default=256, help="Side of a patch in pixels.")
    parser.add_argument("--architecture", default="densenet201")
    arguments = parser.parse_args()
    chosen = (
        f"cohort.slides={arguments.slides}",
        f"cohort.patches_per_slide={arguments.patches}",
        f"cohort.size_px={arguments.size}",
        "cohort.fractions={train: 0.25, valid: 0.0, test: 0.75}",
        f"classifier.architecture={arguments.architecture}",
        "classifier.trainable=none",
        # a unit for each process, several times over
        "saliency.batch_size=4",
        "causal.replacements=[]",
        "report.examples=1",
    )
    seconds: dict[int, list[float]] = {workers: [] for workers in arguments.workers}
    measured = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds):
            for workers, found in seconds.items():
                out = Path(folder) / f"{number}-{workers}"
                run = Study(load(None, chosen)).run(out, scheduler=f"local:{workers}", progress=Progress(show=False))
                record = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
                found.append(float(record["seconds"][STAGE]))
                measured = run.ledger["patch_id"].nunique()
                print(f"round {number + 1}, {workers} processes: {found[-1]:.2f} s", flush=True)
    best = {workers: min(found) for workers, found in seconds.items()}
    for workers, value in best.items():
        times = best[arguments.workers[0]] / value
        print(f"{workers} processes: {measured / value:.2f} patches/s, {times:.2f} times {arguments.workers[0]}")


if __name__ == "__main__":
    main()
