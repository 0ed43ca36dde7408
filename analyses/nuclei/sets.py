"""The images that nuclei and compartments are measured on, with their truth and their µm per pixel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from skimage.transform import resize_local_mean

from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.cohort.image import read_rgb
from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.cohort.phantom.scene import PhantomPatch
from saliency_stats.vocabulary import LABELS

UInt8Array = npt.NDArray[np.uint8]
Instances = npt.NDArray[np.int32]

#: Sets whose nuclei were outlined by hand.
LABELLED: Final = ("monuseg-evaluation-only", "scc-breast", "dsb2018")
REGIONS: Final = "scc-regions"
#: A set that states no µm per pixel is given the scale at which the median nucleus of each image is this wide.
GUESSED_DIAMETER_UM: Final = 8.0
#: Truth is read at this many points along each side of a coarser pixel; odd, so that two nuclei cannot tie.
_SAMPLES: Final = 5
#: Images whose pixels differ less than this from the pixel size asked for are left as they are.
_SAME_SCALE: Final = 0.02

SIGNALS: Final = ("cytoplasm", "nucleus", "stroma", "none")
_PHANTOM_SIDE_UM: Final = 64.0
_PHANTOM_SEED: Final = 11


@dataclass(frozen=True, eq=False)
class Case:
    """One image and what is known of it.

    Parameters
    ----------
    name
        Of the image.
    group
        Images of one group are of one slide: their stains are estimated together.
    image
        (H, W, 3) uint8.
    mpp
        µm per pixel.
    labels
        (H, W) true nuclei, 0 outside.
    epithelium
        (H, W) bool, True in human epithelium.
    machine
        (H, W) nuclei outlined by the software of the set's authors: no truth, but independent of ours.
    codes
        (H, W) true compartments.
    n_lost
        True nuclei that a coarser scale left without a pixel.
    """

    name: str
    group: str
    image: UInt8Array
    mpp: float
    labels: Instances | None = None
    epithelium: npt.NDArray[np.bool_] | None = None
    machine: Instances | None = None
    codes: UInt8Array | None = None
    n_lost: int = 0


def read_set(data: Path, name: str, slides: Sequence[str] = ()) -> list[Case]:
    """Read a set with labels.

    Parameters
    ----------
    data
        Folder of the sets.
    name
        One of ``LABELLED``, or ``REGIONS``.
    slides
        Keep the images of these slides only, where the set names slides; all if empty.

    Returns
    -------
    list of Case
        In the order of the set's ``index.csv``.

    Raises
    ------
    SystemExit
        If the folder is missing, or none of its slides was asked for.
    """
    folder = data / name
    if not (folder / "index.csv").is_file():
        raise SystemExit(f"{folder} holds no index.csv: give --data the folder that holds {name}, or leave it out.")
    index = pd.read_csv(folder / "index.csv")
    if slides and "slide" in index:
        chosen = index[index["slide"].isin(slides)]
        if chosen.empty:
            its = ", ".join(sorted(set(index["slide"])))
            raise SystemExit(f"{name} has none of the slides {', '.join(slides)}; its slides are {its}.")
        index = chosen
    cases = []
    for row in index.to_dict("records"):
        file = f"{row['id']}.png"
        truth = _read_numbers(folder / ("epithelium" if name == REGIONS else "labels") / file)
        cases.append(
            Case(
                name=str(row["id"]),
                group=str(row.get("slide", row["id"])),
                image=read_rgb(folder / "images" / file),
                mpp=GUESSED_DIAMETER_UM / median_diameter_px(truth) if pd.isna(row["mpp"]) else float(row["mpp"]),
                labels=None if name == REGIONS else truth,
                epithelium=truth > 0 if name == REGIONS else None,
                machine=_read_numbers(folder / "nuclei_machine" / file) if name == REGIONS else None,
            )
        )
    return cases


def phantoms(mpp: float, *, slides: int = 12, patches_per_slide: int = 4) -> dict[str, list[Case]]:
    """Phantoms of 64 µm with every compartment known, for each planted signal."""
    made = {}
    for signal in SIGNALS:
        phantom = Phantom(signal=signal, size_px=round(_PHANTOM_SIDE_UM / mpp), mpp=mpp)
        cohort = PhantomCohort(phantom, PhantomCohortSize(slides, patches_per_slide), seed=_PHANTOM_SEED)
        made[signal] = [
            Case(str(row.patch_id), f"{signal} {row.slide_id}", drawn.image, mpp, drawn.instances, codes=drawn.truth)
            for number, row in enumerate(cohort.table.itertuples())
            for drawn in [cohort.read(number)]
        ]
    return made


def varied_phantoms(
    seed: int, number: int, architectures: Sequence[str] = tuple(ARCHITECTURES)
) -> Iterator[tuple[str, float, PhantomPatch]]:
    """Draw phantoms to learn from: of every architecture, signal and label in turn, with other stains and pixel sizes.

    Yields the architecture, the µm per pixel and what was drawn.
    """
    for index in range(number):
        rng = np.random.default_rng([seed, index])
        architecture = architectures[index % len(architectures)]
        mpp = float(rng.uniform(0.3, 0.6))
        phantom = Phantom(
            signal=SIGNALS[index // 2 % 4], size_px=256, mpp=mpp, stain_variation=1.5, architecture=architecture
        )
        yield architecture, mpp, phantom.render(rng, LABELS[index % 2])


def blank_images(side_px: int, draws: int = 3) -> dict[str, list[UInt8Array]]:
    """Images without nuclei: glass and flat eosin with a camera's noise after JPEG, and noise alone."""
    rng = np.random.default_rng(side_px)
    shape = (draws, side_px, side_px, 3)
    glass = rng.normal(243.0, 2.0, shape)
    pink = np.array([226.0, 152.0, 188.0]) + rng.normal(0.0, 3.0, shape)
    as_pixels = [np.clip(np.rint(kind), 0, 255).astype(np.uint8) for kind in (glass, pink)]
    return {
        "white glass": [_jpeg(image) for image in as_pixels[0]],
        "all pink": [_jpeg(image) for image in as_pixels[1]],
        "pure noise": list(rng.integers(0, 256, shape, dtype=np.uint8)),
    }


