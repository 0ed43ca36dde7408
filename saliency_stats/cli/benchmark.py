"""``saliency-stats benchmark``: which attribution method to believe."""
# ruff: noqa: PLC0415  (imports inside commands keep `--help` fast)

from pathlib import Path
from typing import Any

import click

from saliency_stats.cli.errors import reported, stopped_at_once, typed
from saliency_stats.cli.options import FOLDER, device_option, set_option, study_argument


@click.command()
@study_argument
@click.option(
    "--out", type=FOLDER, default=Path("reports/benchmark"), show_default=True, help="Folder of the benchmark."
)
@set_option
@click.option(
    "--signal",
    "signals",
    multiple=True,
    metavar="NAME",
    default=["cytoplasm", "nucleus"],
    show_default=True,
    help="Where the classes differ, as cohort.signal; repeatable.",
)
@click.option(
    "--magnification",
    "magnifications",
    multiple=True,
    type=click.Choice(["5", "10", "20", "40"]),
    default=["20"],
    show_default=True,
    help="Repeatable.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="python:MODULE:CLASS",
    help="A method of your own, benchmarked beside the others; repeatable.",
)
@device_option
@click.option("--workers", type=click.IntRange(min=1), help="Batches that are measured at a time.  [default: as `run`]")
@click.option("--fresh", is_flag=True, help="Start again; otherwise a stopped benchmark is resumed.")
@reported
def benchmark(study: Path | None, out: Path, magnifications: tuple[str, ...], **options: Any) -> None:
    """Score attribution methods, and ways to replace tissue, against what networks really use.

    \b
    saliency-stats benchmark                                     two signals, three networks each
    saliency-stats benchmark --method python:my_maps:Mine        with a method of your own
    saliency-stats benchmark --set classifier.networks=5 --signal stroma --magnification 10

    Networks are trained on phantoms, and the same phantoms drawn again with one compartment as in the other class say
    what each network makes of it. STUDY is a study file of phantoms; methods and replacements that it does not name are
    all that there are. Writes benchmark.csv, importance.csv, benchmark.html, stability.csv, costs.csv and figures/;
    what each study measured goes into runs/.
    """
    from saliency_stats.commands import benchmark as command

    at = [float(text) for text in magnifications]
    with stopped_at_once():
        found = command.benchmark(study, out, magnifications=at, command=typed(), **options)
    for sentence in found.sentences:
        click.echo(sentence, err=True)
    click.echo(found.page)
