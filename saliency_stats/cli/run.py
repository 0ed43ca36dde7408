"""``saliency-stats run``: the main job."""
# ruff: noqa: PLC0415  (imports inside commands keep `--help` fast)

from pathlib import Path

import click

from saliency_stats.cli.errors import reported, stopped_at_once, typed
from saliency_stats.cli.options import FOLDER, device_option, named, set_option, study_argument


@click.command()
@study_argument
@click.option("--out", type=FOLDER, help="Folder of the run.  [default: reports/<name>]")
@set_option
@device_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Batches of patches that are measured at a time; any number gives the same results."
    "  [default: as many as threads, where memory allows it; 1 on a GPU]",
)
@click.option(
    "--scheduler",
    metavar="local:N|ADDRESS",
    help="Measure and train in N processes of this machine, or on the workers of a Dask scheduler (tcp://host:8786);"
    " the results are the same. Needs saliency-stats[cluster].",
)
@click.option("--fresh", is_flag=True, help="Start again; otherwise a stopped run is resumed.")
@click.option(
    "--multiverse",
    is_flag=True,
    help="Repeat the analysis with other methods, reductions, segmentations and confidences: a specification curve.",
)
@click.option(
    "--assume-independent",
    is_flag=True,
    help="Treat patches without a slide as independent of each other. Nothing supports this; the tables say so.",
)
@reported
def run(
    study: Path | None,
    out: Path | None,
    assignments: tuple[str, ...],
    device: str,
    workers: int | None,
    scheduler: str | None,
    *,
    fresh: bool,
    multiverse: bool,
    assume_independent: bool,
) -> None:
    """Run STUDY (default: the built-in phantom study) and write tables, figures and a report.

    \b
    saliency-stats run
    saliency-stats run --set cohort.signal=nucleus --out reports/planted-in-nuclei
    saliency-stats run study.yaml --set classifier.networks=5   about networks trained alike
    saliency-stats run analyses/pcam.yaml --device cuda
    saliency-stats run study.yaml --scheduler local:8
    """
    from saliency_stats import settings

    if assume_independent:
        assignments = (*assignments, "statistics.assume_independent=true")
    if multiverse:
        assignments = (*assignments, "multiverse.enabled=true")
    loaded = settings.load(study, assignments)  # a wrong file is refused before torch is loaded

    from saliency_stats.statistics import headline
    from saliency_stats.study import Study
    from saliency_stats.study.registration import Registration

    with stopped_at_once():
        finished = Study(loaded, named(study), Registration.beside(study)).run(
            out, device=device, workers=workers, scheduler=scheduler, fresh=fresh, command=typed()
        )
    click.echo(headline(finished.verdict, finished.classes), err=True)
    click.echo(finished.folder / "report.html")
