"""The command line: thin, no science, and nothing heavy is imported before it is needed."""
# ruff: noqa: PLC0415  (imports inside commands keep `--help` fast)

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from saliency_stats import __version__
from saliency_stats.cli.benchmark import benchmark
from saliency_stats.cli.compare import compare
from saliency_stats.cli.errors import reported
from saliency_stats.cli.fetch import fetch
from saliency_stats.cli.options import FILE, FOLDER, device_option, named, set_option, study_argument
from saliency_stats.cli.run import run
from saliency_stats.vocabulary import CELLS, USUAL_CELLS

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__)
def main() -> None:
    """Nucleus-versus-cytoplasm saliency statistics for classifiers of H&E patches.

    \b
    saliency-stats run                      the built-in phantom study, a few minutes
    saliency-stats init study               a commented study file for your own patches
    saliency-stats check study/study.yaml   what it would do, without doing it
    saliency-stats run study/study.yaml     tables, figures, report
    saliency-stats segment tumour.png --mpp 0.25 --out segmented
    """
    # a terminal or log of another encoding lacks some of our letters: it gets their numbers, and no error
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # cuBLAS reads this before its first call; without it CUDA kernels are not reproducible
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # GNU OpenMP reads this when torch is loaded: threads that wait spin only briefly. Where other work shares the
    # cores, spinning threads take the time from the ones they wait for, and saliency ran at a quarter of its speed.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")


main.add_command(benchmark)
main.add_command(compare)
main.add_command(fetch)
main.add_command(run)


_run = click.argument("folder", metavar="RUN", type=click.Path(path_type=Path, exists=True, file_okay=False))


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(["phantom", "patches", "slides"]),
    help="What the cohort is made of.  [default: patches]",
)
@click.option(
    "--preregister",
    is_flag=True,
    help="Fix the study file FOLDER (or its study.yaml) before it is run: hypotheses, tests, exclusions, with a hash.",
)
@reported
def init(folder: Path, kind: str | None, *, preregister: bool) -> None:
    """Write a commented study file (and, for patches and slides, an example table) into FOLDER.

    \b
    saliency-stats init my-study
    saliency-stats init my-phantoms --kind phantom
    saliency-stats init --preregister my-study/study.yaml

    The last writes my-study/study.preregistration.md. The report of a run says whether it kept to it.
    """
    if preregister:
        if kind is not None:
            raise click.UsageError(f"--preregister is of a study file, which has its kind: leave out --kind {kind}")
        from saliency_stats.commands import preregister as command

        click.echo(command.preregister(folder))
        return
    if folder.is_file():
        raise click.BadParameter(f"Directory '{folder}' is a file; with --preregister it may be a study file")

    from saliency_stats.commands.init import write_template

    for path in write_template(folder, kind or "patches"):
        click.echo(path)


@main.command()
@study_argument
@set_option
@device_option
@reported
def check(study: Path | None, assignments: tuple[str, ...], device: str) -> None:
    """Validate STUDY, count its patches and slides, estimate time, memory and disk; computes no result.

    \b
    saliency-stats check analyses/pcam.yaml

    For the time a few patches are measured, and forgotten.
    """
    from saliency_stats import settings

    loaded = settings.load(study, assignments)

    from saliency_stats.commands.check import preview
    from saliency_stats.study import Study
    from saliency_stats.study.registration import Registration

    for line in preview(Study(loaded, named(study)).settings, device, Registration.beside(study)):
        click.echo(line)


@main.command()
@_run
@reported
def report(folder: Path) -> None:
    """Draw every figure, table and the report of RUN again from its CSVs, which must be as the run wrote them.

    \b
    saliency-stats report reports/phantom
    """
    from saliency_stats.report.write import write_report

    click.echo(write_report(folder))


@main.command()
@_run
@click.argument("patch_id")
@click.option("--model", default="trained", show_default=True, help="trained, or the name of a control.")
@click.option("--magnification", type=float, help="Where the patch exists at several; default: the finest.")
@click.option("--out", type=FILE, help="Picture.  [default: RUN/explain/PATCH_ID.png]")
@device_option
@reported
def explain(
    folder: Path, patch_id: str, model: str, magnification: float | None, out: Path | None, device: str
) -> None:
    """Draw one patch of RUN: image, saliency, compartments, and its rows of the ledger.

    \b
    saliency-stats explain reports/phantom phantom-01-001

    Patch ids stand in patches.csv. Of several networks the first is shown, with folds the first of the patch's fold.
    """
    from saliency_stats.commands.explain import explain_patch

    click.echo(explain_patch(folder, patch_id, model=model, magnification=magnification, out=out, device=device))


