"""Fit the rule that tells cytoplasm from fibre, and say how well it does on slides that it has not seen.

    python analyses/nuclei/fit_cells.py --data ../shared/data/nuclei --out saliency_stats/compartments/models/cells.npz

A network with one hidden layer over the evidence of ``fibre.cell_evidence``, as it is and relative to what is around
(``surroundings.relative``), fitted to pixels of tissue outside nuclei and within reach of one, from two sources of
equal weight:

- phantoms, whose truth is known: cytoplasm against stroma, all pixels alike; others than
  ``evaluate.py`` draws;
- ``scc-regions``: inside against outside of the outlined epithelium, both classes alike.

Nuclei are those that come with each source, those found by the built-in model and those found by the classical route.
Every image is also shown stretched along one axis: epithelium whose cells all point one way must not count as fibre.
Slides are sorted by name and dealt into four folds. Four times three folds are fitted and the fourth is measured, with
the nuclei of the built-in model: of the breast as ``evaluate.py`` does, epithelium (nuclei and cytoplasm) against the
rest among tissue; of the phantoms the share of right pixels outside nuclei. Then all are fitted together and written.
Evidence is dropped and disturbed at random while fitting, so that no single one decides. About ten minutes.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.transform import resize
from torch import nn
from torch.nn import functional

from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.compartments import (
    CompartmentParameters,
    Stains,
    concentrations,
    estimate_stains,
    nucleus_finder,
    view_of,
)
from saliency_stats.compartments.cell_rule import LIMIT, CellRule
from saliency_stats.compartments.cells import ASKED_UM, CELL_SCALE, nuclear_radius_um, reach_um, weighed
from saliency_stats.compartments.fibre import FibreParameters, cell_evidence
from saliency_stats.compartments.surroundings import relative
from saliency_stats.vocabulary import COMPARTMENT_CODES

PIXELS_PER_IMAGE = 3000
HIDDEN, STEPS, BATCH, RATE, DECAY = 16, 3000, 1024, 3e-3, 0.01
#: Chance that a piece of evidence is hidden, and the noise added to it, in standard deviations.
HIDE, DISTURB = 0.2, 0.1
#: Factors by which an image becomes longer, and narrower across.
STRETCHES = (1.2, 1.35, 1.5)
#: Not the seed of the phantoms that ``evaluate.py`` measures on.
PHANTOM_SEED = 1234
FOLDS = 4
USUAL = CompartmentParameters(nuclei="builtin")


class Example(NamedTuple):
    """An image, its fold, its nuclei and who found them, and where the truth says cytoplasm or epithelium."""

    source: str
    fold: int
    finder: str
    image: NDArray[np.uint8]
    mpp: float
    stains: Stains
    nuclei: NDArray[np.int32]
    positive: NDArray[np.bool_]


def nuclei_of(
    image: NDArray[np.uint8], mpp: float, stains: Stains, given: NDArray[np.int32]
) -> Iterator[tuple[str, NDArray[np.int32]]]:
    """Nuclei of an image: those that come with it, then those of each way to find them."""
    yield "given", given
    view = view_of(image, mpp, USUAL, stains)
    for name in ("builtin", "classical"):
        yield name, nucleus_finder(name)([view])[0].instances


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
            for finder, nuclei in nuclei_of(image, mpp, stains, given):
                yield Example("breast", number % FOLDS, finder, image, mpp, stains, nuclei, epithelium)


def phantoms() -> Iterator[Example]:
    """Phantoms of every planted signal, once with each set of nuclei."""
    for signal in ("cytoplasm", "nucleus", "stroma"):
        cohort = PhantomCohort(
            Phantom(signal=signal), PhantomCohortSize(slides=16, patches_per_slide=2), seed=PHANTOM_SEED
        )
        for number, (_, rows) in enumerate(cohort.table.groupby("slide_id")):
            patches = [cohort.read(int(row)) for row in rows.index]
            stains = estimate_stains([patch.image for patch in patches])
            for patch in patches:
                assert patch.truth is not None
                assert patch.instances is not None
                truth = patch.truth != COMPARTMENT_CODES["stroma"]
                for finder, nuclei in nuclei_of(patch.image, 0.5, stains, patch.instances):
                    yield Example("phantoms", number % FOLDS, finder, patch.image, 0.5, stains, nuclei, truth)


def stretched(example: Example, rng: np.random.Generator) -> Example:
    """Draw an example out along one of its axes and make it as much narrower across; areas stay what they are."""
    factor = rng.choice(STRETCHES)
    height, width = example.image.shape[:2]
    rows, columns = (factor, 1 / factor) if rng.integers(2) else (1 / factor, factor)
    shape = (round(height * rows), round(width * columns))
    image = resize(example.image, (*shape, 3), order=1, preserve_range=True, anti_aliasing=True)
    masks = {
        "nuclei": resize(example.nuclei, shape, order=0, preserve_range=True, anti_aliasing=False).astype(np.int32),
        "positive": resize(example.positive, shape, order=0, anti_aliasing=False).astype(bool),
    }
    return example._replace(image=np.clip(image, 0, 255).round().astype(np.uint8), **masks)


def sample(example: Example, rng: np.random.Generator) -> pd.DataFrame:
    """Evidence and truth of some pixels within reach of a nucleus."""
    image, mpp, nuclei = example.image, example.mpp, example.nuclei
    tissue = view_of(image, mpp, USUAL, example.stains).tissue
    steps, nearest = ndimage.distance_transform_edt(nuclei == 0, return_indices=True)
    distance, owner = (steps - 0.5) * mpp, nuclei[tuple(nearest)]
    reach = reach_um(nuclear_radius_um(nuclei, mpp), ASKED_UM, CELL_SCALE)
    within = tissue & (nuclei == 0) & (distance <= reach[owner])
    away = tissue & (distance > FibreParameters().nuclear_margin_um)
    stained = concentrations(image, example.stains)
    evidence = cell_evidence(nuclei, owner, distance, tissue, away, stained, example.stains.maxima, mpp)
    evidence |= relative(evidence, within, mpp)
    where = np.flatnonzero(within)
    where = rng.choice(where, min(len(where), PIXELS_PER_IMAGE), replace=False)
    rows = pd.DataFrame({name: values.ravel()[where] for name, values in evidence.items()})
    return rows.assign(positive=example.positive.ravel()[where], source=example.source, fold=example.fold)


def weights(pixels: pd.DataFrame) -> NDArray[np.float32]:
    """Weigh the sources alike, and in the breast both classes alike; 1 on average."""
    breast_pixels = pixels["source"] == "breast"
    sizes = pixels.groupby(["source", "positive"])["fold"].transform("size")
    share = np.where(breast_pixels, 0.25 / sizes, 0.5 / (~breast_pixels).sum())
    return (share * len(pixels)).astype(np.float32)


def fit(pixels: pd.DataFrame) -> CellRule:
    """Fit the rule to sampled pixels."""
    names = tuple(sorted(set(pixels.columns) - {"positive", "source", "fold"}))
    values = pixels[list(names)].to_numpy(dtype=np.float32)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    standard = torch.from_numpy(np.clip((values - mean) / deviation, -LIMIT, LIMIT))
    truth, weight = torch.from_numpy(pixels["positive"].to_numpy(np.float32)), torch.from_numpy(weights(pixels))
    torch.manual_seed(0)
    hidden, output = nn.Linear(len(names), HIDDEN), nn.Linear(HIDDEN, 1)
    network = nn.Sequential(hidden, nn.ReLU(), output)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(standard), (BATCH,))
        shown = standard[chosen]
        shown = shown * (torch.rand_like(shown) > HIDE) + DISTURB * torch.randn_like(shown)
        losses = functional.binary_cross_entropy_with_logits(network(shown)[:, 0], truth[chosen], reduction="none")
        optimiser.zero_grad()
        (losses * weight[chosen]).mean().backward()
        optimiser.step()
        schedule.step()
    weight_in, bias_in, weight_out = (
        values.detach().numpy() for values in (hidden.weight, hidden.bias, output.weight[0])
    )
    return CellRule(names, mean, deviation, weight_in, bias_in, weight_out, float(output.bias.detach()))


def asked(rule: CellRule, examples: Sequence[Example]) -> NDArray[np.int64]:
    """Pixels that a rule calls right and wrong: rows positive and negative by the truth, columns as called."""
    counts = np.zeros((2, 2), dtype=np.int64)
    for example in examples:
        tissue = view_of(example.image, example.mpp, USUAL, example.stains).tissue
        stained, nuclear = concentrations(example.image, example.stains), example.nuclei > 0
        around = weighed(example.nuclei, tissue, stained, example.mpp, maxima=example.stains.maxima, rule=rule)
        cells = around.within(ASKED_UM, FibreParameters().threshold)
        counted = tissue & ~nuclear if example.source == "phantoms" else tissue | nuclear
        called = (cells > 0) | nuclear
        for row, truth in enumerate((example.positive, ~example.positive)):
            for column, call in enumerate((called, ~called)):
                counts[row, column] += np.count_nonzero(counted & truth & call)
    return counts


def printed(title: str, counts: NDArray[np.int64]) -> None:
    """Print what was right."""
    sensitivity, specificity = counts[0, 0] / counts[0].sum(), counts[1, 1] / counts[1].sum()
    print(
        f"{title}: balanced accuracy {(sensitivity + specificity) / 2:.3f} (sensitivity {sensitivity:.3f}, "
        f"specificity {specificity:.3f}), accuracy {np.trace(counts) / counts.sum():.3f}"
    )


def main() -> None:
    """Fit without each fold and measure on it, fit all, print the accuracies, write the rule of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/nuclei"))
    parser.add_argument("--out", type=Path, required=True, help="file to write the rule to, .npz")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    examples = (*breast(arguments.data / "scc-regions"), *phantoms())
    shown = (one for example in examples for one in (example, stretched(example, rng)))
    pixels = pd.concat([sample(one, rng) for one in shown], ignore_index=True)
    rules = [fit(pixels[pixels["fold"] != fold]) for fold in range(FOLDS)]
    rule = fit(pixels)
    for source in ("breast", "phantoms"):
        of_model = [example for example in examples if (example.source, example.finder) == (source, "builtin")]
        unseen = [asked(rules[fold], [one for one in of_model if one.fold == fold]) for fold in range(FOLDS)]
        printed(f"{source:8s} not seen when fitted", np.sum(unseen, axis=0))
        printed(f"{source:8s} seen when fitted    ", asked(rule, of_model))
    np.savez(arguments.out, **vars(rule))


if __name__ == "__main__":
    main()
