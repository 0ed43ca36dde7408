"""Copy what is committed of a finished run: its contrasts by one test, its verdict, its small tables, its graphs.

    python analyses/committed.py reports/glas analyses/results/real/glas

Of ``contrasts.csv`` only the primary contrast by the test that decides is kept, as it is and centred. Other files are
copied where the run has them; none of them shows a patch.
"""

import argparse
import shutil
from pathlib import Path

from saliency_stats import Run

TABLES = ("causal.csv", "multiverse_summary.csv", "metrics.csv", "verdict.json")
CONTRASTS = ("cytoplasm_vs_nucleus", "cytoplasm_vs_nucleus_centred")
FIGURES = (
    *("density_ratio.png", "controls.png", "methods.png", "causal.png", "separation.png", "multiverse.png"),
    *("segmentations.png", "forest.png", "networks.png"),
)
SHOWN = [
    *("contrast", "label", "magnification", "model", "method", "reduction", "estimate", "ci_low", "ci_high", "ratio"),
    *("test", "p_value", "p_adjusted", "status", "n_networks", "n_slides", "n_patches"),
]


def keep(run: Run, folder: Path) -> None:
    """Copy a run's small tables and its figures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in (*(run.folder / name for name in TABLES), *(run.folder / "figures" / name for name in FIGURES)):
        if source.is_file():
            shutil.copy(source, folder / source.name)
    contrasts = run.contrasts
    one_test = contrasts.query("test == @run.primary_test and population == 'judged' and contrast in @CONTRASTS")
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
