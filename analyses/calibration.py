"""Type-I error, coverage and power of every test, by simulation.

    python analyses/calibration.py --out analyses/results/calibration

Writes ``calibration.csv`` (one row per test and design) and ``calibration.png``; ``--install`` also writes the copy
that the package ships for its reports, and ``--only TEST`` (repeatable) measures these tests alone and keeps the other
rows of the table. Tests of two samples, and of several networks (analyses/crossed_inference.py), have no part in it.
Patches of a slide share its effect. Means and spreads of slides are drawn
directly, because the tests use nothing else of the patches. Effects of slides are normal, heavy-tailed (Student's t, 3
degrees of freedom) or skewed (exponential, skewness 2), all with mean 0; residuals of patches are normal. "unbalanced"
has from 2 to 400 patches a slide, in geometric steps; "balanced" has 50. The effect for the power is the one that a t
test finds in 80 % of balanced studies. "t_patches" is the test of published work: patches as if they were independent.
"""

from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats
from seaborn import color_palette
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint
from tqdm import tqdm

import saliency_stats.report
from saliency_stats.statistics import TESTS, GroupedSums, Units, infer, sign_flip_p
from saliency_stats.statistics.variance import Clustering

SLIDES = (5, 6, 8, 10, 20, 50)
BALANCE = ("balanced", "unbalanced")
ICCS = (0.0, 0.05, 0.2, 0.5)
EFFECTS = ("normal", "heavy-tailed", "skewed")
ALPHA = 0.05
WANTED_POWER = 0.8
PATCHES = 50
DRAWS = 2_000
#: Tests that are computed for many samples at once.
FAST = ("t_slide_means", "sign_flip", "t_patches")
#: Units are compared with 0: tests of two samples have no part in it.
ONE_SAMPLE = tuple(name for name, test in TESTS.items() if test.one_sample)
NO_CLUSTERING = Clustering(float("nan"), float("nan"), float("nan"), float("nan"))


def one_sample_tests() -> tuple[str, ...]:
    """Return the tests that compare the slides of one network with 0: those that answer about some."""
    units = of_sample(np.full(6, 3.0), np.arange(1.0, 7.0), np.ones(6))
    return tuple(test for test in TESTS if np.isfinite(infer(test, units, alpha=ALPHA, draws=99, seed=0).p_value))


def of_sample(sizes: NDArray[np.float64], means: NDArray[np.float64], squares: NDArray[np.float64]) -> Units:
    """Return the units of one sample, from patches per slide, slide means and sums of squares within slides."""
    names = np.array([f"{slide:09d}" for slide in range(len(sizes))])
    within = np.zeros((len(sizes), 2, 2))
    within[:, 1, 1] = squares
    sums = GroupedSums(names, sizes, np.column_stack([np.ones_like(means), means]), within)
    return Units("slide", np.sort(means), 0.0, len(means), int(sizes.sum()), 0, NO_CLUSTERING, "", sums)


