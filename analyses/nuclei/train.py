"""Train a StarDist model for H&E nuclei.

    python analyses/nuclei/train.py --data ../shared/data --out reports/nuclei --steps 9000

Trained on sets that allow it: scc-breast (some slides), dsb2018, the machine-made outlines of scc-regions, and
phantoms with exact outlines. Never on monuseg-evaluation-only. ``--pseudo MODEL.safetensors`` adds what an earlier
model finds on the CC0 lymph-node tiles. Whole slides are left out: ``VALIDATION_SLIDES`` choose the thresholds,
``TEST_SLIDES`` are not looked at. A GPU is used where there is one.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from augment import Labelled, sample
from PIL import Image
from scipy.ndimage import gaussian_filter
from sets import read_set, varied_phantoms
from stardist.geometry import star_dist
from stardist.matching import matching_dataset
from stardist.utils import edt_prob
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from saliency_stats.cohort import Phantom
from saliency_stats.cohort.image import read_rgb
from saliency_stats.compartments import CompartmentParameters, estimate_stains, segment_batch, view_of
from saliency_stats.compartments.stardist.config import StarDistConfig
from saliency_stats.compartments.stardist.files import StarDistModel, read_safetensors, write_safetensors
from saliency_stats.compartments.stardist.network import StarDistNetwork
from saliency_stats.compartments.stardist.nuclei import StarDistNuclei

CONFIG: Final = StarDistConfig(n_rays=32, n_channel_in=3, grid=(2, 2))
VALIDATION_SLIDES: Final = ("2890139/1000000",)
TEST_SLIDES: Final = ("2890103/1000000", "2890059/1000000")
#: Every n-th image of dsb2018 is left out of training, to choose thresholds.
_DSB_HELD_OUT: Final = 6
#: Shares of the examples drawn from each source.
SHARES: Final = {
    "scc-breast": 0.25,
    "dsb2018": 0.17,
    "scc-regions": 0.13,
    "phantoms": 0.27,
    "blanks": 0.02,
    "pseudo": 0.16,
}
_PHANTOMS: Final = 400
_BLANKS: Final = 60
_DIAMETER_WITHOUT_NUCLEI_PX: Final = 14.0
#: The running average forgets its past at this rate once it is warm.
_AVERAGE_DECAY: Final = 0.998
_REGULARISATION: Final = 1e-4  # stardist's train_background_reg
_DISTANCE_WEIGHT: Final = 0.2  # stardist's train_loss_weights


def main() -> None:
    """Train, choose thresholds, write the model and its log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("reports/nuclei"))
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="go on from this model rather than from random weights")
    parser.add_argument("--pseudo", type=Path, help="model whose confident nuclei on lymph-node tiles are learned too")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(arguments.seed)
    sources = training_sources(arguments.data, arguments.seed, arguments.pseudo)
    print({name: (len(images), sum(int(i.labels.max()) for i in images)) for name, images in sources.items()})
    network = read_safetensors(arguments.start).network if arguments.start else fresh_network()
    network = network.to(device)
    average = train(network, Examples(sources, stain_vectors(arguments.data), arguments.seed), arguments, device)
    model, scores = with_thresholds(StarDistModel("trained", average, 0.5, 0.4), arguments.data)
    write_safetensors(model, arguments.out / "nuclei.safetensors")
    record = {"steps": arguments.steps, "batch": arguments.batch, "rate": arguments.rate, "seed": arguments.seed}
    record |= {"prob": model.prob_threshold, "nms": model.nms_threshold, "validation": scores}
    (arguments.out / "training.json").write_text(json.dumps(record, indent=1))
    print(json.dumps(record, indent=1))


