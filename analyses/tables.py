"""Make the tables of patches that are derived from others: colon at 10x, named slides of CAMELYON16, a third of PCam.

    python analyses/tables.py --out reports/tables

``glas-10x/patches.csv`` lists the tiles of ``analyses/glas.yaml`` at half their magnification: each pixel is the mean
of four. ``camelyon16.csv`` lists the patches of unnamed slides as the train and valid splits and those of the four
named slides as the test split; nobody knows whether a slide is in both. ``pcam-third.csv`` lists every third patch of
PatchCamelyon, of each split and class: several architectures can be taught on it in an evening.
"""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from saliency_stats.cohort.image import read_rgb

COLUMNS: Final = ["path", "label", "split", "slide_id", "patient_id", "mpp"]
#: Share of the patches of unnamed slides that training looks at without learning from them.
VALID: Final = 0.15
#: Of how many patches of PatchCamelyon one is listed.
EVERY: Final = 3


def main() -> None:
    """Read the command line, write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("reports/tables"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    halved(arguments.data / "glas-colon-20x-evaluation-only", arguments.out / "glas-10x")
    named_slides(arguments.data, arguments.out / "camelyon16.csv")
    a_third(arguments.data / "pcam-10x", arguments.out / "pcam-third.csv")


def halved(source: Path, out: Path) -> None:
    """Write the patches of a table at half their magnification, and their table."""
    table = pd.read_csv(source / "patches.csv", dtype=str)
    for row in tqdm(table.index, desc=out.name, disable=None):
        small = Image.fromarray(read_rgb(source / table.loc[row, "path"])).reduce(2)
        path = Path(table.loc[row, "path"]).with_suffix(".png")
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        small.save(out / path)
        table.loc[row, ["path", "mpp"]] = path.as_posix(), f"{2 * float(table.loc[row, 'mpp']):g}"
    table.to_csv(out / "patches.csv", index=False)


def named_slides(data: Path, out: Path) -> None:
    """Write one table of two sets; its paths are relative to the folder of the data sets."""
    unnamed, named = (
        pd.read_csv(data / name / "patches.csv", dtype=str) for name in ("camelyon16-40x", "camelyon16-slides-40x")
    )
    unnamed["path"] = "camelyon16-40x/" + unnamed["path"]
    named["path"] = "camelyon16-slides-40x/" + named["path"]
    rng = np.random.default_rng(0)
    for _, rows in unnamed.groupby("label"):
        chosen = rng.permutation(rows.index)[: round(VALID * len(rows))]
        unnamed.loc[rows.index, "split"] = "train"
        unnamed.loc[chosen, "split"] = "valid"
    named["split"] = "test"
    pd.concat([unnamed, named])[COLUMNS].to_csv(out, index=False)


def a_third(source: Path, out: Path) -> None:
    """Write every third row of each split and class; its paths are relative to the folder of the set."""
    table = pd.read_csv(source / "patches.csv", dtype=str)
    kept = table.groupby(["split", "label"], sort=False).cumcount() % EVERY == 0
    table.loc[kept, COLUMNS].to_csv(out, index=False)


if __name__ == "__main__":
    main()
