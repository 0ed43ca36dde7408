"""Does a plan keep its promise? The power that `saliency-stats power` names, against studies drawn at its own sizes.

    python analyses/power_check.py --out analyses/results/calibration

Writes ``power.csv``. Plans are made from components as a run sees them (slides, patches, networks) for 1, 2 and 8
hypotheses; then whole studies of the advised size are drawn, patch by patch, and tested by the functions that judge a
run: sign flips (or t) over slide means, the crossed test where several networks are judged, Holm's correction over all
hypotheses. One hypothesis has the effect, the others have none. Nothing of the plan's own simulation is used.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from tqdm import tqdm

from saliency_stats.statistics import adjust, sign_flip_p
from saliency_stats.statistics.components import Components
from saliency_stats.statistics.power import Aim, Need, Purpose, Simulator, plan_study

ALPHA = 0.05
HYPOTHESES = (1, 2, 8)
PATCHES = 12
PURPOSES: tuple[Purpose, ...] = ("superiority", "equivalence")
#: Effects (log2) and margins that take few, some and many slides.
SIZES = (0.25, 0.12, 0.07)
ONE = Components("slide", 10, PATCHES, 0.39, between=0.006, between_high=0.012, within=0.03)
SEVERAL = replace(ONE, within=0.02, networks=5, network=0.0015, network_high=0.003, interaction=0.002, noise=0.01)
#: Random sign assignments, as in a study.
DRAWS = 9_999


def draw(components: Components, networks: int, slides: int, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return n studies (n, K, G) of cell means about 0, each the mean of its patches."""

    def normal(variance: float, *shape: int) -> NDArray[np.float64]:
        return np.sqrt(variance) * rng.standard_normal((n, *shape))

    of_networks = normal(components.network, networks, 1) if networks > 1 else 0.0
    patches = normal(components.within, 1, slides, PATCHES) + normal(components.noise, networks, slides, PATCHES)
    cells = normal(components.between, 1, slides) + normal(components.interaction, networks, slides)
    return np.asarray(of_networks + cells + patches.mean(axis=-1))


def p_values(tables: NDArray[np.float64], test: str) -> NDArray[np.float64]:
    """Return the two-sided p-value of each study (n, K, G), of one network by its slides and of several crossed."""
    networks = tables.shape[1]
    if networks == 1 and test == "sign_flip":
        return sign_flip_p(tables[:, 0], draws=DRAWS, seed=0)
    if networks == 1:
        return np.asarray(stats.ttest_1samp(tables[:, 0], 0, axis=1).pvalue)
    return np.array([crossed_p(table) for table in tables])


def crossed_p(table: NDArray[np.float64]) -> float:
    """Return the largest p-value of the textbook's two-way test and of the t tests over either factor."""
    networks, slides = table.shape
    mean, rows, columns = table.mean(), table.mean(axis=1), table.mean(axis=0)
    residual = table - rows[:, None] - columns + mean
    freedom = np.array([networks - 1, slides - 1, (networks - 1) * (slides - 1)])
    squares = np.array([slides * rows.var(ddof=1), networks * columns.var(ddof=1), (residual**2).sum() / freedom[2]])
    p_values = [float(stats.ttest_1samp(means, 0).pvalue) for means in (rows, columns)]
    if squares[2] <= squares[:2].min():
        variance = squares[0] + squares[1] - squares[2]
        df = variance**2 / (squares**2 / freedom).sum()
        p_values.append(float(2 * stats.t.sf(abs(mean) / np.sqrt(variance / table.size), df)))
    return max(p_values)


def found(need: Need, plan: dict[str, Any], n: int, rng: np.random.Generator) -> float:
    """Return the share of drawn studies of the advised size that show what the plan is for."""
    aim, slides = need.aim, int(need.slides)

    def drawn(mean: float) -> NDArray[np.float64]:
        return mean + draw(plan["components"], plan["networks"], slides, n, rng)

    if aim.purpose == "superiority":
        others = [p_values(drawn(0.0), plan["test"]) for _ in range(aim.hypotheses - 1)]
        every = np.column_stack([p_values(drawn(aim.effect), plan["test"]), *others])
        families = pd.DataFrame({"p_value": every.ravel(), "study": np.repeat(np.arange(n), aim.hypotheses)})
        adjusted = adjust(families, family=("study",)).to_numpy().reshape(every.shape)
        return float((adjusted[:, 0] < ALPHA).mean())
    # two one-sided tests at the level that Holm leaves to the first of the hypotheses
    tables = drawn(0.0)
    level = 2 * ALPHA / aim.hypotheses
    above = p_values(tables + aim.size, plan["test"]) < level
    below = p_values(tables - aim.size, plan["test"]) < level
    mean = tables.mean(axis=(1, 2))
    return float((above & below & (mean > -aim.size) & (mean < aim.size)).mean())


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("analyses/results/calibration"))
@click.option("--studies", default=2_000, show_default=True, help="Drawn per plan.")
@click.option("--simulations", default=2_000, show_default=True, help="Of the plan, as in the command.")
@click.option("--seed", default=1, show_default=True)
def main(out: Path, studies: int, simulations: int, seed: int) -> None:
    """Make plans, draw their studies, and write both powers side by side."""
    designs: list[dict[str, Any]] = [
        *({"components": ONE, "networks": 1, "test": test} for test in ("sign_flip", "t_slide_means")),
        *({"components": SEVERAL, "networks": networks, "test": "crossed"} for networks in (5, 8)),
    ]
    rows: list[dict[str, Any]] = []
    for plan, hypotheses in tqdm(list(product(designs, HYPOTHESES)), unit="plan"):
        aims = tuple(Aim(*each, ALPHA, hypotheses=hypotheses) for each in product(PURPOSES, SIZES))
        own = "sign_flip" if plan["test"] == "crossed" else plan["test"]
        simulator = Simulator(plan["components"], own, simulations=simulations)
        for need in plan_study(simulator, aims, networks=plan["networks"]).needs:
            if not np.isfinite(need.slides):
                continue
            rng = np.random.default_rng([seed, len(rows)])
            named = simulator.power(need.aim, int(need.slides), plan["networks"], PATCHES)
            row = {"test": plan["test"], "networks": plan["networks"], "hypotheses": hypotheses}
            row |= {"purpose": need.aim.purpose, "size_log2": need.aim.size, "slides": int(need.slides)}
            power = found(need, plan, studies, rng)
            rows.append({**row, "named": named, "found": power, "difference": named - power, "studies": studies})
    table = pd.DataFrame(rows).round(4)
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "power.csv", index=False)
    click.echo(f"{len(table)} plans; largest difference {table['difference'].abs().max():.3f}; {out / 'power.csv'}")


if __name__ == "__main__":
    main()
