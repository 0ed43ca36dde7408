"""Fit how sure the tissue network may be, on images left out of training, and write the network of the package.

    python analyses/nuclei/calibrate_tissue.py --fit reports/tissue-0/tissue.safetensors --part 0 \
        --of reports/tissue/tissue.safetensors --out saliency_stats/compartments/models/tissue.safetensors

Scale and offset of the log-odds of cells against stroma (Platt 1999) are fitted to a network that has not seen part
0, on part 0, every set and both classes weighing alike, and given to a network that was trained on all parts. The
offset goes into the bias of its last layer, the scale is its temperature. Also prints what the fit does on the part it
was fitted to, and, with ``--check NETWORK PART``, on another part with a network that has not seen that one.
"""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from scipy.optimize import minimize
from tissue_sets import BACKGROUND, CELL, MPP, STROMA, from_outlines, outlined
from tqdm import tqdm
from train_tissue import at_mpp, predicted

from saliency_stats.compartments.tissue.files import TissueModel, write_tissue
from saliency_stats.compartments.tissue.network import TissueNetwork

#: Pixels drawn of each set and class: neighbours say the same.
_PIXELS: Final = 100_000

#: Of each set: log-odds of cell against stroma, whether it is a cell, and whether background is likelier than both.
Pixels = dict[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]


def main() -> None:
    """Fit, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--fit", type=Path, required=True, help="network trained without --part")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--check", nargs=2, metavar=("NETWORK", "PART"), help="another network, and the part it lacks")
    parser.add_argument("--of", type=Path, required=True, help="network to write")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    pixels = asked(read(arguments.fit), arguments.data, arguments.part)
    scale, offset = fitted(pixels)
    print(f"scale {scale:.3f}, offset {offset:.3f}")
    show(pixels, scale, offset, f"part {arguments.part}")
    if arguments.check:
        part = int(arguments.check[1])
        show(asked(read(Path(arguments.check[0])), arguments.data, part), scale, offset, f"part {part}, not fitted to")
    network = read(arguments.of)
    with torch.no_grad():
        # outputs of one class lie side by side: those of its 2 x 2 pixels
        network.last.bias.view(-1, 4)[CELL] -= offset / scale
    write_tissue(TissueModel("trained", network, MPP, 1 / scale), arguments.out)


def read(path: Path) -> TissueNetwork:
    """Read a network as training writes it."""
    network = TissueNetwork()
    network.load_state_dict(load_file(path))
    return network.eval()


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


def fitted(pixels: Pixels) -> tuple[float, float]:
    """Give scale and offset with the largest likelihood; sets and classes weigh alike."""
    rng = np.random.default_rng(0)
    odds, signs, weights = [], [], []
    for values, cell, _ in pixels.values():
        for of_class in (True, False):
            there = np.flatnonzero(cell == of_class)
            chosen = rng.choice(there, min(_PIXELS, len(there)), replace=False)
            odds.append(values[chosen].astype(float))
            signs.append(np.full(len(chosen), 1.0 if of_class else -1.0))
            weights.append(np.full(len(chosen), 1 / len(chosen)))
    odds, signs, weights = (np.concatenate(parts) for parts in (odds, signs, weights))

    def loss(x: npt.NDArray[np.float64]) -> float:
        return float((weights * np.logaddexp(0, -signs * (x[0] * odds - x[1]))).sum())

    scale, offset = minimize(loss, [1.0, 0.0]).x
    return float(scale), float(offset)


def show(pixels: Pixels, scale: float, offset: float, where: str) -> None:
    """Print sensitivity and specificity before and after, and how often cells are right by their probability."""
    for kind, (odds, cell, nothing) in sorted(pixels.items()):
        for title, logit in (("as trained", odds), ("fitted", scale * odds - offset)):
            called = (logit > 0) & ~nothing
            sensitivity, specificity = called[cell].mean(), (~called[~cell]).mean()
            doubtful = np.abs(logit) < np.log(3)
            sure = (called == cell)[~doubtful].mean()
            print(
                f"{where}, {kind:8s} {title:10s}: balanced accuracy {(sensitivity + specificity) / 2:.3f} (sensitivity "
                f"{sensitivity:.3f}, specificity {specificity:.3f}); {doubtful.mean():.1%} doubtful, of the others "
                f"{sure:.1%} right"
            )


if __name__ == "__main__":
    main()
