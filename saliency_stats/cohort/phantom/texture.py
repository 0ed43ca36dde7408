"""Random fields defined in µm, so that the same draw shows the same tissue at every magnification."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import map_coordinates

from saliency_stats.typing import Float32Array, Float64Array

#: Standard deviation of a cubic B-spline sum of unit normals on a square lattice, averaged over the position
#: in a cell: per axis the variance is the integral of the squared spline, B7(0) = 151/315.
_SPLINE_SD = 151 / 315


def pixel_centres(length_px: int, px_um: float) -> Float32Array:
    """Positions of pixel centres along one axis, in µm from the border."""
    return ((np.arange(length_px) + 0.5) * px_um).astype(np.float32)


@lru_cache(maxsize=32)
def _spline_basis(length_px: int, px_um: float, scale_um: float) -> Float32Array:
    """Cubic B-spline weights of every pixel (rows) on a lattice of knots ``scale_um`` apart (columns)."""
    position = pixel_centres(length_px, px_um).astype(np.float64) / scale_um
    first = np.floor(position).astype(np.intp)
    f = position - first
    weights = np.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], axis=1) / 6
    # One knot more than needed, so that rounding at the far border never changes the number of draws.
    basis = np.zeros((length_px, int(np.floor(length_px * px_um / scale_um + 1e-6)) + 5))
    np.put_along_axis(basis, first[:, None] + np.arange(4), weights, axis=1)
    single: Float32Array = basis.astype(np.float32)
    single.setflags(write=False)
    return single


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], px_um: float, scale_um: float) -> Float32Array:
    """Isotropic noise: a cubic B-spline through unit normals on a lattice.

    Parameters
    ----------
    rng
        Draws one normal per knot; their number depends on the field in µm, not on the pixel size.
    scale_um
        Distance between knots in µm: about half the size of a blob.

    Returns
    -------
    ndarray
        (H, W) float32, mean 0, standard deviation 1.
    """
    rows, columns = (_spline_basis(length, px_um, scale_um) for length in shape)
    knots = rng.standard_normal((rows.shape[1], columns.shape[1]), dtype=np.float32)
    knots /= np.float32(_SPLINE_SD)
    return np.asarray(rows @ knots @ columns.T, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class PlaneWaves:
    """A smooth Gaussian field as a sum of plane waves, cheap on a grid and exact at any point.

    Random Fourier features of a Gaussian kernel (Rahimi & Recht 2007, eq. 1): mean 0, variance 1.

    Parameters
    ----------
    frequency
        (M, 2) angular frequencies (y, x) per µm.
    phase
        (M,) phases in radians.
    """

    frequency: Float64Array
    phase: Float64Array

    @classmethod
    def draw(
        cls, rng: np.random.Generator, along_um: float, across_um: float, angle: float, n_waves: int = 64
    ) -> "PlaneWaves":
        """Draw a field stretched along ``angle`` (radians from the x axis), correlation lengths in µm."""
        along, across = rng.standard_normal((2, n_waves)) / np.array([[along_um], [across_um]])
        direction = np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]])
        return cls(np.stack([along, across], axis=1) @ direction, rng.uniform(0, 2 * np.pi, n_waves))

    def on_grid(self, ys: Float32Array, xs: Float32Array) -> Float32Array:
        """Values (H, W) at all crossings of the positions ``ys`` (H,) and ``xs`` (W,) in µm."""
        # cos(a + b) = cos a cos b - sin a sin b turns the sum of waves into one matrix product.
        a = (ys[:, None] * self.frequency[:, 0] + self.phase).astype(np.float32)
        b = (xs[:, None] * self.frequency[:, 1]).astype(np.float32)
        left = np.concatenate([np.cos(a), -np.sin(a)], axis=1)
        right = np.concatenate([np.cos(b), np.sin(b)], axis=1)
        return np.asarray(left @ right.T * np.float32(np.sqrt(2 / len(self.phase))), dtype=np.float32)

    def at(self, points_um: Float64Array) -> Float64Array:
        """Values (N,) at points (N, 2) given as (y, x) in µm."""
        phase = (points_um @ self.frequency.T + self.phase).astype(np.float32)
        return np.asarray(np.cos(phase).sum(axis=1) * np.sqrt(2 / len(self.phase)), dtype=np.float64)


def fibre_noise(
    rng: np.random.Generator, along_um: Float32Array, across_um: Float32Array, length_um: float, width_um: float
) -> Float32Array:
    """Noise drawn out into fibres.

    Parameters
    ----------
    rng
        Draws a periodic table of 128 x 32 normals.
    along_um, across_um
        (N,) positions of the points along and across the fibres, in µm.
    length_um, width_um
        Distance between knots along and across, in µm.

    Returns
    -------
    ndarray
        (N,) float32, mean 0, standard deviation 1.
    """
    table = rng.standard_normal((128, 32), dtype=np.float32)
    table /= np.float32(_SPLINE_SD)
    where = np.stack([across_um / width_um, along_um / length_um])
    return np.asarray(map_coordinates(table, where, output=np.float32, order=3, mode="grid-wrap", prefilter=False))