def train(network: StarDistNetwork, examples: "Examples", arguments: Any, device: torch.device) -> StarDistNetwork:
    """One cycle of AdamW in bfloat16; returns the running average of the weights, which is what is kept."""
    loader = iter(DataLoader(examples, batch_size=arguments.batch, num_workers=1, prefetch_factor=4))
    optimiser = torch.optim.AdamW(network.parameters(), lr=arguments.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, arguments.rate, arguments.steps, pct_start=0.1)
    average = torch.optim.swa_utils.AveragedModel(
        network, avg_fn=lambda old, new, n: old + (new - old) * max(1 - _AVERAGE_DECAY, 9 / (10 + float(n)))
    )
    assert isinstance(average.module, StarDistNetwork)
    began, running = time.perf_counter(), np.zeros(2)
    network.train()
    with tqdm(total=arguments.steps, unit="step", disable=None) as bar:
        for step in range(1, arguments.steps + 1):
            images, prob, dist = (part.to(device) for part in next(loader))
            images = images.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16):
                logits, distances = network(images)
            losses = loss_parts(logits.float(), distances.float(), prob, dist)
            optimiser.zero_grad(set_to_none=True)
            (losses[0] + _DISTANCE_WEIGHT * losses[1]).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            running = 0.99 * running + 0.01 * np.array([float(part.detach()) for part in losses])
            bar.update()
            if step % 500 == 0:
                shown = running / (1 - 0.99**step)
                print(
                    f"{step} {time.perf_counter() - began:.0f} s  prob {shown[0]:.4f}  dist {shown[1]:.3f}", flush=True
                )
                kept = StarDistModel("snapshot", average.module, 0.5, 0.4)
                write_safetensors(kept, arguments.out / "snapshot.safetensors")
    return average.module.eval()


def fresh_network() -> StarDistNetwork:
    """Random weights whose activations keep their variance through the layers (He et al. 2015)."""
    network = StarDistNetwork(CONFIG)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            torch.nn.init.zeros_(layer.bias)
    return network


