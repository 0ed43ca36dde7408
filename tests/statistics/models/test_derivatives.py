"""Derivatives, of numbers and of arrays, known from a polynomial."""

import numpy as np
import pytest

from saliency_stats.statistics.models.derivatives import gradient, hessian, second, value_and_gradient


def test_derivatives_are_those_of_a_polynomial():
    def cubic(v):
        return v[..., 0] ** 3 + 2 * v[..., 0] * v[..., 1] + 5 * v[..., 1] ** 2

    at = np.array([2.0, 3.0])
    np.testing.assert_allclose(gradient(cubic, at), [3 * 4 + 6, 4 + 30])
    steps = np.full(2, 1e-3)
    np.testing.assert_allclose(hessian(cubic, at, steps), [[12, 2], [2, 10]], rtol=1e-9)
    np.testing.assert_allclose(hessian(cubic, at, steps, np.array([1])), [[10]], rtol=1e-9)
    assert second(cubic, at, steps, np.array([0]), np.array([1])) == pytest.approx(2)
    value, slope = value_and_gradient(cubic, at)
    assert value == pytest.approx(8 + 12 + 45)
    np.testing.assert_allclose(slope, [3 * 4 + 6, 4 + 30])

    def matrix(v):
        return np.stack(
            [np.stack([v[..., 0] ** 2, v[..., 1]], -1), np.stack([v[..., 1], v[..., 0] * v[..., 1]], -1)], -1
        )

    np.testing.assert_allclose(gradient(matrix, at), [[[4, 0], [0, 3]], [[0, 1], [1, 2]]], atol=1e-12)
    np.testing.assert_allclose(hessian(matrix, at, steps)[0, 1], [[0, 0], [0, 1]], atol=1e-9)
    assert hessian(cubic, at, steps, np.array([], dtype=np.intp)).shape == (0, 0)
