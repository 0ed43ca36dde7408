"""The same study the way people do it, and as it is done here: seconds of each part, in turns, in one run.

    OMP_NUM_THREADS=2 python analyses/benchmarks/naive_road.py

Phantom patches of 256 px in the usual shares to learn from, to watch, and to judge; ``--networks`` DenseNet-201 that
share a frozen backbone and whose last layers are trained. Three, because a verdict over networks takes as many. The
naive road runs each network over every patch in every epoch, explains patch by patch with Captum, segments patch by
patch with our networks (``stardist_speed.py`` compares those with the reference), and fits statsmodels' MixedLM. Ours
is what a run does: as many units of work side by side as there are threads, each on one thread. Both have the same
patches, weights and compartments, and the numbers are compared: the loss of the heads, the mass of every compartment,
the estimate of the mixed model. Also printed: the gradient against raw torch at the batch that is fastest there, and a
patch measured all in against it. The statistics are of a table of ``--rows`` values in 400 slides, and stand beside the
sum: a study has them once, however many patches it measures.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
import torch
from captum.attr import Saliency
from torch import Tensor

from saliency_stats.attribution import ledger
from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.augmentation import Augmentation
from saliency_stats.classifier.building import build
from saliency_stats.classifier.head import Activations, freeze_all_but_head, split_of, whole
from saliency_stats.classifier.network import NetworkClassifier
from saliency_stats.classifier.samples import ImageSamples, to_tensor
from saliency_stats.classifier.training import TrainingParameters, fit
from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.cohort.splits import with_splits
from saliency_stats.compartments import (
    CompartmentParameters,
    Segmentation,
    estimate_stains,
    finder_for,
    nucleus_finder,
    segment_batch,
    view_of,
)
from saliency_stats.execution.engine import Threads
from saliency_stats.saliency import gradient, reduce_channels
from saliency_stats.settings.cohort import Fractions
from saliency_stats.statistics import contrast_table
from saliency_stats.vocabulary import COMPARTMENTS

MPP = 0.5
#: Patches of a unit of work.
UNIT = 8


class Roads:
    """Patches, networks, and every part of a study on both roads."""

    def __init__(self, slides: int, epochs: int, networks: int) -> None:
        cohort = PhantomCohort(Phantom(size_px=256, mpp=MPP), PhantomCohortSize(slides, 4), seed=0)
        self.networks = range(networks)
        self.table = with_splits(cohort.table.assign(height_px=256, width_px=256), Fractions().model_dump(), seed=0)
        self.read = _Read(cohort, self.table)
        judged = self.table[self.table["split"] == "test"]
        self.images = [self.read.read(row).image for row in judged.index]
        self.targets = torch.from_numpy((judged["label"] == "malignant").to_numpy(dtype=np.int64))
        self.stains = estimate_stains(self.images)
        self.parameters = CompartmentParameters()
        self.model = network()
        self.training = TrainingParameters(epochs=epochs, precision="float32")
        self.finder, self.tissue = nucleus_finder(self.parameters.nuclei), finder_for([self.parameters.cells])
        self.engine = Threads(torch.get_num_threads())
        self.units = [slice(at, at + UNIT) for at in range(0, len(self.images), UNIT)]

    def batches(self, size: int) -> list[tuple[Tensor, Tensor]]:
        """Cut the patches into batches of a size."""
        device = torch.device("cpu")
        return [
            (to_tensor(np.stack(self.images[at : at + size]), device), self.targets[at : at + size])
            for at in range(0, len(self.images), size)
        ]

    def _samples(self, seed: int) -> tuple[ImageSamples, ImageSamples]:
        """Return what is learned from, and what is watched meanwhile."""
        still, device = Augmentation(dihedral=False, stain=0.0), torch.device("cpu")
        train, valid = (self.table[self.table["split"] == split] for split in ("train", "valid"))
        return ImageSamples(self.read, train, still, seed, device), ImageSamples(self.read, valid, still, seed, device)

    def naive_training(self) -> pd.DataFrame:
        """Train the heads, with a forward pass of the whole network in every epoch."""
        logs = []
        for seed in self.networks:
            model = network()
            freeze_all_but_head(model)
            logs.append(fit(whole(model), *self._samples(seed), self.training))
        return pd.concat(logs)

    def our_training(self) -> pd.DataFrame:
        """Train the heads on activations that are computed once."""
        logs = []
        activations = Activations([self.table[self.table["split"] == split] for split in ("train", "valid")])
        for seed in self.networks:
            model = network()
            freeze_all_but_head(model)
            samples = self._samples(seed)
            made = split_of(model.eval(), samples[0])
            if made is None:
                raise SystemExit("the network cannot be split at its head")
            train, valid = (activations.of(made, some, self.training.batch_size) for some in samples)
            logs.append(fit(made.head, train, valid, self.training))
        return pd.concat(logs)

    def naive_maps(self) -> np.ndarray[Any, Any]:
        """Explain one patch after the other with Captum, with every network."""
        explainer = Saliency(self.model)
        for _ in self.networks:
            made = [explainer.attribute(image, target=label, abs=False) for image, label in self.batches(1)]
        return reduce_channels(torch.cat(made), "l2").numpy()

    def our_maps(self) -> np.ndarray[Any, Any]:
        """Explain as units of work do, with every network."""
        return [self.one_map() for _ in self.networks][-1]

    def one_map(self) -> np.ndarray[Any, Any]:
        """Explain as units of work do."""
        made = self.engine.map(lambda batch: gradient(self.model, *batch), self.batches(UNIT))
        return torch.cat(list(made)).numpy()

    def raw_maps(self, size: int) -> None:
        """Differentiate with torch alone, and keep nothing."""
        for images, target in self.batches(size):
            pixels = images.requires_grad_()
            torch.autograd.grad(self.model(pixels).gather(1, target[:, None]).sum(), pixels)

    def naive_segmentations(self) -> list[Segmentation]:
        """Segment one patch after the other."""
        return [
            segment_batch([view_of(image, MPP, self.parameters, self.stains)], self.finder, self.tissue)[0]
            for image in self.images
        ]

    def our_segmentations(self) -> list[Segmentation]:
        """Segment as units of work do."""
        return [one for part in self.engine.map(self._segmented, self.units) for one in part]

    def _segmented(self, unit: slice) -> list[Segmentation]:
        views = [view_of(image, MPP, self.parameters, self.stains) for image in self.images[unit]]
        return segment_batch(views, self.finder, self.tissue)

    def naive_masses(self, maps: np.ndarray[Any, Any], found: list[Segmentation]) -> np.ndarray[Any, Any]:
        """Sum each map up over each mask."""
        return np.array(
            [
                [(one * mask).sum() / one.sum() for mask in made.memberships]
                for one, made in zip(maps, found, strict=True)
            ]
        )

    def our_masses(self, maps: np.ndarray[Any, Any], found: list[Segmentation]) -> np.ndarray[Any, Any]:
        """Attribute as units of work do, one after the other."""
        members = np.stack([made.memberships for made in found])
        parts = [ledger(maps[unit], members[unit]) for unit in self.units]
        return pd.concat(parts)["mass_share"].to_numpy().reshape(-1, len(COMPARTMENTS))

    def all_in(self) -> None:
        """Measure patches as units of work do: gradient of one network, segmentation, attribution."""
        list(self.engine.map(self._measured, self.units))

    def _measured(self, unit: slice) -> pd.DataFrame:
        images = to_tensor(np.stack(self.images[unit]), torch.device("cpu"))
        maps = gradient(self.model, images, self.targets[unit]).numpy()
        return ledger(maps, np.stack([made.memberships for made in self._segmented(unit)]))


class _Read:
    """Patches that are in memory."""

    kind = "phantom"

    def __init__(self, cohort: PhantomCohort, table: pd.DataFrame) -> None:
        self.table, self.files, self.digests = table, cohort.files, cohort.digests
        self.patches = [cohort.read(row) for row in table.index]

    def read(self, row: int) -> Any:
        """Return one of them."""
        return self.patches[row]


def network() -> NetworkClassifier:
    """Build the same network each time."""
    model: NetworkClassifier = build(Architecture("densenet201"), "none", seed=0)
    return model.to(memory_format=torch.channels_last).eval()


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of a call, and what it gave."""
    began = time.perf_counter()
    made = run()
    return time.perf_counter() - began, made


