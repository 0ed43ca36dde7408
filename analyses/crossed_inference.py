"""Type-I error, coverage and power of the crossed test of networks and slides, by simulation.

    OMP_NUM_THREADS=1 python analyses/crossed_inference.py --out analyses/results/calibration

Writes ``crossed.csv``, one row per design. Values are log2 ratios. Between slides they have the standard deviation that
six networks of the built-in study had between them and between slides, 0.08, and the same between the networks on one
slide, patches included; between networks 0, 0.08 and 0.34, as measured on other cohorts. Effects of slides are normal
or skewed (exponential, skewness 2). The effect for the power is a ratio of 1.1.

"crossed": every network judges every slide, on the means of cells. "folds": one network per fold, slides of one size,
on the means of slides, by the closed form that the test then has. "folds, patches" and "empty cells" are REML over
patches, from 3 to 60 a slide; "empty cells" lacks one cell in ten. ``upper_error`` counts findings in the upper
direction only.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint
from tqdm import tqdm

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.crossing import crossed, p_and_half
from saliency_stats.statistics.models.networks import NetworkCells
from saliency_stats.statistics.models.two_way import two_way

Array = NDArray[np.float64]
#: Estimates (n,) of many studies and half the width of their intervals.
Found = tuple[Array, Array]

NETWORK_SDS = (0.0, 0.08, 0.34)
SLIDE_SD = 0.08
CELL_SD = 0.08
#: Of patches: what their networks share, and what they do not. A cell then has 0.05 of its own.
PATCH_SDS = (0.2, 0.2)
EFFECTS = ("normal", "skewed")
CROSSED = tuple(product((3, 5, 8), (8, 10, 20, 40)))
FOLDS = ((4, 8), (4, 16), (4, 40), (8, 16), (8, 40))
PATCHES = (("folds, patches", 4, 10), ("folds, patches", 8, 20), ("empty cells", 5, 10))
ALPHA = 0.05
RATIO = 1.1


def slide_effects(effects: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw effects of slides with mean 0."""
    return SLIDE_SD * (rng.normal(size=shape) if effects == "normal" else rng.exponential(size=shape) - 1)


def of_crossed(networks: int, slides: int, sd: float, effects: str, n: int, rng: np.random.Generator) -> Found:
    """Analyse complete tables without an effect."""
    means = sd * rng.normal(size=(n, networks, 1)) + slide_effects(effects, (n, 1, slides), rng)
    table = two_way(means + CELL_SD * rng.normal(size=(n, networks, slides)))
    return table.estimate, p_and_half(table.estimate, *table.spreads, alpha=ALPHA)[1].max(axis=0)


def of_folds(folds: int, slides: int, sd: float, effects: str, n: int, rng: np.random.Generator) -> Found:
    """Analyse folds with one network each, without an effect."""
    shape = (n, folds, slides // folds)
    means = sd * rng.normal(size=(n, folds, 1)) + slide_effects(effects, shape, rng) + CELL_SD * rng.normal(size=shape)
    return nested(means)


def nested(means: Array) -> Found:
    """Analyse means (n, folds, slides of a fold): REML is the wider of the one-way analyses of folds and of slides."""
    n, folds, each = means.shape
    one_way = means.mean(axis=2), means.reshape(n, -1)
    variances = np.stack([of.var(axis=1, ddof=1) / of.shape[1] for of in one_way])
    dfs = np.array([[folds - 1], [folds * each - 1]])
    estimate = means.mean(axis=(1, 2))
    return estimate, p_and_half(estimate, variances, dfs, alpha=ALPHA)[1].max(axis=0)


def of_patches(
    kind: str, networks: int, slides: int, sd: float, effects: str, n: int, rng: np.random.Generator
) -> Found:
    """Analyse patches without an effect by the test itself; NaN where it has no answer."""
    found = np.full((2, n), np.nan)
    for i in range(n):
        try:
            test = crossed(patches(kind, networks, slides, sd, effects, rng), alpha=ALPHA)
        except StatisticsError:
            continue
        found[:, i] = test.estimate, (test.ci_high - test.ci_low) / 2
    return found[0], found[1]


def patches(kind: str, networks: int, slides: int, sd: float, effects: str, rng: np.random.Generator) -> Any:
    """Draw the patches of one study, of slides of unequal size."""
    sizes = rng.permutation(np.geomspace(3, 60, slides).round().astype(np.intp))
    slide = np.repeat(np.arange(slides), sizes)
    network, patch = (codes.ravel() for codes in np.indices((networks, slide.size)))
    slide = slide[patch]
    values = sd * rng.normal(size=networks)[network] + slide_effects(effects, (slides,), rng)[slide]
    values += 0.05 * rng.normal(size=(networks, slides))[network, slide]
    values += PATCH_SDS[0] * rng.normal(size=sizes.sum())[patch] + PATCH_SDS[1] * rng.normal(size=patch.size)
    if kind == "empty cells":
        lacking = rng.permutation(networks * slides)[: networks * slides // 10]
        keep = ~np.isin(network * slides + slide, lacking)
    else:
        keep = slide % networks == network
    return SimpleNamespace(cells=NetworkCells.from_rows(values[keep], network[keep], slide[keep], patch[keep]))


def measured(found: Found) -> dict[str, Any]:
    """Measure error, coverage and power; the effect shifts every value alike and changes nothing else."""
    estimate, half = (each[np.isfinite(found[0])] for each in found)
    rejected = np.abs(estimate) >= half
    low, high = proportion_confint(rejected.sum(), rejected.size, method="wilson")
    return {
        "simulations": rejected.size,
        "unanswered": len(found[0]) - rejected.size,
        "type_1_error": rejected.mean(),
        "type_1_low": low,
        "type_1_high": high,
        "upper_error": (estimate >= half).mean(),
        "coverage": (np.abs(estimate) < half).mean(),
        "power": (estimate + np.log2(RATIO) >= half).mean(),
    }


def designs(n: int, n_patches: int) -> list[tuple[str, int, int, Callable[..., Found], int]]:
    """Every design: name, networks (one a fold in folds), slides, what analyses it, and how many studies of it."""
    return [
        *(("crossed", *sizes, of_crossed, n) for sizes in CROSSED),
        *(("folds", *sizes, of_folds, n) for sizes in FOLDS),
        *((kind, networks, slides, partial(of_patches, kind), n_patches) for kind, networks, slides in PATCHES),
    ]


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("analyses/results/calibration"))
@click.option("--simulations", default=20_000, show_default=True, help="Of the designs that have a closed form.")
@click.option("--patches", "n_patches", default=200, show_default=True, help="Of the others.")
@click.option("--seed", default=0, show_default=True)
def main(out: Path, simulations: int, n_patches: int, seed: int) -> None:
    """Simulate every design and write the table."""
    rows = []
    todo = list(product(enumerate(designs(simulations, n_patches)), enumerate(NETWORK_SDS), enumerate(EFFECTS)))
    for (i, (design, networks, slides, analyse, n)), (j, sd), (k, effects) in tqdm(todo, unit="design"):
        if n:
            found = analyse(networks, slides, sd, effects, n, np.random.default_rng([seed, i, j, k]))
            key = {"design": design, "networks": networks, "slides": slides, "network_sd": sd, "effects": effects}
            rows.append({**key, **measured(found)})
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).round(5).to_csv(out / "crossed.csv", index=False)
    click.echo(out / "crossed.csv")


if __name__ == "__main__":
    main()
