"""Another draw of a texture: its mean, its variance, its colours and its coarseness stay, its arrangement does not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from saliency_stats.attribution.resynthesis import resynthesised

SIDE = 64


@pytest.fixture(scope="module")
def texture():
    """One stain, coarse to 2 px, in the left half; another, much darker, in the right half."""
    field = gaussian_filter(np.random.default_rng(0).standard_normal((SIDE, SIDE)), 2, mode="wrap")
    amount = 1 + 0.2 * field / field.std()
    density = amount[..., None] * np.array([0.5, 0.4, 0.2])
    weight = np.zeros((SIDE, SIDE))
    weight[:, : SIDE // 2] = 1
    density[weight == 0] = 2.0
    return density, weight, density[weight == 1].mean(axis=0)


def drawn(texture, number=200):
    rng = np.random.default_rng(1)
    return np.stack([resynthesised(*texture, rng) for _ in range(number)])


def test_on_average_mean_variance_colours_and_coarseness_are_those_of_the_compartment(texture):
    density, weight, mean = texture
    draws = drawn(texture)
    own = density[weight == 1]
    assert draws.min() > 0  # nothing was cut off
    np.testing.assert_allclose(draws.mean(axis=(0, 1, 2)), mean, rtol=0.01)
    covariance = np.cov((draws - mean).reshape(-1, 3).T)
    np.testing.assert_allclose(covariance, np.cov(own.T), rtol=0.1)
    # a neighbour 2 px away: half its coarseness beyond, as of the compartment (its own edge costs a few percent)
    apart = ((draws - mean)[..., 2:, :] * (draws - mean)[..., :-2, :]).mean() / ((draws - mean) ** 2).mean()
    left = (density - mean)[:, : SIDE // 2]
    assert apart == pytest.approx((left[:, 2:] * left[:, :-2]).mean() / (left**2).mean(), rel=0.1)


def test_the_arrangement_is_another_in_every_draw(texture):
    density, weight, _ = texture
    one, other, *_ = draws = drawn(texture, 40)
    assert not np.allclose(one, other)
    inside = weight == 1
    alike = [np.corrcoef(draw[inside][:, 0], density[inside][:, 0])[0, 1] for draw in draws]
    assert abs(np.mean(alike)) < 0.1


def test_it_follows_from_the_generator(texture):
    one, same, other = (resynthesised(*texture, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_colours_of_one_stain_vary_together(texture):
    one = drawn(texture, 1)[0]
    np.testing.assert_allclose((one / [0.5, 0.4, 0.2]).std(axis=-1), 0, atol=1e-9)


def test_half_a_pixel_counts_half():
    """The variance is that of the compartment, weighted as its mean is."""
    rng = np.random.default_rng(2)
    density, weight = rng.random((SIDE, SIDE, 3)) + 5, rng.random((SIDE, SIDE))
    mean = (density * weight[..., None]).sum(axis=(0, 1)) / weight.sum()
    draws = drawn((density, weight, mean), 30)
    expected = (weight[..., None] * (density - mean) ** 2).sum(axis=(0, 1)) / weight.sum()
    np.testing.assert_allclose(((draws - mean) ** 2).mean(axis=(0, 1, 2)), expected, rtol=0.05)


@pytest.mark.parametrize("covered", [0, 1])
def test_an_empty_compartment_and_a_single_pixel_have_no_texture(covered):
    density, weight = np.random.default_rng(0).random((6, 7, 3)), np.zeros((6, 7))
    weight[2, 3] = covered
    found = resynthesised(density, weight, density[2, 3], np.random.default_rng(1))
    np.testing.assert_allclose(found, np.broadcast_to(density[2, 3], found.shape), atol=1e-12)


def test_a_density_is_not_negative():
    density = np.random.default_rng(0).exponential(0.02, (SIDE, SIDE, 3))
    found = resynthesised(density, np.ones((SIDE, SIDE)), density.mean(axis=(0, 1)), np.random.default_rng(1))
    assert found.min() == 0
