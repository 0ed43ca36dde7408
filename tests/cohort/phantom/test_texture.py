"""Random fields: exact splines, unit variance, and lengths in µm."""

import numpy as np
import pytest
from scipy.interpolate import BSpline

from saliency_stats.cohort.phantom.texture import (
    _SPLINE_SD,
    PlaneWaves,
    _spline_basis,
    fibre_noise,
    pixel_centres,
    smooth_noise,
)

CUBIC = BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)


def rng(*seed):
    return np.random.default_rng(seed)


def test_pixel_centres_lie_half_a_pixel_from_the_border():
    np.testing.assert_allclose(pixel_centres(3, 0.5), [0.25, 0.75, 1.25])


@pytest.mark.parametrize(("n", "px_um", "scale_um"), [(40, 0.5, 2.0), (33, 0.25, 1.7), (16, 1.0, 0.6)])
def test_the_basis_is_that_of_scipys_cubic_splines(n, px_um, scale_um):
    position = (np.arange(n) + 0.5) * px_um / scale_um
    knots = np.arange(int(n * px_um / scale_um + 1e-6) + 5) - 1
    expected = np.nan_to_num(CUBIC(position[:, None] - knots))
    np.testing.assert_allclose(_spline_basis(n, px_um, scale_um), expected, atol=1e-6)


def test_the_deviation_of_a_spline_sum_is_the_integral_of_its_square():
    x = np.linspace(-2, 2, 40_001)
    assert np.trapezoid(np.nan_to_num(CUBIC(x)) ** 2, x) == pytest.approx(_SPLINE_SD, rel=1e-6)


def test_smooth_noise_has_mean_0_and_deviation_1():
    field = np.stack([smooth_noise(rng(seed), (64, 60), 0.5, 1.5) for seed in range(60)])
    assert field.dtype == np.float32
    assert abs(field.mean()) < 0.05
    assert field.std() == pytest.approx(1, rel=0.03)


def test_smooth_noise_is_the_same_tissue_at_every_pixel_size():
    fine, coarse = smooth_noise(rng(1), (128, 128), 0.25, 3.0), smooth_noise(rng(1), (32, 32), 1.0, 3.0)
    assert np.corrcoef(fine.reshape(32, 4, 32, 4).mean(axis=(1, 3)).ravel(), coarse.ravel())[0, 1] > 0.999


def test_plane_waves_are_the_same_on_a_grid_and_at_points():
    waves = PlaneWaves.draw(rng(2), 9.0, 4.0, 0.6)
    ys, xs = pixel_centres(20, 0.7), pixel_centres(30, 0.7)
    points = np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 2).astype(float)
    np.testing.assert_allclose(waves.on_grid(ys, xs).ravel(), waves.at(points), atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_plane_waves_have_a_gaussian_kernel_along_and_across(angle):
    """E[f(0) f(d)] = exp(-d² / 2 l²) with the length l of the direction (Rahimi & Recht 2007)."""
    along, across, d = 9.0, 3.0, 4.0
    direction = np.array([np.sin(angle), np.cos(angle)])
    points = np.stack([np.zeros(2), d * direction, d * np.array([np.cos(angle), -np.sin(angle)])])
    values = np.stack([PlaneWaves.draw(rng(3, seed), along, across, angle).at(points) for seed in range(4000)])
    assert values.mean(axis=0) == pytest.approx([0, 0, 0], abs=0.06)
    second = values.T @ values / len(values)
    expected = [1, np.exp(-(d**2) / (2 * along**2)), np.exp(-(d**2) / (2 * across**2))]
    assert second[0] == pytest.approx(expected, abs=0.06)


def test_fibre_noise_has_deviation_1_and_the_period_of_its_table():
    along, across = (a.astype(np.float32) for a in rng(4).uniform(0, 500, (2, 20_000)))
    noise = fibre_noise(rng(5), along, across, 5.0, 0.5)
    assert abs(noise.mean()) < 0.05
    assert noise.std() == pytest.approx(1, rel=0.04)
    np.testing.assert_allclose(fibre_noise(rng(5), along + 32 * 5, across, 5.0, 0.5), noise, atol=2e-3)
    np.testing.assert_allclose(fibre_noise(rng(5), along, across + 128 * 0.5, 5.0, 0.5), noise, atol=2e-3)


def test_fibres_are_long_along_and_thin_across():
    x = np.linspace(0, 400, 4001, dtype=np.float32)
    still = np.zeros_like(x)
    steps = [np.abs(np.diff(fibre_noise(rng(6), *where, 5.0, 0.5))).mean() for where in ((x, still), (still, x))]
    assert steps[1] / steps[0] == pytest.approx(10, rel=0.4)
