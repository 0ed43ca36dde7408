"""Time of the saliency stage with and without controls, in turns.

    python analyses/benchmarks/controls_cost.py

Phantom patches of 128 px, an untrained DenseNet-201, the built-in nuclei. The stage reads, classifies, explains,
segments and attributes. Prints seconds of every round and the ratio of the best.
"""

import argparse
import json
import tempfile
from pathlib import Path

from saliency_stats import Study
from saliency_stats.settings.study import load

CONTROLS = {
    "none": "[]",
    "images and shift": "[sobel, haematoxylin, eosin, shift]",
    "randomised, images and shift": "[randomised, sobel, haematoxylin, eosin, shift]",
}
STAGE = "saliency, compartments"


def main() -> None:
    """Run the stage in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slides", type=int, default=8)
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in CONTROLS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds):
            for name, controls in CONTROLS.items():
                seconds[name].append(_seconds(Path(folder) / f"{number}-{name}", controls, arguments.slides))
                print(f"round {number + 1}, {name}: {seconds[name][-1]:.2f} s", flush=True)
    best = {name: min(values) for name, values in seconds.items()}
    for name, value in best.items():
        print(f"{name}: {value:.2f} s, {value / best['none']:.2f} times the stage without controls")


def _seconds(folder: Path, controls: str, slides: int) -> float:
    chosen = (
        f"cohort.slides={slides}",
        "cohort.patches_per_slide=16",
        "cohort.fractions={train: 0.25, valid: 0.0, test: 0.75}",
        "classifier.trainable=none",
        "causal.replacements=[]",
        "report.examples=1",
        f"controls={controls}",
    )
    run = Study(load(None, chosen)).run(folder)
    record = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))
    return float(record["seconds"][STAGE])


if __name__ == "__main__":
    main()
