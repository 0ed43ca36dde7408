"""The benchmark of several phantom runs: their scores in one table, two figures, one page."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from saliency_stats.execution.files import write_table, write_text
from saliency_stats.report.benchmark_page import Words, render_benchmark
from saliency_stats.report.figures.benchmark import draw_maps, draw_replacements
from saliency_stats.report.figures.style import house_style, save_both
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import count, interval, listing, magnification_words, number
from saliency_stats.seeds import derive
from saliency_stats.statistics.agreement import ATTRIBUTION, REPLACEMENT, map_scores, replacement_scores
from saliency_stats.statistics.benchmark import COLUMNS, EDGES, benchmark_table, overall, stability
from saliency_stats.statistics.importance import importance_table
from saliency_stats.vocabulary import ALL_NETWORKS, TRAINED

#: Columns of ``benchmark.csv``: those of the table, and what a method starts from and costs.
BENCHMARK_COLUMNS: Final = (*COLUMNS, "baseline", "seconds_per_patch", "gradients")
#: An order of methods with less than this between halves of the networks is not called stable.
STABLE: Final = 0.8
_GRADIENT: Final = "gradient"
_WHAT: Final = {ATTRIBUTION: "method", REPLACEMENT: "replacement"}


class Benchmarked(NamedTuple):
    """What was written, and what a person is to read."""

    page: Path
    table: Path
    sentences: tuple[str, ...]


def write_benchmark(runs: Sequence[Run], costs: pd.DataFrame, out: Path) -> Benchmarked:
    """Write the tables, ``benchmark.html`` and ``figures/`` of finished phantom runs.

    Parameters
    ----------
    runs
        One of each signal and magnification, with the same methods and networks of the same seeds.
    costs
        Columns method, baseline, and seconds_per_patch.
    out
        Folder to write into.

    Returns
    -------
    Benchmarked
        The files, and what is to be said in a few sentences.

    Raises
    ------
    StorageError
        If a run is not as it was left, or ``out`` cannot be written.
    """
    first = runs[0]
    scores = pd.concat([scores_of(run) for run in runs], ignore_index=True)
    table = with_costs(benchmark_table(scores, first.settings.statistics_parameters(first.unit)), costs)
    stable = stability(scores)
    used = pd.concat([used_in(run) for run in runs], ignore_index=True)
    write_table(out / "benchmark.csv", table)
    write_table(out / "importance.csv", used)
    write_table(out / "stability.csv", stable)
    words = Words.of_run(first)
    pictures = {}
    with house_style():
        for name, draw in (("maps", draw_maps), ("replacements", draw_replacements)):
            pictures[name], _ = save_both(draw(table, words.of), out / "figures" / f"benchmark_{name}")
    sentences = tuple(said(table, stable, words))
    page = out / "benchmark.html"
    write_text(page, render_benchmark(runs, table, used, stable, sentences, pictures, words))
    return Benchmarked(page, out / "benchmark.csv", sentences)


def scores_of(run: Run) -> pd.DataFrame:
    """Score the maps and replacements of a run, with its signal, its magnification, and how well each network does."""
    metrics = run.metrics[(run.metrics["model"] == TRAINED) & (run.metrics["split"] == run.evaluation_split)]
    networks = metrics.set_index("network")[["balanced_accuracy", "learned"]]
    found = [
        map_scores(run.importance, run.ledger, derive(run.settings.seed, "benchmark")),
        replacement_scores(run.importance, run.ablation),
    ]
    scores = pd.concat(found, ignore_index=True).join(networks, on="network")
    return scores.assign(signal=run.settings.cohort.signal, magnification=run.magnifications[0])  # type: ignore[union-attr]


def used_in(run: Run) -> pd.DataFrame:
    """Return what the networks of a run use, see :func:`importance_table`, with its signal."""
    table = importance_table(run.importance, run.settings.statistics_parameters(run.unit), run.tests)
    table.insert(0, "signal", run.settings.cohort.signal)  # type: ignore[union-attr]
    return table


def with_costs(table: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Add what each method starts from and costs, in seconds and in gradients, to the rows of the trained networks."""
    seconds = costs.set_index("method")["seconds_per_patch"]
    own = table["method"].where(table["kind"] == ATTRIBUTION)
    return table.assign(
        baseline=own.map(costs.set_index("method")["baseline"]).fillna(""),
        seconds_per_patch=own.map(seconds),
        gradients=own.map(seconds / seconds.get(_GRADIENT, np.nan)),
    )[list(BENCHMARK_COLUMNS)]


def said(table: pd.DataFrame, stable: pd.DataFrame, words: Words) -> Iterator[str]:
    """Say which map and which replacement tell best what networks use, how stable that is, and what was left out."""
    every = overall(table).sort_values("rank_correlation").dropna(subset="rank_correlation")
    edges = records(every[every["model"] == EDGES])
    for kind, what in (
        (ATTRIBUTION, "the maps that rank compartments most as the networks use them are those of"),
        (REPLACEMENT, "the one that comes closest to drawing the compartment again is"),
    ):
        found = records(every[every["kind"] == kind])
        if found:
            best, limits = found[-1], interval(found[-1].rank_correlation_low, found[-1].rank_correlation_high)
            beside = [f"; the edges of the picture alone get {number(one.rank_correlation)}" for one in edges]
            yield (
                f"Of {count(len(found), _WHAT[kind])}, {what} {words.of(best)}: rank correlation "
                f"{number(best.rank_correlation)} ({words.level} interval {limits})"
                f"{''.join(beside) if kind == ATTRIBUTION else ''}."
            )
    order = stable["rank_correlation"].iloc[-1] if len(stable) else np.nan
    if np.isfinite(order):
        judged = "stable" if order >= STABLE else f"not stable (below {STABLE:g})"
        yield f"The order of the methods is {judged}: rank correlation {number(order)} between halves of the networks."
    networks = table[table["network"] != ALL_NETWORKS].drop_duplicates(["signal", "magnification", "network"])
    chance = records(networks[~networks["learned"]])
    if chance:
        where = listing(f"{_place(row)}, network {row.network}" for row in chance)
        yield f"Of {count(len(networks), 'network')} these learned nothing and are left out: {where}."


def _place(row: Any) -> str:
    return f"{row.signal} {magnification_words(row.magnification)}"
