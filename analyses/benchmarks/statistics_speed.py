"""Time and memory of all tests on large data: of networks crossed with slides, or against statsmodels' mixed model.

    OMP_NUM_THREADS=1 python analyses/benchmarks/statistics_speed.py
    OMP_NUM_THREADS=1 python analyses/benchmarks/statistics_speed.py --networks 1

One million patches of 400 slides of very unequal sizes. Judged by five networks: every test of one contrast, and those
of all six contrasts of a stratum; ``--only study`` asks for ``study_contrasts`` of a ledger that gives these, of the
study's own map as a run takes it from its tables, in the types that these have. What is measured has a process of its
own, which reads the data that another one made. Of one network: every test of one contrast, then ``MixedLM`` (REML)
alone.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

from saliency_stats.execution.schema import TABLES
from saliency_stats.statistics import contrast_table, study_contrasts
from saliency_stats.statistics.coded import with_shared_categories
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.values import CONTRASTS
from saliency_stats.vocabulary import LABELS, TISSUE

Result = tuple[str, float, float, float, float]


def cohort(
    patches: int, slides: int, seed: int, networks: int = 1, columns: tuple[str, ...] = ("value",)
) -> pd.DataFrame:
    """Draw values of patches in slides with an intraclass correlation of 0.2 and a mean of 0.05, in random order.

    Of several networks a patch has a row for each, and these have a variance of their own, and one in each slide.
    """
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(slides, 1.5))
    slide = np.repeat(np.arange(slides), 1 + rng.multinomial(patches - slides, weights))
    order = rng.permutation(patches * networks)
    patch, network = order // networks, order % networks
    names = pd.Series([f"slide-{number:03d}" for number in range(slides)], dtype="str")
    table = pd.DataFrame({"slide_id": names.take(slide[patch]).array})
    if networks > 1:
        table["patch_id"] = (slide[patch] * 10**7 + patch).astype("U")
        table["network"] = pd.Series(range(1, networks + 1)).astype("str").take(network).array
    for name in columns:
        value = 0.05 + rng.normal(0, np.sqrt(0.2), slides)[slide] + rng.normal(0, np.sqrt(0.8), patches)
        value = value[patch]
        if networks > 1:
            value += (
                rng.normal(0, 0.1, networks)[network] + rng.normal(0, 0.2, (networks, slides))[network, slide[patch]]
            )
            value += rng.normal(0, 0.5, value.size)
        table[name] = value
    return table


def made(path: Path, what: str, patches: int, slides: int, networks: int, seed: int) -> None:
    """Write the data to be measured."""
    tables: tuple[pd.DataFrame, ...]
    if what == "study":
        tables = study(patches, slides, networks, seed)
    else:
        columns = CONTRASTS[:1] if what == "one contrast" else CONTRASTS
        tables = (cohort(patches, slides, seed, networks, columns),)
    pd.to_pickle(tables, path, compression=None)  # type: ignore[attr-defined]  # the stubs lack it


def measured(path: Path, what: str, draws: int) -> Result:
    """Return what was measured, seconds, seconds of the processor, and gigabytes: of the data, and at the peak."""
    tables = pd.read_pickle(path, compression=None)  # noqa: S301  (what `made` wrote)
    before, start, cpu = _peak(), time.perf_counter(), time.process_time()
    if what == "study":
        ledger, predictions = tables
        own = ledger[ledger["method"] == "gradient"]
        found = study_contrasts(own, predictions, settings=StatisticsParameters(bootstrap_draws=draws))
        what = f"study_contrasts, {len(ledger):,} rows"
    else:
        (table,) = tables
        found = pd.concat(
            contrast_table(table, name, network="network", bootstrap_draws=draws, margin=0.1)
            for name in CONTRASTS
            if name in table
        )
    seconds = time.perf_counter() - start, time.process_time() - cpu
    return f"{what}: {int((found['status'] == 'tested').sum())} tests", *seconds, before, _peak()


def study(patches: int, slides: int, networks: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the ledger of one map of the trained networks, with half of the slides of each class, and predictions.

    Both are as the tables of a run.
    """
    judged = cohort(patches, slides, seed, networks, columns=TISSUE)
    density = np.exp2(judged[list(TISSUE)].to_numpy())
    judged = judged.drop(columns=list(TISSUE))
    area = np.random.default_rng(seed).dirichlet([12, 24, 18], len(judged))
    mass = area * density
    mass /= mass.sum(axis=1, keepdims=True)
    number = judged["slide_id"].str.removeprefix("slide-").astype("int")
    judged["label"] = pd.Series(LABELS, dtype="str").take((number % 2).to_numpy()).array
    (judged,) = with_shared_categories(
        judged.assign(patient_id="", magnification=20.0, model="trained", split="test", status="measured")
    )
    p_malignant = np.where(number % 2 == 1, 0.95, 0.05)
    logits = {"logit_benign": 0.0, "logit_malignant": np.log(p_malignant / (1 - p_malignant))}
    predictions = judged.drop(columns="status").assign(
        p_malignant=p_malignant, predicted=judged["label"], correct=True, **logits
    )
    judged = judged.assign(method="gradient", reduction="l2")
    parts = [
        judged.assign(
            compartment=name, area_share=area[:, k], mass_share=mass[:, k], density_ratio=mass[:, k] / area[:, k]
        )
        for k, name in enumerate((*TISSUE,))
    ]
    ledger = pd.concat(with_shared_categories(*parts), ignore_index=True)
    return TABLES["ledger"].typed(ledger, "ledger"), TABLES["predictions"].typed(predictions, "predictions")


def in_a_process(function: Callable[..., Any], *arguments: object) -> Any:
    """Call a function in a process of its own, whose memory is not that of what ran before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(function, *arguments).result()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def against_statsmodels(patches: int, slides: int, draws: int, seed: int) -> None:
    """Time all tests of one network, then MixedLM, and compare the estimates."""
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


@click.command()
@click.option("--patches", default=1_000_000, show_default=True)
@click.option("--slides", default=400, show_default=True)
@click.option("--networks", default=5, show_default=True)
@click.option("--draws", default=2_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--only", type=click.Choice(["one contrast", "six contrasts", "study"]), multiple=True)
def main(patches: int, slides: int, networks: int, draws: int, seed: int, only: tuple[str, ...]) -> None:
    """Time what the number of networks asks for."""
    if networks == 1:
        against_statsmodels(patches, slides, draws, seed)
        return
    click.echo(f"{patches:,} patches, {networks} networks, {slides} slides, {draws:,} draws")
    for what in only or ("one contrast", "six contrasts"):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "data.pickle"
            in_a_process(made, path, what, patches, slides, networks, seed)
            found = in_a_process(measured, path, what, draws)
        click.echo(
            "{}; {:.1f} s, {:.1f} s of the processor, {:.2f} GB with the data, {:.2f} GB at the peak".format(*found)
        )


if __name__ == "__main__":
    main()
