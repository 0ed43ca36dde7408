"""First and second derivatives of functions that are asked about many points at once. Pure NumPy."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from saliency_stats.typing import Float64Array, IndexArray

#: From points (m, k), which may be complex, to values (m, ...).
Function = Callable[[NDArray[Any]], Any]

#: Step of the complex-step derivative, exact to rounding (Squire and Trapp 1998, SIAM Review 40, 110-112).
_IMAGINARY: Final = 1e-20
#: Points that are asked about at once, which bounds the memory.
_TOGETHER: Final = 16


def gradient(function: Function, at: Float64Array) -> Float64Array:
    """(k, ...) derivatives of a function with values of any shape."""
    return np.asarray(np.imag(_each(function, at + np.eye(at.size) * 1j * _tilt(at))) / _tilt(at))


def value_and_gradient(function: Function, at: Float64Array) -> tuple[float, Float64Array]:
    """Return a function's value and its gradient, asked for at once."""
    found = _each(function, at + np.vstack([np.zeros(at.size), np.eye(at.size)]) * 1j * _tilt(at))
    return float(found[0].real), np.asarray(found[1:].imag / _tilt(at))


def _each(function: Function, points: NDArray[Any]) -> NDArray[Any]:
    """Ask a function about points (..., k), a few at a time."""
    flat = points.reshape(-1, points.shape[-1])
    found = [function(flat[start : start + _TOGETHER]) for start in range(0, len(flat), _TOGETHER)]
    values = np.concatenate(found)
    return values.reshape(*points.shape[:-1], *values.shape[1:])


def _tilt(at: Float64Array) -> float:
    """Return an imaginary step that is nothing beside the arguments, whatever their units."""
    return _IMAGINARY * (float(np.abs(at).max()) or 1.0)


def second(function: Function, at: Float64Array, steps: Float64Array, i: IndexArray, j: IndexArray) -> NDArray[Any]:
    """Second derivatives (n, ...) by the n pairs of arguments i and j (n,) of a function with values of any shape."""
    unit = np.eye(at.size)
    # Richardson: two central differences cancel each other's leading error
    ways = np.array([1.0, -1.0, 2.0, -2.0])
    points = at + ways[:, None, None] * (unit * steps[:, None])[j] + 1j * _tilt(at) * unit[i]
    found = np.imag(_each(function, points)) / _tilt(at)
    size = steps[j].reshape(-1, *[1] * (found.ndim - 2))
    near, far = (found[0] - found[1]) / (2 * size), (found[2] - found[3]) / (4 * size)
    return np.asarray((4 * near - far) / 3)


def hessian(function: Function, at: Float64Array, steps: Float64Array, free: IndexArray | None = None) -> NDArray[Any]:
    """(n, n, ...) second derivatives by the arguments that are free, else by all."""
    over = np.arange(at.size) if free is None else free
    if not over.size:
        return np.empty((0, 0))
    i, j = (axis.ravel() for axis in np.meshgrid(over, over, indexing="ij"))
    bend = second(function, at, steps, i, j)
    bend = bend.reshape(over.size, over.size, *bend.shape[1:])
    return np.asarray((bend + bend.swapaxes(0, 1)) / 2)