def at_mpp(case: Case, mpp: float) -> Case:
    """Bring an image to coarser pixels; it stays as it is where its own are as coarse.

    Colours are averaged over the area of the new pixel. A new pixel belongs to the nucleus, or to none, that holds
    most of 5 x 5 points in it.

    Parameters
    ----------
    case
        Image with or without true nuclei.
    mpp
        µm per pixel asked for.

    Returns
    -------
    Case
        With the µm per pixel, at most ``mpp``, that whole pixels allow, and the nuclei that were lost counted.
    """
    factor = mpp / case.mpp
    if factor < 1 + _SAME_SCALE:
        return case
    height, width = case.image.shape[:2]
    # upwards, so that no pixel is coarser than asked for: beyond its working scale segmentation would up-sample
    size = (ceil(height / factor - 1e-6), ceil(width / factor - 1e-6))
    # scikit-image has no annotations
    averaged = resize_local_mean(case.image, size, preserve_range=True, channel_axis=-1)
    image = np.clip(np.rint(averaged), 0, 255).astype(np.uint8)
    made = replace(case, image=image, mpp=case.mpp * float(np.sqrt(height * width / (size[0] * size[1]))))
    if case.labels is None:
        return made
    labels = majority(case.labels, size)
    return replace(made, labels=labels, n_lost=_count(case.labels) - _count(labels))


def majority(labels: Instances, size: tuple[int, int]) -> Instances:
    """Most frequent number among 5 x 5 points of every coarser pixel; a tie goes to the smaller number."""
    points = [
        np.minimum(((np.arange(new * _SAMPLES) + 0.5) * old / (new * _SAMPLES)).astype(int), old - 1)
        for old, new in zip(labels.shape, size, strict=True)
    ]
    sampled = labels[np.ix_(*points)].reshape(size[0], _SAMPLES, size[1], _SAMPLES)
    ordered = np.sort(np.moveaxis(sampled, 1, 2).reshape(*size, _SAMPLES**2), axis=-1)
    best, votes, run = ordered[..., 0].copy(), np.ones(size, dtype=np.int64), np.ones(size, dtype=np.int64)
    for k in range(1, _SAMPLES**2):
        run = np.where(ordered[..., k] == ordered[..., k - 1], run + 1, 1)
        ahead = run > votes
        best[ahead], votes[ahead] = ordered[..., k][ahead], run[ahead]
    return best


def median_diameter_px(labels: Instances) -> float:
    """Median diameter of the circles of the nuclei's areas; NaN without nuclei."""
    area = np.bincount(labels.ravel())[1:]
    return float(np.median(2 * np.sqrt(area[area > 0] / np.pi))) if area.any() else float("nan")


def _read_numbers(path: Path) -> Instances:
    with Image.open(path) as image:
        return np.asarray(image).astype(np.int32)


def _count(labels: npt.NDArray[np.integer[Any]]) -> int:
    return int(np.count_nonzero(np.bincount(labels.ravel())[1:]))


def _jpeg(image: UInt8Array) -> UInt8Array:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=75)
    with Image.open(buffer) as coded:
        return np.asarray(coded.convert("RGB"), dtype=np.uint8)
