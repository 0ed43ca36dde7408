"""What H&E may look like: crops of labelled images at many scales, in many stains, through many cameras."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from saliency_stats.compartments.stain import LEAST_CONTRAST, LEVEL_PERCENTILES, RUIFROK_JOHNSTON, unmixing_matrix
from saliency_stats.compartments.stardist.nuclei import MIRRORED_PX, mirrored

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
Instances = npt.NDArray[np.int32]

#: Side of a training crop in pixels.
SIDE: Final = 256
#: Median nuclear diameters of the training crops in pixels: their median, and the standard deviation of the logarithm.
#: At 0.5 um per px nuclei of 3.5 to 14 um lie within two standard deviations.
_DIAMETER_PX: Final = (13.0, 0.36)
_DIAMETER_RANGE_PX: Final = (6.0, 30.0)
#: Share of the crops that show their own mirror image at the border.
_MIRRORED_SHARE: Final = 0.35
#: Enlarging or shrinking an image more than this makes it unlike any tissue.
_SCALE_RANGE: Final = (0.3, 2.5)


@dataclass(frozen=True, eq=False)
class Labelled:
    """An image with its nuclei, their median diameter in pixels, and whether one dye stains everything."""

    image: UInt8Array
    labels: Instances
    diameter_px: float
    one_dye: bool = False


def sample(source: Labelled, vectors: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, Instances]:
    """One training example: normalised intensities (SIDE, SIDE, 3) and instances (SIDE, SIDE).

    Parameters
    ----------
    source
        Where it is cut from.
    vectors
        (n, 2, 3) stain vectors of real slides, to draw new stains from.
    rng
        Decides everything.
    """
    image, labels = _crop(source, rng)
    if rng.random() < _MIRRORED_SHARE:
        # a smaller crop with its mirror image around it, as at prediction; a cut nucleus and its image are one
        inner = slice(MIRRORED_PX, -MIRRORED_PX)
        image, labels = mirrored(image[inner, inner]), mirrored(labels[inner, inner])
    image = restained(image, vectors, rng, one_dye=source.one_dye)
    image = photographed(image, rng)
    return _normalised(image, rng), labels


def _crop(source: Labelled, rng: np.random.Generator) -> tuple[UInt8Array, Instances]:
    height, width = source.labels.shape
    wanted = float(np.clip(np.exp(rng.normal(np.log(_DIAMETER_PX[0]), _DIAMETER_PX[1])), *_DIAMETER_RANGE_PX))
    scale = float(np.clip(wanted / source.diameter_px, *_SCALE_RANGE))
    stretch = np.exp(rng.normal(0, 0.08))
    window = [SIDE / scale * stretch, SIDE / scale / stretch]
    image, labels = source.image, source.labels
    pads = [max(0, int(np.ceil(w - size)) + 1) for w, size in zip(window, (height, width), strict=True)]
    if any(pads):
        around = [(p // 2, p - p // 2) for p in pads]
        image = np.pad(image, [*around, (0, 0)], mode="symmetric")
        labels = np.pad(labels, around, mode="symmetric")
    top, left = (rng.uniform(0, size - w) for size, w in zip(labels.shape, window, strict=True))
    box = (left, top, left + window[1], top + window[0])
    shown = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
    numbers = Image.fromarray(labels).resize((SIDE, SIDE), Image.Resampling.NEAREST, box=box)
    turn, flip = int(rng.integers(4)), bool(rng.integers(2))
    arrays = [np.rot90(np.asarray(a), turn) for a in (shown, numbers)]
    if flip:
        arrays = [a[:, ::-1] for a in arrays]
    return np.ascontiguousarray(arrays[0]), np.ascontiguousarray(arrays[1]).astype(np.int32)


def restained(image: UInt8Array, vectors: FloatArray, rng: np.random.Generator, *, one_dye: bool) -> UInt8Array:
    """Unmix the stains and mix them again with other vectors and amounts (Tellez et al. 2018, with real vectors)."""
    od = -np.log10(np.maximum(image.astype(np.float32), 1) / 255)
    if one_dye and rng.random() < 0.6:
        stains = _two_dyes_of_one(od.mean(axis=-1), rng)
    elif rng.random() < 0.15:
        return _tinted(od, rng)
    else:
        old = vectors[rng.integers(len(vectors))] if rng.random() < 0.5 else np.asarray(RUIFROK_JOHNSTON)
        old = old / np.linalg.norm(old, axis=1, keepdims=True)
        stains = od @ unmixing_matrix(old).astype(np.float32)
        stains[..., :2] = np.maximum(stains[..., :2], 0)
    new = vectors[rng.integers(len(vectors))] + rng.normal(0, 0.05, (2, 3))
    new = np.maximum(new, 0.02)
    new = new / np.linalg.norm(new, axis=1, keepdims=True)
    matrix = np.linalg.inv(unmixing_matrix(new)).astype(np.float32)
    amounts = np.exp(rng.normal(0, [0.25, 0.4, 0.3])).astype(np.float32)
    shift = rng.normal(0, [0.02, 0.03, 0.0]).astype(np.float32)
    tissue = (od.mean(axis=-1, keepdims=True) > 0.04).astype(np.float32)
    mixed = (stains * amounts + shift * tissue) @ matrix
    return as_pixels(255 * 10 ** -np.maximum(mixed, 0))


def _two_dyes_of_one(density: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Read the darkness of a one-dye image as haematoxylin where it is dark and as eosin where it is not."""
    low, high = np.percentile(density, [20, 99])
    dark = np.clip((density - low) / max(high - low, 0.05), 0, 1.3) ** rng.uniform(0.8, 1.6)
    haematoxylin = rng.uniform(0.5, 1.2) * dark
    eosin = rng.uniform(0.05, 0.6) * (density > 0.05) * (1 - 0.7 * np.minimum(dark, 1))
    return np.stack([haematoxylin, eosin, np.zeros_like(dark)], axis=-1).astype(np.float32)