def statistics(rows: int) -> None:
    """Compare the tests of one contrast here, all of them, with the mixed model alone there."""
    rng = np.random.default_rng(0)
    slide = rng.integers(0, 400, rows)
    value = 0.05 + rng.normal(0, 0.45, 400)[slide] + rng.normal(0, 0.9, rows)
    table = pd.DataFrame({"slide_id": np.char.add("s", slide.astype(str)), "value": value})
    naive, fitted = timed(lambda: smf.mixedlm("value ~ 1", table, groups=table["slide_id"]).fit(reml=True))
    ours, found = timed(lambda: contrast_table(table, "value", bootstrap_draws=2_000))
    reml = float(found.loc[found["test"] == "mixed_satterthwaite", "estimate"].iloc[0])
    apart = abs(reml - float(fitted.params["Intercept"]))
    print(f"statistics      {naive:7.2f} s  {ours:7.2f} s  ×{naive / ours:.1f}  ({rows:,} rows, {apart:.0e} apart)")


def main() -> None:
    """Take both roads in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=20, help="Of four patches.")
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12, help="Of the head.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=200_000)
    arguments = parser.parse_args()
    roads = Roads(arguments.slides, arguments.epochs, arguments.networks)
    parts: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "training a head": (roads.naive_training, roads.our_training),
        "gradients": (roads.naive_maps, roads.our_maps),
        "segmentation": (roads.naive_segmentations, roads.our_segmentations),
    }
    # what is allocated at the first call is not measured
    roads.raw_maps(8)
    best: dict[str, list[float]] = {name: [np.inf, np.inf] for name in parts}
    made: dict[str, list[Any]] = {name: [None, None] for name in parts}
    raw: dict[int, float] = {}
    whole_s = alone = np.inf
    for _ in range(arguments.rounds):
        for name, road in parts.items():
            for at, run in enumerate(road):
                seconds, made[name][at] = timed(run)
                best[name][at] = min(best[name][at], seconds)
        alone = min(alone, timed(roads.one_map)[0])
        for size in (1, 2, 4, 8):
            raw[size] = min(raw.get(size, np.inf), timed(partial(roads.raw_maps, size))[0])
        whole_s = min(whole_s, timed(roads.all_in)[0])
    maps, found = made["gradients"], made["segmentation"]
    naive_s, naive_mass = timed(lambda: roads.naive_masses(maps[0], found[0]))
    our_s, our_mass = timed(lambda: roads.our_masses(maps[1], found[1]))
    best["attribution"] = [naive_s, our_s]
    n, k = len(roads.images), arguments.networks
    print(f"{len(roads.table)} patches of 256 px, {n} of them judged, {k} networks, {arguments.epochs} epochs")
    print("                  naive       ours")
    for name, (naive, ours) in best.items():
        print(f"{name:<15} {naive:7.2f} s  {ours:7.2f} s  ×{naive / ours:.1f}")
    sums = np.sum(list(best.values()), axis=0)
    print(f"{'all':<15} {sums[0]:7.2f} s  {sums[1]:7.2f} s  ×{sums[0] / sums[1]:.1f}")
    statistics(arguments.rows)
    loss = [log["loss_train"].to_numpy() for log in made["training a head"]]
    apart = [float(np.abs(one - other).max()) for one, other in (loss, (naive_mass, our_mass))]
    print(f"same numbers: loss {apart[0]:.0e}, mass {apart[1]:.0e} apart")
    fastest = min(raw, key=raw.__getitem__)
    rate = raw[fastest] / alone
    print(f"raw torch {n / raw[fastest]:.2f} gradients/s at batch {fastest}; ours {rate:.2f} of it")
    print(f"a patch all in: {n / whole_s:.2f} patches/s, {raw[fastest] / whole_s:.2f} of raw torch's gradients")


if __name__ == "__main__":
    main()
