"""How much haematoxylin and eosin lies where: the appearance of each compartment, given its phenotype."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from saliency_stats.cohort.phantom.anatomy import Anatomy
from saliency_stats.cohort.phantom.texture import fibre_noise, smooth_noise
from saliency_stats.typing import Float32Array, Int32Array, UInt8Array
from saliency_stats.vocabulary import COMPARTMENT_CODES

#: Share of the round nuclei that have a second nucleolus.
_SECOND_NUCLEOLUS = 0.4
#: Eosin of the fluid that covers the background.
_FLUID = 0.08


@dataclass(frozen=True)
class Phenotype:
    """Where each compartment lies between its two appearances, each in [0, 1].

    Parameters
    ----------
    nucleus
        0 small, dark, smooth; 1 a fifth larger, vesicular: pale centre, chromatin rim, clumps, nucleoli.
    cytoplasm
        0 dark granules; 1 pale vacuoles (foamy). Its density is drawn apart from it.
    stroma
        0 loose, pale, straight fine fibres; 1 dense, wavy, dark bundles.
    background
        0 glass; 1 covered by pale eosinophilic fluid.
    nucleus_stain, cytoplasm_stain
        Not between two appearances: factors on all stain of nuclei and of cytoplasm.
    """

    nucleus: float
    cytoplasm: float
    stroma: float
    background: float = 0.0
    nucleus_stain: float = 1.0
    cytoplasm_stain: float = 1.0


@dataclass(frozen=True, eq=False)
class Painting:
    """Stain and truth of one patch.

    Parameters
    ----------
    stain
        (2, H, W) float32: haematoxylin and eosin.
    truth
        (H, W) uint8 codes of ``COMPARTMENT_CODES``.
    instances
        (H, W) int32: 0 outside nuclei, otherwise 1 + the index of the cell.
    """

    stain: Float32Array
    truth: UInt8Array
    instances: Int32Array


def _mix(low: float, high: float, t: float) -> float:
    """Value between ``low`` at t = 0 and ``high`` at t = 1."""
    return low + (high - low) * t


def _nucleoli(rng: np.random.Generator, anatomy: Anatomy) -> Float32Array:
    """Spots (H, W) of height 1 near the centres of round nuclei, one or two in each."""
    cells, px_um, shape = anatomy.cells, anatomy.px_um, anatomy.distance_um.shape
    radius = np.sqrt(cells.axes_um.prod(axis=1))
    shift = rng.standard_normal((2, len(radius), 2)) * 0.28 * radius[:, None]
    present = np.stack([~cells.spindle, ~cells.spindle & (rng.uniform(0, 1, len(radius)) < _SECOND_NUCLEOLUS)])
    centre = (cells.centre_um + shift)[present]
    half = int(np.ceil(1.6 / px_um))
    steps = np.arange(-half, half + 1)
    first = np.floor(centre / px_um).astype(np.intp)
    pixel = first[:, :, None] + steps
    away = np.exp(-((((pixel + 0.5) * px_um - centre[:, :, None]) / 0.72) ** 2))
    inside = (pixel >= 0) & (pixel < np.array(shape)[:, None])
    away *= inside
    rows, columns = (np.clip(pixel[:, axis], 0, shape[axis] - 1) for axis in (0, 1))
    spots = np.zeros(shape, dtype=np.float32)
    where = (rows[:, :, None], columns[:, None, :])
    np.maximum.at(spots, where, (away[:, 0, :, None] * away[:, 1, None, :]).astype(np.float32))
    return spots


def _nuclear_ink(
    rng: np.random.Generator, anatomy: Anatomy, depth_um: Float32Array, vesicular: Float32Array
) -> Float32Array:
    """Haematoxylin (H, W) of nuclei, painted everywhere; ``vesicular`` is the phenotype of every cell."""
    shape, px_um = depth_um.shape, anatomy.px_um
    darkness = np.exp(0.14 * rng.standard_normal(len(vesicular), dtype=np.float32))
    blotch = smooth_noise(rng, shape, px_um, 1.0)
    clump = smooth_noise(rng, shape, px_um, 0.6)
    closed = 0.95 + 0.12 * blotch + 0.08 * clump
    opened = 0.29 + 0.42 * np.clip(0.6 * clump + 0.6 * blotch - 0.25, 0, 1.4)
    opened += 0.50 * np.exp(-(((depth_um - 0.3) / 0.42) ** 2))
    opened += 0.70 * _nucleoli(rng, anatomy)
    ink = closed + (opened - closed) * vesicular[anatomy.nearest]
    darkness *= anatomy.cells.of_kind("ink").astype(np.float32)
    return np.asarray(ink * darkness[anatomy.nearest], dtype=np.float32)


def _cytoplasm(rng: np.random.Generator, anatomy: Anatomy, t: float) -> Float32Array:
    """Stain (2, H, W) of cytoplasm, painted everywhere."""
    shape, px_um, nearest = anatomy.distance_um.shape, anatomy.px_um, anatomy.nearest
    own = np.exp(0.14 * rng.standard_normal((2, len(anatomy.cells.angle)), dtype=np.float32))[:, nearest]
    granule = smooth_noise(rng, shape, px_um, 0.6)
    froth = smooth_noise(rng, shape, px_um, 1.5)
    # Density varies from patch to patch whatever the phenotype, and texture keeps the mean: were the classes told
    # apart by density, the contrast at the nuclear border, half of it nucleus, would give them away. Both ends of the
    # phenotype show something of their own, since a network has nothing to point at where its evidence is absence.
    density = np.exp(0.22 * rng.standard_normal())
    grain = np.clip(granule - 0.9, 0, 1.4)
    vacuole = np.clip(froth - 0.25, 0, 0.9)
    texture = 1 + 0.08 * granule + 0.05 * froth + _mix(1.9, 0.0, t) * (grain - grain.mean())
    texture -= _mix(0.0, 1.3, t) * (vacuole - vacuole.mean())
    tint = np.stack([anatomy.cells.of_kind("blue"), anatomy.cells.of_kind("pink")]).astype(np.float32)
    own *= tint[:, nearest]
    stain = np.array([0.13 * density, 0.24 * density], dtype=np.float32)[:, None, None] * own
    # Membranes: where the nearest cell changes. The ink of a line does not depend on the size of the pixel.
    edge = np.zeros(shape, dtype=np.float32)
    edge[1:] += nearest[1:] != nearest[:-1]
    edge[:, 1:] += nearest[:, 1:] != nearest[:, :-1]
    edge = gaussian_filter(edge / np.float32(px_um), 0.45 / px_um, truncate=3.0)
    return np.asarray(stain * np.clip(texture, 0.15, None) + rng.uniform(-0.07, 0.08) * edge, dtype=np.float32)


def _stroma(rng: np.random.Generator, anatomy: Anatomy, t: float) -> Float32Array:
    """Stain (2, H, W) of fibrous stroma; zero elsewhere."""
    shape, px_um, angle = anatomy.distance_um.shape, anatomy.px_um, anatomy.fibre_angle
    wave = smooth_noise(rng, shape, px_um, 5.0)[anatomy.stroma]
    bend = smooth_noise(rng, shape, px_um, 16.0)[anatomy.stroma]
    rows, columns = np.nonzero(anatomy.stroma)
    y, x = ((index.astype(np.float32) + 0.5) * np.float32(px_um) for index in (rows, columns))
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    across = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
    across += np.float32(_mix(0.1, 2.0, t)) * wave + 3.5 * bend
    if anatomy.bend_um is not None:
        across += anatomy.bend_um[anatomy.stroma]
    fine = fibre_noise(rng, along, across, 5.0, 0.55)
    bundle = fibre_noise(rng, along, across, 11.0, 1.6)
    grain = smooth_noise(rng, shape, px_um, 0.7)[anatomy.stroma]
    eosin = 1 + _mix(0.22, 0.18, t) * fine + _mix(0.06, 0.42, t) * bundle + 0.12 * grain
    # Slits of mounting medium between the fibres; not white, or they would look like the vacuoles of a cytoplasm.
    eosin -= 0.3 * np.clip(-0.6 * bundle - 0.6 * fine - 0.9, 0, 1)
    eosin *= _mix(0.18, 0.42, t)
    stain = np.zeros((2, *shape), dtype=np.float32)
    stain[1][anatomy.stroma] = np.clip(eosin, 0.03, None)
    stain[0][anatomy.stroma] = np.clip(0.25 * eosin, 0.02, None)
    return stain * anatomy.stroma_tint


def paint(rng: np.random.Generator, anatomy: Anatomy, phenotype: Phenotype) -> Painting:
    """Colour the anatomy.

    What ``rng`` is asked for does not depend on the phenotype.
    """
    shape, px_um, cells, nearest = anatomy.distance_um.shape, anatomy.px_um, anatomy.cells, anatomy.nearest
    n = len(cells.angle)
    own = phenotype.nucleus + 0.10 * rng.standard_normal(n)
    vesicular = np.clip(own, 0, 1).astype(np.float32)
    radius = np.sqrt(cells.axes_um.prod(axis=1)).astype(np.float32)
    depth = (radius * (0.18 * vesicular - 0.09))[nearest] - anatomy.distance_um
    nucleus = depth > 0
    truth = np.full(shape, COMPARTMENT_CODES["cytoplasm"], dtype=np.uint8)
    fibrous, gap = anatomy.stroma, anatomy.gap
    if anatomy.body is not None:
        fibrous, gap = fibrous & ~anatomy.body, gap & ~anatomy.body
    truth[fibrous] = COMPARTMENT_CODES["stroma"]
    truth[gap] = COMPARTMENT_CODES["background"]
    truth[nucleus] = COMPARTMENT_CODES["nucleus"]
    cytoplasm = _cytoplasm(rng, anatomy, phenotype.cytoplasm) * np.float32(phenotype.cytoplasm_stain)
    stroma = _stroma(rng, anatomy, phenotype.stroma)
    ground = np.where(fibrous, stroma, cytoplasm)
    # Tissue thins out towards glass, and ends there: no stain lies on the gaps.
    thinning = np.clip(1 - 2 * gaussian_filter(gap.astype(np.float32), 0.5 / px_um, truncate=3.0), 0, 1)
    ground *= thinning * ~gap
    if anatomy.matter is not None:
        ground += anatomy.matter * gap
    ground[1] += np.float32(_FLUID * phenotype.background) * gap
    ink = _nuclear_ink(rng, anatomy, depth, vesicular) * np.float32(phenotype.nucleus_stain)
    # Nuclei lie at different heights in the section, so some borders are sharp and others soft.
    slope_um = rng.uniform(0.10, 0.40, n).astype(np.float32)
    alpha = expit(depth / slope_um[nearest])
    eosin = _mix(0.25, 0.18, phenotype.nucleus) * phenotype.nucleus_stain
    stain = np.stack([ground[0] + alpha * (ink - ground[0]), ground[1] + alpha * (eosin - ground[1])])
    stain *= np.exp(0.09 * smooth_noise(rng, shape, px_um, 14.0))
    instances = np.where(nucleus, nearest + 1, 0).astype(np.int32)
    return Painting(np.clip(stain, 0, None), truth, instances)
