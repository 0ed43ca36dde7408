"""Maps of another framework, judged by this package: captum explains a classifier that the package never sees.

    python analyses/maps_from_elsewhere.py reports/elsewhere
    saliency-stats run reports/elsewhere/saliency.yaml --out reports/elsewhere/saliency
    saliency-stats run reports/elsewhere/grad_cam.yaml --out reports/elsewhere/grad_cam

Phantoms are written as images, a small network learns their classes from half of the slides, and two of captum's
explainers make a map of every patch of the other half: Saliency in the patch's own pixels, and LayerGradCam in the grid
of a layer, which is a quarter as fine. The table names images, maps and probabilities; the study file names the table.
"""

from pathlib import Path
from typing import Final

import click
import numpy as np
import pandas as pd
import torch
from captum.attr import LayerGradCam, Saliency
from PIL import Image
from torch import Tensor, nn

from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.vocabulary import LABELS

STUDY: Final = """\
name: {name}
cohort: {{kind: patches, table: {name}.csv}}
classifier: {{architecture: none}}
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--slides", default=24, show_default=True, help="Half of them teach, half are judged.")
@click.option("--patches", default=16, show_default=True, help="Of each slide.")
@click.option("--epochs", default=40, show_default=True)
def main(folder: Path, slides: int, patches: int, epochs: int) -> None:
    """Write images, maps, tables and study files into FOLDER."""
    cohort = PhantomCohort(
        Phantom(signal="cytoplasm", size_px=96, stain_variation=0.0), PhantomCohortSize(slides, patches), seed=21
    )
    images = np.stack([cohort.read(row).image for row in cohort.table.index])
    pixels = torch.tensor(images).permute(0, 3, 1, 2).float() / 255
    labels = torch.tensor([LABELS.index(label) for label in cohort.table["label"]])
    teaches = cohort.table["slide_id"].isin(cohort.table["slide_id"].unique()[: slides // 2]).to_numpy(copy=True)
    network = learned(pixels[teaches], labels[teaches], epochs)
    judged = cohort.table[~teaches]
    seen, target = pixels[~teaches], labels[~teaches]
    with torch.no_grad():
        p_malignant = network(seen).double().softmax(dim=1)[:, 1].numpy()
    click.echo(f"correct: {np.mean((p_malignant > 0.5) == target.numpy()):.3f} of {len(judged)} patches", err=True)
    maps = {
        "saliency": Saliency(network).attribute(seen.requires_grad_(), target).amax(dim=1),
        "grad_cam": LayerGradCam(network, network[6]).attribute(seen, target, relu_attributions=True)[:, 0],
    }
    for kind in ("images", *maps):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    names = judged["patch_id"].to_list()
    for name, image in zip(names, images[~teaches], strict=True):
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
    for kind, made in maps.items():
        for name, values in zip(names, made.detach().numpy(), strict=True):
            np.save(folder / kind / f"{name}.npy", values)
        listed(judged, kind, p_malignant).to_csv(folder / f"{kind}.csv", index=False)
        (folder / f"{kind}.yaml").write_text(STUDY.format(name=kind), encoding="utf-8")
        click.echo(folder / f"{kind}.yaml")


def learned(pixels: Tensor, labels: Tensor, epochs: int) -> nn.Sequential:
    """Train a small network in plain torch."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.BatchNorm2d(3),
        *(nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2)),
    )
    optimiser = torch.optim.AdamW(network.parameters())
    batches = [some for _ in range(epochs) for some in torch.randperm(len(labels)).split(32)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1e-2, total_steps=len(batches))
    for some in batches:
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(pixels[some]), labels[some]).backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def listed(judged: pd.DataFrame, kind: str, p_malignant: np.ndarray) -> pd.DataFrame:
    """Write the table: a line per patch, with its image, its map and what the classifier said."""
    names = judged["patch_id"]
    return judged[["label", "slide_id", "mpp"]].assign(
        path="images/" + names + ".png", map=f"{kind}/" + names + ".npy", p_malignant=p_malignant
    )


if __name__ == "__main__":
    main()
