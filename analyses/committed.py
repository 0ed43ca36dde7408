"""Copy what is committed of a finished run: its contrasts by one test, its other small tables, its figures.

    python analyses/committed.py reports/camelyon16_patches analyses/results/real/camelyon16_patches

Of ``contrasts.csv`` only the primary contrast by the test that decides is kept. Other files are copied where the run
has them.
"""

import argparse
import shutil
from pathlib import Path

from saliency_stats import Run

TABLES = ("causal.csv", "multiverse_summary.csv", "metrics.csv")
FIGURES = (
    *("density_ratio.png", "controls.png", "methods.png", "causal.png", "separation.png", "multiverse.png"),
    "segmentations.png",
)
SHOWN = ["label", "magnification", "model", "method", "reduction", "estimate", "ratio", "status", "n_patches"]


def keep(run: Run, folder: Path) -> None:
    """Copy a run's small tables and its figures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in (*(run.folder / name for name in TABLES), *(run.folder / "figures" / name for name in FIGURES)):
        if source.is_file():
            shutil.copy(source, folder / source.name)
    contrasts = run.contrasts
    one_test = contrasts.query(
        "test == @run.primary_test and population == 'judged' and contrast == 'cytoplasm_vs_nucleus'"
    )
    one_test[SHOWN].to_csv(folder / "contrasts.csv", index=False)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("results", type=Path, help="folder to write to")
    arguments = parser.parse_args()
    keep(Run(arguments.run), arguments.results)


if __name__ == "__main__":
    main()
