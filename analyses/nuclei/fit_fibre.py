"""Fit the rule that tells cytoplasm from fibre, and say how well it does on slides that it has not seen.

    python analyses/nuclei/fit_fibre.py --data ../shared/data/nuclei

Prints the ``COEFFICIENTS`` of ``saliency_stats/compartments/fibre.py``. Logistic regression over pixels of tissue
outside nuclei and within reach of one, from two sources of equal weight:

- phantoms, whose truth is known: cytoplasm against stroma, all pixels alike;
- ``scc-regions``: inside against outside of the outlined epithelium, both classes alike. Slides are sorted by name;
  the first, third, ... are fitted, the others are kept to report on.

Nuclei are those that come with each source, those found by the built-in model and those found by
the classical route. About a minute.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import statsmodels.api as sm
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.compartments import CompartmentParameters, Stains, concentrations, estimate_stains, segment
from saliency_stats.compartments.cells import CELL_SCALE, reach_um
from saliency_stats.compartments.fibre import COEFFICIENTS, FibreParameters, cell_evidence
from saliency_stats.compartments.view import tissue_mask
from saliency_stats.vocabulary import COMPARTMENT_CODES

PIXELS_PER_IMAGE = 3000
USUAL = CompartmentParameters(nuclei="builtin")
CLASSICAL = CompartmentParameters(nuclei="classical")


class Example(NamedTuple):
    """An image, its nuclei, where the truth says cytoplasm or epithelium, and where it says anything."""

    source: str
    fitted: bool
    image: NDArray[np.uint8]
    mpp: float
    stains: Stains
    nuclei: NDArray[np.int32]
    positive: NDArray[np.bool_]


def found(image: NDArray[np.uint8], mpp: float, stains: Stains) -> Iterator[NDArray[np.int32]]:
    """Nuclei of an image by each way to find them."""
    for parameters in (USUAL, CLASSICAL):
        yield segment(image, mpp, stains=stains, parameters=parameters).instances


def breast(folder: Path) -> Iterator[Example]:
    """Images with outlined epithelium, once with each set of nuclei."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing: name the folder that holds scc-regions with --data.")
    table = pd.read_csv(folder / "index.csv")
    for number, (_, rows) in enumerate(table.groupby("slide", sort=True)):
        images = [np.asarray(Image.open(folder / "images" / f"{name}.png").convert("RGB")) for name in rows["id"]]
        stains = estimate_stains(images)
        for image, name, mpp in zip(images, rows["id"], rows["mpp"], strict=True):
            epithelium = np.asarray(Image.open(folder / "epithelium" / f"{name}.png")) > 0
            given = np.asarray(Image.open(folder / "nuclei_machine" / f"{name}.png")).astype(np.int32)
            for nuclei in (given, *found(image, mpp, stains)):
                yield Example("breast", number % 2 == 0, image, mpp, stains, nuclei, epithelium)


def phantoms(seed: int, *, fitted: bool) -> Iterator[Example]:
    """Phantoms of every planted signal, once with each set of nuclei."""
    for signal in ("cytoplasm", "nucleus", "stroma"):
        cohort = PhantomCohort(Phantom(signal=signal), PhantomCohortSize(slides=8, patches_per_slide=2), seed=seed)
        for _, rows in cohort.table.groupby("slide_id"):
            patches = [cohort.read(int(row)) for row in rows.index]
            stains = estimate_stains([patch.image for patch in patches])
            for patch in patches:
                for nuclei in (patch.instances, *found(patch.image, 0.5, stains)):
                    truth = patch.truth != COMPARTMENT_CODES["stroma"]
                    yield Example("phantoms", fitted, patch.image, 0.5, stains, nuclei, truth)


def sample(example: Example, rng: np.random.Generator) -> pd.DataFrame:
    """Evidence and truth of some pixels within reach of a nucleus."""
    image, mpp, nuclei = example.image, example.mpp, example.nuclei
    tissue = tissue_mask(image, mpp, example.stains, USUAL)
    steps, nearest = ndimage.distance_transform_edt(nuclei == 0, return_indices=True)
    distance, owner = (steps - 0.5) * mpp, nuclei[tuple(nearest)]
    within = tissue & (nuclei == 0) & (distance <= reach_um(nuclei, mpp, USUAL.cytoplasm_um, CELL_SCALE)[owner])
    away = tissue & (distance > FibreParameters().nuclear_margin_um)
    stained = concentrations(image, example.stains)
    evidence = cell_evidence(nuclei, owner, tissue, away, stained, example.stains.maxima, mpp)
    where = np.flatnonzero(within)
    where = rng.choice(where, min(len(where), PIXELS_PER_IMAGE), replace=False)
    rows = pd.DataFrame({name: values.ravel()[where] for name, values in evidence.items()})
    return rows.assign(
        positive=example.positive.ravel()[where], source=example.source, fitted=example.fitted, weight=1.0
    )


def main() -> None:
    """Fit, print the coefficients and the balanced accuracy per source and half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/nuclei"))
    folder = parser.parse_args().data / "scc-regions"
    rng = np.random.default_rng(0)
    examples = (*breast(folder), *phantoms(11, fitted=True), *phantoms(77, fitted=False))
    pixels = pd.concat([sample(example, rng) for example in examples], ignore_index=True)
    balanced = pixels["source"] == "breast"
    sizes = pixels.groupby(["source", "fitted", "positive"])["weight"].transform("size")
    pixels.loc[balanced, "weight"] = 0.5 / sizes[balanced]
    pixels.loc[~balanced, "weight"] = 1 / (~balanced & pixels["fitted"]).sum()
    names = [name for name in COEFFICIENTS if name != "constant"]
    design = sm.add_constant(pixels[names].to_numpy(dtype=float))
    train = pixels["fitted"].to_numpy()
    weight = pixels["weight"].to_numpy() * train.sum() / 2
    model = sm.GLM(
        pixels["positive"].to_numpy(dtype=float)[train],
        design[train],
        family=sm.families.Binomial(),
        var_weights=weight[train],
    )
    fitted = np.asarray(model.fit().params)
    for name, value in zip(["constant", *names], fitted, strict=True):
        print(f'    "{name}": {value:.2f},')
    pixels["found"] = design @ fitted > 0
    for (source, seen), rows in pixels.groupby(["source", "fitted"]):
        sensitivity = rows.loc[rows["positive"], "found"].mean()
        specificity = (~rows.loc[~rows["positive"], "found"]).mean()
        print(
            f"{source:9s} {'fitted' if seen else 'unseen'}: balanced accuracy {(sensitivity + specificity) / 2:.3f} "
            f"(sensitivity {sensitivity:.3f}, specificity {specificity:.3f})"
        )


if __name__ == "__main__":
    main()