def loss_parts(logits: Tensor, distances: Tensor, prob: Tensor, dist: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of the probability, and distance errors weighted by it (Schmidt et al. 2018, section 2.2)."""
    certain = functional.binary_cross_entropy_with_logits(logits, prob)
    weight = prob[:, None]
    # normalised by the weights' mean as in stardist, so that crowded and empty crops count alike
    error = (weight * (distances - dist).abs()).mean() / (weight.mean() + 1e-3)
    error = error + _REGULARISATION * ((1 - weight) * distances.abs()).mean()
    return certain, error


class Examples(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """An endless stream of augmented crops with their targets."""

    def __init__(self, sources: dict[str, list[Labelled]], vectors: npt.NDArray[np.float32], seed: int) -> None:
        self.sources, self.vectors, self.seed = sources, vectors, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield images (3, H, W), probabilities (h, w) and distances (rays, h, w)."""
        torch.set_num_threads(1)
        rng = np.random.default_rng(self.seed)
        names = list(self.sources)
        shares = np.array([SHARES[name] for name in names])
        shares = shares / shares.sum()
        gy, gx = CONFIG.grid
        while True:
            images = self.sources[names[rng.choice(len(names), p=shares)]]
            image, labels = sample(images[rng.integers(len(images))], self.vectors, rng)
            dist = star_dist(labels, CONFIG.n_rays, grid=CONFIG.grid)
            prob = edt_prob(np.ascontiguousarray(labels[::gy, ::gx]))
            yield (
                torch.from_numpy(image.transpose(2, 0, 1).copy()),
                torch.from_numpy(prob.astype(np.float32)),
                torch.from_numpy(dist.transpose(2, 0, 1).copy()),
            )


def training_sources(data: Path, seed: int, pseudo: Path | None) -> dict[str, list[Labelled]]:
    """Everything that may be trained on, apart from the slides left out."""
    left_out = {*VALIDATION_SLIDES, *TEST_SLIDES}
    breast = [case for case in read_set(data / "nuclei", "scc-breast") if case.group not in left_out]
    dsb = [case for i, case in enumerate(read_set(data / "nuclei", "dsb2018")) if i % _DSB_HELD_OUT]
    regions = [case for case in read_set(data / "nuclei", "scc-regions") if case.group not in left_out]
    machine = data / "nuclei" / "scc-regions" / "nuclei_machine"
    sources = {
        "scc-breast": [labelled(case.image, case.labels) for case in breast],
        "dsb2018": [labelled(case.image, case.labels, one_dye=True) for case in dsb],
        "scc-regions": [
            labelled(case.image, np.asarray(Image.open(machine / f"{case.name}.png")).astype(np.int32))
            for case in regions
        ],
        "phantoms": phantoms(seed),
        "blanks": blanks(seed),
    }
    if pseudo:
        sources["pseudo"] = pseudo_labelled(data, pseudo)
    return sources


def labelled(image: npt.NDArray[np.uint8], labels: Any, *, one_dye: bool = False) -> Labelled:
    """Prepare an image to be cut: with the median diameter of its nuclei."""
    numbers = np.asarray(labels, dtype=np.int32)
    areas = np.bincount(numbers.ravel())[1:]
    areas = areas[areas > 0]
    diameter = float(np.sqrt(4 / np.pi * np.median(areas))) if len(areas) else _DIAMETER_WITHOUT_NUCLEI_PX
    return Labelled(image, numbers, diameter, one_dye)


def phantoms(seed: int) -> list[Labelled]:
    """Phantoms of every architecture, signal and label, of many slides, stains and scales."""
    return [labelled(drawn.image, drawn.instances) for _, _, drawn in varied_phantoms(seed, _PHANTOMS)]


def blanks(seed: int) -> list[Labelled]:
    """Glass, even stain, slow shading and noise: images without a nucleus."""
    made = []
    for number in range(_BLANKS):
        rng = np.random.default_rng([seed, 1, number])
        colour = rng.uniform([150, 90, 130], 255)
        shade = gaussian_filter(rng.normal(0, 1, (256, 256)), float(np.exp(rng.uniform(0, 4))))
        shade *= rng.uniform(0, 12) / shade.std()
        noise = rng.normal(0, rng.uniform(0, 40), (256, 256, 3))
        image = np.clip(colour + shade[..., None] + noise, 0, 255).astype(np.uint8)
        made.append(Labelled(image, np.zeros((256, 256), np.int32), _DIAMETER_WITHOUT_NUCLEI_PX))
    return made


def pseudo_labelled(data: Path, path: Path) -> list[Labelled]:
    """Lymph-node tiles of five centres and patches at 40x, with the nuclei that a model is sure of."""
    finder = StarDistNuclei(read_safetensors(path))
    files = sorted((data / "camelyon17-centres").rglob("*.png"))
    files += sorted((data / "camelyon16-40x").rglob("*.jp*g"))[::6]
    made = []
    for file in tqdm(files, desc="pseudo-labels", disable=None):
        image = read_rgb(file)
        view = view_of(
            image, 0.25, CompartmentParameters(nuclei="classical", cells="distance"), estimate_stains([image])
        )
        found = segment_batch([view], finder)[0].instances
        if found.max() >= 5:
            made.append(labelled(image, found))
    return made


def stain_vectors(data: Path) -> npt.NDArray[np.float32]:
    """Stain vectors (n, 2, 3) that Macenko's method finds on lymph-node tiles of five centres and on phantoms."""
    images = [read_rgb(file) for file in sorted((data / "camelyon17-centres").rglob("*.png"))]
    images += [read_rgb(file) for file in sorted((data / "camelyon16-40x").rglob("*.jp*g"))[::8]]
    images += [
        Phantom(size_px=128, stain_variation=2.0).render(np.random.default_rng(i), "benign").image for i in range(60)
    ]
    found = [stains for stains in (estimate_stains([image]) for image in images) if stains.source == "macenko"]
    return np.array([stains.vectors for stains in found], dtype=np.float32)


def with_thresholds(model: StarDistModel, data: Path) -> tuple[StarDistModel, dict[str, float]]:
    """Choose the thresholds with the best mean of F1 and PQ over the validation sets."""
    sets = {
        "scc-breast": read_set(data / "nuclei", "scc-breast", VALIDATION_SLIDES),
        "dsb2018": read_set(data / "nuclei", "dsb2018")[::_DSB_HELD_OUT],
    }
    parameters = CompartmentParameters(nuclei="classical", cells="distance")
    views = {
        name: [view_of(c.image, c.mpp, parameters, estimate_stains([c.image])) for c in cases]
        for name, cases in sets.items()
    }
    best: tuple[float, StarDistModel, dict[str, float]] | None = None
    for prob in np.arange(0.3, 0.71, 0.05):
        for nms in (0.3, 0.4, 0.5):
            tried = replace(model, prob_threshold=round(float(prob), 2), nms_threshold=nms)
            scores: dict[str, float] = {}
            for name, cases in sets.items():
                found = [s.instances for s in segment_batch(views[name], StarDistNuclei(tried))]
                truth = [c.labels for c in cases]
                result = matching_dataset(truth, found, thresh=0.5, show_progress=False)
                scores |= {f"{name} f1": result.f1, f"{name} pq": result.panoptic_quality}
            mean = float(np.mean(list(scores.values())))
            if best is None or mean > best[0]:
                best = mean, tried, scores
    assert best is not None
    return best[1], best[2]


if __name__ == "__main__":
    main()
