"""What the tissue network learns from: pictures whose pixels are cells, stroma or background, or not to be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from augment import photographed, restained
from PIL import Image
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from sets import varied_phantoms
from skimage.measure import regionprops
from tqdm import tqdm

from saliency_stats.cohort.image import read_rgb
from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.compartments import CompartmentParameters, estimate_stains, nucleus_finder, segment, view_of
from saliency_stats.compartments.ways import TISSUES
from saliency_stats.vocabulary import COMPARTMENT_CODES, COMPARTMENTS

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

CELL, STROMA, BACKGROUND = (TISSUES.index(name) for name in ("cell", "stroma", "background"))
#: Pixels that the truth says nothing about.
UNKNOWN: Final = 255
#: Side of a crop in pixels of ``MPP``; half of a patch of 256 px at 20x, more than one at 40x.
SIDE: Final = 192
MPP: Final = 0.5
#: Outlines are drawn by hand: this close to them nothing is learned. Those of BCSS are off by 10 to 20 px of 0.25 µm.
BAND_UM: Final = {"scc-pdx": 2.0, "bcss": 4.0}
#: Around nuclei outside the outlines may be the cytoplasm of a lymphocyte or plasma cell, which nobody outlined.
RIM_UM: Final = 1.0
#: To learn from: as wide as the cytoplasm of a plasma cell, which phantoms teach to be a cell.
LEARNED_RIM_UM: Final = 2.0
#: Inside the outlines what is further than this from any nucleus may be the content of a lumen.
LUMEN_UM: Final = 12.0
#: A lymphocyte's nucleus is at most this large, and this round (eccentricity); a crowd is so many others within so many
#: µm.
SMALL_UM2: Final = 48.0
ROUND: Final = 0.8
CROWD: Final = (6, 15.0)
#: The rim of a lymphocyte's cytoplasm; and how far from nuclei no cell is expected.
LYMPHOCYTE_UM: Final = 1.5
FAR_UM: Final = 6.0
HALF: Final = 0.5
#: Every n-th of the xenografts, by name in blocks, belongs to a part that is left out together.
PARTS: Final = 4
_USUAL: Final = CompartmentParameters(nuclei="builtin", cells="rule")


@dataclass(frozen=True, eq=False)
class Painted:
    """A picture (H, W, 3) with its classes (H, W) of ``TISSUES`` or ``UNKNOWN``, and its µm per pixel."""

    name: str
    image: UInt8Array
    classes: UInt8Array
    mpp: float


@dataclass(frozen=True, eq=False)
class Outlined:
    """A picture with outlined epithelium, and the part of the data that it belongs to."""

    name: str
    kind: str
    part: int
    image: UInt8Array
    epithelium: BoolArray
    mpp: float


def outlined(data: Path) -> list[Outlined]:
    """Read the sets with outlined epithelium.

    Parts hold whole blocks of neighbouring names, or whole slides where slides are named; the two regions of BCSS are
    of different patients and lie in parts 0 and 1.
    """
    masks, regions = data / "nuclei" / "epithelium-masks", data / "nuclei" / "scc-regions"
    for folder in (masks, regions):
        if not (folder / "index.csv").is_file():
            raise SystemExit(f"{folder} holds no index.csv: give --data the folder above nuclei/{folder.name}.")
    table = pd.read_csv(masks / "index.csv").sort_values("id")
    made = []
    for kind, rows in table.groupby(table["id"].str.startswith("bcss").map({True: "bcss", False: "scc-pdx"})):
        for number, (name, mpp) in enumerate(zip(rows["id"], rows["mpp"], strict=True)):
            part = number if kind == "bcss" else number * PARTS // len(rows)
            epithelium = np.asarray(Image.open(masks / "masks" / f"{name}.png").convert("L")) > 0
            made.append(Outlined(name, kind, part, read_rgb(masks / "images" / f"{name}.jpg"), epithelium, mpp))
    table = pd.read_csv(regions / "index.csv")
    for number, (_, rows) in enumerate(table.groupby("slide", sort=True)):
        for name, mpp in zip(rows["id"], rows["mpp"], strict=True):
            epithelium = np.asarray(Image.open(regions / "epithelium" / f"{name}.png").convert("L")) > 0
            image = read_rgb(regions / "images" / f"{name}.png")
            made.append(Outlined(name, "scc-pdx", number % PARTS, image, epithelium, mpp))
    return made


def from_outlines(source: Outlined, *, rim_um: float = RIM_UM) -> Painted:
    """Classes from outlined epithelium: by brightness what is tissue, and unknown wherever the outline cannot tell.

    Up to ``rim_um`` around nuclei outside the outlines nothing is known.
    """
    view = view_of(source.image, source.mpp, _USUAL, estimate_stains([source.image]))
    nuclei = nucleus_finder("builtin")([view])[0].instances > 0
    inside, tissue = source.epithelium, view.tissue
    away_um = source.mpp * distance_transform_edt(~nuclei) if nuclei.any() else np.full(nuclei.shape, np.inf)
    border_um = source.mpp * np.maximum(distance_transform_edt(~inside), distance_transform_edt(inside))
    classes = np.where(inside, CELL, STROMA).astype(np.uint8)
    unknown = border_um < BAND_UM[source.kind]
    unknown |= ~inside & (away_um <= rim_um)
    unknown |= inside & (away_um > LUMEN_UM)
    classes[unknown] = UNKNOWN
    classes[~tissue] = BACKGROUND
    return Painted(source.name, source.image, classes, source.mpp)


def phantoms(seed: int, number: int, architectures: Sequence[str] = tuple(ARCHITECTURES)) -> list[Painted]:
    """Phantoms of every architecture, signal and label, with other stains and pixel sizes each.

    Nuclei are unknown: StarDist finds them, and those of the stroma are no cells here.
    """
    to_class = np.full(max(COMPARTMENT_CODES.values()) + 1, UNKNOWN, dtype=np.uint8)
    for compartment, tissue in (("cytoplasm", CELL), ("stroma", STROMA), ("background", BACKGROUND)):
        to_class[COMPARTMENT_CODES[compartment]] = tissue
    drawn = tqdm(varied_phantoms(seed, number, architectures), desc="phantoms", total=number, disable=None)
    return [
        Painted(f"{architecture}-{index}", phantom.image, to_class[phantom.truth], mpp)
        for index, (architecture, mpp, phantom) in enumerate(drawn)
    ]


def sample(
    source: Painted, vectors: npt.NDArray[np.float32], rng: np.random.Generator
) -> tuple[UInt8Array, UInt8Array]:
    """Cut an example: a picture (SIDE, SIDE, 3) at about ``MPP`` and its classes (SIDE, SIDE).

    Scale, elongation, stain, focus, light, noise and JPEG vary.
    """
    scale, stretch = np.exp(rng.normal(0, 0.22)), np.exp(rng.normal(0, 0.12))
    side = SIDE * MPP * scale / source.mpp
    window = [side * stretch, side / stretch]
    image, classes = source.image, source.classes
    pads = [max(0, int(np.ceil(w - size)) + 1) for w, size in zip(window, classes.shape, strict=True)]
    if any(pads):
        around = [(p // 2, p - p // 2) for p in pads]
        image = np.pad(image, [*around, (0, 0)], mode="symmetric")
        classes = np.pad(classes, around, mode="symmetric")
    top, left = (rng.uniform(0, size - w) for size, w in zip(classes.shape, window, strict=True))
    # cut first: only what is looked at is scaled
    y, x = int(top), int(left)
    rows, columns = (slice(start, start + int(np.ceil(w)) + 1) for start, w in zip((y, x), window, strict=True))
    box = (left - x, top - y, left - x + window[1], top - y + window[0])
    cut = Image.fromarray(np.ascontiguousarray(image[rows, columns]))
    box = (box[0], box[1], min(box[2], cut.width), min(box[3], cut.height))
    shown = cut.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    painted = Image.fromarray(np.ascontiguousarray(classes[rows, columns]))
    numbers = painted.resize((SIDE, SIDE), Image.Resampling.NEAREST, box=box)
    turn, flip = int(rng.integers(4)), bool(rng.integers(2))
    arrays = [np.rot90(np.asarray(a), turn) for a in (shown, numbers)]
    if flip:
        arrays = [a[:, ::-1] for a in arrays]
    picture = np.ascontiguousarray(arrays[0])
    if rng.random() < 0.8:
        picture = restained(picture, vectors, rng, one_dye=False)
    return photographed(picture, rng, SIDE), np.ascontiguousarray(arrays[1])


def lymph_nodes(data: Path) -> list[Painted]:
    """Lymph-node tiles, with the classes in which two opinions agree: the fitted rule, and the shape of nuclei.

    The rule sees stain and texture. A lymphocyte is a small round nucleus among many (``CROWD``), and what the rule
    calls cytoplasm within ``LYMPHOCYTE_UM`` of it is a cell; what it calls stroma far from every nucleus
    (``FAR_UM``) is stroma. All else is unknown, but for glass.
    """
    files = sorted((data / "camelyon17-centres").rglob("*.png"))
    files += sorted((data / "camelyon16-40x" / "benign").rglob("*.jp*g"))[::5]
    made = []
    for file in tqdm(files, desc="lymph nodes", disable=None):
        image = np.asarray(Image.fromarray(read_rgb(file)).reduce(2))
        found, memberships = segment(image, MPP, parameters=_USUAL)
        rule = {name: memberships[COMPARTMENTS.index(name)] > HALF for name in ("cytoplasm", "stroma", "background")}
        small = lymphocytes(found)
        near, away = (distance_transform_edt(~mask) * MPP for mask in (small, found > 0))
        classes = np.full(found.shape, UNKNOWN, dtype=np.uint8)
        classes[rule["cytoplasm"] & (near <= LYMPHOCYTE_UM) & small.any()] = CELL
        classes[rule["stroma"] & (away > FAR_UM)] = STROMA
        classes[rule["background"]] = BACKGROUND
        made.append(Painted(file.stem, image, classes, MPP))
    return made


def lymphocytes(instances: npt.NDArray[np.int32]) -> BoolArray:
    """Mask of small round nuclei in a crowd, of instances at ``MPP``."""
    found = regionprops(instances)
    if not found:
        return np.zeros(instances.shape, dtype=bool)
    centres = np.array([one.centroid for one in found]) * MPP
    area, eccentricity = (np.array([getattr(one, name) for one in found]) for name in ("area", "eccentricity"))
    others = cKDTree(centres).query_ball_point(centres, CROWD[1], return_length=True) - 1
    kept = (area * MPP**2 <= SMALL_UM2) & (eccentricity <= ROUND) & (others >= CROWD[0])
    return np.isin(instances, np.array([one.label for one in found])[kept])
