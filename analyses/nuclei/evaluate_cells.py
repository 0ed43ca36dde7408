"""Measure how well each way to tell cells finds cytoplasm and stroma, on outlined epithelium and on phantoms.

    python analyses/nuclei/evaluate_cells.py --out reports/cells.csv
    python analyses/nuclei/evaluate_cells.py --network reports/tissue-0/tissue.safetensors --part 0 --out reports/0.csv

Pixels of tissue outside nuclei are asked: nuclei by the built-in model, tissue by brightness, the hard map of the
largest membership. Epithelium counts as cytoplasm, everything outside the outlines as stroma. Once all such pixels
count, once those near an outline, the content of lumens and rims of nuclei outside the epithelium do not
(``tissue_sets.from_outlines``).
``--part`` measures on the images that ``train_tissue.py --leave-out`` left out. Of phantoms every pixel counts, in all
four compartments, with the nuclei that the built-in model finds.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scores import compartment_scores
from tissue_sets import MPP, UNKNOWN, from_outlines, outlined
from tqdm import tqdm
from train_tissue import read

from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.compartments import CompartmentParameters, estimate_stains, nucleus_finder, to_codes, view_of
from saliency_stats.compartments.segmentation import divided, find_nuclei, with_tissues
from saliency_stats.compartments.tissue.files import BUILTIN_TISSUE, TissueModel, read_tissue
from saliency_stats.compartments.tissue.predict import Tissues
from saliency_stats.vocabulary import CELLS, COMPARTMENT_CODES

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PHANTOM_SEED: Final = 23
PHANTOM_SIDE_UM: Final = 128.0


def main() -> None:
    """Measure, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPOSITORY / "../shared/data")
    parser.add_argument("--network", type=Path, help="as train_tissue.py writes it; the one of the package if left out")
    parser.add_argument("--part", type=int, help="measure on this part of the outlined images only")
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=CELLS)
    parser.add_argument("--sets", nargs="+", default=["outlines", "phantoms"], choices=["outlines", "phantoms"])
    parser.add_argument("--mpp", nargs="+", type=float, default=[0.5, 0.25, 1.0], help="of the phantoms")
    parser.add_argument("--slides", type=int, default=8, help="phantom slides of each architecture, two patches each")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    arguments = parser.parse_args()
    rows = []
    if "outlines" in arguments.sets:
        rows += list(on_outlines(arguments))
    if "phantoms" in arguments.sets:
        rows += list(on_phantoms(arguments))
    table = pd.DataFrame(rows)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out, index=False, float_format="%.5g")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


def model_of(path: Path | None) -> TissueModel:
    """Read the network of the package, or one as training leaves it: as sure as it was trained to be."""
    return read_tissue(BUILTIN_TISSUE) if path is None else TissueModel("trained", read(path), MPP, 1.0)


def codes_of(
    image: npt.NDArray[np.uint8], mpp: float, arguments: argparse.Namespace, tissue: Tissues
) -> tuple[dict[str, npt.NDArray[np.uint8]], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Hard compartments by each way to tell cells, and where tissue and nuclei are; at the size of the image."""
    view = view_of(image, mpp, CompartmentParameters(), estimate_stains([image]))
    found = find_nuclei([view], nucleus_finder("builtin"))[0]
    (view,) = with_tissues([view], tissue)
    made = {name: divided(view, found, CompartmentParameters(cells=name)) for name in arguments.cells}
    codes = {name: to_codes(one.memberships) for name, one in made.items()}
    step = slice(view.factor // 2, None, view.factor)
    return codes, view.tissue[step, step], found.instances[step, step] > 0


def on_outlines(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Cytoplasm against stroma, of each set and part."""
    tissue = Tissues(model_of(arguments.network))
    counts: dict[tuple[str, str, str], npt.NDArray[np.int64]] = {}
    chosen = [one for one in outlined(arguments.data) if arguments.part in (None, one.part)]
    for source in tqdm(chosen, desc="outlines", disable=None):
        codes, seen, nuclei = codes_of(source.image, source.mpp, arguments, tissue)
        known = from_outlines(source).classes != UNKNOWN
        for name, found in codes.items():
            called = (found == COMPARTMENT_CODES["cytoplasm"]).astype(int)
            for pixels, which in (("all", seen & ~nuclei), ("known", seen & ~nuclei & known)):
                table = counts.setdefault((source.kind, name, pixels), np.zeros((2, 2), dtype=np.int64))
                for row, truth in enumerate((~source.epithelium, source.epithelium)):
                    table[row] += np.bincount(called[which & truth], minlength=2)
    for (kind, name, pixels), table in sorted(counts.items()):
        specificity, sensitivity = table[0, 0] / table[0].sum(), table[1, 1] / table[1].sum()
        yield {
            "set": kind,
            "cells": name,
            "pixels": pixels,
            "n": int(table.sum()),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
        }


def on_phantoms(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Share of the pixels that are right, of each architecture and scale."""
    tissue = Tissues(model_of(arguments.network))
    for architecture in ARCHITECTURES:
        for mpp in arguments.mpp:
            phantom = Phantom(
                signal="cytoplasm", size_px=round(PHANTOM_SIDE_UM / mpp), mpp=mpp, architecture=architecture
            )
            cohort = PhantomCohort(phantom, PhantomCohortSize(arguments.slides, 2), seed=PHANTOM_SEED)
            drawn = [cohort.read(row) for row in range(len(cohort.table))]
            found = [
                codes_of(one.image, mpp, arguments, tissue)[0] for one in tqdm(drawn, desc=architecture, disable=None)
            ]
            true = np.stack([one.truth for one in drawn if one.truth is not None])
            for name in arguments.cells:
                scores = compartment_scores(true, np.stack([one[name] for one in found]))
                yield {"set": architecture, "cells": name, "pixels": f"{mpp:g} µm", "n": true.size, **scores}


if __name__ == "__main__":
    main()
