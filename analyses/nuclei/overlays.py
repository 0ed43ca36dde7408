"""Draw the nuclei found on 20 random patches of each real set, for a person to look at.

    python analyses/nuclei/overlays.py --nuclei builtin --out reports/nuclei

Writes one PNG per set. Every patch is shown twice, as it is and with the outlines of the nuclei found; beneath stand
its name, its µm per pixel and the number of nuclei in view. Of images larger than 256 px a random window of 256 px is
shown, found with the rest of the image around it. The images of dsb2018 state no µm per pixel: see evaluate.py.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from sets import LABELLED, Case, read_set
from skimage.segmentation import find_boundaries
from tqdm import tqdm

from saliency_stats.cohort.image import read_rgb
from saliency_stats.compartments import CompartmentParameters, segment
from saliency_stats.errors import SaliencyStatsError

UInt8Array = npt.NDArray[np.uint8]

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SETS: Final = ("pcam-10x", "camelyon16-40x", "camelyon17-centres", *LABELLED)
#: The centres' tiles come without a table.
CENTRES_MPP: Final = 0.25
WINDOW_PX: Final = 256
#: Width of a patch on the sheet: small patches are enlarged, so that an outline is thinner than their pixels.
SHOWN_PX: Final = 384
CAPTION_PX: Final = 20
COLUMNS: Final = 4
#: A colour that neither stain makes.
OUTLINE: Final = (0, 255, 60)


def main() -> None:
    """Write the sheets."""
    arguments = _arguments()
    try:
        _draw_sheets(arguments)
    except SaliencyStatsError as error:
        raise SystemExit(str(error)) from error


def _draw_sheets(arguments: argparse.Namespace) -> None:
    parameters = CompartmentParameters(nuclei=arguments.nuclei)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.sets:
        rng = np.random.default_rng(arguments.seed)
        chosen = list(_chosen(arguments.data, name, arguments.patches, rng))
        tiles = [_tile(case, parameters, rng) for case in tqdm(chosen, desc=f"{name:<24}", unit="patch", disable=None)]
        path = arguments.out / f"{name}_{Path(arguments.nuclei).name}.png"
        Image.fromarray(_sheet(tiles)).save(path)
        print(path)


def _chosen(data: Path, name: str, number: int, rng: np.random.Generator) -> Iterator[Case]:
    """Random images of a set; images come up again only where the set has fewer than asked for."""
    if name in LABELLED:
        cases = read_set(data / "nuclei", name)
        for pick in _picks(len(cases), number, rng):
            yield cases[pick]
        return
    folder = data / name
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing: give --data the folder that holds {name}, or leave the set out.")
    if (folder / "patches.csv").is_file():
        table = pd.read_csv(folder / "patches.csv")[["path", "mpp"]]
    else:
        table = pd.DataFrame({"path": sorted(path.name for path in folder.glob("*.png")), "mpp": CENTRES_MPP})
    for pick in _picks(len(table), number, rng):
        path = str(table["path"].iloc[pick])
        yield Case(Path(path).stem, path, read_rgb(folder / path), float(table["mpp"].iloc[pick]))


def _picks(available: int, number: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Choose ``number`` of ``available``: whole rounds of all, then some."""
    rounds = [rng.permutation(available) for _ in range(-(-number // available))]
    return np.sort(np.concatenate(rounds)[:number])


def _tile(case: Case, parameters: CompartmentParameters, rng: np.random.Generator) -> UInt8Array:
    """One patch, as it is and with outlines, above its caption."""
    instances = segment(case.image, case.mpp, parameters=parameters).instances
    top, left = (int(rng.integers(0, max(side - WINDOW_PX, 0) + 1)) for side in instances.shape)
    window = (slice(top, top + WINDOW_PX), slice(left, left + WINDOW_PX))
    image, nuclei = case.image[window], instances[window]
    scale = SHOWN_PX / max(nuclei.shape)
    size = (round(nuclei.shape[1] * scale), round(nuclei.shape[0] * scale))
    shown = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    numbers = np.asarray(Image.fromarray(nuclei).resize(size, Image.Resampling.NEAREST))
    outlined = shown.copy()
    outlined[find_boundaries(numbers, mode="inner")] = OUTLINE
    tile = np.full((SHOWN_PX + CAPTION_PX, 2 * SHOWN_PX + 12, 3), 255, dtype=np.uint8)
    for half, picture in enumerate((shown, outlined)):
        across = half * (SHOWN_PX + 4)
        tile[: size[1], across : across + size[0]] = picture
    caption = f"{case.name[:48]}   {case.mpp:.3g} µm/px   {_number(nuclei)} nuclei"
    canvas = Image.fromarray(tile)
    # Pillow's own font has no µ; Matplotlib brings one that has
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 13)
    ImageDraw.Draw(canvas).text((4, SHOWN_PX + 1), caption, fill=(0, 0, 0), font=font)
    return np.asarray(canvas)


def _number(labels: npt.NDArray[np.integer[Any]]) -> int:
    return int(np.count_nonzero(np.unique(labels)))


def _sheet(tiles: list[UInt8Array]) -> UInt8Array:
    """Rows of ``COLUMNS`` patches; the last is filled up with white."""
    blank = np.full_like(tiles[0], 255)
    full = tiles + [blank] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(full[start : start + COLUMNS], axis=1) for start in range(0, len(full), COLUMNS)]
    return np.concatenate(rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the sheets")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "../shared/data", help="folder of the sets")
    parser.add_argument("--nuclei", default="builtin", metavar="ROUTE", help="route or model folder")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS, metavar="SET", help=", ".join(SETS))
    parser.add_argument("--patches", type=int, default=20, help="patches per set")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
