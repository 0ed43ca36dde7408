"""Errors, power and speed of the test of a specification curve, by simulation.

    python analyses/specification_curve.py --out analyses/results/calibration

Writes ``specification_curve.csv``. Specifications are correlated: of the variance between slides (and networks, and
slides within networks) a share is common to all. "one network": SD between slides 1, symmetric or skewed (exponential).
"networks": SD between slides 0.08, between a network's slides 0.06. "given" flips whole slides of the networks' mean,
as if there were no other networks. "some effect" is one of 1.5 SD in half of the specifications, all in one direction:
there ``family_wise`` counts studies in which any of the others is rejected, and ``over_bound`` those whose bound is
above the truth.
"""

import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from saliency_stats.statistics.specification import curve_test

ALPHA = 0.05
DRAWS = 999
SLIDES = (8, 10, 20)
SHARES = (0.5, 0.95)
Values = NDArray[np.float64]


def correlated(rng: np.random.Generator, n: int, shape: tuple[int, ...], share: float, effects: str) -> Values:
    """Draw effects (n, *shape) with variance 1, of which a share is common to all n specifications."""

    def one(*size: int) -> Values:
        return rng.exponential(size=size) - 1 if effects == "skewed" else rng.normal(size=size)

    return np.asarray(np.sqrt(share) * one(1, *shape) + np.sqrt(1 - share) * one(n, *shape))


def designs(n: int) -> Iterator[tuple[dict[str, Any], Callable[[np.random.Generator], Values]]]:
    """Name each design, with what draws a study of it."""
    for slides, share, effects, missing in product(SLIDES, SHARES, ("symmetric", "skewed"), (0.0, 0.1)):
        design = {"networks": 1, "slides": slides, "share": share, "effects": effects, "missing": missing}

        def alone(rng: np.random.Generator, of: dict[str, Any] = design) -> Values:
            values = correlated(rng, n, (of["slides"],), of["share"], of["effects"])
            gone = rng.random(values.shape) < of["missing"]
            gone[:, :3] = False
            return np.where(gone, np.nan, values)

        yield design, alone
    for slides, share, networks, sd in product(SLIDES, SHARES, (3, 5, 8), (0.0, 0.08, 0.34)):
        design = {"networks": networks, "slides": slides, "share": share, "effects": "symmetric", "network_sd": sd}

        def several(rng: np.random.Generator, of: dict[str, Any] = design) -> Values:
            k, g, shared = of["networks"], of["slides"], of["share"]
            parts = (((k, 1), of["network_sd"]), ((1, g), 0.08), ((k, g), 0.06))
            return np.asarray(sum(sd * correlated(rng, n, shape, shared, "symmetric") for shape, sd in parts))

        yield design, several


def studied(
    rng: np.random.Generator, draw: Callable[[np.random.Generator], Values], studies: int
) -> dict[str, np.floating]:
    """Count the errors of both tests in null studies, and in those where half of the specifications have an effect."""
    null = [draw(rng) for _ in range(studies)]
    found = [curve_test(values, alpha=ALPHA, draws=DRAWS, seed=0) for values in null]
    counts = {
        "global": np.mean([one.p_global <= ALPHA for one in found]),
        "family_wise": np.mean([np.nanmin(one.p_max_t) <= ALPHA for one in found]),
    }
    if null[0].ndim > 2:
        means = [values.mean(axis=1) for values in null]
        given = [curve_test(values, alpha=ALPHA, draws=DRAWS, seed=0) for values in means]
        return counts | {"global_given": np.mean([one.p_global <= ALPHA for one in given])}
    half = len(null[0]) // 2
    planted = [values + 1.5 * (np.arange(len(values)) < half)[:, None] for values in null]
    found = [curve_test(values, alpha=ALPHA, draws=DRAWS, seed=0) for values in planted]
    every = [curve_test(values + 1.5, alpha=ALPHA, draws=DRAWS, seed=0) for values in null]
    return counts | {
        "family_wise_some_effect": np.mean([(one.p_max_t[half:] <= ALPHA).any() for one in found]),
        "over_bound": np.mean([one.n_true_low > half for one in found]),
        "true_low_of_half": np.mean([one.n_true_low for one in found]) / half,
        "power_global": np.mean([one.p_global <= ALPHA for one in every]),
        "true_low_of_all": np.mean([one.n_true_low for one in every]) / (2 * half),
    }


def seconds(slides: int, draws: int = 9_999, n: int = 864) -> float:
    """Time one test of a large curve."""
    values = correlated(np.random.default_rng(0), n, (slides,), 0.9, "symmetric")
    start = time.perf_counter()
    curve_test(values, alpha=ALPHA, draws=draws, seed=0)
    return time.perf_counter() - start


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), default=Path("analyses/results/calibration"))
@click.option("--studies", default=1_000, help="Studies per design.")
@click.option("--specifications", default=24, help="Specifications of a curve.")
def main(out: Path, studies: int, specifications: int) -> None:
    """Simulate every design."""
    rows = []
    for at, (design, draw) in enumerate(designs(specifications)):
        rng = np.random.default_rng((0, at))
        rows.append({**design, "specifications": specifications, "studies": studies, **studied(rng, draw, studies)})
    table = pd.DataFrame(rows)
    out.mkdir(parents=True, exist_ok=True)
    table.round(4).to_csv(out / "specification_curve.csv", index=False)
    print(table.groupby(["networks", "effects", "slides"])[["global", "family_wise"]].agg(["mean", "max"]).to_string())
    for slides in (10, 16, 20):
        print(f"864 specifications x {slides} slides: {seconds(slides):.2f} s")


if __name__ == "__main__":
    main()
