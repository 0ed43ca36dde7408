"""Large outlines as ellipses (glands, vessels, adipocytes): distances to them and places along them, in µm."""

import numpy as np

from saliency_stats.cohort.phantom.cells import Cells, thin
from saliency_stats.typing import Float64Array, IndexArray


def beyond(rng: np.random.Generator, field_um: tuple[float, float], margin_um: float) -> Float64Array:
    """Positions (N, 2) all over the field and a margin, more than large outlines have room; at least a few."""
    sides = np.array(field_um) + 2 * margin_um
    return rng.uniform(0, 1, (max(int(0.006 * sides[0] * sides[1]), 8), 2)) * sides - margin_um


def pack(
    rng: np.random.Generator,
    centre_um: Float64Array,
    radius_um: Float64Array,
    room: Float64Array | float,
    longest: float,
    kind: IndexArray,
) -> Cells:
    """Keep of the candidates those with room, as ellipses of an aspect from 1 to ``longest``.

    ``room`` is the distance that each keeps, in radii.
    """
    aspect, angle = rng.uniform(1, longest, len(kind)), rng.uniform(0, np.pi, len(kind))
    axes = radius_um[:, None] * np.stack([np.sqrt(aspect), 1 / np.sqrt(aspect)], axis=1)
    return Cells(centre_um, axes, angle, np.zeros(len(kind)), kind)[thin(centre_um, radius_um * room)]


def ellipse_distance(
    points_um: Float64Array, centre_um: Float64Array, axes_um: Float64Array, angle: Float64Array
) -> Float64Array:
    """Signed distance of points (..., 2) to ellipses that broadcast against them; see ``cells.nearest_cell``."""
    offset, sin, cos = points_um - centre_um, np.sin(angle), np.cos(angle)
    turned = np.stack(
        [sin * offset[..., 0] + cos * offset[..., 1], cos * offset[..., 0] - sin * offset[..., 1]], axis=-1
    )
    k0 = np.linalg.norm(turned / axes_um, axis=-1) + 1e-6
    # in the very middle, where both vanish, it is the mean axis
    k1 = np.linalg.norm(turned / axes_um**2, axis=-1) + 1e-6 / np.sqrt(np.prod(axes_um, axis=-1))
    return np.asarray(k0 * (k0 - 1) / k1)


def places(rng: np.random.Generator, outlines: Cells, step_um: float) -> tuple[IndexArray, Float64Array, Float64Array]:
    """Places about ``step_um`` apart along outlines: index of the outline, point (N, 2), direction outwards (N, 2)."""
    mean = outlines.axes_um.mean(axis=1)
    number = np.maximum(np.rint(2 * np.pi * mean / step_um), 3).astype(np.intp)
    owner = np.repeat(np.arange(len(number)), number)
    first = np.repeat(np.cumsum(number) - number, number)
    turn = 2 * np.pi * (np.arange(len(owner)) - first + rng.uniform(-0.15, 0.15, len(owner))) / number[owner]
    along, across = np.cos(turn), np.sin(turn)
    axes, sin, cos = outlines.axes_um[owner], np.sin(outlines.angle[owner]), np.cos(outlines.angle[owner])

    def turned(u: Float64Array, v: Float64Array) -> Float64Array:
        return np.stack([sin * u + cos * v, cos * u - sin * v], axis=-1)

    point = outlines.centre_um[owner] + turned(along * axes[:, 0], across * axes[:, 1])
    outwards = turned(along / axes[:, 0], across / axes[:, 1])
    return owner, point, outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
