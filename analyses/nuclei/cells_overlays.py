"""Draw what each way to tell cells calls cytoplasm and stroma, side by side, on 12 patches of each real set.

    python analyses/nuclei/cells_overlays.py --out reports/cells

One PNG per set; a row holds two patches, each as it is, by the rule and by the network. Nucleus blue, cytoplasm yellow,
stroma red, background as it is.
"""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from saliency_stats.cohort.image import read_rgb
from saliency_stats.compartments import CompartmentParameters, estimate_stains, nucleus_finder, view_of
from saliency_stats.compartments.segmentation import divided, find_nuclei, with_tissues
from saliency_stats.compartments.tissue.files import BUILTIN_TISSUE, read_tissue
from saliency_stats.compartments.tissue.predict import Tissues
from saliency_stats.vocabulary import COMPARTMENTS

REPOSITORY: Final = Path(__file__).resolve().parents[2]
#: Folder of a set, and its µm per pixel where no table states it.
SETS: Final = {
    "pcam-10x": 0.972,
    "camelyon16-40x": 0.243,
    "camelyon16-slides-40x": 0.243,
    "camelyon17-centres": 0.25,
    "glas-colon-20x-evaluation-only": 0.62,
    "nuclei/epithelium-masks": 0.346,
    "nuclei/scc-breast": 0.346,
}
PATCHES: Final = 12
WINDOW_PX: Final = 256
COLOURS: Final = {"nucleus": (40, 80, 255), "cytoplasm": (255, 220, 0), "stroma": (230, 30, 60)}
STRENGTH: Final = 0.45


def main() -> None:
    """Write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPOSITORY / "../shared/data")
    parser.add_argument("--network", type=Path, default=BUILTIN_TISSUE)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--cells", nargs="+", default=["rule", "network"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder for the PNGs")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    tissue = Tissues(read_tissue(arguments.network))
    for name in arguments.sets:
        rng = np.random.default_rng(arguments.seed)
        files = sorted(p for p in (arguments.data / name).rglob("*") if p.suffix in {".png", ".jpg", ".jpeg"})
        files = [p for p in files if p.parent.name not in {"labels", "masks"}]
        chosen = [files[number] for number in rng.choice(len(files), min(PATCHES, len(files)), replace=False)]
        tiles = [
            _tile(file, SETS[name], arguments.cells, tissue, rng) for file in tqdm(chosen, desc=name, disable=None)
        ]
        rows = [np.concatenate(tiles[start : start + 2], axis=1) for start in range(0, len(tiles) - 1, 2)]
        Image.fromarray(np.concatenate(rows)).save(arguments.out / f"{Path(name).name}.png")


def _tile(file: Path, mpp: float, ways: list[str], tissue: Tissues, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    image = read_rgb(file)
    top, left = (int(rng.integers(max(1, side - WINDOW_PX + 1))) for side in image.shape[:2])
    image = image[top : top + WINDOW_PX, left : left + WINDOW_PX]
    view = view_of(image, mpp, CompartmentParameters(), estimate_stains([image]))
    found = find_nuclei([view], nucleus_finder("builtin"))[0]
    (view,) = with_tissues([view], tissue)
    shown = [image]
    for way in ways:
        memberships = divided(view, found, CompartmentParameters(cells=way)).memberships
        weights = np.stack([memberships[COMPARTMENTS.index(name)] for name in COLOURS], axis=-1) * STRENGTH
        painted = image * (1 - weights.sum(axis=-1, keepdims=True)) + weights @ np.array(list(COLOURS.values()), float)
        shown.append(np.clip(np.rint(painted), 0, 255).astype(np.uint8))
    framed = [np.asarray(Image.fromarray(one).resize((WINDOW_PX, WINDOW_PX))) for one in shown]
    return np.concatenate([np.pad(one, [(2, 2), (2, 2), (0, 0)], constant_values=255) for one in framed], axis=1)


if __name__ == "__main__":
    main()
