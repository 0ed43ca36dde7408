"""Where nuclei are known to be hard: red cells at 10x, which are none, and large pale nuclei, on altered phantoms.

    python analyses/nuclei/hard_nuclei.py --nuclei builtin classical

Red cells: a vessel 40 µm wide full of red cells is painted over the middle of a phantom; nuclei found in it are false.
Large pale nuclei: a phantom is taken for one of larger pixels, so that its nuclei are larger by that factor, and its
nuclei are blended with the mean colour of the cytoplasm around. Prints one row per case, and writes nothing.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import ndimage
from scores import instance_scores

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import CompartmentParameters, segment
from saliency_stats.typing import Instances, UInt8Array
from saliency_stats.vocabulary import COMPARTMENT_CODES

#: µm per pixel that phantoms are drawn at, and their side (µm).
FINE_MPP, SIDE_UM = 0.25, 64.0
VESSEL_UM, RED_CELL_UM = 40.0, 6.8
#: Red cells of H&E sections: from brick-red to the pink of eosin.
REDS: Final = {"brick": (196, 84, 92), "orange": (222, 128, 108), "pink": (216, 118, 152)}
GLASS: Final = (240, 236, 240)
IMAGES = 6


def main(arguments: Sequence[str] | None = None) -> pd.DataFrame:
    """Print how often red cells are found, and how many large pale nuclei are not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nuclei", nargs="+", default=["builtin"], help="finders, as in compartments.nuclei")
    routes = parser.parse_args(arguments).nuclei
    rows = [row for route in routes for cases in (red_cells(route), pale_nuclei(route)) for row in cases]
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    return table


def red_cells(route: str) -> Iterator[dict[str, Any]]:
    """Count nuclei in painted vessels, by colour and by µm per pixel."""
    parameters = CompartmentParameters(nuclei=route)
    for colour, red in REDS.items():
        painted = [vessel(_phantom(FINE_MPP, n)[0], red, np.random.default_rng(n)) for n in range(IMAGES)]
        for mpp in (0.25, 0.5, 1.0):
            images = [averaged(image, round(mpp / FINE_MPP)) for image in painted]
            false = 0
            for image in images:
                found = segment(image, mpp, parameters=parameters).instances
                centres = np.array(ndimage.center_of_mass(found > 0, found, np.arange(1, found.max() + 1)))
                middle = (np.array(found.shape) - 1) / 2
                if len(centres):
                    false += int((np.linalg.norm(centres - middle, axis=1) * mpp < VESSEL_UM / 2 - 3).sum())
            yield {"nuclei": route, "case": f"red cells, {colour}", "mpp": mpp, "false_per_vessel": false / IMAGES}


def pale_nuclei(route: str) -> Iterator[dict[str, Any]]:
    """Measure the recall of nuclei that are larger and paler than those of phantoms."""
    for mpp in (0.25, 0.5):
        drawn = [_phantom(mpp, n) for n in range(IMAGES)]
        for larger in (1.0, 1.5, 2.0, 2.5):
            for paler in (0.0, 0.3, 0.5):
                truth = [instances for _, instances, _ in drawn]
                found = [
                    segment(pale(*one, paler), mpp * larger, parameters=CompartmentParameters(nuclei=route)).instances
                    for one in drawn
                ]
                scores = instance_scores(truth, found)
                yield {
                    "nuclei": route,
                    "case": f"nuclei {larger:g} times larger, {paler:.0%} paler",
                    "mpp": mpp * larger,
                    "recall": scores["recall@0.5"],
                    "precision": scores["precision@0.5"],
                }


def vessel(image: UInt8Array, red: tuple[int, int, int], rng: np.random.Generator) -> UInt8Array:
    """Paint a vessel of packed red cells, each paler in its middle, over the middle of an image of ``FINE_MPP``."""
    y, x = ((np.arange(n) + 0.5 - n / 2) * FINE_MPP for n in image.shape[:2])
    inside = (y[:, None] ** 2 + x[None] ** 2) < (VESSEL_UM / 2) ** 2
    layer = np.full(image.shape, GLASS, dtype=np.float64)
    centres = np.empty((0, 2))
    for _ in range(4_000):
        at = rng.uniform(-VESSEL_UM / 2, VESSEL_UM / 2, 2)
        if not len(centres) or np.linalg.norm(centres - at, axis=1).min() > 0.85 * RED_CELL_UM:
            centres = np.vstack([centres, at])
    for at in centres:
        far = np.hypot(y[:, None] - at[0], x[None] - at[1]) / (RED_CELL_UM / 2)
        colour = np.asarray(red) + rng.normal(0, 6, 3)
        thick = np.clip(0.75 + 0.25 * far, 0, 1)[..., None]
        layer = np.where((far < 1)[..., None], 255 * (colour / 255) ** thick, layer)
    blurred = ndimage.gaussian_filter(layer, (1.5, 1.5, 0))
    noisy = blurred + rng.normal(0, 3, image.shape)
    return np.where(inside[..., None], np.clip(noisy, 0, 255), image).astype(np.uint8)


def pale(image: UInt8Array, instances: Instances, codes: UInt8Array, share: float) -> UInt8Array:
    """Blend the nuclei of a phantom with the mean colour of its cytoplasm."""
    cytoplasm = image[codes == COMPARTMENT_CODES["cytoplasm"]].mean(axis=0)
    weight = share * ndimage.gaussian_filter((instances > 0).astype(float), 1.0)[..., None]
    return np.rint((1 - weight) * image + weight * cytoplasm).astype(np.uint8)


def averaged(image: UInt8Array, factor: int) -> UInt8Array:
    """Average the colours over blocks of pixels, as a scanner of a lower magnification sees them."""
    height, width = (n // factor for n in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def _phantom(mpp: float, number: int) -> tuple[UInt8Array, Instances, UInt8Array]:
    drawn = Phantom(size_px=round(SIDE_UM / mpp), mpp=mpp).render(np.random.default_rng(1_000 + number), "benign")
    return drawn.image, drawn.instances, drawn.truth


if __name__ == "__main__":
    main()
