"""What fills the gaps of tissue and is none of the three compartments: haematoxylin and eosin (2, H, W)."""

import numpy as np

from saliency_stats.cohort.phantom.cells import Cells, nearest_cell, thin
from saliency_stats.cohort.phantom.texture import smooth_noise
from saliency_stats.typing import Float32Array

#: Red cells in sections: discs of about 6.5 µm, pale in the middle.
_RED_CELL_UM = 3.3


def red_cells(rng: np.random.Generator, shape: tuple[int, int], px_um: float) -> Float32Array:
    """Red cells all over the field, touching each other, in pale plasma."""
    sides = np.array(shape) * px_um + 8
    centre = rng.uniform(0, 1, (int(0.08 * sides[0] * sides[1]), 2)) * sides - 4
    centre = centre[thin(centre, np.full(len(centre), _RED_CELL_UM * rng.uniform(0.85, 1.15)))]
    n = len(centre)
    axes = 1.2 * _RED_CELL_UM * np.exp(0.12 * rng.standard_normal((n, 2)))
    discs = Cells(centre, axes, rng.uniform(0, np.pi, n), np.zeros(n), np.zeros(n, dtype=np.intp))
    nearest, distance = nearest_cell(discs, shape, px_um, 1.0)
    own = rng.uniform(0.75, 1.15, n).astype(np.float32)[nearest]
    disc = np.clip(-distance / np.float32(0.6), 0, 1) * own * (1 - 0.25 * np.clip(-distance / 3, 0, 1) ** 2)
    plasma = np.float32(rng.uniform(0, 0.12))
    return np.stack([0.02 * disc, plasma + (0.62 - plasma) * disc]).astype(np.float32)


def necrosis(rng: np.random.Generator, shape: tuple[int, int], px_um: float) -> Float32Array:
    """Eosinophilic debris with ghosts of cells and the dust of nuclei."""
    coarse, fine, dust = (smooth_noise(rng, shape, px_um, scale) for scale in (3.0, 0.9, 0.55))
    clouds = smooth_noise(rng, shape, px_um, 9.0)
    eosin = np.clip(0.30 + 0.09 * coarse + 0.07 * fine + 0.05 * clouds, 0.04, None)
    grains = np.clip(dust + 0.5 * coarse + 0.4 * clouds - 2.2, 0, 0.9)
    return np.stack([0.06 + 0.02 * fine.clip(-2) + grains, eosin]).astype(np.float32)


def keratin(rng: np.random.Generator, depth_um: Float32Array, px_um: float) -> Float32Array:
    """Laminated eosin: layers along the levels of ``depth_um`` (H, W)."""
    shape = depth_um.shape
    bent = depth_um + 1.6 * smooth_noise(rng, shape, px_um, 6.0) + 0.35 * smooth_noise(rng, shape, px_um, 1.5)
    layers = np.sin(np.float32(2 * np.pi / rng.uniform(2.2, 3.6)) * bent)
    eosin = 0.46 + 0.13 * layers + 0.05 * smooth_noise(rng, shape, px_um, 2.5)
    # between lamellae lies glass, here and there
    eosin *= np.clip(
        1.6 - np.clip(-layers - 0.4, 0, 1) * np.clip(smooth_noise(rng, shape, px_um, 8.0) + 0.6, 0, 2), 0.1, 1
    )
    return np.stack([0.08 * eosin, eosin]).astype(np.float32)


def mucin(rng: np.random.Generator, shape: tuple[int, int], px_um: float) -> Float32Array:
    """Pale blue-grey threads and foam."""
    foam, fine = smooth_noise(rng, shape, px_um, 1.4), smooth_noise(rng, shape, px_um, 0.6)
    thread = np.exp(-((smooth_noise(rng, shape, px_um, 3.0) / 0.25) ** 2))
    amount = np.clip(0.5 + 0.25 * foam + 0.15 * fine + 0.5 * thread, 0.05, None)
    blue = np.float32(rng.uniform(0.03, 0.10))
    return np.stack([blue * amount, np.float32(rng.uniform(0.02, 0.07)) * amount]).astype(np.float32)
