"""What is left of the contrast when pictures are alike, and when chance is taken away: matched and centred contrasts.

    python analyses/matched.py nothing analyses/results/phantom/centred.csv
    python analyses/matched.py pictures --trained reports/recovery --out reports/matched \\
        analyses/results/phantom/matched.csv

``nothing`` draws maps that know nothing of the compartments, with nuclei on 2 to 10 % of the area, and counts how
often a sign-flip test over slides finds a preference: of the contrast as it is, and of the centred one. Maps are smooth
fields (over the edges of the patch and in again, or cut out of a larger field), heavy-tailed noise, and sparse spots.

``pictures`` runs the built-in study with true and with found compartments, with the network of ``recovery.py``, and
judges the maps of the image and an untrained network as if they were the network's.
"""

from pathlib import Path

import click
import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt, gaussian_filter

from saliency_stats import Run, Study
from saliency_stats.attribution import checked_saliency, shift_table
from saliency_stats.settings.study import load
from saliency_stats.statistics.resampling import sign_flip_p
from saliency_stats.typing import Float64Array

SIZE, SLIDES, PATCHES = 64, 10, 8
#: Radius of a nucleus and reach of the cytoplasm around it, in pixels.
RADIUS, REACH = 4, 5
#: Columns of the table ``shift`` that are contrasts.
CONTRASTS = ("delta", "centred")
AREAS = (0.02, 0.05, 0.10)
ALPHA = 0.05


def smooth(rng: np.random.Generator, margin: int) -> Float64Array:
    """Draw a smooth field; with a margin, one that does not go on at the opposite edge."""
    field = gaussian_filter(rng.standard_normal((SIZE + margin,) * 2), 3, mode="wrap")[:SIZE, :SIZE]
    return np.asarray(np.exp(1.5 * field / field.std()))


def sparse(rng: np.random.Generator) -> Float64Array:
    """Draw spots of 5 x 5 pixels on one pixel in a hundred, and nothing between them."""
    spots = rng.exponential(size=(SIZE, SIZE)) * (rng.random((SIZE, SIZE)) < 0.01)
    return np.asarray(gaussian_filter(spots, 1, mode="wrap", radius=2))


MAPS = {
    "smooth": lambda rng: smooth(rng, 0),
    "smooth, cut out": lambda rng: smooth(rng, SIZE),
    "heavy-tailed": lambda rng: rng.pareto(1.5, (SIZE, SIZE)),
    "sparse": sparse,
}


def compartments(rng: np.random.Generator, area: float) -> Float64Array:
    """Divide a patch: round nuclei on about this share of its area, cytoplasm around them, stroma elsewhere."""
    seeds = np.zeros((SIZE, SIZE), bool)
    while True:
        seeds[tuple(rng.integers(SIZE, size=2))] = True
        distance = distance_transform_edt(~seeds)
        if (distance <= RADIUS).mean() >= area:
            break
    nucleus, near = distance <= RADIUS, distance <= RADIUS + REACH
    return np.stack([nucleus, near & ~nucleus, ~near, np.zeros_like(near)]).astype(np.float64)


@click.group()
def main() -> None:
    """Judge maps that know nothing, and maps of the picture."""


@main.command()
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--studies", default=100, show_default=True)
@click.option("--seed", default=0, show_default=True)
def nothing(table: Path, studies: int, seed: int) -> None:
    """Count the false findings of maps that know nothing of the compartments."""
    rng = np.random.default_rng(seed)
    parts = []
    for area in AREAS:
        for study in range(studies):
            members = np.stack([compartments(rng, area) for _ in range(SLIDES * PATCHES)])
            maps = [checked_saliency(np.stack([draw(rng) for _ in members])) for draw in MAPS.values()]
            rows = shift_table(maps, members)
            rows["map"] = rows["map"].map(dict(enumerate(MAPS)))
            parts.append(rows.assign(area=area, study=study, slide=rows["patch"] // PATCHES))
    found = pd.concat(parts, ignore_index=True)
    means = found.groupby(["map", "area", "study", "slide"])[list(CONTRASTS)].mean()
    made = []
    for (name, share), rows in means.groupby(["map", "area"]):
        patches = found[(found["map"] == name) & (found["area"] == share)]
        row = {"map": name, "area": share, "studies": studies}
        row["missing"] = patches["delta"].isna().mean()
        row["counted"] = patches["status"].str.startswith("measured: ").mean()
        for column in CONTRASTS:
            p = sign_flip_p(rows[column].to_numpy().reshape(studies, SLIDES), draws=1, seed=0)
            row |= {f"{column}_ratio": 2 ** rows[column].mean(), f"{column}_false": (p <= ALPHA).mean()}
        made.append(row)
    _write(pd.DataFrame(made), table)


@main.command()
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--trained", type=click.Path(path_type=Path, exists=True), required=True, help="recovery.py's runs")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="folder of the runs")
@click.option("--nuclei", multiple=True, default=("builtin", "truth"), show_default=True)
@click.option("--signals", multiple=True, default=("cytoplasm",), show_default=True)
def pictures(table: Path, trained: Path, out: Path, nuclei: tuple[str, ...], signals: tuple[str, ...]) -> None:
    """Judge the maps of the image as if they were the network's."""
    parts = []
    for signal in signals:
        weights = trained / f"{signal}-builtin" / "weights" / "trained-20x.safetensors"
        for finder in nuclei:
            chosen = (
                *(f"cohort.signal={signal}", f"classifier.weights={weights}", "classifier.trainable=none"),
                *(f"compartments.nuclei={finder}", "controls=[randomised, sobel, eosin, haematoxylin]"),
                "causal.replacements=[]",
            )
            run = Study(load(None, chosen)).run(out / f"{signal}-{finder}")
            parts.append(contrasts(run).assign(signal=signal, nuclei=finder))
    _write(pd.concat(parts, ignore_index=True), table)


def contrasts(run: Run) -> pd.DataFrame:
    """Mean ratio over slides of every contrast of every map, with t over slides, and how many patches it is of."""
    matched = run.table("matched")
    excess = matched.assign(
        picture=matched["picture"] + ", excess", matched=matched["matched"] - matched["matched_of_picture"]
    )
    shift = run.table("shift")
    long = [shift.assign(contrast=name, value=shift[name]) for name in CONTRASTS]
    long += [rows.assign(contrast="matched: " + rows["picture"], value=rows["matched"]) for rows in (matched, excess)]
    rows = pd.concat(long, ignore_index=True)
    keys = ["label", "model", "contrast"]
    slides = rows.groupby([*keys, "slide_id"], sort=False)["value"].mean().groupby(keys, sort=False)
    found = pd.DataFrame({"ratio": 2 ** slides.mean(), "t": slides.mean() / slides.sem(), "n_slides": slides.count()})
    each = rows.groupby(keys, sort=False)
    found["measured"] = each["value"].count() / each.size()
    return found.join(each[["overlap", "share_compared"]].mean()).reset_index()


def _write(made: pd.DataFrame, table: Path) -> None:
    click.echo(made.round(3).to_string(index=False))
    table.parent.mkdir(parents=True, exist_ok=True)
    made.round(5).to_csv(table, index=False)


if __name__ == "__main__":
    main()