def _tinted(od: FloatArray, rng: np.random.Generator) -> UInt8Array:
    gains = np.exp(rng.normal(0, 0.25, 3)) * np.exp(rng.normal(0, 0.2))
    return as_pixels(255 * 10 ** -(od * gains.astype(np.float32)))


def photographed(image: UInt8Array, rng: np.random.Generator, side: int = SIDE) -> UInt8Array:
    """Resolution, focus, light, sensor noise and JPEG."""
    shown = Image.fromarray(image)
    if rng.random() < 0.2:  # a coarser picture, enlarged: 10x patches shown to a network of 20x
        coarse = round(side / rng.uniform(1.3, 2.3))
        shown = shown.resize((coarse, coarse), Image.Resampling.BOX)
        shown = shown.resize((side, side), Image.Resampling.BICUBIC)
    chance = rng.random()
    if chance < 0.4:
        shown = shown.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.4))))
    elif chance < 0.6:
        shown = shown.filter(ImageFilter.UnsharpMask(1.5, int(rng.integers(30, 200)), 0))
    values = np.asarray(shown).astype(np.float32)
    light = np.exp(rng.normal(0, 0.06, 3)) * np.exp(rng.normal(0, 0.06))
    values = 255 * (values / 255) ** np.exp(rng.normal(0, 0.12)) * light
    if rng.random() < 0.5:
        values = values + rng.normal(0, rng.uniform(0.5, 6), values.shape)
    pixels = as_pixels(values)
    if rng.random() < 0.4:
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(35, 95)))
        pixels = np.asarray(Image.open(buffer))
    return pixels


def _normalised(image: UInt8Array, rng: np.random.Generator) -> FloatArray:
    """Scale by percentiles as at prediction, but those of a slide, of which the crop is a random part."""
    low, high = np.percentile(image[::2, ::2], LEVEL_PERCENTILES)
    high = min(255.0, high + abs(rng.normal(0, 12)))
    low = min(max(0.0, low - abs(rng.normal(0, 10))), high - LEAST_CONTRAST)
    return ((image.astype(np.float32) - low) / (high - low)).astype(np.float32)


def as_pixels(values: npt.NDArray[Any]) -> UInt8Array:
    """Round to 8 bits."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
