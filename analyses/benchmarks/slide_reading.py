"""Patches read per second from a pyramidal slide, against the same regions read at level 0 and resized.

OMP_NUM_THREADS=1 python analyses/benchmarks/slide_reading.py
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from openslide import OpenSlide
from PIL import Image
from skimage.filters import gaussian

from saliency_stats.cohort.slides.pyramid import write_pyramid
from saliency_stats.cohort.slides.slide import Slide

SIZE_PX = 8_000
MPP = 0.25
LEVELS = 5
PATCH_PX = 256
PATCHES = 24
MAGNIFICATIONS = {5: 2.0, 10: 1.0, 20: 0.5}


def write_slide(path: Path) -> None:
    """Write a tiled, JPEG-compressed pyramid of pink noise as rough as tissue."""
    rng = np.random.default_rng(0)
    tile = gaussian(rng.standard_normal((1000, 1000)), 3, mode="wrap")
    tile = np.clip(170 + 30 * tile / tile.std(), 0, 255)
    image = np.tile(np.stack([tile, 0.7 * tile, 0.9 * tile], axis=2).astype(np.uint8), (SIZE_PX // 1000,) * 2 + (1,))
    side = 256
    write_pyramid(
        path,
        lambda row, column: image[side * row : side * (row + 1), side * column : side * (column + 1)],
        image.shape[:2],
        MPP,
        tile_px=side,
        compression="jpeg",
        levels=LEVELS,
    )


def rate(read: Callable[[float, float], object], centres_um: np.ndarray) -> float:
    """Patches per second."""
    began = time.perf_counter()
    for y, x in centres_um:
        read(y, x)
    return len(centres_um) / (time.perf_counter() - began)


def compare(path: Path, magnification: int, mpp: float, centres_um: np.ndarray) -> None:
    """Print both rates; each way has a handle, and so a cache, of its own."""
    side = round(PATCH_PX * mpp / MPP)
    with OpenSlide(path) as plain, Slide(path, "benchmark") as slide:

        def one_by_one(y: float, x: float) -> None:
            corner = (round(x / MPP - side / 2), round(y / MPP - side / 2))
            plain.read_region(corner, 0, (side, side)).convert("RGB").resize((PATCH_PX,) * 2, Image.Resampling.BOX)

        slow = rate(one_by_one, centres_um)
        fast = rate(lambda y, x: slide.read((y, x), PATCH_PX, mpp), centres_um)
    print(f"{magnification}×: {fast:.0f} patches/s; level 0, resized: {slow:.0f}; ratio {fast / slow:.1f}")


def main() -> None:
    """Print the rates at each magnification, at random places and in between pixels."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.tif"
        write_slide(path)
        side_um = SIZE_PX * MPP
        centres_um = np.random.default_rng(1).uniform(0.15 * side_um, 0.85 * side_um, (PATCHES, 2))
        for magnification, mpp in MAGNIFICATIONS.items():
            compare(path, magnification, mpp, centres_um)


if __name__ == "__main__":
    main()