@main.command()
@_run
@click.option("--qupath", required=True, type=FOLDER, metavar="DIR", help="Folder of the GeoJSON files.")
@click.option("--magnification", type=float, help="Of the patches.  [default: the finest]")
@device_option
@reported
def export(folder: Path, qupath: Path, magnification: float | None, device: str) -> None:
    """Measure the judged patches of RUN again and write them for QuPath: cells with the density of the saliency.

    \b
    saliency-stats export reports/slides --qupath qupath

    A file per slide, to be dragged onto it in QuPath; of patches that are image files, a file per patch.
    """
    from saliency_stats.commands.export import export_qupath

    for path in export_qupath(folder, qupath, magnification=magnification, device=device):
        click.echo(path)


@main.command()
@_run
@click.option(
    "--effect",
    type=click.FloatRange(min=0, min_open=True),
    metavar="RATIO",
    help="Density in the cytoplasm over that in the nuclei that is to be found; 1.25 is as hard as 0.8."
    "  [default: the run's own, and the equivalence margin of its study]",
)
@click.option("--power", type=click.FloatRange(0.5, 1, max_open=True), default=0.9, show_default=True, help="To reach.")
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    help="Probability of a false finding among all hypotheses that are corrected together.  [default: the study's]",
)
@click.option(
    "--hypotheses",
    type=click.IntRange(min=1),
    help="How many are corrected together.  [default: the run's primary family]",
)
@click.option("--networks", type=click.IntRange(1, 50), help="Of the planned study.  [default: as many as in RUN]")
@click.option(
    "--network-sd",
    type=click.FloatRange(min=0),
    help="Standard deviation (log2) between networks; needed where RUN has one network and the plan has several.",
)
@click.option("--label", metavar="CLASS", help="Only this class, by its name in the study of RUN.")
@click.option("--magnification", type=click.FloatRange(min=0, min_open=True), help="Only this magnification.")
@click.option("--simulations", type=click.IntRange(100, 100_000), default=2_000, show_default=True, help="Per design.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the simulation.")
@click.option("--out", type=FOLDER, help="Folder to write into.  [default: RUN]")
@reported
def power(folder: Path, **options: Any) -> None:
    """Say how many slides, networks and patches the next study needs, from the variances of RUN.

    \b
    saliency-stats power reports/phantom
    saliency-stats power reports/phantom --effect 1.25 --label malignant
    saliency-stats power reports/phantom --networks 5 --network-sd 0.08

    Writes power.csv and figures/power.png and .pdf.
    """
    from saliency_stats.report.power import plan_run

    planned = plan_run(folder, **options)
    click.echo(planned.advice, err=True)
    click.echo(planned.table)


@main.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=FILE)
@click.option("--mpp", type=float, help="µm per pixel of all images; default: what each TIFF says of itself.")
@click.option(
    "--out",
    required=True,
    type=FOLDER,
    help="Folder for the results; files of the same names are overwritten, rows of other images in nuclei.csv stay.",
)
@click.option(
    "--nuclei",
    metavar="ROUTE",
    help="How nuclei are found: builtin, 2D_versatile_he, classical, the path of a StarDist model, or torchscript:PATH"
    " (@0.5 behind it where the file does not state its µm per pixel), a program that you trust.  [default: builtin]",
)
@click.option("--cells", type=click.Choice(CELLS), help=f"What tells cytoplasm from stroma.  [default: {USUAL_CELLS}]")
@click.option("--cytoplasm-um", type=float, help="Cytoplasm reaches at most this far.  [default: 15]")
@click.option(
    "--segmentation-mpp",
    type=float,
    help="Coarser images are enlarged until a pixel is at most this many µm.  [default: 0.5]",
)
@device_option
@reported
def segment(
    images: tuple[Path, ...],
    mpp: float | None,
    out: Path,
    nuclei: str | None,
    cells: str | None,
    cytoplasm_um: float | None,
    segmentation_mpp: float | None,
    device: str,
) -> None:
    """Divide H&E images (PNG, JPEG, TIFF) into nuclei, cytoplasm, stroma and background.

    \b
    saliency-stats segment scans/*.tif --out segmented
    saliency-stats segment tumour.png --mpp 0.25 --out near --cytoplasm-um 2.5

    Into the folder go, for each image at its own size:

    \b
    STEM_nuclei.tif        number of the nucleus at every pixel, 0 outside
    STEM_compartments.tif  0 background, 1 nucleus, 2 cytoplasm, 3 stroma
    STEM.geojson           cells with their nuclei: drag it onto the image in QuPath
    STEM_overlay.png       outlines of nuclei; cytoplasm orange, stroma green

    and for all of them nuclei.csv, one row per nucleus.
    """
    from saliency_stats.commands.segment import parameters_of, segment_images

    chosen = {"nuclei": nuclei, "cells": cells, "cytoplasm_um": cytoplasm_um, "segmentation_mpp": segmentation_mpp}
    table = segment_images(
        images,
        out,
        mpp=mpp,
        parameters=parameters_of(**{key: value for key, value in chosen.items() if value is not None}),
        device=device,
        note=lambda text: click.echo(text, err=True),
    )
    click.echo(table)
