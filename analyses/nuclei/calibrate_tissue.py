"""Fit how sure the tissue network may be, on images left out of training, and write the network of the package.

    python analyses/nuclei/calibrate_tissue.py --fit reports/tissue-0/tissue.safetensors 0 \
        --fit reports/tissue-1/tissue.safetensors 1 --of reports/tissue/tissue.safetensors \
        --out saliency_stats/compartments/models/tissue.safetensors

Scale and offset of the log-odds of cells against stroma (Platt 1999) are fitted to networks on the parts that they have
not seen, every set and both classes weighing alike, and given to a network that was trained on all parts. The offset
goes into the bias of its last layer, the scale is its temperature. Prints what each network does on its part as it was
trained, and with the scale and offset that were fitted to the other parts alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from tissue_sets import BACKGROUND, CELL, MPP, STROMA, from_outlines, outlined
from tqdm import tqdm
from train_tissue import at_mpp, predicted, read

from saliency_stats.compartments.tissue.files import TissueModel, write_tissue
from saliency_stats.compartments.tissue.network import TissueNetwork
from saliency_stats.compartments.ways import SURE

#: Pixels drawn of each set and class: neighbours say the same.
_PIXELS: Final = 100_000

#: Of each set: log-odds of cell against stroma, whether it is a cell, and whether background is likelier than both.
Pixels = dict[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]


def main() -> None:
    """Fit, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--fit", nargs=2, action="append", required=True, metavar=("NETWORK", "PART"), help="and the part it never saw"
    )
    parser.add_argument("--of", type=Path, required=True, help="network to write")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    unseen = {part: asked(read(Path(path)), arguments.data, int(part)) for path, part in arguments.fit}
    for part, pixels in unseen.items():
        others = [of for other, of in unseen.items() if other != part]
        show(pixels, 1.0, 0.0, f"part {part}, as trained")
        if others:
            show(pixels, *fitted(others), f"part {part}, fitted to the others")
    scale, offset = fitted(list(unseen.values()))
    print(f"all parts: scale {scale:.3f}, offset {offset:.3f}")
    network = read(arguments.of)
    assert network.last.bias is not None
    with torch.no_grad():
        # outputs of one class lie side by side: those of its 2 x 2 pixels
        network.last.bias.view(-1, 4)[CELL] -= offset / scale
    write_tissue(TissueModel("trained", network, MPP, 1 / scale), arguments.out)


def asked(network: TissueNetwork, data: Path, part: int) -> Pixels:
    """Ask a network about the known pixels of the tissue of a part."""
    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    for source in tqdm([one for one in outlined(data) if one.part == part], desc=f"part {part}", disable=None):
        shown, classes = at_mpp(from_outlines(source))
        logs = np.log(np.maximum(predicted(network, shown), 1e-9))
        known = (classes == CELL) | (classes == STROMA)
        rows = np.stack([logs[CELL] - logs[STROMA], classes == CELL, logs.argmax(axis=0) == BACKGROUND])
        found.setdefault(source.kind, []).append(rows[:, known].astype(np.float32))
    joined = {kind: np.concatenate(rows, axis=1) for kind, rows in found.items()}
    return {kind: (rows[0], rows[1] > 0, rows[2] > 0) for kind, rows in joined.items()}


def fitted(parts: Sequence[Pixels]) -> tuple[float, float]:
    """Give scale and offset with the largest likelihood; sets and classes weigh alike."""
    rng = np.random.default_rng(0)
    drawn = []
    for values, cell, _ in (one for part in parts for one in part.values()):
        for of_class in (True, False):
            there = np.flatnonzero(cell == of_class)
            chosen = rng.choice(there, min(_PIXELS, len(there)), replace=False)
            sign, weight = np.full(len(chosen), 1.0 if of_class else -1.0), np.full(len(chosen), 1 / len(chosen))
            drawn.append((values[chosen].astype(float), sign, weight))
    odds, signs, weights = (np.concatenate(each) for each in zip(*drawn, strict=True))

    def loss(x: npt.NDArray[np.float64]) -> float:
        return float((weights * np.logaddexp(0, -signs * (x[0] * odds - x[1]))).sum())

    scale, offset = minimize(loss, [1.0, 0.0]).x
    return float(scale), float(offset)


def show(pixels: Pixels, scale: float, offset: float, where: str) -> None:
    """Print sensitivity and specificity, and how often what is not doubtful is right."""
    for kind, (odds, cell, nothing) in sorted(pixels.items()):
        logit = scale * odds - offset
        called = (logit > 0) & ~nothing
        sensitivity, specificity = called[cell].mean(), (~called[~cell]).mean()
        # the larger of the two probabilities is below SURE
        doubtful = np.abs(logit) < np.log(SURE / (1 - SURE))
        sure = (called == cell)[~doubtful].mean()
        print(
            f"{where}, {kind}: balanced accuracy {(sensitivity + specificity) / 2:.3f} (sensitivity "
            f"{sensitivity:.3f}, specificity {specificity:.3f}); {doubtful.mean():.1%} doubtful, {sure:.1%} of the "
            "others right"
        )


if __name__ == "__main__":
    main()