def draw(
    cell: tuple[int, str, float, str], shift: float, n: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return patches per slide (G,), slide means (n, G) and sums of squares within slides (n, G)."""
    slides, balance, icc, effects = cell
    sizes = np.full(slides, PATCHES) if balance == "balanced" else np.geomspace(2, 400, slides).round()
    shape = (n, slides)
    if effects == "normal":
        effect = rng.normal(size=shape)
    elif effects == "skewed":
        effect = rng.exponential(size=shape) - 1
    else:
        effect = rng.standard_t(3, size=shape) / np.sqrt(3)
    within = 1 - icc
    means = shift + np.sqrt(icc) * effect + np.sqrt(within / sizes) * rng.normal(size=shape)
    return sizes.astype(np.float64), means, within * rng.chisquare(sizes - 1, size=shape)


def fast(test: str, sizes: NDArray[np.float64], means: NDArray[np.float64], squares: NDArray[np.float64]) -> Any:
    """Return the p-values of all samples."""
    if test == "t_slide_means":
        return stats.ttest_1samp(means, 0.0, axis=1).pvalue
    if test == "sign_flip":
        return sign_flip_p(means, draws=DRAWS, seed=0)
    total = sizes.sum()
    grand = means @ sizes / total
    spread = squares.sum(axis=1) + ((means - grand[:, None]) ** 2) @ sizes
    return 2 * stats.t.sf(np.abs(grand) / np.sqrt(spread / (total - 1) / total), total - 1)


def slow(
    test: str, sizes: NDArray[np.float64], means: NDArray[np.float64], squares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the p-values of all samples, and whether each interval covers 0; NaN where a test gives no result."""
    p_values, covers = np.full(len(means), np.nan), np.zeros(len(means), dtype=bool)
    for i, (row, spread) in enumerate(zip(means, squares, strict=True)):
        found = infer(test, of_sample(sizes, row, spread), alpha=ALPHA, draws=DRAWS, seed=i)
        p_values[i] = found.p_value
        covers[i] = not (found.ci_low > 0 or found.ci_high < 0)
    return p_values, covers


def one_cell(
    cell: tuple[int, str, float, str], n_fast: int, n_slow: int, seed: int, tests: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Measure some tests in one design, each on the same samples whatever the others are."""
    slides, balance, icc, effects = cell
    rng = np.random.default_rng([seed, slides, BALANCE.index(balance), int(100 * icc), EFFECTS.index(effects)])
    d = TTestPower().solve_power(nobs=slides, alpha=ALPHA, power=WANTED_POWER)
    shift = float(d) * np.sqrt(icc + (1 - icc) / PATCHES)
    null, planted = (draw(cell, by, n_fast, rng) for by in (0.0, shift))
    rows = []
    for test in tests:
        row = {"test": test, "slides": slides, "balance": balance, "icc": icc, "effects": effects}
        if test in FAST:
            p_null, p_planted = fast(test, *null), fast(test, *planted)
            covered = p_null > ALPHA  # intervals and p-values are duals
        else:
            p_null, covered = slow(test, null[0], null[1][:n_slow], null[2][:n_slow])
            n_power = max(1, n_slow // 4)
            p_planted = slow(test, planted[0], planted[1][:n_power], planted[2][:n_power])[0]
        rejected, n = int((p_null <= ALPHA).sum()), len(p_null)
        low, high = proportion_confint(rejected, n, method="wilson")
        measured = {
            "simulations": n,
            "type_1_error": rejected / n,
            "type_1_low": low,
            "type_1_high": high,
            "coverage": float(covered.mean()),
            "power": float((p_planted <= ALPHA).mean()),
            "power_simulations": len(p_planted),
            "unanswered": int(np.isnan(p_null).sum()),
        }
        rows.append({**row, **measured})
    return rows


def cells() -> list[tuple[int, str, float, str]]:
    """Every design; without variance between slides the distribution of their effects does not matter."""
    found = product(SLIDES, BALANCE, ICCS, EFFECTS)
    return [cell for cell in found if cell[2] > 0 or cell[3] == "normal"]


def merged(before: pd.DataFrame, measured: pd.DataFrame, tests: tuple[str, ...]) -> pd.DataFrame:
    """Put measured rows in place of those of the same tests, design by design; tests that are no more have none."""
    kept = before[before["test"].isin(tests) & ~before["test"].isin(measured["test"])]
    every = pd.concat([kept, measured], ignore_index=True)
    orders = {"test": tests, "slides": SLIDES, "balance": BALANCE, "icc": ICCS, "effects": EFFECTS}
    places = pd.DataFrame({name: every[name].map(list(order).index) for name, order in orders.items()})
    place = places.sort_values(["slides", "balance", "icc", "effects", "test"], kind="stable").index
    return every.loc[place].reset_index(drop=True)


def picture(table: pd.DataFrame, path: Path) -> None:
    """Draw the type-I error of every test against the number of slides."""
    names = list(table["test"].unique())
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    grid = figure.subplots(2, 3, sharex=True, sharey=True)
    colours = dict(zip(names, color_palette("husl", len(names)), strict=True)) | {"t_patches": "C3"}
    for (i, balance), (j, effects) in product(enumerate(BALANCE), enumerate(EFFECTS)):
        axes = grid[i, j]
        axes.axhspan(0.03, 0.065, color="0.9")
        axes.axhline(ALPHA, color="0.5", lw=0.8)
        chosen = table[(table["balance"] == balance) & (table["effects"] == effects) & (table["icc"] == 0.2)]
        for name in names:
            rows = chosen[chosen["test"] == name].sort_values("slides")
            axes.plot(
                np.arange(len(SLIDES)),
                rows["type_1_error"],
                "s--" if name == "t_patches" else "o-",
                ms=4,
                color=colours[name],
                label="patches as if independent" if name == "t_patches" else name.replace("_", " "),
            )
        axes.set_xticks(np.arange(len(SLIDES)), [str(n) for n in SLIDES])
        axes.set_yscale("log")
        axes.set_ylim(0.008, 1)
        axes.set_yticks([0.01, 0.03, 0.05, 0.1, 0.2, 0.5, 1], ["1 %", "3 %", "5 %", "10 %", "20 %", "50 %", "100 %"])
        axes.minorticks_off()
        axes.set_title(f"{effects} slide effects, {balance}", fontsize=10)
        if i == 1:
            axes.set_xlabel("slides")
        if j == 0:
            axes.set_ylabel("wrong findings where there is nothing")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    figure.suptitle("Type-I error at 5 %, intraclass correlation 0.2 (grey: 3 % to 6.5 %)", fontsize=11)
    figure.savefig(path, dpi=150)


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("analyses/results/calibration"))
@click.option("--simulations", default=20_000, show_default=True, help="Of the tests that are fast.")
@click.option("--slow", "n_slow", default=2_000, show_default=True, help="Of the others; a quarter for their power.")
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=1, show_default=True)
@click.option("--only", multiple=True, metavar="TEST", help="Measure this test alone; the others' rows are kept.")
@click.option("--install", is_flag=True, help="Copy the table into the package.")
def main(
    out: Path,
    simulations: int,
    n_slow: int,
    seed: int,
    jobs: int,
    only: tuple[str, ...],
    install: bool,  # noqa: FBT001 - click
) -> None:
    """Simulate every design and write the table and its picture."""
    every = (*one_sample_tests(), "t_patches")
    if unknown := sorted(set(only) - set(every)):
        raise click.BadParameter(f"{', '.join(unknown)}: expected some of {', '.join(every)}", param_hint="--only")
    todo = cells()
    tests = only or every
    arguments = ([simulations] * len(todo), [min(n_slow, simulations)] * len(todo), [seed] * len(todo))
    with ProcessPoolExecutor(jobs) as pool:
        done = list(
            tqdm(
                pool.map(one_cell, todo, *arguments, [tests] * len(todo)),
                total=len(todo),
                unit="cell",
                desc="calibration",
            )
        )
    table = pd.DataFrame([row for rows in done for row in rows]).round(5)
    if only:
        table = merged(pd.read_csv(out / "calibration.csv"), table, every)
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "calibration.csv", index=False)
    if install:
        table.to_csv(Path(saliency_stats.report.__file__).parent / "calibration.csv", index=False)
    picture(table, out / "calibration.png")
    click.echo(out)


if __name__ == "__main__":
    main()
