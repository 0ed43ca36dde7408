"""Time of all tests of one contrast, against statsmodels' mixed model, on the same large data in one run.

    OMP_NUM_THREADS=1 python analyses/benchmarks/statistics_speed.py

One million patches of 400 slides of very unequal sizes: every test of one contrast with 2,000 draws, then
``MixedLM`` (REML) alone.
"""

import time

import click
import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

from saliency_stats.statistics import contrast_table


def cohort(patches: int, slides: int, seed: int) -> pd.DataFrame:
    """Draw patch values with an intraclass correlation of 0.2 and a mean of 0.05."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(slides, 1.5))
    sizes = 1 + rng.multinomial(patches - slides, weights)
    slide = np.repeat(np.arange(slides), sizes)
    value = 0.05 + rng.normal(0, np.sqrt(0.2), slides)[slide] + rng.normal(0, np.sqrt(0.8), patches)
    table = pd.DataFrame({"slide_id": pd.Series(slide).map("slide-{:03d}".format), "value": value})
    return table.sample(frac=1, random_state=seed, ignore_index=True)


@click.command()
@click.option("--patches", default=1_000_000, show_default=True)
@click.option("--slides", default=400, show_default=True)
@click.option("--draws", default=2_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(patches: int, slides: int, draws: int, seed: int) -> None:
    """Time both and compare the estimates."""
    table = cohort(patches, slides, seed)
    start = time.perf_counter()
    found = contrast_table(table, "value", bootstrap_draws=draws, margin=0.1)
    ours = time.perf_counter() - start
    click.echo(found[["test", "estimate", "ci_low", "ci_high", "df", "p_value"]].to_string(index=False))
    click.echo(f"all {len(found)} tests, {patches:,} patches, {slides} slides, {draws:,} draws: {ours:.2f} s")
    start = time.perf_counter()
    fit = smf.mixedlm("value ~ 1", table, groups=table["slide_id"]).fit(reml=True)
    theirs = time.perf_counter() - start
    row = found[found["test"] == "mixed_satterthwaite"].iloc[0]
    click.echo(f"MixedLM alone: {theirs:.2f} s, {theirs / ours:.1f} times as long as all tests")
    click.echo(f"estimates: {fit.params['Intercept']:.9f} (MixedLM), {row['estimate']:.9f} (ours)")
    click.echo(f"standard errors: {fit.bse['Intercept']:.9f} (MixedLM), {row['se']:.9f} (ours)")


if __name__ == "__main__":
    main()
