"""What fills gaps: red cells without haematoxylin, debris with dust, layers of keratin, pale mucin."""

import numpy as np
import pytest
from scipy import ndimage

from saliency_stats.cohort.phantom.matter import keratin, mucin, necrosis, red_cells

SHAPE = (160, 160)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def depth():
    y, x = np.indices(SHAPE) * 0.5
    return (np.hypot(y - 40, x - 40) - 38).astype(np.float32)


@pytest.mark.parametrize("kind", ["red", "necrosis", "keratin", "mucin"])
def test_stain_is_never_negative_and_the_same_for_the_same_generator(kind, depth):
    def made(seed):
        return {
            "red": lambda: red_cells(rng(seed), SHAPE, 0.5),
            "necrosis": lambda: necrosis(rng(seed), SHAPE, 0.5),
            "keratin": lambda: keratin(rng(seed), depth, 0.5),
            "mucin": lambda: mucin(rng(seed), SHAPE, 0.5),
        }[kind]()

    for seed in range(5):
        assert made(seed).min() >= 0
        assert made(seed).max() < 1.6
    assert made(0).shape == (2, *SHAPE)
    assert made(0).dtype == np.float32
    np.testing.assert_array_equal(made(0), made(0))
    assert (made(0) != made(1)).any()


def test_red_cells_are_discs_of_eosin_without_a_nucleus():
    for seed in range(5):
        haematoxylin, eosin = red_cells(rng(seed), SHAPE, 0.5)
        assert haematoxylin.max() < 0.04
        cell = eosin > 0.3
        assert 0.4 < cell.mean() < 0.95
        assert eosin[~cell].min() < 0.13
        widest = 2 * ndimage.distance_transform_edt(np.pad(cell, 1)).max() * 0.5
        assert 4 < widest < 14


def test_a_red_cell_has_its_size_at_every_pixel_size():
    coarse, fine = red_cells(rng(3), SHAPE, 0.5), red_cells(rng(3), (320, 320), 0.25)
    assert np.abs(fine[1][::2, ::2] - coarse[1]).mean() < 0.05


def test_necrosis_is_eosinophilic_with_grains_of_nuclei():
    for seed in range(5):
        haematoxylin, eosin = necrosis(rng(seed), SHAPE, 0.5)
        assert 0.25 < eosin.mean() < 0.36
        assert eosin.std() > 0.08
        assert 0.001 < (haematoxylin > 0.4).mean() < 0.12
        assert np.median(haematoxylin) < 0.12


def test_keratin_lies_in_layers_along_the_depth(depth):
    haematoxylin, eosin = keratin(rng(2), depth, 0.5)
    assert haematoxylin == pytest.approx(0.08 * eosin, rel=1e-5)
    assert 0.3 < eosin.mean() < 0.55
    y, x = np.indices(SHAPE) - 80.0
    radius = np.maximum(np.hypot(y, x), 1)
    slope_y, slope_x = np.gradient(ndimage.gaussian_filter(eosin, 1))
    across, along = (slope_y * y + slope_x * x) / radius, (slope_y * x - slope_x * y) / radius
    assert np.abs(across).mean() > 1.5 * np.abs(along).mean()


def test_mucin_is_pale():
    amounts = np.array([mucin(rng(seed), SHAPE, 0.5).mean(axis=(1, 2)) for seed in range(10)])
    assert amounts.max() < 0.1
    assert amounts.min() > 0.005
    assert amounts[:, 0].mean() > amounts[:, 1].mean()
