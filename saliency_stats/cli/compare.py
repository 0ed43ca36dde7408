"""``saliency-stats compare``: several finished runs side by side."""

from pathlib import Path

import click

from saliency_stats.cli.errors import reported


@click.command()
@click.argument(
    "folders", metavar="RUN RUN...", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reports/comparison"),
    show_default=True,
    help="Folder to write into; an earlier comparison there is replaced.",
)
@reported
def compare(folders: tuple[Path, ...], out: Path) -> None:
    """Put the contrasts of several runs side by side: magnifications, architectures, cohorts.

    \b
    saliency-stats compare reports/phantom reports/planted-in-nuclei
    saliency-stats compare reports/at-* --out reports/magnifications

    Writes comparison.csv, comparison.html and figures/comparison.png and .pdf.
    """
    from saliency_stats.report.compare import compare_runs  # noqa: PLC0415 - keeps `--help` fast

    compared = compare_runs(folders, out)
    for sentence in compared.sentences:
        click.echo(sentence, err=True)
    click.echo(compared.page)
